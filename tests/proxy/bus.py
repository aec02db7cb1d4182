"""A running bus with proxy operations of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.servers.bus import Bus


def bus(folder: Path, operations: list[dict[str, Any]], **environment: str) -> Bus:
    """A bus with these operations of the service prov/data, and an application that may call them. Use it by ``with``.

    An operation is one of a bundle, but that its parameters are names.
    """
    made = [
        {"kind": "proxy", "state": "published", "access": "restricted"}
        | {**each, "parameters": [{"name": name} for name in each.get("parameters", ())]}
        for each in operations
    ]
    bundle = {
        "agencies": [{"code": "prov", "name": "Penyedia"}],
        "services": [{"agency": "prov", "code": "data", "title": "Data", "operations": made}],
        "applications": [
            {
                "agency": "prov",
                "code": "app",
                "title": "Aplikasi",
                "grants": [{"operation": f"prov/data/{each['code']}", "purpose": "uji"} for each in made],
            }
        ],
    }
    return Bus(folder, bundle, application="prov/app", **environment)
