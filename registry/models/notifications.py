"""What people are notified of: notifications in the admin, e-mail in the outbox, and each person's choices."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models.agencies import User
from registry.models.bounds import BoundedTextField, MaxJsonLength
from registry.secrets import EncryptedField

#: Characters of what an event says, as JSON; of a URL; of a template's subject and body.
CONTEXT, URL, SUBJECT, BODY = 8_000, 500, 150, 5_000


class Event(models.TextChoices):
    REQUEST_SUBMITTED = "request_submitted", _("access was requested")
    REQUEST_QUESTION = "request_question", _("an access request was returned with a question")
    REQUEST_ANSWERED = "request_answered", _("the question of an access request was answered")
    REQUEST_CONFIRM = "request_confirm", _("an approval of an access request must be confirmed")
    REQUEST_APPROVED = "request_approved", _("an access request was approved")
    REQUEST_REJECTED = "request_rejected", _("an access request was rejected")
    REQUEST_WITHDRAWN = "request_withdrawn", _("an access request was withdrawn")
    GRANT_REVOKED = "grant_revoked", _("a grant was revoked")
    GRANT_CHANGED = "grant_changed", _("a grant was changed")
    GRANT_ENDING = "grant_ending", _("a grant is about to end")
    KEY_ENDING = "key_ending", _("an access key is about to expire")
    KEY_NEW_NETWORK = "key_new_network", _("an access key was used from a new network")
    KEY_LEAKED = "key_leaked", _("an access key was reported as leaked")
    PUBLISH_REQUESTED = "publish_requested", _("approval to publish was requested")
    PUBLISH_DECIDED = "publish_decided", _("a publish request was decided")
    OPERATION_CHANGED = "operation_changed", _("an operation was changed")
    OPERATION_DEPRECATED = "operation_deprecated", _("an operation was deprecated")
    OPERATION_RETIRED = "operation_retired", _("an operation was retired")
    BACKEND_ILL = "backend_ill", _("a backend has a problem")
    BACKEND_WELL = "backend_well", _("a backend works again")
    SOURCE_ILL = "source_ill", _("a source cannot be reached")
    SOURCE_WELL = "source_well", _("a source works again")
    SERVER_ILL = "server_ill", _("the bus itself needs attention")
    SERVER_WELL = "server_well", _("the bus itself is in order again")
    JOURNAL_HEAD = "journal_head", _("a head of the journal was made")
    QUOTA_ALARM = "quota_alarm", _("a quota is nearly used up")
    HARVEST_ALARM = "harvest_alarm", _("an application fetches data unusually")
    VERIFICATION_LOCKED = "verification_locked", _("an application guesses values of a verification")
    UNDECLARED_DATA = "undeclared_data", _("personal data left that nobody declared")
    JOB_ENDED = "job_ended", _("a job has ended")
    MONTHLY_REPORT = "monthly_report", _("the monthly report of your agency is ready")
    RECONCILED = "reconciled", _("a scheduled reconciliation has ended")
    SYNC_FAILED = "sync_failed", _("a synchronisation has failed")
    CALLS_STOPPED = "calls_stopped", _("calls were stopped to protect data")
    CALLS_RELEASED = "calls_released", _("a stop of calls was released")
    INVITATION = "invitation", _("invitation")
    PASSWORD_RESET = "password_reset", _("a new password was requested")
    PASSWORD_CHANGED = "password_changed", _("your password was changed")


class Way(models.TextChoices):
    """How a person is notified of an event."""

    MAIL = "mail", _("e-mail at once")
    DIGEST = "digest", _("daily digest by e-mail")
    ADMIN = "admin", _("here only")
    NONE = "none", _("not at all")


class OutboxMessage(models.Model):
    """An e-mail that is to be sent or was sent. Its text is made when it is sent, in the recipient's language."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    #: A digest is no event: its text is made of those of notifications.
    DIGEST = "digest"

    #: None: a person without an account, whose address is ``address``.
    user = models.ForeignKey(
        User, models.CASCADE, verbose_name=_("recipient"), null=True, blank=True, related_name="mails", editable=False
    )
    address = models.EmailField(_("e-mail address"), blank=True, editable=False)
    language = models.CharField(_("language"), max_length=5, blank=True, editable=False)
    event = models.CharField(_("event"), max_length=30, choices=Event.choices, editable=False)
    context = models.JSONField(default=dict, validators=[MaxJsonLength(CONTEXT)], editable=False)
    #: The path of the page that the message is about.
    url = models.CharField(max_length=URL, blank=True, editable=False)
    #: A link that must be kept secret, such as an invitation's. It is cleared when nothing more is to be sent.
    link = EncryptedField(max_length=URL, blank=True, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    #: When it is to be sent next; while it is being sent, when that attempt is given up.
    due_at = models.DateTimeField(_("next attempt"), default=timezone.now, editable=False)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True, editable=False)
    #: A key of registry.notifications.problems, and the mail server's status code.
    problem = models.CharField(_("problem"), max_length=40, blank=True, editable=False)
    code = models.PositiveSmallIntegerField(_("status code"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("e-mail")
        verbose_name_plural = _("outbox")
        ordering = ("-created_at", "-id")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["due_at", "id"], name="outbox_due", condition=models.Q(state="waiting")),
            models.Index(fields=["-created_at", "-id"], name="outbox_time"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class Notification(models.Model):
    """What one person was notified of, as the bell shows it. Its text is made in the language of whoever reads it."""

    user = models.ForeignKey(
        User, models.CASCADE, verbose_name=_("recipient"), related_name="notifications", editable=False
    )
    event = models.CharField(_("event"), max_length=30, choices=Event.choices, editable=False)
    context = models.JSONField(default=dict, validators=[MaxJsonLength(CONTEXT)], editable=False)
    #: The path of the page that it is about.
    url = models.CharField(max_length=URL, blank=True, editable=False)
    created_at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True, editable=False)
    #: True: it waits for the day's digest.
    for_digest = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ("-created_at", "-id")
        default_permissions = ()
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="notification_own"),
            models.Index(fields=["user"], name="notification_unread", condition=models.Q(read_at=None)),
            models.Index(fields=["user"], name="notification_digest", condition=models.Q(for_digest=True)),
        ]

    def __str__(self) -> str:
        return self.get_event_display()


