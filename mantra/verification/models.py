"""Verification operations, and the fields that they verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from registry.models import Field, Operation, Parameter, RegistryModel, bounds
from registry.models.base import column_validator

#: The most wrong tries that a provider can allow, and the longest time of a lock in minutes.
MAX_TRIES, MAX_LOCK_MINUTES = 1_000, 43_200
#: The lowest threshold of a similarity: below it names agree of which one word does.
LOWEST_THRESHOLD = 75

#: The columns of a response that are not about one field, and the endings of those that are.
FOUND, AGREES = "ditemukan", "sesuai"
FIELD_AGREES, FIELD_SIMILARITY = "_sesuai", "_kemiripan"


class VerificationOperation(Operation):
    """An operation that compares what a caller sends with a record of another operation, and gives no value of it."""

    base = models.ForeignKey(
        Operation,
        models.PROTECT,
        verbose_name=_("operation with the data"),
        related_name="verifications",
        help_text=_(
            "A published operation of the agency that returns the record of a key. Callers need no grant of it."
        ),
    )
    min_fields = models.PositiveSmallIntegerField(
        _("least number of fields"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text=_("How many fields a caller must send beside the key."),
    )
    hides_existence = models.BooleanField(
        _("do not say whether the key exists"),
        default=False,
        help_text=_("A key that does not exist then gets the same response, in the same time, as wrong values."),
    )
    tries = models.PositiveSmallIntegerField(
        _("wrong tries per key and application"),
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_TRIES)],
        help_text=_(
            "After this number of wrong tries the key is locked for the application: nobody can guess a value."
        ),
    )
    tries_of_all = models.PositiveSmallIntegerField(
        _("wrong tries per key, of all applications"),
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_TRIES)],
    )
    lock_minutes = models.PositiveIntegerField(
        _("lock (minutes)"),
        default=1440,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_LOCK_MINUTES)],
        help_text=_("Minutes after the first wrong try, until which the tries are counted and a full key is locked."),
    )

    class Meta:
        verbose_name = _("verification operation")
        verbose_name_plural = _("verification operations")

    @property
    def reserved_names(self) -> frozenset[str]:
        return frozenset({FOUND, AGREES})

    @property
    def timeout_ms(self) -> int:
        """The time limit: that of the operation with the data."""
        return int(getattr(self.base.of_its_kind, "timeout_ms", 0))

    @property
    def grant_values(self) -> frozenset[str]:
        return self.base.of_its_kind.grant_values if self.base_id else frozenset()

    @property
    def masks_fields(self) -> bool:
        return False

    def is_named_only(self, field: str) -> bool:
        return field.endswith(FIELD_SIMILARITY)

    def clean(self) -> None:
        super().clean()
        if self.access == self.Access.OPEN:
            raise ValidationError({"access": _("A verification needs a key and a grant, so that nobody can guess.")})
        if self.cache_seconds:
            raise ValidationError({"cache_seconds": _("A verification is never cached: each try is counted.")})
        base = self.base if self.base_id else None
        if base is None:
            return
        if bounds.follow(self, "service__agency") != bounds.follow(base, "service__agency"):
            raise ValidationError({"base": _("Choose an operation of the agency that offers the service.")})
        if base.kind == self.Kind.VERIFICATION or base.draft_of_id is not None:
            raise ValidationError({"base": _("Choose a data or proxy operation.")})
        if not base.of_its_kind.limits_fields:
            raise ValidationError({"base": _("Its responses go out unread, so that nothing can be compared.")})
        if getattr(base.of_its_kind, "writes", False):
            raise ValidationError({"base": _("This operation changes data. Choose one that reads.")})
        if self.is_callable and not base.is_callable:
            raise ValidationError({"base": _("Publish this operation first: its data is compared.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.kind = Operation.Kind.VERIFICATION
        super().save(*args, **kwargs)


class VerifiedField(RegistryModel):
    """A field that callers may send for comparison, and how it is compared with a column of the record."""

    snapshot_unit = ("operation", "operation_id")
    listed = "verified_fields"

    class Rule(models.TextChoices):
        EXACT = "exact", _("exactly the same")
        TEXT = "text", _("the same text, without case, blanks, punctuation and titles")
        NAME = "name", _("name of a person, by similarity")
        DATE = "date", _("date, in any form")
        NUMBER = "number", _("number, in any form")
        PHONE = "phone", _("phone number, in any form")
        ADDRESS = "address", _("address, by similarity")

    #: Rules whose similarity has degrees.
    DEGREES = frozenset({Rule.NAME.value, Rule.ADDRESS.value})

    operation = models.ForeignKey(
        VerificationOperation, models.CASCADE, verbose_name=_("operation"), related_name="verified_fields"
    )
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, validators=[MaxValueValidator(bounds.POSITION)]
    )
    name = models.CharField(
        _("name"), max_length=50, validators=[column_validator], help_text=_("The name by which callers send it.")
    )
    column = models.CharField(
        _("column"), max_length=127, blank=True, help_text=_("The column of the record. Empty: the same name.")
    )
    rule = models.CharField(_("rule"), max_length=10, choices=Rule.choices, default=Rule.TEXT)
    threshold = models.PositiveSmallIntegerField(
        _("threshold"),
        null=True,
        blank=True,
        validators=[MinValueValidator(LOWEST_THRESHOLD), MaxValueValidator(100)],
        help_text=_("From this similarity (0–100) on it agrees. Empty: the rule's own."),
    )
    description = models.CharField(_("description"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("verified field")
        verbose_name_plural = _("verified fields")
        ordering = ("position", "id")
        constraints = [models.UniqueConstraint("operation", Lower("name"), name="verified_field_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def compared(self) -> str:
        """The column of the record."""
        return self.column or self.name

    @classmethod
    def check_list(cls, operation: Operation, rows: Sequence[VerifiedField]) -> None:
        """Check the number of fields, and that there are as many as a caller must send."""
        super().check_list(operation, rows)
        if not rows:
            raise ValidationError(_("Add a field that callers may verify."))
        least = getattr(operation, "min_fields", 1)
        if least > len(rows):
            raise ValidationError(
                _("Callers must send %(least)d fields, but there are %(number)d. Lower the number, or add fields."),
                params={"least": least, "number": len(rows)},
            )

    def clean(self) -> None:
        super().clean()
        if self.threshold is not None and self.rule not in self.DEGREES:
            raise ValidationError({"threshold": _("Only names and addresses have a threshold.")})


#: What a key's parameter takes from that of the operation with the data: the value is not checked again there.
_COPIED = ("name", "type", "pattern", "min", "max", "choices", "description", "legacy_name")
#: Descriptions for callers, in the language in which providers describe their data.
_FOUND = "true: ada data dengan kunci itu; false: tidak ada; null: tidak diberitahukan."
_AGREES = "true: semua yang dikirim sesuai dengan data."
_FIELD_AGREES = "{name}: true: sesuai; false: tidak sesuai; null: tidak dikirim, atau tidak ada dalam data."
_FIELD_SIMILARITY = "{name}: kemiripan 0–100. Hanya jika izin menyebut kolom ini."
_MEANINGS: dict[str, str] = {
    VerifiedField.Rule.EXACT: "Untuk dibandingkan, persis sama.",
    VerifiedField.Rule.TEXT: "Untuk dibandingkan, tanpa membedakan huruf besar, spasi, dan tanda baca.",
    VerifiedField.Rule.NAME: "Untuk dibandingkan menurut kemiripan nama.",
    VerifiedField.Rule.DATE: "Untuk dibandingkan: tanggal seperti 17-08-1990 atau 1990-08-17.",
    VerifiedField.Rule.NUMBER: "Untuk dibandingkan: bilangan.",
    VerifiedField.Rule.PHONE: "Untuk dibandingkan: nomor telepon.",
    VerifiedField.Rule.ADDRESS: "Untuk dibandingkan menurut kemiripan alamat.",
}


def declared_parameters(
    operation: VerificationOperation, key: Sequence[Parameter], verified: Sequence[VerifiedField]
) -> list[Parameter]:
    """Return the parameters of a verification, not saved: the key as its base takes it, then the verified fields."""
    parameters = [
        Parameter(operation=operation, required=True, subject=True, **{name: getattr(each, name) for name in _COPIED})
        for each in key
    ]
    for each in verified:
        text = each.description or _MEANINGS.get(each.rule, "")
        parameters.append(Parameter(operation=operation, name=each.name, required=False, description=text))
    return parameters


def declared_fields(operation: VerificationOperation, verified: Sequence[VerifiedField]) -> list[Field]:
    """Return the fields of a verification's response, not saved. They say what agrees, and hold no value."""
    boolean, integer = Field.Type.BOOLEAN, Field.Type.INTEGER
    fields = [
        Field(operation=operation, name=FOUND, type=boolean, description=_FOUND),
        Field(operation=operation, name=AGREES, type=boolean, description=_AGREES),
    ]
    for each in verified:
        name, text = f"{each.name}{FIELD_AGREES}", _FIELD_AGREES.format(name=each.name)
        fields.append(Field(operation=operation, name=name, type=boolean, description=text))
        if each.rule in VerifiedField.DEGREES:
            name, text = f"{each.name}{FIELD_SIMILARITY}", _FIELD_SIMILARITY.format(name=each.name)
            fields.append(Field(operation=operation, name=name, type=integer, description=text))
    return fields


