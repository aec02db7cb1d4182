"""Cells of the CSV files that people download."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

Value = str | int | float | Decimal | datetime | None

#: Characters with which a spreadsheet begins a formula. Text that begins so gets an apostrophe in CSV, which has no
#: other way to say that it is text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def csv_cell(value: Value) -> Any:
    """Return a value as a cell of CSV has it."""
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="milliseconds")
    return guarded(value) if isinstance(value, str) else value
