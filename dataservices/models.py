"""Data services: sources of data, and operations that run SQL on them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Hashable
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Length, Lower
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters import ADAPTERS, adapter_class
from adapters.base import Setting, SourceError, time_zone
from dataservices import sql as sql_text
from dataservices.routines import own_routines
from registry import secret_rules
from registry.models import (
    Agency,
    Operation,
    Parameter,
    RegistryModel,
    User,
    bounds,
    code_validator,
    open_values_message,
)
from registry.models.base import column_validator
from registry.models.bounds import BoundedTextField
from registry.models.changes import add_to_total, total
from registry.secrets import EncryptedField


def engines() -> list[tuple[str, str]]:
    """Return the engines, as choices of a form."""
    return [(engine, adapter_class(engine).label) for engine in ADAPTERS]


#: Characters of an operation's SQL, and of a source's options as JSON; the highest row limit, and the rows of a page.
MAX_SQL, MAX_OPTIONS, MAX_ROWS, MAX_PAGE_SIZE = 50_000, 10_000, 10_000_000, 10_000


#: The database of a source that has an agency's uploaded tables, and the name of its file in the source's folder.
UPLOADS, UPLOADS_FILE = ":uploads:", "tables.sqlite3"
#: Characters of an uploaded table's columns as JSON.
MAX_COLUMNS = 200_000
#: Columns of the key of changes; the seconds for which a change is held back, and may be.
MAX_KEY_COLUMNS, CHANGE_LAG, MAX_CHANGE_LAG = 8, 5, 86_400
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$#]{0,62}")
_column_validator = RegexValidator(
    rf"^{_COLUMN_NAME.pattern}\Z", _("Enter the name of one column of the result, as the source names it.")
)


class DataSource(RegistryModel):
    snapshot_unit = ("source", "id")
    counted = ("sources", "agency")
    unique_within = ("code", "agency")

    agency = models.ForeignKey(Agency, models.PROTECT, verbose_name=_("agency"), related_name="sources")
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    engine = models.CharField(_("engine"), max_length=20, choices=engines)
    host = models.CharField(_("host"), max_length=255, blank=True)
    port = models.PositiveIntegerField(
        _("port"), null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    database = models.CharField(
        _("database"),
        max_length=500,
        blank=True,
        help_text=_("Name of the database. For SQLite: path of the file in the agency's folder on the server."),
    )
    user = models.CharField(_("user"), max_length=128, blank=True)
    password = EncryptedField(_("password"), max_length=bounds.PASSWORD, blank=True, default="")
    wallet_password = EncryptedField(
        _("wallet password"),
        max_length=bounds.PASSWORD,
        blank=True,
        default="",
        help_text=_("Oracle only: the password of ewallet.pem in the wallet folder."),
    )
    options = models.JSONField(
        _("options"),
        default=dict,
        validators=[bounds.MaxJsonLength(MAX_OPTIONS)],
        blank=True,
        help_text=_('More settings of the engine, for example {"sslmode": "require"}.'),
    )
    pool_size = models.PositiveSmallIntegerField(
        _("connections"),
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Maximum number of connections from each worker process."),
    )

    class Meta:
        verbose_name = _("data source")
        verbose_name_plural = _("data sources")
        ordering = ("agency__code", "code")
        constraints = [models.UniqueConstraint("agency", Lower("code"), name="source_code_once")]

    def __str__(self) -> str:
        return f"{self.agency.code}/{self.code}"

    def clean(self) -> None:
        super().clean()
        if self.engine not in ADAPTERS:
            return
        if not isinstance(self.options, dict):
            raise ValidationError({"options": _("Enter the options as {…}.")})
        problems: dict[str, Any] = {}
        if self.database.strip().lower() in adapter_class(self.engine).system_databases:
            problems["database"] = _("This database is the server's own. Enter the one with the agency's tables.")
        known = adapter_class(self.engine).settings
        for setting in known:
            if setting.required and not (getattr(self, setting.name, "") or self.options.get(setting.name)):
                problems[setting.name if hasattr(self, setting.name) else "options"] = _(
                    "This engine requires a value here."
                )
        secret = [setting.name for setting in known if setting.secret and setting.name in self.options]
        if self.wallet_password and "wallet_password" not in {setting.name for setting in known}:
            problems["wallet_password"] = _("This engine does not use a wallet.")
        unknown = sorted(set(self.options) - {setting.name for setting in known})
        if secret:
            problems["options"] = _("Do not enter a secret here: it would be stored in clear text.")
        elif unknown:
            problems["options"] = format_lazy("{} {}", _("This engine does not have this option:"), ", ".join(unknown))
        elif not self._has_known_time_zone():
            problems["options"] = _("There is no such time zone. Write its name as in Asia/Makassar.")
        if self.pk and not self.holds_uploads and self.uploaded_tables.exists():
            problems["database"] = _("The source has uploaded tables: engine and database must stay as they are.")
        if problems:
            raise ValidationError(problems)
        secret_rules.check(self)

    def _has_known_time_zone(self) -> bool:
        try:
            time_zone(self.options.get("timezone") or "")
        except ValueError:
            return False
        return True

    def secret_destinations(self) -> frozenset[Hashable]:
        """Return where the password goes: the engine, and the settings that lead to a server of it."""
        known = adapter_class(self.engine).settings if self.engine in ADAPTERS else ()
        return frozenset({(self.engine, *(self._leading(each) for each in known if each.leads))})

    def _leading(self, setting: Setting) -> str:
        """Return a setting's value, from its column or the options, equal for equal servers."""
        options = self.options if isinstance(self.options, dict) else {}
        value = getattr(self, setting.name) if hasattr(self, setting.name) else options.get(setting.name)
        text = str(value or setting.default)
        return text.lower() if setting.name == "host" else text

    @property
    def holds_uploads(self) -> bool:
        """True if the source has uploaded tables (dataservices/uploads/)."""
        return self.engine == "sqlite" and self.database == UPLOADS

    @property
    def upload_folder(self) -> Path:
        """The folder of the source's uploaded tables. It has the id: the codes of agency and source may change."""
        return Path(settings.UPLOAD_DIR) / f"source-{self.pk}"

    def settings(self) -> dict[str, Any]:
        """Return the settings that the adapter is created from."""
        # An agency's files are in a folder of its own: no agency can offer another's.
        folders = [Path(folder) / self.agency.code for folder in settings.SOURCE_FILE_DIRS]
        return {
            **self.options,
            "roots": [str(folder) for folder in ([self.upload_folder] if self.holds_uploads else folders)],
            # The folder for copies of tables in read-only folders. No agency's code begins with a dot.
            "cache_dir": str(Path(settings.SOURCE_FILE_DIRS[0]) / ".copies" / self.agency.code),
            "host": self.host,
            "port": self.port,
            "database": UPLOADS_FILE if self.holds_uploads else self.database,
            "user": self.user,
            "password": str(self.password or ""),
            "wallet_password": str(self.wallet_password or ""),
        }


