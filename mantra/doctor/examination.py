"""Runs all checks of the doctor. Each is on its own: what one raises is a finding, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mantra.doctor.checks import clock, configuration, database, drivers, permissions, proof, reach, rollups, secrets
from mantra.health import checks as board
from mantra.health.findings import Finding, worst_first

log = logging.getLogger("mantra.doctor")

Check = Callable[[], list[Finding]]

#: Those that need neither the database nor anything else that must be reached.
LOCAL: dict[str, Check] = {
    configuration.AREA: configuration.check,
    permissions.AREA: permissions.check,
    clock.AREA: clock.zone,
    secrets.AREA: secrets.journal_key,
}
#: Those that read the bus's own database.
STORED: dict[str, Check] = {
    drivers.AREA: drivers.check,
    clock.AREA: clock.check,
    secrets.AREA: secrets.check,
    proof.AREA: proof.check,
    rollups.AREA: rollups.check,
}
#: Those that connect elsewhere, or take long. They replace what the board knows of sources and backends.
REACHED: dict[str, Check] = {
    database.AREA: database.integrity,
    "address": reach.own_address,
    "mail": reach.mail,
    "quotas": reach.quota_store,
    "sources": reach.sources,
    "backends": reach.backends,
}
#: Area → its name for people.
LABELS: dict[str, Any] = {
    **board.LABELS,
    configuration.AREA: gettext_lazy("settings"),
    permissions.AREA: gettext_lazy("permissions"),
    clock.AREA: gettext_lazy("clock"),
    secrets.AREA: gettext_lazy("keys of the server"),
    drivers.AREA: gettext_lazy("driver"),
    database.AREA: gettext_lazy("database"),
    rollups.AREA: gettext_lazy("statistics"),
    "address": gettext_lazy("address"),
    "quotas": gettext_lazy("quotas"),
}
#: Areas of the board's checks that need no database.
_BOARD_LOCAL = ("disk", "worker", "certificates")


def examine(fast: bool = False) -> list[Finding]:
    """Return what is found, the worst first. ``fast``: without connecting to anything but the database."""
    return worst_first([*_all(fast)])


def _all(fast: bool) -> Iterator[Finding]:
    yield from _run(LOCAL)
    yield from _run({area: check for area, check in board.SERVER.items() if area in _BOARD_LOCAL})
    reachable = _guarded(database.AREA, database.check)
    yield from reachable
    if _is_away(reachable):
        yield Finding(database.AREA, _("what is stored"), "unknown", _("not examined: the database cannot be read"))
        return
    yield from _run(STORED)
    yield from _run({area: check for area, check in board.SERVER.items() if area not in _BOARD_LOCAL})
    yield from _run(_rows(fast))
    if not fast:
        yield from _run(REACHED)


def _rows(fast: bool) -> dict[str, Check]:
    """Return the board's checks of agencies' rows: of sources and backends only if they are not reached now."""
    wanted = {area: check for area, check in board.ROWS.items() if fast or area not in REACHED}
    return {area: lambda check=check: check(None) for area, check in wanted.items()}  # type: ignore[misc]


def _is_away(found: list[Finding]) -> bool:
    return any(each.state == "ill" and each.name == _name_of_failure() for each in found)


def _run(wanted: dict[str, Check]) -> Iterator[Finding]:
    for area, check in wanted.items():
        yield from _guarded(area, check)


def _guarded(area: str, check: Check) -> list[Finding]:
    """Return what a check finds, or that it failed. The texts of errors are shown nowhere: they may contain secrets."""
    try:
        return check()
    except DatabaseError:
        connection.close()
        sentence = _("The bus's database cannot be reached, or refuses the bus.")
        return [Finding(area, _name_of_failure(), "ill", sentence, _("Check MANTRA_DATABASE_URL, and the server."))]
    except ImproperlyConfigured as error:
        return [Finding(area, _name_of_failure(), "ill", str(error))]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        sentence = _("A file or folder cannot be read: %(reason)s.") % {"reason": reason}
        return [Finding(area, str(error.filename or area), "ill", sentence, _("Check the disk and the permissions."))]
    except Exception as error:
        log.exception("the check of %s failed", area)
        sentence = _("The check itself failed (%(error)s).") % {"error": type(error).__name__}
        return [Finding(area, _name_of_failure(), "unknown", sentence, _("Report the error that the log shows."))]


def _name_of_failure() -> str:
    return _("check")
