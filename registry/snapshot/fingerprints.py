"""Rows as the database has them, as tuples: for fingerprints, which tell whether they have changed, and for plans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from sys import intern
from typing import Any, TypeVar

from django.db import connection
from django.db.models import ExpressionWrapper, F, JSONField, Model, Q, TextField

from registry.secrets import EncryptedField

_Model = TypeVar("_Model", bound=Model)

Row = tuple[Any, ...]

#: More ids than this are selected as a range.
_MANY = 1000

#: Texts up to this length are stored once: names, and lists of names that most operations have alike.
_SHARED_LENGTH = 300


def columns(model: type[Model], prefix: str = "", without: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Return a model's own columns for values_list(): secrets and JSON as they are stored, no times of the last change.

    A tuple of them can be hashed and compared, and instance() makes a model of it.
    """
    for field in _fields(model):
        if field.name not in without:
            name = f"{prefix}{field.attname}"
            yield ExpressionWrapper(F(name), TextField()) if _is_encoded(field) else name


@cache
def names(model: type[Model]) -> tuple[str, ...]:
    """Return the names of the columns that columns() returns without a prefix."""
    return tuple(field.attname for field in _fields(model))


def among(name: str, ids: Collection[int]) -> Q:
    """Return the condition that a column is one of the ids.

    So many as only the first load selects, in their order, are selected as a range: a statement with a list of them
    takes longer to write than its rows to read. Rows in between that are new come along, and do no harm.
    """
    if len(ids) <= _MANY:
        return Q(**{f"{name}__in": list(ids)})
    return Q(**{f"{name}__gte": min(ids), f"{name}__lte": max(ids)})


def instance(model: type[_Model], row: Row, **more: Any) -> _Model:
    """Return a model of a row with its columns(). Other attributes are ``more``, or have their defaults."""
    values = {
        field.attname: field.from_db_value(value, None, connection) if _is_encoded(field) else value
        for field, value in zip(_fields(model), row, strict=True)
    }
    return model(**values, **more)


def shared(row: Row) -> Row:
    """Return the row with its short texts shared: many rows have the same."""
    return tuple([intern(value) if type(value) is str and len(value) < _SHARED_LENGTH else value for value in row])


def by_owner(rows: Iterable[Row]) -> dict[int, tuple[Row, ...]]:
    """Return the rows by their first value, the id of what they belong to, and without it."""
    found: dict[int, list[Row]] = {}
    for owner, *values in rows:
        found.setdefault(owner, []).append(shared(tuple(values)))
    return {owner: tuple(each) for owner, each in found.items()}


@cache
def _fields(model: type[Model]) -> tuple[Any, ...]:
    return tuple(field for field in model._meta.local_concrete_fields if not getattr(field, "auto_now", False))


def _is_encoded(field: Any) -> bool:
    return isinstance(field, EncryptedField | JSONField)
