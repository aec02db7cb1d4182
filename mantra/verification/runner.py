"""Running a verification: what the caller sent is compared with the record of its key; the response says what agrees.

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
from registry.results import Column, Fault, Result, Row, Rows

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


def verify_set(call: Call, sets: Sequence[Mapping[str, Any]]) -> list[Row | Fault]:
    """Return a row, or a Fault, for each of the first sets of arguments: at least for one, for a job's rows.

    The records of data operations are read in sets. The columns are those of columns_of(). Raises Fault if nothing
    could be read: then all may be verified again.
    """
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    base = records.base_of(call, plan)
    given: list[dict[str, str] | Fault] = [_given_or_fault(plan, arguments) for arguments in sets]
    valid = [at for at, each in enumerate(given) if not isinstance(each, Fault)]
    read = records.read_set(call, plan, base, [sets[at] for at in valid]) if valid else []
    answered = len(sets) if len(read) == len(valid) else valid[len(read)]
    found = dict(zip(valid, read, strict=False))
    cut = plan.shape(_granted(call)).cut
    rows: list[Row | Fault] = []
    for at in range(answered):
        sent, record = given[at], found.get(at)
        if isinstance(sent, Fault) or isinstance(record, Fault):
            rows.append(sent if isinstance(sent, Fault) else record)  # type: ignore[arg-type]
            continue
        assert record is not None
        try:
            rows.append(cut(judge(call, plan, sent, record, sets[at])))
        except Fault as fault:
            rows.append(fault.without_traceback())
    return rows


def columns_of(call: Call) -> tuple[Column, ...]:
    """Return the columns of the rows that a caller gets."""
    plan = call.operation.plan  # type: ignore[union-attr]
    assert isinstance(plan, Plan)
    return plan.shape(_granted(call)).columns


def _given_or_fault(plan: Plan, arguments: Mapping[str, Any]) -> dict[str, str] | Fault:
    try:
        return given_of(plan, arguments)
    except Fault as fault:
        return fault.without_traceback()


def _granted(call: Call) -> frozenset[str] | None:
    """Return the fields of the caller's grant; None for the author, who sees all."""
    if call.grant is None:
        return None if not call.needs_key else frozenset()
    return call.grant.fields


def _verified(call: Call, plan: Plan) -> Row:
    given = given_of(plan, call.arguments)
    base = records.base_of(call, plan)
    found = records.read(call, plan, base)
    call.missed = not found
    return judge(call, plan, given, found, call.arguments)


def given_of(plan: Plan, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return what a caller sent of the verified fields, without blank ones. Raises Fault."""
    given = {}
    for each in plan.fields:
        value = arguments.get(each.name)
        if value is not None and (text := str(value)) and not text.isspace():
            given[each.name] = text
    if len(given) < plan.min_fields:
        raise Fault(faults.FIELDS_TOO_FEW, least=plan.min_fields, known=", ".join(each.name for each in plan.fields))
    for each in plan.fields:
        if each.name in given and not each.is_readable(given[each.name]):
            reason_id, reason_en = _FORMS[each.rule]
            raise Fault(faults.PARAMETER_INVALID, parameter=each.name, reason_id=reason_id, reason_en=reason_en)
    return given


_INCOMPARABLE = ("tidak dapat dibandingkan", "it cannot be compared")
#: Why a text cannot be compared by a rule, in Indonesian and English.
_FORMS = {
    "exact": _INCOMPARABLE,
    "text": _INCOMPARABLE,
    "name": _INCOMPARABLE,
    "address": _INCOMPARABLE,
    "date": (
        "harus tanggal, misalnya 17-08-1990 atau 1990-08-17",
        "it must be a date such as 17-08-1990 or 1990-08-17",
    ),
    "number": ("harus bilangan, misalnya 1.250,50", "it must be a number such as 1250.50"),
    "phone": ("harus nomor telepon", "it must be a phone number"),
}


def judge(
    call: Call, plan: Plan, given: Mapping[str, str], found: Sequence[Record], arguments: Mapping[str, Any]
) -> Row:
    """Return the whole row for what was sent and the records of the key. Raises Fault VERIFICATION_LOCKED.

    A try is wrong if it does not agree in all that was sent; where the caller sees similarities, if it is not equal.
    """
    row, agrees, equal = compare(plan, given, found)
    if call.needs_key:
        right = equal if plan.shape(_granted(call)).has_similarity else agrees
        application = call.application.id if call.application is not None else 0
        subject = _subject(plan, found) if found else f"key:{_folded(plan, arguments)}"
        tries.settle(plan.id, subject, application, not right, plan.tries, plan.tries_of_all, plan.lock_seconds)
    return row


def _subject(plan: Plan, found: Sequence[Record]) -> str:
    """Return a text that is the same for all spellings of a key by which a source finds these records."""
    texts = ["\x1f".join([str(record.get(each.column)) for each in plan.fields]) for record in found]
    return "record:" + "\x1e".join(texts if len(texts) == 1 else sorted(texts))


def _folded(plan: Plan, arguments: Mapping[str, Any]) -> str:
    """Return a key without what most sources ignore: case, accents, blanks, punctuation and leading zeros."""
    text = "\0".join(str(arguments.get(name)) for name in plan.key)
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in letters if letter.isalnum() or letter == "\0").lstrip("0")


def compare(plan: Plan, given: Mapping[str, str], found: Sequence[Record]) -> tuple[Row, bool, bool]:
    """Return the row of the record that agrees best, whether it agrees in all that was sent, and whether it is equal.

    Of several records of a key one has to agree in all: values of two people make no third one.
    """
    best: tuple[int, int, list[Any]] | None = None
    for record in found or ({each.column: _NOBODY for each in plan.fields},):
        judged: list[tuple[bool | None, int | None]] = []
        agreeing = similar = 0
        for each in plan.fields:
            found_field = _field(each, given[each.name], record[each.column]) if each.name in given else _NEITHER
            judged.append(found_field)
            if found_field[0]:
                agreeing += 1
            similar += found_field[1] or 0
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


#: Of a field that was not sent, or is not stored.
_NEITHER: tuple[bool | None, int | None] = (None, None)


def _field(verified: Verified, given: str, stored: Any) -> tuple[bool | None, int | None]:
    """Return whether a field agrees, and how similar it is; None, None if it is not stored."""
    if stored is None or isinstance(stored, dict | list) or stored == "":
        return _NEITHER
    if stored == given and given[0].isalnum():  # most callers have what is right, and letter by letter
        return True, 100
    if isinstance(stored, str) and stored.isspace():
        return _NEITHER
    try:
        matches, similarity = verified.compare(stored, given)
    except Exception as error:  # its text may have the value
        log.error("a value cannot be compared as %s: %s", verified.rule, type(error).__name__)
        return _NEITHER
    return matches, similarity


def _wait(call: Call) -> None:
    """Wait for the next step of time after the call began."""
    passed = _clock() - call.started_monotonic
    _sleep(STEP - passed % STEP)
