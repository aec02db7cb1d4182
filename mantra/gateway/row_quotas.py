"""Quotas of rows and of different persons, of a grant and of its application.

Persons whom a call names by its parameters are counted before it runs; rows, and the persons in them, before they go
on to the format. So nothing leaves that was not counted, in whatever protocol and process. Rows that did not leave
because the call ended with a fault, or with 304, are given back; persons stay counted.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings

from mantra.gateway.quotas import breaker, go_on_without_store
from mantra.gateway.row_quota_stores import Store, Taken, Window, store_of
from proxyservices.forwarding.response import records_in
from registry import faults
from registry.calls import Call
from registry.journal.chain import subject_hash
from registry.personal_data import recognize
from registry.results import Column, Document, Fault, Result, Row, Rows, Words
from registry.snapshot.types import Application, Grant, Operation

log = logging.getLogger("mantra.quotas")

#: Created at import: several threads must not do it at the same time.
store: Store = store_of(settings.QUOTA_STORE)

#: Kinds of columns that say whom a row is about. The first kind that a result has counts, so that a person with two
#: numbers is one.
_IDENTIFYING = ("NIK", "ID_NUMBER", "NPWP", "KK")
_GRANT, _APPLICATION = Words("izin ini", "this grant"), Words("aplikasi ini", "this application")
#: Seconds of a period → its names.
_PERIODS = {60: Words("menit", "minute"), 3600: Words("jam", "hour"), 86_400: Words("hari", "day")}


class Meter:
    """Counts what one call gets. ``left``: of rows and of persons, what the tightest window has left.

    Each is (quota, its period in seconds, left, seconds until the first window ends).
    """

    __slots__ = (
        "_by_rows", "_counted", "_masked", "_named", "_operation", "_persons", "_rows", "_taken", "_unknown", "left",
    )  # fmt: skip

    def __init__(self, operation: Operation, application: Application, grant: Grant) -> None:
        self._operation = operation
        self._rows = _windows(application, grant, persons=False)
        self._persons = _windows(application, grant, persons=True)
        #: The rows that were counted, by the windows in which they were.
        self._taken: dict[tuple[Window, float], int] = {}
        #: Of the columns of a result: the places of those that say whom a row is about.
        self._by_rows: tuple[int, ...] = ()
        #: The fields that are masked, and True if these places are among them: then nobody knows who a row is about.
        self._masked = frozenset((*(each.name for each in operation.fields if each.mask), *dict(grant.masks)))
        self._unknown = False
        #: Persons that the parameters named, who are counted already when their rows come; and how many of those that
        #: were named there are of whom no row has come yet.
        self._counted: set[bytes] = set()
        self._named = 0
        self.left: dict[str, tuple[int, int, int, int]] = {}

    def name(self, arguments: Mapping[str, Any]) -> None:
        """Count the persons that a call's parameters name. Raises Fault PERSONS_EXCEEDED."""
        if self._persons and (named := self.named(arguments)):
            self._named = len(named)
            if self._take(0, named):
                self._counted = named

    def named(self, arguments: Mapping[str, Any]) -> set[bytes]:
        """Return the digests of the persons that a call's parameters name."""
        parameters = self._operation.parameters
        values = (arguments.get(each.name) for each in parameters if each.subject)
        return {_digest(value) for value in values if value is not None}

    def columns(self, columns: Sequence[Column]) -> None:
        """Note the columns of the rows that follow."""
        if self._persons:
            subjects = frozenset(each.name.lower() for each in self._operation.parameters if each.subject)
            self._by_rows = _identifying(tuple(column.name for column in columns), subjects)
            self._unknown = any(columns[place].name in self._masked for place in self._by_rows)

    def rows(self, rows: Sequence[Row]) -> None:
        """Count rows before they leave. Raises Fault ROWS_EXCEEDED or PERSONS_EXCEEDED; then none may leave."""
        self._take(len(rows), self.persons_of(rows) - self._counted)

    def persons_of(self, rows: Iterable[Row]) -> set[bytes]:
        """Return the digests of the persons in rows."""
        places = self._by_rows
        if not places:
            return set()
        if self._unknown:
            return self._somebody(sum(any(row[place] not in (None, "") for place in places) for row in rows))
        return {_digest(row[place]) for row in rows for place in places if row[place] not in (None, "")}

    def _somebody(self, rows: int) -> set[bytes]:
        """Return digests of as many persons as rows may be about, beyond those that the parameters named.

        Two masked numbers that look alike may be two persons: each row counts as one.
        """
        known = min(self._named, rows)
        self._named -= known
        return {os.urandom(8) for _row in range(rows - known)}

    def records(self, records: Sequence[Any]) -> None:
        """Count the records of a document before it leaves. Raises Fault."""
        names = tuple(sorted({name for record in records if isinstance(record, dict) for name in record}))
        self.columns([Column(name) for name in names])
        chosen = [names[place] for place in self._by_rows]
        if self._unknown:
            about = sum(any(each.get(name) for name in chosen) for each in records if isinstance(each, dict))
            self._take(len(records), self._somebody(about))
            return
        found = {
            _digest(value)
            for record in records
            if isinstance(record, dict)
            for name in chosen
            if isinstance(value := record.get(name), str | int) and value != ""
        }
        self._take(len(records), found - self._counted)

    def fitting(self, groups: Sequence[tuple[int, set[bytes]]]) -> tuple[int, int]:
        """Count the first of some groups of rows and persons, as many as fit: all at once where they do. For jobs.

        Return their number, and the seconds until more may fit where it was not all. Raises Fault QUOTA_STORE_DOWN.
        """
        everybody = set[bytes]().union(*(persons for _rows, persons in groups))
        try:
            self._take(sum(rows for rows, _persons in groups), everybody)
            return len(groups), 0
        except Fault as fault:
            if fault.kind not in _EXCEEDED:
                raise
        for at, (rows, persons) in enumerate(groups):
            try:
                self._take(rows, persons)
            except Fault as fault:
                if fault.kind not in _EXCEEDED:
                    raise
                return at, fault.retry_after or 1
        return len(groups), 0

    def settle(self, unsent: bool) -> None:
        """End the counting. ``unsent``: no row has left: what was counted of rows is given back."""
        taken, self._taken = self._taken, {}
        if unsent and taken and breaker.try_pass():
            by_number: dict[int, list[tuple[Window, float]]] = {}
            for window, rows in taken.items():
                by_number.setdefault(rows, []).append(window)
            try:
                for rows, windows in by_number.items():
                    store.give_back(windows, rows)
                breaker.succeeded()
            except Exception as error:  # it stays counted
                breaker.failed()
                log.error("the quota store failed: %s", type(error).__name__)

    def _take(self, rows: int, persons: set[bytes]) -> bool:
        """Count rows and persons. Return False if the store is away, and calls go on without it. Raises Fault."""
        windows = (*(self._rows if rows else ()), *(self._persons if persons else ()))
        if not windows:
            return True
        for at, window in enumerate(windows):
            if (len(persons) if window.persons else rows) > window.most:  # it never fits, whatever the store says
                raise self._exceeded(windows[at], window.seconds)
        if not breaker.try_pass():
            go_on_without_store()
            return False
        try:
            taken = store.take(windows, rows, persons)
            breaker.succeeded()
        except Exception as error:  # the store's client documents no common base class of its errors
            breaker.failed()
            log.error("the quota store failed: %s", type(error).__name__)
            go_on_without_store()
            return False
        if taken.refused >= 0:
            raise self._exceeded(windows[taken.refused], taken.seconds)
        self._note(windows, taken, rows)
        return True

    def _note(self, windows: Sequence[Window], taken: Taken, rows: int) -> None:
        for window, left, ends in zip(windows, taken.left, taken.ends, strict=True):
            name = "persons" if window.persons else "rows"
            known = self.left.get(name)
            if known is None or left <= known[2] or known[:2] == (window.most, window.seconds):
                self.left[name] = window.most, window.seconds, left, taken.seconds
            if not window.persons:
                self._taken[window, ends] = self._taken.get((window, ends), 0) + rows

    def _exceeded(self, window: Window, seconds: int) -> Fault:
        """Return the fault of a call for which a window has too little left."""
        name = "persons" if window.persons else "rows"
        self.left[name] = window.most, window.seconds, 0, seconds
        kind = faults.PERSONS_EXCEEDED if window.persons else faults.ROWS_EXCEEDED
        owner = _GRANT if window.name.startswith("g") else _APPLICATION
        details: dict[str, Any] = {name: window.most, "period": _period(window.seconds), "owner": owner}
        return Fault(kind, retry_after=seconds, seconds=seconds, **details)


