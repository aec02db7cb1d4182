"""What the catalogue shows of operations beside their definitions."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import bounds
from registry.models.bounds import BoundedTextField
from registry.models.services import Operation

#: Characters of a sample response, and of the JSON of a day's durations.
MAX_SAMPLE, MAX_DURATIONS = 20_000, 10_000


class SampleResponse(models.Model):
    """A response of an operation that the catalogue shows, as JSON. Personal data in it is masked before it is stored.

    registry/sample_responses.py makes it.
    """

    operation = models.OneToOneField(
        Operation, models.CASCADE, verbose_name=_("operation"), related_name="sample_response"
    )
    content = BoundedTextField(_("content"), max_length=MAX_SAMPLE)
    saved_at = models.DateTimeField(_("saved at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("sample response")
        verbose_name_plural = _("sample responses")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.operation)


class OperationDay(models.Model):
    """How the calls of an operation ended on one day: those that were answered, and those that its provider failed.

    The journal's shipping counts them (registry/statistics.py). ``operation_ref`` is no foreign key, as in the history.
    """

    operation_ref = models.BigIntegerField()
    day = models.DateField()
    answered = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    #: Class of durations → answered calls (registry/statistics.py).
    durations = models.JSONField(default=dict, validators=[bounds.MaxJsonLength(MAX_DURATIONS)])

    class Meta:
        verbose_name = "day of an operation"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["operation_ref", "day"], name="operation_day_once")]

    def __str__(self) -> str:
        return f"{self.operation_ref} {self.day}"
