"""What is written when people are notified of an event: to whom, in which way, and what it may contain."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from registry.models import Agency, Event, Notification, NotificationChoice, OutboxMessage, User, Way
from registry.notifications import KINDS, first_time, mail, notify, recipients, writing
from registry.notifications.kinds import SAFE
from registry.notifications.writing import MAX_ITEMS, MAX_TEXT
from tests.admin.conftest import make_user
from tests.cast import Cast


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SMTP_HOST", "mail.contoh.go.id")


def notified(user: User) -> list[str]:
    return list(Notification.objects.filter(user=user).values_list("event", flat=True))


def mailed(user: User) -> list[str]:
    return list(OutboxMessage.objects.filter(user=user).values_list("event", flat=True))


def test_it_works(cast: Cast, sari: User) -> None:
    grant = cast.grants["satu"]
    notify(Event.GRANT_ENDING, [sari], about=grant, operation="Satu", days=7, until=date(2026, 12, 1))
    found = Notification.objects.get()
    assert (found.user, found.event, found.read_at) == (sari, "grant_ending", None)
    assert found.url == f"/admin/registry/grant/{grant.pk}/change/"
    assert found.context == {"operation": "Satu", "days": 7, "until": {"date": "2026-12-01"}}
    waiting = OutboxMessage.objects.get()
    assert (waiting.user, waiting.state, waiting.context) == (sari, "waiting", found.context)


def test_what_is_undone_notifies_nobody(sari: User) -> None:
    with transaction.atomic():
        notify(Event.OPERATION_RETIRED, [sari])
        transaction.set_rollback(True)
    assert not Notification.objects.exists()
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    "way, in_admin, digest, by_mail",
    [
        (Way.MAIL, True, False, True),
        (Way.DIGEST, True, True, False),
        (Way.ADMIN, True, False, False),
        (Way.NONE, False, False, False),
    ],
)
def test_each_person_chooses(sari: User, way: Way, in_admin: bool, digest: bool, by_mail: bool) -> None:
    NotificationChoice.objects.create(user=sari, event=Event.GRANT_REVOKED, way=way)
    notify(Event.GRANT_REVOKED, [sari, sari])
    assert notified(sari) == ["grant_revoked"] * in_admin
    assert Notification.objects.filter(for_digest=True).exists() == digest
    assert mailed(sari) == ["grant_revoked"] * by_mail


def test_ones_own_accounts_security_cannot_be_switched_off(sari: User) -> None:
    NotificationChoice.objects.create(user=sari, event=Event.PASSWORD_CHANGED, way=Way.NONE)
    notify(Event.PASSWORD_CHANGED, [sari])
    assert notified(sari) == mailed(sari) == ["password_changed"]


def test_who_has_left_and_who_has_no_address(consumer: Agency, sari: User) -> None:
    gone = make_user("Requester", consumer, "gone", email="gone@kons.go.id", is_active=False)
    plain = make_user("Requester", consumer, "plain")
    notify(Event.GRANT_REVOKED, [gone, plain, sari])
    assert (notified(gone), notified(plain), notified(sari)) == ([], ["grant_revoked"], ["grant_revoked"])
    assert OutboxMessage.objects.get().user == sari


def test_a_message_contains_only_what_is_listed(sari: User) -> None:
    with pytest.raises(ValueError, match="reason"):
        notify(Event.REQUEST_REJECTED, [sari], reason="NIK 3174012345678901 tidak cocok")
    assert all(kind.keys <= SAFE for kind in KINDS.values())
    assert set(KINDS) == set(Event)


def test_long_texts_and_lists_are_cut(sari: User) -> None:
    notify(Event.REQUEST_SUBMITTED, [sari], service="x" * 10_000, operations=["y" * 10_000] * 500)
    context = Notification.objects.get().context
    assert context == {"service": "x" * MAX_TEXT, "operations": ["y" * MAX_TEXT] * MAX_ITEMS}
    Notification.objects.get().clean_fields()


def test_a_full_outbox_takes_no_more(sari: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_OUTBOX", 2)
    for _ in range(3):
        notify(Event.GRANT_REVOKED, [sari])
    assert (len(notified(sari)), len(mailed(sari))) == (3, 2)


def test_nobody_floods_a_person_or_the_outbox(sari: User, budi: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_MAILS", 2)
    for _ in range(3):
        notify(Event.REQUEST_SUBMITTED, [sari])
    notify(Event.REQUEST_SUBMITTED, [sari, budi])
    assert (len(notified(sari)), len(mailed(sari)), len(mailed(budi))) == (4, 2, 1)
    notify(Event.PASSWORD_CHANGED, [sari])  # what concerns the account's security arrives all the same
    assert mailed(sari)[0] == "password_changed"
    OutboxMessage.objects.update(created_at=timezone.now() - timedelta(hours=1))
    notify(Event.REQUEST_SUBMITTED, [sari])
    assert len(mailed(sari)) == 4


def test_an_invitations_link_is_encrypted(db: None) -> None:
    mail(Event.INVITATION, "baru@kons.go.id", "xx", link="https://bus.go.id/undangan/rahasia", days=3)
    row = OutboxMessage.objects.get()
    assert (row.link, row.language) == ("https://bus.go.id/undangan/rahasia", "id")
    stored = OutboxMessage.objects.extra(select={"raw": "link"}).values_list("raw", flat=True).get()
    assert "rahasia" not in stored
    with pytest.raises(ValidationError):
        mail(Event.INVITATION, "bukan alamat", "id")


def test_some_things_are_first_time(db: None) -> None:
    assert [first_time("grant:1:7"), first_time("grant:1:7"), first_time("grant:1:1")] == [True, False, True]


# ------------------------------------------------------------------------------------------ recipients


def test_callers_are_those_who_manage_applications_with_a_grant_in_force(cast: Cast, sari: User) -> None:
    make_user("Requester", cast.stranger, "orang-asing")
    make_user("Provider", cast.consumer, "penyedia-lain")
    assert list(recipients.callers(cast.operations["satu"])) == [sari]
    grant = cast.grants["satu"]
    grant.valid_until = timezone.localdate() - timedelta(days=1)
    grant.save()
    assert not recipients.callers(cast.operations["satu"])


def test_members_have_the_right(cast: Cast, sari: User) -> None:
    provider = make_user("Provider", cast.provider, "penyedia")
    make_user("Publisher", cast.provider, "penerbit")
    assert list(recipients.members(cast.provider, "dataservices.change_datasource")) == [provider]
    assert list(recipients.members(cast.consumer, "registry.change_application")) == [sari]


def test_administrators_are_those_of_the_role_and_superusers(db: None) -> None:
    administrator = make_user("Administrator", username="pengelola")
    root = User.objects.create(username="root", is_superuser=True)
    make_user("Supervisor", username="pengawas")
    assert list(recipients.administrators()) == [administrator, root]
