"""The dashboards: their numbers lead to the calls that they count, each reader sees their own, size costs nothing."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.http import Http404
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from python_calamine import CalamineWorkbook

from mantra.statistics import words
from mantra.statistics.figures import Figure
from mantra.statistics.periods import period_of
from mantra.statistics.table import Table
from mantra.statistics.tables import tables_of
from proxyservices.models import Backend
from registry.models import CallRecord, User
from registry.statistics import rollups
from registry.statistics.reading import Period
from registry.statistics.rollups import EndedCall
from tests.admin.conftest import SignIn, make_user
from tests.cast import Cast, assemble
from tests.ended_calls import ended_call

pytestmark = pytest.mark.django_db

HISTORY = reverse("admin:registry_callrecord_changelist")


def moment(days: int, hour: int) -> datetime:
    """Return a moment some days ago."""
    day = timezone.localdate() - timedelta(days=days)
    return timezone.make_aware(datetime.combine(day, time(hour, 20)))


def store(calls: list[EndedCall]) -> None:
    """Count calls and store their records, as the shipping does."""
    rollups.count(calls)
    columns = [field.name for field in CallRecord._meta.fields]
    CallRecord.objects.bulk_create(
        CallRecord(
            request_id=f"{int(call.started_at.timestamp() * 1000):012x}{number:020x}", method="GET",
            **{name: value for name, value in call._asdict().items() if name in columns and name != "subjects"},
        )
        for number, call in enumerate(calls)
    )  # fmt: skip


@pytest.fixture(scope="module")
def called(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Cast]:
    """Thirty calls of two agencies, and five of a third that is nobody's business; once for all tests."""
    with django_db_blocker.unblock(), transaction.atomic():
        cast = assemble()
        _call(cast)
        yield cast
        transaction.set_rollback(True)


def _call(cast: Cast) -> None:
    satu, cari = cast.operations["satu"].pk, cast.operations["cari"].pk
    backend = Backend.objects.create(agency=cast.provider, code="tujuan")
    given: dict[str, Any] = {"origin_ref": cast.source.pk, "operation_ref": satu}
    about = {"classification": "specific", **given}
    calls = [
        ended_call(started_at=moment(1 + number % 9, number % 5), subjects=(f"{number:016x}",), **about)
        for number in range(18)
    ]
    failed = {"outcome": 11201, "status": 502, "rows": None, "operation": "cari", "operation_ref": cari}
    calls += [ended_call(started_at=moment(2, 9), **{**given, **failed}) for _ in range(6)]
    refused = {"outcome": 11101, "status": 400, "rows": None}
    calls += [ended_call(started_at=moment(3, 10), **given, **refused) for _ in range(4)]
    calls += [ended_call(started_at=moment(4, 11), **given, broken=True) for _ in range(2)]
    other = {"agency": "asing", "consumer_agency": "asing", "operation_ref": 99_999, "origin_ref": backend.pk}
    calls += [ended_call(started_at=moment(1, 1), **other) for _ in range(5)]
    calls += [ended_call(started_at=moment(5, 1), **given, protocol="tryout")]  # it is not counted
    store(calls)


def by_name(user: User, kind: str, key: str, period: Period | None = None) -> dict[str, Table]:
    return {table.name: table for table in tables_of(kind, key, period or Period.of(30), user)}


def counted(user: User, address: str) -> int:
    """Return how many calls the page of the history shows at an address."""
    request = RequestFactory().get(address)
    request.user = user
    shown = admin.site.get_model_admin(CallRecord).get_changelist_instance(request)
    return shown.get_queryset(request).count()


#: Each page of the cast: kind → its key.
def keys(cast: Cast) -> dict[str, str]:
    operation = cast.operations["satu"]
    return {
        "agency": "prov", "caller": "kons", "pair": "prov/kons", "service": "prov/data",
        "operation": str(operation.pk), "application": str(cast.application.pk), "source": str(cast.source.pk),
        "backend": str(Backend.objects.get().pk), "bus": "", "matrix": "", "personal_data": "",
    }  # fmt: skip


def address(kind: str, key: str) -> str:
    if kind == "bus":
        return reverse("statistics")
    return reverse(f"statistics_{kind}", args=key.split("/") if key else ())


# ------------------------------------------------------------------------------------------- numbers


