"""The call history as a file: the same calls as on its page, for the same user."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import openpyxl
import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from mantra.exports import history, sheets
from registry.exports import start
from registry.models import Agency, CallRecord, ExportJob, User
from tests.admin.conftest import make_user
from tests.exports.conftest import FIRST, Record, content, work


def exported(user: User, format: str = "csv", language: str = "en", **filters: str) -> ExportJob:
    job = start(user, "history", {"query": urlencode(filters)}, format=format, language=language)
    work()
    return job


def lines(job: ExportJob) -> list[dict[str, str]]:
    text = content(job).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def ids(job: ExportJob) -> list[str]:
    return [line["request id"] for line in lines(job)]


def test_it_works(rini: User, record: Record) -> None:
    record(classification="specific")
    record(outcome=10002, status=404, rows=None, duration_us=2500)
    job = exported(rini)
    first, second = lines(job)
    assert (first["outcome"], first["HTTP status"], first["duration (ms)"]) == ("10002", "404", "2.5")
    assert first["meaning"].startswith("No such operation")
    assert second["time"] == "2026-10-05T09:00:00.000+07:00"
    assert (second["agency"], second["application"], second["rows"]) == ("prov", "app", "1")
    assert (second["classification"], first["classification"]) == ("specific personal data", "")
    assert (job.rows, job.percent, job.size) == (2, 100, len(content(job)))


def shown(user: User, filters: dict[str, str]) -> list[CallRecord]:
    """The calls on the history's page, which is not drawn."""
    request = RequestFactory().get("/", filters)
    request.user = user
    found: list[CallRecord] = site.get_model_admin(CallRecord).changelist_view(request).context_data["cl"].result_list
    return found


def test_it_has_the_calls_that_the_page_shows(rini: User, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """The own agency's only, by the same filters, across slices, also of calls at the same moment."""
    monkeypatch.setattr(history, "SLICE", 2)
    for number in range(5):
        record(started_at=FIRST + timedelta(minutes=number // 3))
    record(outcome=10002, status=404)
    record(agency="lain", consumer_agency="asing")
    for filters in (
        {},
        {"outcome_is": "ok"},
        {"of_application": "kons/app"},
        {"q": f"{3:032x}"},
        {"of_agency": "lain"},
    ):
        page = shown(rini, filters)
        assert ids(exported(rini, **filters)) == [each.request_id for each in page], filters
    supervisor = make_user("Supervisor", username="pengawas")
    assert len(ids(exported(supervisor))) == 7


def test_a_slice_costs_one_query_however_far_it_is(rini: User, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    for _number in range(8):
        record()
    numbers = []
    for size in (8, 4, 2):
        monkeypatch.setattr(history, "SLICE", size)
        with CaptureQueriesContext(connection) as captured:
            exported(rini)
        numbers.append(len([each for each in captured if "callrecord" in each["sql"] and "OFFSET" not in each["sql"]]))
    assert (numbers[1] - numbers[0], numbers[2] - numbers[1]) == (1, 2)


def test_people_and_sources_are_named_to_their_own_agency_only(rini: User, record: Record) -> None:
    """Who tried out an operation is for the caller's agency, where its data is for the provider's."""
    consumer = Agency.objects.create(code="kons", name="Konsumen")
    budi = make_user("Head", consumer, "budi")
    record(user="siti", protocol="tryout", origin="siak")
    [provider], [caller] = lines(exported(rini)), lines(exported(budi))
    assert (provider["user"], provider["source or backend"]) == ("", "siak")
    assert (caller["user"], caller["source or backend"]) == ("siti", "")


def test_no_cell_is_a_formula(rini: User, record: Record) -> None:
    evil = "=HYPERLINK(0)"
    record(parameters=evil, operation="-2+3", fields=" @SUM(1)", user="\tx", consumer_agency="")
    [line] = lines(exported(rini))
    assert [line[name][0] for name in ("parameters (names)", "operation", "fields", "user")] == ["'"] * 4
    book = openpyxl.load_workbook(io.BytesIO(content(exported(rini, "xlsx"))))
    cells = {cell.value: cell.data_type for row in book.active.iter_rows() for cell in row}
    assert cells[evil] == "s" and cells["-2+3"] == "s"


def test_a_workbook_has_times_and_numbers(rini: User, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "SHEET_ROWS", 2)
    for _number in range(3):
        record()
    book = openpyxl.load_workbook(io.BytesIO(content(exported(rini, "xlsx", "id"))))
    first, second = book.worksheets
    rows: list[Any] = list(first.iter_rows(values_only=True))
    assert rows[0][:2] == ("waktu", "nomor permintaan")
    assert rows[2][0].isoformat() == "2026-10-05T09:01:00"
    assert (len(rows), second.max_row, rows[1][-2]) == (3, 2, 1.5)


def test_a_large_one_ends_with_what_to_do(rini: User, record: Record, settings: Any) -> None:
    record()
    settings.MAX_EXPORT_BYTES = 300
    for format in ("csv", "xlsx"):
        job = exported(rini, format)
        job.refresh_from_db()
        assert (job.state, job.problem) == ("failed", "too-large")
    assert list(settings.EXPORT_DIR.iterdir()) == []
