"""The call history as CSV or an Excel workbook: the calls that the history's page shows with the same filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from mantra.csv_cells import Value
from mantra.exports.sheets import open_sheet
from registry import faults, tenancy
from registry.exports import ExportError, Work
from registry.models import CallRecord, Field, User

#: The records that are read at a time, by key: no query is slower than the first.
SLICE = 2_000
#: Parameters of the page's address that choose no calls.
_NOT_FILTERS = (ORDER_VAR, PAGE_VAR, "all", "_changelist_filters")


def filters(query: QueryDict) -> str:
    """Return the part of the history page's query string that chooses calls."""
    kept = query.copy()
    for name in _NOT_FILTERS:
        kept.pop(name, None)
    return kept.urlencode()


def records(user: User, query: str) -> QuerySet[CallRecord]:
    """Return the calls that the history's page shows to a user with these filters. Raises ExportError.

    The page itself selects them, so that a filter means the same on both.
    """
    request = HttpRequest()
    request.method, request.user, request.GET = "GET", user, QueryDict(query)
    try:
        shown = admin.site.get_model_admin(CallRecord).get_changelist_instance(request)
        found: QuerySet[CallRecord] = shown.get_queryset(request).order_by("-started_at", "-pk")
    except (IncorrectLookupParameters, SuspiciousOperation, ValidationError, ValueError):
        raise ExportError("filter") from None
    return found


def make(work: Work) -> None:
    """Write the calls, the latest first."""
    rows = records(work.user, work.parameters["query"])
    sheet = open_sheet(work, _("Call history"), _columns())
    written = 0
    span = _Span(rows)
    for batch in _slices(rows):
        sheet.write(_line(work.user, record) for record in batch)
        written += len(batch)
        work.progress(written, span.percent(batch[-1]))
    sheet.close()


class _Span:
    """How much of the calls' time has been read. Counting the calls would take as long as reading them."""

    def __init__(self, rows: QuerySet[CallRecord]) -> None:
        times = rows.values_list("started_at", flat=True)
        self._newest, self._oldest = times.first(), times.reverse().first()

    def percent(self, record: CallRecord) -> float:
        """Return the percent that are done with this record."""
        if self._newest is None or self._oldest is None or self._newest == self._oldest:
            return 100.0
        return 100 * ((self._newest - record.started_at) / (self._newest - self._oldest))


def _slices(rows: QuerySet[CallRecord]) -> Iterator[list[CallRecord]]:
    """Yield the records in slices, each found by the key of the last one before it."""
    batch = list(rows[:SLICE])
    while batch:
        yield batch
        at, pk = batch[-1].started_at, batch[-1].pk
        older = Q(started_at__lte=at) & (Q(started_at__lt=at) | Q(pk__lt=pk))
        batch = list(rows.filter(older)[:SLICE])


def _columns() -> list[str]:
    return [
        _("time"), _("request id"), _("protocol"), _("method"), _("agency"), _("service"), _("operation"),
        _("revision"), _("source or backend"), _("caller's agency"), _("application"), _("key"), _("user"),
        _("address"), _("format"), _("parameters (names)"), _("fields"), _("classification"), _("outcome"),
        _("meaning"), _("HTTP status"), _("rows"), _("bytes"), _("duration (ms)"), _("aborted"),
    ]  # fmt: skip


def _line(user: User, record: CallRecord) -> list[Value]:
    """Return a record's cells. Subjects are left out: in bulk, even their hashes tell who was asked for often."""
    return [
        record.started_at, record.request_id, record.protocol, record.method, record.agency, record.service,
        record.operation, record.revision, record.origin if tenancy.may_see_origin(user, record) else "",
        record.consumer_agency, record.application, record.key,
        record.user if tenancy.may_see_person(user, record) else "", record.client_ip, record.format,
        record.parameters, record.fields, _classification(record), record.outcome, _meaning(record), record.status,
        record.rows, record.bytes,
        None if record.duration_us is None else record.duration_us / 1000, _("yes") if record.broken else "",
    ]  # fmt: skip


def _classification(record: CallRecord) -> str:
    """Return the highest class of the data that left."""
    return str(dict(Field.Classification.choices).get(record.classification, record.classification))


def _meaning(record: CallRecord) -> Any:
    kind = faults.TABLE.get(record.outcome)
    return kind.outline(get_language() or "id") if kind else ""
