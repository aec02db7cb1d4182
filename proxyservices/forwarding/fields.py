"""Declared and granted fields only: the part of an upstream's response that a caller may see.

``declared`` has the type of each declared field by its name; ``granted`` has the names that the caller's grant allows.
Either may be empty, which means that it does not restrict. A field is *permitted* if both permit it.

A record is an object with at least one declared or granted field. A document keeps its records, and around them the
names and lists that lead to them:

>>> declared = {"nip": "text", "nama": "text"}
>>> restrict({"total": 1, "data": [{"nip": 7, "nama": "Budi", "gaji": 9}]}, declared, frozenset(), False)
{'data': [{'nip': '7', 'nama': 'Budi'}]}

Names around the records that are data themselves, such as numbers of people, do not go out. A list replaces them:

>>> people = {"198001": {"nip": 7, "nama": "Budi"}, "198002": {"nip": 8, "nama": "Ani"}}
>>> restrict(people, declared, frozenset({"nama"}), False)
[{'nama': 'Budi'}, {'nama': 'Ani'}]

The envelope of MANTRA 1.99x keeps its three members, and its data is restricted like a document:

>>> envelope = {"status": 1, "message": "ok", "debug": "SELECT …", "data": {"nama": "Budi", "gaji": 9}}
>>> restrict({"response": envelope}, declared, frozenset(), True)
{'response': {'status': 1, 'message': 'ok', 'data': {'nama': 'Budi'}}}

The value of a permitted field goes out whole, also if it is an object or a list. Only declared fields that the grant
leaves out do not go out within it either:

>>> person = {"nama": "Budi", "alamat": {"kota": "Bandung", "nip": 7}}
>>> restrict(person, {**declared, "alamat": "json"}, frozenset({"nama", "alamat"}), False)
{'nama': 'Budi', 'alamat': {'kota': 'Bandung'}}

A field that is masked is so within them too; of an object or a list under its name nothing is left:

>>> hidden = {"nip": lambda value: "•••"}
>>> restrict({**person, "nip": 7}, {**declared, "alamat": "json"}, frozenset(), False, hidden)
{'nama': 'Budi', 'alamat': {'kota': 'Bandung', 'nip': '•••'}, 'nip': '•••'}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from proxyservices.decoders.table import Table
from registry import faults
from registry.personal_data.masks import Mask
from registry.results import Fault

Masks = Mapping[str, Mask]
NO_MASKS: Masks = MappingProxyType({})

#: Stands for a value that is no record and contains none.
_NO_RECORD: Any = object()
#: The members of 1.99x's envelope beside its data.
_ENVELOPE_MEMBERS = ("status", "code", "message")
#: Names that may lead to records. Other keys are data: systems list people by their numbers.
_NAME = re.compile(r"[^\W\d][\w.:-]{0,62}")
_MAX_DIGITS = 4


def restrict(
    value: Any, declared: dict[str, str], granted: frozenset[str], enveloped: bool, masks: Masks = NO_MASKS
) -> Any:
    """Return a decoded response with no more than its permitted fields, those in ``masks`` masked.

    Raises Fault if they cannot be separated from the rest, or if none of the declared ones is there.
    """
    if isinstance(value, Table):
        return restrict_table(value, declared, granted, masks)
    if enveloped:
        return restrict_envelope(value, declared, granted, masks)
    restricted = filter_records(value, declared, granted, masks)
    if restricted is not _NO_RECORD:
        return restricted
    if value in (None, "", [], {}):
        return value
    raise _no_record_fault(declared, granted)


def restrict_envelope(
    value: dict[str, Any], declared: dict[str, str], granted: frozenset[str], masks: Masks = NO_MASKS
) -> dict[str, Any]:
    """Return a response of 1.99x with its envelope's members and restricted data. Raises Fault as restrict() does."""
    envelope = value["response"]
    if str(envelope.get("status")) != "1":
        # Codes and messages of the upstream's bus, which then has no data.
        return {"response": {name: _plain(envelope.get(name)) for name in _ENVELOPE_MEMBERS} | {"data": ""}}
    members = {name: _plain(envelope[name]) for name in _ENVELOPE_MEMBERS if name in envelope}
    return {"response": members | {"data": restrict(envelope.get("data"), declared, granted, False, masks)}}