def _translated(problem: sql_text.Problem) -> str:
    """Return a problem in the current language, with its position in the text."""
    sentence = gettext(problem.message).format_map(problem.details)
    if problem.line is None:
        return sentence
    position = gettext("Line {line}, column {column}:").format(line=problem.line, column=problem.column)
    return f"{position} {sentence}"


class SourceState(models.Model):
    """The health of a source as one worker process that calls it sees it."""

    source = models.ForeignKey(DataSource, models.CASCADE, related_name="states")
    observer = models.CharField(_("observed by"), max_length=100)
    #: Failures in a row to open a connection, and whether the circuit is open.
    failures = models.PositiveSmallIntegerField(default=0)
    open = models.BooleanField(default=False)
    #: The last failure: a word of adapters.base.REASONS.
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    failed_at = models.DateTimeField(_("last failure at"), null=True, blank=True)
    #: When the source last became healthy, or stopped being so.
    since = models.DateTimeField(_("since"), null=True, blank=True)
    seen_at = models.DateTimeField(_("observed at"), default=timezone.now)

    class Meta:
        verbose_name = _("source state")
        verbose_name_plural = _("source states")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["source", "observer"], name="source_state_once")]

    def __str__(self) -> str:
        return f"{self.source_id} {self.observer}"


class DataOperation(Operation):
    source = models.ForeignKey(
        DataSource, models.PROTECT, verbose_name=_("data source"), related_name="data_operations"
    )
    sql = BoundedTextField(
        "SQL",
        max_length=MAX_SQL,
        help_text=_(
            "One statement. Write :name for a parameter's value, and [[ … ]] around the part that belongs to an "
            "optional parameter. The block is dropped if the parameter is not given."
        ),
    )
    writes = models.BooleanField(
        _("changes data"),
        default=False,
        help_text=_("INSERT, UPDATE, DELETE or CALL, in one transaction; callers must use POST."),
    )
    max_rows = models.PositiveIntegerField(
        _("row limit"), default=10_000, validators=[MinValueValidator(1), MaxValueValidator(MAX_ROWS)]
    )
    timeout_ms = models.PositiveIntegerField(
        _("time limit (ms)"), default=10_000, validators=[MinValueValidator(50), MaxValueValidator(3_600_000)]
    )
    page_size = models.PositiveIntegerField(
        _("rows per page"),
        default=0,
        validators=[MaxValueValidator(MAX_PAGE_SIZE)],
        help_text=_(
            "0: no pages. Otherwise the SQL must use :limit and :offset, for example at its end LIMIT :limit OFFSET "
            ":offset; on SQL Server and Oracle OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY."
        ),
    )

    change_marker = models.CharField(
        _("change marker"),
        max_length=63,
        blank=True,
        validators=[_column_validator],
        help_text=_(
            "The column of the result that grows with each change of a row: the time of the change, a number, or a "
            "rowversion. Callers then get what changed since their last call. Empty: they cannot."
        ),
    )
    change_key = models.CharField(
        _("key of a row"),
        max_length=400,
        blank=True,
        help_text=_("The columns of the result that identify a row, separated by commas. They must not be empty."),
    )
    deleted_column = models.CharField(
        _("column for deletions"),
        max_length=63,
        blank=True,
        validators=[_column_validator],
        help_text=_(
            "A column that is set when a row is deleted: a time, yes, or 1. Empty: deletions are not reported."
        ),
    )
    change_lag_seconds = models.PositiveIntegerField(
        _("least age of changes (seconds)"),
        default=CHANGE_LAG,
        blank=True,
        validators=[MaxValueValidator(MAX_CHANGE_LAG)],
        help_text=_(
            "Rows that were changed later than this are not given yet: a transaction that is still open may write "
            "an earlier time. Enter more than the longest transaction takes. It does not concern numbers."
        ),
    )

    #: The functions and procedures in the SQL that were found to be made in the source, when it was saved last.
    routines = models.JSONField(default=list, editable=False, validators=[bounds.MaxJsonLength(10_000)])

    class Meta:
        verbose_name = _("data operation")
        verbose_name_plural = _("data operations")

    def clean(self) -> None:
        super().clean()
        if self.change_lag_seconds is None:  # an input that was cleared
            self.change_lag_seconds = CHANGE_LAG
        problems: dict[str, Any] = {}
        if self.source_id and self.service_id and self.source.agency_id != self.service.agency_id:
            problems["source"] = _("The source and the service belong to different agencies.")
        if self.service_id:
            bounds.check_text(self._length_of_others() + len(self.sql))
        if self.source_id and 0 < len(self.sql) <= MAX_SQL:  # a longer one is an error already
            if sql_problems := self.sql_problems():
                problems["sql"] = [_translated(problem) for problem in sql_problems]
            elif len(self.template().placeholders) > settings.ROW_LIMITS["parameters"]:
                problems["sql"] = bounds.too_many(Parameter, "parameters")
            elif self.page_size and not sql_text.supports_paging(self.template()):
                problems["page_size"] = self._paging_advice()
        if self.source_id and self.timeout_ms and self.timeout_ms > 1000 * (most := self._max_seconds()):
            problems["timeout_ms"] = _("On this engine at most %(most)d ms.") % {"most": 1000 * most}
        problems |= self._change_problems()
        if self.access == self.Access.OPEN and "sql" not in problems and (values := sorted(self.grant_values)):
            problems["access"] = open_values_message(values)
        if self.writes and (self.page_size or self.cache_seconds):
            problems["writes"] = _("An operation that changes data can have neither pages nor a cache.")
        elif self.writes and self.source_id and self.source.holds_uploads:
            problems["writes"] = _("Uploaded tables are changed by uploading a newer file only.")
        if problems:
            raise ValidationError(problems)

    def _length_of_others(self) -> int:
        """Return the length of the SQL of the agency's other operations."""
        agency = self.service.agency_id

        def read() -> int:
            others = DataOperation.objects.listed().filter(service__agency=agency)
            others = others.exclude(pk__in=[self.pk or 0, self.draft_of_id or 0])
            return others.aggregate(length=Sum(Length("sql")))["length"] or 0

        return total(("sql", agency), read) if self._state.adding and self.draft_of_id is None else read()

    def _add_to_totals(self) -> None:
        super()._add_to_totals()
        if self.draft_of_id is None:
            add_to_total(("sql", self.service.agency_id), len(self.sql))

    @property
    def key_columns(self) -> list[str]:
        """The columns that identify a row of changes."""
        return [name.strip() for name in self.change_key.split(",") if name.strip()]

    def _change_problems(self) -> dict[str, Any]:
        """Return the problems of the columns by which callers find changes."""
        problems: dict[str, Any] = {}
        if not self.change_marker:
            if self.change_key.strip() or self.deleted_column:
                problems["change_marker"] = _("Enter the change marker too, or keep the key and the deletions empty.")
            return problems
        names = self.key_columns
        if not names:
            problems["change_key"] = _("Enter the columns that identify a row.")
        elif len(names) > MAX_KEY_COLUMNS or not all(_COLUMN_NAME.fullmatch(name) for name in names):
            problems["change_key"] = _("Enter at most %(most)d names of columns, separated by commas.") % {
                "most": MAX_KEY_COLUMNS
            }
        elif len({name.lower() for name in [self.change_marker, *names]}) <= len(names):
            problems["change_key"] = _("Each column can be named only once, and the change marker is no key.")
        if self.writes or self.page_size:
            problems["change_marker"] = _(
                "An operation that changes data or has pages has no change marker. Changes have pages of their own."
            )
        elif self.source_id and 0 < len(self.sql) <= MAX_SQL and not self._is_wrappable():
            problems["change_marker"] = _("The SQL must be one SELECT for this, on SQL Server and Sybase without WITH.")
        return problems

    def _is_wrappable(self) -> bool:
        """Return True if the SQL can be a part of the query for changes; also if its own check fails."""
        try:
            template = self.template()
            sql_text.wrappable(template, template.placeholders, self.dialect, self.routines)
        except sql_text.TemplateError:
            return True
        except sql_text.NotWrappable as error:
            return error.reason == "checked"
        return True

    def _max_seconds(self) -> int:
        return adapter_class(self.source.engine).max_seconds

    def sql_problems(self) -> list[sql_text.Problem]:
        """Return why the SQL may not run on the source; none if it may. ``routines`` are looked up for it."""
        return self._check_sql() or sql_text.quoted_placeholders(self.sql, self.dialect)

    def _check_sql(self) -> list[sql_text.Problem]:
        """Return the problems of the SQL. Those of its functions and procedures that the source has made are none."""
        problems = sql_text.check(self.sql, self.dialect, self.writes)
        unknown = {problem.routine for problem in problems if problem.routine}
        try:
            self.routines = sorted(own_routines(self.source.engine, self.source.settings(), unknown))
        except SourceError as error:
            return [sql_text.not_looked_up(problem, error.reason) for problem in problems]
        return sql_text.check(self.sql, self.dialect, self.writes, self.routines) if self.routines else problems

    def _paging_advice(self) -> str:
        clause = adapter_class(self.source.engine).paging
        if not clause:
            return gettext("This engine has no clause for pages. Use :limit and :offset in a condition, or enter 0.")
        return gettext("To return pages, end the SQL with %(clause)s.") % {"clause": clause}

    @property
    def grant_values(self) -> frozenset[str]:
        if not self.source_id or f":{sql_text.GRANT}." not in self.sql.lower():
            return frozenset()
        return grant_values_of(self.sql, self.dialect)

    def names_behind(self, field: str) -> frozenset[str]:
        return names_behind(self.sql, self.dialect, field.lower()) if self.source_id else frozenset()

    @property
    def searched_names(self) -> frozenset[str]:
        return super().searched_names | sql_text.compared_words(self.sql)

    @property
    def reserved_names(self) -> frozenset[str]:
        if self.change_marker:
            return sql_text.CHANGE_NAMES
        return sql_text.PAGING_NAMES if self.page_size else frozenset()

    @property
    def dialect(self) -> str:
        return adapter_class(self.source.engine).dialect

    def template(self) -> sql_text.Template:
        """Return the parsed SQL. Raises sql.TemplateError."""
        return sql_text.parse(self.sql, self.dialect)

    def undeclared(self, declared: Collection[str]) -> list[str]:
        """Return the placeholders in the SQL that neither a ``declared`` parameter nor paging fills."""
        return self.template().undeclared(declared, bool(self.page_size))

    def unused(self, declared: Collection[str]) -> list[str]:
        """Return the ``declared`` parameters without a placeholder in the SQL: a caller's values would do nothing."""
        placeholders = self.template().placeholders
        return [name for name in declared if name not in placeholders]

    def declare_missing(self) -> list[str]:
        """Declare a text parameter for each placeholder without one; those in optional blocks only are not required."""
        declared = set(self.parameters.values_list("name", flat=True))
        missing = self.undeclared(declared)
        optional = self.template().optional
        for position, name in enumerate(missing, start=len(declared)):
            Parameter.objects.create(operation=self, position=position, name=name, required=name not in optional)
        return missing

    def relax_optional(self) -> list[str]:
        """Make the parameters optional whose placeholders are in [[ blocks ]] only. Return their names."""
        relaxed = list(self.parameters.filter(required=True, name__in=self.template().optional))
        for parameter in relaxed:
            parameter.required = False
            parameter.save()
        return [parameter.name for parameter in relaxed]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.kind = Operation.Kind.DATA
        super().save(*args, **kwargs)


