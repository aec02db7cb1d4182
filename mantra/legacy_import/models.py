"""Imports from MANTRA 1.99x: each run, what became of each row of the old database, and its calls per day; and the
comparisons of both hosts afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.core.validators import MaxValueValidator
from django.db import connection, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import moments
from registry.models import User
from registry.models.bounds import PASSWORD, BoundedTextField, MaxJsonLength
from registry.secrets import EncryptedField

#: Characters of the remarks on a row, and of the digests of its parts.
REMARKS, PARTS = 20_000, 10_000
#: Characters of a name, of the codes of remarks, of a sentence about a run, and of the hosts of a run.
NAME, CODES, DETAIL, HOSTS = 300, 1_000, 1_000, 50_000
#: Characters of the address of an old host, of the aliases that are compared, and of one of them.
URL, ALIASES, ALIAS = 500, 20_000, 400


class Outcome(models.TextChoices):
    """What became of a row of the old database."""

    TAKEN = "taken", _("taken")
    MERGED = "merged", _("merged with another row")
    CHANGED = "changed", _("taken with changes")
    PERSON = "person", _("needs a person")
    REFUSED = "refused", _("refused")
    OMITTED = "omitted", _("not taken, as intended")


class OldTable(models.TextChoices):
    """The tables of the old database of which each row is accounted for."""

    AGENCIES = "instances", _("agencies")
    USERS = "users", _("users")
    SERVICES = "services", _("services")
    OPERATIONS = "methods", _("operations")
    ORDERS = "orders", _("keys")


class WithLog(models.Model):
    """An uploaded access log of the old host: its name for people, where it is, and its key. All "" without one."""

    log_name = models.CharField(max_length=NAME, blank=True, editable=False)
    log_stored = models.CharField(max_length=40, blank=True, editable=False)
    log_key = EncryptedField(max_length=100, blank=True, editable=False)

    class Meta:
        abstract = True


class ImportInput(WithLog):
    """What a run of the page reads: an uploaded dump, or a running server. It is deleted when it expires."""

    #: The dump: its name for people, where it is, and its key. Without a file it is a server.
    name = models.CharField(max_length=NAME, editable=False)
    stored = models.CharField(max_length=40, blank=True, editable=False)
    key = EncryptedField(max_length=100, blank=True, editable=False)
    host = models.CharField(_("host"), max_length=255, blank=True)
    port = models.PositiveIntegerField(_("port"), default=3306, validators=[MaxValueValidator(65_535)])
    database = models.CharField(_("database"), max_length=64, blank=True)
    user = models.CharField(_("user"), max_length=128, blank=True)
    #: Until the end of the run that needs it.
    password = EncryptedField(_("password"), max_length=PASSWORD, blank=True)
    expires_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = _("input of an import")
        verbose_name_plural = _("inputs of imports")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    @property
    def is_file(self) -> bool:
        return bool(self.stored)


class Work(models.Model):
    """What the worker does for a page: an import, or a comparison."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.RUNNING, editable=False)
    user = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    started_at = models.DateTimeField(_("started at"), default=timezone.now, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, editable=False)
    language = models.CharField(max_length=10, blank=True, editable=False)
    worker = models.CharField(max_length=100, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    #: A key of pages.problems.PROBLEMS.
    problem = models.CharField(max_length=30, blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def in_progress(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)

    @property
    def mark(self) -> int | str:
        """The name of its files of progress: another one for each."""
        return int(self.pk)


class LegacyImport(Work):
    """A run: when, by whom, from where, and how many rows of each table the old database has."""

    class KeysInPath(models.TextChoices):
        """The keys that may be in addresses, as old_programs.programs_for() has it."""

        NONE = "", _("none")
        LOG = "log", _("those that an access log has there")
        ALL = "all", _("all")

    dry = models.BooleanField(_("dry run"), default=False, editable=False)
    #: The host and database, or the name of the file: no password.
    source = models.CharField(_("source"), max_length=NAME, editable=False)
    #: Old table → its rows.
    counts = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(5_000)])
    #: Rows that were looked at so far.
    rows = models.PositiveBigIntegerField(default=0, editable=False)
    #: What the page has for the worker. A run of the command has none of it.
    input = models.ForeignKey(ImportInput, models.SET_NULL, null=True, editable=False, related_name="runs")
    parts = models.JSONField(default=list, editable=False, validators=[MaxJsonLength(1_000)])
    hosts = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(HOSTS)])
    #: True: responses to the keys are wrapped, for programs with APP_ENC.
    wrapped = models.BooleanField(default=False, editable=False)
    keys_in_path = models.CharField(max_length=10, blank=True, choices=KeysInPath.choices, editable=False)
    #: A sentence in the user's language about an unreadable database.
    detail = BoundedTextField(blank=True, editable=False, max_length=DETAIL)
    #: Hosts → the operations whose definitions have them: the most frequent ones, and those that are the old server
    #: itself.
    found_hosts = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(HOSTS)])
    missing_hosts = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(HOSTS)])

    class Meta:
        verbose_name = _("import from MANTRA 1.99x")
        verbose_name_plural = _("imports from MANTRA 1.99x")
        ordering = ("-id",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.source} {moments.moment(self.started_at)}"


