"""What differs between the responses of two hosts to the same request, by kind and without values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mantra.legacy_import.comparing_hosts import bodies
from mantra.legacy_import.comparing_hosts.bodies import Unreadable
from mantra.legacy_import.comparing_hosts.cells import cell_kind, shape, skeleton

Rows = Sequence[Mapping[str, Any]]

#: The codes that the program of 1.99x gave itself; any other is its database's or its HTTP client's.
_OWN_CODES = range(10001, 10019)
#: Codes of 1.99x for an address without an operation, and what they are here.
_ADDRESS_CODES = frozenset((10002, 10003, 10004))
#: A name that may be shown. A document's names can be data, such as somebody's number.
_NAME = re.compile(r"[A-Za-z_@:.\- ]*(?:[0-9]{1,3}[A-Za-z_@:.\- ]*){0,2}")
MAX_NAME, MAX_DIFFERENCES = 64, 50


@dataclass(frozen=True, slots=True)
class Response:
    """What a host sent. ``body`` is None if it is too large to be kept; ``digest`` is of all of it, b"" if not even
    that was read.

    ``failure`` is a word for why there is none, such as "connect refused".
    """

    status: int = 0
    body: bytes | None = b""
    digest: bytes = b""
    size: int = 0
    seconds: float = 0.0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference. ``old`` and ``new`` are types and lengths, numbers of rows or codes: no values."""

    kind: str
    column: str = ""
    old: str = ""
    new: str = ""
    #: The code with which the new host refuses, 0 for none.
    code: int = 0


def differences(old: Response, new: Response, format: str, row_limit: int = 0) -> list[Difference]:
    """Return the differences of two responses, each kind once; none if they are the same to the byte.

    ``row_limit`` is the operation's on the new host, 0 if it has none.
    """
    failed = _transport(old, new)
    if failed is not None:
        return [failed]
    if old.digest and old.size == new.size and old.digest == new.digest:
        return []
    if old.body is None and new.body is not None and _rows_of(new.body, format) == row_limit > 0:
        return [Difference("truncated", "", f"text({old.size})", f"rows({row_limit})")]
    if old.body is None or new.body is None:
        return [Difference("large", "", f"text({old.size})", f"text({new.size})")]
    found: dict[str, Difference] = {}
    for each in _of_bodies(old.body, new.body, format, row_limit):
        found.setdefault(each.kind, each)
        if len(found) >= MAX_DIFFERENCES:
            break
    return list(found.values())


def _rows_of(body: bytes, format: str) -> int:
    """Return the number of rows in a body; 0 if it has none, or is no such one."""
    try:
        found = _rows(_envelope(bodies.read(body, format)).data, format)
    except Unreadable:
        return 0
    return len(found[1]) if found is not None else 0


def _transport(old: Response, new: Response) -> Difference | None:
    """Return why there are no two bodies to compare; None if there are."""
    if old.failure:
        return Difference("old-down", "", old.failure)
    if new.failure:
        return Difference("new-down", "", "", new.failure)
    if old.status != 200 or new.status != 200:
        return Difference("http-status", "", str(old.status), str(new.status))
    return None


def _of_bodies(old: bytes, new: bytes, format: str, row_limit: int) -> Iterator[Difference]:
    if not old.strip():
        yield Difference("old-silent", "", "text(0)", f"text({len(new)})")
        return
    try:
        after = _envelope(bodies.read(new, format))
    except Unreadable:
        yield Difference("new-unreadable", "", f"text({len(old)})", f"text({len(new)})")
        return
    try:
        before = _envelope(bodies.read(old, format))
    except Unreadable:
        # An XML with a wrong letter in it is none, but it is the old program's.
        kind = "old-xml" if format == "xml" and b"<response>" in old[:200] else "old-unreadable"
        yield Difference(kind, "", f"text({len(old)})", f"text({len(new)})")
        return
    same = True
    for each in _of_envelopes(before, after, format, row_limit):
        same = False
        yield each
    if same:
        yield Difference("white-space" if format == "xml" else "bytes", "", f"text({len(old)})", f"text({len(new)})")


