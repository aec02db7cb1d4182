"""The address that nginx asks a few times a second: for the versions, with how many calls of each admission were used.

Callers cannot reach it: nginx answers it with 404, and the bus without nginx's secret.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from mantra.gateway import quotas
from mantra.gateway.fast_lane import wire
from mantra.gateway.fast_lane.groups import groups, is_on
from mantra.gateway.http import Environ, Response
from registry.journal import lane_folder, segments
from registry.journal.lane_folder import LastTick
from registry.snapshot import holder

log = logging.getLogger("mantra.fast_lane")

PATH = "/fast-lane/tick"
#: The most bytes of a request, admissions in it, and admissions in a line of the journal.
MAX_BYTES, MAX_ENDED, PER_LINE = 512 * 1024, 5_000, 500
#: The most stops that nginx is told of one by one.
MAX_STOPS = 1_000
#: Seconds between two signs of ticks.
SIGN_SECONDS = 2.0
_ID = re.compile(r"[0-9a-f]{16}\Z")
_VERSION = re.compile(r"[0-9a-f]{16}\Z|-\Z")


def handle(environ: Environ) -> Response:
    """Return the versions of snapshot and groups, and what is stopped, when the ended admissions are on record."""
    if not wire.is_nginx(environ) or not is_on() or environ.get("PATH_INFO") != PATH:
        return _response(404, {})
    if environ["REQUEST_METHOD"] != "POST":
        return _response(405, {})
    tick = _read(environ)
    if tick is None:
        return _response(400, {})
    try:
        _end(tick.ended)
    except OSError as error:  # nginx reports the same admissions again with its next tick
        log.error("the journal cannot be written: errno %s", error.errno)
        return _response(503, {})
    _sign(tick.groups)
    version = holder.version()  # first: what is stopped is then at least as new
    return _response(200, {"version": version, "groups": groups.version or "-", "stops": _stops()})


def _stops() -> str:
    """Return what is stopped, for nginx: kinds and ids. Of very many, all: better too much is cut than too little."""
    snapshot = holder.current()
    stops = snapshot.stops if snapshot is not None else frozenset[tuple[str, int]]()
    if len(stops) > MAX_STOPS:
        stops = frozenset([("all", 0)])
    return ",".join(f"{kind}:{id}" for kind, id in sorted(stops))


@dataclass(frozen=True, slots=True)
class _Tick:
    """The version of the groups that nginx has, and the admissions that ended, each with the calls used of it."""

    groups: str
    ended: list[tuple[str, int]]


def _read(environ: Environ) -> _Tick | None:
    """Return the tick; None if it cannot be read."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or int(length) > MAX_BYTES:
        return None
    try:
        content = orjson.loads(environ["wsgi.input"].read(int(length)))
        ended = [(str(id), int(used)) for id, used in content["ended"]]
        valid = len(ended) <= MAX_ENDED and all(_ID.match(id) and used >= 0 for id, used in ended)
        version = str(content["groups"])
    except (ValueError, TypeError, KeyError, OSError):
        return None
    return _Tick(version, ended) if valid and _VERSION.match(version) else None


def _end(ended: list[tuple[str, int]]) -> None:
    """Record how many calls of ended admissions were used, and give back the others. Raises OSError."""
    for start in range(0, len(ended), PER_LINE):
        part = ended[start : start + PER_LINE]
        segments.write({"t": "used", "at": time.time(), "leases": part})
        quotas.give_back(part)


class _Sign:
    """The last sign of a tick: when it was written (monotonic), and which version it has."""

    at = float("-inf")
    version = ""


def _sign(version: str) -> None:
    """Write a sign of the tick for the health board, every SIGN_SECONDS at most while the version is the same."""
    now = time.monotonic()
    if now - _Sign.at < SIGN_SECONDS and _Sign.version == version:
        return
    _Sign.at, _Sign.version = now, version
    with suppress(OSError):
        lane_folder.write("tick.json", LastTick(time.time(), version))


def _response(status: int, content: dict[str, Any]) -> Response:
    body = orjson.dumps(content)
    return Response(status, body, {"Content-Type": "application/json", "Content-Length": str(len(body))})
