"""The outbox and a mail server: what arrives, what waits, what is given up, and what nobody is shown."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from registry import requests
from registry.models import Event, Grant, OutboxMessage, User
from registry.notifications import mail, notify, outbox
from registry.notifications.problems import PROBLEMS, Scope, sentence
from registry.notifications.testing import send_test
from tests.admin.conftest import make_user
from tests.cast import Cast
from tests.notifications.conftest import use
from tests.servers import mail as mail_servers
from tests.servers.certificates import Authority
from tests.servers.mail import MailServer


def states() -> list[tuple[str, str, int]]:
    return list(OutboxMessage.objects.order_by("pk").values_list("state", "problem", "attempts"))


def clock(moment: datetime) -> Any:
    """A clock that stands still."""
    return lambda: moment


def in_minutes(minutes: float) -> Any:
    """A clock that shows the time then."""
    return lambda: timezone.now() + timedelta(minutes=minutes)


def to(server: MailServer) -> list[str]:
    return [str(each["To"]) for each in server.taken]


def test_it_works(mail_server: MailServer, sari: User, budi: User) -> None:
    notify(
        Event.GRANT_REVOKED, [sari, budi], url="/catalog/prov/data/satu", operation="Penduduk", application="kons/app"
    )
    assert outbox.send_due().sent == 2
    assert states() == [("sent", "", 1)] * 2
    first, second = mail_server.taken
    assert (first["To"], first["From"]) == ("sari@kons.go.id", "MANTRA Uji <bus@contoh.go.id>")
    assert first["Subject"] == "Izin untuk Penduduk dicabut"
    assert second["Subject"] == "The grant for Penduduk is revoked"
    assert (first["Content-Language"], second["Content-Language"]) == ("id", "en")
    assert first["List-Unsubscribe"] == "<https://bus.contoh.go.id/admin/notifications/choices/>"
    assert first["Message-ID"].endswith("@contoh.go.id>")
    body = first.get_content()
    assert "https://bus.contoh.go.id/catalog/prov/data/satu" in body
    assert "https://bus.contoh.go.id/admin/notifications/choices/" in body
    assert mail_server.sessions == 1
    assert outbox.send_due().sent == 0


def test_messages_arrive_in_the_order_of_their_events(mail_server: MailServer, sari: User) -> None:
    for number in range(5):
        notify(Event.OPERATION_RETIRED, [sari], operation=f"op{number}")
    outbox.send_due()
    assert [each["Subject"].split()[0] for each in mail_server.taken] == [f"op{number}" for number in range(5)]


# ------------------------------------------------------------------------------- what the server refuses


def test_a_refused_recipient_is_final_and_stops_no_other(mail_server: MailServer, sari: User, budi: User) -> None:
    mail_server.refuse("sari@kons.go.id", "550 5.1.1 sari@kons.go.id tidak dikenal di server rahasia")
    notify(Event.GRANT_REVOKED, [sari, budi])
    assert outbox.send_due() == outbox.Round(sent=1)
    assert states() == [("failed", "recipient", 1), ("sent", "", 1)]
    assert OutboxMessage.objects.get(user=sari).code == 550
    assert to(mail_server) == ["budi@kons.go.id"]
    assert all("rahasia" not in str(value) for row in OutboxMessage.objects.values() for value in row.values())


def test_what_is_refused_for_now_is_tried_again_with_growing_pauses(mail_server: MailServer, sari: User) -> None:
    mail_server.refuse("rcpt", "450 4.2.1 kotak penuh")
    notify(Event.GRANT_REVOKED, [sari])
    waited = []
    moment = timezone.now()
    for _attempt in range(7):
        assert outbox.send_due(now=clock(moment)).sent == 0
        row = OutboxMessage.objects.get()
        assert (row.state, row.problem, row.code) == ("waiting", "recipient-later", 450)
        assert outbox.send_due(now=clock(row.due_at - timedelta(seconds=1))).sent == 0
        waited.append(round((row.due_at - moment).total_seconds() / 60))
        moment = row.due_at
    assert waited == [1, 5, 15, 60, 180, 360, 360]
    assert OutboxMessage.objects.get().attempts == 7
    mail_server.reply.clear()
    assert outbox.send_due(now=clock(moment)).sent == 1
    assert OutboxMessage.objects.get().problem == ""


def test_a_message_that_is_too_old_is_given_up(mail_server: MailServer, sari: User) -> None:
    mail_server.refuse("rcpt", "450 nanti")
    notify(Event.GRANT_REVOKED, [sari])
    outbox.send_due()
    outbox.send_due(now=in_minutes(settings.MAIL_DAYS * 24 * 60 + 1))
    assert states() == [("failed", "too-old", 1)]


def test_an_unwanted_message_is_final(mail_server: MailServer, sari: User) -> None:
    mail_server.refuse("data", "554 5.7.1 spam")
    notify(Event.GRANT_REVOKED, [sari])
    outbox.send_due()
    assert states() == [("failed", "content", 1)]


# ------------------------------------------------------------------------------- a server that is away


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as made:
        port: int = made.getsockname()[1]
    return port


def test_while_the_server_is_away_the_outbox_waits_in_its_order(
    mail_server: MailServer, sari: User, budi: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(Event.GRANT_REVOKED, [sari, budi])
    monkeypatch.setattr(settings, "SMTP_PORT", free_port())
    assert outbox.send_due() == outbox.Round(0, "refused")
    assert states() == [("waiting", "refused", 0), ("waiting", "", 0)]
    monkeypatch.setattr(settings, "SMTP_PORT", mail_server.port)
    assert outbox.send_due().sent == 2
    assert to(mail_server) == ["sari@kons.go.id", "budi@kons.go.id"]


def test_requests_go_on_without_the_mail_server_and_their_mails_arrive_later(
    mail_server: MailServer, cast: Cast, sari: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = make_user("Provider", cast.provider, "ani", email="ani@prov.go.id")
    Grant.objects.all().delete()
    monkeypatch.setattr(settings, "SMTP_PORT", free_port())
    row = requests.submit(sari, requests.Wanted(cast.application, {cast.operations["satu"]: ()}, "Verifikasi"))
    assert outbox.send_due().problem == "refused"
    seen = {item.pk: requests.mark(item) for item in requests.items_of(row)}
    requests.approve(row, provider, seen)
    assert outbox.send_due().problem == "refused"
    assert Grant.objects.get().application == cast.application
    monkeypatch.setattr(settings, "SMTP_PORT", mail_server.port)
    assert outbox.send_due().sent == 2
    assert to(mail_server) == ["ani@prov.go.id", "sari@kons.go.id"]


@pytest.mark.parametrize(
    "step, reply, problem",
    [
        ("mail", "550 5.7.1 bus@contoh.go.id ditolak", "sender"),
        ("mail", "451 sibuk", "busy"),
        ("rcpt", "421 tutup", "busy"),
    ],
)
def test_what_concerns_all_messages_stops_the_round(
    mail_server: MailServer, sari: User, step: str, reply: str, problem: str
) -> None:
    mail_server.refuse(step, reply)
    notify(Event.GRANT_REVOKED, [sari])
    notify(Event.GRANT_REVOKED, [sari])
    assert outbox.send_due() == outbox.Round(0, problem)
    assert states() == [("waiting", problem, 0), ("waiting", "", 0)]


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
def test_a_slow_server_is_left(mail_server: MailServer, sari: User, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SMTP_SECONDS", 0.1)
    mail_server.refuse(step, "slow")
    notify(Event.GRANT_REVOKED, [sari])
    assert outbox.send_due() == outbox.Round(0, "slow")
    assert states() == [("waiting", "slow", 0)]


def test_a_server_that_trickles_is_left(sari: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes within the time limit of a read, but the greeting never ends."""
    import threading

    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        connection, _address = listening.accept()
        with connection:
            while not stop.wait(0.02):
                try:
                    connection.send(b"2")
                except OSError:
                    return

    thread = threading.Thread(target=trickle)
    thread.start()
    use(listening.getsockname()[1], monkeypatch, SECONDS=0.1)
    notify(Event.GRANT_REVOKED, [sari])
    try:
        assert outbox.send_due() == outbox.Round(0, "slow")
    finally:
        stop.set()
        thread.join()
        listening.close()


