"""The reading process: a task as JSON on standard input, its result as JSON on standard output.

A task to list rows has a result of many lines: the header first, the rows, and a line that says how it ended.

Its memory, its time and the size of what it writes are limited: a file that needs more ends this process, and no
other.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataservices.tabular.building import build
from dataservices.tabular.inspection import inspect
from dataservices.tabular.listing import list_rows
from dataservices.tabular.shapes import Bounds, ColumnWanted, Layout, Refused


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do a task of uploads/process.py: inspect a file, or build a table from it. Raises Refused."""
    path, sheet = Path(task["path"]), task["sheet"]
    layout, bounds = Layout(**task["layout"]), Bounds(**task["bounds"])
    if task.get("list"):
        return {"rows": list_rows(path, sheet, layout, bounds, sys.stdout)}
    if "target" not in task:
        return asdict(inspect(path, sheet, layout, bounds))
    columns = [ColumnWanted(**each) for each in task["columns"]]
    return {"rows": build(path, Path(task["target"]), sheet, layout, columns, bounds)}


def limit(memory: int, seconds: int, written: int) -> None:
    """Limit this process to bytes of memory, seconds of computing, and bytes of a file that it writes."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    # The first ends the process by a signal that says why, the second by SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def main() -> None:
    task = json.load(sys.stdin)
    limit(**task.pop("limits"))
    try:
        result = run(task)
    except Refused as refused:
        result = {"refused": refused.code, "details": refused.details}
    except MemoryError:
        result = {"refused": "memory", "details": {}}
    except (sqlite3.Error, OSError):
        result = {"refused": "folder", "details": {}}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
