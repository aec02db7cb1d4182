"""Days and times have one form on all pages and in all messages, in each language and in the bus's time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin.utils import display_for_value
from django.template import Context, Template
from django.utils.translation import override

from registry import moments

ROOT = Path(settings.BASE_DIR)
#: Evening in Greenwich, and the next morning in Jakarta.
AT = datetime(2026, 11, 28, 17, 6, 5, tzinfo=UTC)
#: How a template or a module would choose a form of its own. A machine-readable time (|date:"c") is no text.
OWN_FORM = {
    ".html": re.compile(r"""\|date(:(?!['"]c['"])|\s*[|}])|\{% now"""),
    ".py": re.compile(r"date_format\(|strftime\(|%H[:.]|%d-%m|%Y-%m-%d|utils.dateformat|defaultfilters import date"),
}
#: Modules that make texts for programs and for operators' consoles, and the one mechanism.
OTHERS = {
    "registry/moments.py",
    "registry/journal/verifying.py",
    "mantra/management/commands/issue_key.py",
    "dataservices/sql/functions.py",
    "dataservices/changes.py",  # SQL of a source
    "mantra/gateway/signatures/exchange.py",  # what a program compares its clock with
    "mantra/management/commands/leaked_key.py",  # a command's lines
    "templates/unfold/layouts/skeleton.html",  # the offset of the time zone, for the theme's calendar
    "mantra/demo/recipients.py",  # forms in which people write dates
    "mantra/containment/forms.py",  # what a browser's field for a day and a time sends
    "mantra/access_requests/forms.py",  # what a browser's field for dates sends
    "mantra/doctor/checks/clock.py",  # reads the time of another server's HTTP header
    "mantra/exports/report/words.py",  # a document on paper, with months in words
    "mantra/statistics/words.py",  # the axis of a chart: days without their year
}


@pytest.mark.parametrize(
    ("language", "moment", "day"),
    [("id", "29-11-2026 00.06.05", "29-11-2026"), ("en", "2026-11-29 00:06:05", "2026-11-29")],
)
def test_lists_pages_and_messages_write_alike(language: str, moment: str, day: str) -> None:
    with override(language):
        assert moments.moment(AT) == display_for_value(AT, "-") == moment
        assert moments.day(AT) == moments.day(date(2026, 11, 29)) == display_for_value(date(2026, 11, 29), "-") == day
        page = Template("{{ at|moment }} {{ at|day }} {{ at }} [{{ none|moment }}{{ none|day }}]")
        assert page.render(Context({"at": AT, "none": None})) == f"{moment} {day} {moment} []"


def test_no_page_has_a_form_of_its_own() -> None:
    files = [*ROOT.glob("templates/**/*.html")]
    files += [
        path
        for room in ("registry", "dataservices", "proxyservices", "mantra")
        for path in ROOT.glob(f"{room}/**/*.py")
    ]
    own = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in files
        if str(path.relative_to(ROOT)) not in OTHERS
        and "migrations" not in path.parts
        and (found := OWN_FORM[path.suffix].search(path.read_text()))
    ]
    assert len(files) > 300
    assert own == []