# ------------------------------------------------------------------------------- once


def test_a_process_that_dies_while_sending_loses_nothing(mail_server: MailServer, sari: User) -> None:
    """Its claim ends by itself. Until then no other process takes the message."""
    notify(Event.GRANT_REVOKED, [sari])
    assert outbox._claim(timezone.now()) is not None  # and then it was killed
    assert outbox.send_due().sent == 0
    assert outbox.send_due(now=in_minutes(10)).sent == 1
    assert outbox.send_due(now=in_minutes(20)).sent == 0
    assert len(mail_server.taken) == 1


def test_two_processes_send_each_message_once(mail_server: MailServer, sari: User) -> None:
    for _ in range(6):
        notify(Event.GRANT_REVOKED, [sari])
    other: list[int] = []

    def meanwhile() -> bool:
        if not other:
            other.append(0)
            other.append(outbox.send_due().sent)  # another process becomes leader between two messages
        return True

    sent = outbox.send_due(meanwhile).sent
    assert sent + sum(other) == len(mail_server.taken) == 6


def test_a_round_stops_when_it_must(mail_server: MailServer, sari: User) -> None:
    for _ in range(3):
        notify(Event.GRANT_REVOKED, [sari])
    answers = iter([True, False])
    assert outbox.send_due(lambda: next(answers)).sent == 1
    assert [state for state, _problem, _attempts in states()] == ["sent", "waiting", "waiting"]


