"""How many findings of the health board there are, by area and state: certificates have no other metric."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from mantra.health.alarms import ALARMS
from mantra.health.checks import SERVER, certificates, keys
from mantra.health.findings import WORST_FIRST, Finding
from registry.metrics.gauges import Gauge

#: Seconds for which findings are kept: each certificate of a backend is read.
KEPT_SECONDS = 300.0

#: Area → the check. The worker cannot judge the snapshots of others; sources and backends have metrics of their own.
CHECKS: dict[str, Callable[[], list[Finding]]] = {
    **{area: SERVER[area] for area in ALARMS},
    certificates.AREA: lambda: [*certificates.check(), *certificates.check_backends(None)],
    keys.AREA: lambda: keys.check(None),
}


class Findings:
    """The gauges of findings, looked for again after KEPT_SECONDS."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: Counter[tuple[str, str]] = Counter()
        self._due = float("-inf")

    def __call__(self) -> Iterator[Gauge]:
        """Yield the number of findings of each area and state."""
        if self._clock() >= self._due:
            self._found = Counter((area, each.state) for area, check in CHECKS.items() for each in check())
            self._due = self._clock() + KEPT_SECONDS
        for area in CHECKS:
            for state in WORST_FIRST:
                yield "mantra_health_findings", {"area": area, "state": state}, self._found[area, state]
