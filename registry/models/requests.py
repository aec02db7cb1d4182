"""Access requests: what an application asks of an agency's operations, the decision on each, and the trail of steps."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from registry.models import bounds
from registry.models.access import AccessKey, Application, Grant
from registry.models.agencies import User
from registry.models.base import (
    MAX_QUOTA_CALLS,
    names,
    validate_networks,
    validate_pairs,
    validate_quota,
    validate_values,
)
from registry.models.bounds import BoundedTextField
from registry.models.history import CallRecord
from registry.models.services import Field, Operation, Service

#: Characters of a question, an answer or a reason.
TEXT = 2_000
#: The latest records of calls that are looked at for one page: an agency may have millions.
RECORDS_READ = 20_000
#: Days after a decision in which the first call is looked for.
FIRST_CALL_DAYS = 90


class AgreementFile(models.Model):
    """The file of an agreement. Its content is below MANTRA_FILES_DIR, under a name that nobody can guess."""

    stored = models.CharField(max_length=32, unique=True, editable=False)
    name = models.CharField(_("file name"), max_length=200, editable=False)
    media_type = models.CharField(max_length=30, editable=False)
    size = models.PositiveIntegerField(_("size (bytes)"), editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    uploaded_by = models.ForeignKey(User, models.PROTECT, related_name="agreement_files", editable=False)
    uploaded_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("agreement file")
        verbose_name_plural = _("agreement files")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a request as pages show it. ``at`` is None for one that has not come yet."""

    label: Any
    at: datetime | None = None
    user: str = ""
    text: str = ""
    operation: str = ""

    @property
    def done(self) -> bool:
        return self.at is not None


