"""Applies an operation's rule about undeclared personal data to the results of its calls."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from mantra.egress.bodies import FILE, Body, Leaked, Source
from mantra.egress.prefilter import may_have
from mantra.egress.scanner import scan
from mantra.egress.unpacking import ENCODINGS, Unreadable
from mantra.egress.values import Counts, Layout, RowValues, Values, count, may_have_any
from registry import faults
from registry.calls import Call, RawRequest
from registry.results import Column, Document, Fault, RelayedResponse, Result, Row, Rows, Words
from registry.snapshot.types import Operation

ALLOW, ALARM, MASK, BLOCK = "allow", "alarm", "mask", "block"
#: Rows and bytes of a response that are all looked at where the rule is to alarm; beyond them, one batch in so many,
#: and one part in so many of the bytes.
FIRST_ROWS, ONE_BATCH_IN = 20_000, 8
FIRST_BYTES, PART_BYTES, ONE_PART_IN = 16 * 1024, 4 * 1024, 256
#: Batches of which base64 is looked into where the rule is to alarm: the first, and one in so many.
BASE64_IN = 16
#: Finds in a column of an operation from which on enough is known of it, where the rule is to alarm: it is looked at no
#: more in this response, and in one call of so many.
ENOUGH, KNOWN_IN = 100, 16
#: The operations of which something is known.
_MOST_KNOWN = 2_000
#: Places of finds that a call's record has at most; others have the place "".
MOST_PLACES = 50
#: Headers that say something of the message only, and those of a body that differ once it is covered.
_OF_MESSAGE = frozenset((
    "content-length", "content-encoding", "etag", "last-modified", "date", "age", "expires", "cache-control", "vary",
    "accept-ranges", "content-range", "retry-after", "server-timing",
))  # fmt: skip
_OF_BODY = frozenset(("content-md5", "digest", "content-digest", "repr-digest", "accept-ranges", "etag"))
#: Headers that cannot be left out.
_NEEDED = frozenset(("content-type",))
_PARTIAL = 206
#: The beginning of most media types, which with the next word might be a text in base64.
_MEDIA_TYPE = re.compile(r"\A(?:application|multipart|text|image|audio|video|font)/")
#: What begins and ends a part of a body: no number is at either side of it.
_BOUNDARY = re.compile(rb"[\"'<>,\[\]|\n\r\t]")
_BOUNDARIES = (b'"', b"'", b"<", b">", b",", b"[", b"]", b"|", b"\n", b"\r", b"\t")
#: What a fault says that a response has.
_SAYS = {
    "PHONE": Words("nomor telepon", "a telephone number"),
    "EMAIL": Words("alamat e-mail", "an e-mail address"),
    FILE: Words("isi yang tidak dapat diperiksa", "content that cannot be checked"),
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """What of a call's response may leave."""

    action: str
    expected: frozenset[str]
    #: The columns that are declared as personal data.
    declared: frozenset[str]
    covers: bool = field(init=False)
    #: True if nothing may leave before it was looked at.
    holds: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "covers", self.action == MASK)
        object.__setattr__(self, "holds", self.action in (MASK, BLOCK))


class _Known:
    """What this process knows of an operation: its rule, and what was found in its columns."""

    __slots__ = ("_enough", "_layout", "calls", "found", "operation", "rule")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        #: None if the results are not looked at: those of a verification are a yes or no and a similarity, no value.
        self.rule: _Rule | None = None
        if operation.guard != ALLOW and operation.kind != "verification":
            self.rule = _Rule(operation.guard, operation.guard_expected, operation.personal)
        #: Column → finds; the columns of which that is enough; and the calls since these were last looked at.
        self.found: dict[str, int] = {}
        self._enough: list[str] = []
        self.calls = 0
        self._layout: Layout | None = None

    def layout(self, columns: tuple[Column, ...]) -> Layout:
        """Return what of a table is looked at. Nearly all results of an operation have the same columns."""
        layout = self._layout
        if layout is None or layout.columns is not columns:
            layout = self._layout = Layout(columns, self.operation.personal)
        return layout

    def enough(self) -> Collection[str]:
        """Return the columns of which enough is known that this call need not look at them."""
        if not self._enough:
            return ()
        self.calls += 1
        return self._enough if self.calls % KNOWN_IN else ()

    def learn(self, found: dict[str, int]) -> None:
        """Remember what was found in columns."""
        for name, number in found.items():
            self.found[name] = self.found.get(name, 0) + number
        if len(enough := [name for name, number in self.found.items() if number >= ENOUGH]) > len(self._enough):
            self._enough = enough


#: By the operation's id. A reload of the registry makes new operations: of one that stayed as it was, what was found
#: stays too.
_known: dict[int, _Known] = {}


def _known_of(operation: Operation) -> _Known:
    known = _known.get(operation.id)
    if known is not None and known.operation is operation:
        return known
    new = _Known(operation)
    if known is not None and known.operation.fingerprint == operation.fingerprint:
        new.learn(known.found)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[operation.id] = new
    return new


