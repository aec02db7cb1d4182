"""The records of a document, for the formats that hold rows and nothing else.

A publisher states where they are: ``records_path`` has the names that lead to them. One record gives the same row as
among many, although a converter of XML writes a list only of two or more:

>>> records_at({"warga": {"orang": {"id": "1", "alamat": {"kota": "Bandung"}}}}, ("warga", "orang"))
[{'id': '1', 'alamat': {'kota': 'Bandung'}}]
>>> records_at({"warga": None}, ("warga", "orang"))
[]

A document without the names has no records that the path could mean, such as a message about an error:

>>> records_at({"status": "gagal", "detail": {"kode": "E12"}}, ("data",)) is None
True

Nothing is guessed from the shape of a document: a record with a list of children looks like a list of records with a
number beside it. Only propose() guesses, and its result is for the publisher to judge.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from proxyservices.decoders.xml import XmlDocument

Record = dict[str, Any]
#: The path of a document that is itself the list of records, or the only one.
WHOLE = "."
#: Objects and lists that propose() looks through.
_MAX_LEVELS = 6


def parse_path(text: str) -> tuple[str, ...] | None:
    """Return the names of a ``records_path``; () for the whole document, None for an empty text."""
    if text == WHOLE:
        return ()
    return tuple(text.split(".")) if text else None


def records_at(document: Any, path: tuple[str, ...]) -> list[Record] | None:
    """Return the records at a path; None if the path does not lead to records.

    Null, an empty text and an empty list have no records. The last element of an XML document's path may be absent:
    XML writes an empty list so.
    """
    return _follow(document, path, len(path) > 1 and isinstance(document, XmlDocument))


def _follow(value: Any, path: tuple[str, ...], may_lack: bool) -> list[Record] | None:
    """Return the records at a path; ``may_lack``: its last name may be absent."""
    if value in (None, "", [], {}):
        return []
    items = list_items(value)
    if items is not None:
        return _follow_items(items, path, may_lack)
    if not isinstance(value, dict):
        return None
    if not path:
        return [value]
    if path[0] not in value:
        return [] if may_lack and len(path) == 1 else None
    return _follow(value[path[0]], path[1:], may_lack)


def _follow_items(items: list[Any], path: tuple[str, ...], may_lack: bool) -> list[Record] | None:
    records: list[Record] = []
    for item in items:
        below = None if isinstance(item, list) else _follow(item, path, may_lack)
        if below is None:
            return None
        records += below
    return records


def list_items(value: Any) -> list[Any] | None:
    """Return a list's items, also of one as PHP writes it: an object with the names 0, 1, …; None for all else."""
    if isinstance(value, dict) and value and list(value) == [str(index) for index in range(len(value))]:
        return list(value.values())
    return value if isinstance(value, list) else None


def whole_list(document: Any) -> list[Record] | None:
    """Return the records of a document that is a list of objects; None for any other."""
    items = list_items(document)
    return items if items is not None and all(isinstance(item, dict) for item in items) else None


def result_rows(data: Any, name: str, from_xml: bool) -> list[Record] | None:
    """Return the rows in the data of 1.99x's envelope, which is ``{operation: rows}``; None for any other data.

    XML does not show whether one element is a list: there the operation's ``name`` must be right.
    """
    if data in (None, "", [], {}):
        return []
    if not isinstance(data, dict) or len(data) != 1:
        return None
    (key, rows), *_ = data.items()
    if key == name:
        return records_at(data, (name,))
    return None if from_xml else whole_list(rows)


def records_with(value: Any, names: Container[str]) -> list[Record]:
    """Return the objects that have one of these names, in their order; none that is within another."""
    if isinstance(value, list):
        return [record for item in value for record in records_with(item, names)]
    if not isinstance(value, dict):
        return []
    if any(name in names for name in value):
        return [value]
    return [record for member in value.values() for record in records_with(member, names)]


def propose(document: Any) -> str:
    """Return the path at which a document's records seem to be; "" if none can be proposed."""
    if whole_list(document) is not None:
        return WHOLE
    value, names = document, list[str]()
    for _level in range(_MAX_LEVELS):
        if not isinstance(value, dict):
            return ""
        lists = [name for name, member in value.items() if member and whole_list(member) is not None]
        if len(lists) == 1:
            return _path_text([*names, lists[0]])
        containers = [name for name, member in value.items() if isinstance(member, dict)]
        if lists or len(containers) != 1 or len(value) > 1:
            break
        names.append(containers[0])
        value = value[containers[0]]
    if not isinstance(value, dict) or not value:
        return ""
    return _path_text(names) if names else WHOLE


def _path_text(names: list[str]) -> str:
    return "" if any("." in name or not name for name in names) else ".".join(names)
