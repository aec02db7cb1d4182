"""What the worker looks for: digests, ends, illnesses, quotas; and what publishing an operation tells its callers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from dataservices.models import SourceState
from proxyservices.models import Backend, BackendServer, ServerState
from registry import approvals, faults, versions
from registry.models import (
    AccessKey,
    CallRecord,
    Event,
    Illness,
    Notification,
    NotificationChoice,
    OutboxMessage,
    User,
    Way,
)
from registry.notifications import digests, health, notify, outbox, reminders
from registry.notifications.messenger import PAUSES, Messenger, prune
from registry.notifications.quota_alarms import Alarms
from tests.admin.conftest import make_user
from tests.cast import Cast
from tests.servers.mail import MailServer

#: Eight in the morning in Jakarta.
MORNING = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)


def events(user: User) -> list[str]:
    return list(Notification.objects.filter(user=user).order_by("pk").values_list("event", flat=True))


# ------------------------------------------------------------------------------------------ digests


def digest_of(user: User, event: Event, at: datetime, **context: Any) -> None:
    NotificationChoice.objects.get_or_create(user=user, event=event, way=Way.DIGEST)
    notify(event, [user], **context)
    Notification.objects.filter(pk=Notification.objects.order_by("-pk")[0].pk).update(created_at=at)


def test_a_digest_has_what_happened_before_its_hour(mail_server: MailServer, budi: User) -> None:
    digest_of(budi, Event.GRANT_REVOKED, MORNING - timedelta(hours=26), operation="Satu", url="/catalog/a/")
    digest_of(budi, Event.OPERATION_CHANGED, MORNING - timedelta(hours=2), operation="Dua", version=3)
    digest_of(budi, Event.GRANT_REVOKED, MORNING - timedelta(minutes=30), operation="Nanti")
    assert digests.make_due(MORNING - timedelta(hours=2)) == 1  # six o'clock: that of yesterday is due
    assert digests.make_due(MORNING) == 1
    assert digests.make_due(MORNING + timedelta(hours=1)) == 0
    outbox.send_due(now=lambda: MORNING)
    first, second = (each.get_content() for each in mail_server.taken)
    assert "The grant for Satu is revoked" in first
    assert "https://bus.contoh.go.id/catalog/a/" in first
    assert "Dua has changed: version 3" in second
    assert "Nanti" not in first + second
    assert mail_server.taken[0]["Subject"] == "MANTRA: your daily digest"


def test_a_digest_is_bounded(mail_server: MailServer, budi: User) -> None:
    rows = [
        Notification(user=budi, event="operation_retired", for_digest=True, created_at=MORNING - timedelta(days=1))
        for _ in range(60)
    ]
    Notification.objects.bulk_create(rows)
    digests.make_due(MORNING)
    outbox.send_due(now=lambda: MORNING)
    [message] = mail_server.taken
    assert message.get_content().count("is retired") == 50
    assert "and 10 more" in message.get_content()


def test_the_digest_hour_is_that_of_the_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    assert digests.last_hour(MORNING) == datetime(2026, 11, 30, 0, 0, tzinfo=UTC)
    assert digests.last_hour(MORNING - timedelta(hours=2)) == datetime(2026, 11, 29, 0, 0, tzinfo=UTC)
    monkeypatch.setattr(settings, "DIGEST_HOUR", 9)
    assert digests.last_hour(MORNING) == datetime(2026, 11, 29, 2, 0, tzinfo=UTC)


# ------------------------------------------------------------------------------------------ ends


def test_a_grant_that_ends_is_reported_at_30_7_and_1_days(cast: Cast, sari: User) -> None:
    end = timezone.localdate(MORNING) + timedelta(days=31)
    grant = cast.grants["satu"]
    grant.valid_until = end
    grant.save()
    reported = []
    for day in range(33):
        for hour in (0, 1):  # it looks several times a day
            if reminders.remind(MORNING + timedelta(days=day, hours=hour)):
                reported.append(31 - day)
    assert reported == [30, 7, 1]
    first = Notification.objects.order_by("pk")[0]
    assert (first.event, first.context["days"], first.url) == (
        "grant_ending", 30, f"/admin/registry/grant/{grant.pk}/change/",
    )  # fmt: skip


def test_after_a_pause_only_the_nearest_end_is_reported(cast: Cast, sari: User) -> None:
    """The worker did not run for weeks. A renewed grant ends at another day and is reported anew."""
    grant = cast.grants["satu"]
    grant.valid_until = timezone.localdate(MORNING) + timedelta(days=5)
    grant.save()
    assert [reminders.remind(MORNING), reminders.remind(MORNING)] == [1, 0]
    grant.valid_until += timedelta(days=1)
    grant.save()
    assert reminders.remind(MORNING) == 1


def test_an_ending_key_is_reported_and_a_revoked_one_is_not(cast: Cast, sari: User) -> None:
    now = timezone.now()
    AccessKey.objects.filter(pk=cast.key_row.pk).update(expires_at=now + timedelta(days=6))
    assert reminders.remind(now) == 1
    assert events(sari) == ["key_ending"]
    assert Notification.objects.get().context["key"] == cast.key_row.public
    gone, _plain = AccessKey.issue(cast.application, now + timedelta(days=3))
    gone.revoke()
    assert reminders.remind(now) == 0


# ------------------------------------------------------------------------------------------ illnesses


@pytest.fixture
def provider(cast: Cast) -> User:
    return make_user("Provider", cast.provider, "penyedia")


Look = Callable[[bool | None, float], int]


@pytest.fixture
def look(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Let the source work, fail or be called by nobody, and report that many seconds after MORNING.

    The server's own areas are in tests/health.
    """
    of_agencies = [each for each in health.OBSERVED if each.kind in ("source", "backend")]
    monkeypatch.setattr(health, "OBSERVED", of_agencies)

    def looked(works: bool | None, seconds: float) -> int:
        SourceState.objects.all().delete()
        if works is not None:
            SourceState.objects.create(source=cast.source, observer="uji:1", failures=0 if works else 1)
        return health.report(MORNING + timedelta(seconds=seconds))

    return looked


