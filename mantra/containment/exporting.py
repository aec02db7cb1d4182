"""Files about an incident, which the worker makes: the notification as PDF, and the persons as keyed hashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from mantra.containment import report
from mantra.containment.gathering import IN_FILES, gather
from mantra.exports.sheets import open_sheet
from registry import incidents
from registry.exports import ExportError, Kind, Work
from registry.exports.kinds import Parameters
from registry.models import Incident, User

_BATCH = 2_000


def _incident(parameters: Parameters) -> Incident | None:
    return Incident.objects.select_related("agency").filter(pk=parameters["incident"]).first()


def may(user: User, parameters: Parameters) -> bool:
    """Return True if a user may have files about an incident: who handles it."""
    found = _incident(parameters)
    return found is not None and incidents.may_handle(user, found)


def _title_of_report(parameters: Parameters) -> str:
    return _("Notification of a personal data breach, %(number)s") % {"number": parameters["number"]}


def _title_of_subjects(parameters: Parameters) -> str:
    return _("Persons of the incident %(number)s (keyed hashes)") % {"number": parameters["number"]}


def make_report(work: Work) -> None:
    """Write the notification as PDF. Raises ExportError."""
    from reportlab.platypus import Flowable, Spacer  # for the worker only: it is large

    from mantra.exports.report import document, look

    incident = _incident(work.parameters)
    if incident is None:
        raise ExportError("denied")
    evidence = gather(incident, IN_FILES, lambda number: work.progress(number, 50))

    def story() -> Iterator[Flowable]:
        yield look.text(report.title(incident), look.H1)
        for section in report.sections(incident, evidence):
            yield look.text(section.title, look.H2)
            yield from (look.text(each) for each in section.texts)
            if section.missing:
                yield look.text(f"[{section.missing}]", look.SMALL)
            if section.facts:
                yield look.table(("", ""), section.facts, (0.45, 0.55), 0)
                yield Spacer(1, 4)
            if section.rows:
                widths = {3: (0.3, 0.2, 0.5), 4: (0.34, 0.36, 0.17, 0.13)}[len(section.heads)]
                yield look.table(section.heads, section.rows, widths, 0)
        yield Spacer(1, 30)
        yield look.text(_("Place and date"), look.SMALL)
        yield Spacer(1, 50)
        yield look.text(_("Name and signature"), look.SMALL)

    document.build(report.title(incident), story(), work.output)


def make_subjects(work: Work) -> None:
    """Write the keyed hashes of the persons. Raises ExportError."""
    incident = _incident(work.parameters)
    if incident is None:
        raise ExportError("denied")
    found = sorted(gather(incident, IN_FILES, lambda number: work.progress(number, 50)).subjects)
    sheet = open_sheet(work, _("Persons"), [_("keyed hash")])
    for start in range(0, len(found), _BATCH):
        sheet.write([each] for each in found[start : start + _BATCH])
        work.progress(start, 50 + 50 * start / max(1, len(found)))
    sheet.close()


def _file_name(word: str) -> Any:
    return lambda parameters: f"{word}-{str(parameters['number']).replace('/', '-')}"


BREACH = Kind(
    right=incidents.CHANGE,
    formats=("pdf",),
    make="mantra.containment.exporting.make_report",
    title=_title_of_report,
    file_name=_file_name("pemberitahuan"),
    may=may,
)
SUBJECTS = Kind(
    right=incidents.CHANGE,
    formats=("csv",),
    make="mantra.containment.exporting.make_subjects",
    title=_title_of_subjects,
    file_name=_file_name("subjek"),
    may=may,
)
