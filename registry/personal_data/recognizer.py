"""Joins what a column's name and its values say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _

from registry.personal_data.kinds import (
    CERTAIN,
    PARAMETER_TYPES,
    PERSONAL,
    POSSIBLE,
    SPECIFIC,
    SPECIFIC_KINDS,
    Finding,
    Guess,
)
from registry.personal_data.names import guess_by_name, words_of
from registry.personal_data.values import (
    MANY,
    SHARE,
    guess_by_values,
    is_date,
    is_email,
    is_nik,
    is_npwp,
    samples_of,
    share,
)
from registry.personal_data.vocabulary import CHILDREN


def recognize(name: str, values: Iterable[Any] = (), table: str = "") -> Finding | None:
    """Return the personal data in a column of this name, or None.

    ``values`` are samples: at most MAX_VALUES of them count. ``table`` is the table's name: it tells people from things
    where the column's does not, as for a column called nama.
    """
    samples = samples_of(values)
    by_values = guess_by_values(samples)
    by_name = guess_by_name(frozenset(words_of(name)), frozenset(words_of(table)), samples)
    kind, certainty, reason = _better(by_name, by_values, samples)
    if not kind:
        return None
    words = frozenset(words_of(f"{name} {table}"))
    specific = kind in SPECIFIC_KINDS or (kind not in ("EMAIL", "PHONE") and bool(words & CHILDREN))
    return Finding(kind, SPECIFIC if specific else PERSONAL, PARAMETER_TYPES.get(kind, "text"), certainty, reason)


#: Kinds with values of a shape of their own.
_SHAPES: dict[str, Callable[[str], bool]] = {
    "NIK": is_nik, "KK": is_nik, "NPWP": lambda text: is_npwp(text) or is_nik(text), "EMAIL": is_email,
    "BIRTH_DATE": is_date,
}  # fmt: skip


def _better(by_name: Guess, by_values: Guess, samples: Sequence[str]) -> Guess:
    """Return the guess that counts. A name's guess is surer if the values agree, and nothing if they cannot."""
    kind = by_name[0]
    shape = _SHAPES.get(kind)
    if not kind or (shape is None and by_values[1] == CERTAIN and kind not in SPECIFIC_KINDS):
        return by_values if by_values[0] else by_name
    if shape is None or len(samples) < MANY:
        return by_name
    agreeing = share(samples, shape)
    if agreeing >= SHARE:
        return kind, CERTAIN, _("The column's name and its values say so.")
    if agreeing == 0 and kind in ("NIK", "KK", "NPWP") and max(map(len, samples)) < 10:
        return by_values
    return by_name if agreeing else (kind, POSSIBLE, _("The column's name says so, but the values look different."))
