"""The bell, one's own notifications and choices, and the administrators' pages."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from registry.models import Event, MessageTemplate, Notification, NotificationChoice, OutboxMessage, User, Way
from registry.notifications import notify, outbox
from tests.admin.conftest import make_user
from tests.servers.mail import MailServer


@pytest.fixture
def as_sari(sari: User) -> Client:
    return signed_in(sari)


@pytest.fixture
def as_administrator(db: None) -> Client:
    return signed_in(make_user("Administrator", username="pengelola", email="pengelola@bus.go.id"))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, name: str, *args: object, language: str = "en") -> str:
    client.cookies["django_language"] = language
    answer = client.get(reverse(name, args=args))
    assert answer.status_code == 200
    return answer.content.decode()


# ------------------------------------------------------------------------------------------ the bell


def test_the_bell_counts_what_is_unread(as_sari: Client, sari: User) -> None:
    assert "unread" not in page(as_sari, "notification_choices")
    for number in range(3):
        notify(Event.OPERATION_RETIRED, [sari], operation=f"op{number}")
    assert "Notifications, 3 unread" in page(as_sari, "notification_choices")
    as_sari.post(reverse("notifications_read"))
    assert "unread" not in page(as_sari, "notification_choices")


def test_the_bell_counts_to_99(as_sari: Client, sari: User) -> None:
    Notification.objects.bulk_create(Notification(user=sari, event="grant_revoked") for _ in range(120))
    assert "Notifications, 99+ unread" in page(as_sari, "notification_choices")


def test_a_notification_leads_to_its_page_and_is_read(as_sari: Client, sari: User) -> None:
    notify(Event.GRANT_REVOKED, [sari], url="/catalog/", operation="<b>Penduduk</b>")
    row = Notification.objects.get()
    shown = page(as_sari, "notifications", language="id")
    assert "Izin untuk &lt;b&gt;Penduduk&lt;/b&gt; dicabut" in shown
    assert reverse("notification", args=[row.pk]) in shown
    assert as_sari.get(reverse("notification", args=[row.pk]))["Location"] == "/catalog/"
    row.refresh_from_db()
    assert row.read_at is not None


def test_one_notification_can_be_marked(as_sari: Client, sari: User) -> None:
    notify(Event.OPERATION_RETIRED, [sari])
    notify(Event.OPERATION_RETIRED, [sari])
    first = Notification.objects.order_by("pk")[0]
    assert as_sari.post(reverse("notifications_read"), {"pk": first.pk}).status_code == 302
    assert Notification.objects.get(read_at=None).pk != first.pk
    assert as_sari.post(reverse("notifications_read"), {"pk": "x"}).status_code == 404


def test_older_notifications_are_on_further_pages(as_sari: Client, sari: User) -> None:
    for number in range(60):
        notify(Event.OPERATION_RETIRED, [sari], operation=f"op{number:02}.")
    first = page(as_sari, "notifications")
    assert ("op59." in first, "op09." in first) == (True, False)
    before = Notification.objects.order_by("-pk")[49].pk
    assert f"?before={before}" in first
    assert "op09." in as_sari.get(reverse("notifications"), {"before": before}).content.decode()
    assert as_sari.get(reverse("notifications"), {"before": "9" * 40}).status_code == 200


def test_nobody_reads_those_of_others(as_sari: Client, budi: User) -> None:
    notify(Event.OPERATION_RETIRED, [budi], operation="Rahasia", url="/catalog/")
    row = Notification.objects.get()
    assert "Rahasia" not in page(as_sari, "notifications")
    assert as_sari.get(reverse("notification", args=[row.pk])).status_code == 404
    as_sari.post(reverse("notifications_read"), {"pk": row.pk})
    as_sari.post(reverse("notifications_read"))
    row.refresh_from_db()
    assert row.read_at is None
    for name in ("notifications", "notification_choices"):
        assert Client().get(reverse(name)).status_code == 302


# ------------------------------------------------------------------------------------------ choices


def test_choices_are_stored_where_they_differ(as_sari: Client, sari: User) -> None:
    shown = page(as_sari, "notification_choices")
    assert "Backends and data sources" not in shown  # she manages applications only
    mail = (
        "request_question request_approved request_rejected grant_changed grant_ending key_ending quota_alarm "
        "operation_deprecated operation_retired"
    )
    fields = dict.fromkeys(mail.split(), "mail") | {"grant_revoked": "none", "operation_changed": "digest"}
    fields["monthly_report"] = "none"  # the default of everybody but heads
    fields |= {"reconciled": "mail", "job_ended": "mail"}
    fields |= dict.fromkeys(["key_new_network", "harvest_alarm", "calls_stopped", "calls_released"], "mail")
    answer = as_sari.post(reverse("notification_choices"), {**fields, "language": "en", "password_changed": "none"})
    assert answer.status_code == 302
    stored = dict(NotificationChoice.objects.values_list("event", "way"))
    assert stored == {"grant_revoked": Way.NONE, "quota_alarm": Way.MAIL}
    sari.refresh_from_db()
    assert sari.language == "en"


def test_a_wrong_choice_is_refused(as_sari: Client) -> None:
    answer = as_sari.post(reverse("notification_choices"), {"language": "xx", "grant_revoked": "burung"})
    assert answer.status_code == 200
    assert not NotificationChoice.objects.exists()


# ------------------------------------------------------------------------------------------ the outbox


def test_the_outbox_shows_what_failed_and_why(as_administrator: Client, mail_server: MailServer, sari: User) -> None:
    mail_server.refuse("rcpt", "550 sari@kons.go.id rahasia")
    notify(Event.GRANT_REVOKED, [sari])
    outbox.send_due()
    shown = page(as_administrator, "admin:registry_outboxmessage_changelist", language="id")
    assert "Server email tidak menerima alamat penerima." in shown
    assert "(550)" in shown
    assert "rahasia" not in shown
    assert "sari@kons.go.id" not in shown
    row = OutboxMessage.objects.get()
    chosen = {"action": "send_again", "_selected_action": row.pk}
    as_administrator.post(reverse("admin:registry_outboxmessage_changelist"), chosen)
    row.refresh_from_db()
    assert (row.state, row.problem) == ("waiting", "")


def test_the_outbox_shows_why_it_waits(as_administrator: Client, mail_server: MailServer, sari: User) -> None:
    mail_server.refuse("mail", "550 x")
    notify(Event.GRANT_REVOKED, [sari])
    outbox.send_due()
    shown = page(as_administrator, "admin:registry_outboxmessage_changelist")
    assert "The mail server does not accept the sender&#x27;s address" in shown


PAGES = (
    ("message_templates",),
    ("message_template", "grant_ending", "id"),
    ("test_mail",),
)


@pytest.mark.parametrize("role", ["Supervisor", "Head", "Provider", "Publisher", "Requester"])
def test_only_administrators_see_them(role: str, db: None) -> None:
    client = signed_in(make_user(role))
    for name, *args in PAGES:
        assert client.get(reverse(name, args=args)).status_code == 403
        assert client.post(reverse(name, args=args)).status_code in (403, 405)


def test_a_test_is_sent(as_administrator: Client, mail_server: MailServer) -> None:
    assert "pengelola@bus.go.id" in page(as_administrator, "test_mail")
    answer = as_administrator.post(reverse("test_mail"), {"address": "uji@kons.go.id"}).content.decode()
    assert "The mail server has taken the e-mail" in answer
    mail_server.refuse("rcpt", "550 x")
    answer = as_administrator.post(reverse("test_mail"), {"address": "uji@kons.go.id"}).content.decode()
    assert "does not accept the recipient" in answer
    assert as_administrator.post(reverse("test_mail"), {"address": "salah"}).status_code == 200
    assert len(mail_server.taken) == 1


def test_supervisors_look_at_the_outbox_and_change_nothing(sari: User) -> None:
    row = OutboxMessage.objects.create(user=sari, event="grant_revoked", state="failed", problem="recipient")
    supervisor = signed_in(make_user("Supervisor"))
    assert "Send a test" not in page(supervisor, "admin:registry_outboxmessage_changelist")
    chosen = {"action": "send_again", "_selected_action": row.pk}
    supervisor.post(reverse("admin:registry_outboxmessage_changelist"), chosen)
    row.refresh_from_db()
    assert row.state == "failed"
    provider = signed_in(make_user("Provider"))
    assert provider.get(reverse("admin:registry_outboxmessage_changelist")).status_code == 403


# ------------------------------------------------------------------------------------------ texts


def edit(client: Client, subject: str, body: str, step: str = "save", language: str = "id") -> str:
    address = reverse("message_template", args=["grant_ending", language])
    client.cookies["django_language"] = "en"
    answer = client.post(address, {"subject": subject, "body": body, "step": step}, follow=True)
    return answer.content.decode()


def test_a_text_is_changed_and_restored(as_administrator: Client, mail_server: MailServer, sari: User) -> None:
    edit(as_administrator, "Perpanjang {operation}!", "Sampai {until}.\r\n{link}")
    notify(Event.GRANT_ENDING, [sari], operation="Penduduk", days=7)
    outbox.send_due()
    assert mail_server.taken[0]["Subject"] == "Perpanjang Penduduk!"
    assert mail_server.taken[0].get_content().startswith("Sampai –.")
    assert "Restore the shipped text" in page(as_administrator, "message_template", "grant_ending", "id")
    edit(as_administrator, "", "", step="restore")
    assert not MessageTemplate.objects.exists()


def test_a_preview_stores_nothing(as_administrator: Client, db: None) -> None:
    shown = edit(as_administrator, "Masih {days} hari", "{operation}\n{link}", step="preview")
    assert "Masih 7 hari" in shown
    assert "Penduduk menurut NIK" in shown
    assert not MessageTemplate.objects.exists()


@pytest.mark.parametrize(
    "subject, body, problem",
    [
        ("{nik}", "{link}", "These placeholders are unknown here: {nik}"),
        ("{link}", "{link}", "These placeholders are unknown here: {link}"),
        ("a", "{operation.service}", "Use braces for placeholders only"),
        ("a", "{operation!r} {0} {", "Use braces for placeholders only"),
        ("", "{link}", "This field is required"),
        ("x" * 200, "{link}", "at most 150"),
    ],
)
def test_placeholders_are_checked(as_administrator: Client, subject: str, body: str, problem: str) -> None:
    assert problem in edit(as_administrator, subject, body)
    assert not MessageTemplate.objects.exists()


def test_an_invitation_keeps_its_link(as_administrator: Client) -> None:
    address = reverse("message_template", args=["invitation", "id"])
    answer = as_administrator.post(address, {"subject": "Undangan", "body": "Halo", "step": "save"})
    assert answer.status_code == 200
    assert not MessageTemplate.objects.exists()


def test_a_text_that_is_the_shipped_one_is_not_kept(as_administrator: Client) -> None:
    from registry.notifications.templates import shipped

    text = shipped(Event.GRANT_ENDING, "id")
    edit(as_administrator, text.subject, text.body.replace("\n", "\r\n"))
    assert not MessageTemplate.objects.exists()


def test_unknown_texts_are_not_found(as_administrator: Client) -> None:
    for args in (("burung", "id"), ("grant_ending", "xx")):
        assert as_administrator.get(reverse("message_template", args=args)).status_code == 404