def _rule_of(operation: Operation) -> _Rule | None:
    """Return the rule of an operation; None if its results are not looked at."""
    return _known_of(operation).rule


def prepare(call: Call) -> None:
    """Have the upstream of a call send what the guard can read: nothing in parts, and no unknown encoding."""
    rule = _rule_of(call.operation) if call.operation is not None else None
    if rule is None or not rule.holds or call.raw_request is None:
        return
    received = call.raw_request

    def readable() -> RawRequest:
        request = received()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("range", "if-range")}
        if "Accept-Encoding" in headers:
            headers["Accept-Encoding"] = _readable(headers["Accept-Encoding"])
        return replace(request, headers=headers)

    call.raw_request = readable


def _readable(accepted: str) -> str:
    """Return those encodings of an Accept-Encoding that the guard reads."""
    known = [part.strip() for part in accepted.split(",") if part.partition(";")[0].strip().lower() in ENCODINGS]
    return ", ".join(known) or "identity"


def guarded(call: Call, result: Result) -> Result:
    """Return the result of a call as it may leave. Raises Fault EGRESS_BLOCKED.

    What is found later, while a result is sent, ends it, or is counted in the call.
    """
    operation = call.operation
    if operation is None or isinstance(result, Fault):
        return result
    known = _known_of(operation)
    rule = known.rule
    if rule is None:
        return result
    if isinstance(result, Rows):
        result.batches = _batches(call, rule, known, result.columns, result.batches)
    elif isinstance(result, Document):
        return _document(call, rule, result)
    elif isinstance(result, RelayedResponse):
        return _relayed(call, rule, result)
    return result


def note(call: Call, counts: Counts) -> None:
    """Add what was found to the call's record."""
    for (place, kind), number in counts.items():
        known = call.guarded
        if (place, kind) not in known and len(known) >= MOST_PLACES:
            place = ""
        known[place, kind] = known.get((place, kind), 0) + number
    counts.clear()


def _blocked(call: Call, kind: str) -> Fault:
    return Fault(faults.EGRESS_BLOCKED, found=_SAYS.get(kind, kind))


# ------------------------------------------------------------------------------------------------ rows


def _batches(
    call: Call, rule: _Rule, known: _Known, columns: tuple[Column, ...], batches: Iterator[list[Row]]
) -> Iterator[list[Row]]:
    """Yield the batches as they may leave. Raises Fault EGRESS_BLOCKED."""
    values = Values(rule.expected, rule.covers, rule.declared)
    layout = known.layout(columns)
    # What leaves in any case is looked at less where enough is known.
    table = RowValues(layout, values) if rule.holds else RowValues(layout, values, known.enough(), ENOUGH)
    seen = 0
    for number, batch in enumerate(batches):
        if not rule.holds:
            values.base64 = number % BASE64_IN == 0
            if seen >= FIRST_ROWS and number % ONE_BATCH_IN:
                yield batch
                continue
        seen += len(batch)
        shown = table.batch(batch)
        if values.counts:
            _settle(call, rule, values)
            if not rule.holds:
                known.learn(table.found)
        yield shown


def _settle(call: Call, rule: _Rule, values: Values) -> None:
    """Note what was found. Raises Fault EGRESS_BLOCKED if it must not leave."""
    if not values.counts:
        return
    kind = next(iter(values.counts))[1]
    note(call, values.counts)
    if rule.action == BLOCK:
        raise _blocked(call, kind)


def is_clean(call: Call, columns: tuple[Column, ...], rows: list[Row]) -> bool:
    """Return True if rows may leave as they are, and nothing of them is reported."""
    known = _known_of(call.operation) if call.operation is not None else None
    if known is None or known.rule is None or not rows:
        return True
    values = Values(known.rule.expected, False, known.rule.declared)
    RowValues(known.layout(columns), values).batch(rows)
    return not values.counts


def rows_of(call: Call, columns: tuple[Column, ...], rows: list[Row]) -> list[Row]:
    """Return the rows of an answer that is complete as they may leave. Raises Fault EGRESS_BLOCKED."""
    known = _known_of(call.operation) if call.operation is not None else None
    if known is None or known.rule is None or not rows:
        return rows
    rule = known.rule
    values = Values(rule.expected, rule.covers, rule.declared)
    shown = RowValues(known.layout(columns), values).batch(rows)
    _settle(call, rule, values)
    return shown


def _document(call: Call, rule: _Rule, document: Document) -> Document:
    """Return a document as it may leave; it is complete by now. Raises Fault EGRESS_BLOCKED."""
    if not may_have_any(document.value):
        return document
    values = Values(rule.expected, rule.covers, rule.declared)
    value = values.any(document.value)
    try:
        _settle(call, rule, values)
    except Fault:
        document.close()
        raise
    if rule.covers:
        document.value = value
    return document


# ------------------------------------------------------------------------------------------ responses


