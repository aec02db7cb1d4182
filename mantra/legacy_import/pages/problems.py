"""Why a run has failed: the words that runs store, with their sentences."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from mantra.legacy_import.models import HostComparison, LegacyImport

#: Its sentence is the run's own.
UNREADABLE = "unreadable"
PROBLEMS: dict[str, Any] = {
    "disk": _("The server has no room for the dump. Ask its administrator to check the folder MANTRA_EXPORT_DIR."),
    "error": _("The import ended because of an error in MANTRA. Ask the administrator of the server."),
    "input-gone": _("The dump or the connection data are deleted. Start again with a new dump."),
    "interrupted": _("The server stopped several times during this run. Ask its administrator, then start it again."),
    "log": _("The access log cannot be read to its end. Check the file, and upload it again."),
    "restarted": _("The server stopped during this run. What was imported stays; a new run has begun by itself."),
}


#: The same of comparisons.
OF_COMPARISONS: dict[str, Any] = {
    "disk": _(
        "The server has no room for the access log. Ask its administrator to check the folder MANTRA_EXPORT_DIR."
    ),
    "error": _("The comparison ended because of an error in MANTRA. Ask the administrator of the server."),
    "host": _("The address of the old host or of this MANTRA cannot be called. Check it, and MANTRA_BASE_URL."),
    "host-forbidden": _(
        "This server may not call the address of the old host. Ask its administrator to check MANTRA_UPSTREAM_NETWORKS."
    ),
    "interrupted": _(
        "The server stopped several times during this comparison. Ask its administrator, then compare again."
    ),
    "keys-gone": _("The keys of the old callers are deleted. Import the old database again, and compare then."),
    "log": PROBLEMS["log"],
    "log-gone": _("The access log is deleted. Upload it again, and compare then."),
}


class Failed(Exception):
    """A run or a comparison cannot go on. The text is a key of PROBLEMS or OF_COMPARISONS."""


def sentence_about(comparison: HostComparison) -> str:
    """Return what is wrong and what to do about it, "" for a comparison that has not failed."""
    if comparison.state != HostComparison.State.FAILED:
        return ""
    return str(OF_COMPARISONS.get(comparison.problem, OF_COMPARISONS["error"]))


def sentence(run: LegacyImport) -> str:
    """Return what is wrong and what to do about it, "" for a run that has not failed."""
    if run.state != LegacyImport.State.FAILED:
        return ""
    return run.detail if run.problem == UNREADABLE else str(PROBLEMS.get(run.problem, PROBLEMS["error"]))
