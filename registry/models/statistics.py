"""Roll-ups: how many calls there were and how they ended, by hours, days and months (registry/statistics).

A group names whose calls are counted; the facts count them. Facts outlive records, and groups the rows that they name.
"""

from __future__ import annotations

from django.db import models

from registry.outcomes import CLASSES

#: The most bytes of a sketch (registry/statistics/sketch.py).
MAX_SKETCH = 4_096


class CallGroup(models.Model):
    """Calls that agree in all columns. ``kind`` says which columns count; the others are empty.

    ``call`` has them all. The other kinds add up many groups, so that a long period of an agency, or of the bus, is
    read from few rows.
    """

    class Kind(models.TextChoices):
        CALL = "call"
        BUS = "bus"
        PROVIDER = "provider"
        CONSUMER = "consumer"
        PAIR = "pair"
        OPERATION = "operation"
        APPLICATION = "application"

    kind = models.CharField(max_length=11, choices=Kind.choices)
    agency = models.CharField(max_length=63, blank=True)
    service = models.CharField(max_length=63, blank=True)
    operation = models.CharField(max_length=127, blank=True)
    #: 0 without an operation: a NULL would not be unique.
    operation_ref = models.BigIntegerField(default=0)
    consumer_agency = models.CharField(max_length=63, blank=True)
    application = models.CharField(max_length=63, blank=True)
    protocol = models.CharField(max_length=10, blank=True)
    classification = models.CharField(max_length=10, blank=True)
    origin_kind = models.CharField(max_length=7, blank=True)
    origin_ref = models.BigIntegerField(default=0)
    #: 200 or the fault's code. 0: the group of distinct subjects, which has no calls.
    outcome = models.IntegerField(default=0)
    #: registry.outcomes.Ended.
    ended = models.CharField(max_length=8, blank=True)

    #: The columns by which groups differ.
    COLUMNS = (
        "kind", "agency", "service", "operation", "operation_ref", "consumer_agency", "application", "protocol",
        "classification", "origin_kind", "origin_ref", "outcome", "ended",
    )  # fmt: skip

    class Meta:
        verbose_name = "group of calls"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "kind", "operation_ref", "agency", "consumer_agency", "application", "service", "operation",
                    "protocol", "classification", "origin_kind", "origin_ref", "outcome", "ended",
                ],
                name="call_group_once",
            )
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["kind", "agency"], name="call_group_agency"),
            models.Index(fields=["kind", "consumer_agency"], name="call_group_consumer"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Fact(models.Model):
    """What is counted of a group's calls. ``d0`` to ``d27`` count them by the class of their duration; NULL is 0."""

    group = models.ForeignKey(CallGroup, models.DO_NOTHING, db_index=False, related_name="+", db_constraint=False)
    day = models.DateField()
    calls = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    duration_us = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.group_id} {self.day}"


for _number in range(CLASSES):
    Fact.add_to_class(f"d{_number}", models.IntegerField(null=True))


class CallHour(Fact):
    """The calls of an hour, by the clock of MANTRA_TIME_ZONE."""

    pk = models.CompositePrimaryKey("group_id", "day", "hour")
    hour = models.PositiveSmallIntegerField()

    class Meta:
        verbose_name = "hour of calls"
        default_permissions = ()
        indexes = [models.Index(fields=["day"], name="call_hour_day")]


class CallDay(Fact):
    """The calls of a day."""

    pk = models.CompositePrimaryKey("group_id", "day")

    class Meta:
        verbose_name = "day of calls"
        default_permissions = ()
        indexes = [models.Index(fields=["day"], name="call_day_day")]


class CallMonth(Fact):
    """The calls of a month; ``day`` is its first."""

    pk = models.CompositePrimaryKey("group_id", "day")

    class Meta:
        verbose_name = "month of calls"
        default_permissions = ()
        indexes = [models.Index(fields=["day"], name="call_month_day")]


class SubjectDay(models.Model):
    """The distinct persons of a group's calls of a day, as a sketch (HyperLogLog): none of them can be read from it."""

    pk = models.CompositePrimaryKey("group_id", "day")
    group = models.ForeignKey(CallGroup, models.DO_NOTHING, db_index=False, related_name="+", db_constraint=False)
    day = models.DateField()
    sketch = models.BinaryField(max_length=MAX_SKETCH)

    class Meta:
        verbose_name = "day of subjects"
        default_permissions = ()
        indexes = [models.Index(fields=["day"], name="subject_day_day")]

    def __str__(self) -> str:
        return f"{self.group_id} {self.day}"
