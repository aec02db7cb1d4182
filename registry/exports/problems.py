"""Why an export was not made: the keys that jobs store, with their sentences."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

PROBLEMS: dict[str, Any] = {
    "denied": _("You may no longer see this data. Ask your administrator if you need it."),
    "disk": _("The server could not write the file. Ask its administrator to check the folder MANTRA_EXPORT_DIR."),
    "error": _("The file could not be made because of an error in MANTRA. Ask the administrator of the server."),
    "filter": _("The filter is no longer valid. Start the export again from the call history."),
    "interrupted": _("The server stopped several times while it made this file. Choose a shorter period."),
    "too-large": _("The file would be too large. Choose a shorter period, or fewer calls by a filter."),
}


def sentence(problem: str) -> Any:
    """Return what is wrong and what to do about it."""
    return PROBLEMS.get(problem, PROBLEMS["error"])