_EXCEEDED = (faults.ROWS_EXCEEDED, faults.PERSONS_EXCEEDED)


def meter_of(call: Call) -> Meter | None:
    """Return what counts the rows and persons of a call; None if nothing limits them."""
    grant, application, operation = call.grant, call.application, call.operation
    if grant is None or application is None or operation is None:
        return None
    limited = grant.row_limits or grant.subject_limits or application.row_limits or application.subject_limits
    return Meter(operation, application, grant) if limited else None


def consume(call: Call) -> None:
    """Count the persons that a call names, where they are limited. Raises Fault PERSONS_EXCEEDED."""
    meter = meter_of(call)
    if meter is not None:
        call.meter = meter
        meter.name(call.arguments)


def counted(call: Call, result: Result) -> Result:
    """Return a result whose rows are counted before they leave. Raises Fault if the first of them do not fit."""
    meter = call.meter
    if meter is None:
        return result
    try:
        if isinstance(result, Rows):
            _count_rows(meter, result)
        elif isinstance(result, Document):
            meter.records(records_in(call, result))
    except BaseException:
        result.close()
        raise
    return result


def _count_rows(meter: Meter, rows: Rows) -> None:
    """Let the batches be counted one by one. The first is counted now: a response that does not fit is a clean fault.

    A batch is all that is in memory of rows that are complete.
    """
    meter.columns(rows.columns)
    first = next(rows.batches, None)
    if first:
        meter.rows(first)
    rows.batches = _counted_batches(meter, first, rows.batches)


