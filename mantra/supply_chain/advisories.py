"""Advisories in the format of OSV (https://ossf.github.io/osv-schema/): which of them concern what is installed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mantra.supply_chain.components import Component

#: The database of all advisories for PyPI and npm.
DATABASE = "https://api.osv.dev/v1"
#: The most bytes of an answer of the database, of a file of advisories, and of one advisory in an archive.
MAX_ANSWER, MAX_FILE, MAX_ADVISORY = 16 * 2**20, 512 * 2**20, 4 * 2**20
#: The most advisories that are asked for one by one, and the packages of one question.
MAX_FOUND, BATCH = 500, 500
SECONDS = 20.0


class NotCheckedError(Exception):
    """The advisories could not be read. The text says why."""


@dataclass(frozen=True, order=True)
class Finding:
    """An advisory that concerns a part."""

    name: str
    version: str
    advisory: str
    aliases: tuple[str, ...]
    fixed_in: tuple[str, ...]
    summary: str


def from_file(path: Path, parts: Iterable[Component]) -> list[Finding]:
    """Return the findings of a file: one advisory, a list of them, or an archive of OSV. Raises NotCheckedError."""
    by_name = _by_name(parts)
    findings = set()
    for advisory in _read(path):
        findings |= set(_concerns(advisory, by_name))
    return sorted(findings)


def from_database(parts: Iterable[Component], url: str = DATABASE) -> list[Finding]:
    """Return the findings of the database of OSV. Raises NotCheckedError if it cannot be reached."""
    found = [part for part in parts if part.ecosystem in ("PyPI", "npm")]
    names: set[str] = set()
    for start in range(0, len(found), BATCH):
        queries = [{"package": {"purl": part.purl}} for part in found[start : start + BATCH]]
        answer = _ask(f"{url}/querybatch", {"queries": queries})
        for result in answer.get("results") or ():
            names |= {str(each.get("id")) for each in (result or {}).get("vulns") or ()}
    if len(names) > MAX_FOUND:
        raise NotCheckedError(f"The database names {len(names)} advisories, more than {MAX_FOUND}.")
    by_name = _by_name(found)
    return sorted({finding for name in sorted(names) for finding in _concerns(_ask(f"{url}/vulns/{name}"), by_name)})


# ------------------------------------------------------------------------------------------------ reading


def _ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 (https, of our own)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
            content = response.read(MAX_ANSWER + 1)
        if len(content) > MAX_ANSWER:
            raise NotCheckedError(f"The answer of {url} is larger than {MAX_ANSWER} bytes.")
        answer = json.loads(content)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise NotCheckedError(f"{url} does not answer: {type(error).__name__}.") from None
    if not isinstance(answer, dict):
        raise NotCheckedError(f"{url} answers with no object.")
    return answer


def _read(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise NotCheckedError(f"{path} is larger than {MAX_FILE} bytes.")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if entry.filename.endswith(".json") and entry.file_size <= MAX_ADVISORY:
                        yield from _advisories(json.loads(archive.read(entry)))
        else:
            yield from _advisories(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise NotCheckedError(f"{path} cannot be read: {type(error).__name__}.") from None


def _advisories(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the advisories of a document: the answers of the database have them under ``vulns``."""
    if isinstance(content, dict) and "vulns" in content:
        content = content["vulns"]
    for each in content if isinstance(content, list) else [content]:
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            raise ValueError("no advisory")
        yield each


# ------------------------------------------------------------------------------------------------ comparing


def _by_name(parts: Iterable[Component]) -> dict[tuple[str, str], list[Component]]:
    found: dict[tuple[str, str], list[Component]] = {}
    for part in parts:
        found.setdefault((part.ecosystem, part.name), []).append(part)
    return found


def _concerns(advisory: dict[str, Any], by_name: dict[tuple[str, str], list[Component]]) -> Iterator[Finding]:
    """Yield what an advisory says of our parts. One that was withdrawn says nothing."""
    if advisory.get("withdrawn"):
        return
    for affected in advisory.get("affected") or ():
        package = affected.get("package") or {}
        ecosystem, name = str(package.get("ecosystem", "")), str(package.get("name", ""))
        if ecosystem == "PyPI":
            name = canonicalize_name(name)
        for part in by_name.get((ecosystem, name), ()):
            if _is_affected(part.version, affected):
                yield Finding(
                    part.name, part.version, advisory["id"], tuple(map(str, advisory.get("aliases") or ())),
                    tuple(sorted(_fixes(affected))), str(advisory.get("summary") or "")[:200],
                )  # fmt: skip


def _is_affected(version: str, affected: dict[str, Any]) -> bool:
    """Return True if a version is listed or within a range. A version that nobody can compare counts as affected."""
    if version in (affected.get("versions") or ()):
        return True
    ranges = [each for each in affected.get("ranges") or () if each.get("type") in ("ECOSYSTEM", "SEMVER")]
    try:
        own = Version(version)
        return any(_is_within(own, each.get("events") or ()) for each in ranges)
    except InvalidVersion:
        return bool(ranges)


def _is_within(own: Version, events: Iterable[dict[str, str]]) -> bool:
    """Return True if the last event at or before a version is the beginning of a weakness."""
    within = False
    moments = [(Version("0") if at == "0" else Version(at), kind) for event in events for kind, at in event.items()]
    for at, kind in sorted(moments):
        if kind == "introduced" and own >= at:
            within = True
        elif (kind == "fixed" and own >= at) or (kind == "last_affected" and own > at):
            within = False
    return within


def _fixes(affected: dict[str, Any]) -> set[str]:
    events = [event for each in affected.get("ranges") or () if each.get("type") != "GIT" for event in each["events"]]
    return {event["fixed"] for event in events if "fixed" in event}