def key_of(base: Operation) -> list[Parameter]:
    """Return the parameters of an operation that make the key: those that every call must have."""
    return [each for each in base.parameters.all() if each.required and not each.default]


def declare(operation: VerificationOperation) -> None:
    """Make the parameters and fields of a stored verification what its base and its verified fields require.

    A row of a name that stays is the same row.
    """
    verified = list(VerifiedField.objects.filter(operation=operation.pk))
    _replace(
        Parameter.objects.filter(operation=operation.pk),
        declared_parameters(operation, key_of(operation.base), verified),
    )
    _replace(Field.objects.filter(operation=operation.pk), declared_fields(operation, verified))


def _replace(rows: Any, wanted: Sequence[Any]) -> None:
    """Make stored rows those that are wanted. What was read of the operation before may be older."""
    stored = {row.name: row for row in rows}
    for position, row in enumerate(wanted):
        known = stored.pop(row.name, None)
        row.position = position
        if known is None:
            row.save()
        elif _differs(known, row):
            row.pk = known.pk
            row.save(force_update=True)
    for row in stored.values():
        row.delete()


def _differs(known: Any, row: Any) -> bool:
    """Return True if two rows of an operation differ in more than their ids."""
    names = [each.attname for each in row._meta.local_concrete_fields if not each.primary_key]
    return any(getattr(known, name) != getattr(row, name) for name in names)


