"""Fingerprints: numbers that tell whether rows are still those that were prepared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import ExpressionWrapper, F, Model, TextField

from registry.secrets import EncryptedField


def columns(model: type[Model], prefix: str = "", without: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Return a model's own columns for values_list(): secrets as they are stored, no times of the last change."""
    for field in model._meta.local_concrete_fields:
        if field.name in without or getattr(field, "auto_now", False):
            continue
        name = f"{prefix}{field.attname}"
        yield ExpressionWrapper(F(name), TextField()) if isinstance(field, EncryptedField) else name


def add_rows(fingerprints: dict[int, int], rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows, each with the id of what it belongs to as its first value, to the fingerprints by that id."""
    for row in rows:
        values = tuple(str(value) if isinstance(value, dict | list) else value for value in row)
        fingerprints[row[0]] = hash((fingerprints.get(row[0], 0), values))