class NotificationChoice(models.Model):
    """How a person wants to be notified of an event, where that differs from the event's default."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notification_choices")
    event = models.CharField(_("event"), max_length=30, choices=Event.choices)
    way = models.CharField(_("way"), max_length=10, choices=Way.choices)

    class Meta:
        verbose_name = _("notification choice")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "event"], name="notification_choice_once")]

    def __str__(self) -> str:
        return f"{self.event}: {self.way}"


class MessageTemplate(models.Model):
    """The subject and body of an event's messages in one language, in place of those that the bus comes with."""

    event = models.CharField(_("event"), max_length=30, choices=Event.choices)
    language = models.CharField(_("language"), max_length=5, choices=settings.LANGUAGES)
    subject = models.CharField(_("subject"), max_length=SUBJECT)
    body = BoundedTextField(_("text"), max_length=BODY)

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        default_permissions = ("view", "change")
        constraints = [models.UniqueConstraint(fields=["event", "language"], name="message_template_once")]

    def __str__(self) -> str:
        return f"{self.get_event_display()} ({self.language})"


class Illness(models.Model):
    """Something that did not work lately: a backend, a source, or an area of the server's own health.

    registry/notifications/health.py writes it.
    """

    #: backend or source, and its id; or the area of the server's own, with 0.
    kind = models.CharField(max_length=20)
    ref = models.BigIntegerField()
    began_at = models.DateTimeField()
    #: When it was last seen not to work, and since when it has been seen to work.
    ill_at = models.DateTimeField()
    well_since = models.DateTimeField(null=True)
    reported = models.BooleanField(default=False)

    class Meta:
        verbose_name = "illness"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "ref"], name="illness_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"


class NotifiedOnce(models.Model):
    """Something that people are notified once, such as that a grant ends in seven days."""

    name = models.CharField(max_length=200, unique=True)
    noted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "notified once"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def first_time(cls, name: str) -> bool:
        """Return True once for each name. Called in the transaction that writes the notifications."""
        _row, created = cls.objects.get_or_create(name=name)
        return created
