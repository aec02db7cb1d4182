"""The public status page: open to everybody, with nothing internal, and cheap however many look."""

from __future__ import annotations

import json
import threading
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mantra.gateway.http import Response
from mantra.status import bus, page, states
from mantra.status.cache import MOST_WAITING, OLD_SECONDS, STATES_SECONDS, StatusCache
from proxyservices.models import Backend, BackendServer, ProxyOperation, ServerState
from registry.models import Operation, Service
from registry.snapshot import holder
from tests.cast import Cast

pytestmark = pytest.mark.django_db


class Page:
    """The page, of a process whose clock a test sets. It reads in the test's own thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.cache = StatusCache(lambda: self.now)
        monkeypatch.setattr(page, "cache", self.cache)
        monkeypatch.setattr("mantra.status.cache.threading.Thread", _Inline)

    def get(self, path: str = "/status/", **environ: str) -> Response:
        query = path.partition("?")[2]
        return page.handle(
            {"REQUEST_METHOD": "GET", "PATH_INFO": path.partition("?")[0], "QUERY_STRING": query, **environ}
        )

    def json(self) -> dict[str, Any]:
        self.now += OLD_SECONDS + 1
        found: dict[str, Any] = json.loads(bytes(self.get("/status/status.json").body))  # type: ignore[arg-type]
        return found

    def text(self, **environ: str) -> str:
        self.now += OLD_SECONDS + 1
        return bytes(self.get(**environ).body).decode()  # type: ignore[arg-type]


class _Inline:
    """A thread that has ended when it was started: the test's database is in this thread."""

    def __init__(self, target: Any, **_more: Any) -> None:
        self.start = target


