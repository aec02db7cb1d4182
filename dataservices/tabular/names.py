"""Names of columns and tables from the headers of a sheet."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: The most characters of a name, as registry.models.base.column_validator allows.
LONGEST = 63

#: Words of SQL that a name in a statement would be read as.
_WORDS = frozenset(
    """
    all and as asc between by case check column constraint create cross default delete desc distinct drop else end
    except exists foreign from full group having in index inner insert intersect into is join left like limit natural
    not null offset on or order outer page per_page primary references right select set table then to transaction union
    unique update using values when where with
    """.split()  # noqa: SIM905
)


def legal(text: str, otherwise: str) -> str:
    """Return a text as a name: small letters, digits and _, beginning with a letter; ``otherwise`` if none is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name:
        return otherwise
    if name[0].isdigit() or name.startswith("sqlite_"):
        name = f"k_{name}"
    name = name[:LONGEST].rstrip("_")
    return f"{name[: LONGEST - 1]}_" if name in _WORDS else name


def unique(names: Iterable[str]) -> list[str]:
    """Return the names, with a number after each that occurred before."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name[: LONGEST - 5]}_{number}"
        taken.add(candidate)
        result.append(candidate)
    return result
