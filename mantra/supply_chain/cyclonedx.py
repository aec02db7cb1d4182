"""The bill of materials as CycloneDX 1.6 in JSON, which registries of software and scanners read."""

from __future__ import annotations

import re
import tomllib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from mantra.supply_chain.components import Component

#: An identifier of SPDX such as MIT or Apache-2.0. What is longer is an expression, what has other words a name.
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
_WORDS = {"MIT License": "MIT", "Apache Software License": "Apache-2.0", "BSD License": "BSD-3-Clause",
          "ISC License (ISCL)": "ISC", "Python Software Foundation License": "PSF-2.0"}  # fmt: skip


def document(parts: Iterable[Component], at: datetime | None = None) -> dict[str, Any]:
    """Return the document of the bus and its parts."""
    found = list(parts)
    name, version = _bus()
    bus = f"mantra@{version}"
    python = {each.name: each.purl for each in found if each.ecosystem == "PyPI"}
    needs = [
        {"ref": each.purl, "dependsOn": sorted(python[name] for name in each.needs if name in python)}
        for each in found
    ]  # fmt: skip
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": (at or datetime.now(UTC)).isoformat(timespec="seconds"),
            "component": {"type": "application", "bom-ref": bus, "name": name, "version": version},
        },
        "components": [_component(each) for each in found],
        "dependencies": [{"ref": bus, "dependsOn": sorted(each.purl for each in found)}, *needs],
    }


def _bus() -> tuple[str, str]:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return project["name"], project["version"]


def _component(part: Component) -> dict[str, Any]:
    kind = "container" if part.ecosystem == "docker" else "library"
    entry: dict[str, Any] = {
        "type": kind,
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
    }
    if licence := _WORDS.get(part.licence, part.licence):
        single = "(" not in licence and _EXPRESSION.fullmatch(licence) is not None
        entry["licenses"] = [{"expression": licence} if single else {"license": {"name": licence}}]
    if part.ecosystem == "npm":
        # The digest is that of the bundle which contains the package, not of the package.
        entry["properties"] = [{"name": "mantra:bundle-sha256", "value": each} for each in part.hashes]
    elif part.hashes:
        # One of these archives was installed: which one depends on the platform.
        entry["externalReferences"] = [
            {"type": "distribution", "url": f"https://pypi.org/project/{part.name}/{part.version}/",
             "hashes": [{"alg": "SHA-256", "content": digest} for digest in part.hashes]}
        ]  # fmt: skip
    return entry