@lru_cache(maxsize=512)
def grant_values_of(sql: str, dialect: str) -> frozenset[str]:
    """Return the names of the values of the grant in a text; none if it cannot be parsed."""
    try:
        return frozenset(sql_text.parse(sql, dialect).grant_values)
    except sql_text.TemplateError:
        return frozenset()


@lru_cache(maxsize=512)
def names_behind(sql: str, dialect: str, column: str) -> frozenset[str]:
    """Return the names that the values of a result's column come from; none if the text cannot be parsed."""
    try:
        built = sql_text.built_from(sql_text.parse(sql, dialect), dialect) or {}
    except sql_text.TemplateError:
        return frozenset()
    return frozenset(built.get(column, ())) - {sql_text.WHOLE_ROW}


class UploadedTable(RegistryModel):
    """A table that was made from an uploaded file. dataservices/uploads/ makes, replaces and restores it.

    ``columns`` has the columns of the file in their order, as dicts: ``name``, ``header`` (as in the file), ``kind``
    (of dataservices/tabular/kinds.py), ``type`` (the bus's name), ``searched`` (it has an index) and ``left_out``.
    """

    snapshot_unit = ("source", "source_id")
    counted = ("uploaded_tables", "source")
    unique_within = ("name", "source")

    source = models.ForeignKey(
        DataSource, models.PROTECT, verbose_name=_("data source"), related_name="uploaded_tables"
    )
    name = models.CharField(_("name"), max_length=63, validators=[column_validator])
    title = models.CharField(_("title"), max_length=200)
    columns = models.JSONField(
        _("columns"), default=list, editable=False, validators=[bounds.MaxJsonLength(MAX_COLUMNS)]
    )
    current = models.OneToOneField(
        "UploadVersion", models.SET_NULL, verbose_name=_("version"), related_name="+", null=True, editable=False
    )

    class Meta:
        verbose_name = _("uploaded table")
        verbose_name_plural = _("uploaded tables")
        ordering = ("source__agency__code", "name")
        constraints = [models.UniqueConstraint("source", Lower("name"), name="uploaded_table_once")]

    def __str__(self) -> str:
        return f"{self.source.agency.code}/{self.name}"

    @property
    def stored_columns(self) -> list[dict[str, Any]]:
        """The columns that the table has: those of the file that were not left out."""
        return [column for column in self.columns if not column["left_out"]]

    def used_by(self) -> list[DataOperation]:
        """Return the operations that have the table's name in their SQL."""
        word = re.compile(rf"(?<!\w){re.escape(self.name)}(?!\w)", re.IGNORECASE)
        rows = DataOperation.objects.filter(source=self.source_id).select_related("service__agency")
        return [row for row in rows if word.search(row.sql)]

    def kept_because(self) -> Any:
        used = self.used_by()
        if not used:
            return ""
        names = ", ".join(map(str, used[:10]))
        return _("Operations use this table: %(operations)s. Change or delete them first.") % {"operations": names}


