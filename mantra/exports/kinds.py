"""The kinds of exports, for registry.exports.KINDS."""

from __future__ import annotations

from datetime import date, timedelta

from django.utils.translation import gettext as _

from mantra.exports import monthly, pages
from registry import moments
from registry.exports import Kind
from registry.exports.kinds import Parameters
from registry.models import Agency


def _agency_and_month(parameters: Parameters) -> tuple[str, date]:
    return str(parameters["agency"]), date.fromisoformat(f"{parameters['month']}-01")


def _title_of_history(parameters: Parameters) -> str:
    return _("Call history, filtered") if parameters["query"] else _("Call history, all calls")


def _title_of_report(parameters: Parameters) -> str:
    code, month = _agency_and_month(parameters)
    agency = Agency.objects.filter(code=code).first()
    words = {"agency": agency or code, "month": moments.month(month)}
    return _("Monthly report of %(agency)s, %(month)s") % words


HISTORY = Kind(
    right="registry.view_callrecord",
    formats=("xlsx", "csv"),
    make="mantra.exports.history.make",
    title=_title_of_history,
    file_name=lambda parameters: _("call-history"),
)
REPORT = Kind(
    right="registry.view_callrecord",
    formats=("pdf",),
    make="mantra.exports.report.make",
    title=_title_of_report,
    file_name=lambda parameters: "-".join((_("monthly-report"), parameters["agency"], parameters["month"])),
    may=lambda user, parameters: monthly.may_read(user, parameters["agency"]),
    kept=timedelta(days=31),
    announce=monthly.announce,
    start_due=monthly.start_due,
)
STATISTICS = Kind(
    right="registry.view_callrecord",
    formats=("pdf",),
    make="mantra.exports.report.dashboard.make",
    title=pages.title,
    file_name=pages.file_name,
    may=pages.may_read,
)
