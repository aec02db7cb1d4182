"""The answer: the calls and jobs about a person that a user may tell of, newest first, each in plain words.

Nothing in it is about another person: of a job that had many, only that this one was among them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry import tenancy
from registry.journal.chain import canonical_identifier, subject_hashes
from registry.models import Agency, Application, CallRecord, CallSubject, GrantTerms, Operation, User

#: The rights without which nobody looks for a person's records: of those who offer data, and of those who supervise.
RIGHTS = ("registry.view_callrecord", "registry.view_operation")
#: The protocol of the record of a look-up itself.
LOOK_UP = "subject"
#: The most entries of an answer, and the most records about a person that are read for one.
MOST, MOST_READ = 500, 20_000
#: The characters of an identifier that a person may type.
LENGTH = 200
_CHUNK = 500


def may_look(user: Any) -> bool:
    """Return True if a user may look for a person's records."""
    if not isinstance(user, User) or not user.has_perms(RIGHTS):
        return False
    return tenancy.sees_all_agencies(user) or user.agency is not None


def masked(identifier: str) -> str:
    """Return an identifier for a letter to its person: of a long one the first and the last four characters."""
    text = canonical_identifier(identifier)
    if len(text) < 12:
        return "•" * max(0, len(text) - 2) + text[-2:]
    return f"{text[:4]}{'•' * (len(text) - 8)}{text[-4:]}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant was given for at the time of a call. ``adopted``: known from the upgrade on only."""

    purpose: str = ""
    legal_basis: str = ""
    agreement: str = ""
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One call, job or look-up about the person."""

    at: datetime
    request_id: str
    #: What happened, in words; and what was given.
    what: str
    given: str
    agency: str
    operation: str
    address: str
    caller_agency: str
    caller: str
    terms: Terms
    fields: tuple[str, ...]
    outcome: int


@dataclass(frozen=True, slots=True)
class Answer:
    """``subject``: the masked identifier. ``more``: there are further entries, before the last one of these."""

    subject: str
    hashes: tuple[str, ...]
    #: The agency whose answer it is; None for that of all agencies.
    agency: Agency | None
    entries: tuple[Entry, ...]
    more: bool
    made_at: datetime

    @property
    def kept_since(self) -> datetime | None:
        """When the oldest entry of this answer was."""
        return self.entries[-1].at if self.entries else None


def about(user: User, identifier: str, before: datetime | None = None) -> Answer:
    """Return the answer about the person with an identifier, as somebody wrote it."""
    return by_hashes(user, subject_hashes(identifier), masked(identifier), before)


def by_hashes(user: User, hashes: Sequence[str], subject: str, before: datetime | None = None) -> Answer:
    """Return the answer about the person with these hashes: what was before a moment, if one is given."""
    return of_agency(None if tenancy.sees_all_agencies(user) else user.agency, hashes, subject, before)


def of_agency(agency: Agency | None, hashes: Sequence[str], subject: str, before: datetime | None = None) -> Answer:
    """Return what one agency has to tell a person: of calls of its own operations. None: of all agencies'."""
    found, more = _records(agency, hashes, before)
    return Answer(subject, tuple(hashes), agency, tuple(_entries(found)), more, timezone.now())


def _records(agency: Agency | None, hashes: Sequence[str], before: datetime | None) -> tuple[list[CallRecord], bool]:
    """Return the newest records about a person, and whether there are more."""
    rows = CallSubject.objects.filter(hash__in=hashes)
    if before is not None:
        rows = rows.filter(started_at__lt=before)
    newest = rows.order_by("-started_at").values_list("started_at", "request_id")[:MOST_READ]
    found: list[CallRecord] = []
    read, known = 0, set[str]()
    # As many as are needed: of few persons there are thousands.
    places = newest.iterator(_CHUNK)
    while chunk := list(islice(places, _CHUNK)):
        read += len(chunk)
        # A person may be in a record twice, and rows of a segment that was read again are there twice.
        places_of_chunk = [(at, id) for at, id in dict.fromkeys(chunk) if id not in known]
        known.update(id for _at, id in places_of_chunk)
        if places_of_chunk:
            found += _of_chunk(agency, places_of_chunk)
        if len(found) > MOST:
            return found[:MOST], True
    return found, read == MOST_READ