class UploadVersion(models.Model):
    """The content of an uploaded table at one time. ``stored`` names its file in the source's folder."""

    table = models.ForeignKey(UploadedTable, models.CASCADE, verbose_name=_("table"), related_name="versions")
    number = models.PositiveIntegerField(_("version"), editable=False)
    stored = models.CharField(max_length=32, editable=False, unique=True)
    file_name = models.CharField(_("file"), max_length=200, editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, editable=False)
    size = models.PositiveBigIntegerField(_("size"), editable=False)
    rows = models.PositiveIntegerField(_("rows"), editable=False)
    user = models.CharField(_("user"), max_length=150, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    note = models.CharField(_("note"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("version of an uploaded table")
        verbose_name_plural = _("versions of uploaded tables")
        ordering = ("table", "-number")
        constraints = [models.UniqueConstraint(fields=("table", "number"), name="upload_number_once")]

    def __str__(self) -> str:
        return f"{self.table} v{self.number}"


#: Characters of what a wizard's pages hold; a user's unfinished ones; days for which one that is not touched is kept.
MAX_WIZARD_DATA, MAX_WIZARD_DRAFTS, WIZARD_DRAFT_DAYS = 400_000, 30, 90


class WizardDraft(models.Model):
    """What a user has entered in the wizard "Publish data". Nobody else sees it. It is no part of the snapshot.

    ``data`` never holds a secret: a new source becomes a row of its own, with its password encrypted.
    """

    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="wizard_drafts")
    agency = models.ForeignKey(Agency, models.SET_NULL, null=True, blank=True, related_name="wizard_drafts")
    source = models.ForeignKey(DataSource, models.SET_NULL, null=True, blank=True, related_name="wizard_drafts")
    #: The operation that the wizard changes, or has made; with ``finished_at`` its work is done.
    operation = models.ForeignKey(DataOperation, models.SET_NULL, null=True, blank=True, related_name="wizard_drafts")
    #: The last step that was reached.
    step = models.PositiveSmallIntegerField(default=1, validators=[MaxValueValidator(4)])
    data = models.JSONField(default=dict, blank=True, validators=[bounds.MaxJsonLength(MAX_WIZARD_DATA)])
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("unfinished publication")
        verbose_name_plural = _("unfinished publications")
        ordering = ("-updated_at",)
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.key)

    @property
    def summary(self) -> str:
        """One line for the list of unfinished ones: the title, else the source and its tables."""
        title = str(self.data.get("operation", {}).get("title") or "")
        if title or not self.source:
            return title or gettext("Without a source yet")
        tables = self.data.get("query", {}).get("tables", [])
        return " · ".join([str(self.source), *(str(table["name"]) for table in tables)])

    @classmethod
    def of(cls, user: User) -> models.QuerySet[WizardDraft]:
        """Return a user's own, those of the present agency only: people change their agency."""
        return cls.objects.filter(Q(agency=None) | Q(agency=user.agency_id) | Q(owner__agency=None), owner=user)

    @classmethod
    def clean_up(cls, now: datetime) -> None:
        """Delete those that nobody has touched for WIZARD_DRAFT_DAYS before ``now``."""
        cls.objects.filter(updated_at__lt=now - timedelta(days=WIZARD_DRAFT_DAYS)).delete()

    def clean(self) -> None:
        super().clean()
        unfinished = WizardDraft.objects.filter(owner=self.owner_id, finished_at=None)
        if self._state.adding and unfinished.count() >= MAX_WIZARD_DRAFTS:
            raise ValidationError(
                _("There can be at most %(most)d unfinished publications. Finish or delete some."),
                params={"most": MAX_WIZARD_DRAFTS},
            )
