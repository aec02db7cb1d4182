"""The rules of the bus that no JSON Schema can express: schemathesis leaves out what they concern.

Loaded by schemathesis (SCHEMATHESIS_HOOKS), in the tests and by ``bench/contracts``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import schemathesis

#: Digits after the decimal point that the bus reads.
MAX_DECIMALS = 40
_TYPES: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    str: ("string",),
}


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Return True for a request whose response the contract alone decides."""
    members = _members(case)
    if any(isinstance(value, str) and "\0" in value for value in members.values()):
        return False  # refused in every text, and no database could hold it
    if any(isinstance(value, float) and _is_too_small(value) for value in members.values()):
        return False
    return case.media_type != "application/json" or not _has_other_scalar(case, members)


def _members(case: Any) -> dict[str, Any]:
    body = case.body if isinstance(case.body, dict) else {}
    query = case.query if isinstance(case.query, dict) else {}
    return {**query, **body}


def _is_too_small(value: float) -> bool:
    """Return True for a number with more digits after the decimal point than a decimal parameter may have."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    return isinstance(exponent, int) and -exponent > MAX_DECIMALS


def _has_other_scalar(case: Any, members: dict[str, Any]) -> bool:
    """Return True if JSON has a number for a text or the like: the bus reads its text, contracts do not offer that."""
    properties = _properties(case)
    return any(
        type(value) in _TYPES and name in properties and not set(_TYPES[type(value)]) & _types(properties[name])
        for name, value in members.items()
    )


def _properties(case: Any) -> dict[str, Any]:
    schema = case.operation.schema.raw_schema
    for each in case.operation.definition.raw.get("requestBody", {}).get("content", {}).values():
        name = each["schema"].get("$ref", "").rpartition("/")[2]
        return dict(schema["components"]["schemas"].get(name, {}).get("properties", {}))
    return {}


def _types(schema: dict[str, Any]) -> set[str]:
    own = schema.get("type", [])
    return {own} if isinstance(own, str) else set(own)
