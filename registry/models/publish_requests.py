"""Requests to publish an operation with personal data, on which a second person decides."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import bounds
from registry.models.agencies import User
from registry.models.bounds import BoundedTextField
from registry.models.services import Operation


class PublishRequest(models.Model):
    """A person's request to publish an operation as it was at that moment, and the decision of a second person.

    A draft that has changed since is not what the request is about: it then falls away (registry/approvals.py).
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        WITHDRAWN = "withdrawn", _("withdrawn")

    #: The operation that callers use or will use, also if a draft beside it is to replace it.
    operation = models.ForeignKey(
        Operation, models.CASCADE, verbose_name=_("operation"), related_name="publish_requests", editable=False
    )
    #: Identifies what was asked for: a hash of the operation's definition.
    digest = models.CharField(max_length=64, validators=[MaxLengthValidator(64)], editable=False)
    requested_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("requested by"), related_name="publish_requests_made", editable=False
    )
    requested_at = models.DateTimeField(_("requested at"), default=timezone.now, editable=False)
    reason = BoundedTextField(_("reason"), max_length=bounds.REASON)
    #: Of the version that is made of it.
    change_note = BoundedTextField(_("note for callers"), max_length=bounds.CHANGE_NOTE, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING, editable=False)
    decided_by = models.ForeignKey(
        User,
        models.PROTECT,
        verbose_name=_("decided by"),
        null=True,
        blank=True,
        related_name="publish_requests_decided",
        editable=False,
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True, editable=False)
    decision_reason = BoundedTextField(_("reason of the decision"), max_length=bounds.REASON, blank=True)

    class Meta:
        verbose_name = _("publish request")
        verbose_name_plural = _("publish requests")
        ordering = ("-requested_at", "-id")
        default_permissions = ("view",)
        permissions = [("decide_publishrequest", "Can decide on requests to publish")]
        constraints = [
            models.UniqueConstraint("operation", name="publish_request_once", condition=models.Q(state="waiting"))
        ]

    def __str__(self) -> str:
        return str(self.operation)

    @property
    def is_waiting(self) -> bool:
        return self.state == self.State.WAITING

    def decide(self, state: str, user: User | None, reason: str = "") -> None:
        """Store a decision; without a user it is the bus's own, about a draft that has changed."""
        self.state, self.decided_by, self.decided_at = state, user, timezone.now()
        self.decision_reason = reason
        self.full_clean()
        self.save()

    def clean(self) -> None:
        super().clean()
        self.reason, self.decision_reason = self.reason.strip(), self.decision_reason.strip()
        self.change_note = self.change_note.strip()

    @classmethod
    def waiting(cls) -> models.QuerySet[Any]:
        return cls.objects.filter(state=cls.State.WAITING)
