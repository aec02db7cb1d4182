"""The lists that belong to an operation or a backend (parameters, fields, servers and so on), replaced as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from registry.models import RegistryModel

#: (attribute, old value, new value) → True if the two mean the same.
IsSame = Callable[[str, Any, Any], bool]


@dataclass(slots=True)
class Replacement:
    """The changes from the stored list to the wanted one. Nothing is written before save(). False if there are none."""

    #: The wanted list in its order, saved or not.
    rows: list[Any]
    removed: list[Any]
    added: list[Any] = field(default_factory=list)
    #: (row, its changes: attribute → (old, new)).
    changed: list[tuple[Any, dict[str, tuple[Any, Any]]]] = field(default_factory=list)
    #: The rows need new positions.
    reordered: bool = False

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.changed or self.reordered)

    def save(self) -> None:
        for row in self.removed:
            row.delete()
        for position, row in enumerate(self.rows):
            if self.reordered:
                row.position = position
        to_save = self.rows if self.reordered else [*self.added, *(row for row, _change in self.changed)]
        for row in to_save:
            row.save()


def replacement(
    model: type[Model],
    owner: RegistryModel,
    key: tuple[str, ...],
    wanted: Sequence[dict[str, Any]],
    attributes: Sequence[str],
    is_same: IsSame = lambda _name, old, new: bool(old == new),
    keep_if_absent: frozenset[str] = frozenset(),
    near: Callable[[Any], Hashable] | None = None,
    owned_by: str = "operation",
) -> Replacement:
    """Match ``wanted`` (attribute → value) with the owner's rows by the attributes of ``key``, in order.

    ``owned_by``: the model's reference to the owner.

    An attribute that is absent gets the model's default, except for those in ``keep_if_absent``, which keep the
    stored value: these are secrets, and the author of the list may not know them. A row without a match is an edited
    stored one if they are the only two with the same ``near``: a server with a changed path stays the same server.
    """
    stored = list(model._default_manager.filter(**{owned_by: owner})) if owner.pk else []
    by_key = {tuple(getattr(row, name) for name in key): row for row in stored}
    result = Replacement([], [])
    if "priority" in attributes:
        # Several rows may have the same priority. A row without one gets its place in the list.
        wanted = [{"priority": index, **values} for index, values in enumerate(wanted)]
    matched = [by_key.pop(identity(model, key, values), None) for values in wanted]
    if near is not None:
        matched = _with_edited(matched, [model(**values) for values in wanted], by_key, near)
    for values, row in zip(wanted, matched, strict=True):
        if row is None:
            row = model(**{owned_by: owner}, **values)
            result.added.append(row)
        else:
            change = _update(row, values, attributes, is_same, keep_if_absent)
            if change:
                result.changed.append((row, change))
        result.rows.append(row)
    result.removed = list(by_key.values())
    remaining = [row for row in stored if row not in result.removed]
    ordered = any(column.name == "position" for column in model._meta.fields)
    result.reordered = ordered and (bool(result.added) or remaining != result.rows)
    return result


def _with_edited(
    matched: list[Any], wanted: list[Any], stored: dict[tuple[Any, ...], Any], near: Callable[[Any], Hashable]
) -> list[Any]:
    """Return ``matched`` with the stored rows that were edited, which are removed from ``stored``.

    Where several rows have the same ``near``, nobody knows which became which: one could get the other's secret.
    """
    unmatched = Counter(near(new) for new, row in zip(wanted, matched, strict=True) if row is None)
    keys: dict[Hashable, list[tuple[Any, ...]]] = {}
    for key, row in stored.items():
        keys.setdefault(near(row), []).append(key)
    pairs = {
        place: keys[place][0] for place, count in unmatched.items() if count == 1 and len(keys.get(place, ())) == 1
    }
    return [
        stored.pop(pairs[near(new)]) if row is None and near(new) in pairs else row
        for new, row in zip(wanted, matched, strict=True)
    ]


def identity(model: type[Model], key: tuple[str, ...], values: dict[str, Any]) -> tuple[Any, ...]:
    """Return the values of the attributes of ``key``, which identify a row in its list."""
    return tuple(values.get(name, model._meta.get_field(name).get_default()) for name in key)  # type: ignore[union-attr]


def _update(
    row: Model, values: dict[str, Any], attributes: Sequence[str], is_same: IsSame, keep_if_absent: frozenset[str]
) -> dict[str, tuple[Any, Any]]:
    """Set the attributes that differ. Return them with their old and new values."""
    change = {}
    for name in attributes:
        if name not in values and name in keep_if_absent:
            continue
        default = row._meta.get_field(name).get_default()  # type: ignore[union-attr]
        old, new = getattr(row, name), values.get(name, default)
        if not is_same(name, old, new):
            change[name] = (old, new)
        elif name not in keep_if_absent:
            continue
        # A secret that was entered again no longer counts as stored, even if it is the same (secret_rules.py).
        setattr(row, name, new)
    return change
