"""The requests that both hosts get: a few for each operation, from access logs or from its own first rows."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from urllib.parse import quote, quote_plus, unquote_plus

from mantra.legacy_import.comparing_hosts.access_logs import FORMATS, LogCounts, LoggedRequest
from mantra.legacy_import.comparing_hosts.keys import Keys, Names
from registry.snapshot.types import Operation, Snapshot

#: Addresses of operations that are not here, and folders, that are counted by name.
MAX_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request to one operation. It may have personal data and a key: none of it is in its text."""

    operation: Operation
    #: Before and after the format in the address.
    folder: str = field(repr=False)
    rest: str = field(repr=False)
    key: str = field(repr=False, default="")
    #: The formats in which it is sent. With a key in the address these are not all: callers of that time had one.
    formats: tuple[str, ...] = FORMATS

    @property
    def has_key_in_path(self) -> bool:
        return self.formats != FORMATS

    def target(self, format: str) -> str:
        """Return the address without the host."""
        return f"{self.folder}{format}/{self.rest}"


class Sample:
    """At most ``most`` different requests of each operation, all of them equally likely to be among these.

    Those with the smallest digests stay: memory is bounded however long a log is, nothing is taken twice, and the next
    run picks the same ones.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: dict[int, list[tuple[int, str]]] = {}
        self._questions: dict[str, Question] = {}

    def add(self, question: Question) -> None:
        target = f"{','.join(question.formats)} {question.folder}{question.rest}"
        if target in self._questions:
            return
        rank = int.from_bytes(blake2b(target.encode(), digest_size=16).digest(), "big")
        held = self._held.setdefault(question.operation.id, [])
        heapq.heappush(held, (-rank, target))
        self._questions[target] = question
        if len(held) > self.most:
            del self._questions[heapq.heappop(held)[1]]

    def __iter__(self) -> Iterator[Question]:
        """Yield the requests in turns: the first of each operation, then the second of each."""
        lists = [[self._questions[target] for _rank, target in sorted(held)] for held in self._held.values()]
        for turn in range(self.most):
            yield from (questions[turn] for questions in lists if turn < len(questions))


def names_of(operation: Operation) -> tuple[Names, ...]:
    """Return the names under which the old program may know an operation, in lower case."""
    own = operation.agency.lower(), operation.service.lower(), operation.code.lower()
    return tuple(dict.fromkeys((operation.legacy_address, own)))


class KeyChoice:
    """Gives each request of an operation another of its keys in turn, so that many are tried."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._turns: dict[int, int] = {}

    def next(self, operation: Operation) -> str:
        """Return a key of the operation; "" if none is known."""
        found = self.keys.of(*names_of(operation))
        turn = self._turns[operation.id] = self._turns.get(operation.id, -1) + 1
        return found[turn % len(found)] if found else ""


@dataclass(slots=True)
class LogFindings:
    """What logs say beside the requests: names of operations that are not here, with the numbers of their calls."""

    counts: LogCounts = field(default_factory=LogCounts)
    unknown: dict[str, int] = field(default_factory=dict)

    def note_unknown(self, names: Sequence[str]) -> None:
        # A name with other signs may be anything that somebody typed.
        path = "/".join(name if name.isprintable() and len(name) <= 128 else "…" for name in names)
        if path in self.unknown or len(self.unknown) < MAX_NAMES:
            self.unknown[path] = self.unknown.get(path, 0) + 1


def from_logs(
    logged: Iterable[LoggedRequest], snapshot: Snapshot, keys: Keys, found: LogFindings, most: int
) -> list[Question]:
    """Return at most ``most`` requests for each operation. Those to operations that are not here are counted."""
    sample = Sample(most)
    for request in logged:
        segments, in_path = _without_key(request.segments, keys)
        names = [unquote_plus(segment) for segment in segments[:3]]
        operation = snapshot.legacy_operation(*names) if len(names) == 3 else None
        if operation is None:
            if len(names) == 3 and names[2]:
                found.note_unknown(names)
            continue
        formats = (request.format,) if in_path else FORMATS
        sample.add(Question(operation, request.folder, "/".join(request.segments) + request.query, "", formats))
    return with_keys(sample, keys)


def with_keys(questions: Iterable[Question], keys: Keys) -> list[Question]:
    """Return the requests with a key each, but for those that have one in the address."""
    choice = KeyChoice(keys)
    return [each if each.has_key_in_path else replace(each, key=choice.next(each.operation)) for each in questions]


def _without_key(segments: tuple[str, ...], keys: Keys) -> tuple[tuple[str, ...], bool]:
    """Return the segments without a key among them, before or after the three names, and whether there is one."""
    if len(segments) > 3 and segments[0] in keys:
        return segments[1:], True
    if len(segments) > 3 and segments[3] in keys:
        return (*segments[:3], *segments[4:]), True
    return segments, False


def keys_in_addresses(logged: Iterable[LoggedRequest], keys: Keys) -> set[str]:
    """Return those of the keys that requests have in their addresses."""
    found: set[str] = set()
    for request in logged:
        segments, is_there = _without_key(request.segments, keys)
        if is_there:
            found.add(request.segments[0] if segments == request.segments[1:] else request.segments[3])
    return found


def made(operation: Operation, folder: str, values: dict[str, str]) -> Question:
    """Return a request as the stock client writes it in its style REST. ``values``: by the parameters' names here."""
    old_names = {parameter.name: parameter.legacy_name or parameter.name for parameter in operation.parameters}
    pairs = [f"{quote_plus(old_names[name])}={quote_plus(quote_plus(value))}" for name, value in values.items()]
    codes = operation.agency, operation.service, operation.code
    names = (code if code.lower() == old else old for code, old in zip(codes, operation.legacy_address, strict=True))
    rest = "/".join(quote(name, safe="") for name in names)
    return Question(operation, folder, rest + ("/" + "&".join(pairs) if pairs else ""))