def _relayed(call: Call, rule: _Rule, response: RelayedResponse) -> RelayedResponse:
    """Return an upstream's response as it may leave, its headers too. Raises Fault EGRESS_BLOCKED."""
    try:
        response.headers = _headers(call, rule, response.headers)
        fields = {name.lower(): value for name, value in response.headers}
        encoding = fields.get("content-encoding", "")
        if rule.holds and response.status == _PARTIAL:
            raise Unreadable("partial")  # a number may be in two parts
        source = Source(fields.get("content-type", ""), encoding)
    except Leaked as error:
        response.close()
        note(call, Counts({("", error.kind): 1}))
        raise _blocked(call, error.kind) from None
    except Unreadable:
        return _unreadable(call, rule, response)
    if not rule.holds:
        watch = _watched_whole if response.whole else _watched
        response.chunks = watch(call, rule, source, response.chunks)
        return response
    body = Body(source, rule.expected, covers=rule.covers, holds=True)
    dropped = _OF_BODY if rule.covers or encoding else frozenset[str]()
    if encoding:
        dropped |= {"content-encoding", "content-length"}  # it goes out unpacked
    if dropped:
        response.headers = [each for each in response.headers if each[0].lower() not in dropped]
    response.chunks = _held(call, body, response.chunks, response.whole)
    return response


def _unreadable(call: Call, rule: _Rule, response: RelayedResponse) -> RelayedResponse:
    """Return a response that cannot be read, if it may leave. Raises Fault EGRESS_BLOCKED."""
    if FILE in rule.expected:
        return response
    note(call, Counts({("", FILE): 1}))
    if rule.holds:
        response.close()
        raise _blocked(call, FILE)
    return response


def _headers(call: Call, rule: _Rule, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that may leave. Raises Leaked for one that cannot be left out."""
    looked_at = "\n".join([_MEDIA_TYPE.sub("", value) for name, value in headers if name.lower() not in _OF_MESSAGE])
    if not may_have(looked_at.encode("utf-8", "replace")):
        return headers
    kept, counts = [], Counts()
    for name, value in headers:
        lower = name.lower()
        found = [] if lower in _OF_MESSAGE else [each for each in scan(value) if each.kind not in rule.expected]
        if found and rule.holds and (rule.action == BLOCK or lower in _NEEDED):
            raise Leaked(found[0].kind)
        for each in found:
            count(counts, "", each.kind)
        if not (found and rule.holds):
            kept.append((name, value))
    note(call, counts)
    return kept


def _watched_whole(call: Call, rule: _Rule, source: Source, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a body that is one chunk, once it was looked at."""
    for chunk in chunks:
        _look(call, rule, source, chunk, True, base64=True)
        yield chunk


def _watched(call: Call, rule: _Rule, source: Source, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks as they come. The first bytes are looked at, and parts of the others."""
    first, seen, looked = b"", 0, 0
    samples = False
    for chunk in chunks:
        seen += len(chunk)
        if len(first) < FIRST_BYTES:
            first += chunk[: FIRST_BYTES - len(first)]
            if (looked := len(first)) == FIRST_BYTES:
                samples = _look(call, rule, source, first, False)
        elif samples and seen - FIRST_BYTES > (looked - FIRST_BYTES) * ONE_PART_IN:
            begin = random.randrange(max(1, len(chunk) - PART_BYTES))  # noqa: S311 (a sample)
            looked += PART_BYTES
            _look(call, rule, source, _between_boundaries(chunk[begin : begin + PART_BYTES]), True)
        yield chunk
    if 0 < looked < FIRST_BYTES:
        _look(call, rule, source, first, True)


def _between_boundaries(part: bytes) -> bytes:
    """Return a part of a body from its first boundary to the last: numbers that were cut are no numbers."""
    first = _BOUNDARY.search(part)
    return part[first.start() : max(map(part.rfind, _BOUNDARIES))] if first is not None else b""


def _look(call: Call, rule: _Rule, source: Source, part: bytes, last: bool, base64: bool = False) -> bool:
    """Look at a part of a body, and note what is found. Return True if other parts can be read by themselves."""
    if source.is_surely_clean(part, base64):
        return True
    body = Body(source, rule.expected, base64=base64)
    try:
        body.look(part, last)
    except Unreadable:
        note(call, Counts({("", FILE): 1}))
        return False
    _count(call, body)
    return body.is_plain


def _count(call: Call, body: Body) -> None:
    if body.counts:
        note(call, Counts({("", kind): number for kind, number in body.counts.items()}))


def _held(call: Call, body: Body, chunks: Iterator[bytes], whole: bool) -> Iterator[bytes]:
    """Yield what was looked at. Raises Fault EGRESS_BLOCKED."""
    try:
        for chunk in chunks:
            if whole:  # it is read as one chunk
                yield b"".join(_counting(call, body, body.feed(chunk, True)))
            else:
                yield from _counting(call, body, body.feed(chunk))
        if not whole:
            yield from _counting(call, body, body.feed(b"", True))
    except Leaked as error:
        note(call, Counts({("", error.kind): 1}))
        raise _blocked(call, error.kind) from None
    except Unreadable:
        note(call, Counts({("", FILE): 1}))
        raise _blocked(call, FILE) from None


def _counting(call: Call, body: Body, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a body, and note what is found in them."""
    for piece in pieces:
        _count(call, body)
        yield piece
    _count(call, body)
