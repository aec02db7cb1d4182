"""Sample requests as calls."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxyservices.models import ProxyOperation
from registry.calls import RawRequest
from registry.models import Parameter, SampleRequest
from registry.parameter_values import InvalidValue, ParameterParser

#: Methods that change nothing at the upstream (RFC 9110, 9.2.1).
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class SampleCall:
    """A sample's request as a style takes it."""

    arguments: dict[str, Any]
    raw_request: dict[str, Any] | None
    method: str

    def fresh_request(self) -> RawRequest | None:
        """Return the request of a pass-through operation; None for others.

        Its body can be read once: each address needs its own.
        """
        if self.raw_request is None:
            return None
        body = str(self.raw_request.get("body", "")).encode()
        path = str(self.raw_request.get("path", ""))
        return RawRequest(
            path_suffix=f"/{path.lstrip('/')}" if path else "",
            query=str(self.raw_request.get("query", "")),
            headers={str(name): str(value) for name, value in (self.raw_request.get("headers") or {}).items()},
            body=io.BytesIO(body),
            length=len(body),
        )


def sample_call(operation: ProxyOperation, request: Mapping[str, Any]) -> SampleCall:
    """Return a sample's request with its values in the parameters' types. Raises InvalidValue."""
    if operation.style == ProxyOperation.Style.PASS_THROUGH:
        return SampleCall({}, dict(request), str(request.get("method", "GET")))
    arguments: dict[str, Any] = {}
    for parameter in operation.parameters.all():
        arguments[parameter.name] = _argument(parameter, str(request.get(parameter.name, "")))
    return SampleCall(arguments, None, operation.method if operation.style == ProxyOperation.Style.REST else "GET")


def _argument(parameter: Parameter, text: str) -> Any:
    text = text or parameter.default
    if not text:
        if parameter.required:
            raise InvalidValue(f"{parameter.name}: harus diisi", f"{parameter.name}: a value is required")
        return None
    try:
        return ParameterParser.of(parameter)(text)
    except InvalidValue as error:
        raise InvalidValue(f"{parameter.name}: {error.id}", f"{parameter.name}: {error.en}") from None


def may_write(operation: ProxyOperation, samples: Sequence[SampleRequest]) -> bool:
    """Return True if the samples may change data at the upstream: a rehearsal would do so twice."""
    if operation.style == ProxyOperation.Style.PASS_THROUGH:
        return any(json.loads(str(sample.request)).get("method", "GET") not in _SAFE for sample in samples)
    return operation.writes or operation.style in (
        ProxyOperation.Style.SOAP, ProxyOperation.Style.LEGACY_POST, ProxyOperation.Style.LEGACY_SOAP,
    )  # fmt: skip
