"""The parameters of proxies and programs of 1.99x: ``name:type=value,…``."""

from __future__ import annotations

from dataclasses import dataclass, field

from mantra.legacy_import.translating.conditions import OldParameter
from mantra.legacy_import.translating.names import ParameterNames, legacy_parameter_of
from mantra.legacy_import.translating.remarks import Kind, Refused, Remark, remark

#: Parameters and fixed values of an operation, characters of a name that is sent and of a fixed value.
MAX_ITEMS, MAX_NAME, MAX_VALUE = 200, 200, 10_000
_TYPES = frozenset(("text", "password", "numeric"))


@dataclass(frozen=True, slots=True)
class RequestItem:
    """A value of a request: the name it is sent with, and its fixed value, or the parameter that it comes from."""

    name: str
    value: str = field(default="", repr=False)
    secret: bool = False
    parameter: OldParameter | None = None


def items_of(request: str) -> tuple[list[RequestItem], list[Remark]]:
    """Return the values of a request in their order, and what a person must know. Raises Refused.

    It is split as 1.99x does: at each comma, then at the first colon; what follows a second one is lost, and so is
    each equals sign in a value.
    """
    remarks: list[Remark] = []
    texts = request.split(",", MAX_ITEMS + 1) if request.strip() else []
    if len(texts) > MAX_ITEMS:
        raise Refused(Kind.TOO_MANY_PARAMETERS, most=MAX_ITEMS)
    found: dict[str, tuple[str, str]] = {}
    for number, text in enumerate(texts, start=1):
        name, *rest = text.split(":", 2)
        name = name.strip()
        type_, *values = rest[0].split("=") if rest else ["text"]
        if len(name) > MAX_NAME:
            raise Refused(Kind.TOO_LONG, what=f"request {number}", most=MAX_NAME)
        if len(rest) != 1 or type_.strip() not in _TYPES or not name:
            remarks.append(remark(Kind.REQUEST_UNCLEAR, number=number))
        if not name:
            continue
        value = "".join(values).strip()
        if len(value) > MAX_VALUE:
            raise Refused(Kind.TOO_LONG, what=name, most=MAX_VALUE)
        if len(values) > 1 and value not in ("", "''"):
            remarks.append(remark(Kind.EQUALS_REMOVED, name=name))
        if name in found:
            remarks.append(remark(Kind.NAME_REPEATED, name=name))
        found[name] = (type_.strip(), value)
    names = ParameterNames()
    return [_item(name, type_, value, names, remarks) for name, (type_, value) in found.items()], remarks


def _item(name: str, type_: str, value: str, names: ParameterNames, remarks: list[Remark]) -> RequestItem:
    if value not in ("", "''"):
        if value[0] == "'" and type_ != "numeric":
            remarks.append(remark(Kind.CONSTANT_QUOTED, name=name))
        return RequestItem(name, value, secret=type_ == "password")
    if known := names.knows(name):
        remarks.append(remark(Kind.NAMES_BY_CASE, name=name))
    own = names.code(name)
    legacy = "" if known else legacy_parameter_of(name, own)
    if legacy is None:
        remarks.append(remark(Kind.PARAMETER_NAME_LOST, old=name, new=own))
    elif legacy:
        remarks.append(remark(Kind.PARAMETER_RENAMED, old=name, new=own))
    return RequestItem(name, parameter=OldParameter(own, legacy or ""))
