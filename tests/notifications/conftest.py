from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from registry.models import Agency, User
from tests.admin.conftest import make_user
from tests.servers import mail
from tests.servers.mail import MailServer


@pytest.fixture(scope="session")
def shared_mail_server() -> Iterator[MailServer]:
    server = mail.start()
    yield server
    server.stop()


@pytest.fixture
def mail_server(shared_mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> MailServer:
    """A mail server that takes everything, as the bus's."""
    use(shared_mail_server.port, monkeypatch)
    shared_mail_server.taken.clear()
    shared_mail_server.envelopes.clear()
    shared_mail_server.reply.clear()
    shared_mail_server.sessions = 0
    return shared_mail_server


def use(port: int, monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    """Set the bus's mail server."""
    values = {"HOST": "127.0.0.1", "PORT": port, "TLS": "off", "FROM": "MANTRA Uji <bus@contoh.go.id>", **more}
    for name, value in values.items():
        monkeypatch.setattr(settings, f"SMTP_{name}", value)
    monkeypatch.setattr(settings, "BASE_URL", "https://bus.contoh.go.id")


@pytest.fixture
def consumer(db: None) -> Agency:
    """The cast's consumer, if there is a cast."""
    return Agency.objects.get_or_create(code="kons", defaults={"name": "Konsumen"})[0]


@pytest.fixture
def sari(consumer: Agency) -> User:
    return make_user("Requester", consumer, "sari", email="sari@kons.go.id")


@pytest.fixture
def budi(consumer: Agency) -> User:
    return make_user("Requester", consumer, "budi", email="budi@kons.go.id", language="en")
