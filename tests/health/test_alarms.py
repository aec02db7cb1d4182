"""Administrators are notified of the server's own troubles: once, when they begin and when they are over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings

from mantra.health import alarms, checks
from mantra.health.findings import Finding, State
from registry import leader
from registry.journal import heartbeat
from registry.journal.heartbeat import Heartbeat
from registry.models import LeaderLock, Notification, OutboxMessage, User
from registry.notifications import health, outbox
from registry.notifications.messenger import Messenger
from tests.admin.conftest import make_user
from tests.servers.mail import MailServer

pytestmark = pytest.mark.django_db

MORNING = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)


@pytest.fixture
def admin() -> User:
    make_user("Supervisor", None, "pengawas")
    return make_user("Administrator", None, "pengurus", email="pengurus@kons.go.id", language="en")


class Server:
    """The states of the server's areas, as a test sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: dict[str, State] = dict.fromkeys(checks.SERVER, "well")
        found = {area: lambda area=area: [Finding(area, area, self.states[area], "")] for area in checks.SERVER}
        monkeypatch.setattr(checks, "SERVER", found)
        monkeypatch.setattr(alarms, "SERVER", found)

    def look(self, minutes: float) -> int:
        return health.report(MORNING + timedelta(minutes=minutes))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def said() -> list[tuple[str, str, str]]:
    rows = Notification.objects.order_by("pk")
    return [(row.user.username, row.event, row.context["area"]) for row in rows]


def test_an_alarm_has_a_beginning_and_an_end(server: Server, admin: User) -> None:
    assert server.look(0) == 0
    server.states["worker"] = "ill"
    assert [server.look(minutes) for minutes in (1, 2, 4, 30)] == [0, 0, 1, 0]
    server.states["worker"] = "well"
    assert [server.look(minutes) for minutes in (31, 33, 37, 60)] == [0, 0, 1, 0]
    assert said() == [("pengurus", "server_ill", "worker"), ("pengurus", "server_well", "worker")]
    assert Notification.objects.order_by("pk")[0].url == "/admin/health/"


def test_a_disk_at_its_limit_is_told_once(server: Server, admin: User) -> None:
    for minutes in range(0, 300, 10):
        server.states["disk"] = "warn" if minutes % 20 else "well"
        server.look(minutes)
    assert said() == [("pengurus", "server_ill", "disk")]
    server.states["disk"] = "well"
    server.look(300)
    server.look(300 + 7 * 60)
    assert said()[1:] == [("pengurus", "server_well", "disk")]


def test_a_short_lag_is_no_alarm(server: Server, admin: User) -> None:
    server.states |= {"journal": "warn", "mail": "warn", "snapshot": "ill"}
    assert [server.look(minutes) for minutes in (0, 5, 50)] == [0, 0, 0]


def test_the_message_names_the_area_in_the_readers_language(
    server: Server, admin: User, mail_server: MailServer
) -> None:
    server.states["mail"] = "ill"
    server.look(0)
    server.look(3)
    outbox.send_due()
    [message] = mail_server.taken
    assert message["Subject"] == "The bus needs attention: e-mail is not sent"
    assert "https://bus.contoh.go.id/admin/health/" in message.get_content()


def test_a_web_process_tells_that_the_worker_is_away(admin: User, mail_server: MailServer) -> None:
    now = [100.0]
    Heartbeat().write()
    absent = alarms.Absence(lambda: now[0])
    messenger = Messenger(wanted=absent)
    OutboxMessage.objects.create(user=admin, event="server_ill", context={"area": "disk"})
    now[0] += heartbeat.SILENT + 1
    messenger.round()
    assert not LeaderLock.objects.filter(name="messages").exclude(holder="").exists()  # the worker is there
    (Path(settings.JOURNAL_DIR) / "ship.alive").unlink()
    messenger.round()
    assert not mail_server.taken  # it has been away for a moment only
    now[0] += heartbeat.SILENT + 1
    messenger.round()
    assert messenger.leadership.held
    assert [each["To"] for each in mail_server.taken] == [admin.email]
    Heartbeat().write()
    messenger.round()
    assert not messenger.leadership.held
    assert leader.Leadership("messages").hold()  # the worker takes it at once
