"""The caller styles of MANTRA 1.99x."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from proxyservices.models import Mapping, ProxyOperation
from proxyservices.styles.base import READS, Asked, Source, Task, below, joined, not_convertible, pairs_text, segment


def legacy_text(value: Any) -> str:
    """A parameter's value as 1.99x wrote it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


# ------------------------------------------------------------------------------------------ legacy


class Legacy:
    """The caller styles of MANTRA 1.99x, as its stock client writes them."""

    passes = False
    legacy = True
    methods = READS

    def __init__(self, operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> None:
        self._style = str(operation.style).removeprefix("legacy-")
        self._path = below(operation.path).rstrip("/")
        declared = {name.lower(): name for name in parameters}
        #: In the order of the mappings; what has none follows in the declared order.
        self._sources: list[Source] = []
        for mapping in mappings:
            parameter = declared.pop(mapping.parameter.lower(), "") if mapping.parameter else ""
            if mapping.parameter and not parameter:
                raise ValueError("parameter")
            self._sources.append(Source(mapping.name, parameter, str(mapping.value or "")))
        self._sources += [Source(name, name) for name in declared.values()]
        self._headers = [("User-Agent", "MANTRA")]

    def make(self, task: Task) -> Asked:
        values = [(each.name, each.of(task.arguments)) for each in self._sources]
        given = [(name, legacy_text(value)) for name, value in values if value is not None]
        headers = list(self._headers)
        if self._style == "get":
            return Asked("GET", joined(self._path, pairs_text(given)), headers)
        if self._style == "post":
            body = pairs_text(given).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            return Asked("POST", self._path, headers, body, len(body))
        return Asked("GET", self._path + self._tail(values, given), headers)

    def _tail(self, values: list[tuple[str, Any]], given: list[tuple[str, str]]) -> str:
        """The parameters in the path, every value encoded twice: the other side decodes twice."""
        if not given:
            return ""
        if self._style == "rest":
            return "/" + "&".join(f"{twice(name)}={twice(value)}" for name, value in given)
        if self._style == "restfull":
            # Values only: one left out would make each that follows another parameter's.
            for name, value in values[: len(given)]:
                if value is None:
                    raise not_convertible(f"parameter {name} wajib diisi", f"the parameter {name} must be given")
            return "".join("/" + in_path(value, name) for name, value in given)
        return "".join(f"/{twice(name)}/{in_path(value, name)}" for name, value in given)


def twice(text: str) -> str:
    return quote_plus(quote_plus(text))


def in_path(value: str, name: str) -> str:
    segment(value, name)  # refuses what a path cannot hold
    return twice(value)
