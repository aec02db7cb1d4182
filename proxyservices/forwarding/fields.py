"""What of an upstream's answer may leave: declared and granted fields only."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from proxyservices.decoders.table import Table
from registry import faults
from registry.results import Fault


def records_of(value: Any, levels: int = 6) -> list[dict[str, Any]] | None:
    """The one list of objects in a document, or the object itself where it holds plain values only."""
    listed = _listed(value)
    if listed is not None:
        return listed
    if not isinstance(value, dict) or not levels or not value:
        return None
    inner = [each for each in value.values() if isinstance(each, (dict, list))]
    if not inner:
        return [value]
    lists = [found for each in inner if (found := _listed(each)) is not None]
    if len(lists) == 1:
        return lists[0]
    return records_of(inner[0], levels - 1) if len(inner) == 1 else None


def _listed(value: Any) -> list[dict[str, Any]] | None:
    """A list of objects, as it is or as PHP writes it: an object whose names are 0, 1, …"""
    if isinstance(value, dict) and value and list(value) == [str(place) for place in range(len(value))]:
        value = list(value.values())
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return value
    return None


# -------------------------------------------------------------------------------------- restrictions


def _restricted(value: Any, declared: dict[str, str], allowed: frozenset[str], enveloped: bool) -> Any:
    """The value with no more than the declared fields, of these the allowed ones. Raises Fault."""
    if isinstance(value, Table):
        return _restricted_table(value, declared, allowed)
    if enveloped:
        envelope = value["response"]
        if str(envelope.get("status")) != "1":
            # Codes and messages of the upstream's bus; it has no data then.
            return {"response": {name: _plain(envelope.get(name)) for name in _HEAD} | {"data": ""}}
        kept = {name: _plain(envelope[name]) for name in _HEAD if name in envelope}
        return {"response": kept | {"data": _restricted(envelope.get("data"), declared, allowed, False)}}
    found = _filtered(value, declared, allowed)
    if found is _NOTHING:
        if value in (None, "", [], {}):
            return value
        if allowed:
            raise Fault(faults.FIELDS_INSEPARABLE)
        raise Fault(faults.FIELD_MISSING, column=next(iter(declared)))
    return found


_NOTHING: Any = object()
_HEAD = ("status", "code", "message")
#: The names that say where records are. Others are data: systems list people by their numbers.
_NAME = re.compile(r"[^\W\d][\w.:-]{0,62}")


def _plain(value: Any) -> Any:
    return None if isinstance(value, (dict, list)) else value


def _filtered(value: Any, declared: dict[str, str], allowed: frozenset[str]) -> Any:
    """What may be seen of a value; _NOTHING for what is no record and holds none.

    A record is an object with at least one field that is declared or allowed. Of it those go out that are both, and
    nothing that is nested under another name. Around the records only the way to them stays; where names are no
    names but data, a list takes their place.
    """
    if isinstance(value, list):
        if not value:
            return value
        items = [item for each in value if (item := _filtered(each, declared, allowed)) is not _NOTHING]
        return items or _NOTHING
    if not isinstance(value, dict):
        return _NOTHING
    if any(name in declared or name in allowed for name in value):
        return {
            name: _retold(each, declared.get(name))
            for name, each in value.items()
            if (not declared or name in declared) and (not allowed or name in allowed)
        }
    inner = {
        name: found
        for name, each in value.items()
        if isinstance(each, (dict, list)) and (found := _filtered(each, declared, allowed)) is not _NOTHING
    }
    if not inner:
        return _NOTHING
    return inner if all(_is_name(name) for name in inner) else list(inner.values())


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and sum(map(str.isdigit, text)) < 5


def _restricted_table(table: Table, declared: dict[str, str], allowed: frozenset[str]) -> Table:
    kept = [
        place
        for place, name in enumerate(table.names)
        if (not declared or name in declared) and (not allowed or name in allowed)
    ]
    if not kept and table.names:
        if allowed:
            raise Fault(faults.FIELDS_INSEPARABLE)
        raise Fault(faults.FIELD_MISSING, column=next(iter(declared)))
    kinds = [declared.get(table.names[place]) for place in kept]
    rows = [tuple(_retold(row[place], kind) for place, kind in zip(kept, kinds, strict=True)) for row in table.rows]
    return Table([table.names[place] for place in kept], rows)


def _retold(value: Any, kind: str | None) -> Any:
    """A number that its provider calls text goes out as text."""
    if kind != "text" or value is None or isinstance(value, (str, bool, dict, list)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else str(value)
