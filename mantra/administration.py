"""Requests to Django: the admin and the management API. They wait for the bus's own database; calls do not.

Each holds a thread of the worker process until that database has answered. They have half of the threads, so that
calls go on when it hangs, or when many of them take long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mantra.gateway.http import Response, stamp
from registry.bulkhead import Bulkhead, default_limit
from registry.calls import request_id

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Seconds that a request waits for a place. A quarter of the threads may wait.
WAIT_SECONDS = 1.0

_places = Bulkhead(default_limit())
_waiting = Bulkhead(max(1, default_limit() // 2))

_BUSY = (
    "Terlalu banyak permintaan ke halaman admin dan API manajemen sedang dikerjakan. Coba lagi sebentar lagi.\n"
    "Too many requests to the admin and the management API are in progress. Try again shortly.\n"
)


def places() -> Bulkhead:
    """Return the bulkhead of the requests to Django."""
    return _places


class _Body:
    """A response's body, whose request holds its place until it is closed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        try:
            if close := getattr(self._chunks, "close", None):
                close()
        finally:
            _places.release()


def limited(application: Application) -> Application:
    """Return an application that passes requests to ``application`` while they have places, and else responds 503."""

    def pass_on(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not _has_place():
            return _refuse(start_response)
        try:
            response = application(environ, start_response)
        except BaseException:
            _places.release()
            raise
        if getattr(response, "streaming", True):
            return _Body(response)
        _places.release()  # a caller who reads it slowly holds no thread
        return response

    return pass_on


def _has_place() -> bool:
    """Return True if a place was taken."""
    if _places.try_acquire():
        return True
    if not _waiting.try_acquire():
        return False
    try:
        return _places.try_acquire(WAIT_SECONDS)
    finally:
        _waiting.release()


def _refuse(start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = _BUSY.encode()
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), "Retry-After": "2"}
    response = Response(503, body, headers)
    stamp(response, request_id())
    start_response("503 Service Unavailable", list(response.headers.items()))
    return (body,)
