"""Why a run has failed: the words that runs store, with their sentences."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from mantra.legacy_import.models import LegacyImport

#: Its sentence is the run's own.
UNREADABLE = "unreadable"
PROBLEMS: dict[str, Any] = {
    "disk": _("The server has no room for the dump. Ask its administrator to check the folder MANTRA_EXPORT_DIR."),
    "error": _("The import ended because of an error in MANTRA. Ask the administrator of the server."),
    "input-gone": _("The dump or the connection data are deleted. Start again with a new dump."),
    "interrupted": _("The server stopped several times during this run. Ask its administrator, then start it again."),
    "restarted": _("The server stopped during this run. What was imported stays; a new run has begun by itself."),
}


def sentence(run: LegacyImport) -> str:
    """Return what is wrong and what to do about it, "" for a run that has not failed."""
    if run.state != LegacyImport.State.FAILED:
        return ""
    return run.detail if run.problem == UNREADABLE else str(PROBLEMS.get(run.problem, PROBLEMS["error"]))