@dataclass(frozen=True, slots=True)
class _Envelope:
    succeeded: bool
    code: int
    message: Any
    data: Any


def _envelope(document: Any) -> _Envelope:
    """Return the parts of the envelope in which both hosts respond. Raises Unreadable."""
    response = document.get("response") if isinstance(document, dict) else None
    if not isinstance(response, dict) or "status" not in response:
        raise Unreadable
    try:
        code = int(str(response.get("code") or 0))
    except ValueError:
        code = -1
    return _Envelope(str(response["status"]) == "1", code, response.get("message"), response.get("data"))


def _of_envelopes(old: _Envelope, new: _Envelope, format: str, row_limit: int) -> Iterator[Difference]:
    if old.succeeded and new.succeeded:
        if old.code != new.code:
            yield Difference("other-code", "", str(old.code), str(new.code))
        if old.message != new.message:
            yield Difference("message")
        yield from _of_data(old.data, new.data, format, row_limit)
    elif old.succeeded:
        yield Difference("refused", "", "200", str(new.code), new.code)
    elif new.succeeded:
        yield Difference(_kind_of_old_failure(old.code), "", str(old.code), "200")
    elif old.code != new.code:
        meant = old.code not in _OWN_CODES or {old.code, new.code} <= _ADDRESS_CODES
        yield Difference("new-code" if meant else "other-code", "", str(old.code), str(new.code))
    elif old.message != new.message:
        yield Difference("message", "", shape(old.message), shape(new.message))


def _kind_of_old_failure(code: int) -> str:
    """Return what it means that the old host fails where the new one has data."""
    if code == 10012:  # no rows
        return "extra-rows"
    return "more-accepted" if code == 10005 else "old-failed"


# ------------------------------------------------------------------------------------------- data


def _of_data(old: Any, new: Any, format: str, row_limit: int) -> Iterator[Difference]:
    """Yield the differences of what is under ``data``: rows under one key, or a document."""
    before, after = _rows(old, format), _rows(new, format)
    if before is None or after is None:
        yield from _of_documents(old, new, "")
        return
    if before[0] != after[0]:
        yield Difference("data-key", "", _shown(before[0]), _shown(after[0]))
    if format == "xml":
        yield from _of_rows(_folded(before[1]), _folded(after[1]), row_limit)
    else:
        yield from _of_rows(before[1], after[1], row_limit)


def _rows(data: Any, format: str) -> tuple[str, Rows] | None:
    """Return the key under data and its rows; None if it is no list of rows."""
    if not isinstance(data, dict) or len(data) != 1:
        return None
    key, value = next(iter(data.items()))
    rows = [value] if format == "xml" and isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return None
    return (key, rows) if not any(isinstance(each, dict | list) for row in rows for each in row.values()) else None


