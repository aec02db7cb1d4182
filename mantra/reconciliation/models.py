"""Reconciliations, their two sides, and their runs."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import Agency, Application, Operation, User
from registry.models.base import NAME_IN_USE, code_validator
from registry.models.bounds import MaxJsonLength, check_number
from registry.secrets import EncryptedField

#: The most pairs of columns, and characters of them, of a side's columns and parameters, and of a run's headings.
MOST_PAIRS, PAIRS, COLUMNS, ARGUMENTS, HEADINGS = 50, 20_000, 100_000, 20_000, 60_000


class Reconciliation(models.Model):
    """Which two lists are joined, by which columns, and what of them is compared."""

    class Schedule(models.TextChoices):
        NONE = "none", _("only when a user starts it")
        DAILY = "daily", _("every day")
        WEEKLY = "weekly", _("every Monday")
        MONTHLY = "monthly", _("on the first of each month")

    agency = models.ForeignKey(Agency, models.CASCADE, verbose_name=_("agency"), related_name="reconciliations")
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    title = models.CharField(_("title"), max_length=200)
    #: The pairs of columns, as pairs.Pair has them.
    pairs = models.JSONField(_("columns"), default=list, blank=True, validators=[MaxJsonLength(PAIRS)])
    schedule = models.CharField(_("runs"), max_length=10, choices=Schedule.choices, default=Schedule.NONE)
    hour = models.PositiveSmallIntegerField(_("hour"), default=2, validators=[MaxValueValidator(23)])
    notify = models.BooleanField(_("notify when a scheduled run has ended"), default=True)
    #: When the schedule starts the next run; None without a schedule.
    next_at = models.DateTimeField(_("next run"), null=True, blank=True, editable=False)
    #: Who saved it last. Scheduled runs have this user's rights.
    responsible = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, editable=False, related_name="reconciliations"
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")
        ordering = ("title", "pk")
        constraints = [models.UniqueConstraint(fields=["agency", "code"], name="reconciliation_code_once")]
        indexes = [models.Index(fields=["next_at"], name="reconciliation_due")]

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        """Check the code, and that the agency may have a further one. Raises ValidationError."""
        super().clean()
        if not self.agency_id:
            return
        others = Reconciliation.objects.filter(agency=self.agency_id).exclude(pk=self.pk)
        if others.filter(code__iexact=self.code).exists():
            raise ValidationError({"code": NAME_IN_USE})
        if self._state.adding:
            check_number(others, "reconciliations")

    def side(self, place: str) -> Side:
        """Return the left or the right side."""
        return next(side for side in self.sides.all() if side.place == place)


class Side(models.Model):
    """One of the two lists: an operation's rows, or an uploaded file."""

    class Place(models.TextChoices):
        LEFT = "left", _("list A")
        RIGHT = "right", _("list B")

    class Kind(models.TextChoices):
        OPERATION = "operation", _("operation")
        FILE = "file", _("file")

    reconciliation = models.ForeignKey(Reconciliation, models.CASCADE, related_name="sides")
    place = models.CharField(max_length=5, choices=Place.choices)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    #: The application as which the operation is called; None for an operation of the agency's own.
    application = models.ForeignKey(Application, models.SET_NULL, null=True, blank=True, related_name="+")
    as_own = models.BooleanField(default=False)
    operation = models.ForeignKey(Operation, models.SET_NULL, null=True, blank=True, related_name="+")
    #: The values of the operation's parameters, as texts by their names.
    arguments = models.JSONField(default=dict, blank=True, validators=[MaxJsonLength(ARGUMENTS)])
    #: An uploaded file: its name for people, where it is, its key, and what it has.
    file_name = models.CharField(max_length=200, blank=True)
    stored = models.CharField(max_length=40, blank=True, editable=False)
    key = EncryptedField(max_length=100, blank=True, editable=False)
    file_rows = models.PositiveIntegerField(default=0, editable=False)
    #: Sheet and layout, and index, name and kind of each column, as uploads.inspect() found them.
    found = models.JSONField(default=dict, blank=True, editable=False, validators=[MaxJsonLength(COLUMNS)])

    class Meta:
        verbose_name = _("list of a reconciliation")
        verbose_name_plural = _("lists of a reconciliation")
        ordering = ("place",)
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["reconciliation", "place"], name="reconciliation_side_once")]

    def __str__(self) -> str:
        if self.kind == self.Kind.FILE:
            return self.file_name
        return self.operation.title or self.operation.code if self.operation is not None else "–"


class ReconciliationRun(models.Model):
    """A run: what was found, and the rows that differ, in files that are encrypted and expire."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    class Step(models.TextChoices):
        LEFT = "left", _("reading list A")
        RIGHT = "right", _("reading list B")
        JOIN = "join", _("comparing")

    reconciliation = models.ForeignKey(Reconciliation, models.CASCADE, related_name="runs")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING, editable=False)
    scheduled = models.BooleanField(default=False, editable=False)
    #: Whose rights it has, and whose language.
    user = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, editable=False, related_name="+")
    step = models.CharField(max_length=5, choices=Step.choices, blank=True, editable=False)
    #: Rows that were read so far, and percent.
    rows = models.BigIntegerField(default=0, editable=False)
    percent = models.PositiveSmallIntegerField(default=0, editable=False)
    worker = models.CharField(max_length=100, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    #: The folder of the result's files, and their key; "" when they have expired.
    stored = models.CharField(max_length=40, blank=True, editable=False)
    key = EncryptedField(max_length=100, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: A key of problems.PROBLEMS, the side that it concerns, and the code of the fault of a call.
    problem = models.CharField(max_length=30, blank=True, editable=False)
    problem_side = models.CharField(max_length=5, blank=True, editable=False)
    fault = models.PositiveIntegerField(null=True, blank=True, editable=False)
    left_rows = models.BigIntegerField(default=0, editable=False)
    right_rows = models.BigIntegerField(default=0, editable=False)
    only_left = models.BigIntegerField(default=0, editable=False)
    only_right = models.BigIntegerField(default=0, editable=False)
    different = models.BigIntegerField(default=0, editable=False)
    equal = models.BigIntegerField(default=0, editable=False)
    #: Rows with a key that one of the lists has several times, and rows without a key.
    left_repeated = models.BigIntegerField(default=0, editable=False)
    right_repeated = models.BigIntegerField(default=0, editable=False)
    left_empty = models.BigIntegerField(default=0, editable=False)
    right_empty = models.BigIntegerField(default=0, editable=False)
    #: How many pairs of rows differ in each pair of columns, and the headings of the files of the result.
    by_field = models.JSONField(default=list, editable=False, validators=[MaxJsonLength(HEADINGS)])
    headings = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(HEADINGS)])
    #: Kind of rows → how many of them the result's files have.
    kept = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(1_000)])
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("run of a reconciliation")
        verbose_name_plural = _("runs of a reconciliation")
        ordering = ("-created_at", "-pk")
        default_permissions = ()
        indexes = [
            models.Index(fields=["reconciliation", "-created_at", "-id"], name="reconciliation_run_own"),
            models.Index(fields=["id"], name="reconciliation_run_work", condition=models.Q(
                state__in=("waiting", "running"))),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.reconciliation} {self.pk}"

    @property
    def in_progress(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)

    @property
    def counts(self) -> dict[str, Any]:
        """The numbers of rows, by the names of engine.Counts."""
        return {name: getattr(self, name) for name in COUNTS}


#: The columns of a run that count rows.
COUNTS = (
    "left_rows", "right_rows", "only_left", "only_right", "different", "equal", "left_repeated", "right_repeated",
    "left_empty", "right_empty",
)  # fmt: skip
