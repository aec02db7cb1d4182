"""Puts a row of the old database into the registry, new, changed, or as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import Model

from mantra.definitions.bundle_writer import BundleWriter
from mantra.legacy_import.ledger import Ledger, Line
from mantra.legacy_import.models import OldTable, Outcome
from mantra.legacy_import.translating import names
from mantra.legacy_import.translating.remarks import Kind, Remark, remark
from mantra.legacy_import.writing import PieceWriter, digests

#: Characters of a title, and of a broken rule that is shown; how many of these.
_TITLE, _RULE, _MOST_RULES = 200, 300, 5


def place(
    ledger: Ledger,
    writer: PieceWriter,
    table: OldTable,
    old_id: int,
    there: Model | None,
    piece: Mapping[str, Any],
    identifiers: Iterable[str],
    said: list[Remark],
    store: Callable[[BundleWriter, Any], Model | None],
) -> Line:
    """Store a piece of a bundle for a row of the old database, and return its line.

    ``there``: our row with its code, if there is one. What is there by other ways is not changed. Of a row that an
    earlier run made only what has changed in the old database is changed; it is not made again if somebody deleted it.
    ``identifiers``: the names in the piece that find the row. ``store`` returns the row.
    """
    parts = digests(piece, writer.secrets)
    before = ledger.before(table, old_id)
    if before is None and there is not None:
        return ledger.add(table, old_id, [*said, remark(Kind.ROW_EXISTS)], there, parts, Outcome.MERGED)
    if before is not None and before.parts == parts:
        return ledger.repeat(before)
    if before is not None and before.ref is not None:
        if there is None:
            return ledger.add(table, old_id, [remark(Kind.DELETED_HERE)], None, parts, Outcome.OMITTED)
        kept = {*identifiers, *(name for name, digest in parts.items() if before.parts.get(name) != digest)}
        piece = {name: value for name, value in piece.items() if name in kept}
    broken, row = writer.write(store, piece)
    if broken:
        return ledger.add(table, old_id, [*said, *rules(broken)], there, {})
    return ledger.add(table, old_id, said, row, parts)


def rules(broken: Iterable[str]) -> list[Remark]:
    """Return remarks on rules that a row breaks."""
    return [Remark(Kind.RULE, (("rule", each[:_RULE]),)) for each in list(broken)[:_MOST_RULES]]


def named(old: str, code: str, said: list[Remark]) -> dict[str, str]:
    """Return the name of 1.99x of a row with this code, for a bundle, and say where it is another one."""
    legacy = names.legacy_name_of(old, code)
    if legacy is None:
        said.append(remark(Kind.NAME_LOST, old=old, new=code))
        return {}
    if legacy:
        said.append(remark(Kind.NAME_CHANGED, old=old, new=code))
        return {"legacy_name": legacy}
    return {}


def cut(text: str, most: int, said: list[Remark]) -> str:
    """Return a text without what is more than ``most`` characters."""
    found = text.replace("\x00", "").strip()
    if len(found) > most:
        said.append(remark(Kind.TEXT_CUT, most=most))
    return found[:most]


def title_of(description: str, code: str) -> str:
    """Return a title: the first line of a description, or the code with blanks."""
    first = description.replace("\x00", "").strip().partition("\n")[0].strip()
    return first if 0 < len(first) <= _TITLE else code.replace("_", " ").strip()[:_TITLE] or code[:_TITLE]
