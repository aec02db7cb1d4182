"""Whether a process is taking this journal into the history now: the worker's health check. Exits 0 or 1."""

import fcntl
import os
import sys
from pathlib import Path

folder = Path(os.environ.get("MANTRA_JOURNAL_DIR") or Path(os.environ["MANTRA_VAR_DIR"]) / "journal")
with (folder / "ship.lock").open() as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)
sys.exit("nobody takes the journal in")