def test_the_numbers_are_those_of_the_calls(called: Cast) -> None:
    head = make_user("Head", called.provider)
    found = by_name(head, "agency", "prov")
    summary = dict(row[:2] for row in found["summary"].rows)
    values = list(summary.values())
    assert values[:2] == [30, 100 * 20 / 26]  # what callers did wrong says nothing of the availability
    assert values[2:5] == [6, 4, 2]
    assert values[-3] == 20 and values[-1] == 18  # rows, persons
    assert [row[1] for row in found["ended"].rows] == [18, 4, 6, 0, 2]
    assert [(row[1], row[3]) for row in found["outcomes"].rows][1:] == [(11201, 6), (11101, 4), (200, 2)]
    assert sum(row[1] for row in found["time"].rows) == 30 and len(found["time"].rows) == 30
    assert found["failing"].rows == []  # of six calls nothing can be said
    assert [row[:2] for row in found["operations"].rows] == [("data/satu", 24), ("data/cari", 6)]
    assert [row[:2] for row in found["callers"].rows] == [("kons/app", 30)]
    assert sum(sum(row[1:]) for row in found["hours"].rows) == 30
    assert found["personal_data"].rows == [("specific", "prov", "kons", 18, 18)]


def test_a_number_leads_to_the_calls_that_it_counts(called: Cast) -> None:
    user = make_user("Supervisor")
    #: Table → its column with the number of calls.
    counts = {"ended": 1, "outcomes": 3, "time": 1, "operations": 1, "callers": 1}
    leads = Counter[str]()
    for kind, key in keys(called).items():
        for table in tables_of(kind, key, Period.of(30), user):
            for (line, column), link in table.links.items():
                number = counts.get(table.name)
                if link.startswith(HISTORY) and number is not None and column in (0, number):
                    assert counted(user, link) == table.rows[line][number], (kind, table.name, link)
                    leads[table.name] += 1
    assert set(leads) == set(counts)
    assert by_name(user, "bus", "")["consumers"].links[0, 0] == address("caller", "kons")
    assert by_name(user, "bus", "")["providers"].links[0, 0] == address("agency", "prov")


def test_a_cell_of_the_week_leads_to_its_last_hour(called: Cast) -> None:
    table = by_name(make_user("Head", called.provider), "agency", "prov")["hours"]
    start = moment(2, 9)
    query = dict(parse_qsl(urlsplit(table.links[9, 1 + start.weekday()]).query))
    assert query["started_at__gte"] == timezone.localtime(start).replace(minute=0).isoformat()
    assert query["of_operation"] == "prov/"


def test_a_period_is_compared_with_the_one_before() -> None:
    more = Figure("failed", "Gagal", "number", 120, 100, "less")
    assert (more.arrow, more.trend) == ("▲", "bad")
    assert Figure("calls", "Panggilan", "number", 120, 100).trend == ""
    assert Figure("p95_ms", "Durasi", "ms", 105, 100, "less").trend == ""  # within a class of durations
    assert Figure("availability", "Ketersediaan", "percent", 99.5, 99.0, "more").trend == "good"
    today = Figure("calls", "Panggilan", "number", 3, 100, "more", comparable=False)
    assert (today.change, today.trend, today.arrow) == ("", "", "")
    assert Figure("calls", "Panggilan", "number", 3, 0).change == ""


def test_values_are_written_for_people() -> None:
    assert [words.percent(value) for value in (0, 99.96, 50.04, 100)] == ["0 %", "99,96 %", "50,0 %", "100 %"]
    assert [words.milliseconds(value) for value in (0.66, 12.6, 1560)] == ["0,7 ms", "13 ms", "1,6 s"]
    assert words.number(1234567) == "1.234.567" and words.text_of(None, "ms") == "–"
    assert words.hour(moment(1, 9)) == "09–10"


# --------------------------------------------------------------------------------------------- readers


def test_each_reader_begins_where_they_belong(called: Cast, sign_in: SignIn) -> None:
    start = reverse("statistics")
    led = {
        ("Head", called.provider): address("agency", "prov"),
        ("Requester", called.consumer): address("caller", "kons"),
    }
    for (role, agency), expected in led.items():
        assert sign_in(role, agency).get(f"{start}?days=7")["Location"] == f"{expected}?days=7"
    assert sign_in("Supervisor").get(start).context["scope"].kind == "bus"
    assert sign_in("Head", None, username="tanpa-instansi").get(start).status_code == 403


