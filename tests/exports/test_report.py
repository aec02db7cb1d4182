"""The monthly report: its numbers, its pages, who gets it and when."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pypdfium2
import pytest
from django.test import Client
from django.utils import timezone

from mantra.exports import monthly, pages
from mantra.exports.report import figures, words
from mantra.statistics.scopes import scope_of
from mantra.statistics.tables import tables_of
from registry.exports import start
from registry.models import (
    AccessKey,
    Agency,
    Application,
    ExportJob,
    Grant,
    Notification,
    NotificationChoice,
    Operation,
    OutboxMessage,
    Service,
    User,
    Way,
)
from registry.notifications import composing
from registry.statistics import rollups
from registry.statistics.reading import Period
from tests.admin.conftest import SignIn, make_user
from tests.ended_calls import ended_call
from tests.exports.conftest import content, work

OCTOBER = date(2026, 10, 1)
#: The first of November, 08.00 in Jakarta.
FIRST_MORNING = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)


def count(number: int, day: datetime = datetime(2026, 10, 14, 3, 0, tzinfo=UTC), **more: Any) -> None:
    rollups.count([ended_call(started_at=day, **more)] * number)


@pytest.fixture(autouse=True)
def calls(agency: Agency) -> None:
    """A month of the agency's: 1,234 calls of its operation, and 10 in the month before."""
    Agency.objects.create(code="kons", name="Dinas Konsumen & Rekan <Kabupaten>")
    count(10, datetime(2026, 9, 30, 3, 0, tzinfo=UTC))
    count(1200, classification="personal", rows=2, duration_us=20_000)
    count(30, outcome=11001, status=401, rows=None)
    count(4, outcome=11201, status=500, rows=None)
    count(7, agency="lain", service="x", operation="y", operation_ref=9, consumer_agency="prov", application="portal")
    count(3, datetime(2026, 10, 31, 17, 0, tzinfo=UTC))  # in Jakarta it is November


def text_of(job: ExportJob) -> list[str]:
    """The text of each page, in one line."""
    document = pypdfium2.PdfDocument(content(job))
    try:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    finally:
        document.close()


def report(user: User, agency: str = "prov", language: str = "id") -> ExportJob:
    job = monthly.begin(user, agency, OCTOBER, language=language)
    work()
    return job


def test_it_works(rini: User, agency: Agency) -> None:
    application = Application.objects.create(agency=agency, code="portal", title="Portal warga")
    key, _plain = AccessKey.issue(application, timezone.now() + timedelta(days=20))
    pages = text_of(report(rini))
    whole = " ".join(pages)
    assert pages[0].startswith("Laporan bulanan Oktober 2026 Dinas Penyedia Dibuat ")
    assert "1.234 panggilan" in pages[0] and "99,67 % ketersediaan" in pages[0]
    assert "Operasi instansi ini dipanggil 1.234 kali. Dibandingkan dengan September 2026." in pages[0]
    assert "Aplikasi instansi ini membuat 7 panggilan." in pages[0]
    assert f"Halaman 1 dari {len(pages)}" in pages[0] and f"Halaman {len(pages)} dari {len(pages)}" in pages[-1]
    assert "Dinas Konsumen & Rekan <Kabupaten> data pribadi 1.200 2.400" in whole
    assert "prov/data/satu 1.234 99,7 %" in whole
    assert key.public in whole and "Portal warga" in whole
    assert "Rab 14 1.234 1.200 30 4 0" in whole


def test_the_title_of_an_operation_that_is_hidden_from_the_agency_is_not_in_it(agency: Agency) -> None:
    """Whoever guesses its address, and is refused, calls it too."""
    other = Service.objects.create(agency=Agency.objects.create(code="lain"), code="x", title="X")
    given = {"service": other, "code": "y", "kind": "data", "state": "published", "listing": "hidden"}
    hidden = Operation.objects.create(pk=9, title="Daftar saksi", **given)
    assert 9 not in figures.gather(agency, OCTOBER).operations
    application = Application.objects.create(agency=agency, code="portal", title="Portal warga")
    Grant.objects.create(application=application, operation=hidden, purpose="uji", state="approved")
    assert figures.gather(agency, OCTOBER).operations[9] == "Daftar saksi"
    Operation.objects.filter(pk=9).update(listing="public")
    Grant.objects.all().delete()
    assert figures.gather(agency, OCTOBER).operations[9] == "Daftar saksi"


