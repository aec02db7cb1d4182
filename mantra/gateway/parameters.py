"""From what the caller supplied to the values that a query is given."""

from __future__ import annotations

from typing import Any

from registry import faults
from registry.calls import Call
from registry.parameter_values import Unfit
from registry.results import Fault
from registry.snapshot.types import Operation

MAX_PAGE = 1_000_000


def read(call: Call) -> None:
    """Fill call.arguments: one value for each declared parameter, None where it was not given."""
    operation = call.operation
    assert operation is not None
    plan = operation.plan
    if plan is None:
        raise Fault(faults.DEFINITION_BROKEN, request_id=call.request_id)
    if call.method not in plan.methods:
        raise Fault(faults.METHOD_REFUSED, method=call.method, allowed=", ".join(plan.methods))
    if plan.passes and call.passage is not None:
        return
    if call.tail:
        raise Fault(faults.OPERATION_UNKNOWN)
    given = _given(call, operation, plan.page_size)
    arguments: dict[str, Any] = {}
    for parameter in operation.parameters:
        value = given.pop(parameter.lower, None)
        if value is None or (call.lenient and value == ""):
            if parameter.required and parameter.default is None:
                raise Fault(faults.PARAMETER_MISSING, parameter=parameter.name)
            arguments[parameter.name] = parameter.default
            continue
        try:
            arguments[parameter.name] = parameter.read(value)
        except Unfit as unfit:
            raise Fault(faults.PARAMETER_INVALID, parameter=parameter.name, why_id=unfit.id, why_en=unfit.en) from None
    if plan.page_size:
        call.per_page = _number(given, "per_page", plan.page_size, plan.page_size)
        call.page = _number(given, "page", 1, MAX_PAGE)
    call.arguments = arguments


def _given(call: Call, operation: Operation, page_size: int) -> dict[str, Any]:
    """What was supplied, by lower-case name. Refuses what is repeated or (unless lenient) unknown."""
    given: dict[str, Any] = {}
    for name, value in call.supply(call):
        lower = name.lower()
        if lower not in operation.by_name and not (page_size and lower in ("page", "per_page")):
            if call.lenient:
                continue
            known = ", ".join(parameter.name for parameter in operation.parameters) or "-"
            raise Fault(faults.PARAMETER_UNKNOWN, parameter=shown(name), known=known)
        if lower in given:
            if call.lenient:  # PHP's own rule, by which 1.99y went: the last one counts
                given[lower] = value
                continue
            raise Fault(faults.PARAMETER_REPEATED, parameter=shown(name))
        given[lower] = value
    return given


def _number(given: dict[str, Any], name: str, default: int, most: int) -> int:
    text = str(given.get(name, default))
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= most):
        raise Fault(
            faults.PARAMETER_INVALID,
            parameter=name,
            why_id=f"harus bilangan bulat dari 1 sampai {most}",
            why_en=f"it must be a whole number from 1 to {most}",
        )
    return int(text)


def shown(name: str) -> str:
    """A name that a caller made up, fit to be said back: short and printable."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:60])