def test_pages_of_other_agencies_are_not_there(called: Cast, sign_in: SignIn) -> None:
    strangers = sign_in("Head", called.stranger)
    own = {"matrix", "personal_data"}
    for kind, key in keys(called).items():
        if kind not in own and kind != "bus":
            assert strangers.get(address(kind, key)).status_code == 404, kind
    user = User.objects.get(agency=called.stranger)
    for kind in ("matrix", "personal_data"):
        rows = by_name(user, kind, "")[kind].rows
        assert {row[0] for row in rows} <= {"asing"}
    for kind, key in (("bus", ""), ("agency", "tidak-ada"), ("operation", "x"), ("lain", "")):
        with pytest.raises(Http404):
            tables_of(kind, key, Period.of(30), user)
    with pytest.raises(Http404):
        tables_of("bus", "", Period.of(30), AnonymousUser())  # type: ignore[arg-type]


def test_both_sides_see_what_goes_on_between_them(called: Cast, sign_in: SignIn) -> None:
    for agency in (called.provider, called.consumer):
        client = sign_in("Head", agency)
        page = client.get(reverse("statistics_matrix"))
        assert "/admin/statistics/pair/prov/kons/" in page.content.decode()
        assert client.get(address("pair", "prov/kons")).status_code == 200
    assert sign_in("Head", called.consumer).get(address("service", "prov/data")).status_code == 404


def test_a_reader_without_the_right_to_sources_sees_none(called: Cast, sign_in: SignIn) -> None:
    assert sign_in("Requester", called.provider).get(address("source", keys(called)["source"])).status_code == 404


# ---------------------------------------------------------------------------------------------- pages


def test_every_page_shows_its_tables(called: Cast, sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    user = User.objects.get(username="administrator-semua")
    for kind, key in keys(called).items():
        response = client.get(address(kind, key) + "?days=365&all=1")
        text = response.content.decode()
        assert response.status_code == 200 and "no-store" in response["Cache-Control"]
        assert "onclick" not in text and "style=" not in text.split("<main")[1]
        found = by_name(user, kind, key, Period.of(365)) if kind != "backend" else {}
        for name, table in found.items():
            assert f'id="table-{name}"' in text or not table.rows or name == "summary", (kind, name)
        for shown in (*response.context["wide"], *response.context["cards"]):
            for chart in shown.charts:
                assert f'<script id="{chart["id"]}" type="application/json">' in text
    empty = client.get(address("backend", keys(called)["backend"]))
    assert empty.context["is_empty"] and "Tidak ada panggilan dalam periode ini" in empty.content.decode()


def test_what_takes_a_moment_follows_by_itself(called: Cast, sign_in: SignIn) -> None:
    client = sign_in("Head", called.provider)
    page = client.get(address("agency", "prov") + "?days=7").content.decode()
    assert 'hx-get="?days=7&amp;part=further" hx-trigger="load"' in page and 'href="?days=7&amp;all=1"' in page
    assert 'id="table-time"' in page and 'id="table-operations"' not in page
    further = client.get(address("agency", "prov") + "?days=7&part=further").content.decode()
    assert "<html" not in further and 'id="table-operations"' in further and 'id="statistics-attention"' in further


def test_a_period_that_is_not_offered_is_the_usual_one() -> None:
    for days, expected in (("7", 7), ("2", 30), ("²", 30), ("-1", 30), ("9" * 5000, 30), ("", 30)):
        assert period_of(RequestFactory().get("/", {"days": days})).days == expected


def test_what_fails_is_named_first(called: Cast, sign_in: SignIn) -> None:
    store_more = [ended_call(started_at=moment(1, 2), operation="cari", outcome=11201, status=502,
                             operation_ref=called.operations["cari"].pk) for _ in range(20)]  # fmt: skip
    rollups.count(store_more)
    client = sign_in("Head", called.provider)
    (matter,) = client.get(address("agency", "prov") + "?part=further").context["matters"]
    assert (matter.name, matter.colour) == ("data/cari", "no")
    assert "26 dari 26" in matter.text and "outcome_is=failed" in matter.url
    cards = {card.name: card for card in client.get("/admin/").context["cards"]}
    lines = cards["usage"].lines
    assert [line.text for line in lines] == ["Hari ini: 0 panggilan", "30 hari: 50 panggilan", "data/cari"]
    assert "ketersediaan 43,5 %" in str(lines[1].state) and lines[1].colour == "no"
    for before, note in ((25, "naik 100 % daripada 30 hari sebelumnya"), (25, "")):
        rollups.count([ended_call(started_at=moment(40, 1)) for _ in range(before)])
        cards = {card.name: card for card in client.get("/admin/").context["cards"]}
        assert cards["usage"].lines[1].note == note


def test_no_page_costs_more_with_more_to_count(called: Cast, sign_in: SignIn) -> None:
    client = sign_in("Supervisor")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse("statistics") + "?all=1")
        return len(captured)

    queries()
    few = queries()
    rollups.count(
        ended_call(started_at=moment(number % 20, 5), operation=f"o{number}", operation_ref=1000 + number,
                   application=f"a{number}", consumer_agency=f"k{number}", outcome=(200, 11201)[number % 2])
        for number in range(60)
    )  # fmt: skip
    assert queries() == few