def test_it_is_in_the_language_of_its_reader(rini: User) -> None:
    whole = " ".join(text_of(report(rini, language="en")))
    assert "Monthly report October 2026 Dinas Penyedia" in whole and "1,234 calls" in whole
    assert "Page 1 of" in whole and "Laporan" not in whole


def test_a_month_without_calls_says_so(rini: User, agency: Agency) -> None:
    quiet = Agency.objects.create(code="sepi", name="Instansi Sepi")
    head = make_user("Head", quiet, "sepi")
    [page] = text_of(report(head, "sepi"))
    assert "Tidak ada panggilan pada bulan ini dan bulan sebelumnya." in page


def test_every_page_has_ink_and_the_chart_has_its_colours(rini: User) -> None:
    document = pypdfium2.PdfDocument(content(report(rini)))
    try:
        pictures = [page.render(scale=0.5).to_pil().convert("RGB") for page in document]
    finally:
        document.close()
    assert all(len(picture.getcolors(100_000)) > 5 for picture in pictures)
    shown = {colour for picture in pictures for _number, colour in picture.getcolors(100_000)}
    assert {(0x1D, 0x4E, 0xD8), (0x1E, 0x3A, 0x8A)} <= shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (100, "100,00 %"), (99.999, "99,99 %"), (0.001, "0,01 %"), (0, "0,00 %")]
)
def test_only_all_is_written_as_all(value: float | None, shown: str) -> None:
    assert words.percent(value, 2) == shown


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [
        (5, 5, "tetap"),
        (5, 0, "tidak ada sebelumnya"),
        (12480, 11500, "+8,5 %"),
        (0, 40, "-100 %"),
        (1234, 10, "123 kali lipat"),
    ],
)
def test_changes_are_written_in_words(now: int, before: int, shown: str) -> None:
    assert words.change(now, before) == shown


# ----------------------------------------------------------------------------------------- who and when


def test_a_report_is_for_the_agencys_people_and_for_those_who_see_all(rini: User, sign_in: SignIn) -> None:
    stranger = make_user("Head", Agency.objects.get(code="kons"), "orang")
    client = Client()
    client.force_login(stranger)
    refused = client.post("/admin/exports/report/", {"agency": "prov", "month": "2026-10"})
    assert refused.status_code == 400 and "tidak boleh membaca laporannya" in refused.content.decode()
    assert not ExportJob.objects.exists()
    sign_in("Supervisor").post("/admin/exports/report/", {"agency": "PROV", "month": "2026-10"})
    work()
    assert ExportJob.objects.get().state == "done"
    for month in ("2026-13", "1999-01", ""):
        assert client.post("/admin/exports/report/", {"agency": "kons", "month": month}).status_code == 400


def test_who_has_changed_agency_gets_no_report_that_was_begun_before(rini: User) -> None:
    job = monthly.begin(rini, "prov", OCTOBER, language="id")
    rini.agency = Agency.objects.get(code="kons")
    rini.save()
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "denied")


@pytest.fixture
def people(rini: User, agency: Agency) -> dict[str, User]:
    """A head, a provider who wants the report too, one who has not chosen it, and a head who does not want it."""
    found = {
        "rini": rini,
        "wants": make_user("Provider", agency, "wants", email="w@prov.go.id", language="en"),
        "not": make_user("Provider", agency, "not", email="n@prov.go.id"),
        "declines": make_user("Head", agency, "declines", email="d@prov.go.id"),
    }
    NotificationChoice.objects.create(user=found["wants"], event="monthly_report", way=Way.MAIL)
    NotificationChoice.objects.create(user=found["declines"], event="monthly_report", way=Way.NONE)
    return found


