"""Synchronisations: an operation's rows kept in a table of an own data source, and the history of their runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from dataservices.models import DataSource
from mantra.synchronization.problems import PROBLEMS
from registry.models import Agency, Application, Operation, bounds, code_validator
from registry.models.base import NAME_IN_USE
from registry.models.bounds import MaxJsonLength

#: Columns that one synchronisation fills, characters of their list and of the values of parameters as JSON, of a name
#: in a database, and of a cursor.
MAX_COLUMNS, MAX_COLUMN_LIST, MAX_ARGUMENTS, MAX_NAME, MAX_CURSOR = 200, 60_000, 10_000, 128, 4_000
#: Minutes between two runs.
LEAST_MINUTES, MOST_MINUTES = 5, 10_080
#: Keys that a dry run shows, and characters of their list as JSON.
MAX_SAMPLES, MAX_SAMPLE_LIST = 20, 20_000
#: Days for which a run is kept.
KEPT_DAYS = 365


@dataclass(frozen=True, slots=True)
class ColumnPair:
    """A column of the operation, the column of the table that it goes to, and whether it is a part of the key."""

    source: str
    target: str
    key: bool = False


class Sync(models.Model):
    """A table that is kept equal to the rows of an operation. It is no part of the snapshot: callers cannot call it."""

    class Deletions(models.TextChoices):
        NONE = "none", _("keep them in the table")
        TIMESTAMP = "timestamp", _("mark them with the time")
        FLAG = "flag", _("mark them with yes or no")

    class Schedule(models.TextChoices):
        HAND = "hand", _("by hand only")
        MINUTES = "minutes", _("every few minutes")
        DAILY = "daily", _("every day")

    agency = models.ForeignKey(Agency, models.PROTECT, verbose_name=_("agency"), related_name="syncs")
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    title = models.CharField(_("title"), max_length=200)
    #: None: the operation was deleted.
    operation = models.ForeignKey(
        Operation, models.SET_NULL, verbose_name=_("operation"), null=True, related_name="syncs"
    )
    #: None: the application was deleted, and its grants with it.
    application = models.ForeignKey(
        Application,
        models.SET_NULL,
        verbose_name=_("application"),
        null=True,
        related_name="syncs",
        help_text=_("The operation is called as this application: its grant, its quota and its history count."),
    )
    #: The values of the operation's parameters, by name.
    arguments = models.JSONField(_("parameters"), default=dict, blank=True, validators=[MaxJsonLength(MAX_ARGUMENTS)])
    source = models.ForeignKey(DataSource, models.PROTECT, verbose_name=_("data source"), related_name="syncs")
    schema = models.CharField(_("schema"), max_length=MAX_NAME)
    table = models.CharField(_("table"), max_length=MAX_NAME)
    #: A list of [column of the operation, column of the table, whether it is a part of the key].
    columns = models.JSONField(_("columns"), default=list, validators=[MaxJsonLength(MAX_COLUMN_LIST)])
    deletions = models.CharField(
        _("rows that are gone"), max_length=10, choices=Deletions.choices, default=Deletions.NONE,
        help_text=_("What becomes of rows that the operation marks as deleted, or no longer has."),
    )  # fmt: skip
    deleted_column = models.CharField(
        _("column for the mark"), max_length=MAX_NAME, blank=True,
        help_text=_("The column of the table that says that a row is deleted."),
    )  # fmt: skip
    schedule = models.CharField(_("when"), max_length=10, choices=Schedule.choices, default=Schedule.HAND)
    every_minutes = models.PositiveIntegerField(
        _("minutes between two runs"),
        default=60,
        validators=[MinValueValidator(LEAST_MINUTES), MaxValueValidator(MOST_MINUTES)],
    )
    at_hour = models.PositiveSmallIntegerField(_("hour"), default=2, validators=[MaxValueValidator(23)])
    max_change_percent = models.PositiveSmallIntegerField(
        _("largest change (%)"),
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("A run stops before it writes if it would change more than this part of the table's rows."),
    )
    full_days = models.PositiveSmallIntegerField(
        _("days between two full reads"),
        default=7,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
        help_text=_("Where the operation gives changes only, a full read finds what they did not tell."),
    )
    enabled = models.BooleanField(_("enabled"), default=False, help_text=_("Runs at the times that you chose."))
    #: Where the changes are read from next; "" for their beginning.
    cursor = models.CharField(max_length=MAX_CURSOR, blank=True, editable=False)
    #: When a full read last ended well.
    last_full_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_at = models.DateTimeField(_("next run"), null=True, blank=True, editable=False)
    changed_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("synchronisation")
        verbose_name_plural = _("synchronisations")
        ordering = ("agency__code", "code")
        constraints = [models.UniqueConstraint("agency", Lower("code"), name="sync_code_once")]
        indexes = [models.Index(fields=["next_at"], name="sync_due", condition=models.Q(enabled=True))]

    def __str__(self) -> str:
        return f"{self.agency.code}/{self.code}"

    @property
    def pairs(self) -> tuple[ColumnPair, ...]:
        """The columns that are filled, those of the key first."""
        pairs = [ColumnPair(str(source), str(target), bool(key)) for source, target, key in self.columns]
        return tuple(sorted(pairs, key=lambda pair: not pair.key))

    @property
    def target(self) -> str:
        """The table as people read it."""
        return f"{self.source.code}: {self.schema}.{self.table}"

    def clean(self) -> None:
        super().clean()
        problems: dict[str, Any] = {}
        others = Sync.objects.filter(agency=self.agency_id).exclude(pk=self.pk)
        if self._state.adding:
            bounds.check_number(others, "syncs")
        if self.code and others.filter(code__iexact=self.code).exists():
            problems["code"] = NAME_IN_USE
        if self.source_id and self.source.agency_id != self.agency_id:
            problems["source"] = _("The data source belongs to another agency.")
        elif self.source_id and (self.source.engine == "dbase" or self.source.holds_uploads):
            problems["source"] = PROBLEMS["target-kind"]
        if self.application is not None and self.application.agency_id != self.agency_id:
            problems["application"] = _("The application belongs to another agency.")
        if reason := self._columns_problem():
            problems["columns"] = reason
        if self.deletions == self.Deletions.NONE:
            self.deleted_column = ""
        elif not self.deleted_column:
            problems["deleted_column"] = _("Choose the column for the mark, or keep the rows in the table.")
        elif self.deleted_column in {pair.target for pair in self.pairs} and "columns" not in problems:
            problems["deleted_column"] = _("This column is filled from the operation already.")
        if problems:
            raise ValidationError(problems)

    def _columns_problem(self) -> Any:
        """Return what is wrong with the columns, "" if nothing is."""
        lines = self.columns if isinstance(self.columns, list) else []
        if not all(isinstance(line, list) and len(line) == 3 for line in lines):
            return _("Enter each column as [column of the operation, column of the table, part of the key].")
        if len(lines) > MAX_COLUMNS:
            return _("At most %(most)d columns.") % {"most": MAX_COLUMNS}
        targets = [pair.target for pair in self.pairs]
        if not any(pair.key for pair in self.pairs):
            return _("Choose the columns of the key: by them a row of the operation finds its row in the table.")
        if len(set(targets)) != len(targets):
            return _("Two columns go to the same column of the table.")
        if not all(0 < len(name) <= MAX_NAME for pair in self.pairs for name in (pair.source, pair.target)):
            return _("A column has no name, or a name that is too long.")
        return ""


class SyncRun(models.Model):
    """A run of a synchronisation: what it read, and what it changed."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    class Kind(models.TextChoices):
        FULL = "full", _("full read")
        CHANGES = "changes", _("changes only")

    class Step(models.TextChoices):
        READING = "reading", _("reading the operation")
        COMPARING = "comparing", _("comparing with the table")
        WRITING = "writing", _("writing")

    sync = models.ForeignKey(Sync, models.CASCADE, verbose_name=_("synchronisation"), related_name="runs")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.FULL, editable=False)
    #: True: it only counts what would change.
    dry = models.BooleanField(_("dry run"), default=False, editable=False)
    #: True: its user has confirmed that it may change any part of the table.
    unlimited = models.BooleanField(_("without the limit"), default=False, editable=False)
    #: The user who started it; "" for the schedule.
    user = models.CharField(_("started by"), max_length=150, blank=True, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING, editable=False)
    step = models.CharField(_("step"), max_length=10, choices=Step.choices, blank=True, editable=False)
    #: A key of problems.PROBLEMS; the fault's code if the call ended with one; the column that it is about.
    problem = models.CharField(_("problem"), max_length=30, blank=True, editable=False)
    fault = models.PositiveIntegerField(_("fault"), null=True, blank=True, editable=False)
    column = models.CharField(_("column"), max_length=MAX_NAME, blank=True, editable=False)
    #: The request id of the last call of the operation, by which the call history has it.
    request_id = models.CharField(_("request id"), max_length=32, blank=True, editable=False)
    read = models.PositiveBigIntegerField(_("read"), default=0, editable=False)
    inserted = models.PositiveBigIntegerField(_("new"), default=0, editable=False)
    updated = models.PositiveBigIntegerField(_("changed"), default=0, editable=False)
    unchanged = models.PositiveBigIntegerField(_("unchanged"), default=0, editable=False)
    deleted = models.PositiveBigIntegerField(_("deleted"), default=0, editable=False)
    #: The rows of the table before the run, and the changes that are written so far.
    before = models.PositiveBigIntegerField(_("rows before"), default=0, editable=False)
    written = models.PositiveBigIntegerField(_("written"), default=0, editable=False)
    #: Of a dry run: [what would change, the key with personal data masked], at most MAX_SAMPLES.
    samples = models.JSONField(default=list, validators=[MaxJsonLength(MAX_SAMPLE_LIST)], editable=False)
    #: The process that makes it, and how often one has begun.
    worker = models.CharField(max_length=100, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("run of a synchronisation")
        verbose_name_plural = _("runs of synchronisations")
        ordering = ("-created_at", "-id")
        default_permissions = ()
        indexes = [
            models.Index(fields=["sync", "-created_at", "-id"], name="sync_run_history"),
            models.Index(fields=["id"], name="sync_run_work", condition=models.Q(state__in=("waiting", "running"))),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def changes(self) -> int:
        """The rows of the table that the run changes."""
        return self.inserted + self.updated + self.deleted

    @property
    def percent(self) -> int:
        """How much of the table the run changes, in percent of its rows before."""
        return min(100, -(-100 * self.changes // self.before)) if self.before else (100 if self.changes else 0)

    @property
    def is_active(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)
