"""Bounds of what a row may hold. Worker processes keep the registry in memory, and all agencies share it."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

#: Characters of a description.
DESCRIPTION = 10_000
#: Characters of a reason.
REASON = 500
#: Characters of a note for callers about a version.
CHANGE_NOTE = 1_000
#: Characters of a list of names, such as headers or choices.
NAME_LIST = 20_000
#: Networks of a key or a grant, and characters of their list.
NETWORKS, NETWORK_LIST = 100, 5_000
#: Values of a grant, characters of each, and of their list.
VALUES, VALUE, VALUE_LIST = 20, 200, 5_000
#: The highest position in a list.
POSITION = 10_000
#: Seconds for which responses may be cached, and served while upstreams are down.
CACHE_SECONDS, STALE_SECONDS = 365 * 86_400, 30 * 86_400
#: Characters of certificates and keys in PEM.
PEM = 65_536
#: Characters of a password, and of a token or another credential.
PASSWORD, CREDENTIAL = 1_000, 10_000


class BoundedTextField(models.TextField):  # type: ignore[type-arg]
    """Text of at most ``max_length`` characters, by the model's own rules: a TextField checks it in forms only.

    Stored rows that are longer stay in force; they must be shortened with their next change.
    """

    def __init__(self, verbose_name: Any = None, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(verbose_name, max_length=max_length, **kwargs)
        self.validators.append(MaxLengthValidator(max_length))

    def formfield(self, **kwargs: Any) -> Any:
        # Browsers cut text that is pasted into an input with a maximum length, without a word.
        return super().formfield(**{"max_length": None, **kwargs})


@deconstructible
class MaxJsonLength:
    """Checks that a value has at most ``length`` characters as JSON."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, value: Any) -> None:
        if len(json.dumps(value, default=str)) > self.length:
            raise ValidationError(_("Enter at most %(length)d characters."), params={"length": self.length})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaxJsonLength) and other.length == self.length

    __hash__ = None  # type: ignore[assignment]


def check_number(rows: models.QuerySet[Any], kind: str, add: int = 1) -> None:
    """Check that there may be this number of further rows. Raises ValidationError."""
    check_total(rows.count(), rows.model, kind, add)


def check_total(number: int, model: type[models.Model], kind: str, add: int = 1) -> None:
    """Check that there may be this number of further rows beside those that are there. Raises ValidationError."""
    most: int = settings.ROW_LIMITS[kind]
    if number + add > most:
        raise too_many(model, kind)


def too_many(model: type[models.Model], kind: str) -> ValidationError:
    """Return the error about more rows of a kind than settings.ROW_LIMITS allows."""
    return ValidationError(
        _("There can be at most %(most)d %(rows)s here. Delete some, or ask an operator to raise %(setting)s."),
        params={
            "most": settings.ROW_LIMITS[kind],
            "rows": model._meta.verbose_name_plural,
            "setting": f"MANTRA_MAX_{kind.upper()}",
        },
    )


def check_text(length: int) -> None:
    """Check the total length of an agency's texts of a kind. Raises ValidationError."""
    if length > settings.AGENCY_TEXT_BYTES:
        raise ValidationError(
            _("All of the agency's texts of this kind together are larger than %(size)d bytes."),
            params={"size": settings.AGENCY_TEXT_BYTES},
        )


def follow(row: Any, path: str) -> Any:
    """Return the id at the end of a path of foreign keys; None if one of them is not set."""
    *steps, last = path.split("__")
    try:
        for step in steps:
            row = getattr(row, step)
    except ObjectDoesNotExist:
        return None
    return getattr(row, f"{last}_id", None)
