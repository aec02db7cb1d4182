"""Stops, which shut calls out in every process within a second, and the incidents that they belong to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import bounds
from registry.models.agencies import Agency, User
from registry.models.base import RegistryModel
from registry.models.bounds import BoundedTextField

#: Characters of a name that is copied, of an incident's title, of a note, and of a part of the breach report.
NAME, TITLE, NOTE, REPORT = 300, 200, 2_000, 4_000
#: The time within which UU 27/2022 Art. 46 (1) wants a breach reported.
REPORT_TIME = timedelta(hours=72)


class StopKind(models.TextChoices):
    """What can be stopped."""

    KEY = "key", _("access key")
    GRANT = "grant", _("grant")
    APPLICATION = "application", _("application")
    OPERATION = "operation", _("operation")
    SOURCE = "source", _("data source")
    BACKEND = "backend", _("backend")
    AGENCY = "agency", _("agency")
    ALL = "all", _("all calls")


class StopOrigin(models.TextChoices):
    """Who stopped something, or opened an incident."""

    USER = "user", _("a user")
    RULE = "rule", _("a rule")
    OPERATOR = "operator", _("an operator")


class Incident(models.Model):
    """A leak or a suspicion of one: what is known of it, and what was done. registry/incidents.py has the rules."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        CONTAINED = "contained", _("contained")
        REPORTED = "reported", _("reported")
        CLOSED = "closed", _("closed")

    #: The states that can follow each state.
    NEXT = {
        State.OPEN: (State.CONTAINED, State.REPORTED, State.CLOSED),
        State.CONTAINED: (State.OPEN, State.REPORTED, State.CLOSED),
        State.REPORTED: (State.CLOSED,),
        State.CLOSED: (),
    }
    #: The most objects and notes of an incident.
    MAX_OBJECTS, MAX_NOTES = 50, 500

    #: Agency/year/serial; the administrators' own begin with MANTRA.
    number = models.CharField(_("number"), max_length=90, unique=True, editable=False)
    #: The agency whose people handle it; None: the administrators.
    agency = models.ForeignKey(
        Agency, models.PROTECT, verbose_name=_("agency"), null=True, blank=True, related_name="incidents"
    )
    title = models.CharField(_("title"), max_length=TITLE)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN, editable=False)
    origin = models.CharField(max_length=10, choices=StopOrigin.choices, default=StopOrigin.USER, editable=False)
    opened_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="incidents_opened", editable=False)
    opened_at = models.DateTimeField(_("opened at"), default=timezone.now, editable=False)
    noticed_at = models.DateTimeField(
        _("noticed at"),
        default=timezone.now,
        help_text=_("The law gives 3 × 24 hours from this moment for the notification."),
    )
    #: The calls that it is about.
    period_from = models.DateTimeField(_("calls from"))
    period_until = models.DateTimeField(_("calls until"), null=True, blank=True, help_text=_("Empty: until now."))
    contained_at = models.DateTimeField(null=True, editable=False)
    reported_at = models.DateTimeField(null=True, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)

    # What only a person can write of the breach report (UU 27/2022 Art. 46 (2)).
    disclosed = BoundedTextField(_("personal data that was disclosed"), max_length=REPORT, blank=True)
    how = BoundedTextField(_("how it was disclosed"), max_length=REPORT, blank=True)
    handling = BoundedTextField(_("handling and recovery"), max_length=REPORT, blank=True)
    effects = BoundedTextField(_("possible effects, and what the persons can do"), max_length=REPORT, blank=True)
    contact = BoundedTextField(_("contact for questions"), max_length=bounds.REASON, blank=True)

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ("-opened_at", "-id")
        default_permissions = ("view", "change")
        indexes = [models.Index(fields=["agency", "-opened_at"], name="incident_agency")]

    def __str__(self) -> str:
        return f"{self.number} {self.title}"

    @property
    def due_at(self) -> datetime:
        """When the notification must have been made."""
        return self.noticed_at + REPORT_TIME

    @property
    def is_closed(self) -> bool:
        return self.state == self.State.CLOSED

    def clean(self) -> None:
        super().clean()
        if self.period_from and self.period_until and self.period_until <= self.period_from:
            raise ValidationError({"period_until": _("The end must be after the beginning.")})
        if self.noticed_at and self.noticed_at > timezone.now() + timedelta(minutes=5):
            raise ValidationError({"noticed_at": _("Choose a time that is not in the future.")})

    def follow(self, state: str) -> None:
        """Change the state in memory. Raises ValidationError for a state that cannot follow."""
        if state not in self.NEXT[self.State(self.state)]:
            raise ValidationError(_("The incident cannot go from this state to that one."))
        self.state = state
        if state == self.State.CONTAINED:
            self.contained_at = timezone.now()
        elif state == self.State.REPORTED:
            self.reported_at = timezone.now()
        elif state == self.State.CLOSED:
            self.closed_at = timezone.now()


