"""What the catalogue shows of operations beside their definitions."""

from __future__ import annotations

from django.db import models

from registry.models import bounds

#: Characters of the JSON of a day's durations.
MAX_DURATIONS = 10_000


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
