"""Starting, cancelling and deleting comparisons of both hosts, and what they need: the old keys, and an access log."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from mantra.legacy_import.comparing_hosts.keys import Keys
from mantra.legacy_import.models import ComparisonInput, HostComparison, LegacyImport
from mantra.legacy_import.pages import inputs, runs
from mantra.legacy_import.pages.runs import IN_PROGRESS, KEPT, State
from registry.models import User

#: The most comparisons of a run that are kept.
MOST = 10


def keep_keys(run: LegacyImport, keys: Keys, now: datetime) -> None:
    """Store the keys of the old database for comparisons after a run. Raises ExportError and OSError."""
    stored, key = inputs.store(line.encode() for line in keys.lines())
    forget(run)
    ComparisonInput.objects.create(run=run, keys_stored=stored, keys_key=key, expires_at=now + KEPT)


def take_log(run: LegacyImport) -> None:
    """Let the comparisons after a run have the access log that was uploaded for it."""
    read = run.input
    wanted = ComparisonInput.objects.filter(run=run)
    if read is not None and wanted.update(log_name=read.log_name, log_stored=read.log_stored, log_key=read.log_key):
        read.log_name = read.log_stored = read.log_key = ""
        read.save()


def input_of(run: LegacyImport) -> ComparisonInput | None:
    """Return what comparisons after a run need, if it is still there."""
    return ComparisonInput.objects.filter(run=run).first()


def put_log(input: ComparisonInput, name: str, stored: str, key: str) -> None:  # the word of the page
    """Replace the access log. "": there is none any more."""
    inputs.remove(input.log_stored)
    input.log_name, input.log_stored, input.log_key = name, stored, key
    input.save()


def start(
    user: User,
    input: ComparisonInput,  # the word of the page
    now: datetime,
    *,
    old_url: str,
    requests: int,
    only: Collection[str],
    language: str,
) -> HostComparison | None:
    """Let the worker compare. Return None if a run or a comparison is in progress already."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # a second click waits here
        if runs.is_busy():
            return None
        input.expires_at = now + KEPT
        input.save()
        return HostComparison.objects.create(
            state=State.WAITING, run=input.run, user=user, language=language, started_at=now, old_url=old_url,
            log_name=input.log_name, requests=requests, only=sorted(only),
        )  # fmt: skip


def cancel(comparison: HostComparison, now: datetime) -> None:
    """End a comparison that waits, or let the worker end it at its next report. Raises OSError."""
    waiting = HostComparison.objects.filter(pk=comparison.pk, state=State.WAITING)
    if comparison.state != State.WAITING or not waiting.update(state=State.CANCELLED, finished_at=now):
        inputs.cancel(comparison.mark)


def forget(run: LegacyImport) -> None:
    """Delete the keys and the log that are kept for comparisons after a run."""
    for each in ComparisonInput.objects.filter(run=run):
        _discard(each)


def _discard(input: ComparisonInput) -> None:  # the word of the page
    input.delete()
    inputs.remove(input.keys_stored)
    inputs.remove(input.log_stored)


def prune(now: datetime) -> None:
    """Delete the keys and logs that have expired, and the oldest comparisons of each run."""
    busy = HostComparison.objects.filter(state__in=IN_PROGRESS).values("run")
    for each in ComparisonInput.objects.filter(expires_at__lte=now).exclude(run__in=busy):
        _discard(each)
    for run in set(HostComparison.objects.order_by().values_list("run", flat=True)):
        ended = HostComparison.objects.filter(run=run).exclude(state__in=IN_PROGRESS)
        beyond = list(ended.values_list("pk", flat=True)[MOST:])
        HostComparison.objects.filter(pk__in=beyond).delete()


def former(comparison: HostComparison) -> HostComparison | None:
    """Return the comparison with the same host before one, of any run, that came to its end."""
    before = HostComparison.objects.filter(pk__lt=comparison.pk, old_url=comparison.old_url, state=State.DONE)
    return before.order_by("-pk").first()
