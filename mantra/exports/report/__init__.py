"""The monthly report of an agency as PDF. Only the worker imports this package: its library is large."""

from __future__ import annotations

from datetime import date

from mantra.exports.report import document, figures
from registry.exports import ExportError, Work
from registry.models import Agency


def make(work: Work) -> None:
    """Write a report, in the language that is active. Raises ExportError."""
    agency = Agency.objects.filter(code=work.parameters["agency"]).first()
    if agency is None:
        raise ExportError("denied")
    found = figures.gather(agency, date.fromisoformat(f"{work.parameters['month']}-01"))
    work.progress(0, 50)
    document.write(found, work.output)
