"""Exports: files that the worker makes of what a user may see, for that user to download."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models.agencies import User
from registry.models.bounds import MaxJsonLength
from registry.secrets import EncryptedField

#: Characters of what is exported, as JSON.
PARAMETERS = 8_000


class ExportJob(models.Model):
    """An export that is to be made, is being made, or was made. Only its user gets the file."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("being made")
        DONE = "done", _("ready")
        FAILED = "failed", _("failed")
        EXPIRED = "expired", _("expired")

    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="exports", editable=False)
    #: A key of registry.exports.KINDS.
    kind = models.CharField(_("kind"), max_length=20, editable=False)
    format = models.CharField(_("format"), max_length=5, editable=False)
    parameters = models.JSONField(default=dict, validators=[MaxJsonLength(PARAMETERS)], editable=False)
    language = models.CharField(_("language"), max_length=5, choices=settings.LANGUAGES, editable=False)
    #: True: the bus has begun it by itself, such as a monthly report.
    scheduled = models.BooleanField(default=False, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING, editable=False)
    #: A key of registry.exports.problems.
    problem = models.CharField(_("problem"), max_length=30, blank=True, editable=False)
    #: What the user could see when it was made (registry.exports.view_of).
    view = models.CharField(max_length=30, blank=True, editable=False)
    rows = models.BigIntegerField(_("rows"), default=0, editable=False)
    percent = models.PositiveSmallIntegerField(_("progress"), default=0, editable=False)
    #: The process that makes it, and how often one has begun.
    worker = models.CharField(max_length=100, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    #: The name of the file below settings.EXPORT_DIR, its key, and its size before it is encrypted.
    stored = models.CharField(max_length=40, blank=True, editable=False)
    key = EncryptedField(max_length=100, blank=True, editable=False)
    size = models.BigIntegerField(_("size"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ("-created_at", "-id")
        default_permissions = ()
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="export_own"),
            models.Index(
                fields=["scheduled", "id"], name="export_work", condition=models.Q(state__in=("waiting", "running"))
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)
