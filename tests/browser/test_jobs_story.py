"""The clerk of Dinas Sosial has her list verified, watches the bar and downloads the result, on a bus with its worker.

It is played at a desk and on a phone. ``-s`` prints clicks, fields and pages; ``SCREENSHOTS=docs/img`` also writes the
pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from python_calamine import CalamineWorkbook

from tests import population
from tests.browser.desk import Desk, counted
from tests.browser.office import Office, PeopledBus, of_environment
from tests.browser.pages import Clerk, wait_for
from tests.servers.postgresql import PostgreSQLServer
from tests.uploads.files import xlsx

#: The clerk's rows: people as the register has them, others with their NIK, numbers that it has not, and no numbers.
PEOPLE, OTHERS, STRANGERS, WRONG = 2000, 15, 20, 5
#: What the clerk gets for each row: never what the register has.
COLUMNS = [
    "baris", "status", "keterangan", "nik", "nama", "tanggal_lahir", "ditemukan", "sesuai", "nama_sesuai",
    "tanggal_lahir_sesuai",
]  # fmt: skip
#: Apart from the register that other stories show, in which nobody finds further tables.
DATABASE = "siak_pelan"
#: A register that takes five milliseconds for each person, so that there is a bar to watch.
_SLOW = """
    CREATE OR REPLACE VIEW penduduk_pelan AS
        SELECT penduduk.* FROM penduduk, LATERAL (SELECT pg_sleep(0.005) WHERE penduduk.nik <> '') AS jeda;
    GRANT SELECT ON penduduk_pelan TO {user};
"""
#: Run within the bus: a verification over the operation with the people, and the grant for it.
_VERIFYING = """
from mantra.verification.models import VerificationOperation, VerifiedField, declare
from registry.models import Application, Grant, Operation

for offering, asking in {offices!r}:
    base = Operation.objects.get(service__agency__code=offering, code="penduduk_by_nik")
    made = VerificationOperation.objects.create(
        service=base.service, base=base, code="cek_penduduk", title="Cek data penduduk", state="published"
    )
    for position, (name, column, rule) in enumerate(
        (("nama", "nama_lengkap", "name"), ("tanggal_lahir", "tanggal_lahir", "date"))
    ):
        VerifiedField.objects.create(operation=made, position=position, name=name, column=column, rule=rule)
    declare(made)
    application = Application.objects.get(agency__code=asking, code="bansos")
    Grant.objects.create(application=application, operation=made, purpose="Penerima beras", quota="100000/day")
"""


@dataclass(frozen=True)
class SocialOffice(Office):
    """An office of social aid, and the office of the population register."""

    @property
    def asking(self) -> str:
        return f"dinsos-{self.size}"

    @property
    def offering(self) -> str:
        return f"disdukcapil-{self.size}"

    def people(self) -> list[tuple[str, str, str]]:
        return [(self.person("siti"), "Requester", self.asking), (self.person("ani"), "Provider", self.offering)]

    def agencies(self) -> list[dict[str, str]]:
        return [
            {"code": self.asking, "name": "Dinas Sosial Kota Pekalongan"},
            {"code": self.offering, "name": "Disdukcapil Kota Pekalongan"},
        ]

    def services(self) -> list[dict[str, Any]]:
        columns = {"nik": "specific", "nama_lengkap": "personal", "tanggal_lahir": "personal"}
        person = {
            "code": "penduduk_by_nik", "kind": "data", "source": "siak", "state": "published",
            "title": "Penduduk menurut NIK", "sql": f"SELECT {', '.join(columns)} FROM penduduk_pelan WHERE nik = :nik",
            "parameters": [
                {"name": "nik", "type": "nik", "subject": True, "description": "Nomor Induk Kependudukan"},
            ],
            "fields": [{"name": name, "classification": each} for name, each in columns.items()],
        }  # fmt: skip
        return [{"agency": self.offering, "code": "kependudukan", "title": "Kependudukan", "operations": [person]}]

    def applications(self) -> list[dict[str, Any]]:
        return [{"agency": self.asking, "code": "bansos", "title": "E-Bansos"}]


OFFICES = (SocialOffice("desktop"), SocialOffice("phone"))


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQLServer) -> Iterator[PeopledBus]:
    """A bus with its worker."""
    source = population.make(postgresql, DATABASE)
    with closing(postgresql.superuser(DATABASE)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(_SLOW.format(user=postgresql.user))
    bundle = {
        "agencies": [agency for office in OFFICES for agency in office.agencies()],
        "sources": [{"agency": office.offering, "code": "siak", **of_environment(source)} for office in OFFICES],
        "services": [service for office in OFFICES for service in office.services()],
        "applications": [application for office in OFFICES for application in office.applications()],
    }
    people = [each for office in OFFICES for each in office.people()]
    made = PeopledBus(tmp_path_factory.mktemp("bus"), source, bundle, people, MANTRA_EMBEDDED="1")
    offices = [(office.offering, office.asking) for office in OFFICES]
    made.manage("shell", "-v", "0", "-c", _VERIFYING.format(offices=offices))
    with made:
        yield made


@pytest.fixture(params=OFFICES, ids=lambda office: office.size)
def desk(request: pytest.FixtureRequest, browser: Browser, bus: PeopledBus) -> Iterator[Desk[PeopledBus]]:
    desk = Desk(browser, bus, request.param)
    yield desk
    desk.leave()


def write_list(folder: Path) -> Path:
    """The clerk's list as she has it: with columns of her own, names in capital letters, and days as people write."""
    numbers = [1 + number % population.PEOPLE for number in range(PEOPLE)]
    people = [(population.nik(n), f"WARGA CONTOH {n}" if n % 2 else f"Warga Contoh {n}", n) for n in numbers]
    people += [(population.nik(n), "Bambang Sutrisno", n) for n in range(1, OTHERS + 1)]
    people += [(population.nik(9000 + n), "Tidak Terdaftar", n) for n in range(STRANGERS)]
    people += [(f"32730{n}", "Salah Tulis", n) for n in range(WRONG)]
    rows = [
        [str(number), name, nik, f"{date(1990, 1, 1) + timedelta(days=n):%d/%m/%Y}", "Jalan Melati"]
        for number, (nik, name, n) in enumerate(people, start=1)
    ]
    path = folder / "Calon penerima beras.xlsx"
    path.write_bytes(xlsx([["No", "Nama", "NIK KTP", "Tgl Lahir", "Alamat"], *rows]))
    return path


