"""The kinds of exports, for registry.exports.KINDS."""

from __future__ import annotations

from django.utils.translation import gettext as _

from registry.exports import Kind
from registry.exports.kinds import Parameters


def _title_of_history(parameters: Parameters) -> str:
    return _("Call history, filtered") if parameters["query"] else _("Call history, all calls")


HISTORY = Kind(
    right="registry.view_callrecord",
    formats=("xlsx", "csv"),
    make="mantra.exports.history.make",
    title=_title_of_history,
    file_name=lambda parameters: _("call-history"),
)
