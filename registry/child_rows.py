"""The lists that belong to an operation (parameters, fields, upstreams and so on), replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from registry.models import Operation

Same = Callable[[str, Any, Any], bool]


@dataclass(slots=True)
class Replacement:
    """What it takes to make the stored list the wanted one. Nothing is written before save()."""

    rows: list[Any]
    gone: list[Any]
    added: list[Any] = field(default_factory=list)
    #: row, and what changes of it: attribute → (old, new)
    changed: list[tuple[Any, dict[str, tuple[Any, Any]]]] = field(default_factory=list)
    moved: bool = False

    def __bool__(self) -> bool:
        return bool(self.gone or self.added or self.changed or self.moved)

    def save(self) -> None:
        for row in self.gone:
            row.delete()
        for position, row in enumerate(self.rows):
            if self.moved:
                row.position = position
        touched = self.rows if self.moved else [*self.added, *(row for row, _change in self.changed)]
        for row in touched:
            row.save()


def replacement(
    model: type[Model],
    operation: Operation,
    key: tuple[str, ...],
    wanted: Sequence[dict[str, Any]],
    attributes: Sequence[str],
    same: Same = lambda _name, old, new: bool(old == new),
    kept: frozenset[str] = frozenset(),
) -> Replacement:
    """Match ``wanted`` (attribute → value) with the operation's rows by the attributes of ``key``, in order.

    An attribute that is not given falls back to the model's default, except for those in ``kept``,
    which stay as stored: secrets, that whoever writes the list may not know.
    """
    stored = list(model._default_manager.filter(operation=operation)) if operation.pk else []
    by_key = {tuple(getattr(row, name) for name in key): row for row in stored}
    found = Replacement([], [])
    if "position" in attributes:
        # Several rows may share one; where none is given, the order of the list is meant.
        wanted = [{"position": index, **values} for index, values in enumerate(wanted)]
    for values in wanted:
        row = by_key.pop(identity(model, key, values), None)
        if row is None:
            row = model(operation=operation, **values)  # type: ignore[call-arg]
            found.added.append(row)
        else:
            change = _change(row, values, attributes, same, kept)
            if change:
                found.changed.append((row, change))
        found.rows.append(row)
    found.gone = list(by_key.values())
    left = [row for row in stored if row not in found.gone]
    in_order = "position" not in attributes and any(each.name == "position" for each in model._meta.fields)
    found.moved = in_order and (bool(found.added) or left != found.rows)
    return found


def identity(model: type[Model], key: tuple[str, ...], values: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a row of the list from the others, as ``values`` have it."""
    return tuple(values.get(name, model._meta.get_field(name).get_default()) for name in key)  # type: ignore[union-attr]


def _change(
    row: Model, values: dict[str, Any], attributes: Sequence[str], same: Same, kept: frozenset[str]
) -> dict[str, tuple[Any, Any]]:
    """Set the attributes that differ and say which."""
    change = {}
    for name in attributes:
        if name not in values and name in kept:
            continue
        default = row._meta.get_field(name).get_default()  # type: ignore[union-attr]
        old, new = getattr(row, name), values.get(name, default)
        if not same(name, old, new):
            change[name] = (old, new)
            setattr(row, name, new)
    return change
