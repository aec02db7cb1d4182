"""The worker's part of a comparison: opens what was kept for it, compares, and stores what differs."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from django.db import transaction

from mantra.legacy_import.comparing_hosts import comparison as comparing
from mantra.legacy_import.comparing_hosts import hosts
from mantra.legacy_import.comparing_hosts.asking import Host, HostInvalid
from mantra.legacy_import.comparing_hosts.comparison import Options
from mantra.legacy_import.comparing_hosts.keys import keys_of_lines
from mantra.legacy_import.comparing_hosts.results import Comparison, ReportRow
from mantra.legacy_import.models import ALIAS, NAME, ComparedOperation, HostComparison
from mantra.legacy_import.pages import comparisons, inputs
from mantra.legacy_import.pages.inputs import Progress
from mantra.legacy_import.pages.problems import Failed
from proxyservices.transport.allowlist import is_permitted
from proxyservices.transport.dial import resolve
from proxyservices.transport.errors import UpstreamError
from registry.snapshot import holder

#: Lines of a result that are stored. What is left out is counted.
MOST_LINES = 5_000
#: Seconds in which the name of the old host is looked up.
_LOOKUP = 10.0
#: What is stored of a name in a log that is no operation's here: somebody may have typed anything there.
_NAME = re.compile(r"(?=.{1,64}\Z)[A-Za-z_.-]*(?:[0-9]{1,4}[A-Za-z_.-]*){0,2}")


def compare(job: HostComparison, progress: Callable[[Progress], None]) -> None:
    """Compare, and store the result.

    Raises Failed, LogUnreadable, ExportError, OSError, and what ``progress`` raises.
    """
    kept = comparisons.input_of(job.run)
    if kept is None:
        raise Failed("keys-gone")
    try:
        old, new = hosts.old_host(job.old_url), hosts.new_host(hosts.new_url())
    except HostInvalid:
        raise Failed("host") from None
    _check_permitted(old)
    with ExitStack() as opened:
        options = Options(requests=job.requests, only=frozenset(job.only))
        if job.log_name:
            if not kept.log_stored:
                raise Failed("log-gone")
            copied = inputs.readable(kept.log_stored, str(kept.log_key), lambda: progress(Progress(comparing.LOG)))
            options = replace(options, logs=(opened.enter_context(copied),))
        keys = keys_of_lines(inputs.lines(kept.keys_stored, str(kept.keys_key)))
        snapshot = holder.refresh()
        found = comparing.compare(
            old, new, keys, snapshot, options, lambda step, done, total: progress(Progress(step, done, total))
        )
    _store(job, found, {operation.path: operation.id for operation in snapshot.operations.values()})


def _check_permitted(host: Host) -> None:
    """Raise Failed if MANTRA_UPSTREAM_NETWORKS permits no address of the host: users enter it."""
    origin = host.target.origin
    try:
        addresses = resolve(origin.host, origin.port, time.monotonic() + _LOOKUP)
    except UpstreamError:
        return  # the comparison says that it does not respond
    if not any(is_permitted(address) for _family, address in addresses):
        raise Failed("host-forbidden")


def _store(job: HostComparison, found: Comparison, known: Mapping[str, int]) -> None:
    lines, kinds = _lines(found), Counter[str]()
    for line in lines:
        kinds[line.kind] += line.count or 1
    rows = [
        ComparedOperation(
            comparison=job, path=line.operation[:ALIAS], ref=known.get(line.operation), kind=line.kind,
            harmless=line.harmless, count=line.count, formats=line.formats[:100], example=line.example[:NAME],
            code=line.code,
        )
        for line in lines[:MOST_LINES]
    ]  # fmt: skip
    with transaction.atomic():
        job.lines.all().delete()  # those of an attempt that has died
        ComparedOperation.objects.bulk_create(rows, batch_size=500)
        job.responses, job.equal, job.is_clean = found.responses, found.equal, found.is_clean
        job.stopped, job.kinds, job.left_out = found.stopped, dict(kinds), max(0, len(lines) - MOST_LINES)
        job.log = found.as_dict()["log"]
        job.save(update_fields=["responses", "equal", "is_clean", "stopped", "kinds", "left_out", "log"])


def _lines(found: Comparison) -> list[ReportRow]:
    """Return the lines of a result. Names in a log that are none of operations are shown if they look like names."""
    lines: dict[tuple[str, str], ReportRow] = {}
    for line in found.rows(sum(len(each.kinds) + 1 for each in found.operations.values())):
        path = _shown(line.operation.split("/")) if line.kind == "not-here" else line.operation
        there = lines.get((path, line.kind))
        lines[path, line.kind] = replace(line, operation=path, count=line.count + (there.count if there else 0))
    return list(lines.values())


def _shown(names: Iterable[str]) -> str:
    return "/".join(name if _NAME.fullmatch(name) else "…" for name in names)
