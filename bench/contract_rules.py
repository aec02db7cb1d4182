"""The rules of the bus that no JSON Schema can express: schemathesis leaves out the requests that they decide.

Loaded by schemathesis (SCHEMATHESIS_HOOKS), in the tests and by ``python -m bench.contracts``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import schemathesis

#: Digits after the decimal point that the bus reads.
MAX_DECIMALS = 40
#: Patterns of numbers of persons: the bus checks a date of birth or a check digit too.
_PERSONS = frozenset(("^[0-9]{15,16}$", "^[1-9][0-9]{5}([04][1-9]|[1256][0-9]|[37][01])(0[1-9]|1[0-2])[0-9]{6}$"))
_TYPES: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    str: ("string",),
}


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Return True for a request whose response the contract alone decides."""
    if not str((case.path_parameters or {}).get("path", "")).isprintable():
        return False  # what follows a passed-through operation may not lead out of it, in no disguise
    schemas = _schemas(case)
    return all(_is_decided(value, schemas.get(name, {})) for name, value in _members(case).items())


def _is_decided(value: Any, schema: dict[str, Any]) -> bool:
    if isinstance(value, str) and "\0" in value:  # refused in every text, and no database could hold it
        return False
    if isinstance(value, float) and _decimals(value) > MAX_DECIMALS:
        return False
    if schema.get("pattern") in _PERSONS and isinstance(value, str):
        return value in schema.get("examples", ())
    return not _is_other_scalar(value, schema)


def _decimals(value: float) -> int:
    """Return the digits after the decimal point."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _is_other_scalar(value: Any, schema: dict[str, Any]) -> bool:
    """Return True for a number in place of a text and the like: the bus reads its text, contracts do not offer that."""
    own = schema.get("type", [])
    types = {own} if isinstance(own, str) else set(own)
    return bool(types) and type(value) in _TYPES and not types & set(_TYPES[type(value)])


def _members(case: Any) -> dict[str, Any]:
    """Return the parameters of a request, whether in its query string or in its body."""
    parts = (part for part in (case.query, case.body) if isinstance(part, dict))
    return {name: value for part in parts for name, value in part.items()}


def _schemas(case: Any) -> dict[str, Any]:
    """Return the schemas of an operation's parameters by name. Components are named after the operation."""
    components = case.operation.schema.raw_schema["components"]
    raw = case.operation.definition.raw
    found: dict[str, Any] = {}
    for each in raw.get("parameters", []):
        if "$ref" in each:
            parameter = components["parameters"][each["$ref"].rpartition("/")[2]]
            found[parameter["name"]] = parameter["schema"]
    for each in raw.get("requestBody", {}).get("content", {}).values():
        found |= components["schemas"][each["schema"]["$ref"].rpartition("/")[2]]["properties"]
    return found
