"""The folder that nginx, the web processes and the worker share for the fast lane, and the signs of life in it.

======================  ======================  ==================================================================
what                    who writes it           what it is
======================  ======================  ==================================================================
log/NAME.calls          nginx                   a line for each call that it took over the fast lane
upstreams.conf          a web process           the upstream groups, for nginx
upstreams.json          a web process           the same, with the versions before, for the other web processes
tick.json               a web process           when nginx's last tick came, and the version of the groups that it has
collected.json          the worker              up to when the calls were collected, and what is left
======================  ======================  ==================================================================
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson
from django.conf import settings

#: The ends of the names of files of calls: while nginx writes them, and before they are removed.
CALLS, CLOSING = ".calls", ".closing"
#: Seconds after which the worker's sign no longer counts, and bytes that may wait for it: then nginx takes no calls.
SILENT, MOST_BYTES = 60.0, 64 * 1024 * 1024
#: Seconds for which calls go into the same file.
PERIOD = 240


@dataclass(frozen=True, slots=True)
class Collected:
    """What the worker has collected: all lines from before ``upto``. ``left``: bytes that wait for it.

    Times are in seconds since the epoch. ``last_call``: when the last call of the fast lane ended; None without one.
    """

    upto: float
    left: int
    last_call: float | None = None

    def is_behind(self, now: float) -> bool:
        """Return True if no more calls may be written until they are collected."""
        return now - self.upto > SILENT or self.left > MOST_BYTES


@dataclass(frozen=True, slots=True)
class LastTick:
    """When nginx's last tick came, and which version of the groups it has loaded."""

    at: float
    groups: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """The version of the upstream groups that nginx should load, and since when."""

    at: float
    version: str


def rendered() -> Rendered | None:
    """Return which groups were rendered last, None if none were."""
    path = Path(settings.FAST_LANE_DIR) / "upstreams.json"
    with suppress(OSError, ValueError, KeyError):
        return Rendered(path.stat().st_mtime, orjson.loads(path.read_bytes())["version"])
    return None


def log_folder() -> Path:
    """Return the folder of the files of calls."""
    return Path(settings.FAST_LANE_DIR) / "log"


def log_name(now: float) -> str:
    """Return the name of the file for calls that begin at a time: that of its period's beginning."""
    return str(int(now // PERIOD) * PERIOD)


def collected() -> Collected | None:
    """Return the sign of the worker, None if it never gave one."""
    return _read("collected.json", Collected)


def last_tick() -> LastTick | None:
    """Return nginx's last tick, None if there was none."""
    return _read("tick.json", LastTick)


def write(name: str, sign: Collected | LastTick) -> None:
    """Write a sign. Raises OSError."""
    replace(Path(settings.FAST_LANE_DIR) / name, orjson.dumps(sign))


def replace(path: Path, content: bytes) -> None:
    """Replace a file's content, so that readers see the old or the new one. Raises OSError."""
    new = path.with_name(f".{path.stem}.{time.time_ns()}.new")
    new.write_bytes(content)
    new.replace(path)


Sign = TypeVar("Sign", Collected, LastTick)


def _read(name: str, kind: type[Sign]) -> Sign | None:
    with suppress(OSError, ValueError, TypeError):  # none, or of another version
        return kind(**orjson.loads((Path(settings.FAST_LANE_DIR) / name).read_bytes()))
    return None
