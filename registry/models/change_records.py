"""The changes of definitions, as the journal has them: who changed which row when, without values."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

#: Characters of a row's name, and of the names of the fields that changed.
NAME, FIELDS = 200, 2_000


class ChangeRecord(models.Model):
    """A change of a row, from the journal. Names are copied: a record outlives the row and the user."""

    class Action(models.TextChoices):
        ADDED = "added", _("added")
        CHANGED = "changed", _("changed")
        DELETED = "deleted", _("deleted")

    change_id = models.CharField(max_length=32, unique=True)
    at = models.DateTimeField(_("time"))
    user = models.CharField(_("user"), max_length=150, blank=True)
    #: By which door: admin, api, a command's name, or worker.
    origin = models.CharField(_("by way of"), max_length=40)
    client_ip = models.GenericIPAddressField(_("address"), null=True, blank=True)
    action = models.CharField(_("change"), max_length=7, choices=Action.choices)
    #: The label of the model, such as registry.grant.
    kind = models.CharField(_("kind"), max_length=80)
    ref = models.BigIntegerField(null=True, blank=True)
    name = models.CharField(_("row"), max_length=NAME, blank=True)
    #: The codes of the agencies that may read the row.
    agency = models.CharField(_("agency"), max_length=63, blank=True)
    other_agency = models.CharField(max_length=63, blank=True)
    fields = models.CharField(_("fields"), max_length=FIELDS, blank=True)
    #: The rows that changed, if they were changed together.
    rows = models.BigIntegerField(_("rows"), default=1)
    #: The version of the registry, and of the operation if it has one.
    version = models.BigIntegerField(null=True, blank=True)
    revision = models.IntegerField(_("revision"), null=True, blank=True)
    #: True once the transaction was committed. Others were undone, or are not over.
    committed = models.BooleanField(_("committed"), default=False)
    segment = models.CharField(max_length=120, blank=True)

    class Meta:
        verbose_name = _("change of a definition")
        verbose_name_plural = _("changes of definitions")
        ordering = ("-at", "-id")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-at", "-id"], name="change_time"),
            models.Index(fields=["agency", "-at"], name="change_agency"),
            models.Index(fields=["other_agency", "-at"], name="change_other_agency"),
            models.Index(fields=["user", "-at"], name="change_user"),
            models.Index(fields=["kind", "ref", "-at"], name="change_row"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.name}"
