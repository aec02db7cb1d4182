"""What differs between two definitions, in the words of the pages, section by section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from registry import secrets
from registry.secrets import EncryptedField
from registry.versions.definition import Definition, is_secret, plain
from registry.versions.kinds import SECTIONS, ChildList, VersionedKind

#: Lines of a text that are compared one by one; a longer text is shown as replaced.
MAX_LINES = 2_000
#: Characters of a value in a summary, and of the whole summary.
MAX_SHOWN, MAX_SUMMARY = 2_000, 20_000
#: Columns of a list whose values other people may not read if this column is true.
_HIDING = "secret"


@dataclass(frozen=True, slots=True)
class LinePair:
    """A line of the old text beside the one of the new text; None where one of them has no such line."""

    old_number: int | None
    old: str | None
    new_number: int | None
    new: str | None

    @property
    def differs(self) -> bool:
        return self.old != self.new


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs. None: there is none. ``lines``: both texts side by side, for texts of several lines."""

    label: str
    old: str | None
    new: str | None
    lines: tuple[LinePair, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str
    differences: tuple[Difference, ...]


def compare(kind: VersionedKind, old: Definition | None, new: Definition) -> list[Section]:
    """Return the sections that differ, in their order. None as ``old``: everything is new."""
    before = old if old is not None else {"columns": {}, "lists": {}}
    found: dict[str, list[Difference]] = {key: [] for key in SECTIONS}
    for column in kind.columns:
        if column.editable:
            _compare_values(found[kind.section_of(column.name)], column, before["columns"], new["columns"])
    for label, child in kind.all_lists.items():
        old_rows, new_rows = before["lists"].get(label, []), new["lists"].get(label, [])
        found[child.section] += _list_differences(child, old_rows, new_rows)
    return [Section(key, str(SECTIONS[key]), tuple(differences)) for key, differences in found.items() if differences]


def summary(sections: Sequence[Section]) -> str:
    """Return the differences as text, old and new, for the log: at most MAX_SUMMARY characters."""
    lines = [
        f"{section.title}: {each.label}: {_shortened(each.old)} → {_shortened(each.new)}"
        for section in sections
        for each in section.differences
    ]
    text = "\n".join(lines)
    return text if len(text) <= MAX_SUMMARY else text[:MAX_SUMMARY] + "…"


def _shortened(text: str | None) -> str:
    if not text:
        return "–"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _compare_values(
    found: list[Difference], column: Any, old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> None:
    """Add a difference if a column's values differ."""
    # A definition of an older release lacks later columns: they had their defaults.
    before, after = (each.get(column.name, column.get_default() if each else None) for each in (old, new))
    if plain(before) == plain(after):
        return
    hidden = bool(old.get(_HIDING, True)) or bool(new.get(_HIDING, True))
    left = _shown(column, before, hidden) if column.name in old else None
    right = _shown(column, after, hidden) if column.name in new else None
    found.append(Difference(capfirst(f"{prefix}{column.verbose_name}"), left, right, _side_by_side(left, right)))


def _shown(column: Any, value: Any, hidden: bool) -> str:
    """Return a value as people read it. A secret is only said to be there."""
    if isinstance(column, EncryptedField):
        return _secret_text(value, hidden)
    if isinstance(value, dict) and "label" in value:
        return str(value["label"])
    if isinstance(value, dict) and "sha256" in value:
        return _("text %(digest)s") % {"digest": value["sha256"][:12]}
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    choices = dict(column.flatchoices) if column.flatchoices else {}
    return str(choices.get(value, "" if value is None else value))


def _secret_text(value: Any, hidden: bool) -> str:
    if not is_secret(value):
        return ""
    return _("(secret)") if hidden else secrets.readable(secrets.Secret(plain(value)[1]))


def _side_by_side(old: str | None, new: str | None) -> tuple[LinePair, ...]:
    """Return both texts line by line if one of them has several lines."""
    before, after = (old or "").splitlines(), (new or "").splitlines()
    if max(len(before), len(after)) < 2:
        return ()
    return tuple(_pairs(before, after))


def _pairs(old: list[str], new: list[str]) -> Iterator[LinePair]:
    long = max(len(old), len(new)) > MAX_LINES
    whole = [("replace", 0, len(old), 0, len(new))]
    for _tag, old_from, old_to, new_from, new_to in (
        whole if long else SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    ):
        for offset in range(max(old_to - old_from, new_to - new_from)):
            left, right = old_from + offset, new_from + offset
            yield LinePair(
                left + 1 if left < old_to else None,
                old[left] if left < old_to else None,
                right + 1 if right < new_to else None,
                new[right] if right < new_to else None,
            )


# --------------------------------------------------------------------------------------------- lists


def _list_differences(child: ChildList, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[Difference]:
    """Return the rows that were added, removed and changed, and whether their order differs."""
    found: list[Difference] = []
    before, after = _by_name(child, old), _by_name(child, new)
    for name, values in before.items():
        if name not in after:
            found.append(Difference(name, _row_text(child, values), None))
    for name, values in after.items():
        if name not in before:
            found.append(Difference(name, None, _row_text(child, values)))
            continue
        for column in child.columns:
            _compare_values(found, column, before[name], values, prefix=f"{name} · ")
    common = [[name for name in names if name in before and name in after] for names in (before, after)]
    if child.ordered and common[0] != common[1]:
        found.append(Difference(_("Order"), ", ".join(common[0]), ", ".join(common[1])))
    return found


def _by_name(child: ChildList, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rows by the names that people know them by. Rows with the same name are numbered."""
    found: dict[str, dict[str, Any]] = {}
    for values in rows:
        name = base = " ".join(str(values.get(key, "")) for key in child.key)
        number = 1
        while name in found:
            number += 1
            name = f"{base} ({number})"
        found[name] = values
    return found


def _row_text(child: ChildList, values: dict[str, Any]) -> str:
    """Return the values of a row that are not the column's defaults."""
    hidden = bool(values.get(_HIDING, True))
    parts = []
    for column in child.columns:
        value = values.get(column.name)
        if column.name in child.key or value == column.get_default() or value in (None, ""):
            continue
        parts.append(f"{column.verbose_name}: {_shown(column, value, hidden)}")
    return "; ".join(parts) or _("with the usual settings")