class IncidentObject(models.Model):
    """A key, an application, an operation and so on that an incident is about. Its name is copied."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="objects_of", editable=False)
    kind = models.CharField(max_length=12, choices=StopKind.choices, editable=False)
    ref = models.BigIntegerField(default=0, editable=False)
    name = models.CharField(max_length=NAME, editable=False)

    class Meta:
        verbose_name = _("object of an incident")
        verbose_name_plural = _("objects of an incident")
        default_permissions = ()
        ordering = ("id",)
        constraints = [models.UniqueConstraint(fields=["incident", "kind", "ref"], name="incident_object_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}".strip()


class IncidentNote(models.Model):
    """A line of an incident's timeline. It is never changed."""

    class Step(models.TextChoices):
        OPENED = "opened", _("opened")
        NOTE = "note", _("note")
        STOPPED = "stopped", _("stopped")
        RELEASED = "released", _("released")
        CONTAINED = "contained", _("contained")
        REOPENED = "reopened", _("open again")
        REPORTED = "reported", _("reported")
        CLOSED = "closed", _("closed")

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="notes", editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", editable=False)
    step = models.CharField(max_length=10, choices=Step.choices, default=Step.NOTE, editable=False)
    #: What was stopped or released.
    about = models.CharField(max_length=NAME, blank=True, editable=False)
    text = BoundedTextField(_("note"), max_length=NOTE, blank=True)

    class Meta:
        verbose_name = _("note of an incident")
        verbose_name_plural = _("notes of an incident")
        default_permissions = ()
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.incident_id}: {self.step}"


class Stop(RegistryModel):
    """A stop: no call of its object is served while it is in force. registry/containment.py has the rules."""

    snapshot_unit = ("stop", "id")
    counted = ("stops", "agency")

    #: What was done before a release.
    CHECKS = {
        "cause": _("The cause is known and removed"),
        "key": _("New access keys are issued, the old ones are revoked"),
        "grants": _("The grants are reviewed: purpose, fields, quota, period"),
        "networks": _("The networks of keys and grants are restricted"),
        "agency": _("The caller's agency has confirmed its own measures"),
    }

    kind = models.CharField(_("kind"), max_length=12, choices=StopKind.choices, editable=False)
    #: The id of its object; 0 for all calls.
    ref = models.BigIntegerField(default=0, validators=[MaxValueValidator(2**63 - 1)], editable=False)
    #: The name of its object at that time.
    name = models.CharField(_("name"), max_length=NAME, blank=True, editable=False)
    #: The agency whose people have stopped it and may release it; None: the administrators only.
    agency = models.ForeignKey(Agency, models.PROTECT, null=True, related_name="stops", editable=False)
    #: The agency that its object belongs to.
    owner = models.ForeignKey(Agency, models.PROTECT, null=True, related_name="stops_of_own", editable=False)
    #: The agency whose application a grant shuts out.
    caller = models.ForeignKey(Agency, models.PROTECT, null=True, related_name="stops_of_callers", editable=False)
    reason = BoundedTextField(_("reason"), max_length=bounds.REASON)
    origin = models.CharField(max_length=10, choices=StopOrigin.choices, default=StopOrigin.USER, editable=False)
    started_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="stops_started", editable=False)
    started_at = models.DateTimeField(_("stopped at"), default=timezone.now, editable=False)
    incident = models.ForeignKey(Incident, models.PROTECT, null=True, blank=True, related_name="stops", editable=False)
    released_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="stops_released", editable=False)
    released_at = models.DateTimeField(_("released at"), null=True, editable=False)
    released_reason = BoundedTextField(_("reason of the release"), max_length=bounds.REASON, blank=True)
    #: Names of CHECKS, separated by blanks.
    checks = models.CharField(max_length=100, blank=True, editable=False)

    class Meta:
        verbose_name = _("stop")
        verbose_name_plural = _("stops")
        default_permissions = ("view",)
        ordering = ("-started_at", "-id")
        indexes = [
            models.Index(fields=["kind", "ref"], name="stop_in_force", condition=Q(released_at=None)),
            models.Index(fields=["-started_at"], name="stop_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}".strip()

    @classmethod
    def in_force(cls) -> models.QuerySet[Stop]:
        return cls.objects.filter(released_at=None)

    @classmethod
    def stopped(cls) -> frozenset[tuple[str, int]]:
        """Return kind and id of all objects that are stopped; ("all", 0) for all calls."""
        return frozenset(cls.in_force().order_by().values_list("kind", "ref"))

    @classmethod
    def _counted_rows(cls) -> models.QuerySet[Any]:
        return cls.in_force()  # only those are in the snapshot

    @property
    def is_in_force(self) -> bool:
        return self.released_at is None

    @property
    def check_labels(self) -> list[Any]:
        return [self.CHECKS[name] for name in self.checks.split() if name in self.CHECKS]

    def clean(self) -> None:
        super().clean()
        self.reason, self.released_reason = self.reason.strip(), self.released_reason.strip()
        if not self.reason:
            raise ValidationError({"reason": _("Enter a reason.")})
