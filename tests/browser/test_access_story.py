"""The story of an access request, on a bus whose mail goes to a real mail server: find, ask, be approved, call.

It is played at a desk and on a phone; the programs that the requester copies are run as she would run them.
``-s`` prints the clicks, fields, pages and time; ``SCREENSHOTS=docs/img`` also writes the pictures.
"""

from __future__ import annotations

import ast
import json
import logging
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import population
from tests.browser.desk import Desk, counted
from tests.browser.office import Office, PeopledBus, of_environment
from tests.browser.pages import Clerk
from tests.client_code.test_programs import COMMANDS, PATH
from tests.registry.test_agreements import PDF
from tests.servers import mail
from tests.servers.mail import MailServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import wait_until

#: The columns that are granted of those that are requested.
GRANTED = ["nama_lengkap", "tanggal_lahir"]
#: Language → the file in which its program is saved, and the command that runs it.
PROGRAMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **{language: COMMANDS[language] for language in ("curl", "php", "python")},
    "java": ("MantraCall.java", ("java", "-XX:TieredStopAtLevel=1", "MantraCall.java")),
}


@dataclass(frozen=True)
class Town(Office):
    """A town in which an office of social aid asks the office of the population register."""

    name: str
    requester: str
    provider: str

    @property
    def asking(self) -> str:
        return f"dinsos-{self.name.lower()}"

    @property
    def offering(self) -> str:
        return f"disdukcapil-{self.name.lower()}"

    def person(self, name: str) -> str:
        return name

    def people(self) -> list[tuple[str, str, str]]:
        return [(self.requester, "Requester", self.asking), (self.provider, "Provider", self.offering)]

    def agencies(self) -> list[dict[str, str]]:
        return [
            {"code": self.asking, "name": f"Dinas Sosial Kota {self.name}"},
            {"code": self.offering, "name": f"Disdukcapil Kota {self.name}"},
        ]

    def services(self) -> list[dict[str, Any]]:
        columns = {
            "nik": "specific", "nama_lengkap": "personal", "tanggal_lahir": "personal", "pekerjaan": "internal",
        }  # fmt: skip
        penduduk = {
            "code": "penduduk_by_nik", "kind": "data", "source": "siak", "state": "published",
            "title": "Penduduk menurut NIK",
            "description": "Satu penduduk menurut nomor induknya, untuk memeriksa penerima layanan.",
            "sql": f"SELECT {', '.join(columns)} FROM penduduk WHERE nik = :nik",
            "parameters": [{"name": "nik", "type": "nik", "subject": True}],
            "fields": [{"name": name, "classification": each} for name, each in columns.items()],
        }  # fmt: skip
        kecamatan = {
            "code": "kecamatan", "kind": "data", "source": "siak", "state": "published", "title": "Kecamatan",
            "description": "Kode dan nama kecamatan.", "sql": "SELECT kode, nama FROM kecamatan",
            "fields": [{"name": name, "classification": "public"} for name in ("kode", "nama")],
        }  # fmt: skip
        return [
            {
                "agency": self.offering, "code": "kependudukan", "title": "Kependudukan", "tags": "penduduk, NIK",
                "classification": "limited", "operations": [penduduk, kecamatan],
            }
        ]  # fmt: skip


TOWNS = (Town("desktop", "Melati", "sari", "ani"), Town("phone", "Anggrek", "tono", "budi"))


def bundle(source: dict[str, Any]) -> dict[str, Any]:
    return {
        "agencies": [agency for town in TOWNS for agency in town.agencies()],
        "sources": [{"agency": town.offering, "code": "siak", **of_environment(source)} for town in TOWNS],
        "services": [service for town in TOWNS for service in town.services()],
    }


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    server = mail.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bus(
    tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQLServer, mail_server: MailServer
) -> Iterator[PeopledBus]:
    """A bus with its worker, which sends e-mail."""
    source = population.make(postgresql)
    people = [each for town in TOWNS for each in town.people()]
    settings = {
        "MANTRA_SMTP_HOST": "127.0.0.1", "MANTRA_SMTP_PORT": str(mail_server.port), "MANTRA_SMTP_TLS": "off",
        "MANTRA_SMTP_PER_MINUTE": "6000", "MANTRA_EMBEDDED": "1",
    }  # fmt: skip
    made = PeopledBus(tmp_path_factory.mktemp("bus"), source, bundle(source), people, **settings)
    made.environment["MANTRA_BASE_URL"] = made.base  # for the links in e-mail
    with made:
        yield made


