"""Services, their operations, parameters and fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, ProhibitNullCharactersValidator
from django.db import models
from django.db.models.functions import Lower
from django.dispatch import Signal
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry import parameter_values
from registry.legacy_names import parameter_key
from registry.models import bounds
from registry.models.agencies import Agency
from registry.models.base import (
    AddressPart,
    RegistryModel,
    RegistryQuerySet,
    code_validator,
    column_validator,
    operation_validator,
)
from registry.models.bounds import BoundedTextField
from registry.models.changes import atomic
from registry.models.egress import KIND_LIST, Guard, KindList
from registry.personal_data import masks


class Service(AddressPart):
    snapshot_unit = ("service", "id")
    counted = ("services", "agency")
    unique_within = ("code", "agency")

    class Classification(models.TextChoices):
        OPEN = "open", _("open")
        LIMITED = "limited", _("limited")
        CLOSED = "closed", _("closed")

    agency = models.ForeignKey(Agency, models.PROTECT, verbose_name=_("agency"), related_name="services")
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    title = models.CharField(_("title"), max_length=200)
    description = BoundedTextField(_("description"), max_length=bounds.DESCRIPTION, blank=True)
    tags = models.CharField(_("tags"), max_length=200, blank=True, help_text=_("Separate words with commas."))
    classification = models.CharField(
        _("data classification"), max_length=10, choices=Classification.choices, default=Classification.LIMITED
    )
    contact = models.CharField(_("contact"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        ordering = ("agency__code", "code")
        constraints = [models.UniqueConstraint("agency", Lower("code"), name="service_code_once")]

    def __str__(self) -> str:
        return f"{self.agency.code}/{self.code}"


#: Sent with ``operation`` when its state has changed, in the transaction of the change.
state_changed = Signal()


class OperationQuerySet(RegistryQuerySet):
    def listed(self) -> OperationQuerySet:
        return self.filter(draft_of=None)


#: The columns of an operation's address.
_ADDRESS = frozenset({"service", "service_id", "code", "legacy_name"})


class Operation(AddressPart):
    """An operation that can be called. Each has a row here and in the table of its kind.

    The row of a published operation is what callers get. A draft beside it is a second row (registry/versions).
    """

    objects: ClassVar[Any] = OperationQuerySet.as_manager()

    snapshot_unit = ("operation", "id")
    counted = ("operations", "service__agency")
    unweighed = frozenset({"revision", "state", "sunset"})
    unique_within = ("code", "service")

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        DEPRECATED = "deprecated", _("deprecated")
        RETIRED = "retired", _("retired")

    class Access(models.TextChoices):
        RESTRICTED = "restricted", _("restricted: requires a key and a grant")
        OPEN = "open", _("open: any caller, without a key")

    class Listing(models.TextChoices):
        PUBLIC = "public", _("everybody")
        MEMBERS = "members", _("everybody who is signed in")
        HIDDEN = "hidden", _("the own agency only")

    class Kind(models.TextChoices):
        DATA = "data", _("data")
        PROXY = "proxy", _("proxy")
        VERIFICATION = "verification", _("verification")

    service = models.ForeignKey(Service, models.PROTECT, verbose_name=_("service"), related_name="operations")
    code = models.CharField(_("code"), max_length=127, validators=[operation_validator])
    title = models.CharField(_("title"), max_length=200, blank=True)
    description = BoundedTextField(_("description"), max_length=bounds.DESCRIPTION, blank=True)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, editable=False)
    access = models.CharField(_("access"), max_length=10, choices=Access.choices, default=Access.RESTRICTED)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.DRAFT)
    #: Like the state it is no part of a version, and holds at once.
    listing = models.CharField(
        _("in the catalogue for"),
        max_length=10,
        choices=Listing.choices,
        default=Listing.MEMBERS,
        help_text=_("Who finds the operation in the catalogue. Calling it takes a grant all the same."),
    )
    sunset = models.DateField(
        _("sunset date"), null=True, blank=True, help_text=_("The day on which a deprecated operation will be retired.")
    )
    cache_seconds = models.PositiveIntegerField(
        _("cache (seconds)"),
        default=0,
        validators=[MaxValueValidator(bounds.CACHE_SECONDS)],
        help_text=_("How long callers may reuse a response. 0: no reuse. From 1 second on, responses have an ETag."),
    )
    guard = models.CharField(
        _("undeclared personal data"),
        max_length=5,
        choices=Guard.choices,
        default=Guard.ALARM,
        help_text=_(
            "What MANTRA does with NIK, KK, NPWP, NIP, phone numbers and e-mail addresses in columns that are not "
            "classified as personal data."
        ),
    )
    guard_expected = models.CharField(
        _("kinds that are meant to go out"),
        max_length=KIND_LIST,
        blank=True,
        validators=[KindList()],
        help_text=_(
            "For responses without declared columns: NIK, KK, NPWP, NIP, PHONE, EMAIL, separated by commas. FILE: "
            "documents and images."
        ),
    )
    #: The number of the version in force (registry/versions); of a draft, that of the version it was made from.
    revision = models.PositiveIntegerField(_("version"), default=0, editable=False)
    #: The published operation beside which this row is the draft; such rows are in no list (see listed()).
    draft_of = models.OneToOneField(
        "self", models.CASCADE, null=True, blank=True, editable=False, related_name="draft", verbose_name=_("draft of")
    )
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("operation")
        verbose_name_plural = _("operations")
        ordering = ("service__agency__code", "service__code", "code")
        constraints = [
            models.UniqueConstraint(
                "service", Lower("code"), name="operation_code_once", condition=models.Q(draft_of=None)
            )
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        return f"{self.service.agency.code}/{self.service.code}/{self.code}"

    @property
    def of_its_kind(self) -> Operation:
        """The operation with the columns of its kind, such as a data operation."""
        specific: Operation = getattr(self, f"{self.kind}operation", self)
        return specific

    @property
    def is_callable(self) -> bool:
        """True if callers can call the operation in its state."""
        return self.state in (self.State.PUBLISHED, self.State.DEPRECATED)

    @property
    def searched_names(self) -> frozenset[str]:
        """The names, in lower case, by which callers can search: those of parameters and of what they go to."""
        return frozenset(parameter.name.lower() for parameter in self.parameters.all())

    @property
    def grant_values(self) -> frozenset[str]:
        """The names of the values that each grant must have: they select the rows that its application gets."""
        return frozenset()

    @property
    def masks_fields(self) -> bool:
        """True if fields can be masked; False if responses go out whole, or have no values of a person."""
        return self.limits_fields

    def names_behind(self, field: str) -> frozenset[str]:
        """Return the names, in lower case, of what the values of a field come from in the source, if that is known."""
        return frozenset()

    @property
    def limits_fields(self) -> bool:
        """True if a grant can allow some of the fields only; False if responses go out whole."""
        return True

    def is_named_only(self, field: str) -> bool:
        """Return True for a field of which a grant for all fields gives nothing: it must name the field."""
        return False

    @property
    def reserved_names(self) -> frozenset[str]:
        """The names, in lower case, that no parameter may have."""
        return frozenset()

    def clean(self) -> None:
        super().clean()
        if self._state.adding and self.code.endswith("Response"):
            raise ValidationError(
                {"code": _("Choose a name that does not end in Response: .NET takes it for another one's response.")}
            )
        if self.sunset and self.state in (self.State.DRAFT, self.State.PUBLISHED):
            raise ValidationError(
                {"sunset": _("Set the state to deprecated: only a deprecated operation has a sunset date.")}
            )

    def save(self, *args: Any, **kwargs: Any) -> None:
        new = self._state.adding
        only = kwargs.get("update_fields")
        with atomic():
            before = None
            if not new and (only is None or "state" in only):
                before = self._stored().values_list("state", flat=True).first()
            super().save(*args, **kwargs)
            if self.draft_of_id is None and before not in (None, self.state):
                state_changed.send(Operation, operation=self)
            if self.draft_of_id is None and not new and (only is None or not _ADDRESS.isdisjoint(only)):
                # A draft has the address of its operation.
                Operation.objects.filter(draft_of=self.pk).update_without_bump(
                    service=self.service_id, code=self.code, legacy_name=self.legacy_name
                )

    def _siblings(self) -> models.QuerySet[Any]:
        return super()._siblings().filter(draft_of=None).exclude(pk=self.draft_of_id)

    @classmethod
    def _counted_rows(cls) -> models.QuerySet[Any]:
        return Operation.objects.listed()

    def _check_number(self) -> None:
        if self.draft_of_id is None:
            super()._check_number()

    def _add_to_totals(self) -> None:
        if self.draft_of_id is None:
            super()._add_to_totals()


def open_values_message(values: Sequence[str]) -> str:
    """Return why an operation that selects rows by values of grants cannot be open."""
    text = gettext("Open operations have no grants, so nobody would give these values: %(names)s. Restrict access.")
    return text % {"names": ", ".join(values)}


#: How the names begin under which sources get the values of grants: no parameter can be one of them.
GRANT_PREFIX = "grant__"


def reserved_message(name: str) -> str:
    """Return why an operation with pages has no parameter of this name."""
    return gettext("Paging uses the name %(name)s itself. Remove this parameter, or enter 0 as rows per page.") % {
        "name": name
    }


class Parameter(RegistryModel):
    snapshot_unit = ("operation", "operation_id")
    listed = "parameters"
    unique_within = ("name", "operation")

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        INTEGER = "integer", _("whole number")
        DECIMAL = "decimal", _("decimal number")
        BOOLEAN = "boolean", _("yes/no")
        DATE = "date", _("date")
        DATETIME = "datetime", _("date and time")
        CHOICE = "choice", _("choice")
        NIK = "nik", _("NIK")
        NPWP = "npwp", _("NPWP")

    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="parameters")
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, validators=[MaxValueValidator(bounds.POSITION)]
    )
    name = models.CharField(_("name"), max_length=63, validators=[column_validator])
    type = models.CharField(_("type"), max_length=10, choices=Type.choices, default=Type.TEXT)
    required = models.BooleanField(_("required"), default=True)
    default = models.CharField(_("default"), max_length=500, blank=True)
    pattern = models.CharField(
        _("pattern"), max_length=500, blank=True, help_text=_("A regular expression that the whole value must match.")
    )
    min = models.CharField(_("at least"), max_length=50, blank=True)
    max = models.CharField(_("at most"), max_length=50, blank=True)
    choices = BoundedTextField(_("choices"), max_length=bounds.NAME_LIST, blank=True, help_text=_("One per line."))
    subject = models.BooleanField(
        _("identifies a person"), default=False, help_text=_("The history keeps a keyed hash of the value.")
    )
    description = models.CharField(_("description"), max_length=300, blank=True)
    legacy_name = models.CharField(
        _("name in MANTRA 1.99x"),
        max_length=128,
        blank=True,
        validators=[ProhibitNullCharactersValidator()],
        help_text=_("Only if it differs from the name, such as kode-wil. Programs for MANTRA 1.99x send this name."),
    )

    class Meta:
        verbose_name = _("parameter")
        verbose_name_plural = _("parameters")
        ordering = ("position", "id")
        constraints = [models.UniqueConstraint("operation", Lower("name"), name="parameter_name_once")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def check_list(cls, operation: Operation, rows: Sequence[Parameter]) -> None:
        """Check the number of parameters, and that the legacy wire can tell them apart."""
        super().check_list(operation, rows)
        known: dict[str, Parameter] = {}
        for row in rows:
            for name in (row.name, row.legacy_name):
                if name and known.setdefault(parameter_key(name), row) is not row:
                    raise ValidationError(
                        _("Two parameters would be %(name)s for programs of MANTRA 1.99x."), params={"name": name}
                    )

    def clean(self) -> None:
        super().clean()
        errors: dict[str, Any] = {}
        operation = getattr(self, "operation", None)
        if operation is not None and self.name.lower() in operation.reserved_names:
            errors["name"] = reserved_message(self.name)
        if self.name.lower().startswith(GRANT_PREFIX):
            errors["name"] = _("Choose a name that does not begin with grant__: the bus uses it for values of grants.")
        if self.pattern:
            try:
                parameter_values.compiled(self.pattern)
            except parameter_values.UnsafePattern:
                errors["pattern"] = _(
                    "Simplify this pattern: matching it could take very long. Do not repeat a part that has "
                    "repetitions or alternatives, and use at most four * and +."
                )
            except re.error:
                errors["pattern"] = _("This is not a regular expression.")
        if self.type == self.Type.CHOICE and not self.choices.strip():
            errors["choices"] = _("Enter the choices, one per line.")
        for bound in ("min", "max"):
            text = getattr(self, bound)
            if text and self.type in ("boolean", "choice", "nik", "npwp"):
                errors[bound] = _("This type cannot have a range.")
            elif text:
                try:
                    parameter_values.bound(self.type, text)
                except ValueError:
                    errors[bound] = _("Enter a bound that is a value of the parameter's type.")
        if self.default and not errors:
            try:
                parameter_values.ParameterParser.of(self)(self.default)
            except parameter_values.InvalidValue as error:
                errors["default"] = error.id
        if errors:
            raise ValidationError(errors)


class Field(RegistryModel):
    """A column of an operation's response. If an operation has fields, its responses contain these only."""

    snapshot_unit = ("operation", "operation_id")
    listed = "fields"

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        INTEGER = "integer", _("whole number")
        DECIMAL = "decimal", _("decimal number")
        FLOAT = "float", _("floating-point number")
        BOOLEAN = "boolean", _("yes/no")
        DATE = "date", _("date")
        TIME = "time", _("time")
        DATETIME = "datetime", _("date and time")
        INTERVAL = "interval", _("interval")
        BYTES = "bytes", _("bytes")
        JSON = "json", _("JSON")
        UUID = "uuid", _("UUID")

    class Classification(models.TextChoices):
        PUBLIC = "public", _("public")
        INTERNAL = "internal", _("internal")
        PERSONAL = "personal", _("personal data")
        SPECIFIC = "specific", _("specific personal data")

    class Mask(models.TextChoices):
        """How a value goes out (registry/personal_data/masks.py)."""

        NONE = "", _("as it is")
        PARTIAL = "partial", _("first and last characters")
        INITIALS = "initials", _("initials")
        YEAR = "year", _("year only")
        HASH = "hash", _("hash")
        DROPPED = "dropped", _("left out")

    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="fields")
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, validators=[MaxValueValidator(bounds.POSITION)]
    )
    name = models.CharField(_("name"), max_length=127)
    type = models.CharField(_("type"), max_length=10, choices=Type.choices, default=Type.TEXT)
    description = models.CharField(_("description"), max_length=300, blank=True)
    classification = models.CharField(
        _("classification"), max_length=10, choices=Classification.choices, default=Classification.INTERNAL
    )
    mask = models.CharField(
        _("mask"),
        max_length=10,
        choices=Mask.choices,
        default="",
        blank=True,
        help_text=_("How every caller gets the values. A grant can mask more, never less."),
    )

    class Meta:
        verbose_name = _("field")
        verbose_name_plural = _("fields")
        ordering = ("position", "id")
        constraints = [models.UniqueConstraint(fields=["operation", "name"], name="field_name_once")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def check_list(cls, operation: Operation, rows: Sequence[Field]) -> None:
        """Check the number of fields, and that something is left of a response."""
        super().check_list(operation, rows)
        if rows and all(row.mask == cls.Mask.DROPPED for row in rows):
            raise ValidationError(_("All fields are left out. Mask fewer, or callers get nothing."))

    def clean(self) -> None:
        super().clean()
        operation = getattr(self, "operation", None)
        if self.mask and operation is not None and not operation.of_its_kind.limits_fields:
            raise ValidationError({"mask": UNMASKABLE})
        if self.mask and self.mask not in masks.possible(self.type):
            raise ValidationError({"mask": impossible_mask([self.name])})


UNMASKABLE = _("The bus passes this response on unread and cannot mask it. Choose another style.")


def impossible_mask(fields: Sequence[str]) -> str:
    """Return why the fields cannot have their masks."""
    text = gettext(
        "This mask does not suit the type of %(names)s. Numbers can be shown in part or hashed, dates by their year "
        "too, and every field can be left out."
    )
    return text % {"names": ", ".join(fields)}