def test_an_illness_is_reported_once_and_so_is_its_end(look: Look, provider: User, sari: User) -> None:
    assert [look(False, each) for each in (0, 60, 120, 135, 1000)] == [0, 0, 1, 0, 0]
    assert [look(True, each) for each in (1015, 1200, 1315, 1330)] == [0, 0, 1, 0]
    assert events(provider) == ["source_ill", "source_well"]
    assert events(sari) == []
    assert not Illness.objects.exists()


def test_a_source_that_flaps_is_reported_once(look: Look, provider: User) -> None:
    for each in range(0, 900, 45):
        look(each // 45 % 2 == 0, each)
    assert events(provider) == ["source_ill"]


def test_a_short_failure_is_not_reported(look: Look, provider: User) -> None:
    for each in (0, 60):
        look(False, each)
    for each in range(75, 600, 75):
        look(True, each)
    assert events(provider) == []
    assert not Illness.objects.exists()


def test_what_nobody_calls_is_forgotten_after_a_day(look: Look, provider: User) -> None:
    look(False, 0)
    look(False, 120)
    look(None, 3600)
    assert Illness.objects.exists()
    look(None, 120 + 86_500)
    assert not Illness.objects.exists()
    assert events(provider) == ["source_ill"]


def test_a_backends_people_are_told(cast: Cast, provider: User) -> None:
    publisher = make_user("Publisher", cast.provider, "penerbit")
    backend = Backend.objects.create(agency=cast.provider, code="hulu")
    server = BackendServer.objects.create(backend=backend, url="https://hulu.go.id/")
    state = ServerState.objects.create(server=server, observer="uji:1", breaker="open")
    health.report(MORNING)
    health.report(MORNING + timedelta(minutes=3))
    assert events(publisher) == ["backend_ill"]
    assert Notification.objects.get().context == {"backend": str(backend)}
    state.breaker = "closed"
    state.save()
    health.report(MORNING + timedelta(minutes=4))
    health.report(MORNING + timedelta(minutes=10))
    assert events(publisher) == ["backend_ill", "backend_well"]
    assert events(provider) == []


# ------------------------------------------------------------------------------------------ quotas


def calls(cast: Cast, number: int, outcome: int = 200, age: timedelta = timedelta(minutes=5)) -> None:
    begun = CallRecord.objects.count()
    CallRecord.objects.bulk_create(
        CallRecord(
            request_id=f"{begun + each:032x}",
            started_at=MORNING - age,
            operation_ref=cast.operations["satu"].pk,
            consumer_agency="kons",
            application="app",
            outcome=outcome,
        )
        for each in range(number)
    )


@pytest.fixture
def quota(cast: Cast) -> Alarms:
    grant = cast.grants["satu"]
    grant.quota = "5/second; 10/day"
    grant.save()
    return Alarms()


def test_a_quota_is_reported_at_80_per_cent_once_a_day(cast: Cast, sari: User, quota: Alarms) -> None:
    calls(cast, 7)
    calls(cast, 5, age=timedelta(days=2))
    assert quota.report(MORNING) == 0
    calls(cast, 1)
    assert [quota.report(MORNING), quota.report(MORNING)] == [1, 0]
    assert Notification.objects.get().context["percent"] == 80
    calls(cast, 2)
    assert quota.report(MORNING) == 1
    assert [row.context["percent"] for row in Notification.objects.order_by("pk")] == [80, 100]


def test_calls_that_are_refused_repeatedly_are_reported(cast: Cast, sari: User, quota: Alarms) -> None:
    calls(cast, 2, outcome=faults.QUOTA_EXCEEDED.code)
    assert quota.report(MORNING) == 0
    calls(cast, 1, outcome=faults.QUOTA_EXCEEDED.code)
    assert [quota.report(MORNING), quota.report(MORNING)] == [1, 0]
    assert events(sari) == ["quota_alarm"]


# ------------------------------------------------------------------------------------------ operations


def test_callers_are_told_of_versions_deprecation_and_retirement(cast: Cast, sari: User) -> None:
    make_user("Requester", cast.stranger, "orang-asing")
    operation = cast.operations["satu"]
    author = make_user("Provider", cast.provider, "penyedia")
    versions.record(operation, author)
    operation.title = "Satu orang"
    operation.save()
    versions.record(operation, author)
    operation.state, operation.sunset = "deprecated", timezone.localdate() + timedelta(days=60)
    operation.save()
    operation.save()
    operation.state, operation.sunset = "retired", None
    operation.save()
    assert events(sari) == ["operation_changed", "operation_deprecated", "operation_retired"]
    assert Notification.objects.count() == 3
    first = Notification.objects.order_by("pk")[0]
    assert first.context == {"operation": "Satu orang (prov/data/satu)", "version": operation.versions.first().number}
    assert first.url == "/catalog/prov/data/satu"


def test_who_approves_and_who_asked_are_told(cast: Cast) -> None:
    from registry.models import Field, PublishRequest

    author = make_user("Provider", cast.provider, "penyedia")
    head = make_user("Head", cast.provider, "kepala")
    row = cast.define("warga", "SELECT id, nama FROM orang WHERE id = :id",
                      parameters=({"name": "id", "type": "integer"},), state="draft")  # fmt: skip
    for name, classification in (("id", "internal"), ("nama", "personal")):
        Field.objects.create(operation=row, name=name, classification=classification)
    asked = approvals.submit(row, author, "Kerja sama 12/2026")
    assert isinstance(asked, PublishRequest)
    assert (events(head), events(author)) == (["publish_requested"], [])
    approvals.approve(asked, head)
    assert events(author) == ["publish_decided"]
    assert Notification.objects.get(user=author).context["outcome"] == "approved"


# ------------------------------------------------------------------------------------------ the thread


def test_the_messenger_sends_and_waits_while_the_server_fails(
    mail_server: MailServer, sari: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("registry.notifications.messenger.time.monotonic", lambda: now[0])
    monkeypatch.setattr(settings, "SMTP_PER_MINUTE", 1_000_000)
    messenger = Messenger()
    mail_server.refuse("mail", "451 sibuk")
    notify(Event.GRANT_REVOKED, [sari])
    tried = []
    for _second in range(60):
        before = mail_server.sessions
        messenger.round()
        if mail_server.sessions > before:
            tried.append(now[0] - 1000)
        now[0] += 1
    assert tried == [0, PAUSES[0], PAUSES[0] + PAUSES[1], sum(PAUSES[:3])]
    mail_server.reply.clear()
    now[0] += PAUSES[-1]
    messenger.round()
    assert len(mail_server.taken) == 1


def test_the_rate_is_kept(mail_server: MailServer, sari: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait between two messages is asked of the event that ends the thread; here it only notes it."""
    waits: list[float] = []
    messenger = Messenger()

    def wait(seconds: float | None = None) -> bool:
        waits.append(round(seconds or 0, 1))
        return False

    monkeypatch.setattr(messenger._stop, "wait", wait)
    monkeypatch.setattr("registry.notifications.messenger.time.monotonic", lambda: 1000.0)
    monkeypatch.setattr(settings, "SMTP_PER_MINUTE", 30)
    for _ in range(3):
        notify(Event.GRANT_REVOKED, [sari])
    messenger.round()
    assert waits == [0, 2, 2, 2]  # before each of three messages, and before it finds no fourth
    assert len(mail_server.taken) == 3


def test_only_the_leader_sends(mail_server: MailServer, sari: User) -> None:
    from registry.models import LeaderLock

    LeaderLock.objects.create(name="messages", holder="host-lain:1", beat=1)
    notify(Event.GRANT_REVOKED, [sari])
    Messenger().round()
    assert mail_server.taken == []


def test_an_error_does_not_end_the_thread(
    mail_server: MailServer, sari: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop, rounds = threading.Event(), []

    def broken(self: Messenger) -> None:
        rounds.append(1)
        if len(rounds) == 2:
            stop.set()
        raise RuntimeError("rahasia")

    monkeypatch.setattr("registry.notifications.messenger.RETRY_DELAY", 0.0)
    monkeypatch.setattr(Messenger, "round", broken)
    monkeypatch.setattr("registry.notifications.messenger.connection.close", lambda: None)
    Messenger().run(stop)
    assert len(rounds) == 2
    assert "rahasia" not in caplog.text


def test_old_rows_are_deleted(mail_server: MailServer, sari: User, monkeypatch: pytest.MonkeyPatch) -> None:
    old = timezone.now() - timedelta(days=settings.NOTIFICATION_DAYS + 1)
    for created_at in (old, timezone.now()):
        Notification.objects.create(user=sari, event="grant_revoked", created_at=created_at)
        for state in ("sent", "waiting"):
            OutboxMessage.objects.create(user=sari, event="grant_revoked", state=state, created_at=created_at)
    prune()
    assert Notification.objects.count() == 1
    assert sorted(OutboxMessage.objects.values_list("state", flat=True)) == ["sent", "waiting", "waiting"]
    monkeypatch.setattr("registry.notifications.messenger.MAX_KEPT", 2)
    newest = [Notification.objects.create(user=sari, event="grant_revoked").pk for _ in range(3)][1:]
    prune()
    assert sorted(Notification.objects.values_list("pk", flat=True)) == newest
