"""The notification of a breach as UU 27/2022 Art. 46 (2) requires it: what, when and how, and what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.containment.gathering import Evidence
from registry.models import Field, Incident, IncidentNote
from registry.moments import moment

#: Lines of the tables.
MOST = 20
_CLASSES = dict(Field.Classification.choices)


@dataclass(slots=True)
class Section:
    """A section of the report: texts that a person wrote, facts, and a table. ``missing``: what nobody wrote yet."""

    title: str
    texts: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    heads: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    missing: str = ""


def title(incident: Incident) -> str:
    return _("Notification of a personal data breach, %(number)s") % {"number": incident.number}


def number(value: int) -> str:
    """Return a number as the reader's language writes it."""
    return number_format(value, use_l10n=True, force_grouping=True)


def sections(incident: Incident, evidence: Evidence) -> Iterator[Section]:
    """Yield the report, in the order of the law."""
    yield _who(incident)
    yield _what(incident, evidence)
    yield _when_and_how(incident, evidence)
    yield _handling(incident)
    yield _effects(incident)


def _who(incident: Incident) -> Section:
    controller = str(incident.agency) if incident.agency is not None else "MANTRA"
    facts = [
        (_("Personal data controller"), controller),
        (_("Incident"), incident.number),
        (_("Subject"), incident.title),
        (_("Noticed at"), moment(incident.noticed_at)),
        (_("To be notified by (3 × 24 hours)"), moment(incident.due_at)),
        (_("Notified at"), moment(incident.reported_at) or "–"),
    ]
    return Section(
        _("Notification"),
        [
            _(
                "By Article 46 of Law 27 of 2022 on Personal Data Protection, the controller notifies the personal "
                "data subjects and the agency in charge in writing."
            )
        ],
        facts,
    )


def _what(incident: Incident, evidence: Evidence) -> Section:
    total = evidence.total
    persons = len(evidence.subjects)
    facts = [
        (_("Persons about whom calls were made, by a key such as the NIK"), number(persons)),
        (_("Rows that left"), number(total.rows)),
        (_("Highest classification"), str(_CLASSES.get(total.classification, "–"))),
    ]
    rows = [
        (
            "/".join(str(word) for word in line.words[:3] if word),
            line.field_names or "–",
            str(_CLASSES.get(line.classification, "–")),
            number(line.rows),
        )
        for line in evidence.operations[:MOST]
        if line.served
    ]
    heads = (_("Operation"), _("Fields"), _("Classification"), _("Rows"))
    section = Section(_("a. Personal data that was disclosed"), _texts(incident.disclosed), facts, heads, rows)
    section.missing = "" if incident.disclosed else _("Describe which personal data was disclosed.")
    return section


def _when_and_how(incident: Incident, evidence: Evidence) -> Section:
    total = evidence.total
    calls = ngettext("%(shown)s call", "%(shown)s calls", total.served) % {"shown": number(total.served)}
    facts = [
        (_("First call"), moment(total.first) or "–"),
        (_("Last call"), moment(total.last) or "–"),
        (_("Calls that were served"), calls),
        (_("Bytes that left"), number(total.bytes)),
    ]
    rows = [
        (
            f"{line.words[0]}/{line.words[1]}" if line.words[1] else _("without a key"),
            str(line.words[2] or "–"),
            number(line.served),
            number(line.rows),
        )
        for line in evidence.callers[:MOST]
    ]
    heads = (_("Application"), _("Access key"), _("Calls"), _("Rows"))
    section = Section(_("b. When and how it was disclosed"), _texts(incident.how), facts, heads, rows)
    section.missing = "" if incident.how else _("Describe how the data was disclosed.")
    return section


def _handling(incident: Incident) -> Section:
    steps = (IncidentNote.Step.STOPPED, IncidentNote.Step.RELEASED, IncidentNote.Step.CONTAINED)
    rows = [
        (moment(note.at), str(note.get_step_display()), note.about or "–")
        for note in incident.notes.filter(step__in=steps)[:100]
    ]
    heads = (_("Time"), _("Step"), _("What"))
    section = Section(_("c. Handling and recovery"), _texts(incident.handling), [], heads, rows)
    section.missing = "" if incident.handling else _("Describe what was done to handle it and to recover.")
    return section


def _effects(incident: Incident) -> Section:
    section = Section(_("Effects, and contact"), [*_texts(incident.effects), *_texts(incident.contact)])
    wanted = incident.effects and incident.contact
    section.missing = "" if wanted else _("Describe possible effects, and give a contact for questions.")
    return section


def _texts(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def missing(found: list[Section]) -> list[str]:
    """Return what nobody wrote yet."""
    return [section.missing for section in found if section.missing]
