"""Names that the wizard proposes: codes from titles, and titles from the names of tables and columns."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.utils.text import capfirst, slugify

#: Characters of a proposed code.
MAX_CODE = 63


def code_from(title: str, taken: Collection[str] = (), fallback: str = "data") -> str:
    """Return a code made from a title. It differs from those in ``taken``, capital letters aside."""
    base = slugify(title.replace("_", "-"))[:MAX_CODE].strip("-_") or fallback
    used = {code.lower() for code in taken}
    code, number = base, 1
    while code.lower() in used or code.endswith("Response"):
        number += 1
        suffix = f"-{number}"
        code = base[: MAX_CODE - len(suffix)] + suffix
    return code


#: Words that are written in capitals.
_CAPITALS = frozenset(("nik", "npwp", "kk", "ktp", "nip", "rt", "rw", "id", "nisn", "bpjs", "hp", "wa"))


def readable(name: str) -> str:
    """Return the name of a table or a column as words: tanggal_lahir → Tanggal lahir, no_kk → No KK."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-.\s]+", " ", name).lower().split()
    return capfirst(" ".join(word.upper() if word in _CAPITALS else word for word in words))
