"""The documents and the page of contracts, each for its reader: what the reader does not find is not there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from mantra.catalogue.reader import Reader, reader_of
from mantra.content_policy import policy
from mantra.contracts import openapi, postman, upstream
from mantra.contracts.openapi import Readable
from mantra.contracts.upstream import Alias
from mantra.gateway import documents, http
from mantra.verification.plan import Plan as Verification
from proxyservices.models import ProxyOperation
from registry import models
from registry.personal_data.masks import DROPPED
from registry.snapshot import holder
from registry.snapshot.types import Operation, Snapshot

Write = Callable[[models.Service, list[Readable], str], bytes]


@require_safe
def service_openapi(request: HttpRequest, agency: str, service: str) -> HttpResponse:
    """The OpenAPI document of a service."""
    return _of_service(request, agency, service, openapi.service_document)


@require_safe
def service_postman(request: HttpRequest, agency: str, service: str) -> HttpResponse:
    """The Postman collection of a service."""
    response = _of_service(request, agency, service, postman.collection)
    response["Content-Disposition"] = f'attachment; filename="{service}.postman_collection.json"'
    return response


@require_safe
def operation_openapi(request: HttpRequest, agency: str, service: str, operation: str) -> HttpResponse:
    """The OpenAPI document of an operation; of one that is passed through, that of its upstream if it is stored."""
    reader = reader_of(request)
    row = reader.operation(agency, service, operation)
    found = _snapshot().operation(agency, service, operation)
    if found is None or found.id != row.pk:
        raise Http404
    place = _Place.of(request, reader)
    if openapi.is_as_is(found) and (stored := _stored(request, row, found, place)) is not None:
        return _json(request, stored)
    readable = place.readable(found, {field.name: field.mask for field in reader.fields(row)})
    return _json(request, openapi.operation_document(row.service, readable, place.base))


@require_safe
def docs(request: HttpRequest, agency: str, service: str) -> HttpResponse:
    """The page that shows a service's document, and calls its operations with the key that its user types in."""
    reader = reader_of(request)
    context = {"service": reader.service(agency, service), "query": _Place.of(request, reader).query}
    response = render(request, "catalogue/contract_docs.html", context)
    # Its requests go to the bus, by the address that the document names.
    response["Content-Security-Policy"] = policy(request, connect=settings.BASE_URL)
    return response


#: Columns that a reader gets, each with its mask.
Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a reader finds documents: the URL of the bus, and the query with which an application was chosen."""

    base: str
    query: str

    @classmethod
    def of(cls, request: HttpRequest, reader: Reader) -> _Place:
        chosen, query = reader.application, ""
        if chosen is not None and "application" in request.GET:
            query = "?" + urlencode({"application": f"{chosen.agency.code}/{chosen.code}"}, safe="/")
        return cls(http.base_url(request.META), query)

    def document(self, operation: Operation) -> str:
        """Return the URL of an operation's own document, without the query."""
        names = operation.agency, operation.service, operation.code
        return self.base + reverse("contract_operation", args=names)

    def readable(self, operation: Operation, columns: Mapping[str, str] | None) -> Readable:
        """Return an operation with these columns only, each with its mask; None: with all."""
        masks = {each.name: each.mask for each in operation.fields} if columns is None else columns
        fields = tuple(
            replace(each, mask=masks[each.name])
            for each in operation.fields
            if masks.get(each.name, DROPPED) != DROPPED
        )
        if columns is None and isinstance(operation.plan, Verification):
            known = {column.name for column in operation.plan.shape(frozenset()).columns}
            fields = tuple(each for each in fields if each.name in known)
        # A plan has an upstream's WSDL only, no other document.
        described = openapi.is_as_is(operation) and getattr(operation.plan, "description", None) is not None
        own_wsdl = f"{self.base}{openapi.address(operation)}?wsdl" if described else ""
        return Readable(operation, fields, self.document(operation) + self.query, own_wsdl)


# --------------------------------------------------------------------------------------- documents


def _of_service(request: HttpRequest, agency: str, service: str, write: Write) -> HttpResponse:
    """Return a document of a service. It is stored with the snapshot, once for all who read the same."""
    reader, snapshot = reader_of(request), _snapshot()
    row, place = reader.service(agency, service), _Place.of(request, reader)
    columns = _readable_columns(reader, row)
    texts = row.title, row.description, row.contact
    key = (write.__name__, row.pk, texts, place, get_language(), frozenset(columns.items()))

    def build() -> bytes:
        found = [each for each in documents.operations_of(snapshot, agency, service) if each.id in columns]
        shown = {pk: None if pairs is None else dict(pairs) for pk, pairs in columns.items()}
        return write(row, [place.readable(each, shown[each.id]) for each in found], place.base)

    return _json(request, documents.stored(snapshot, key, build))


def _readable_columns(reader: Reader, service: models.Service) -> dict[int, Columns | None]:
    """Return the operations that a reader finds in a service by their ids, with the granted columns (None: all)."""
    found = {each.pk: each for each in reader.operations().filter(service=service).prefetch_related("fields")}
    granted: dict[int, Columns] = {}
    for pk, grant in reader.grants(list(found.values())).items():
        grant.operation = found[pk]
        if grant.fields or grant.masks or grant.unlawful_fields:
            granted[pk] = tuple(grant.sent_masks.items())
    return {pk: granted.get(pk) for pk in found}


def _snapshot() -> Snapshot:
    """Return the current snapshot. Raises Http404 while there is none: the bus serves no call either."""
    snapshot = holder.current()
    if snapshot is None:
        raise Http404
    return snapshot


def _json(request: HttpRequest, content: bytes) -> HttpResponse:
    """Return a document, or 304 if the reader's tools have it already."""
    etag = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
    response = get_conditional_response(request, etag, response=HttpResponse(content, "application/json"))
    assert response is not None
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ("Cookie",))
    return response  # type: ignore[return-value]


# ----------------------------------------------------------------------------- what an upstream says


def _stored(request: HttpRequest, row: ProxyOperation, operation: Operation, place: _Place) -> bytes | None:
    """Return the upstream's stored document, the main one or ?document=number; None if there is none."""
    rows = list(row.descriptions.all())
    chosen = upstream.main_document(rows)
    if "document" in request.GET:
        chosen = next((each for each in rows if str(each.pk) == request.GET["document"]), None)
        if chosen is None:
            raise Http404
    if chosen is None:
        return None
    return upstream.document(rows, chosen, _alias(row, operation, place))


def _alias(row: ProxyOperation, operation: Operation, place: _Place) -> Alias:
    servers = row.backend.servers.filter(active=True) if row.backend is not None else ()
    below = row.path.partition("?")[0].rstrip("/")
    return Alias(
        url=place.base + openapi.address(operation),
        bases=[server.url.partition("?")[0].rstrip("/") + below for server in servers],
        keyed=not operation.open,
        forwards_credentials=row.forward_credentials,
        documents=place.document(operation),
    )