def test_rows_lead_to_their_statistics(called: Cast, sign_in: SignIn) -> None:
    client = sign_in("Provider", called.provider)
    pages = {
        "registry_agency": (called.provider.pk, "agency"), "registry_service": (called.service.pk, "service"),
        "dataservices_datasource": (called.source.pk, "source"),
        "proxyservices_backend": (Backend.objects.get().pk, "backend"),
    }  # fmt: skip
    publisher = sign_in("Publisher", called.provider)
    for name, (pk, kind) in pages.items():
        reader = publisher if kind == "backend" else client
        text = reader.get(reverse(f"admin:{name}_change", args=(pk,))).content.decode()
        assert f'href="{address(kind, keys(called)[kind])}"' in text, name
    calls = client.get(reverse("admin:dataservices_dataoperation_calls", args=(called.operations["satu"].pk,)))
    assert address("operation", keys(called)["operation"]) in calls.content.decode()
    application = reverse("admin:registry_application_change", args=(called.application.pk,))
    text = sign_in("Requester", called.consumer).get(application).content.decode()
    assert address("application", keys(called)["application"]) in text


# -------------------------------------------------------------------------------------------- downloads


def test_a_table_is_downloaded_with_its_plain_values(called: Cast, sign_in: SignIn) -> None:
    client = sign_in("Head", called.provider)
    response = client.get(address("agency", "prov") + "?days=30&download=outcomes.csv")
    assert response["Content-Disposition"].startswith('attachment; filename="statistics_agency_prov_outcomes_')
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert rows[0] == ["Hasil", "Kode", "Yang harus bertindak", "Panggilan", "Bagian (%)"]
    assert rows[1] == ["Berhasil", "200", "–", "18", "60.0"]
    today = client.get(address("agency", "prov") + "?days=1&download=time.csv").content.decode("utf-8-sig")
    assert today.splitlines()[1].split(",")[0] == f"{timezone.localdate()}T00:00:00.000+07:00"
    book = CalamineWorkbook.from_filelike(
        io.BytesIO(client.get(address("agency", "prov") + "?download=all.xlsx").content)
    )
    shown = by_name(User.objects.get(username="head-prov"), "agency", "prov")
    assert len(book.sheet_names) == len(shown)
    hours = book.get_sheet_by_index(list(shown).index("time")).to_python()
    assert sum(row[1] for row in hours[1:]) == 30
    for name in ("lain.csv", "all.csv", "time.exe", "", "time"):
        assert client.get(address("agency", "prov"), {"download": name}).status_code == 404
    assert sign_in("Head", called.stranger).get(address("agency", "prov") + "?download=time.csv").status_code == 404


# ------------------------------------------------------------------------------------------------ live


def seen(response: Any) -> Iterator[str]:
    return (line.operation for line in response.context["lines"])


def test_the_latest_calls_are_those_that_the_reader_may_see(called: Cast, sign_in: SignIn) -> None:
    live = reverse("statistics_live")
    head = sign_in("Head", called.consumer)
    response = head.get(live)
    assert set(seen(response)) == {"prov/data/satu", "prov/data/cari"}
    assert 'hx-trigger="every 5s"' in response.content.decode()
    paused = head.get(live + "?paused=1&ill=1")
    assert "every 5s" not in paused.content.decode()
    assert {line.colour for line in paused.context["lines"]} == {"warn", "no"}
    assert len(paused.context["lines"]) == 10
    CallRecord.objects.filter(operation="satu", outcome=200, broken=False).update(status=503)
    assert len(head.get(live + "?ill=1").context["lines"]) == 28  # an upstream's own errors too
    assert set(seen(sign_in("Head", called.stranger).get(live))) == {"asing/data/satu"}
    of_one = {"kind": "operation", "key": keys(called)["operation"]}
    assert set(seen(sign_in("Head", called.provider).get(live, of_one))) == {"prov/data/satu"}
    assert sign_in("Head", called.stranger).get(live, of_one).status_code == 404