@pytest.fixture(params=TOWNS, ids=lambda town: town.size)
def desk(request: pytest.FixtureRequest, browser: Browser, bus: PeopledBus) -> Iterator[Desk[PeopledBus]]:
    desk = Desk(browser, bus, request.param)
    yield desk
    desk.leave()


def link_to(server: MailServer, name: str) -> str:
    """Wait for an e-mail to a person, and return the link that it leads with."""
    found: list[EmailMessage] = []

    def arrived() -> bool:
        found[:] = [each for each in server.taken if str(each["To"]).startswith(f"{name}@")]
        return bool(found)

    wait_until(arrived, 30, f"an e-mail to {name}")
    return str(re.findall(r"http://\S+", found[-1].get_content())[0])


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


# -------------------------------------------------------------------------------------- what people do


def find(desk: Desk[PeopledBus], town: Town, sari: Clerk) -> None:
    """Find the operation of the town by the search of the first page, and read its page."""
    page = sari.page
    desk.look(page)
    sari.fill(".mantra-find input", "penduduk NIK")
    sari.click(page.get_by_role("button", name="Cari di katalog"))
    found = page.locator(".found li", has_text=f"Disdukcapil Kota {town.name}")
    expect(found.first).to_contain_text("Penduduk menurut NIK")
    desk.look(page, "catalogue-search")
    sari.click(found.first.get_by_role("link"))
    expect(page.locator("#columns + .table")).to_contain_text("data pribadi spesifik")
    desk.look(page, "catalogue-operation")


def ask(desk: Desk[PeopledBus], sari: Clerk, agreement: Path) -> None:
    """Request access for an application that is new."""
    page = sari.page
    sari.click(page.get_by_role("link", name="Ajukan permohonan akses"))
    sari.fill("#id_new_title", "E-Bansos")
    sari.fill("#id_purpose", "Verifikasi penerima bantuan sosial")
    sari.fill("#id_legal_basis", "Peraturan Wali Kota 12/2026")
    sari.upload("#id_agreement_file", str(agreement))
    sari.fill("#id_volume", "500")
    expect(page.locator(".operation").first.locator(".columns input:checked")).to_have_count(3)  # not the specific one
    page.evaluate("scrollTo(0, 0)")
    desk.look(page, "request-form")
    sari.click(button(page, "Kirim permohonan"))
    expect(page.get_by_text("Permohonan terkirim.")).to_be_visible()
    desk.look(page)


def approve_part(desk: Desk[PeopledBus], town: Town, link: str) -> Clerk:
    """Follow the link of an e-mail, read the agreement, and grant less than what is requested."""
    ani = desk.sign_in(town.provider, link)
    page = ani.page
    expect(page.get_by_text("Verifikasi penerima bantuan sosial")).to_be_visible()
    desk.look(page)
    file = page.request.get(str(page.get_by_role("link", name="PKS.pdf").get_attribute("href")))
    assert file.body() == PDF
    ani.click(page.get_by_role("link", name="Ke keputusan"))
    ani.click(".mantra-part > summary")
    ani.click(page.get_by_role("checkbox", name="pekerjaan"))
    ani.fill("[name$=quota_0]", "100")
    ani.fill("#part_text", "Pekerjaan tidak diperlukan untuk verifikasi.")
    page.locator(".mantra-part").evaluate("each => each.scrollIntoView()")
    desk.look(page, "request-decision")
    ani.click(button(page, "Setujui sebagian"))
    expect(page.get_by_text("Keputusan: disetujui sebagian.")).to_be_visible()
    return ani


def issue_key(desk: Desk[PeopledBus], sari: Clerk, link: str) -> str:
    """Follow the link of an e-mail and issue the key. Returns it."""
    page = sari.page
    sari.clicks += 1  # on the link
    page.goto(link)
    expect(page.get_by_text("Pekerjaan tidak diperlukan untuk verifikasi.").first).to_be_visible()
    desk.look(page)
    sari.click(button(page, "Terbitkan kunci akses"))
    key = page.locator("#issued").inner_text()
    desk.look(page)
    return key


