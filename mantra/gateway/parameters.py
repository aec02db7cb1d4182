"""The parameters of a call: from the caller's input to the operation's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from registry import faults
from registry.calls import Call
from registry.parameter_values import InvalidValue, as_text
from registry.results import Fault
from registry.snapshot.types import Operation

MAX_PAGE = 1_000_000
#: Rows of a page of changes, if the caller does not say how many, and characters of a cursor.
CHANGES_PER_PAGE, MAX_CURSOR = 1_000, 4_000


def read(call: Call) -> None:
    """Set call.arguments: one value for each declared parameter, None if the caller gave none. Raises Fault."""
    operation = call.operation
    assert operation is not None
    plan = operation.plan
    if plan is None:
        raise Fault(faults.DEFINITION_BROKEN, request_id=call.request_id)
    if call.method not in plan.methods:
        raise Fault(faults.METHOD_NOT_ALLOWED, method=call.method, allowed=", ".join(plan.methods))
    if plan.pass_through and call.raw_request is not None:
        return
    if call.path_suffix:
        raise Fault(faults.OPERATION_UNKNOWN)
    supplied = _supplied(call, operation, {**paging(plan.page_size), **changes(plan.change_size)})
    arguments: dict[str, Any] = {}
    for parameter in operation.parameters:
        value = supplied.pop(parameter.lower, None)
        if value is None:
            if parameter.must_be_given:
                raise Fault(faults.PARAMETER_MISSING, parameter=parameter.name)
            arguments[parameter.name] = parameter.default
            continue
        try:
            arguments[parameter.name] = parameter.parse(value)
        except InvalidValue as error:
            raise Fault(
                faults.PARAMETER_INVALID, parameter=parameter.name, reason_id=error.id, reason_en=error.en
            ) from None
    if plan.page_size:
        numbers = {name: _number(supplied, name, *limits) for name, limits in paging(plan.page_size).items()}
        call.page, call.per_page = numbers["page"], numbers["per_page"]
    if plan.change_size:
        _read_changes(call, supplied, plan.change_size)
    call.arguments = arguments


@lru_cache(maxsize=256)
def paging(page_size: int) -> dict[str, tuple[int, int]]:
    """Return the parameters by which callers select a page: name → default and maximum; none without pages."""
    return {"page": (1, MAX_PAGE), "per_page": (page_size, page_size)} if page_size else {}


@lru_cache(maxsize=256)
def changes(change_size: int) -> dict[str, tuple[int, int]]:
    """Return the parameters by which callers ask for changes: since (a text), and per_page with its default and
    maximum; none if they cannot."""
    return {"since": (0, 0), "per_page": (min(CHANGES_PER_PAGE, change_size), change_size)} if change_size else {}


def _read_changes(call: Call, supplied: dict[str, Any], change_size: int) -> None:
    """Set call.since and call.per_page if the caller asks for changes. Raises Fault."""
    if "since" not in supplied:
        if "per_page" in supplied:
            raise Fault(faults.PARAMETERS_TOGETHER, given="per_page", missing="since")
        return
    since = supplied["since"]
    if not isinstance(since, str) or len(since) > MAX_CURSOR:
        raise Fault(
            faults.PARAMETER_INVALID,
            parameter="since",
            reason_id="harus kursor dari respons sebelumnya, atau kosong",
            reason_en="it must be the cursor of an earlier response, or empty",
        )
    call.since = since.strip()
    call.per_page = _number(supplied, "per_page", *changes(change_size)["per_page"])


def _supplied(call: Call, operation: Operation, reserved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the caller's values by lower-case name, without those that are None. Raises Fault for a repeated or
    unknown name.

    With call.ignores_unknown (the legacy wire) neither is an error.
    """
    supplied: dict[str, Any] = {}
    for name, value in call.read_input(call):
        lower = name.lower()
        if lower not in operation.by_name and lower not in reserved:
            if call.ignores_unknown:
                continue
            known = ", ".join(parameter.name for parameter in operation.parameters) or "-"
            raise Fault(faults.PARAMETER_UNKNOWN, parameter=printable(name), known=known)
        if value is None:
            continue
        if lower in supplied:
            if call.ignores_unknown:  # PHP's rule, which 1.99y followed: the last value counts
                supplied[lower] = value
                continue
            raise Fault(faults.PARAMETER_REPEATED, parameter=printable(name))
        supplied[lower] = value
    return supplied


def _number(supplied: dict[str, Any], name: str, default: int, maximum: int) -> int:
    text = _number_text(supplied.get(name, default))
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= maximum):
        raise Fault(
            faults.PARAMETER_INVALID,
            parameter=name,
            reason_id=f"harus bilangan bulat dari 1 sampai {maximum}",
            reason_en=f"it must be a whole number from 1 to {maximum}",
        )
    return int(text)


def _number_text(value: Any) -> str:
    """Return the text of a number, "" for what is none."""
    try:
        return value if isinstance(value, str) else as_text(value, whole=True)
    except InvalidValue:
        return ""


def printable(name: str) -> str:
    """Return a caller's text as a message may repeat it: at most 60 characters, "?" for unprintable ones."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:60])
