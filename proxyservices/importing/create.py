"""Creation of a backend and its draft operations from a WSDL or OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.db import transaction

from proxyservices.descriptions.documents import DescriptionError, DocumentSet, decode_text
from proxyservices.importing import openapi, wsdl
from proxyservices.importing.drafts import Draft, ImportPreview, NameAllocator
from proxyservices.models import Backend, BackendServer, ParameterMapping, ProxyOperation, ServiceDescription
from proxyservices.models.operations import SOAP_STYLES
from registry.models import Operation, Parameter, Service, SnapshotVersion

#: The root element of a WSDL, and the version of an OpenAPI document in JSON or YAML.
_WSDL_ROOT = re.compile(r"\s*<(?:[\w.-]+:)?definitions[\s>]")
_OPENAPI_VERSION = re.compile(r"""(?:^|[{,])\s*["']?(?:openapi|swagger)["']?\s*:""", re.MULTILINE)


def is_main(raw: bytes, url: str) -> bool:
    """Return True for a WSDL or OpenAPI document; False for a document that one of these imports."""
    try:
        text = decode_text(raw, url)
    except DescriptionError:
        return False
    return bool(_WSDL_ROOT.match(text) if text.startswith("<") else _OPENAPI_VERSION.search(text))


def preview(documents: DocumentSet, main: str) -> ImportPreview:
    """Return the operations that the main document describes, as drafts. Raises DescriptionError."""
    text = documents.text(main)
    if text.startswith("<"):
        return wsdl.read(documents, main)
    return openapi.read(documents, main)


def free_codes(service: Service) -> NameAllocator:
    """Return an allocator of codes that no operation of the service has."""
    return NameAllocator(Operation.objects.filter(service=service).values_list("code", flat=True))


@transaction.atomic
def create_drafts(
    service: Service, drafts: Sequence[Draft], documents: Mapping[str, str], main: str
) -> list[ProxyOperation]:
    """Create operations in the state draft, with their backend, parameters and documents. Raises ValidationError."""
    SnapshotVersion.lock()  # rows are counted: nobody else adds one meanwhile
    names, backends = free_codes(service), _Backends(service)
    return [_create(service, backends.of(draft), draft, names.code(draft.code), documents, main) for draft in drafts]


class _Backends:
    """The backends of an import: one for each address that the document names, which is one as a rule."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._codes = NameAllocator(Backend.objects.filter(agency=service.agency).values_list("code", flat=True))
        self._made: dict[tuple[str, str, str], Backend] = {}

    def of(self, draft: Draft) -> Backend:
        """Return the backend for a draft's address: a new one, or that of the agency which has this server alone."""
        key = draft.address, draft.credential_kind, draft.credential_name
        if key not in self._made:
            self._made[key] = self._stored(draft.address) or self._create(draft)
        return self._made[key]

    def _stored(self, address: str) -> Backend | None:
        rows = Backend.objects.filter(agency=self._service.agency, servers__url=address).distinct().order_by("pk")
        return next((row for row in rows if row.servers.count() == 1), None) if address else None

    def _create(self, draft: Draft) -> Backend:
        backend = Backend(
            agency=self._service.agency,
            code=self._codes.unique(self._service.code),
            title=self._service.title,
            contact=self._service.contact,
            credential_kind=draft.credential_kind,
            credential_name=draft.credential_name,
            probe_path="?wsdl" if draft.style in SOAP_STYLES and "?" not in draft.address else "",
        )
        backend.full_clean()
        backend.save()
        if draft.address:
            server = BackendServer(backend=backend, url=draft.address)
            server.full_clean()
            server.save()
        return backend


def _create(
    service: Service, backend: Backend, draft: Draft, code: str, documents: Mapping[str, str], main: str
) -> ProxyOperation:
    operation = ProxyOperation(
        service=service, backend=backend, code=code, title=draft.title[:200], description=draft.description,
        style=draft.style, method=draft.method, path=draft.path, records_path=draft.records_path,
    )  # fmt: skip
    operation.kind = Operation.Kind.PROXY
    operation.full_clean()
    operation.save()
    rows: list[Any] = [Parameter(operation=operation, position=at, **each) for at, each in enumerate(draft.parameters)]
    rows += [ParameterMapping(operation=operation, position=at, **each) for at, each in enumerate(draft.mappings)]
    rows += [
        ServiceDescription(operation=operation, url=url, main=url == main, content=text)
        for url, text in documents.items()
    ]
    for model in {type(row) for row in rows}:
        model.check_list(operation, [row for row in rows if type(row) is model])
    for row in rows:
        row.full_clean()
        row.save()
    return operation


def pack(preview: ImportPreview, documents: DocumentSet, main: str) -> dict[str, Any]:
    """Return the input of create_drafts() as JSON types: the page carries it from the preview to the confirmation."""
    return {"drafts": [asdict(draft) for draft in preview.drafts], "documents": documents.used, "main": main}


def unpack(packed: Mapping[str, Any]) -> tuple[list[Draft], dict[str, str], str]:
    """Return drafts, documents by address, and the main document's address, as pack() stored them."""
    return [Draft(**each) for each in packed["drafts"]], packed["documents"], packed["main"]
