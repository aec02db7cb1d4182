"""Starts and ends the processes that scan a table while it has no copy yet."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Collection
from dataclasses import asdict

from adapters.dbf import copy_manager, scan, table_copy
from adapters.dbf.copy_manager import CopyJob
from adapters.dbf.scan_plan import ScanPlan
from adapters.dbf.table_copy import TableCopy
from adapters.dbf.tables import Table

log = logging.getLogger("mantra.adapters")

#: Scans that this process waits for at a time. Further calls wait for the copy.
MAX_SCANS = 2
_slots = threading.BoundedSemaphore(MAX_SCANS)

#: Seconds between two looks at whether the copy is complete.
_INTERVAL = 0.05


def _forget() -> None:
    """Start anew in a forked child: the scans are the parent's."""
    global _slots
    _slots = threading.BoundedSemaphore(MAX_SCANS)


os.register_at_fork(after_in_child=_forget)


def scanned(table: Table, plan: ScanPlan, indices: Collection[str], job: CopyJob, deadline: float) -> TableCopy | None:
    """Return the records that the plan's statement needs; None if the copy must answer it.

    ``job`` is the reading of the copy: if it ends first, the scan is ended.
    """
    slots = _slots
    if job.done.is_set() or not slots.acquire(blocking=False):
        return None
    try:
        content = _scan(table, plan, indices, job, deadline)
    finally:
        slots.release()
    return table_copy.scanned(table.cache, content) if content else None


def _scan(table: Table, plan: ScanPlan, indices: Collection[str], job: CopyJob, deadline: float) -> bytes:
    """Return the output of a scanning process; nothing if it has none."""
    try:
        with copy_manager.start_process(subprocess.PIPE) as process:
            try:
                content = _output(process, task(table, plan, indices, deadline), job, deadline)
            finally:
                process.kill()
    except OSError:
        return b""
    if process.returncode not in (0, scan.GAVE_UP) and content is not None:
        log.error("the process that scans the table %s failed", table.name)
    return content or b"" if process.returncode == 0 else b""


def task(table: Table, plan: ScanPlan, indices: Collection[str], deadline: float) -> bytes:
    """Return the task of a scanning process."""
    return copy_manager.task_of(
        table,
        columns=sorted(plan.columns),
        comparisons=[asdict(each) for each in plan.comparisons],
        indices=sorted(indices),
        seconds=deadline - time.monotonic(),
    )


def _output(process: subprocess.Popen[bytes], request: bytes, job: CopyJob, deadline: float) -> bytes | None:
    """Return what the process writes; None if the copy is complete first, or at the deadline."""
    unsent: bytes | None = request
    while not job.done.is_set() and time.monotonic() < deadline:
        try:
            return process.communicate(unsent, timeout=_INTERVAL)[0]
        except subprocess.TimeoutExpired:
            unsent = None
    return None
