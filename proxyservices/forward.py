"""What a proxy call does: the same question to the upstream, and its answer as a document."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import orjson
from django.conf import settings
from lxml import etree

from proxyservices import client
from proxyservices.models import ProxyOperation, Upstream
from registry import faults
from registry.calls import Call, Document
from registry.faults import Fault

log = logging.getLogger("mantra.proxyservices")

#: The header that counts the buses a call has come through, and how many it may be.
HOPS = "Mantra-Hops"
MAX_HOPS = 4

_WRAPPERS = ("valid_response", "invalid_response", "error_response")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the upstream is, and the key that it knows us by."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A proxy operation, ready to run."""

    addresses: tuple[Address, ...]
    path: str
    seconds: float
    size_cap: int
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    page_size: int = 0
    #: Each call holds a thread of the worker: half of them stay with the other operations.
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(max(1, settings.WEB_THREADS // 2)))


def prepare(ids: Iterable[int]) -> dict[int, Plan]:
    """The plans of proxy operations. One without an address is left out."""
    addresses: dict[int, list[Address]] = {}
    for row in Upstream.objects.order_by("operation_id", "position", "id"):
        addresses.setdefault(row.operation_id, []).append(Address(row.url.rstrip("/"), str(row.credential or "")))
    return {
        pk: Plan(tuple(addresses[pk]), operation.path, operation.time_cap_ms / 1000, operation.size_cap)
        for pk, operation in ProxyOperation.objects.in_bulk(list(ids)).items()
        if pk in addresses
    }


def run(call: Call) -> Document:
    """Ask the first address that answers. Raises Fault."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    if call.hops >= MAX_HOPS:
        raise Fault(faults.LOOP, hops=call.hops)
    if not plan.room.acquire(blocking=False):
        raise Fault(faults.UPSTREAM_BUSY, retry_after=1)
    try:
        return _ask(call, plan)
    finally:
        plan.room.release()


def _ask(call: Call, plan: Plan) -> Document:
    failure = Fault(faults.UPSTREAM_DOWN, request_id=call.request_id)
    for address in plan.addresses:
        try:
            body = client.get(
                _question(address, plan, call.arguments), _headers(address, call), plan.seconds, plan.size_cap
            )
        except client.Unreachable:
            log.warning("request %s: upstream unreachable", call.request_id)
            continue
        except client.TooSlow:
            raise Fault(faults.UPSTREAM_SLOW, seconds=f"{plan.seconds:g}") from None
        except client.Unusable:
            raise Fault(faults.UPSTREAM_WRONG, request_id=call.request_id) from None
        return _document(body, call)
    raise failure


def _question(address: Address, plan: Plan, arguments: dict[str, Any]) -> str:
    """The address in the legacy REST style: a query string as the last segment, every value encoded twice."""
    pairs = "&".join(
        f"{name}={quote_plus(quote_plus(_text(value)))}" for name, value in arguments.items() if value is not None
    )
    return "/".join(part for part in (address.url, plan.path, pairs) if part)


def _text(value: Any) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)


def _headers(address: Address, call: Call) -> dict[str, str]:
    headers = {"User-Agent": "MANTRA", HOPS: str(call.hops + 1)}
    if address.key:
        headers["AccessKey"] = address.key
    return headers


def _document(body: bytes, call: Call) -> Document:
    """The answer, told apart by how it begins and ends as 1.99x does."""
    text = body.strip()
    try:
        if text.startswith(b"{") and text.endswith(b"}"):
            value: Any = orjson.loads(text)
        elif text.startswith(b"<?xml"):
            value = _from_xml(text)
        else:
            raise ValueError
    except (ValueError, etree.XMLSyntaxError):
        raise Fault(faults.UPSTREAM_WRONG, request_id=call.request_id) from None
    if isinstance(value, dict) and len(value) == 1:
        (name, inner), *_ = value.items()
        if name in _WRAPPERS:
            value = inner
    enveloped = isinstance(value, dict) and isinstance(value.get("response"), dict) and "status" in value["response"]
    return Document(value, enveloped)


def _from_xml(text: bytes) -> dict[str, Any]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)
    root = etree.fromstring(text, parser)
    if root.getroottree().docinfo.doctype:
        raise ValueError("a document type is not taken")
    return {etree.QName(root).localname: _element(root)}


def _element(element: Any) -> Any:
    """An element as text, or as a dict of its children; a name that repeats becomes a list."""
    if not len(element):
        return element.text or None
    found: dict[str, Any] = {}
    for child in element:
        name, value = etree.QName(child).localname, _element(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found
