"""Real servers in place of our own responders, named by environment variables."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: By engine: the variable that names its server.
VARIABLES = {"sqlserver": "MANTRA_TEST_SQLSERVER", "sybase": "MANTRA_TEST_SYBASE", "oracle": "MANTRA_TEST_ORACLE"}

_TDS = "host:port/database?user=…&password=…&encryption=…"
_SHAPES = {"sqlserver": _TDS, "sybase": _TDS, "oracle": "user/password@host:port/service"}


def source(engine: str) -> dict[str, Any] | None:
    """The settings of the real server that the environment names; None where it names none.

    Raises ValueError for a value that is not as documented: the tests must not run against something else then.
    """
    value = os.environ.get(VARIABLES[engine], "")
    if not value:
        return None
    found = _oracle(value) if engine == "oracle" else _tds(value)
    if found is None:
        raise ValueError(f"{VARIABLES[engine]} must be {_SHAPES[engine]}")
    return {"engine": engine, **found}


def _tds(value: str) -> dict[str, Any] | None:
    parts = urlsplit(f"//{value}")
    more = dict(parse_qsl(parts.query))
    place = {"host": parts.hostname, "port": parts.port, "database": parts.path.strip("/")}
    return {**place, **more} if all(place.values()) and more.get("user") else None


def _oracle(value: str) -> dict[str, Any] | None:
    found = re.fullmatch(r"([^/]+)/(.+)@([^:/]+):(\d+)/(.+)", value)
    if found is None:
        return None
    user, password, host, port, service = found.groups()
    return {"host": host, "port": int(port), "service_name": service, "user": user, "password": password}


def check_names() -> None:
    """Raise ValueError for a variable that no test reads: a mistyped one would have no effect."""
    unknown = {name for name in os.environ if name.startswith("MANTRA_TEST_")} - set(VARIABLES.values())
    if unknown:
        raise ValueError(f"no test reads {', '.join(sorted(unknown))}; there are {', '.join(VARIABLES.values())}")
