"""Whether a process is taking this journal into the history now, and one is probing: the worker's health check.

Exits 0 or 1.
"""

import fcntl
import os
import sys
import time
from pathlib import Path

#: Seconds after which a prober that gave no sign is taken for dead.
SILENCE = 60

# Where nothing else is said, it lies where mantra/settings.py puts it.
var = os.environ.get("MANTRA_VAR_DIR") or Path(__file__).parents[1] / "var"
folder = Path(os.environ.get("MANTRA_JOURNAL_DIR") or Path(var) / "journal")
with (folder / "ship.lock").open() as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        sys.exit("no process ships the journal")
    except BlockingIOError:
        pass
sign = folder / "probes.alive"
if not sign.exists() or time.time() - sign.stat().st_mtime > SILENCE:
    sys.exit("no process probes the upstreams")