def restrict_table(table: Table, declared: dict[str, str], granted: frozenset[str], masks: Masks = NO_MASKS) -> Table:
    """Return a table with its permitted columns. Raises Fault if it has columns, but none of these."""
    permitted = [
        index
        for index, name in enumerate(table.names)
        if (not declared or name in declared) and (not granted or name in granted)
    ]
    if not permitted and table.names:
        raise _no_record_fault(declared, granted)
    names = [table.names[index] for index in permitted]
    withheld = withheld_names(declared, granted)
    values = [[row[index] for row in table.rows] for index in permitted]
    columns = [
        [_permitted_value(value, declared.get(name), withheld, masks.get(name), masks) for value in column]
        for name, column in zip(names, values, strict=True)
    ]
    return Table(names, list(zip(*columns, strict=True)) if columns else [() for _row in table.rows])


def filter_records(value: Any, declared: Mapping[str, str], granted: frozenset[str], masks: Masks = NO_MASKS) -> Any:
    """Return the records in a value, with the names that lead to them; _NO_RECORD if it contains none.

    A record goes out with its permitted fields; records below its other members do not.
    """
    if isinstance(value, list):
        if not value:
            return value
        items = [item for each in value if (item := filter_records(each, declared, granted, masks)) is not _NO_RECORD]
        return items or _NO_RECORD
    if not isinstance(value, dict):
        return _NO_RECORD
    if any(name in declared or name in granted for name in value):
        withheld = withheld_names(declared, granted)
        return {
            name: _permitted_value(member, declared.get(name), withheld, masks.get(name), masks)
            for name, member in value.items()
            if (not declared or name in declared) and (not granted or name in granted)
        }
    below = {
        name: records
        for name, member in value.items()
        if isinstance(member, (dict, list))
        and (records := filter_records(member, declared, granted, masks)) is not _NO_RECORD
    }
    if not below:
        return _NO_RECORD
    return below if all(map(_is_name, below)) else list(below.values())


def withheld_names(declared: Mapping[str, str], granted: frozenset[str]) -> Set[str]:
    """Return the names of the declared fields that a grant leaves out."""
    return declared.keys() - granted if granted else frozenset()


def _permitted_value(value: Any, declared_type: str | None, withheld: Set[str], mask: Mask | None, masks: Masks) -> Any:
    """Return the value of a permitted field, masked, without the members of its objects that the grant leaves out."""
    if mask is not None:
        return _masked(value, mask)
    if isinstance(value, (dict, list)):
        return _without(value, withheld, masks) if withheld or masks else value
    return as_declared_type(value, declared_type)


def _masked(value: Any, mask: Mask) -> Any:
    """Return a masked value; None for an object or a list, of which a mask can read nothing."""
    return None if isinstance(value, (dict, list)) else mask(value)


def _without(value: Any, withheld: Set[str], masks: Masks) -> Any:
    if isinstance(value, list):
        return [_without(item, withheld, masks) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, member in value.items():
        field = name.lstrip("@")  # an attribute of XML is the same field
        if field not in withheld:
            mask = masks.get(field)
            found[name] = _without(member, withheld, masks) if mask is None else _masked(member, mask)
    return found


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and sum(map(str.isdigit, text)) <= _MAX_DIGITS


def _no_record_fault(declared: dict[str, str], granted: frozenset[str]) -> Fault:
    return Fault(faults.FIELDS_INSEPARABLE) if granted else Fault(faults.FIELD_MISSING, column=next(iter(declared)))


def _plain(value: Any) -> Any:
    return None if isinstance(value, (dict, list)) else value


def as_declared_type(value: Any, declared_type: str | None) -> Any:
    """Return a field's value; a number or date that its provider declares as text becomes text."""
    if declared_type != "text" or value is None or isinstance(value, (str, bool, dict, list)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else str(value)