def inconsistencies(operation: VerificationOperation) -> list[str]:
    """Return why a stored verification's parameters and fields do not go with its base and its verified fields."""
    verified = list(VerifiedField.objects.filter(operation=operation.pk))
    found = []
    try:
        VerifiedField.check_list(operation, verified)
    except ValidationError as error:
        found += error.messages
    key = key_of(operation.base)
    if not key:
        text = _("%(base)s has no required parameter that could be the key.")
        found.append(text % {"base": operation.base})
    if same := {each.name.lower() for each in key} & {each.name.lower() for each in verified}:
        text = _("A field cannot have the name of the key: %(names)s.")
        found.append(text % {"names": ", ".join(sorted(same))})
    wanted_types = {(row.name, row.type) for row in declared_parameters(operation, key, verified)}
    stored_types = set(Parameter.objects.filter(operation=operation.pk).values_list("name", "type"))
    if differing := {name for name, _type in wanted_types ^ stored_types}:
        text = _("The parameters do not go with the key and the verified fields: %(names)s. Save the operation again.")
        found.append(text % {"names": ", ".join(sorted(differing))})
    wanted = {row.name for row in declared_fields(operation, verified)}
    if differing := wanted ^ set(Field.objects.filter(operation=operation.pk).values_list("name", flat=True)):
        text = _("The fields do not go with the verified fields: %(names)s. Save the operation again.")
        found.append(text % {"names": ", ".join(sorted(differing))})
    columns = set(operation.base.fields.values_list("name", flat=True))
    if columns and (missing := [each.compared for each in verified if each.compared not in columns]):
        text = _("%(base)s does not declare these columns: %(names)s.")
        found.append(text % {"base": operation.base, "names": ", ".join(missing)})
    return found
