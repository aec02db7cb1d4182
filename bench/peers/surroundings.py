"""Where the figures come from: the machine, its load, the versions of everything, and what we have used of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.bus import cpu_seconds
from tests.servers.bus import children
from tests.servers.nginx import with_njs
from tests.servers.postgresql import FOLDERS
from tests.servers.process import find_binary


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def cpu() -> float:
    """Seconds of CPU that everything we have started has used by now, and is still there: servers and databases."""
    used = 0.0
    for pid in family(os.getpid())[1:]:
        with suppress(FileNotFoundError, ProcessLookupError):
            used += cpu_seconds(pid)
    return used


def machine() -> dict[str, Any]:
    """What the figures depend on and no ratio shows."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / 1024**2, 1) if memory else None,
        "kernel": platform.release(),
    }


def load_average() -> list[float]:
    return [round(each, 2) for each in os.getloadavg()]


def version_of(*command: str) -> str:
    """The first number with dots in what a program says of itself; ``?`` where it is not there."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return "?"
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else "?"


def versions() -> dict[str, str]:
    """Of the programs that the measurements stand on; stacks.packages() has the peers' packages."""
    postgresql = next((each for each in FOLDERS if Path(each, "postgres").exists()), "")
    return {
        "python": platform.python_version(),
        "gunicorn": version("gunicorn"),
        "postgresql": version_of(str(Path(postgresql, "postgres")), "--version"),
        "nginx": version_of(find_binary("nginx"), "-v"),
        "nginx before the bus": version_of(with_njs(), "-v"),
        "wrk": version_of("wrk", "-v"),
    }
