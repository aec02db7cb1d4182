"""Examples of parameters' values, as texts that callers can send: each is one that its parameter accepts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from registry.parameter_values import MAX_TEXT, InvalidValue, ParameterParser

#: Invented values, which show the form only.
_OF_TYPES = {
    "text": "contoh", "integer": "1", "decimal": "12.50", "boolean": "true", "date": "2026-01-31",
    "datetime": "2026-01-31T08:00:00+07:00", "nik": "3171011201850001", "npwp": "013000666091000",
}  # fmt: skip


def example(parser: ParameterParser, default: str = "") -> str | None:
    """Return a value that a parameter accepts: its default, else an example of its type, a choice or a bound.

    None if none of these is accepted, as with most patterns.
    """
    texts = [_OF_TYPES.get(parser.type, ""), *sorted(parser.choices), *_at_bounds(parser)]
    if default:
        texts.insert(0, default)
    return next((text for text in texts if _is_accepted(parser, text)), None)


def _at_bounds(parser: ParameterParser) -> list[str]:
    if parser.type != "text":
        return [text_of(bound) for bound in (parser.min, parser.max) if bound is not None]
    length = min(max(parser.min or 1, 1), parser.max or MAX_TEXT, MAX_TEXT)
    return ["x" * length, "1" * length]


def _is_accepted(parser: ParameterParser, text: str) -> bool:
    try:
        parser(text)
    except InvalidValue:
        return False
    return True


def text_of(value: Any) -> str:
    """Return a parameter's value as callers write it in a query string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
