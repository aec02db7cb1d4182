"""Why a run has failed: the words that runs store, with their sentences."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

PROBLEMS: dict[str, Any] = {
    "application": _("The application of this list is not active any more. Choose another one."),
    "columns": _("A column that is compared is not there any more. Choose the columns again."),
    "denied": _("The user who saved this reconciliation may not read both lists any more. Save it again yourself."),
    "disk": _("The server has no room for the rows. Ask its administrator to check the folder MANTRA_EXPORT_DIR."),
    "error": _("The run ended because of an error in MANTRA. Ask the administrator of the server."),
    "file": _("The file cannot be read. Upload it again."),
    "file-gone": _("The uploaded file is no longer there. Upload it again."),
    "grant": _("The application has no grant in force for this list. Request access, or renew the grant."),
    "interrupted": _("The server stopped several times during this run. Ask its administrator."),
    "journal": _("The calls of this run could not be recorded. Ask the administrator of the server."),
    "network": _(
        "The grant admits calls from certain networks only, and this server is in none of them. Ask the provider to "
        "change the grant."
    ),
    "no-rows": _("The response of this operation is no table. Choose another operation."),
    "operation": _("The operation of this list is not published any more. Choose another one."),
    "parameters": _("The operation does not accept the values of its parameters. Check them."),
    "quota": _("The quota of the grant is used up. Start the run again later, or request a larger quota."),
    "source": _("The source of this list did not answer. Start the run again later, or tell the provider."),
    "stopped": _("The access is stopped to protect data. Start the run again when the stop is released."),
    "time": _("Reading this list took longer than its operation allows. Ask the provider for a longer time limit."),
    "too-large": _("The lists are too large. Compare a part of them, for example one region, by a parameter."),
    "too-many": _("A list has more rows than the server compares. Compare a part of it, by a parameter."),
    "truncated": _(
        "The operation gave only its first rows, up to its row limit. With a part of the rows the result would be "
        "wrong. Ask the provider to raise the limit, or to add pages."
    ),
}  # fmt: skip


def sentence(problem: str) -> Any:
    """Return what is wrong and what to do about it."""
    return PROBLEMS.get(problem, PROBLEMS["error"])
