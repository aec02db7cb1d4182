"""Processes of this machine."""

from __future__ import annotations

import os
import socket


def this_process() -> str:
    """Return the name by which other processes of the installation know this one: host:pid."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}"


def pid_alive(pid: int) -> bool:
    """Return True if this machine has a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
