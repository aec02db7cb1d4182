"""What /metrics responds, in Prometheus's text format.

The library writes the gauges. The samples of operations are written here: there are 22 of each operation, and the
library takes 10 us for a sample, during which calls of the process wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest

from mantra.metrics import calls
from mantra.metrics.families import OPERATION, Exported, of_kind
from registry.metrics.merging import Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (*(f"{each / 1_000_000:g}" for each in calls.BOUNDS), "+Inf")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

#: The text of an operation's labels, and its cells.
_Row = tuple[str, Sequence[int]]


def write(totals: Totals, now: float) -> bytes:
    """Return all metrics at a time in seconds since the epoch."""
    registry = CollectorRegistry()
    registry.register(Exported(totals, now))
    return generate_latest(registry) + "".join(_operations(totals)).encode()


def _operations(totals: Totals) -> Iterator[str]:
    """Yield the samples of operations, a family after the other."""
    rows = [(_labels(values), cells) for values, cells in of_kind(totals, "operation", len(OPERATION))]
    for name, (kind, help, samples) in OPERATION_FAMILIES.items():
        yield f"# HELP {name} {help}\n# TYPE {name} {kind}\n"
        for row in rows:
            yield samples(name, *row)


def _labels(values: Sequence[str]) -> str:
    pairs = zip(OPERATION, values, strict=True)
    return ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in pairs)


def _outcomes(name: str, labels: str, cells: Sequence[int]) -> str:
    return "".join(f'{name}{{{labels},outcome="{outcome}"}} {cells[at]}\n' for at, outcome in enumerate(calls.OUTCOMES))


def _durations(name: str, labels: str, cells: Sequence[int]) -> str:
    """Return the cumulative classes of an operation's durations, their number and their sum."""
    classes = list(accumulate(cells[calls.CLASSES : calls.CLASSES + len(_BOUNDS)]))
    lines = [f'{name}_bucket{{{labels},le="{bound}"}} {count}\n' for bound, count in zip(_BOUNDS, classes, strict=True)]
    seconds = cells[calls.MICROSECONDS] / 1_000_000
    return "".join((*lines, f"{name}_count{{{labels}}} {classes[-1]}\n", f"{name}_sum{{{labels}}} {seconds}\n"))


def _cell(at: int) -> Callable[[str, str, Sequence[int]], str]:
    return lambda name, labels, cells: f"{name}{{{labels}}} {cells[at]}\n"


#: Name → type, meaning, and what writes the samples of an operation.
OPERATION_FAMILIES: dict[str, tuple[str, str, Callable[[str, str, Sequence[int]], str]]] = {
    "mantra_calls_total": ("counter", "Calls that ended, by outcome", _outcomes),
    "mantra_call_duration_seconds": ("histogram", "Duration of calls, to their last byte", _durations),
    "mantra_response_bytes_total": ("counter", "Bytes of responses' bodies", _cell(calls.BYTES)),
    "mantra_rows_total": ("counter", "Rows that were sent or changed", _cell(calls.ROWS)),
}
