"""Stored samples as calls."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxyservices.models import ProxyOperation, Sample
from registry.calls import Passage
from registry.models import Parameter
from registry.parameter_values import Reader, Unfit

_SAFE = frozenset({"GET", "HEAD"})


# --------------------------------------------------------------------------------------- questions


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sample asks, ready for the styles."""

    arguments: dict[str, Any]
    passage: dict[str, Any] | None
    method: str

    def request(self) -> Passage | None:
        """The request of an as-is operation. Its body can be read once, so that each address gets its own."""
        if self.passage is None:
            return None
        body = str(self.passage.get("body", "")).encode()
        tail = str(self.passage.get("path", ""))
        return Passage(
            tail=f"/{tail.lstrip('/')}" if tail else "",
            query=str(self.passage.get("query", "")),
            headers={str(name): str(value) for name, value in (self.passage.get("headers") or {}).items()},
            body=io.BytesIO(body),
            length=len(body),
        )


def read(operation: ProxyOperation, question: Mapping[str, Any]) -> Asked:
    """A sample's question with its values as the parameters have them. Raises Unfit."""
    if operation.style == ProxyOperation.Style.AS_IS:
        return Asked({}, dict(question), str(question.get("method", "GET")))
    arguments: dict[str, Any] = {}
    for parameter in operation.parameters.all():
        arguments[parameter.name] = _argument(parameter, str(question.get(parameter.name, "")))
    return Asked(arguments, None, operation.method if operation.style == ProxyOperation.Style.REST else "GET")


def _argument(parameter: Parameter, text: str) -> Any:
    text = text or parameter.default
    if not text:
        if parameter.required:
            raise Unfit(f"{parameter.name}: harus diisi", f"{parameter.name}: it must be given")
        return None
    try:
        return Reader.of(parameter)(text)
    except Unfit as unfit:
        raise Unfit(f"{parameter.name}: {unfit.id}", f"{parameter.name}: {unfit.en}") from None


def may_write(operation: ProxyOperation, samples: Sequence[Sample]) -> bool:
    """Whether asking could change something at the upstream, which a rehearsal would do twice."""
    if operation.style == ProxyOperation.Style.AS_IS:
        return any(json.loads(str(sample.question)).get("method", "GET") not in _SAFE for sample in samples)
    return operation.writes or operation.style in (
        ProxyOperation.Style.SOAP, ProxyOperation.Style.LEGACY_POST, ProxyOperation.Style.LEGACY_SOAP,
    )  # fmt: skip