def _counted_batches(meter: Meter, first: list[Row] | None, others: Iterator[list[Row]]) -> Iterator[list[Row]]:
    if first is not None:
        yield first
    for batch in others:
        meter.rows(batch)
        yield batch


# ------------------------------------------------------------------------------------------- windows


def _windows(application: Application, grant: Grant, persons: bool) -> tuple[Window, ...]:
    of_grant = grant.subject_limits if persons else grant.row_limits
    of_application = application.subject_limits if persons else application.row_limits
    if not of_grant and not of_application:
        return ()
    return _windows_of(application.id, grant.id, of_grant, of_application, persons)


@lru_cache(maxsize=4096)
def _windows_of(application: int, grant: int, of_grant: Any, of_application: Any, persons: bool) -> tuple[Window, ...]:
    return (
        *(Window(application, f"g{grant}:{seconds}", persons, most, seconds) for most, seconds in of_grant),
        *(Window(application, f"a:{seconds}", persons, most, seconds) for most, seconds in of_application),
    )


def _period(seconds: int) -> Words:
    """Return the name of a period as the message of a fault has it."""
    if seconds in _PERIODS:
        return _PERIODS[seconds]
    for unit, names in ((3600, ("jam", "hours")), (60, ("menit", "minutes")), (1, ("detik", "seconds"))):
        if seconds % unit == 0:
            return Words(f"{seconds // unit} {names[0]}", f"{seconds // unit} {names[1]}")
    raise AssertionError


# ------------------------------------------------------------------------------------------- persons


def _digest(value: Any) -> bytes:
    """Return what a person is remembered by: of the keyed hash that the journal has, the first eight bytes."""
    return bytes.fromhex(subject_hash(str(value).strip())[:16])


@lru_cache(maxsize=4096)
def _identifying(names: tuple[str, ...], subjects: frozenset[str]) -> tuple[int, ...]:
    """Return the places of the columns that say whom a row is about.

    They are those that are called as the parameters for persons, else those that are recognised by their names.
    """
    declared = tuple(place for place, name in enumerate(names) if name.lower() in subjects)
    if declared:
        return declared
    kinds = [finding.kind if (finding := recognize(name)) is not None else "" for name in names]
    for kind in _IDENTIFYING:
        if kind in kinds:
            return tuple(place for place, found in enumerate(kinds) if found == kind)
    return ()
