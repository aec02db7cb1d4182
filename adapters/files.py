"""Sources that are files: the paths that their settings may name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.base import ConnectFailed


def locate(source: Mapping[str, Any], any_case: bool = False) -> Path:
    """Return the real path of a source's ``database``, which need not exist.

    A relative one starts at the first of the source's ``roots``. ``any_case`` finds a file with a name that differs
    only in its case. Raises ConnectFailed unless the path is below one of the roots.
    """
    roots = real_roots(source)
    named = Path(source.get("database") or "")
    whole = roots[0] / named if roots else named
    try:
        path = Path(os.path.realpath(whole))
        if any_case and not path.exists() and roots:
            path = Path(os.path.realpath(_in_any_case(whole, roots[0])))
    except ValueError:  # a NUL in the name
        raise ConnectFailed("file-missing") from None
    if not below(path, roots):
        raise ConnectFailed("file-forbidden")
    return path


def real_roots(source: Mapping[str, Any]) -> list[Path]:
    """Return the source's roots as real paths."""
    return [Path(os.path.realpath(root)) for root in source.get("roots") or ()]


def below(path: Path, roots: list[Path]) -> bool:
    """Return True if a real path is below one of the folders, themselves real paths."""
    return any(root in path.parents for root in roots)


def _in_any_case(path: Path, root: Path) -> Path:
    """Return the path with each part below ``root`` in the case of the file system; unchanged if none matches."""
    if root not in path.parents:
        return path
    result = root
    for part in path.relative_to(root).parts:
        result = result / (part if part == ".." or (result / part).exists() else _entry(result, part))
    return result


def _entry(folder: Path, name: str) -> str:
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return name
    return next((entry for entry in entries if entry.casefold() == name.casefold()), name)
