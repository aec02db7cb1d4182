"""What it costs to count a call: our counters, and prometheus_client's for several processes.

``python -m bench.counting FOLDER`` prints microseconds of CPU for each way. It is a program of its own: the library
reads the folder of its files when it is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

CALLS, ROUNDS = 20_000, 7
NAMES = ("operation_id", "agency", "service", "operation")
LABELS = ("7", "bkn", "simpeg", "pegawai_by_nip")


def cost(count: Callable[[], None]) -> float:
    """Microseconds of CPU of one call, the least of all rounds."""
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            count()
        spent.append(time.process_time() - began)
    return round(min(spent) / CALLS * 1e6, 2)


def ours(folder: str) -> Callable[[], None]:
    from django.conf import settings

    settings.configure(METRICS_DIR=folder)
    from mantra.metrics import calls
    from registry.metrics.counters import Counters
    from registry.results import Rows

    operation = SimpleNamespace(id=7, agency="bkn", service="simpeg", code="pegawai_by_nip")
    call, result = SimpleNamespace(protocol="rest", operation=operation), Rows((), iter(()))
    result.count = 1
    calls.start(Counters())

    def count() -> None:
        calls.begun()
        calls.ended(call, result, 268, False, 200, 1834)  # type: ignore[arg-type]

    return count


def library(folder: str) -> tuple[Callable[[], None], Callable[[], None]]:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    from prometheus_client import Counter, Gauge, Histogram

    from mantra.metrics.calls import BOUNDS

    calls = Counter("calls", "-", (*NAMES, "outcome"))
    duration = Histogram("duration", "-", NAMES, buckets=[each / 1e6 for each in BOUNDS])
    sent, rows = Counter("bytes", "-", NAMES), Counter("rows", "-", NAMES)
    codes, progress = Counter("codes", "-", ("protocol", "code")), Gauge("progress", "-", multiprocess_mode="livesum")
    at_hand = calls.labels(*LABELS, "ok"), duration.labels(*LABELS), sent.labels(*LABELS), rows.labels(*LABELS)
    code = codes.labels("rest", "200")

    def by_labels() -> None:
        progress.inc()
        calls.labels(*LABELS, "ok").inc()
        duration.labels(*LABELS).observe(0.001834)
        sent.labels(*LABELS).inc(268)
        rows.labels(*LABELS).inc()
        codes.labels("rest", "200").inc()
        progress.dec()

    def by_children() -> None:
        progress.inc()
        at_hand[0].inc()
        at_hand[1].observe(0.001834)
        at_hand[2].inc(268)
        at_hand[3].inc()
        code.inc()
        progress.dec()

    return by_labels, by_children


def main(folder: str) -> None:
    by_labels, by_children = library(folder)
    found = {"ours_us": cost(ours(folder)), "library_us": cost(by_labels), "library_children_us": cost(by_children)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