def _folded(rows: Rows) -> Rows:
    """Return the rows with the white space of their texts as the old host's XML has it."""
    return [
        {name: " ".join(value.split()) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]


def _of_rows(old: Rows, new: Rows, row_limit: int) -> Iterator[Difference]:
    names = list(dict.fromkeys(name for row in old for name in row))
    names_here = list(dict.fromkeys(name for row in new for name in row))
    common = [name for name in names if name in set(names_here)]
    for name in names:
        if name not in names_here:
            yield Difference("missing-column", _shown(name))
    for name in names_here:
        if name not in names:
            yield Difference("extra-column", _shown(name))
    if common != [name for name in names_here if name in set(names)]:
        yield Difference("column-order")
    yield from _of_paired(old, new, common, row_limit)


def _of_paired(old: Rows, new: Rows, names: Sequence[str], row_limit: int) -> Iterator[Difference]:
    """Yield what differs between the rows of both sides that are the same row, and the rows without another."""
    before, after = ([tuple(skeleton(row.get(name)) for name in names) for row in rows] for rows in (old, new))
    if before == after:
        for one, other in zip(old, new, strict=True):
            yield from _of_cells(one, other, names)
        return
    if len(new) < len(old) and len(new) == row_limit:
        yield Difference("truncated", "", f"rows({len(old)})", f"rows({len(new)})")
        yield from _of_paired(old[: len(new)], new, names, 0)
        return
    if len(old) == len(new) and Counter(before) == Counter(after):
        yield Difference("row-order", "", f"rows({len(old)})", f"rows({len(new)})")
        order = sorted(range(len(old)), key=before.__getitem__)
        order_here = sorted(range(len(new)), key=after.__getitem__)
        for at, there in zip(order, order_here, strict=True):
            yield from _of_cells(old[at], new[there], names)
        return
    yield from _of_unequal(old, new, before, after, names)


def _of_unequal(
    old: Rows, new: Rows, before: Sequence[tuple[str, ...]], after: Sequence[tuple[str, ...]], names: Sequence[str]
) -> Iterator[Difference]:
    """Yield the differences where some rows have no equal one: rows with most values in common are the same row."""
    missing, extra = Counter(before) - Counter(after), Counter(after) - Counter(before)
    alone = _left(before, missing)
    alone_here = _left(after, extra)
    pairs = list(zip(alone, alone_here, strict=False))
    single = len(old) == len(new) == 1
    changed = [pair for pair in pairs if single or _are_alike(before[pair[0]], after[pair[1]])]
    for at, there in changed:
        yield from _of_cells(old[at], new[there], names)
    lost, won = len(alone) - len(changed), len(alone_here) - len(changed)
    if lost:
        yield Difference("missing-rows", "", f"rows({len(old)})", f"rows({len(new)})")
    if won:
        yield Difference("extra-rows", "", f"rows({len(old)})", f"rows({len(new)})")


def _left(rows: Sequence[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> list[int]:
    """Return the places of the rows that are counted, in their order."""
    left, places = Counter(wanted), []
    for place, row in enumerate(rows):
        if left[row] > 0:
            left[row] -= 1
            places.append(place)
    return places


def _are_alike(one: Sequence[str], other: Sequence[str]) -> bool:
    same = sum(first == second for first, second in zip(one, other, strict=True))
    return 2 * same >= len(one)


def _of_cells(old: Mapping[str, Any], new: Mapping[str, Any], names: Sequence[str]) -> Iterator[Difference]:
    for name in names:
        kind = cell_kind(old.get(name), new.get(name))
        if kind:
            yield Difference(kind, _shown(name), shape(old.get(name)), shape(new.get(name)))


def _of_documents(old: Any, new: Any, place: str) -> Iterator[Difference]:
    """Yield the differences of two documents, each with the names that lead to it."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            below = f"{place}.{_shown(name)}" if place else _shown(name)
            if name in old and name in new:
                yield from _of_documents(old[name], new[name], below)
            else:
                before, after = (shape(side[name]) if name in side else "" for side in (old, new))
                yield Difference("structure", below[-2 * MAX_NAME :], before, after)
        if list(old) != list(new) and set(old) == set(new):
            yield Difference("column-order", place[-2 * MAX_NAME :])
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield Difference("structure", place[-2 * MAX_NAME :], shape(old), shape(new))
        for one, other in zip(old, new, strict=False):
            yield from _of_documents(one, other, place)
    elif isinstance(old, dict | list) or isinstance(new, dict | list):
        empty = not old and not new
        yield Difference("null-empty" if empty else "structure", place[-2 * MAX_NAME :], shape(old), shape(new))
    elif kind := cell_kind(old, new):
        yield Difference(kind, place[-2 * MAX_NAME :], shape(old), shape(new))


def _shown(name: str) -> str:
    """Return a name if it looks like one, else its length."""
    return name if len(name) <= MAX_NAME and _NAME.fullmatch(name) else f"…({len(name)})"
