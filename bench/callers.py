"""What callers and their limits add to a one-row call, in one process, in turns: ``python -m bench.callers [ROUNDS]``.

The same operation is called with an access key, with a signed request, with a signature wanted of the response, and
under quotas of calls, of rows and of persons: once with stores of this process and its disk, once with a Redis.
Prints a JSON object for each: microseconds of CPU (the least round, and the median), and the median of what each round
took more than that with the key in the same turn.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Rounds, calls of a round, and calls before the first one: the interpreter specialises what runs often.
ROUNDS, CALLS, WARMING = 400, 25, 1_000
#: Ways to call → what the grant has. All are far above what is called.
LIMITS = {
    "key": {},
    "quota": {"quota": "100000000/day"},
    "quota of rows": {"row_limit": "100000000/day"},
    "quota of persons": {"subject_limit": "100000/minute"},
}
SIGNED, SIGNED_RESPONSE = "signed request", "signed response"
#: The plain way once more: how much the same differs from itself.
AGAIN = "key, again"
OPERATION = "bkn/simpeg/pegawai_by_nip"


def _bundle() -> dict[str, Any]:
    """Return an application for each way, with a key that opens the operation."""
    return {
        "applications": [
            {
                "agency": "dukcapil", "code": f"cara-{number}", "title": way,
                "keys": [{"legacy": _key(number), "operation": OPERATION}],
                "grants": [{"operation": OPERATION, "purpose": "bench", **limits}],
            }
            for number, (way, limits) in enumerate(LIMITS.items())
        ]
    }  # fmt: skip


def _key(number: int) -> str:
    return f"cara{number:06}"


def main(rounds: int) -> None:
    from bench.bus import bench, manage
    from tests.servers.redis import RedisServer

    with bench() as made, RedisServer() as redis:
        (made.folder / "journal").mkdir(exist_ok=True)
        (made.folder / "callers.json").write_text(json.dumps(_bundle()))
        made.environment["MANTRA_JOURNAL_DIR"] = str(made.folder / "journal")
        manage(made.environment, "apply_definitions", str(made.folder / "callers.json"), "--reason", "measurement")
        for store, more in (("process", {}), ("redis", {"MANTRA_QUOTA_STORE": redis.url})):
            words = [sys.executable, "-m", "bench.callers", "call", store, str(rounds)]
            subprocess.run(words, cwd=ROOT, env={**made.environment, **more}, check=True)


def call(store: str, rounds: int) -> None:
    """Make the calls, in turns, and print what they cost."""
    from mantra.wsgi import application  # sets Django up
    from registry.models import AccessKey, Application
    from registry.snapshot import holder

    first = Application.objects.get(agency__code="dukcapil", code="cara-0")
    _row, secret = AccessKey.issue(first, kind=AccessKey.Kind.SIGNING)
    holder.refresh()
    headers: dict[str, Headers] = {way: _with_key(number) for number, way in enumerate(LIMITS)}
    headers[AGAIN] = headers["key"]
    headers[SIGNED] = lambda query: _signed(secret, query)
    headers[SIGNED_RESPONSE] = lambda query: headers["key"](query) | {"HTTP_ACCEPT_SIGNATURE": "bus=()"}
    for made in headers.values():
        _round(application, made, WARMING)
    costs: dict[str, list[float]] = {way: [] for way in headers}
    order, turn = list(headers), random.Random(1)
    for _ in range(rounds):
        turn.shuffle(order)
        for way in order:
            costs[way].append(_round(application, headers[way], CALLS))
    for way, found in costs.items():
        more = median(own - plain for own, plain in zip(found, costs["key"], strict=True))
        line = {
            "bench": f"callers-{store}", "way": way, "value": round(min(found)), "unit": "us CPU a call",
            "median_us": round(median(found)), "more_us": round(more, 1), "load": round(os.getloadavg()[0], 1),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


#: A request's query → its headers, as WSGI has them.
Headers = Callable[[str], dict[str, str]]
PATH, PICK, NONCES = "/rest/bkn/simpeg/pegawai_by_nip.json", random.Random(42), count(1)


def _with_key(number: int) -> Headers:
    return lambda _query: {"HTTP_ACCESSKEY": _key(number)}


def _signed(secret: str, query: str) -> dict[str, str]:
    """Return the headers of a signed request (RFC 9421)."""
    components = '("@method" "@path" "@query")'
    parameters = f'{components};created={int(time.time())};nonce="bench-{next(NONCES):09}";keyid="{secret[:12]}"'
    base = f'"@method": GET\n"@path": {PATH}\n"@query": ?{query}\n"@signature-params": {parameters}'
    value = base64.b64encode(hmac.digest(secret.encode(), base.encode(), hashlib.sha256)).decode()
    return {"HTTP_SIGNATURE_INPUT": f"sig1={parameters}", "HTTP_SIGNATURE": f"sig1=:{value}:"}


def _round(application: Any, headers: Headers, calls: int) -> float:
    """Return what a call takes: microseconds of CPU, without those of the caller. Each is for a row by chance."""
    from bench.bus import ROWS

    requests = []
    for _ in range(calls):
        number = PICK.randint(1, ROWS)
        query = f"nip=1980{number:014}"
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET", "PATH_INFO": PATH, "QUERY_STRING": query, "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http", **headers(query),
        }  # fmt: skip
        requests.append((environ, b"Pegawai %d" % number))
    got: list[str] = []

    def start(_status: str, fields: list[tuple[str, str]]) -> None:
        got.extend([name for name, _value in fields])

    began = time.process_time()
    for environ, wanted in requests:
        body = b"".join(application(environ, start))
        if wanted not in body:
            raise RuntimeError(f"not the answer: {body[:300]!r}")
    spent = time.process_time() - began
    if "HTTP_ACCEPT_SIGNATURE" in environ and got.count("Signature") != calls:
        raise RuntimeError("a response is not signed")
    return spent / calls * 1e6


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["call", store, rounds]:
            call(store, int(rounds))
        case given:
            main(int(given[0]) if given else ROUNDS)
