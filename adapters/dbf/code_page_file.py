"""The .cpg file beside a table: the code page of its texts, as the programs that write shapefiles name it.

It comes before the byte in the table's header, which most of these programs leave at 0 or at "ANSI".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from adapters.dbf.header import Refused, known_encoding

#: The longest name that is read: "ANSI 1252" and the like.
_MOST_BYTES = 64
_NUMBER = re.compile(r"(?:ANSI|OEM|CP|MS|IBM|WINDOWS)?[ _-]*([0-9]{3,5})", re.I | re.ASCII)
_ISO_8859 = re.compile(r"(?:ISO)?[ _-]*8859[ _-]?([0-9]{1,2})", re.I | re.ASCII)


def find(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the .cpg files among the names in a folder, by the name of their table."""
    return {name[:-4].lower(): folder / name for name in sorted(names) if name.lower().endswith(".cpg")}


def read(path: Path | None) -> str:
    """Return the code page that a file names; "" without a file, or where it cannot be read.

    Raises Refused for a name that is unknown, and for a link to another folder.
    """
    if path is None:
        return ""
    if Path(os.path.realpath(path)).parent != Path(os.path.realpath(path.parent)):
        raise Refused("a link to another folder")
    try:
        with path.open("rb") as file:
            name = file.read(_MOST_BYTES).decode("utf-8-sig", "replace").strip(" \t\r\n\0")
    except OSError:
        return ""
    return known_encoding(_python_name(name)) if name else ""


def _python_name(name: str) -> str:
    if match := _ISO_8859.fullmatch(name):
        return f"iso8859-{match[1]}"
    if match := _NUMBER.fullmatch(name):
        return "utf-8" if match[1] == "65001" else f"cp{match[1]}"
    return name