def test_what_failed_can_be_sent_again(mail_server: MailServer, sari: User) -> None:
    mail_server.refuse("rcpt", "550 salah")
    notify(Event.GRANT_REVOKED, [sari])
    mail(Event.INVITATION, "baru@kons.go.id", "id", link="https://bus.go.id/x", days=3)
    outbox.send_due()
    mail_server.reply.clear()
    # The invitation's link was cleared: it cannot be sent again.
    assert outbox.retry(OutboxMessage.objects.all(), timezone.now()) == 1
    assert outbox.send_due().sent == 1
    assert OutboxMessage.objects.get(user=None).link == ""


def test_waiting_messages_can_be_sent_at_once(mail_server: MailServer, sari: User, budi: User) -> None:
    mail_server.refuse("sari@kons.go.id", "450 nanti")
    notify(Event.GRANT_REVOKED, [sari])
    outbox.send_due()
    mail_server.reply.clear()
    notify(Event.GRANT_REVOKED, [budi])
    claimed = outbox._claim(timezone.now())
    assert claimed is not None
    assert outbox.wake(OutboxMessage.objects.all(), timezone.now()) == 1  # not the one that is being sent
    assert outbox.send_due().sent == 1


# ------------------------------------------------------------------------------- contents and addresses


def test_an_invitation_carries_its_link_once(mail_server: MailServer, db: None) -> None:
    mail(Event.INVITATION, "baru@kons.go.id", "en", link="https://bus.go.id/undangan/rahasia", agency="Dinas", days=3)
    outbox.send_due()
    [message] = mail_server.taken
    assert "https://bus.go.id/undangan/rahasia" in message.get_content()
    assert "rahasia" not in message["Subject"]
    assert OutboxMessage.objects.get().link == ""


@pytest.mark.parametrize("address", ["", "bukan alamat", "a@b\r\nBcc: jahat@contoh.id", "sari@", "säri@kons.go.id"])
def test_a_bad_address_fails_for_good(mail_server: MailServer, sari: User, address: str) -> None:
    notify(Event.GRANT_REVOKED, [sari])
    User.objects.filter(pk=sari.pk).update(email=address)
    outbox.send_due()
    assert states() == [("failed", "address", 1)]
    assert mail_server.taken == []


def test_who_has_left_gets_nothing_more(mail_server: MailServer, sari: User) -> None:
    notify(Event.GRANT_REVOKED, [sari])
    User.objects.filter(pk=sari.pk).update(is_active=False)
    outbox.send_due()
    assert states() == [("failed", "gone", 1)]


