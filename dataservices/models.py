"""Data services: where the data lies and the SQL that becomes an operation."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters import ADAPTERS, adapter_class
from dataservices import sql as sql_text
from registry.models import Agency, Definition, Operation, Parameter, code_validator
from registry.secrets import EncryptedField


def engines() -> list[tuple[str, str]]:
    return [(engine, adapter_class(engine).label) for engine in ADAPTERS]


class DataSource(Definition):
    once = ("code", "agency")

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
        help_text=_("The database's name; for SQLite the file's path below the agency's own folder on the bus."),
    )
    user = models.CharField(_("user"), max_length=128, blank=True)
    password = EncryptedField(_("password"), blank=True, default="")
    wallet_password = EncryptedField(
        _("wallet password"),
        blank=True,
        default="",
        help_text=_("Oracle's only: what ewallet.pem in the wallet's folder is encrypted with."),
    )
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        help_text=_('Further settings of the engine, as in {"sslmode": "require"}.'),
    )
    pool_size = models.PositiveSmallIntegerField(
        _("connections"),
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("At most so many connections from each worker process."),
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
            raise ValidationError({"options": _("Write the options as {…}.")})
        problems: dict[str, Any] = {}
        known = adapter_class(self.engine).settings
        for setting in known:
            if setting.required and not (getattr(self, setting.name, "") or self.options.get(setting.name)):
                problems[setting.name if hasattr(self, setting.name) else "options"] = _("This engine needs it.")
        secret = [setting.name for setting in known if setting.secret and setting.name in self.options]
        if self.wallet_password and "wallet_password" not in {setting.name for setting in known}:
            problems["wallet_password"] = _("This engine has no wallet.")
        unknown = sorted(set(self.options) - {setting.name for setting in known})
        if secret:
            problems["options"] = _("A secret does not belong here: it would lie in clear.")
        elif unknown:
            problems["options"] = format_lazy("{} {}", _("This engine has no such option:"), ", ".join(unknown))
        if problems:
            raise ValidationError(problems)

    def settings(self) -> dict[str, Any]:
        """What the adapter is made from."""
        return {
            **self.options,
            # An agency's files lie in a folder of its own, or one could offer another's.
            "roots": [str(Path(folder) / self.agency.code) for folder in settings.SOURCE_FILE_DIRS],
            # Where copies of tables go whose own folder is there for reading only. No agency's code begins with a dot.
            "cache_dir": str(Path(settings.SOURCE_FILE_DIRS[0]) / ".copies" / self.agency.code),
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": str(self.password or ""),
            "wallet_password": str(self.wallet_password or ""),
        }


def _told(problem: sql_text.Problem) -> str:
    """A problem in the reader's language, with its place in the text."""
    sentence = gettext(problem.message).format_map(problem.details)
    if problem.line is None:
        return sentence
    place = gettext("Line {line}, column {column}:").format(line=problem.line, column=problem.column)
    return f"{place} {sentence}"


class DataOperation(Operation):
    source = models.ForeignKey(
        DataSource, models.PROTECT, verbose_name=_("data source"), related_name="data_operations"
    )
    sql = models.TextField(
        "SQL",
        help_text=_(
            "One statement. Write :name where a parameter's value goes, and put what belongs to an optional parameter "
            "into [[ … ]]: the block drops out when the parameter is not given."
        ),
    )
    writes = models.BooleanField(
        _("writes"), default=False, help_text=_("INSERT, UPDATE, DELETE or CALL, by POST only, in one transaction.")
    )
    row_cap = models.PositiveIntegerField(_("row cap"), default=10_000, validators=[MinValueValidator(1)])
    time_cap_ms = models.PositiveIntegerField(
        _("time cap (ms)"), default=10_000, validators=[MinValueValidator(50), MaxValueValidator(3_600_000)]
    )
    page_size = models.PositiveIntegerField(
        _("rows in a page"),
        default=0,
        validators=[MaxValueValidator(10_000)],
        help_text=_("0: no paging. Otherwise the SQL must end in LIMIT :limit OFFSET :offset."),
    )

    class Meta:
        verbose_name = _("data operation")
        verbose_name_plural = _("data operations")

    def clean(self) -> None:
        super().clean()
        problems: dict[str, Any] = {}
        if self.source_id and self.service_id and self.source.agency_id != self.service.agency_id:
            problems["source"] = _("The source belongs to another agency than the service.")
        if self.source_id and self.sql:
            found = sql_text.check(self.sql, self.dialect, self.writes)
            if found:
                problems["sql"] = [_told(problem) for problem in found]
            elif self.page_size and not sql_text.pages(self.template()):
                problems["page_size"] = _("To page, end the SQL with LIMIT :limit OFFSET :offset.")
        if self.writes and (self.page_size or self.cache_seconds):
            problems["writes"] = _("An operation that writes has neither pages nor a cache.")
        if problems:
            raise ValidationError(problems)

    @property
    def dialect(self) -> str:
        return adapter_class(self.source.engine).dialect

    def template(self) -> sql_text.Template:
        """The SQL with its marks found. Raises sql.TemplateError."""
        return sql_text.parse(self.sql, self.dialect)

    def undeclared(self, declared: Collection[str]) -> list[str]:
        """The marks in the SQL that none of the ``declared`` parameters fills; nor does paging."""
        given = {*declared, "limit", "offset"} if self.page_size else set(declared)
        return [name for name in self.template().marks if name not in given]

    def declare_missing(self) -> list[str]:
        """Declare a text parameter for each mark that has none; those of optional blocks only are not required."""
        declared = set(self.parameters.values_list("name", flat=True))
        missing = self.undeclared(declared)
        optional = self.template().optional
        for position, name in enumerate(missing, start=len(declared)):
            Parameter.objects.create(operation=self, position=position, name=name, required=name not in optional)
        return missing

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.kind = Operation.Kind.DATA
        super().save(*args, **kwargs)
