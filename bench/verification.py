"""A verification of one person against the call that returns that person's row, in one bus, in turns."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from bench.bus import KEY, VERIFY_KEY, Bench, Gunicorn
from bench.calls import alternate, answers, line_of
from bench.load import REST, load

#: The NIP and the name of a person, who is another one with each call: all of it agrees.
VERIFY = "/rest/bkn/simpeg/cek_pegawai.json?nip=1980%014d&nama=Pegawai+%d"
TARGET = 0.8


def _agrees(served: Gunicorn) -> int:
    """Return the size of a response, in bytes, of which the name agrees. Raises RuntimeError."""
    address = f"http://127.0.0.1:{served.port}{VERIFY % (11, 11)}"
    request = urllib.request.Request(address, headers={"AccessKey": VERIFY_KEY})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as reply:
        body: bytes = reply.read()
    if json.loads(body)["data"][0]["sesuai"] is not True:
        raise RuntimeError(f"not the answer: {body[:300]!r}")
    return len(body)


def verification(bench: Bench) -> Iterator[dict[str, Any]]:
    """A verification that agrees, over the operation of one-row, against that operation itself."""
    with bench.gunicorn() as bus:
        answers(bus, REST)
        size = _agrees(bus)

        def cpu() -> float:
            return bus.cpu() + bench.cpu()

        spells = {
            "verification": lambda: load(bus.port, VERIFY, cpu, key=VERIFY_KEY),
            "row": lambda: load(bus.port, REST, cpu, key=KEY),
        }
        found = alternate(spells)
    yield line_of("verification", TARGET, found, "verification", "row", body_bytes=size)