def copied(sari: Clerk, language: str) -> str:
    """Copy the program of a language, and enter the number of a person."""
    page = sari.page
    part = page.locator(f"#code-{language}")
    if part.get_attribute("open") is None:
        sari.click(part.locator("summary"))
    sari.click(part.get_by_role("button"))
    expect(part.get_by_role("button")).to_have_text("Tersalin")
    text = str(page.evaluate("navigator.clipboard.readText()"))
    example = str(page.locator("#text-curl").text_content()).partition("'nik=")[2].partition("'")[0]
    assert example in text
    return text.replace(example, population.nik(7))


def run(language: str, text: str, folder: Path, key: str) -> str:
    """Save and run a program, with the key where the page says. Returns what it prints."""
    file, words = PROGRAMS[language]
    place = folder / language
    place.mkdir(exist_ok=True)
    (place / file).write_text(text)
    environment = {"PATH": PATH, "HOME": str(place), "LC_ALL": "C.UTF-8", "MANTRA_ACCESS_KEY": key}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout


def row(language: str, printed: str) -> dict[str, str]:
    """Read the one row of what a program printed."""
    if language == "python":
        found = ast.literal_eval(printed)
    else:
        found = json.loads(printed.partition("\nHTTP")[0])
        found = found if language == "php" else found["data"][0]
    assert isinstance(found, dict)
    return found


# ------------------------------------------------------------------------------------------ the story


def test_from_finding_an_operation_to_its_first_answered_call(
    desk: Desk[PeopledBus], mail_server: MailServer, tmp_path: Path
) -> None:
    town = desk.office
    assert isinstance(town, Town)
    agreement = tmp_path / "PKS.pdf"
    agreement.write_bytes(PDF)
    began = time.monotonic()
    sari = desk.sign_in(town.requester)
    page = sari.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    find(desk, town, sari)
    ask(desk, sari, agreement)
    ani = approve_part(desk, town, link_to(mail_server, town.provider))
    counted("approve a part, from the e-mail", desk, ani, 5, 4)

    key = issue_key(desk, sari, link_to(mail_server, town.requester))
    assert key not in page.goto(page.url).text()  # type: ignore[union-attr]
    sari.click(page.get_by_role("link", name="Kode program: Penduduk menurut NIK"))
    expect(page.get_by_text("E-Bansos", exact=False).first).to_be_visible()
    desk.look(page, "client-code")
    program = copied(sari, "curl")
    wait_until(lambda: "Warga Contoh 7" in run("curl", program, tmp_path, key), 30, "the first answer")
    seconds = time.monotonic() - began
    counted(f"from signing in to the first answered call: {seconds:.0f} s", desk, sari, 9, 8)
    assert seconds < 300
    for language in PROGRAMS if town.size == "desktop" else ("curl",):
        printed = run(language, copied(sari, language), tmp_path, key)
        assert row(language, printed) == dict(zip(GRANTED, ("Warga Contoh 7", "1990-01-08"), strict=True)), language
    look_back(desk, sari)
    texts = "".join(each.get_content() for each in mail_server.taken)
    assert not [secret for secret in (key, "Verifikasi", "PKS", population.nik(7)) if secret in texts]


def look_back(desk: Desk[PeopledBus], sari: Clerk) -> None:
    """See the first call in the trail, on the first page and among the notifications."""
    page = sari.page
    page.goto("/admin/notifications/")
    desk.look(page, "notifications")
    page.get_by_role("link", name="Izin diberikan").click()

    def called() -> bool:
        page.reload()
        return page.locator(".mantra-steps li.mantra-hint").count() == 0  # no step is still to come

    wait_until(called, 30, "the first call in the trail")
    expect(page.locator(".mantra-steps li").last).to_contain_text("Panggilan pertama berhasil")
    desk.look(page, "request-trail")
    page.goto("/admin/")
    expect(page.locator("#requests .mantra-passed")).to_have_count(5)
    desk.look(page, "first-page")
