"""Counts calls from the journal's files alone, with nothing of the bus: what roll-ups have to agree with.

``python tests/count_journal.py FOLDER ZONE`` prints them by day, hour, operation, application, protocol and outcome.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

Key = tuple[str, int, int, str, str, int]


def count(folder: Path, zone: str) -> dict[Key, tuple[int, int, int]]:
    """Return calls, rows and bytes by day, hour, operation's id, application, protocol and outcome."""
    begins: dict[str, dict] = {}  # type: ignore[type-arg]
    ends: dict[str, dict] = {}  # type: ignore[type-arg]
    leases: dict[str, dict] = {}  # type: ignore[type-arg]
    lane: dict[str, tuple[str, list]] = {}  # type: ignore[type-arg]
    for path in folder.glob("*.journal"):
        for text in path.read_text().splitlines():
            facts, content, *_ = text.split("\t")
            line = json.loads(facts) | json.loads(content or "{}")
            if line["t"] in ("begin", "end"):
                (begins if line["t"] == "begin" else ends)[line["id"]] = line
            elif line["t"] == "lease":
                leases[line["id"]] = line
            elif line["t"] == "calls":
                lane |= {call[0]: (lease, call) for lease, several in line["calls"].items() for call in several}
    for id, (lease, (_id, at, status, size, us, how)) in lane.items():
        common = {name: value for name, value in leases.get(lease, {}).items() if name not in ("t", "id", "at", "n")}
        begins[id] = {"protocol": "rest", **common, "at": at}
        ends[id] = {**common, "code": 11221 if how == 2 else 200, "status": status, "bytes": size, "us": us}
    calls: Counter[Key] = Counter()
    rows: Counter[Key] = Counter()
    sizes: Counter[Key] = Counter()
    for id, begin in begins.items():
        if id not in ends or begin["protocol"] not in ("rest", "soap", "legacy"):
            continue
        end = ends[id]
        moment = datetime.fromtimestamp(begin["at"], ZoneInfo(zone))
        operation = begin["op"][3] or 0 if "op" in begin else 0
        application = "/".join(end["by"][:2]) if "by" in end else "/"
        key = f"{moment:%Y-%m-%d}", moment.hour, operation, application, begin["protocol"], end["code"]
        calls[key] += 1
        rows[key] += end.get("rows") or 0
        sizes[key] += end["bytes"]
    return {key: (calls[key], rows[key], sizes[key]) for key in calls}


if __name__ == "__main__":
    for key, values in sorted(count(Path(sys.argv[1]), sys.argv[2]).items()):
        print(*key, *values)
