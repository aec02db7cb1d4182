"""What the program code of an operation contains: its address, its parameters with examples, how it is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext

from mantra.gateway import xml_names
from mantra.gateway.formats.legacy import operation_key
from proxyservices.models import ProxyOperation, header_names
from registry import parameter_examples
from registry.models import Application, Field, Operation, Parameter
from registry.parameter_values import InvalidValue, ParameterParser

#: Seconds that a caller waits beyond an operation's time limit: the bus then answers with a fault of its own.
_MARGIN = 10
_PERSONAL = frozenset((Parameter.Type.NIK, Parameter.Type.NPWP))


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter with an example. ``truth``: the example of a boolean, which SOAP clients need as such."""

    name: str
    text: str
    truth: bool | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A call of an operation, before it is written in a language."""

    title: str
    alias: str
    #: The application for which the code is, as "title (agency/code)"; "" if it is not known.
    application: str
    base: str
    url: str
    #: GET, or POST if the operation changes data or a value identifies a person.
    method: str
    values: tuple[Value, ...]
    columns: tuple[str, ...]
    needs_key: bool
    writes: bool
    pages: bool
    pass_through: bool
    #: The response has rows under "data".
    has_rows: bool
    #: How long the caller waits, in seconds.
    seconds: int
    wsdl: str
    soap_operation: str
    legacy_endpoint: str
    legacy_operation: str

    @property
    def legacy_key(self) -> str:
        """The key of the rows on the legacy wire."""
        return operation_key(self.legacy_operation)


def base_url(request: HttpRequest) -> str:
    """Return the address of the bus, without a slash at its end."""
    return settings.BASE_URL or f"{request.scheme}://{request.get_host()}"


def example_of(
    operation: Operation,
    parameters: Sequence[Parameter],
    fields: Sequence[Field],
    base: str,
    application: Application | None = None,
) -> Example:
    """Return the call of an operation. It may be one that is not saved yet."""
    codes = (operation.service.agency.code, operation.service.code, operation.code)
    passes, writes = is_pass_through(operation), bool(getattr(operation, "writes", False))
    path = "/".join(quote(code) for code in codes)
    service = "/".join(quote(code) for code in codes[:2])
    return Example(
        title=operation.title or operation.code,
        alias="/".join(codes),
        application=f"{application.title} ({application})" if application else "",
        base=base,
        url=f"{base}/rest/{path}{'' if passes else '.json'}",
        method=_method(operation, parameters),
        values=() if passes else tuple(_value(parameter) for parameter in parameters),
        columns=tuple(field.name for field in fields),
        needs_key=operation.access != Operation.Access.OPEN,
        writes=writes,
        pages=bool(getattr(operation, "page_size", 0)),
        pass_through=passes,
        has_rows=not isinstance(operation, ProxyOperation) and not writes,
        seconds=-(-getattr(operation, "timeout_ms", 0) // 1000) + _MARGIN,
        wsdl=f"{base}/soap/{service}?wsdl",
        soap_operation=xml_names.operation(operation.code),
        legacy_endpoint=f"{base}/json/{service}",
        legacy_operation=operation.code,
    )


def is_pass_through(operation: Operation) -> bool:
    """Return True if the operation forwards requests unchanged."""
    return isinstance(operation, ProxyOperation) and operation.style == ProxyOperation.Style.PASS_THROUGH


def _method(operation: Operation, parameters: Sequence[Parameter]) -> str:
    if isinstance(operation, ProxyOperation) and is_pass_through(operation):
        allowed = header_names(operation.allowed_methods)
        return "GET" if "GET" in allowed else allowed[0]
    # Proxies between caller and bus log query strings.
    personal = any(parameter.subject or parameter.type in _PERSONAL for parameter in parameters)
    return "POST" if getattr(operation, "writes", False) or personal else "GET"


def _value(parameter: Parameter) -> Value:
    text = sample_value(parameter)
    if parameter.type != Parameter.Type.BOOLEAN:
        return Value(parameter.name, text)
    try:
        return Value(parameter.name, text, bool(ParameterParser.of(parameter)(text)))
    except InvalidValue:
        return Value(parameter.name, text, True)


def sample_value(parameter: Parameter) -> str:
    """Return a value that a parameter accepts, the word "value" if none is known."""
    return parameter_examples.example(ParameterParser.of(parameter), parameter.default) or gettext("value")
