"""The words of the answer, for the page, the letter and the PDF."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mantra.subject_access.answers import Answer, Entry
from registry import moments

TITLE: Any = gettext_lazy("Who looked at %(person)s")
HEADING: Any = gettext_lazy("Who looked at your data")
HEADS: tuple[Any, ...] = (
    gettext_lazy("When"),
    gettext_lazy("Who"),
    gettext_lazy("What for, on what legal basis"),
    gettext_lazy("From where"),
    gettext_lazy("What was given"),
)
UNKNOWN: Any = gettext_lazy("not recorded")
MORE: Any = gettext_lazy("The newest %(number)d entries are listed; there are more.")


def who(entry: Entry) -> str:
    """Return who looked: the agency and its application. Officers are not named."""
    parts = [part for part in (entry.caller_agency, entry.caller) if part]
    return ", ".join(parts) or (entry.agency if entry.what else str(_("a caller without a key")))


def basis(entry: Entry) -> str:
    """Return the legal basis and the agreement of an entry, as they were then."""
    parts = [entry.terms.legal_basis, entry.terms.agreement]
    if entry.terms.adopted:
        parts.append(_("(as known when records of this began)"))
    return "; ".join(part for part in parts if part)


def opening(answer: Answer) -> list[str]:
    """Return the first sentences of the letter."""
    named = {"person": answer.subject, "moment": moments.moment(answer.made_at)}
    if answer.agency is not None:
        first = _("This is what MANTRA has recorded about uses of the data of the person with the number %(person)s "
                  "that %(agency)s offers, as of %(moment)s.") % {**named, "agency": answer.agency.name}  # fmt: skip
    else:
        first = _("This is what MANTRA has recorded about uses of the data of the person with the number %(person)s, "
                  "as of %(moment)s.") % named  # fmt: skip
    return [first] if answer.entries else [first, _("There is no record about this person.")]


def notes() -> list[str]:
    """Return what the answer can and cannot say."""
    return [
        _("Each line is a use that MANTRA recorded when it happened. MANTRA keeps no copy of the data given."),
        _("Purpose, legal basis and agreement are those that the permission had at that time."),
        _("A use is found if the person's number was part of the request. Lists that were given without such a number, "
          "tables that officers viewed, and requests that MANTRA passes on unread cannot be found by it."),
        _("Records are deleted after the time that the operator of MANTRA has set."),
    ]  # fmt: skip
