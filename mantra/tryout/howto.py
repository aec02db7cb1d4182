"""Instructions for callers of an operation: addresses and a curl command."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import HttpRequest

from mantra.gateway.formats import FORMATS
from mantra.tryout.forms import sample_value, writes
from proxyservices.models import ProxyOperation
from registry.models import Operation, Parameter


def is_pass_through(operation: Operation) -> bool:
    """Return True if the operation forwards requests unchanged."""
    return isinstance(operation, ProxyOperation) and operation.style == ProxyOperation.Style.PASS_THROUGH


def call_instructions(operation: Operation, parameters: list[Parameter], request: HttpRequest) -> dict[str, Any]:
    """Return the context of the instructions for callers."""
    base = settings.BASE_URL or f"{request.scheme}://{request.get_host()}"
    codes = (operation.service.agency.code, operation.service.code, operation.code)
    pass_through = is_pass_through(operation)
    url = f"{base}/rest/{'/'.join(quote(code) for code in codes)}{'' if pass_through else '.json'}"
    wsdl = f"{base}/soap/{'/'.join(quote(code) for code in codes[:2])}?wsdl"
    query = urlencode({parameter.name: sample_value(parameter) for parameter in parameters}, safe=":")
    arguments = ["curl"]
    if operation.access != Operation.Access.OPEN:
        arguments += ["-H", "AccessKey: mtr_…"]
    if writes(operation):
        arguments += ["-X", "POST", *(("-d", query) if query else ()), url]
    else:
        arguments.append(f"{url}?{query}" if query else url)
    return {
        "url": url,
        #: Pass-through operations offer no formats and are in no WSDL.
        "passes": pass_through,
        "wsdl": wsdl,
        "suffixes": [f".{name}" for name in FORMATS],
        # Always quoted: the values with which callers replace the examples may need it.
        "curl": " ".join(text if text.startswith("-") or text.isalnum() else _shell_quoted(text) for text in arguments),
        "draft": operation.state == Operation.State.DRAFT,
        "retired": operation.state == Operation.State.RETIRED,
    }


def _shell_quoted(text: str) -> str:
    quoted = shlex.quote(text)
    return quoted if quoted != text else f"'{text}'"