class AccessRequest(models.Model):
    """A request for grants: one application, operations of one service, one purpose.

    registry/requests.py has the rules: who may take which step, and when.
    """

    class State(models.TextChoices):
        SUBMITTED = "submitted", _("submitted")
        IN_REVIEW = "in_review", _("in review")
        RETURNED = "returned", _("returned with a question")
        APPROVED = "approved", _("approved")
        PARTLY = "partly_approved", _("approved in part")
        REJECTED = "rejected", _("rejected")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired without a decision")

    class Period(models.TextChoices):
        MINUTE = "minute", _("per minute")
        HOUR = "hour", _("per hour")
        DAY = "day", _("per day")
        MONTH = "month", _("per month")

    #: States in which the offering agency may decide, and in which anything may still happen.
    DECIDABLE = (State.SUBMITTED, State.IN_REVIEW)
    OPEN = (*DECIDABLE, State.RETURNED)
    #: The most days of a period, and steps of a request.
    MAX_DAYS, MAX_STEPS = 5 * 366, 200

    #: The same form sent twice has the same token, and makes one request.
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    application = models.ForeignKey(
        Application, models.CASCADE, verbose_name=_("application"), related_name="access_requests"
    )
    service = models.ForeignKey(Service, models.CASCADE, verbose_name=_("service"), related_name="access_requests")
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.SUBMITTED, editable=False)
    #: Raised with every change of what is requested: a decision is about one revision.
    revision = models.PositiveIntegerField(default=1, editable=False)
    purpose = models.CharField(_("purpose"), max_length=300)
    legal_basis = models.CharField(_("legal basis"), max_length=300, blank=True)
    agreement = models.CharField(_("agreement number"), max_length=100, blank=True)
    agreement_file = models.ForeignKey(
        AgreementFile, models.PROTECT, verbose_name=_("agreement file"), null=True, blank=True, related_name="requests"
    )
    valid_from = models.DateField(_("valid from"), null=True, blank=True)
    valid_until = models.DateField(_("valid until"), null=True, blank=True, help_text=_("The last day."))
    volume = models.PositiveIntegerField(
        _("expected calls"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_QUOTA_CALLS)],
    )
    volume_period = models.CharField(_("period"), max_length=10, choices=Period.choices, default=Period.DAY)
    networks = BoundedTextField(
        _("networks"), max_length=bounds.NETWORK_LIST, blank=True, validators=[validate_networks]
    )
    requested_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("requested by"), related_name="access_requests_made", editable=False
    )
    requested_at = models.DateTimeField(_("requested at"), default=timezone.now, editable=False)
    #: A request without a decision until then falls away.
    expires_at = models.DateTimeField(_("expires at"), editable=False)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True, editable=False)
    #: Found in the call history and kept, so that nobody looks for it twice.
    first_call_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("access request")
        verbose_name_plural = _("access requests")
        ordering = ("-requested_at", "-id")
        default_permissions = ("view", "add")
        permissions = [("decide_accessrequest", "Can decide on access requests")]
        indexes = [
            models.Index(fields=["application", "-requested_at"], name="access_request_applicant"),
            models.Index(fields=["service", "state"], name="access_request_service"),
        ]

    def __str__(self) -> str:
        return f"{self.application} → {self.service}"

    def clean(self) -> None:
        super().clean()
        for name in ("purpose", "legal_basis", "agreement"):
            setattr(self, name, getattr(self, name).strip())
        if not self.purpose:
            raise ValidationError({"purpose": _("Write what the data is for.")})
        self._check_period()

    def _check_period(self) -> None:
        """Check the requested days. Raises ValidationError."""
        today = timezone.localdate()
        first = self.valid_from or today
        if self.valid_until is None:
            return
        if self.valid_until < first:
            raise ValidationError({"valid_until": _("The last day is before the first day.")})
        if self.valid_until < today:
            raise ValidationError({"valid_until": _("Choose a day in the future.")})
        if self.valid_until - max(first, today) > timedelta(days=self.MAX_DAYS):
            raise ValidationError({"valid_until": _("Choose at most five years.")})

    @property
    def is_open(self) -> bool:
        """True while the request waits for the offering agency or for the applicant."""
        return self.state in self.OPEN

    @property
    def quota(self) -> str:
        """The expected calls as a quota, "" if they are not stated."""
        return f"{self.volume}/{self.volume_period}" if self.volume else ""

    def set_expiry(self) -> None:
        """Let the request fall away some days from now."""
        self.expires_at = timezone.now() + timedelta(days=settings.REQUEST_DAYS)

    # ------------------------------------------------------------------------------------ what became of it

    @property
    def granted(self) -> list[RequestedOperation]:
        """The operations that were approved."""
        return [item for item in self.items.all() if item.is_approved]

    @property
    def steps(self) -> list[Step]:
        """The trail: what happened, oldest first, and after an approval what is still to come: key, first call."""
        rows = sorted(self.trail.all(), key=lambda row: (row.at, row.pk))
        steps = [row.as_step() for row in rows]
        if self.is_open:
            return [*steps, Step(_("Decision"))]
        return steps + self._steps_after_approval() if self.granted else steps

    def _steps_after_approval(self) -> list[Step]:
        key = self._key()
        found = [Step(_("Access key issued"), key.created_at if key else None)]
        found.append(Step(_("First call answered"), self.first_call() if key else None))
        for item in self.granted:
            found += item.end_of_grant()
        return sorted(found, key=lambda step: (step.at is None, step.at))

    def _key(self) -> AccessKey | None:
        """Return the application's oldest active key, None if it has none."""
        return AccessKey.active().filter(application=self.application_id, operation=None).order_by("created_at").first()

    def first_call(self) -> datetime | None:
        """Return when the application got its first answer from an operation of the request, None if it has not yet."""
        if self.first_call_at is None and self.decided_at is not None:
            self.first_call_at = self._look_for_first_call(self.decided_at)
            if self.first_call_at is not None:
                AccessRequest.objects.filter(pk=self.pk).update(first_call_at=self.first_call_at)
        return self.first_call_at

    def _look_for_first_call(self, since: datetime) -> datetime | None:
        calls = records(self.application, since, since + timedelta(days=FIRST_CALL_DAYS), "started_at")
        operations = [item.operation_id for item in self.granted]
        answered = calls.filter(operation_ref__in=operations, outcome=200).order_by("started_at")
        return answered.values_list("started_at", flat=True).first()


def records(application: Application, since: datetime, until: datetime, order: str) -> models.QuerySet[CallRecord]:
    """Return an application's records of a period, among the first RECORDS_READ of its agency in this order."""
    agency = application.agency.code
    read = CallRecord.objects.filter(consumer_agency=agency, started_at__gte=since, started_at__lt=until)
    first = read.order_by(order).values("pk")[:RECORDS_READ]
    return CallRecord.objects.filter(pk__in=first, application=application.code)