def send(desk: Desk[PeopledBus], siti: Clerk, file: Path) -> None:
    """From the first page to a list that is sent."""
    page = siti.page
    desk.look(page)
    siti.click(page.locator("#jobs").get_by_role("link", name="Kirim daftar"))
    desk.look(page)
    siti.click(page.get_by_role("link", name="Cek data penduduk"))
    expect(page.get_by_text("Unduh templat Excel")).to_be_visible()
    desk.look(page, "job-form")
    siti.upload("#id_file", str(file))
    siti.click(page.get_by_role("button", name="Kirim dan periksa"))


def choose_columns(desk: Desk[PeopledBus], siti: Clerk) -> None:
    """Confirm the columns that are proposed. The page asks by itself when the file was read."""
    page = siti.page
    expect(page.get_by_text("Kolom mana untuk parameter mana?")).to_be_visible(timeout=60_000)
    for parameter, column in (("nik", "NIK KTP"), ("nama", "Nama"), ("tanggal_lahir", "Tgl Lahir")):
        expect(page.get_by_label(parameter)).to_have_value(column)
    desk.look(page)
    siti.click(page.get_by_role("button", name="Periksa dengan kolom ini"))


def watch(desk: Desk[PeopledBus], page: Page) -> None:
    """See the bar grow: the page shows it without being loaded again by hand."""
    grows = "() => { const bar = document.querySelector('#job-progress progress'); return bar && bar.value > 0; }"
    wait_for(page, grows, 60)
    seen = page.locator("#job-progress progress").evaluate("bar => bar.value")
    assert 0 < seen < 100
    desk.look(page, "job")


def download(desk: Desk[PeopledBus], siti: Clerk, folder: Path) -> list[list[Any]]:
    """Wait for the end, and return the rows of the file."""
    page = siti.page
    button = page.get_by_role("link", name="Unduh untuk Excel (XLSX)")
    expect(button).to_be_visible(timeout=120_000)
    desk.look(page, "job-result")
    with page.expect_download() as arrived:
        siti.click(button)
    path = folder / "hasil.xlsx"
    arrived.value.save_as(path)
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()


@pytest.mark.timeout(600)
def test_the_clerk_sends_her_list(desk: Desk[PeopledBus], tmp_path: Path) -> None:
    siti = desk.sign_in("siti")
    page = siti.page
    send(desk, siti, write_list(tmp_path))
    choose_columns(desk, siti)
    watch(desk, page)
    header, *rows = download(desk, siti, tmp_path)
    assert header == COLUMNS
    assert Counter((row[1], *row[6:]) for row in rows) == {
        ("ok", True, True, True, True): PEOPLE,
        ("ok", True, False, False, True): OTHERS,
        ("ok", False, False, "", ""): STRANGERS,
        ("invalid", "", "", "", ""): WRONG,
    }
    assert [row[0] for row in rows] == list(range(2, len(rows) + 2))  # each row once, in her order
    shown = page.locator("#job-progress dd").all_inner_texts()
    assert shown[:4] == [f"{PEOPLE + OTHERS:,}".replace(",", "."), str(STRANGERS), "0", str(WRONG)]
    expect(page.locator("#invalid tbody tr")).to_have_count(WRONG)
    assert "Jalan Melati" not in page.content()  # the address was not needed, and went nowhere
    counted("A list of 2,040 rows", desk, siti, clicks=6, fields=3)
    page.goto("/admin/notifications/")
    expect(page.locator(".mantra-notifications li")).to_contain_text(f"{desk.office.asking}/bansos")  # type: ignore[attr-defined]
    page.goto("/admin/jobs/")
    desk.look(page)
    ani = desk.sign_in("ani", "/admin/jobs/")
    expect(ani.page.get_by_role("main")).to_contain_text(f"{desk.office.asking}/bansos")  # type: ignore[attr-defined]
    assert "Calon penerima" not in ani.page.content()
    desk.look(ani.page)
