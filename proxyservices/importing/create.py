"""From a WSDL or OpenAPI document to draft operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.db import transaction

from proxyservices.descriptions.documents import Documents
from proxyservices.importing import openapi, wsdl
from proxyservices.importing.drafts import Draft, Found, Names
from proxyservices.models import Contract, ProxyOperation, Upstream
from proxyservices.models import Mapping as Placed
from registry.models import Operation, Parameter, Service


def described(documents: Documents, main: str) -> Found:
    """What the main document says. Raises Unusable."""
    text = documents.text(main)
    if text.startswith("<"):
        return wsdl.read(documents, main)
    return openapi.read(documents, main)


def code_for(service: Service) -> Names:
    """Codes that are free in a service."""
    return Names(Operation.objects.filter(service=service).values_list("code", flat=True))


@transaction.atomic
def make(service: Service, drafts: Sequence[Draft], documents: Mapping[str, str], main: str) -> list[ProxyOperation]:
    """Draft operations with all that belongs to them. Raises ValidationError."""
    names = code_for(service)
    return [_made(service, draft, names.code(draft.code), documents, main) for draft in drafts]


def _made(service: Service, draft: Draft, code: str, documents: Mapping[str, str], main: str) -> ProxyOperation:
    operation = ProxyOperation(
        service=service, code=code, title=draft.title[:200], description=draft.description, style=draft.style,
        method=draft.method, path=draft.path,
    )  # fmt: skip
    operation.kind = Operation.Kind.PROXY
    operation.full_clean()
    operation.save()
    rows: list[Any] = []
    if draft.address:
        rows.append(
            Upstream(
                operation=operation, url=draft.address, credential_kind=draft.credential_kind,
                credential_name=draft.credential_name,
            )
        )  # fmt: skip
    rows += [Parameter(operation=operation, position=at, **each) for at, each in enumerate(draft.parameters)]
    rows += [Placed(operation=operation, position=at, **each) for at, each in enumerate(draft.mappings)]
    rows += [Contract(operation=operation, url=url, main=url == main, content=text) for url, text in documents.items()]
    for row in rows:
        row.full_clean()
        row.save()
    return operation


def pack(found: Found, documents: Documents, main: str) -> dict[str, Any]:
    """All that making needs, as JSON's own types: the page keeps it between looking and making."""
    return {"drafts": [asdict(draft) for draft in found.drafts], "documents": documents.used, "main": main}


def unpack(packed: Mapping[str, Any]) -> tuple[list[Draft], dict[str, str], str]:
    return [Draft(**each) for each in packed["drafts"]], packed["documents"], packed["main"]
