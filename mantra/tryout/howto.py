"""How callers call an operation: addresses and a curl command."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import HttpRequest

from mantra.gateway.formats import FORMATS
from mantra.tryout.forms import sample, writes
from proxyservices.models import ProxyOperation
from registry.models import Operation, Parameter


def is_passage(operation: Operation) -> bool:
    return isinstance(operation, ProxyOperation) and operation.style == ProxyOperation.Style.AS_IS


def calling(operation: Operation, parameters: list[Parameter], request: HttpRequest) -> dict[str, Any]:
    """How callers call an operation: the context of that part of the form."""
    base = settings.BASE_URL or f"{request.scheme}://{request.get_host()}"
    codes = (operation.service.agency.code, operation.service.code, operation.code)
    passes = is_passage(operation)
    url = f"{base}/rest/{'/'.join(quote(code) for code in codes)}{'' if passes else '.json'}"
    wsdl = f"{base}/soap/{'/'.join(quote(code) for code in codes[:2])}?wsdl"
    query = urlencode({each.name: sample(each) for each in parameters}, safe=":")
    words = ["curl"]
    if operation.access != Operation.Access.OPEN:
        words += ["-H", "AccessKey: mtr_…"]
    if writes(operation):
        words += ["-X", "POST", *(("-d", query) if query else ()), url]
    else:
        words.append(f"{url}?{query}" if query else url)
    return {
        "url": url,
        #: Operations that hand requests on as they are convert nothing, and stand in no WSDL.
        "passes": passes,
        "wsdl": wsdl,
        "suffixes": [f".{name}" for name in FORMATS],
        # Always in quotes: what callers put in the place of a sample may need them.
        "curl": " ".join(word if word.startswith("-") or word.isalnum() else quoted(word) for word in words),
        "draft": operation.state == Operation.State.DRAFT,
        "retired": operation.state == Operation.State.RETIRED,
    }


def quoted(word: str) -> str:
    found = shlex.quote(word)
    return found if found != word else f"'{word}'"
