"""REST: declared parameters become path, query, header, form or JSON body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from proxyservices.headers import OWN
from proxyservices.models import Mapping, ProxyOperation
from proxyservices.styles.base import (
    READS,
    WRITES,
    Asked,
    Source,
    Task,
    _exact,
    accept,
    below,
    header_value,
    joined,
    nested,
    pairs_text,
    segment,
    text_of,
    texts,
)

_TOKEN = re.compile(r"\{([^{}]*)\}")


class Rest:
    """Declared parameters become path, query, header, form or JSON body; constants and secrets are added."""

    passes = False
    legacy = False

    def __init__(self, operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> None:
        #: As-is operations on a face without a passage ask with the caller's own method.
        self._method = operation.method if operation.style == ProxyOperation.Style.REST else ""
        self.methods = READS if self._method in ("", "GET") else WRITES
        declared = {name.lower(): name for name in parameters}
        places = self._places(mappings, declared)
        self._pieces = self._template(below(operation.path), places.pop("path", []), declared)
        taken = {each.parameter for _, each in self._pieces if each is not None}
        taken |= {declared[mapping.parameter.lower()] for mapping in mappings if mapping.parameter}
        body = "json" if "json" in places else "form"
        rest = places.setdefault(body if self._method in ("POST", "PUT", "PATCH") else "query", [])
        rest += [Source(name, name) for name in parameters if name not in taken]
        self._query, self._form = places.get("query", []), places.get("form", [])
        self._headers, self._json = places.get("header", []), places.get("json", [])
        if self._form and self._json:
            raise ValueError("form and JSON")
        if any(each.name.lower() in OWN for each in self._headers):
            raise ValueError("header")
        self._fixed = [("User-Agent", "MANTRA")]

    @staticmethod
    def _places(mappings: Sequence[Mapping], declared: dict[str, str]) -> dict[str, list[Source]]:
        places: dict[str, list[Source]] = {}
        for mapping in mappings:
            parameter = declared.get(mapping.parameter.lower(), "") if mapping.parameter else ""
            if mapping.parameter and not parameter:
                raise ValueError("parameter")
            places.setdefault(mapping.place, []).append(Source(mapping.name, parameter, str(mapping.value or "")))
        return places

    @staticmethod
    def _template(path: str, mapped: list[Source], declared: dict[str, str]) -> list[tuple[str, Source | None]]:
        """The path as fixed text, each piece followed by a value (None after the last)."""
        by_name = {each.name.strip("{}").lower(): each for each in mapped}
        pieces: list[tuple[str, Source | None]] = []
        end = 0
        for found in _TOKEN.finditer(path):
            name = found[1].lower()
            source = by_name.pop(name, None) or (Source(found[1], declared[name]) if name in declared else None)
            if source is None:
                raise ValueError("path")
            pieces.append((path[end : found.start()], source))
            end = found.end()
        if by_name:
            raise ValueError("path")
        return [*pieces, (path[end:], None)]

    def make(self, task: Task) -> Asked:
        given = task.arguments
        path = "".join(
            fixed if source is None else fixed + segment(_text(source.of(given)), source.name)
            for fixed, source in self._pieces
        )
        headers = [*self._fixed, ("Accept", accept(task.format))]
        headers += [
            (each.name, header_value(text_of(value), each.name))
            for each in self._headers
            if (value := each.of(given)) is not None
        ]
        # The bus's HEAD is a GET there: what stands above an answer may come of its body.
        method = self._method or ("GET" if task.method == "HEAD" else task.method)
        asked = Asked(method, joined(path, pairs_text(texts(self._query, given))), headers)
        if self._json:
            asked.body = orjson.dumps(nested(self._json, given), default=_exact)
            headers.append(("Content-Type", "application/json"))
        elif self._form or method in ("POST", "PUT", "PATCH"):
            asked.body = pairs_text(texts(self._form, given)).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        asked.length = len(asked.body) if isinstance(asked.body, bytes) else 0
        return asked


def _text(value: Any) -> str:
    return "" if value is None else text_of(value)