def test_on_the_first_those_who_want_it_get_a_link(people: dict[str, User], settings: Any) -> None:
    settings.SMTP_HOST, settings.BASE_URL = "mail.contoh.go.id", "https://bus.contoh.go.id"
    assert monthly.start_due(FIRST_MORNING - timedelta(hours=2)) == 0  # six o'clock: before the digest's hour
    assert monthly.start_due(FIRST_MORNING) == 2
    assert monthly.start_due(FIRST_MORNING + timedelta(days=2)) == 0  # once only
    work()
    jobs = {job.user.username: job for job in ExportJob.objects.all()}
    assert {name: (job.scheduled, job.language, job.state) for name, job in jobs.items()} == {
        "rini": (True, "id", "done"), "wants": (True, "en", "done"),
    }  # fmt: skip
    assert jobs["rini"].expires_at - jobs["rini"].finished_at == timedelta(days=31)
    mails = {row.user.username: composing.compose(row)[0] for row in OutboxMessage.objects.all()}
    assert mails["rini"]["Subject"] == "Laporan bulanan Dinas Penyedia siap: Oktober 2026"
    assert mails["wants"]["Subject"] == "The monthly report of Dinas Penyedia is ready: October 2026"
    body = mails["rini"].get_content()
    assert f"https://bus.contoh.go.id/admin/exports/{jobs['rini'].pk}/" in body and "1.234" not in body
    assert len(mails) == 2


def test_the_link_leads_to_the_report_and_the_bell_is_quiet_then(people: dict[str, User]) -> None:
    monthly.start_due(FIRST_MORNING)
    work()
    client = Client()
    client.force_login(people["rini"])
    [notification] = Notification.objects.filter(user=people["rini"])
    page = client.get(notification.url).content.decode()
    assert "Laporan bulanan Dinas Penyedia, Oktober 2026" in page and "/download/" in page
    notification.refresh_from_db()
    assert notification.read_at is not None


def test_reports_are_not_made_late_in_the_month_nor_without_calls(people: dict[str, User]) -> None:
    assert monthly.start_due(FIRST_MORNING + timedelta(days=7)) == 0  # a bus that was installed on the eighth
    make_user("Head", Agency.objects.create(code="sepi", name="Sepi"), "sepi")
    monthly.start_due(FIRST_MORNING)
    assert not ExportJob.objects.filter(user__username="sepi").exists()


def test_a_head_gets_it_unless_she_chooses_otherwise(rini: User) -> None:
    """The page of choices shows the default of her role, and stores what differs from it."""
    client = Client()
    client.force_login(rini)
    form = client.get("/admin/notifications/choices/").context["form"]
    assert form.initial["monthly_report"] == Way.MAIL
    chosen = {name: form.initial[name] for name in form.fields}
    client.post("/admin/notifications/choices/", chosen)
    assert not rini.notification_choices.exists()
    client.post("/admin/notifications/choices/", {**chosen, "monthly_report": "none"})
    assert list(rini.notification_choices.values_list("event", "way")) == [("monthly_report", "none")]


# ---------------------------------------------------------------------------- pages of the statistics


def test_a_page_of_the_statistics_becomes_a_pdf(rini: User) -> None:
    """The same tables as on the page; from its button to the file."""
    client = Client()
    client.force_login(rini)
    page = client.get("/admin/statistics/agency/prov/?days=365").content.decode()
    assert "Halaman ini sebagai PDF" in page and "/admin/exports/?agency=prov" in page
    started = client.post("/admin/exports/statistics/?days=365", {"kind": "agency", "key": "prov"}, follow=True)
    assert "Statistik: Panggilan ke operasi Dinas Penyedia" in started.content.decode()
    work()
    whole = " ".join(text_of(ExportJob.objects.get()))
    found = tables_of("agency", "prov", Period.of(365), rini)
    for table in found:
        assert not table.rows or str(table.title) in whole, table.name
    assert "satu 1.247" in whole or "data/satu 1.247" in whole


def test_a_page_of_another_agency_does_not(rini: User) -> None:
    client = Client()
    client.force_login(rini)
    for kind, key in (("agency", "kons"), ("bus", ""), ("none", ""), ("operation", "x")):
        assert client.post("/admin/exports/statistics/", {"kind": kind, "key": key}).status_code == 404
    job = start(rini, "statistics", pages.parameters(scope_of("agency", "prov", rini), Period.of(7)), format="pdf")
    rini.agency = Agency.objects.get(code="kons")
    rini.save()
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("failed", "denied")