def test_no_value_adds_a_header_or_breaks_a_line(mail_server: MailServer, sari: User) -> None:
    bad = "Penduduk\r\nBcc: jahat@contoh.id\r\n\r\nIsi lain\x00\x1b[31m"
    notify(Event.GRANT_REVOKED, [sari], operation=bad, application="é" * 500)
    assert outbox.send_due().sent == 1
    [message] = mail_server.taken
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Izin untuk Penduduk Bcc: jahat@contoh.id Isi lain")
    assert mail_server.envelopes[0].rcpt_tos == ["sari@kons.go.id"]
    raw = mail_server.envelopes[0].original_content
    assert raw is not None
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    raw.decode("ascii")


def test_names_need_not_be_ascii(mail_server: MailServer, sari: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SMTP_FROM", 'Bus "Naïve" 政府 <bus@contoh.go.id>')
    notify(Event.OPERATION_RETIRED, [sari], operation="Kepéndudukan 人口")
    assert outbox.send_due().sent == 1
    [message] = mail_server.taken
    assert "Kepéndudukan 人口" in message["Subject"]
    assert "政府" in message["From"]
    assert mail_server.envelopes[0].mail_from == "bus@contoh.go.id"


def test_without_a_mail_server_no_mail_is_written(sari: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SMTP_HOST", "")
    notify(Event.GRANT_REVOKED, [sari])
    assert states() == []
    assert outbox.send_due() == outbox.Round()


# ------------------------------------------------------------------------------- the test, and its diagnosis


def test_a_test_says_that_it_was_taken(mail_server: MailServer) -> None:
    found = send_test("sari@kons.go.id")
    assert found.ok
    assert to(mail_server) == ["sari@kons.go.id"]


@pytest.mark.parametrize(
    "step, reply, problem",
    [("rcpt", "550 x", "recipient"), ("rcpt", "450 x", "recipient-later"), ("mail", "550 x", "sender")],
)
def test_a_test_says_what_was_refused(mail_server: MailServer, step: str, reply: str, problem: str) -> None:
    mail_server.refuse(step, reply)
    found = send_test("sari@kons.go.id")
    assert not found.ok
    assert found.text.startswith(sentence(problem))
    assert reply[:3] in found.text


@pytest.mark.parametrize(
    "more, problem",
    [
        ({"HOST": ""}, "not-configured"),
        ({"HOST": "tidak-ada.invalid"}, "dns"),
        ({"TLS": "starttls"}, "no-starttls"),
        ({"TLS": "tls"}, "tls"),
        ({"TLS": "tls", "CA_FILE": "/tidak/ada"}, "ca-file"),
        ({"USER": "bus", "PASSWORD": "benar"}, "no-sign-in"),
    ],
)
def test_a_test_names_the_setting(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], problem: str
) -> None:
    use(mail_server.port, monkeypatch, **more)
    assert send_test("sari@kons.go.id").text == sentence(problem)


def test_tls_is_checked_and_the_password_sent_within_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("127.0.0.1"))
    server = mail_servers.start(
        tls_context=context, require_starttls=True, auth_required=True, authenticator=mail_servers.authenticator
    )
    try:
        right = {"TLS": "starttls", "CA_FILE": str(authority.file), "USER": "bus", "PASSWORD": "benar"}
        use(server.port, monkeypatch, **right)
        assert send_test("sari@kons.go.id").ok
        for wrong, problem in (({"PASSWORD": "salah"}, "sign-in"), ({"CA_FILE": ""}, "certificate")):
            use(server.port, monkeypatch, **{**right, **wrong})
            assert send_test("sari@kons.go.id").text.startswith(sentence(problem))
        assert len(server.taken) == 1
    finally:
        server.stop()


def test_a_test_names_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    use(free_port(), monkeypatch)
    assert send_test("sari@kons.go.id").text == sentence("refused")


def test_every_problem_has_a_next_step_and_a_scope() -> None:
    for key, problem in PROBLEMS.items():
        assert len(key) <= 40
        assert sentence(key).endswith(".")
        assert problem.scope in Scope
