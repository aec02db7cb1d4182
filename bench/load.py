"""Load from wrk: kept connections, each call for another person, at saturation."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.bus import KEY, ROWS

CONNECTIONS, SECONDS = 8, 3

_SCRIPT = """
math.randomseed(42)
wrk.headers["AccessKey"] = "%(key)s"
wrk.headers["User-Agent"] = "MANTRA"
%(request)s
%(delay)s
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %%d, "us": %%d, "p50": %%d, "p99": %%d, "errors": %%d, "status": %%d, "timeout": %%d}\\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout, errors.status, errors.timeout))
end
"""

#: Milliseconds between two calls of a connection: whole numbers, whose mean is right.
_DELAY = """
function delay()
    return math.floor(%(mean)f + math.random())
end
"""

_GET = """
function request()
    local number = math.random(1, %(rows)d)
    return wrk.format("GET", string.format("%(path)s", number, number))
end
"""
_POST = """
wrk.headers["Content-Type"] = "text/xml; charset=utf-8"
function request()
    return wrk.format("POST", "%(path)s", nil, string.format([[%(body)s]], math.random(1, %(rows)d)))
end
"""

REST = "/rest/bkn/simpeg/pegawai_by_nip.json?nip=1980%014d"
LEGACY = "/mantra/json/bkn/simpeg/pegawai_by_nip/nip=1980%014d"


@dataclass(frozen=True)
class Load:
    """One spell of load. Times in milliseconds; ``cpu`` is what a call took of the server's, in microseconds."""

    per_second: float
    p50: float
    p99: float
    cpu: float


def load(
    port: int,
    path: str,
    cpu: Callable[[], float],
    seconds: int = SECONDS,
    connections: int = CONNECTIONS,
    key: str = KEY,
    rate: float = 0.0,
    body: str = "",
) -> Load:
    """``path``, or the ``body`` of a POST of XML, may have %d, a number between 1 and ROWS: a path twice, a body once.

    Raises RuntimeError unless every answer was a 2xx.
    ``cpu`` tells how many seconds of CPU the server has used by now. ``rate``: about so many calls per second, where
    the server can do them; 0: as many as it can.
    """
    program = shutil.which("wrk")
    if program is None:
        raise FileNotFoundError("wrk is not installed: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        Path(script.name).write_text(
            _SCRIPT
            % {
                "key": key,
                "request": (_POST if body else _GET) % {"path": path, "rows": ROWS, "body": body},
                "delay": _DELAY % {"mean": 1000 * connections / rate} if rate else "",
            }
        )
        words = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name, f"http://127.0.0.1:{port}/"]
        before = cpu()
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        used = cpu() - before
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["errors"] or not found["requests"]:
        raise RuntimeError(f"the load met errors: {found}")
    return Load(
        found["requests"] / found["us"] * 1_000_000,
        found["p50"] / 1000,
        found["p99"] / 1000,
        used / found["requests"] * 1_000_000,
    )
