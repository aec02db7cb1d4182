"""From an administrator's form to a user with a password that nobody else knows, with and without e-mail."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mantra.people import sign_in
from registry.models import Agency, Event, Invitation, OutboxMessage, User
from registry.people import invitations
from tests.people.conftest import ADMIN, PASSWORD, enter, inside, person, signed_in

ADD = reverse("admin:registry_user_add")
NEW = {"password1": "gajah-terbang-77", "password2": "gajah-terbang-77"}


@pytest.fixture
def admin() -> Client:
    person("admin")
    return signed_in("admin")


def link(page: Any) -> str:
    found = re.search(r'id="issued"[^>]*>http://testserver([^<]+)<', page.content.decode())
    assert found, page.content.decode()
    return found[1]


def test_it_works(admin: Client, agency: Agency) -> None:
    form = {"first_name": "Ani", "last_name": "Wijaya", "email": "Ani@Contoh.go.id", "role": "Provider"}
    page = admin.post(ADD, {**form, "agency": agency.pk})
    address = link(page)
    user = User.objects.get(email="ani@contoh.go.id")
    assert (user.username, user.is_staff, user.is_superuser) == ("ani@contoh.go.id", True, False)
    assert address not in admin.get(reverse("admin:registry_user_change", args=(user.pk,))).content.decode()
    assert Invitation.objects.get().digest not in address  # a copy of the database is no way in
    assert "no-store" in page["Cache-Control"]

    client = Client()
    assert "Ani Wijaya" in client.get(address).content.decode()
    assert client.post(address, {**NEW, "password2": "lain"}).status_code == 200
    assert client.post(address, NEW)["Location"] == ADMIN
    assert inside(client)
    # Once: neither the form nor what was copied from it does anything again.
    assert client.get(address).status_code == 404
    assert Client().post(address, {"password1": "orang-lain-88", "password2": "orang-lain-88"}).status_code == 404
    assert enter(Client(), "ani@contoh.go.id", NEW["password1"]).status_code == 302


def test_a_link_expires_and_a_newer_one_replaces_it(admin: Client, agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    first = link(admin.post(reverse("admin:registry_user_invite", args=(user.pk,))))
    second = link(admin.post(reverse("admin:registry_user_invite", args=(user.pk,))))
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Client().post(second, NEW).status_code == 404
    assert user.check_password(PASSWORD)


def test_two_people_with_one_link_do_not_both_get_in(agency: Agency) -> None:
    invitation, _token = invitations.issue(person("ani", "Provider", agency), None)
    assert invitations.accept(invitation, NEW["password1"])
    assert not invitations.accept(invitation, "orang-lain-88")
    assert User.objects.get().check_password(NEW["password1"])


def test_a_new_password_ends_the_sessions_of_before(admin: Client, agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    before = signed_in("ani")
    address = link(admin.post(reverse("admin:registry_user_invite", args=(user.pk,))))
    client = Client()
    client.post(address, NEW)
    assert (inside(before), inside(client)) == (False, True)


def test_a_deactivated_user_has_no_invitation(admin: Client, agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    address = link(admin.post(reverse("admin:registry_user_invite", args=(user.pk,))))
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert Client().get(address).status_code == 404
    assert admin.post(reverse("admin:registry_user_invite", args=(user.pk,))).status_code == 403


def test_only_administrators_invite(agency: Agency) -> None:
    user = person("ani", "Requester", agency)
    root = person("root", is_superuser=True)
    for name, role, of in (("pengawas", "Supervisor", None), ("kepala", "Head", agency), ("sedia", "Provider", agency)):
        person(name, role, of)
        client = signed_in(name)
        for word in ("invite", "unlock", "reset-factor", "end-sessions"):
            address = reverse(f"admin:registry_user_{word}", args=(user.pk,))
            assert client.post(address).status_code in (403, 404)
            assert client.get(address).status_code in (403, 404, 405)
    person("admin")
    # An administrator would get into a superuser's account by the link.
    assert signed_in("admin").post(reverse("admin:registry_user_invite", args=(root.pk,))).status_code == 403
    assert not Invitation.objects.exists()


# ------------------------------------------------------------------------------------------- by e-mail


@pytest.fixture
def mail(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SMTP_HOST, settings.BASE_URL = "mail.contoh.go.id", "https://bus.contoh.go.id"
    monkeypatch.setattr(sign_in, "RESET_SECONDS", 0.0)


def mailed(event: Event) -> str:
    """The path of the link in the only e-mail of an event."""
    row = OutboxMessage.objects.get(event=event)
    assert str(row.link).startswith("https://bus.contoh.go.id/account/")
    return str(row.link).removeprefix("https://bus.contoh.go.id")


def test_with_a_mail_server_the_link_goes_to_the_user_alone(mail: None, admin: Client, agency: Agency) -> None:
    page = admin.post(ADD, {"email": "ani@contoh.go.id", "role": "Provider", "agency": agency.pk}, follow=True)
    address = mailed(Event.INVITATION)
    assert "ani@contoh.go.id" in page.content.decode()
    assert address not in page.content.decode()
    client = Client()
    assert client.post(address, NEW)["Location"] == ADMIN
    assert inside(client)


def test_an_invitation_says_for_whom_it_is_and_the_outbox_to_whom_it_went(mail: None, admin: Client) -> None:
    assert "menerima email berisi tautan" in admin.get(ADD).content.decode()
    admin.post(ADD, {"email": "awas@contoh.go.id", "role": "Supervisor"})
    row = OutboxMessage.objects.get(event=Event.INVITATION)
    assert row.context["agency"] == "semua instansi"
    outbox = reverse("admin:registry_outboxmessage_changelist")
    assert "awas@contoh.go.id" in admin.get(outbox).content.decode()
    found = admin.get(outbox, {"q": "awas@"}).context["cl"].result_list
    assert [each.pk for each in found] == [row.pk]
    user = reverse("admin:registry_user_change", args=(User.objects.get(email="awas@contoh.go.id").pk,))
    assert "Undang lagi" in admin.get(user).content.decode()


def test_a_forgotten_password_is_replaced_by_mail(mail: None, agency: Agency) -> None:
    user = person("ani", "Provider", agency)
    before = signed_in("ani")
    ask = reverse("account_reset_password")
    assert Client().post(ask, {"email": "ANI@contoh.go.id"}).status_code == 302
    row = OutboxMessage.objects.get()
    assert row.address == user.email
    for _number in range(5):
        enter(Client(), "ani", "salah")
    client = Client()
    form = client.get(mailed(Event.PASSWORD_RESET), follow=True)
    assert str(row.link)[-20:] not in form.content.decode()  # no page and no referrer has it
    assert client.post(form.request["PATH_INFO"], NEW)["Location"] == ADMIN
    assert (inside(before), inside(client)) == (False, True)
    assert enter(Client(), "ani", NEW["password1"]).status_code == 302  # it is unlocked, too
    assert OutboxMessage.objects.filter(event=Event.PASSWORD_CHANGED, user=user).exists()
    again = Client().get(mailed(Event.PASSWORD_RESET), follow=True).content.decode()
    assert "sudah dipakai" in again


def test_asking_for_a_new_password_tells_nobody_who_has_an_account(mail: None, agency: Agency) -> None:
    person("ani", "Provider", agency)
    off = person("bekas", "Provider", agency)
    User.objects.filter(pk=off.pk).update(is_active=False)
    seen = set()
    for name in ("ani", "bekas", "tidak-ada"):
        client = Client()
        page = client.post(reverse("account_reset_password"), {"email": f"{name}@contoh.go.id"}, follow=True)
        seen.add((page.redirect_chain[0][0], *(str(each) for each in page.context["messages"])))
    assert len(seen) == 1
    assert OutboxMessage.objects.count() == 1


def test_requests_for_a_new_password_are_limited(mail: None, agency: Agency) -> None:
    person("ani", "Provider", agency)
    answers = [
        Client().post(reverse("account_reset_password"), {"email": "ani@contoh.go.id"}, REMOTE_ADDR=f"192.0.2.{number}")
        for number in range(6)
    ]
    assert [each.status_code for each in answers] == [302] * 5 + [429]
    assert "Tunggu beberapa menit" in answers[-1].content.decode()
    assert OutboxMessage.objects.count() == 5


def test_no_host_of_a_request_gets_into_the_link_of_a_stranger(mail: None, settings: Any, agency: Agency) -> None:
    """Who asks for another person's new password chooses the Host header, and with it where the link leads."""
    person("ani", "Provider", agency)
    settings.BASE_URL, settings.ALLOWED_HOSTS = "", [".go.id"]
    ask, there = reverse("account_reset_password"), {"HTTP_HOST": "jahat.go.id"}
    Client().post(ask, {"email": "ani@contoh.go.id"}, **there)
    assert not OutboxMessage.objects.exists()
    assert "administrator" in Client().get(ask, **there).content.decode()
    settings.BASE_URL = "https://bus.contoh.go.id"
    Client().post(ask, {"email": "ani@contoh.go.id"}, **there)
    assert mailed(Event.PASSWORD_RESET)


def test_without_a_mail_server_the_page_says_whom_to_ask() -> None:
    ask = reverse("account_reset_password")
    assert "administrator" in Client().get(ask).content.decode()
    assert Client().post(ask, {"email": "ani@contoh.go.id"})["Location"] == ask


def test_two_users_have_two_addresses(admin: Client, agency: Agency) -> None:
    person("ani", "Provider", agency)
    page = admin.post(ADD, {"email": "ANI@contoh.go.id", "role": "Provider", "agency": agency.pk})
    assert "email" in page.context["adminform"].form.errors
