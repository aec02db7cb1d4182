"""The answer as a kind of exports (registry/exports): a letter to the person, as PDF."""

from __future__ import annotations

from django.utils.translation import gettext as _

from mantra.subject_access import answers
from registry.exports import Kind

KIND = Kind(
    right="registry.view_callrecord",
    formats=("pdf",),
    make="mantra.subject_access.pdf.make",
    title=lambda parameters: _("Who looked at %(person)s") % {"person": parameters["subject"]},
    file_name=lambda parameters: _("who-looked"),
    may=lambda user, parameters: answers.may_look(user),
)
