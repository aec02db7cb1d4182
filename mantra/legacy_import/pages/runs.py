"""Starting, cancelling and deleting runs, and what they read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from mantra.legacy_import.ledger import last_runs
from mantra.legacy_import.models import ComparisonInput, HostComparison, ImportInput, LegacyImport
from mantra.legacy_import.pages import inputs
from registry.models import User

State = LegacyImport.State
IN_PROGRESS = (State.WAITING, State.RUNNING)
#: How long a dump or connection data are kept after the last start of a run with them.
KEPT = timedelta(hours=24)
#: The most runs that are kept.
MOST_RUNS = 50


def current() -> LegacyImport | None:
    """Return the run of the page that waits or is being made. Those of the command are none."""
    return LegacyImport.objects.filter(state__in=IN_PROGRESS).exclude(input=None).first()


def is_busy() -> bool:
    """Return True if a run or a comparison of the page waits or is being made: there is one at a time."""
    return current() is not None or HostComparison.objects.filter(state__in=IN_PROGRESS).exists()


def start(
    user: User,
    input: ImportInput,  # the word of the page
    now: datetime,
    *,
    dry: bool,
    parts: Collection[str],
    hosts: Mapping[str, str],
    language: str,
    wrapped: bool = False,
    keys_in_path: str = "",
) -> LegacyImport | None:
    """Let the worker make a run. Return None, and delete a new input, if one is in progress already."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # a second click waits here
        if is_busy():
            if input.pk is None:
                inputs.remove(input.stored)
                inputs.remove(input.log_stored)
            return None
        input.expires_at = now + KEPT
        input.save()
        return LegacyImport.objects.create(
            state=State.WAITING, dry=dry, user=user, source=input.name, input=input, language=language,
            parts=list(parts), hosts=dict(hosts), wrapped=wrapped, keys_in_path=keys_in_path, started_at=now,
        )  # fmt: skip


def cancel(run: LegacyImport, now: datetime) -> None:
    """End a run that waits, or ask the worker to end it at its next report. Raises OSError."""
    waiting = LegacyImport.objects.filter(pk=run.pk, state=State.WAITING)
    if run.state != State.WAITING or not waiting.update(state=State.CANCELLED, finished_at=now):
        inputs.cancel(run.pk)
    else:
        forget_password(run)


def forget_password(run: LegacyImport) -> None:
    """Delete the password of the server that a run reads."""
    if run.input_id is not None:
        ImportInput.objects.filter(pk=run.input_id).update(password="")


def discard(input: ImportInput) -> None:  # the word of the page
    """Delete a dump or connection data, and the access log."""
    input.delete()
    inputs.remove(input.stored)
    inputs.remove(input.log_stored)


def prune(now: datetime) -> None:
    """Delete inputs that have expired, files that belong to none, and the oldest runs."""
    busy = LegacyImport.objects.filter(state__in=IN_PROGRESS).exclude(input=None).values("input")
    for each in ImportInput.objects.filter(expires_at__lte=now).exclude(pk__in=busy):
        discard(each)
    inputs.remove_others(_stored())
    beyond = list(LegacyImport.objects.exclude(state__in=IN_PROGRESS).values_list("pk", flat=True)[MOST_RUNS:])
    # The next run needs the last one of each table for good, and those after it.
    needed = min((run for run in last_runs().values() if run), default=0)
    LegacyImport.objects.filter(pk__in=beyond).filter(Q(dry=True) | Q(pk__lt=needed)).delete()


def _stored() -> set[str]:
    """Return the names of the files that belong to an input."""
    pairs = [
        *ImportInput.objects.values_list("stored", "log_stored"),
        *ComparisonInput.objects.values_list("keys_stored", "log_stored"),
    ]
    return {name for pair in pairs for name in pair if name}


def tables_of(parts: Collection[str]) -> list[str]:
    """Return the tables of the old database whose rows a run looks at, in its order."""
    wanted = set(parts)
    tables = {
        "instances": True, "users": "users" in wanted, "services": bool({"services", "operations", "orders"} & wanted),
        "methods": bool({"operations", "orders"} & wanted), "orders": "orders" in wanted,
    }  # fmt: skip
    return [table for table, is_wanted in tables.items() if is_wanted]