def _of_chunk(agency: Agency | None, places: Sequence[tuple[datetime, str]]) -> list[CallRecord]:
    """Return the records of some places. Their times spare most partitions a look."""
    rows = CallRecord.objects.filter(
        request_id__in=[id for _at, id in places], started_at__gte=places[-1][0], started_at__lte=places[0][0]
    )
    if agency is not None:
        rows = rows.filter(agency=agency.code)
    return list(rows.order_by("-started_at", "-pk"))


# ------------------------------------------------------------------------------------------- in words


def _entries(records: Sequence[CallRecord]) -> Iterator[Entry]:
    named = _Names(records)
    terms = _Terms(record.grant_ref for record in records)
    for record in records:
        kind = named.kinds.get(record.operation_ref or 0, "")
        yield Entry(
            at=record.started_at,
            request_id=record.request_id,
            what=str(_what(record, kind)),
            given=str(_given(record, kind)),
            agency=named.agencies.get(record.agency, record.agency),
            operation=named.operations.get(record.operation_ref or 0, ""),
            address="/".join(part for part in (record.agency, record.service, record.operation) if part),
            caller_agency=named.agencies.get(record.consumer_agency, record.consumer_agency),
            caller=named.applications.get((record.consumer_agency, record.application), record.application),
            terms=terms.at(record.grant_ref, record.started_at),
            fields=tuple(name for name in record.fields.split(", ") if name),
            outcome=record.outcome,
        )


#: Protocol → what was done, where it is not a call of an application.
_WHAT: dict[str, Any] = {
    "job": gettext_lazy("The person was in a list that an application had looked up row by row"),
    "tryout": gettext_lazy("An officer tried the operation"),
    LOOK_UP: gettext_lazy("Looked up to answer who has looked at this person"),
}


def _what(record: CallRecord, kind: str) -> Any:
    if record.protocol in _WHAT:
        return _WHAT[record.protocol]
    if kind == Operation.Kind.VERIFICATION:
        return _("An application had data that it has about the person compared")
    return _("An application requested data about the person")


def _given(record: CallRecord, kind: str) -> Any:
    """Return what was given, in words that claim no more than the record says."""
    if record.protocol == LOOK_UP:
        return _("The list of calls, without the data themselves")
    if record.outcome == 0:
        return _("Not over yet")
    if record.broken:
        return _("Aborted: part of the data may have been given")
    if record.outcome != 200 or (record.status or 0) >= 400:
        return _("No data: the call was refused, or failed")
    if kind == Operation.Kind.VERIFICATION:
        return _("Whether the data agree; no data")
    if record.rows == 0:
        return _("No data: none were found")
    return _("Data were given")


class _Names:
    """The names of what records have codes of, in a query for each kind. What was deleted has its code only."""

    def __init__(self, records: Sequence[CallRecord]) -> None:
        codes = {code for record in records for code in (record.agency, record.consumer_agency) if code}
        self.agencies = dict(Agency.objects.filter(code__in=codes).values_list("code", "name"))
        refs = {record.operation_ref for record in records if record.operation_ref}
        rows = list(Operation.objects.filter(pk__in=refs).values_list("pk", "title", "kind"))
        self.operations = {pk: title for pk, title, _kind in rows}
        self.kinds = {pk: kind for pk, _title, kind in rows}
        applications = {record.application for record in records if record.application}
        titles = Application.objects.filter(code__in=applications, agency__code__in=codes)
        self.applications = {
            (agency, code): title for agency, code, title in titles.values_list("agency__code", "code", "title")
        }


class _Terms:
    """The terms of grants at any time: a grant's purpose may have been changed since the call."""

    def __init__(self, grants: Iterable[int | None]) -> None:
        refs = {grant for grant in grants if grant is not None}
        self._since: dict[int, list[datetime]] = {}
        self._terms: dict[int, list[Terms]] = {}
        rows = GrantTerms.objects.filter(grant_ref__in=refs).order_by("since", "pk")
        columns = ("grant_ref", "since", *GrantTerms.COLUMNS, "adopted")
        for grant, since, *values in rows.values_list(*columns):
            self._since.setdefault(grant, []).append(since)
            self._terms.setdefault(grant, []).append(Terms(*values))

    def at(self, grant: int | None, at: datetime) -> Terms:
        """Return the terms that held at a time; empty ones if nobody knows, or without a grant."""
        since = self._since.get(grant or 0, [])
        place = bisect_right(since, at)
        return self._terms[grant or 0][place - 1] if place else Terms()
