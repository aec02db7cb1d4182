"""Alarm rules about applications that fetch too much, what they look at, and what they found."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from registry.models.agencies import Agency
from registry.models.bounds import MaxJsonLength
from registry.models.containment import Incident
from registry.models.statistics import MAX_SKETCH

#: The most networks of an hour that are remembered, characters of their list, and of an alarm's figures.
MAX_NETWORKS, NETWORKS_LENGTH, FIGURES = 20, 2_000, 2_000


class CallerHour(models.Model):
    """What one application fetched in an hour of one agency's operations with one of its keys.

    The shipping of the journal adds to it (registry/harvest/hours.py).
    """

    #: 0 for a job that a user started: it has no key.
    key_ref = models.BigIntegerField(default=0)
    key = models.CharField(max_length=20, blank=True)
    consumer_agency = models.CharField(max_length=63)
    application = models.CharField(max_length=63)
    #: The offering agency.
    agency = models.CharField(max_length=63)
    #: The beginning of the hour.
    hour = models.DateTimeField()
    calls = models.PositiveBigIntegerField(default=0)
    #: Calls for which nothing was found.
    misses = models.PositiveBigIntegerField(default=0)
    #: Calls for a value next to others of late.
    near = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    #: The rows of the call with the most.
    most_rows = models.PositiveBigIntegerField(default=0)
    #: About how many persons were named; their sketch, while the hour may grow.
    persons = models.PositiveBigIntegerField(default=0)
    sketch = models.BinaryField(max_length=MAX_SKETCH, default=b"")
    #: Network → calls.
    networks = models.JSONField(default=dict, validators=[MaxJsonLength(NETWORKS_LENGTH)])

    class Meta:
        verbose_name = _("hour of a caller")
        verbose_name_plural = _("hours of callers")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "key_ref", "consumer_agency", "application", "agency"], name="caller_hour_once"
            )
        ]
        indexes = [models.Index(fields=["consumer_agency", "application", "hour"], name="caller_hour_application")]

    def __str__(self) -> str:
        return f"{self.consumer_agency}/{self.application} {self.hour}"


class HarvestRule(models.Model):
    """A rule by which an application is found to fetch too much, and what is done then."""

    class Kind(models.TextChoices):
        SEQUENCE = "sequence", _("values in sequence")
        MISSES = "misses", _("many values that do not exist")
        WIDE = "wide", _("a very large response")
        ROWS = "rows", _("many rows")
        PERSONS = "persons", _("many persons")
        CALLS = "calls", _("many calls")
        HOUR = "hour", _("unusual hour")
        NETWORK = "network", _("unusual network")

    class Mode(models.TextChoices):
        OFF = "off", _("off")
        DRY_RUN = "dry_run", _("dry run")
        ON = "on", _("on")

    class Action(models.TextChoices):
        ALARM = "alarm", _("notify")
        SLOW = "slow", _("slow down the key")
        SUSPEND = "suspend", _("stop the key")

    #: Kinds that compare a share of the calls, and those that compare with the days before.
    WITH_SHARE: ClassVar[frozenset[str]] = frozenset((Kind.SEQUENCE, Kind.MISSES))
    #: Kinds that find something in an application of which nothing is known yet.
    WITHOUT_PAST: ClassVar[frozenset[str]] = frozenset((Kind.SEQUENCE, Kind.MISSES))

    #: The offering agency; None: all agencies together.
    agency = models.ForeignKey(
        Agency, models.CASCADE, verbose_name=_("agency"), null=True, blank=True, related_name="harvest_rules",
        help_text=_("Only calls of this agency's operations count. Empty: those of all agencies together."),
    )  # fmt: skip
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    mode = models.CharField(
        _("mode"), max_length=7, choices=Mode.choices, default=Mode.DRY_RUN,
        help_text=_("A dry run lists what the rule finds, and does nothing else."),
    )  # fmt: skip
    action = models.CharField(_("action"), max_length=7, choices=Action.choices, default=Action.ALARM)
    least = models.PositiveIntegerField(
        _("least number in an hour"),
        validators=[MinValueValidator(10), MaxValueValidator(1_000_000_000)],
        help_text=_("Below it nothing is found. It counts what the kind names: values, rows, persons or calls."),
    )
    percent = models.PositiveSmallIntegerField(
        _("share of the calls in percent"),
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Only for values in sequence and for values that do not exist."),
    )
    factor = models.PositiveSmallIntegerField(
        _("percent of the usual"),
        default=300,
        validators=[MinValueValidator(100), MaxValueValidator(30_000)],
        help_text=_("300 is three times the usual: the highest hour of the 36 days before."),
    )
    days = models.PositiveSmallIntegerField(
        _("least days of the past"),
        default=7,
        validators=[MinValueValidator(1), MaxValueValidator(30)],
        help_text=_("Of an application that called on fewer days nothing is usual yet."),
    )
    slow_seconds = models.PositiveSmallIntegerField(
        _("seconds between two calls"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text=_("For a key that is slowed down."),
    )
    slow_minutes = models.PositiveIntegerField(
        _("minutes of slowing down"), default=60, validators=[MinValueValidator(1), MaxValueValidator(10_080)]
    )

    class Meta:
        verbose_name = _("alarm rule")
        verbose_name_plural = _("alarm rules")
        ordering = ("agency__code", "id")
        constraints = [
            models.UniqueConstraint(fields=["agency", "kind"], name="harvest_rule_once"),
        ]

    def __str__(self) -> str:
        owner = self.agency.code if self.agency_id and self.agency is not None else "MANTRA"
        return f"{owner}: {self.get_kind_display()}"

    def clean(self) -> None:
        super().clean()
        same = HarvestRule.objects.filter(agency=self.agency_id, kind=self.kind).exclude(pk=self.pk)
        if same.exists():
            raise ValidationError({"kind": _("There is such a rule already. Change that one.")})
        if self.agency_id is not None and self.action != self.Action.ALARM:
            raise ValidationError({"action": _("Only a rule for all agencies may slow down or stop a key.")})


class HarvestAlarm(models.Model):
    """What a rule found: one a day for a rule and a key. Names are copied: it outlives the rows that it names."""

    rule = models.ForeignKey(HarvestRule, models.CASCADE, verbose_name=_("alarm rule"), related_name="alarms")
    #: The agency of the rule, "" for one of all agencies.
    agency = models.CharField(_("agency"), max_length=63, blank=True)
    consumer_agency = models.CharField(_("caller's agency"), max_length=63)
    application = models.CharField(_("application"), max_length=63)
    key = models.CharField(_("key"), max_length=20, blank=True)
    key_ref = models.BigIntegerField(default=0)
    day = models.DateField()
    found_at = models.DateTimeField(_("found at"))
    hour = models.DateTimeField(_("hour"))
    #: What was counted and what is usual, and of which of the agencies' operations.
    number = models.PositiveBigIntegerField(_("counted"))
    usual = models.PositiveBigIntegerField(_("usual"))
    figures = models.JSONField(default=dict, validators=[MaxJsonLength(FIGURES)])
    incident = models.ForeignKey(
        Incident, models.SET_NULL, verbose_name=_("incident"), null=True, blank=True, related_name="alarms"
    )
    #: What was done; "" in a dry run.
    action = models.CharField(_("action"), max_length=7, choices=HarvestRule.Action.choices, blank=True)

    class Meta:
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        ordering = ("-found_at", "-id")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "consumer_agency", "application", "key_ref", "day"], name="harvest_alarm_once"
            )
        ]
        indexes = [models.Index(fields=["-found_at"], name="harvest_alarm_time")]

    def __str__(self) -> str:
        return f"{self.consumer_agency}/{self.application}: {self.rule}"

    @property
    def address(self) -> str:
        """The application as people call it."""
        return f"{self.consumer_agency}/{self.application}"
