"""The address that nginx asks a few times a second: for the versions, with how many calls of each admission were used.

Callers cannot reach it: nginx answers it with 404, and the bus without nginx's secret.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from typing import Any

import orjson

from mantra.gateway import quotas
from mantra.gateway.fast_lane import wire
from mantra.gateway.fast_lane.groups import groups, is_on
from mantra.gateway.http import Environ, Response
from registry.journal import lane_folder, segments
from registry.journal.lane_folder import Asked
from registry.snapshot import holder

log = logging.getLogger("mantra.fast_lane")

PATH = "/fast-lane/tick"
#: The most bytes of a request, and admissions in it.
MAX_BYTES, MAX_ENDED = 512 * 1024, 5_000
#: Seconds between two signs that nginx asks.
SIGN_SECONDS = 2.0
_ID = re.compile(r"[0-9a-f]{16}\Z")
_VERSION = re.compile(r"[0-9a-f]{16}\Z|-\Z")

_signed = {"at": float("-inf"), "groups": ""}


def handle(environ: Environ) -> Response:
    """Return the versions of the snapshot and the groups, when the ended admissions are on record."""
    if not wire.is_nginx(environ) or not is_on() or environ.get("PATH_INFO") != PATH:
        return _response(404, {})
    if environ["REQUEST_METHOD"] != "POST":
        return _response(405, {})
    asked = _asked(environ)
    if asked is None:
        return _response(400, {})
    try:
        for id, used in asked["ended"]:
            _end(id, used)
    except OSError as error:  # nginx says it again with the next tick
        log.error("the journal cannot be written: errno %s", error.errno)
        return _response(503, {})
    _sign(asked["groups"])
    return _response(200, {"version": holder.version(), "groups": groups.version or "-"})


def _asked(environ: Environ) -> dict[str, Any] | None:
    """Return what nginx says; None if it cannot be read."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or int(length) > MAX_BYTES:
        return None
    try:
        asked = orjson.loads(environ["wsgi.input"].read(int(length)))
        ended = [(str(id), int(used)) for id, used in asked["ended"]]
        valid = len(ended) <= MAX_ENDED and all(_ID.match(id) and used >= 0 for id, used in ended)
        version = str(asked["groups"])
    except (ValueError, TypeError, KeyError, OSError):
        return None
    return {"ended": ended, "groups": version} if valid and _VERSION.match(version) else None


def _end(id: str, used: int) -> None:
    """Record how many calls of an admission were used, and give back the others. Raises OSError."""
    segments.write({"t": "used", "id": id, "used": used})
    quotas.give_back(id, used)


def _sign(version: str) -> None:
    """Leave a sign that nginx asks, for the health board."""
    now = time.monotonic()
    if now - _signed["at"] < SIGN_SECONDS and _signed["groups"] == version:  # type: ignore[operator]
        return
    _signed.update(at=now, groups=version)
    with suppress(OSError):
        lane_folder.write("asked.json", Asked(time.time(), version))


def _response(status: int, content: dict[str, Any]) -> Response:
    body = orjson.dumps(content)
    return Response(status, body, {"Content-Type": "application/json", "Content-Length": str(len(body))})
