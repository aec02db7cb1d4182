"""What is installed: Python distributions, files of the browser that are in the sources, and images."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from django.conf import settings
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

#: The banner of a bundle: /*! name version, name version; see licences */
_BANNER = re.compile(r"/\*! ([^;*]{1,4000});")
_LICENCES = re.compile(r"^(@?[\w./-]+) ([\w.-]+) \(([\w.+ ()-]+)\)$", re.M)
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_FROM = re.compile(r"^FROM ([\w./-]+):([\w.-]+)", re.M)
_IMAGE = re.compile(r"^\s*image: ([\w./-]+):([\w.-]+)\s*$", re.M)


@dataclass(frozen=True)
class Component:
    """A part of the bus: its ecosystem (PyPI, npm or docker), name and version."""

    ecosystem: str
    name: str
    version: str
    #: What the part says of its licence: an SPDX expression, or words.
    licence: str = ""
    #: SHA-256 of each archive that may be installed, or of the file that contains the part.
    hashes: tuple[str, ...] = ()
    #: The names of the parts of the same ecosystem that it needs.
    needs: tuple[str, ...] = field(default=(), compare=False)

    @property
    def purl(self) -> str:
        """Return the package URL, by which all tools know a part."""
        kind = {"PyPI": "pypi", "npm": "npm", "docker": "docker"}[self.ecosystem]
        return f"pkg:{kind}/{self.name.replace('@', '%40')}@{self.version}"


def components() -> list[Component]:
    """Return all parts, in the order of their ecosystems and names, each once."""
    found = {component.purl: component for component in (*_distributions(), *_bundled(), *_images())}
    return sorted(found.values(), key=lambda each: (each.ecosystem, each.name, each.version))


def _distributions() -> Iterator[Component]:
    """Yield the Python distributions that the bus may import."""
    allowed = _allowed_archives()
    for distribution in metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"] or "")
        if name and name != "mantra":
            version = distribution.version
            yield Component(
                "PyPI", name, version, _licence(distribution), allowed.get((name, version), ()), _needs(distribution)
            )


def _licence(distribution: metadata.Distribution) -> str:
    """Return the licence of a distribution: its expression, else the classifiers', else the first line of its text."""
    about: Any = distribution.metadata  # a message of e-mail's form; the type names fewer methods than it has
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in about.get_all("Classifier") or ()
        if each.count("::") > 1 and "License" in each
    ]
    text = str(about.get("License") or "").strip().split("\n", 1)[0][:100]
    return ", ".join(classifiers) or text


def _needs(distribution: metadata.Distribution) -> tuple[str, ...]:
    names = set()
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names.add(canonicalize_name(requirement.name))
    return tuple(sorted(names))


def _allowed_archives() -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the digests of the archives that the requirements allow, by name and version."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name in ("requirements.txt", "requirements-tracing.txt"):
        key = None
        for line in _text(settings.BASE_DIR / name).splitlines():
            if pinned := _PINNED.match(line):
                key = (str(canonicalize_name(pinned[1])), pinned[2])
                found[key] = ()
            if key and (digest := _HASH.search(line)):
                found[key] += (digest[1],)
    return found


def _bundled() -> Iterator[Component]:
    """Yield the packages of npm in the bundles that are committed."""
    folder = settings.BASE_DIR / "static" / "mantra" / "vendor"
    for bundle in sorted(folder.glob("*.js")):
        content = bundle.read_bytes()
        banner = _BANNER.match(content[:5000].decode(errors="replace"))
        known = {(name, version): licence for name, version, licence in
                 _LICENCES.findall(_text(bundle.with_suffix(".licences.txt")))}  # fmt: skip
        for part in banner[1].split(", ") if banner else ():
            name, _space, version = part.rpartition(" ")
            yield Component(
                "npm", name, version, known.get((name, version), ""), (hashlib.sha256(content).hexdigest(),)
            )


def _images() -> Iterator[Component]:
    """Yield the images that the containers are built from or run, as far as they are another's."""
    files = [settings.BASE_DIR / "Dockerfile", *sorted(settings.BASE_DIR.glob("docker-compose*.yml"))]
    for file in files:
        for name, tag in _FROM.findall(_text(file)) + _IMAGE.findall(_text(file)):
            yield Component("docker", name, tag)


def _text(path: Path) -> str:
    """Return a file's text, "" where it is not installed with the bus."""
    return path.read_text() if path.is_file() else ""