@pytest.fixture
def status(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr("mantra.status.cache.connection.close", lambda: None)
    Operation.objects.filter(code__in=("satu", "semua")).update(listing="public")
    holder.refresh()
    return Page(monkeypatch)


def proxied(cast: Cast, code: str, **state: Any) -> None:
    """A public service with a proxy operation, whose backend's server has a state."""
    service = Service.objects.create(agency=cast.provider, code=code, title=f"Layanan {code}")
    spare = state.pop("spare", False)
    backend = Backend.objects.create(agency=cast.provider, code=code)
    server = BackendServer.objects.create(backend=backend, url="https://rahasia.prov.go.id/")
    ServerState.objects.create(server=server, observer="web:1", since=timezone.now(), **state)
    if spare:
        other = BackendServer.objects.create(backend=backend, url="https://cadangan.prov.go.id/")
        ServerState.objects.create(server=other, observer="web:1")
    ProxyOperation.objects.create(
        service=service, backend=backend, code="op", state="published", listing="public", style="rest"
    )


def test_it_shows_public_services_with_their_states(status: Page, cast: Cast) -> None:
    proxied(cast, "hidup")
    proxied(cast, "mati", healthy=False, breaker="open", phase="connect", reason="refused")
    proxied(cast, "goyah", healthy=False, spare=True)
    proxied(cast, "hilang", healthy=False)
    found = {each["service"]: each for each in status.json()["services"]}
    assert {code: each["state"] for code, each in found.items()} == {
        "data": "unknown", "hidup": "working", "mati": "down", "goyah": "disturbed", "hilang": "down",
    }  # fmt: skip
    assert found["mati"]["since"]
    Operation.objects.filter(service__code="hidup").update(listing="members")
    Operation.objects.filter(service__code="mati").update(state="retired")
    assert {each["service"] for each in status.json()["services"]} == {"data", "goyah", "hilang"}


def test_nothing_internal_is_shown(status: Page, cast: Cast) -> None:
    proxied(cast, "mati", healthy=False, breaker="open", phase="connect", reason="refused")
    Operation.objects.filter(code="satu").update(title="Data satu", state="deprecated", sunset=date(2031, 5, 6))
    for text in (status.text(), json.dumps(status.json())):
        assert "Layanan mati" in text
        assert "Data satu" in text
        for word in ("rahasia", "refused", "connect", "kons", "prov/uji", "semua"):
            assert word not in text.replace("Content", ""), word
    assert "06-05-2031" in status.text()


def test_the_availability_is_that_of_the_public_operations(status: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def totals(selection: Any, period: Any) -> Any:
        asked.append((selection.operations, period.days))
        return type("Counted", (), {"availability": 99.999 if period.days == 30 else None})

    monkeypatch.setattr("mantra.status.cache.totals", totals)
    [service] = status.json()["services"]
    assert service["availability"] == {"30": 99.99, "90": None}  # not 100: something failed
    public = tuple(Operation.objects.filter(listing="public").order_by("code").values_list("pk", flat=True))
    assert asked == [(public, 30), (public, 90)]
    text = status.text()
    assert "99,99 %" in text
    assert "tidak ada panggilan" in text
    assert len(asked) == 2  # counted anew after some minutes only


def test_many_readers_cost_one_reading(status: Page) -> None:
    status.get()
    with CaptureQueriesContext(connection) as captured:
        bodies = {bytes(status.get().body) for _reader in range(20)}  # type: ignore[arg-type]
    assert (len(captured), len(bodies)) == (0, 1)
    status.now += STATES_SECONDS + 1
    with CaptureQueriesContext(connection) as captured:
        status.get()
    assert 0 < len(captured) < 10


def test_it_shows_what_was_known_while_the_database_is_away(status: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status.json()["stale"] is False

    def away() -> Any:
        raise DatabaseError

    monkeypatch.setattr(states, "services", away)
    monkeypatch.setattr(holder, "failure", lambda: (timezone.now().timestamp(), "OperationalError"))
    found = status.json()
    assert (found["stale"], found["bus"]["state"]) == (True, "disturbed")
    assert [each["service"] for each in found["services"]] == ["data"]
    assert "Status yang lebih baru belum dapat dibaca" in status.text()
    monkeypatch.undo()


def test_a_process_that_never_read_anything_says_so(status: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "services", lambda: (_ for _ in ()).throw(DatabaseError()))
    assert "belum dapat dibaca" in status.text()
    assert status.json()["at"] is None


def test_a_reading_that_hangs_holds_few_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = StatusCache()
    entered, release = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        release.wait(20)

    monkeypatch.setattr(cache, "read", hang)
    readers = [threading.Thread(target=cache.current) for _reader in range(MOST_WAITING + 3)]
    for reader in readers:
        reader.start()
    assert entered.wait(20)
    while sum(reader.is_alive() for reader in readers) > MOST_WAITING:
        threading.Event().wait(0.01)
    release.set()
    for reader in readers:
        reader.join(20)


def test_the_bus_is_down_when_calls_are_refused(status: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "_last", ("unknown", None))
    assert status.json()["bus"] == {"state": "working", "since": None}
    holder.forget()
    down = status.json()["bus"]
    assert down["state"] == "down"
    assert status.json()["bus"] == down
    assert "menolak panggilan" in status.text()


def test_it_speaks_both_languages(status: Page) -> None:
    assert '<html lang="id">' in status.text()
    assert '<html lang="en">' in status.text(HTTP_COOKIE="django_language=en")
    assert '<html lang="en">' in bytes(status.get("/status/?lang=en").body).decode()  # type: ignore[arg-type]
    assert '<html lang="id">' in bytes(status.get("/status/?lang=%ff&lang=xx").body).decode()  # type: ignore[arg-type]


def test_how_it_is_asked(status: Page) -> None:
    assert status.get("/status").headers["Location"] == "/status/"
    assert status.get("/status/rahasia").status == 404
    assert status.get(REQUEST_METHOD="POST").status == 405
    head = status.get(REQUEST_METHOD="HEAD")
    assert head.body == b""
    assert int(head.headers["Content-Length"]) > 1000
    assert "max-age=10" in head.headers["Cache-Control"]


def test_it_is_off_by_default(db: None) -> None:
    from mantra.wsgi import HANDLERS

    assert "status" not in HANDLERS
    assert Client().get("/status/").status_code == 404


def test_a_day_of_retirement_that_is_far_away_is_shown_too(status: Page) -> None:
    Operation.objects.filter(code="satu").update(state="deprecated", sunset=timezone.localdate() + timedelta(days=900))
    [service] = status.json()["services"]
    assert [each["operation"] for each in service["retirements"]] == ["satu"]
