"""Running a verification: what the caller sent is compared with the record of its key. The response says what agrees.

No value of the record is in the result, in a fault or in a log.
"""

from __future__ import annotations

import logging
import time
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from mantra.verification import records, tries
from mantra.verification.plan import Plan, Verified
from mantra.verification.records import Record
from registry import faults
from registry.calls import Call
from registry.results import Fault, Result, Row, Rows

log = logging.getLogger("mantra.verification")

#: Where the provider hides whether a key exists, a response comes at the next multiple of so many seconds after the
#: call began: what the comparison of a record takes cannot be seen.
STEP = 0.05
_clock, _sleep = time.perf_counter, time.sleep

#: What is compared in place of a record that does not exist, so that it takes the same time.
_NOBODY = "Bukan Nama Siapa Pun"


def run(call: Call) -> Result:
    """Run a verification. Return one row. Raises Fault."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    try:
        row = _verified(call, plan)
    finally:
        if plan.hides_existence:
            _wait(call)
    shape = plan.shape(_granted(call))
    rows = Rows(shape.columns, iter(([shape.cut(row)],)))
    rows.count = 1
    return rows


def _granted(call: Call) -> frozenset[str] | None:
    """Return the fields of the caller's grant; None for the author, who sees all."""
    if call.grant is None:
        return None if not call.needs_key else frozenset()
    return call.grant.fields


def _verified(call: Call, plan: Plan) -> Row:
    given = given_of(plan, call.arguments)
    base = records.base_of(call, plan)
    found = records.read(call, plan, base)
    return judge(call, plan, given, found)


def given_of(plan: Plan, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return what a caller sent of the verified fields, without blank ones. Raises Fault."""
    given = {each.name: str(value) for each in plan.fields if (value := arguments.get(each.name)) is not None}
    given = {name: value for name, value in given.items() if value.strip()}
    if len(given) < plan.min_fields:
        raise Fault(faults.FIELDS_TOO_FEW, least=plan.min_fields, known=", ".join(each.name for each in plan.fields))
    for each in plan.fields:
        if each.name in given and not each.is_readable(given[each.name]):
            raise Fault(faults.PARAMETER_INVALID, parameter=each.name, **_FORMS[each.rule])
    return given


#: Why a text cannot be compared by a rule.
_FORMS = {
    "date": {
        "reason_id": "harus tanggal, misalnya 17-08-1990 atau 1990-08-17",
        "reason_en": "it must be a date such as 17-08-1990 or 1990-08-17",
    },
    "number": {"reason_id": "harus bilangan, misalnya 1.250,50", "reason_en": "it must be a number such as 1250.50"},
    "phone": {"reason_id": "harus nomor telepon", "reason_en": "it must be a phone number"},
}
for _rule in ("exact", "text", "name", "address"):
    _FORMS[_rule] = {"reason_id": "tidak dapat dibandingkan", "reason_en": "it cannot be compared"}


def judge(call: Call, plan: Plan, given: Mapping[str, str], found: Sequence[Record]) -> Row:
    """Return the whole row for what was sent and the records of the key. Raises Fault VERIFICATION_LOCKED.

    A try that does not agree in all that was sent stays counted; where the caller sees similarities, one that is not
    the same in all.
    """
    counted = None
    if call.needs_key:
        application = call.application.id if call.application is not None else 0
        subject = _subject(plan, found) if found else f"key:{_folded(plan, call.arguments)}"
        counted = tries.take(plan.id, subject, application, plan.tries, plan.tries_of_all, plan.lock_seconds)
    row, agrees, same = compare(plan, given, found)
    if counted is not None and (same if plan.shape(_granted(call)).has_similarity else agrees):
        counted.give_back()
    return row


def _subject(plan: Plan, found: Sequence[Record]) -> str:
    """Return a text that is the same for all spellings of a key by which a source finds these records."""
    return "record:" + repr(sorted(repr([record.get(each.column) for each in plan.fields]) for record in found))


def _folded(plan: Plan, arguments: Mapping[str, Any]) -> str:
    """Return a key without what most sources ignore: case, accents, blanks, punctuation and leading zeros."""
    text = "\0".join(str(arguments.get(name)) for name in plan.key)
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in letters if letter.isalnum() or letter == "\0").lstrip("0")


def compare(plan: Plan, given: Mapping[str, str], found: Sequence[Record]) -> tuple[Row, bool, bool]:
    """Return the row of the record that agrees best, whether it agrees in all that was sent, and if it is the same.

    Of several records of a key one has to agree in all: values of two people make no third one.
    """
    best: tuple[int, int, list[Any]] | None = None
    for record in found or ({each.column: _NOBODY for each in plan.fields},):
        judged = [_field(each, given.get(each.name), record.get(each.column)) for each in plan.fields]
        agreeing = sum(agrees is True for agrees, _similarity in judged)
        similar = sum(similarity or 0 for _agrees, similarity in judged)
        if best is None or (agreeing, similar) > best[:2]:
            best = agreeing, similar, judged
    assert best is not None
    agreeing, similar, judged = best
    if not found:
        judged = [(False if each.name in given else None, 0 if each.name in given else None) for each in plan.fields]
    agrees = bool(found) and agreeing == len(given)
    if plan.hides_existence:
        judged = [
            (bool(agrees_), similarity or 0) if each.name in given else (None, None)
            for each, (agrees_, similarity) in zip(plan.fields, judged, strict=True)
        ]
    elif not found:
        judged = [(None, None)] * len(plan.fields)
    row: list[Any] = [None if plan.hides_existence else bool(found), agrees]
    for each, (field_agrees, similarity) in zip(plan.fields, judged, strict=True):
        row.append(field_agrees)
        if each.has_degrees:
            row.append(similarity)
    return tuple(row), agrees, agrees and similar == 100 * len(given)


def _field(verified: Verified, given: str | None, stored: Any) -> tuple[bool | None, int | None]:
    """Return whether a field agrees, and how similar it is; None, None if it was not sent or is not stored."""
    if given is None or stored is None or isinstance(stored, dict | list) or not str(stored).strip():
        return None, None
    try:
        matches, similarity = verified.compare(stored, given)
    except Exception as error:  # its text may have the value
        log.error("a value cannot be compared as %s: %s", verified.rule, type(error).__name__)
        return None, None
    return matches, similarity


def _wait(call: Call) -> None:
    """Wait for the next step of time after the call began."""
    passed = _clock() - call.started_monotonic
    _sleep(STEP - passed % STEP)
