"""Compares the old host with the new one: chooses requests, sends each to both, and counts what differs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from django.conf import settings

from dataservices.models import DataOperation
from mantra.legacy_import.comparing_hosts import access_logs, first_rows, questions
from mantra.legacy_import.comparing_hosts.asking import Host, Pace
from mantra.legacy_import.comparing_hosts.differences import Difference, Response, differences
from mantra.legacy_import.comparing_hosts.first_rows import NotMade, SourceFailed
from mantra.legacy_import.comparing_hosts.keys import Keys
from mantra.legacy_import.comparing_hosts.questions import LogFindings, Question
from mantra.legacy_import.comparing_hosts.results import Comparison
from proxyservices.address_change.samples import may_write
from proxyservices.models import ProxyOperation
from registry.snapshot.types import Operation, Snapshot

#: Requests of one operation, requests a second, and pairs of requests that are open at once, at most and by default.
MAX_REQUESTS, MAX_PACE, MAX_AT_ONCE = 100, 1_000.0, 16
REQUESTS, PACE, AT_ONCE = 5, 10.0, 2
#: So many requests in a row without a response of one host end the comparison: it is down.
LOST = 10
#: Kinds that come and go with the data, or with a host's load: both hosts are called once more.
_PASSING = frozenset(
    (
        "value",
        "missing-rows",
        "extra-rows",
        "row-order",
        "refused",
        "other-code",
        "old-down",
        "new-down",
    )
)
#: The steps of a comparison, and what is called with one of them, what is done of it, and all of it.
LOG, ROWS, SENDING = "log", "rows", "sending"
Progress = Callable[[str, int, int], None]
#: Bytes of a body from which on one thread at a time compares: values take many times the memory of their text.
_BIG = 256 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """What is compared, and how gently. ``only``: aliases agency/service/operation in lower case; empty: all."""

    requests: int = REQUESTS
    pace: float = PACE
    at_once: int = AT_ONCE
    only: frozenset[str] = frozenset()
    #: Access logs; "-" is standard input.
    logs: Sequence[str] = ()


def _ignored(_step: str, _done: int, _all: int) -> None:
    pass


def compare(
    old: Host,
    new: Host,
    keys: Keys,
    snapshot: Snapshot,
    options: Options,
    progress: Progress | None = None,
) -> Comparison:
    """Return what differs. Raises LogUnreadable.

    ``progress`` gets how far it is, now and then from any thread: LOG with the number of lines, ROWS with the numbers
    of operations that were looked at and of all, SENDING with those of requests that were sent and of all. What it
    raises ends the comparison.
    """
    progress = progress or _ignored
    comparison = Comparison()
    chosen = _chosen(snapshot, options.only)
    to_call = _callable(chosen, comparison, options.only)
    found: list[Question] = []
    if options.logs:
        logged = _from_logs(old, keys, snapshot, options, comparison, progress)
        found = [each for each in logged if each.operation.id in to_call]
    in_logs = {each.operation.id for each in found}
    others = [each for pk, each in to_call.items() if pk not in in_logs]
    found += _from_rows(old, keys, others, options, comparison, progress)
    usable = []
    for question in found:
        if question.key or question.has_key_in_path or question.operation.open:
            usable.append(question)
            comparison.of(question.operation.path).requests += 1
    for question in found:
        result = comparison.of(question.operation.path)
        if not result.requests:
            result.skipped = "no-key"
    _Run(old, new, comparison, Pace(options.pace), progress).all(usable, options.at_once)
    comparison.finish()
    return comparison


def _chosen(snapshot: Snapshot, only: Collection[str]) -> dict[int, Operation]:
    """Return the operations that callers can call, or those of them that are named."""
    return {
        each.id: each
        for each in sorted(snapshot.operations.values(), key=lambda operation: operation.path)
        if each.state in ("published", "deprecated") and (not only or is_named(each, only))
    }


def is_named(operation: Operation, only: Collection[str]) -> bool:
    """Return True if an operation is among aliases, under its names here or those of 1.99x."""
    return any("/".join(names) in only for names in questions.names_of(operation))


def _callable(operations: dict[int, Operation], comparison: Comparison, only: Collection[str]) -> dict[int, Operation]:
    """Return the operations that only read. The others are noted as skipped: nothing is written twice."""
    proxies = ProxyOperation.objects.in_bulk([pk for pk, each in operations.items() if each.kind == "proxy"])
    to_call = {}
    for pk, operation in operations.items():
        word = _reason_to_skip(operation, proxies.get(pk), only)
        if word:
            comparison.of(operation.path).skipped = word
        else:
            to_call[pk] = operation
    return to_call


def _reason_to_skip(operation: Operation, proxy: ProxyOperation | None, only: Collection[str]) -> str:
    """Return a word of results.SKIPPED; "" for an operation that only reads."""
    if operation.kind == "verification":
        return "verification"
    if operation.plan is None:
        return "broken"
    if "GET" not in operation.plan.methods:
        return "writes"
    if proxy is not None and (proxy.style == ProxyOperation.Style.PASS_THROUGH or may_write(proxy, ())):
        return "" if only else "may-write"
    return ""


def _from_logs(
    old: Host, keys: Keys, snapshot: Snapshot, options: Options, comparison: Comparison, progress: Progress
) -> list[Question]:
    found = comparison.log = LogFindings()
    folders = access_logs.folders_of([*settings.LEGACY_FOLDERS, old.folder])
    logged = access_logs.read_logs(
        options.logs, folders, found.counts, progress=lambda: progress(LOG, found.counts.lines, 0)
    )
    requests = questions.from_logs(logged, snapshot, keys, found, options.requests)
    if options.only:
        found.unknown = {path: calls for path, calls in found.unknown.items() if path.lower() in options.only}
    return requests


def _from_rows(
    old: Host,
    keys: Keys,
    operations: Sequence[Operation],
    options: Options,
    comparison: Comparison,
    progress: Progress,
) -> list[Question]:
    """Return requests for operations that no log has any of."""
    made: list[Question] = []
    dead: set[int] = set()
    for number, operation in enumerate(operations):
        progress(ROWS, number, len(operations))
        if not operation.open and not keys.of(*questions.names_of(operation)):
            comparison.of(operation.path).skipped = "no-key"
            continue
        try:
            values = _values(operation, options.requests, dead)
        except NotMade as reason:
            comparison.of(operation.path).skipped = str(reason)
            continue
        made += [questions.made(operation, old.folder, each) for each in values]
    return questions.with_keys(made, keys)


def _values(operation: Operation, most: int, dead: set[int]) -> list[dict[str, str]]:
    """Return values for the parameters of an operation: those of samples first, then of its rows. Raises NotMade.

    ``dead``: the sources that did not respond. Those that do not now are added: nobody waits for them again.
    """
    try:
        return first_rows.values_of_samples(operation, most)
    except NotMade:
        if operation.kind != "data":
            raise
    row = DataOperation.objects.select_related("source__agency").get(pk=operation.id)
    if row.source_id in dead:
        raise NotMade("source")
    try:
        # Two rows say as much as many of one table.
        return first_rows.values_of_rows(operation, row, min(most, 2))
    except SourceFailed:
        dead.add(row.source_id)
        raise


class _Run:
    """Sends the requests in threads. What both hosts send is compared at once, and then forgotten."""

    def __init__(
        self,
        old: Host,
        new: Host,
        comparison: Comparison,
        pace: Pace,
        progress: Progress,
    ) -> None:
        self.old, self.new = old, new
        self.comparison = comparison
        self.pace = pace
        self.progress = progress
        self.sent = self.total = 0
        self.lost = {"old-down": 0, "new-down": 0}
        self._lock, self._big = threading.Lock(), threading.Lock()
        self._stop = threading.Event()

    def all(self, found: Sequence[Question], at_once: int) -> None:
        tasks = ((question, format) for question in found for format in question.formats)
        self.total = sum(len(question.formats) for question in found)
        with ThreadPoolExecutor(at_once, thread_name_prefix="comparing-hosts") as threads:
            running = [threads.submit(self._work, tasks) for _ in range(at_once)]
            try:
                for each in running:
                    each.result()
            finally:
                self._stop.set()  # also for what an interrupted command has left

    def _next(self, tasks: Iterator[tuple[Question, str]]) -> tuple[Question, str] | None:
        with self._lock:
            task = None if self._stop.is_set() else next(tasks, None)
            if task is not None:
                self.sent += 1
                self.progress(SENDING, self.sent, self.total)
            return task

    def _work(self, tasks: Iterator[tuple[Question, str]]) -> None:
        while (task := self._next(tasks)) is not None:
            question, format = task
            old, new, found = self._compared(question, format)
            if any(each.kind in _PASSING for each in found):
                # The data may have changed between the two requests: a difference that stays is one.
                old, new, found = self._compared(question, format)
            self.comparison.add(question.operation.path, format, old, new, found)
            self._count_lost(found)

    def _compared(self, question: Question, format: str) -> tuple[Response, Response, list[Difference]]:
        self.pace.wait()
        old = self.old.get(question, format)
        new = self.new.get(question, format)
        if question.has_key_in_path and format == "api":
            format = "xml"  # programs that write the key there get XML under this address
        with self._big if max(old.size, new.size) > _BIG else nullcontext():
            return old, new, differences(old, new, format, row_limit_of(question.operation))

    def _count_lost(self, found: Sequence[Difference]) -> None:
        """End the comparison when a host does not respond any more."""
        kinds = {each.kind for each in found}
        with self._lock:
            for kind in self.lost:
                self.lost[kind] = self.lost[kind] + 1 if kind in kinds else 0
                if self.lost[kind] >= LOST:
                    self.comparison.stopped = kind
                    self._stop.set()


def row_limit_of(operation: Operation) -> int:
    """Return the most rows that an operation gives; 0 for one without a limit."""
    limits = getattr(operation.plan, "limits", None)
    return getattr(limits, "rows", 0)
