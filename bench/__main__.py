"""bench/run [NAME…]: prints one JSON object for each measurement; ends with 1 when a target was missed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bench import calls, dbase, egress, engines, proxy, reconciliation, snapshot, soap, streams, verification
from bench.bus import Bench, bench
from bench.peers import measurement

MEASUREMENTS: dict[str, Callable[[Bench], Iterator[dict[str, Any]]]] = {
    "one-row": calls.one_row,
    "legacy": calls.legacy,
    "verification": verification.verification,
    "journal": calls.journal,
    "metrics": calls.metrics,
    "stream-json": streams.stream_json,
    "stream-csv": streams.stream_csv,
    "stream-xml": streams.stream_xml,
    "stream-php": streams.stream_php,
    "dbase": dbase.dbase,
    "engines": engines.engines,
    "proxy": proxy.proxy,
    "proxy-composed": proxy.composed_only,
    "peers": measurement.peers,
    "soap": soap.soap,
    "egress": egress.egress,
    "snapshot": snapshot.snapshot,
    "reconciliation": reconciliation.reconciliation,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"No such measurement: {', '.join(unknown)}. There are {', '.join(MEASUREMENTS)}.", file=sys.stderr)
        return 2
    missed = False
    with bench() as made:
        for name in names or MEASUREMENTS:
            for line in MEASUREMENTS[name](made):
                missed |= line["ok"] is False
                print(json.dumps({**line, "cores": os.cpu_count()}), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
