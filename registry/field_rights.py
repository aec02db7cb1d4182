"""What a caller may see of an operation's fields, or the fault that tells why it is nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from registry import faults
from registry.personal_data.masks import DeclaredField, FieldRights, NothingLeft, Sight, sight_of, withheld
from registry.results import Fault


def visible(fields: Collection[DeclaredField], rights: FieldRights) -> Sight:
    """Return what goes out of an operation with these fields. Raises Fault if that is nothing."""
    try:
        return sight_of(fields, rights)
    except NothingLeft:
        raise nothing_left(withheld(fields, rights)) from None


def nothing_left(unlawful: Collection[str]) -> Fault:
    """Return the fault of a grant by which nothing goes out: without a legal basis, or as all of it is masked."""
    if unlawful:
        return incomplete("dasar hukum belum diisi", "it states no legal basis")
    return incomplete("semua kolom disembunyikan", "it masks all columns")


def granted_values(values: Mapping[str, str], needed: Iterable[str]) -> dict[str, str]:
    """Return the values by which an operation selects rows. Raises Fault if one is missing."""
    wanted = list(needed)
    if missing := [name for name in wanted if not values.get(name)]:
        listed = ", ".join(sorted(missing))
        raise incomplete(f"nilai {listed} belum diisi", f"it has no value for {listed}")
    return {name: values[name] for name in wanted}


def incomplete(reason_id: str, reason_en: str) -> Fault:
    return Fault(faults.GRANT_INCOMPLETE, missing_id=reason_id, missing_en=reason_en)
