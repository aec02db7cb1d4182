"""What a one-row call costs in one process, without a server or contention, in this checkout and in others, in turns.

    python -m bench.call_cost [CHECKOUT …]

Each checkout has a process and a registry of its own, made by its own code; other work of the machine falls on all of
them alike. Prints a JSON object for each: microseconds of CPU (the least, and the median), the median ratio to this
checkout, and the functions that a call calls.
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Rounds, calls of a round, and calls before the first one: the interpreter specialises what runs often.
ROUNDS, CALLS, WARMING = 400, 25, 2_000


def serve(folder: Path) -> None:
    """Make a registry, and answer each line of the standard input with the cost of a round."""
    from bench.bus import bench

    with bench() as made:
        (made.folder / "journal").mkdir(exist_ok=True)
        environment = {**made.environment, "MANTRA_JOURNAL_DIR": str(made.folder / "journal")}
        words = [sys.executable, __file__, "call"]
        subprocess.run(words, env={**environment, "PYTHONPATH": str(folder)}, cwd=folder, check=True)


def call() -> None:
    """Call the WSGI application of the folder in which this process runs."""
    from bench.bare import NIP
    from bench.bus import KEY, ROWS
    from bench.load import REST
    from mantra.wsgi import application
    from registry.snapshot import holder

    holder.refresh()
    address, pick = (REST % 1).partition("?")[0], random.Random(42)

    def once() -> None:
        number = pick.randint(1, ROWS)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET", "PATH_INFO": address, "QUERY_STRING": f"nip={NIP % number}",
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1", "HTTP_ACCESSKEY": KEY, "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
        }  # fmt: skip
        body = b"".join(application(environ, lambda _status, _headers: None))
        if b"Pegawai %d" % number not in body:
            raise RuntimeError(f"not the answer: {body[:300]!r}")

    for _ in range(WARMING):
        once()
    functions = _functions(once)
    print(json.dumps({"functions": functions}), flush=True)
    for _line in sys.stdin:
        began = time.process_time()
        for _ in range(CALLS):
            once()
        print(json.dumps({"us": (time.process_time() - began) / CALLS * 1e6}), flush=True)


def _functions(once: Any) -> int:
    """Return how many functions a call calls: the least of some, as now and then a call does more."""
    found = []
    for _ in range(40):
        counted = 0

        def count(_frame: Any, event: str, _argument: Any) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        sys.setprofile(count)
        once()
        sys.setprofile(None)
        found.append(counted)
    return min(found)


class Checkout:
    """A process that makes calls of a checkout."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        words = [sys.executable, __file__, "serve", str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        self._process = stack.enter_context(
            subprocess.Popen(
                words, cwd=folder, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        stack.callback(self._process.stdin.close)  # type: ignore[union-attr]
        self.costs: list[float] = []

    def read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def round(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.costs.append(self.read()["us"])


def main(folders: list[str]) -> None:
    with ExitStack() as stack:
        checkouts = [Checkout(Path(folder).resolve(), stack) for folder in [str(ROOT), *folders]]
        functions = [checkout.read()["functions"] for checkout in checkouts]
        for number in range(ROUNDS):
            for checkout in checkouts if number % 2 == 0 else reversed(checkouts):
                checkout.round()
    for checkout, count in zip(checkouts, functions, strict=True):
        ratio = median(own / ours for own, ours in zip(checkout.costs, checkouts[0].costs, strict=True))
        line = {
            "bench": "call-cost", "checkout": str(checkout.folder), "value": round(min(checkout.costs)),
            "unit": "us CPU a call", "median_us": round(median(checkout.costs)), "ratio": round(ratio, 3),
            "functions": count, "load": os.getloadavg()[0],
        }  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder]:
            serve(Path(folder))
        case ["call"]:
            call()
        case folders:
            main(folders)
