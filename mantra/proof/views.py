"""What everybody may fetch to prove the journal: its heads, the keys that sign them, and the verifier.

Heads never change, so that caches may keep them. A process answers so many requests a second, and keeps the last heads.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from registry.journal import heads
from registry.models import JournalHead

#: Heads that are kept, and characters of one: larger ones are read each time.
KEPT, KEPT_LENGTH = 64, 100_000
#: Requests of a second that a process answers.
PER_SECOND = 20
#: Seconds for which the latest head may be kept: the next one comes in an hour.
LATEST_SECONDS, HEAD_SECONDS = 60, 31_536_000
#: The highest serial that a database takes.
MOST = 2**63 - 1


class _Rate:
    """Counts the requests of a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._second, self._count = 0, 0

    def allows(self) -> bool:
        """Count a request. Return False if there were too many."""
        with self._lock:
            second = int(self._clock())
            if second != self._second:
                self._second, self._count = second, 0
            self._count += 1
            return self._count <= PER_SECOND


class _Kept:
    """The documents that were fetched last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: OrderedDict[int, str] = OrderedDict()

    def get(self, serial: int) -> str | None:
        """Return the document of a head, None if there is none."""
        with self._lock:
            if serial in self._documents:
                self._documents.move_to_end(serial)
                return self._documents[serial]
        document = JournalHead.objects.filter(serial=serial).values_list("document", flat=True).first()
        if document is not None and len(document) <= KEPT_LENGTH:
            with self._lock:
                self._documents[serial] = document
                while len(self._documents) > KEPT:
                    self._documents.popitem(last=False)
        return document

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._documents.clear()


rate, kept = _Rate(), _Kept()


@require_safe
def head(_request: HttpRequest, serial: int) -> HttpResponse:
    """Return a head."""
    return _refusal() or _response(kept.get(serial) if serial <= MOST else None, HEAD_SECONDS)


@require_safe
def latest(_request: HttpRequest) -> HttpResponse:
    """Return the latest head."""
    if refusal := _refusal():
        return refusal
    document = JournalHead.objects.order_by("-serial").values_list("document", flat=True).first()
    return _response(document, LATEST_SECONDS)


@require_safe
def keys(_request: HttpRequest) -> HttpResponse:
    """Return the public keys of heads, the newest first."""
    if refusal := _refusal():
        return refusal
    found = [{"id": heads.key_id(key), "ed25519": key} for key in heads.public_keys()]
    return _cached(JsonResponse({"keys": found}), LATEST_SECONDS)


@require_safe
def verifier(_request: HttpRequest) -> HttpResponse:
    """Return the program that proves a journal."""
    if refusal := _refusal():
        return refusal
    source = (Path(settings.BASE_DIR) / "deploy" / "verify_journal.py").read_bytes()
    return _cached(HttpResponse(source, content_type="text/x-python; charset=utf-8"), LATEST_SECONDS)


def _refusal() -> HttpResponse | None:
    if not settings.HEADS_PUBLIC:
        raise Http404
    return None if rate.allows() else HttpResponse(status=429, headers={"Retry-After": "1"})


def _response(document: str | None, seconds: int) -> HttpResponse:
    if document is None:
        raise Http404
    return _cached(HttpResponse(document, content_type="text/plain; charset=utf-8"), seconds)


def _cached(response: HttpResponse, seconds: int) -> HttpResponse:
    response["Cache-Control"] = f"public, max-age={seconds}"
    response["X-Content-Type-Options"] = "nosniff"
    return response
