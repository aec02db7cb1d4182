"""What becomes of personal data in responses that nobody declared, and what was found of it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

from registry.models.base import names

#: Characters of a list of kinds, and of the name of a column or member.
KIND_LIST, PLACE = 100, 127
#: Kind of what the egress guard finds → its name for people.
KINDS = {
    "NIK": _("NIK"),
    "KK": _("family card number"),
    "NPWP": _("NPWP"),
    "NIP": _("NIP"),
    "PHONE": _("phone number"),
    "EMAIL": _("e-mail address"),
    "FILE": _("content that cannot be checked"),
}


class Guard(models.TextChoices):
    """What becomes of personal data that nobody declared. The last protects most."""

    ALLOW = "allow", _("let it pass, do not look")
    ALARM = "alarm", _("let it pass, and tell us")
    MASK = "mask", _("cover it")
    BLOCK = "block", _("refuse the response")


#: The rules, the one that protects least first.
RANKS = {guard: rank for rank, guard in enumerate(Guard.values)}


@deconstructible
class KindList:
    """Checks that a text is a list of KINDS."""

    def __call__(self, text: str) -> None:
        unknown = [name for name in names(text) if name not in KINDS]
        if unknown:
            raise ValidationError(_("Enter some of %(kinds)s."), params={"kinds": ", ".join(KINDS)}, code="kinds")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KindList)

    __hash__ = None  # type: ignore[assignment]


class GuardFinding(models.Model):
    """How much undeclared personal data of a kind was found on a day in a column of an operation; never a value."""

    operation = models.ForeignKey(
        "registry.Operation", models.CASCADE, verbose_name=_("operation"), related_name="guard_findings", editable=False
    )
    day = models.DateField(_("day"), editable=False)
    #: The name of the column or member; "" for a body that has none, or a name that may be data itself.
    place = models.CharField(_("column"), max_length=PLACE, blank=True, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=tuple(KINDS.items()), editable=False)
    #: The rule that was in force at the last call.
    guard = models.CharField(_("what was done"), max_length=5, choices=Guard.choices, editable=False)
    calls = models.BigIntegerField(_("calls"), default=0, editable=False)
    found = models.BigIntegerField(_("found"), default=0, editable=False)
    last_at = models.DateTimeField(_("last found"), editable=False)

    class Meta:
        verbose_name = _("undeclared personal data")
        verbose_name_plural = _("undeclared personal data")
        ordering: ClassVar[Any] = ("-last_at", "-id")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["operation", "day", "place", "kind"], name="guard_finding_once")]
        indexes = [models.Index(fields=["-last_at", "-id"], name="guard_finding_time")]

    def __str__(self) -> str:
        return f"{self.place or '–'}: {self.get_kind_display()}"