class RequestedOperation(models.Model):
    """One operation of a request, and the decision on it: what was granted of what was requested."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CONFIRMING = "confirming", _("waiting for a second person")
        APPROVED = "approved", _("approved")
        PARTLY = "partly_approved", _("approved in part")
        REJECTED = "rejected", _("rejected")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired without a decision")

    #: Not decided yet.
    PENDING = (State.WAITING, State.CONFIRMING)

    request = models.ForeignKey(AccessRequest, models.CASCADE, related_name="items")
    #: The request's: a constraint reaches over one table only.
    application = models.ForeignKey(Application, models.CASCADE, related_name="+", editable=False)
    operation = models.ForeignKey(
        Operation, models.CASCADE, verbose_name=_("operation"), related_name="access_requests"
    )
    fields = BoundedTextField(_("columns"), max_length=bounds.NAME_LIST, blank=True)
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.WAITING, editable=False)
    granted_fields = BoundedTextField(_("granted columns"), max_length=bounds.NAME_LIST, blank=True)
    granted_quota = models.CharField(_("quota"), max_length=100, blank=True, validators=[validate_quota])
    granted_from = models.DateField(_("valid from"), null=True, blank=True)
    granted_until = models.DateField(_("valid until"), null=True, blank=True)
    granted_networks = BoundedTextField(
        _("networks"), max_length=bounds.NETWORK_LIST, blank=True, validators=[validate_networks]
    )
    granted_masks = BoundedTextField(_("masks"), max_length=bounds.NAME_LIST, blank=True, validators=[validate_pairs])
    granted_values = BoundedTextField(
        _("values of the grant"), max_length=bounds.VALUE_LIST, blank=True, validators=[validate_values]
    )
    decided_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("decided by"), null=True, blank=True, related_name="+", editable=False
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True, editable=False)
    #: The second person, where one was needed.
    confirmed_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("confirmed by"), null=True, blank=True, related_name="+", editable=False
    )
    reason = BoundedTextField(_("reason of the decision"), max_length=TEXT, blank=True)
    grant = models.ForeignKey(
        Grant, models.SET_NULL, verbose_name=_("grant"), null=True, blank=True, related_name="requests", editable=False
    )

    class Meta:
        verbose_name = _("requested operation")
        verbose_name_plural = _("requested operations")
        ordering = ("operation__code", "id")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["request", "operation"], name="requested_operation_once"),
            models.UniqueConstraint(
                fields=["application", "operation"],
                name="access_request_once",
                condition=models.Q(state__in=("waiting", "confirming")),
            ),
        ]

    def __str__(self) -> str:
        return str(self.operation)

    @property
    def is_pending(self) -> bool:
        return self.state in self.PENDING

    @property
    def is_approved(self) -> bool:
        return self.state in (self.State.APPROVED, self.State.PARTLY)

    def clean(self) -> None:
        super().clean()
        operation = self.operation
        if operation.draft_of_id is not None or not operation.is_callable:
            raise ValidationError(_("%(name)s is not offered now."), params={"name": operation.address})
        if operation.access == Operation.Access.OPEN:
            raise ValidationError(_("%(name)s is open: call it without a grant."), params={"name": operation.address})
        self._check_columns()

    def _check_columns(self) -> None:
        chosen, address = names(self.fields), self.operation.address
        offered = {field.name for field in choosable(self.operation)}
        if unknown := [name for name in chosen if name not in offered]:
            raise ValidationError(
                _("%(operation)s does not offer these columns: %(names)s."),
                params={"operation": address, "names": ", ".join(unknown)},
            )
        if offered and not chosen:
            raise ValidationError(_("Choose columns of %(name)s."), params={"name": address})

    @cached_property
    def present_grant(self) -> Grant | None:
        """The grant that the application has for the operation now, a revoked or ended one included."""
        return Grant.objects.filter(application=self.application_id, operation=self.operation_id).first()

    def end_of_grant(self) -> Iterator[Step]:
        """Yield the step with which the grant ended, if it did."""
        if self.grant is None or self.grant.standing in (Grant.Standing.IN_FORCE, Grant.Standing.NOT_YET):
            return
        label = _("Grant: %(state)s") % {"state": self.grant.standing.label}
        yield Step(label, self.grant.ended_at or self.decided_at, operation=self.operation.code)


def choosable(operation: Operation) -> list[Field]:
    """Return the columns that a grant can allow or not; none if none is declared, or responses go out whole."""
    return list(operation.fields.all()) if operation.of_its_kind.limits_fields else []


class RequestStep(models.Model):
    """A step of a request that was taken: who, when, what, and with which words."""

    class Kind(models.TextChoices):
        SUBMITTED = "submitted", _("Submitted")
        CHANGED = "changed", _("Changed")
        REVIEW = "review", _("Review begun")
        QUESTION = "question", _("Returned with a question")
        ANSWER = "answer", _("Question answered")
        FIRST_APPROVAL = "first_approval", _("Approved by the first person")
        APPROVED = "approved", _("Approved")
        PARTLY = "partly_approved", _("Approved in part")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        EXPIRED = "expired", _("Expired without a decision")

    #: Steps of the applicant: who took one never decides on the request.
    OF_APPLICANT = (Kind.SUBMITTED, Kind.CHANGED, Kind.ANSWER)

    request = models.ForeignKey(AccessRequest, models.CASCADE, related_name="trail")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now)
    user = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    #: The code of the operation that the step is about, "" for all of the request.
    operation = models.CharField(max_length=127, blank=True, validators=[MaxLengthValidator(127)])
    text = BoundedTextField(max_length=TEXT, blank=True)

    class Meta:
        verbose_name = _("step of an access request")
        verbose_name_plural = _("steps of access requests")
        ordering = ("at", "id")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.get_kind_display())

    def as_step(self) -> Step:
        user = self.user
        return Step(
            self.get_kind_display(), self.at, (user.get_full_name() or user.username) if user else "",
            self.text, self.operation,
        )  # fmt: skip
