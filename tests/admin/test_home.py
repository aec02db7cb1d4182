"""The first page of each role: what waits for it. The operators' page."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import mantra
from dataservices.models import DataOperation, SourceState
from mantra.health import checks
from mantra.health.checks import disk
from mantra.home import cards as home_cards
from mantra.navigation import GROUPS
from proxyservices.health import prober
from proxyservices.models import ServerState
from registry import leader
from registry.journal.heartbeat import Heartbeat
from registry.models import (
    AccessKey,
    AccessRequest,
    Agency,
    ApiToken,
    Application,
    Grant,
    Operation,
    OperationVersion,
    RequestedOperation,
    User,
)
from registry.roles import ROLES, WITHOUT_AGENCY
from registry.statistics import rollups
from tests.admin.conftest import MarkedAgency, SignIn, make_user
from tests.cast import Cast
from tests.ended_calls import ended_call

FIRST, SERVER = reverse("admin:index"), reverse("server")


def lines(client: Client) -> dict[str, list[Any]]:
    """Return the lines of the first page by the names of its cards."""
    return {card.name: card.lines for card in client.get(FIRST).context["cards"]}


def texts(found: list[Any]) -> list[str]:
    return [line.text for line in found]


def application_of(agency: Agency) -> Application:
    return Application.objects.create(agency=agency, code="app", title="Aplikasi")


def request(application: Application, operation: Operation) -> AccessRequest:
    """Return an access request of an application for an operation."""
    made = AccessRequest.objects.create(
        application=application, service=operation.service, purpose="Verifikasi",
        requested_by=make_user("Requester", application.agency, "pemohon"),
        expires_at=timezone.now() + timedelta(days=30),
    )  # fmt: skip
    RequestedOperation.objects.create(request=made, application=application, operation_id=operation.pk)
    return made


@pytest.fixture
def busy(marked: MarkedAgency) -> MarkedAgency:
    """An agency in which something of each kind waits. Its operations are published, but for a draft."""
    today, now = timezone.localdate(), timezone.now()
    ill: dict[str, Any] = {"observer": "web:1", "failed_at": now, "since": now}
    Operation.objects.filter(pk__in=(marked.operation.pk, marked.proxy.pk)).update(state="published")
    Operation.objects.filter(pk=marked.proxy.pk).update(state="deprecated", sunset=today + timedelta(days=9))
    DataOperation.objects.create(service=marked.service, source=marked.source, code="baru", sql="SELECT 1 AS satu")
    OperationVersion.objects.create(operation=marked.operation, number=1, definition={}, origin="admin", user="budi")
    Grant.objects.update(valid_until=today)
    AccessKey.objects.update(expires_at=now + timedelta(days=3), last_used_at=now)
    SourceState.objects.create(source=marked.source, reason="refused", failures=3, open=True, **ill)
    ServerState.objects.update(**ill, healthy=False, breaker="open", seen_at=now)
    AccessRequest.objects.all().delete()  # only another agency's waits
    request(application_of(Agency.objects.create(code="lain", name="Instansi Lain")), marked.operation)
    make_user("Provider", None, "tanpa-instansi")
    make_user("Provider", marked.agency, "tanpa-peran").groups.clear()
    rollups.count([ended_call(agency=marked.agency.code, consumer_agency=marked.agency.code)])
    return marked


@pytest.fixture
def reader(busy: MarkedAgency, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Client]:
    monkeypatch.setattr(checks, "SERVER", {})  # the machine that tests may have a full disk
    return lambda role: sign_in(role, None if role in WITHOUT_AGENCY else busy.agency)


OWN, PROXY, SOURCE = "zamrud/zamrud-layanan/zamrud-data", "zamrud/zamrud-layanan/zamrud-proksi", "zamrud/zamrud-sumber"
GRANT = f"zamrud/zamrud-aplikasi → {OWN}"
KEY, APPLICATION = "zamrud/zamrud-aplikasi mtr_zamrud", "zamrud/zamrud-aplikasi"
BACKEND, REQUEST = "zamrud/zamrud-proksi", "lain/app → zamrud/zamrud-layanan"
UNDECLARED = f"{OWN}, kolom zamrud"
USED = ["30 hari: 1 panggilan", "Hari ini: 1 panggilan"]
WAITS: dict[str, dict[str, list[str]]] = {
    "Head": {
        "inbox": [OWN, REQUEST], "usage": USED, "ill": [BACKEND, SOURCE], "ending": [GRANT, KEY, PROXY],
        "undeclared": [UNDECLARED],
    },
    "Provider": {
        "inbox": [OWN, REQUEST], "drafts": ["zamrud/zamrud-layanan/baru", "zamrud/zamrud-layanan/zamrud-cek"],
        "ill": [SOURCE], "usage": USED, "ending": [GRANT, KEY], "published": [OWN], "undeclared": [UNDECLARED],
    },
    "Publisher": {
        "inbox": [], "drafts": ["zamrud/zamrud-layanan/zamrud-cek"], "ill": [BACKEND], "usage": USED,
        "ending": [GRANT, KEY, PROXY], "published": [], "undeclared": [UNDECLARED],
    },
    "Requester": {"requests": [], "jobs": [], "ending": [GRANT, KEY], "applications": [APPLICATION]},
    "Supervisor": {"usage": USED, "ill": [BACKEND, SOURCE], "undecided": [OWN, REQUEST]},
    "Administrator": {
        "incomplete": ["tanpa-peran", "tanpa-instansi"], "ill": [BACKEND, SOURCE], "usage": USED,
        "undecided": [OWN, REQUEST],
    },
}  # fmt: skip


def test_each_role_sees_what_waits_for_it_and_one_click_leads_there(reader: Callable[[str], Client]) -> None:
    assert set(WAITS) == set(ROLES)
    for role, expected in WAITS.items():
        client = reader(role)
        response = client.get(FIRST)
        found = response.context["cards"]
        assert {card.name: sorted(texts(card.lines)) for card in found} == {
            name: sorted(names) for name, names in expected.items()
        }, role
        assert response.context["steps"] == [], role
        for address in {line.url for card in found for line in card.lines}:
            assert client.get(address).status_code == 200, (role, address)


def test_what_ends_first_is_first_with_the_days_left(reader: Callable[[str], Client]) -> None:
    found = lines(reader("Head"))["ending"]
    assert texts(found) == [GRANT, KEY, PROXY]
    assert [str(line.state) for line in found] == ["berakhir hari ini", "3 hari lagi", "9 hari lagi"]
    assert [line.colour for line in found] == ["no", "warn", "mute"]


def test_what_ended_or_ends_later_is_not_listed(busy: MarkedAgency, reader: Callable[[str], Client]) -> None:
    today = timezone.localdate()
    for day in (today - timedelta(days=1), today + timedelta(days=31)):
        Grant.objects.update(valid_until=day)
        assert GRANT not in texts(lines(reader("Requester"))["ending"])
    Grant.objects.update(valid_until=today, state="revoked")
    AccessKey.objects.update(revoked_at=timezone.now())
    assert lines(reader("Requester"))["ending"] == []


def test_ones_own_token_that_expires_is_listed(busy: MarkedAgency, sign_in: SignIn) -> None:
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    client = Client()
    client.force_login(busy.user)
    assert "mtr_zamrudt" in texts(lines(client)["ending"])
    other = sign_in("Provider", busy.agency, username="lain")
    assert "mtr_zamrudt" not in texts(lines(other)["ending"])


def test_a_card_has_ten_lines_and_a_link_to_all(busy: MarkedAgency, reader: Callable[[str], Client]) -> None:
    for number in range(12):
        DataOperation.objects.create(service=busy.service, source=busy.source, code=f"d{number}", sql="SELECT 1 AS x")
    response = reader("Provider").get(FIRST)
    drafts = next(card for card in response.context["cards"] if card.name == "drafts")
    assert len(drafts.lines) == home_cards.MOST == 10
    assert drafts.lines[0].text.endswith("/d11")
    assert drafts.links[0].url == reverse("admin:registry_operation_changelist")


def test_a_draft_beside_a_published_operation_leads_to_the_operations_page(
    busy: MarkedAgency, reader: Callable[[str], Client]
) -> None:
    busy.operation.refresh_from_db()
    DataOperation.objects.filter(code="baru").update(draft_of=busy.operation.pk, state="published")
    address = reverse("admin:dataservices_dataoperation_change", args=(busy.operation.pk,))
    [line] = [line for line in lines(reader("Provider"))["drafts"] if line.url == address]
    assert str(line.state) == "menunggu orang kedua"


def test_an_application_without_a_key_leads_to_its_first_key(
    busy: MarkedAgency, reader: Callable[[str], Client]
) -> None:
    new = Application.objects.create(agency=busy.agency, code="baru", title="Baru")
    client = reader("Requester")
    first, second = lines(client)["applications"]
    assert (first.text, str(first.state)) == ("zamrud/baru", "tanpa kunci")
    assert client.get(first.url).context["adminform"].form.initial["application"] == str(new.pk)
    assert "panggilan terakhir" in second.note


def test_times_are_those_of_the_offices(busy: MarkedAgency, reader: Callable[[str], Client]) -> None:
    AccessRequest.objects.update(requested_at=datetime(2026, 1, 1, 20, tzinfo=UTC))
    notes = [line.note for line in lines(reader("Provider"))["inbox"]]
    assert any("02-01-2026 03.00" in note for note in notes), notes


def test_the_menu_has_each_page_once() -> None:
    pages = [item.page for _title, items in GROUPS for item in items]
    assert len(pages) == len(set(pages))


def trails(client: Client) -> list[list[tuple[str, bool]]]:
    return [[(str(stage.text), stage.done) for stage in line.trail] for line in lines(client)["requests"]]


def test_a_requester_follows_a_request_to_the_first_call(busy: MarkedAgency, sign_in: SignIn) -> None:
    made = AccessRequest.objects.get()
    client = sign_in("Requester", made.application.agency)
    decided = {"decided_at": timezone.now()}
    ahead = [("kunci akses", False), ("panggilan pertama", False)]
    for state, columns, expected in (
        ("submitted", {}, [("diperiksa", False), ("keputusan", False), *ahead]),
        ("returned", {}, [("diperiksa", True), ("keputusan", False), *ahead]),
        ("approved", decided, [("diperiksa", True), ("disetujui", True), *ahead]),
        ("rejected", decided, [("diperiksa", True), ("ditolak", True)]),
        ("withdrawn", decided, [("ditarik", True)]),
    ):
        AccessRequest.objects.update(state=state, **columns)
        assert trails(client) == [[("diajukan", True), *expected]], state
    AccessRequest.objects.update(state="partly_approved")
    [line] = lines(client)["requests"]
    assert line.url == reverse("admin:registry_accessrequest_change", args=(made.pk,))  # there the key is issued
    key, _plain = AccessKey.issue(made.application)
    assert trails(client)[0][-2:] == [("kunci akses", True), ("panggilan pertama", False)]
    AccessKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    assert trails(client)[0][-1] == ("panggilan pertama", True)
    assert lines(sign_in("Requester", busy.agency))["requests"] == []


def test_the_supervisors_page_offers_no_writing(reader: Callable[[str], Client]) -> None:
    response = reader("Supervisor").get(FIRST)
    assert response.context["start"] is None
    assert not [line for card in response.context["cards"] for line in card.lines if "/add/" in line.url]


def test_first_steps_of_a_new_agency_go_away_when_they_are_done(cast: Cast, sign_in: SignIn) -> None:
    new = Agency.objects.create(code="baru", name="Instansi Baru")
    for role, number in (("Provider", 4), ("Publisher", 4), ("Requester", 2)):
        context = sign_in(role, new).get(FIRST).context
        assert [step.done for step in context["steps"]] == [False] * number, role
        assert context["cards"] == [], role
    assert sign_in("Provider", cast.provider).get(FIRST).context["steps"] == []
    Application.objects.create(agency=new, code="app", title="Aplikasi")
    assert [step.done for step in sign_in("Requester", new).get(FIRST).context["steps"]] == [True, False]


def test_an_empty_bus_shows_its_administrator_where_to_begin(sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    page = client.get(FIRST)
    assert len(page.context["steps"]) == 10
    assert "Langkah pertama" in page.content.decode()


def test_who_has_no_role_is_told_whom_to_ask(stranger: Agency) -> None:
    user = User.objects.create(username="baru", agency=stranger, is_staff=True)
    client = Client()
    client.force_login(user)
    assert "belum mempunyai peran" in client.get(FIRST).content.decode()
    user.groups.set([Group.objects.get(name="Requester")])
    assert "belum mempunyai peran" not in client.get(FIRST).content.decode()


# ------------------------------------------------------------------------------------- the operators' page


def test_the_operators_page_is_for_administrators(sign_in: SignIn, stranger: Agency) -> None:
    page = sign_in("Administrator").get(SERVER).content.decode()
    for text in ("PostgreSQL", "Oracle", mantra.VERSION, str(settings.JOURNAL_DIR), "Administrasi server"):
        assert text in page, text
    for role in ("Supervisor", "Head", "Provider", "Requester"):
        client = sign_in(role, None if role in WITHOUT_AGENCY else stranger)
        assert client.get(SERVER).status_code == 403
        assert SERVER not in client.get(FIRST).content.decode()


def test_the_operators_page_says_how_far_the_history_is_behind(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Administrator")
    assert cast.get("satu", "id=7").status == 200
    page = client.get(SERVER).content.decode()
    assert re.search(r"\d+\sbyte dalam 1 berkas", page)
    assert "tidak berjalan" in page
    with leader.only_one_in(Path(settings.JOURNAL_DIR), "ship") as alone:
        assert alone
        Heartbeat().write()
        prober.heartbeat_file().touch()
        assert "tidak berjalan" not in client.get(SERVER).content.decode()


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, sign_in: SignIn) -> None:
    monkeypatch.setattr(disk, "FREE", 1.1)
    assert "perbesar disk" in sign_in("Administrator").get(SERVER).content.decode()


def test_the_version_is_that_of_the_package() -> None:
    package = tomllib.loads((Path(settings.BASE_DIR) / "pyproject.toml").read_text())["project"]
    assert package["version"] == mantra.VERSION
