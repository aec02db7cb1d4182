"""What is proposed for a verification: which columns of an operation can be verified, by which rule, their names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from mantra.verification.models import VerificationOperation, VerifiedField, key_of
from mantra.wizard.naming import code_from, readable
from registry import personal_data, sample_responses
from registry.models import Field, Operation

Rule, Type = VerifiedField.Rule, Field.Type

#: Kind of personal data → the rule by which it is compared.
_BY_KIND = {"NAME": Rule.NAME, "BIRTH_DATE": Rule.DATE, "PHONE": Rule.PHONE, "ADDRESS": Rule.ADDRESS}
_BY_TYPE = {
    Type.INTEGER: Rule.NUMBER,
    Type.DECIMAL: Rule.NUMBER,
    Type.FLOAT: Rule.NUMBER,
    Type.DATE: Rule.DATE,
    Type.DATETIME: Rule.DATE,
    Type.BOOLEAN: Rule.EXACT,
    Type.UUID: Rule.EXACT,
}
#: Types of which nobody compares values.
_OPAQUE = frozenset((Type.BYTES, Type.JSON))
#: Columns that are read from a sample, and the characters of the name of a field.
MAX_COLUMNS, MAX_NAME = 50, 50
#: Levels of a sample that are looked through for a record.
_LEVELS = 6


@dataclass(frozen=True, slots=True)
class Proposal:
    """A column that can be verified. ``chosen``: it is proposed that callers may verify it."""

    column: str
    name: str
    rule: str
    chosen: bool


def propose(base: Operation) -> list[Proposal]:
    """Return what can be verified of an operation's records: its declared columns, else those of its sample."""
    keys = {each.name.lower() for each in key_of(base)}
    declared = [(each.name, each.type) for each in base.fields.all() if each.type not in _OPAQUE]
    columns = declared or [(name, Type.TEXT) for name in sample_columns(base)]
    taken: set[str] = set()
    found = []
    for column, type_ in columns[:MAX_COLUMNS]:
        name = name_of(column, taken)
        if column.lower() in keys or name.lower() in keys:
            continue
        taken.add(name.lower())
        finding = personal_data.recognize(column)
        # What is specific, such as a diagnosis, is offered, but nobody verifies it by an oversight.
        chosen = finding is not None and finding.classification == personal_data.PERSONAL
        found.append(Proposal(column, name, rule_of(finding, type_), chosen))
    return found


def rule_of(finding: personal_data.Finding | None, type_: str) -> str:
    """Return the rule for a column, by what personal data it has and by its type."""
    if finding is not None and finding.kind in _BY_KIND:
        return _BY_KIND[finding.kind]
    if finding is not None and finding.kind in personal_data.IDENTIFIERS:
        return Rule.TEXT  # their zeros count
    return _BY_TYPE.get(Type(type_), Rule.TEXT)


def name_of(column: str, taken: set[str]) -> str:
    """Return the name by which callers send a column: its own, where that can be a parameter's."""
    base = re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_")[: MAX_NAME - 3] or "kolom"
    if not re.match(r"[A-Za-z_]", base):
        base = f"k_{base}"[:MAX_NAME]
    name, number = base, 1
    while name.lower() in taken:
        number += 1
        name = f"{base[: MAX_NAME - 3]}_{number}"
    return name


def sample_columns(base: Operation) -> list[str]:
    """Return the names of the values in the first record of an operation's sample response; none without a sample."""
    text = sample_responses.shown(base)
    record = _record(json.loads(text), _LEVELS) if text else {}
    return [name for name, value in record.items() if not isinstance(value, list | dict)][:MAX_COLUMNS]


def _record(value: Any, levels: int) -> dict[str, Any]:
    """Return the first record in a document: the first object with the most values that are no objects or lists."""
    return max(_objects(value, levels), key=_values, default={})


def _objects(value: Any, levels: int) -> Iterator[dict[str, Any]]:
    if levels <= 0:
        return
    if isinstance(value, dict):
        yield value
    members: Sequence[Any] = (
        list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for member in members[:MAX_COLUMNS]:
        yield from _objects(member, levels - 1)


def _values(record: dict[str, Any]) -> int:
    return sum(not isinstance(value, list | dict) for value in record.values())


def title_of(base: Operation) -> str:
    """Return a title such as "Verification: Penduduk menurut NIK"."""
    return (gettext("Verification: %(data)s") % {"data": base.title or readable(base.code)})[:200]


def code_of(base: Operation) -> str:
    """Return a code that no operation of the service has."""
    taken = set(Operation.objects.listed().filter(service=base.service_id).values_list("code", flat=True))
    return code_from(f"cek-{base.code}", taken)


def of_operation(base: Operation) -> VerificationOperation:
    """Return the verification that is proposed for an operation, not saved."""
    return VerificationOperation(service=base.service, base=base, code=code_of(base), title=title_of(base))