class ImportedRow(models.Model):
    """What a run made of a row of the old database."""

    run = models.ForeignKey(LegacyImport, models.CASCADE, related_name="lines", editable=False)
    table = models.CharField(max_length=20, choices=OldTable.choices, editable=False)
    old_id = models.BigIntegerField(editable=False)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, editable=False)
    #: [kind of remark, its arguments], as translating.remarks has them.
    remarks = models.JSONField(default=list, editable=False, validators=[MaxJsonLength(REMARKS)])
    #: The kinds alone, each between blanks, to find rows by.
    codes = models.CharField(max_length=CODES, blank=True, editable=False)
    #: Our row: the label of its model, its id, its name.
    kind = models.CharField(max_length=40, blank=True, editable=False)
    ref = models.BigIntegerField(null=True, editable=False)
    name = models.CharField(max_length=NAME, blank=True, editable=False)
    code = models.CharField(max_length=127, blank=True, editable=False)
    #: The part of a bundle → its digest: what has changed there since the last run is told by it.
    parts = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(PARTS)])

    class Meta:
        verbose_name = _("imported row")
        verbose_name_plural = _("imported rows")
        default_permissions = ()
        ordering = ("id",)
        constraints = [models.UniqueConstraint(fields=["run", "table", "old_id"], name="imported_row_once")]
        indexes = [models.Index(fields=["run", "outcome", "id"], name="imported_row_outcome")]

    def __str__(self) -> str:
        return f"{self.table} {self.old_id}: {self.outcome}"


class ComparisonInput(WithLog):
    """What comparisons after a run need: the keys of the old database in a file, and a log. Deleted when it expires."""

    run = models.OneToOneField(LegacyImport, models.CASCADE, related_name="for_comparing", editable=False)
    keys_stored = models.CharField(max_length=40, editable=False)
    keys_key = EncryptedField(max_length=100, editable=False)
    expires_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = _("input of comparisons")
        verbose_name_plural = _("inputs of comparisons")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.run)


class HostComparison(Work):
    """A comparison of the host of MANTRA 1.99x with this one, after a run of the page: how it was made, and counts.

    Nothing of requests and responses is in it.
    """

    run = models.ForeignKey(LegacyImport, models.CASCADE, related_name="comparisons", editable=False)
    old_url = models.CharField(_("address of the old host"), max_length=URL, editable=False)
    #: The name of the access log; "" if all requests were made from first rows.
    log_name = models.CharField(max_length=NAME, blank=True, editable=False)
    #: Requests of one operation, and the aliases in lower case that are compared; none: all.
    requests = models.PositiveSmallIntegerField(default=5, editable=False)
    only = models.JSONField(default=list, editable=False, validators=[MaxJsonLength(ALIASES)])
    #: The result: responses, those that are equal, and whether it is clean.
    responses = models.PositiveIntegerField(default=0, editable=False)
    equal = models.PositiveIntegerField(default=0, editable=False)
    is_clean = models.BooleanField(default=False, editable=False)
    #: The kind that ended it early; "" if it came to its end.
    stopped = models.CharField(max_length=30, blank=True, editable=False)
    #: Kind → how often it occurs.
    kinds = models.JSONField(default=dict, editable=False, validators=[MaxJsonLength(10_000)])
    #: What was in the log, in numbers.
    log = models.JSONField(null=True, editable=False, validators=[MaxJsonLength(10_000)])
    #: Lines of the result beyond those that are stored.
    left_out = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("comparison of hosts")
        verbose_name_plural = _("comparisons of hosts")
        ordering = ("-id",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.old_url} {moments.moment(self.started_at)}"

    @property
    def mark(self) -> int | str:
        return f"comparison-{self.pk}"


class ComparedOperation(models.Model):
    """A line of a comparison: an operation and a kind of difference, or why it is not compared."""

    comparison = models.ForeignKey(HostComparison, models.CASCADE, related_name="lines", editable=False)
    #: agency/service/operation, and our row's id.
    path = models.CharField(max_length=ALIAS, editable=False)
    ref = models.BigIntegerField(null=True, editable=False)
    #: A kind as results.described() knows it.
    kind = models.CharField(max_length=30, editable=False)
    harmless = models.BooleanField(editable=False)
    count = models.PositiveIntegerField(editable=False)
    #: Formats with the number of each.
    formats = models.CharField(max_length=100, blank=True, editable=False)
    #: A column's name, types, lengths and codes: no values.
    example = models.CharField(max_length=NAME, blank=True, editable=False)
    code = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("compared operation")
        verbose_name_plural = _("compared operations")
        ordering = ("id",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}"


class OldCallsOfDay(models.Model):
    """Calls of MANTRA 1.99x in a day: their number is all that is taken of the history."""

    day = models.DateField(editable=False)
    agency = models.CharField(max_length=64, blank=True, editable=False)
    username = models.CharField(max_length=64, blank=True, editable=False)
    status = models.CharField(max_length=128, blank=True, editable=False)
    calls = models.PositiveBigIntegerField(editable=False)

    class Meta:
        verbose_name = _("calls of MANTRA 1.99x in a day")
        verbose_name_plural = _("calls of MANTRA 1.99x in a day")
        default_permissions = ()
        ordering = ("-day",)
        constraints = [models.UniqueConstraint(fields=["day", "agency", "username", "status"], name="old_calls_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.agency} {self.username}: {self.calls}"

    @classmethod
    def write(cls, rows: Sequence[tuple[date, str, str, str, int]]) -> None:
        """Write rows of day, agency, user's name, status and number. There are many: objects would take much longer."""
        if not rows:
            return
        columns = [cls._meta.get_field(name) for name in ("day", "agency", "username", "status", "calls")]
        quote = connection.ops.quote_name
        names = ", ".join(quote(str(column.column)) for column in columns)  # type: ignore[union-attr]
        text = f"INSERT INTO {quote(cls._meta.db_table)} ({names}) VALUES (%s, %s, %s, %s, %s)"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.executemany(text, [(connection.ops.adapt_datefield_value(row[0]), *row[1:]) for row in rows])
