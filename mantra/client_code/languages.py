"""The languages, and an operation's code in each of them.

A template knows no text of the registry but as a literal or as a comment of its language: it cannot forget to escape.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.template import Context, Engine, Template
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.client_code import literals
from mantra.client_code.example import Example, is_pass_through
from registry.models import Operation

if TYPE_CHECKING:  # the package is there for type checks only
    from django_stubs_ext import StrOrPromise

_TEMPLATES = Path(__file__).parent / "templates"
#: A line that holds tags only leaves no line in the code.
_TAG_LINE = re.compile(r"^[ ]*((?:\{%[^\n]*?%\})+)[ ]*\n", re.M)


@dataclass(frozen=True, slots=True)
class Language:
    """A language. ``code``: its name in addresses, and of its template. ``note``: what is needed to run the code."""

    code: str
    label: StrOrPromise
    literal: Callable[[str], str]
    note: StrOrPromise
    #: The language can call operations that forward requests unchanged.
    passes: bool = True


@dataclass(frozen=True, slots=True)
class Code:
    """The code of an operation in a language."""

    language: Language
    text: str


CURL = Language("curl", "curl", literals.shell, _("For a command line of Linux, macOS or WSL."))
LANGUAGES = (
    CURL,
    Language("php", "PHP", literals.php, _("PHP 7.3 or newer with its curl extension.")),
    Language(
        "php_legacy",
        _("PHP with adapter.php"),
        literals.php,
        _("For programs that were written for MANTRA 1.99x. Put adapter.php next to the program. PHP 5.3 or newer."),
        passes=False,
    ),
    Language("php_soap", "PHP SOAP", literals.php, _("PHP 7.0 or newer with its soap extension."), passes=False),
    Language("python", "Python", literals.python, _("Python 3.8 or newer. Nothing else has to be installed.")),
    Language("java", "Java", literals.java, _("Java 11 or newer. Save as MantraCall.java, run: java MantraCall.java")),
    Language("csharp", "C#", literals.csharp, _(".NET 6 or newer, .NET Framework 4.7.2 or newer, or Mono.")),
    Language(
        "javascript",
        "JavaScript",
        literals.javascript,
        _("Node.js 18 or newer. Save as call.mjs, run: node call.mjs. A web page must not contain the access key."),
    ),
    Language("go", "Go", literals.go, _("Go 1.16 or newer. Save as main.go, run: go run main.go")),
    Language("r", "R", literals.r, _("R 4.1 or newer with the packages httr2 and jsonlite.")),
    Language(
        "power_query",
        "Excel Power Query",
        literals.power_query,
        _(
            "Excel or Power BI: Data, Get Data, From Other Sources, Blank Query, Advanced Editor. Choose anonymous "
            "access. Everyone who gets the workbook also gets its access key."
        ),
    ),
)


def languages_for(operation: Operation) -> list[Language]:
    """Return the languages that can call an operation."""
    passes = is_pass_through(operation)
    return [language for language in LANGUAGES if language.passes or not passes]


def codes(example: Example) -> list[Code]:
    """Return the code of an operation in every language that can call it."""
    return [
        Code(language, code(example, language)) for language in LANGUAGES if language.passes or not example.pass_through
    ]


def code(example: Example, language: Language) -> str:
    """Return the code of an operation in a language."""
    context = Context({"api": _known(example, language.literal)}, autoescape=False)
    rendered = _template(language.code).render(context)
    # Django takes it for safe HTML, which it is not.
    return rendered + ""


@lru_cache(len(LANGUAGES))
def _template(name: str) -> Template:
    source = (_TEMPLATES / f"{name}.txt").read_text()
    return Engine(autoescape=False).from_string(_TAG_LINE.sub(r"\1", source))


def _known(example: Example, literal: Callable[[str], str]) -> dict[str, Any]:
    """Return what a template knows: literals, comments, numbers and decisions."""
    return {
        "comments": [literals.comment(line) for line in _comments(example)],
        "url": literal(example.url),
        "wsdl": literal(example.wsdl),
        "soap_operation": literal(example.soap_operation),
        "endpoint": literal(example.legacy_endpoint),
        "operation": literal(example.legacy_operation),
        "rows_key": literal(example.legacy_key),
        "method": literal(example.method),
        "values": [
            {
                "name": literal(value.name),
                "text": literal(value.text),
                "assignment": literal(f"{value.name}={value.text}"),
                "truth": value.truth,
            }
            for value in example.values
        ],
        "columns": [literal(column) for column in example.columns],
        "no_key": literal(gettext("Set the environment variable MANTRA_ACCESS_KEY to the access key first.")),
        "paste_key": literal(gettext("Paste the access key here")),
        "cut": literal(gettext("The response ends at the row limit: there are more rows.")),
        "posts": example.method == "POST",
        "form": example.method == "POST" and not example.pass_through,
        "query": example.method == "GET" and not example.pass_through,
        "key": example.needs_key,
        "pages": example.pages,
        "pass_through": example.pass_through,
        "rows": example.has_rows,
        "seconds": example.seconds,
    }


def _comments(example: Example) -> list[str]:
    """Return what stands above the code. The first line contains no text of the registry."""
    lines = [gettext("Calls an operation of MANTRA.")]
    lines.append(gettext("Operation: %(title)s (%(alias)s)") % {"title": example.title, "alias": example.alias})
    if example.application:
        lines.append(gettext("Application: %s") % example.application)
    if example.needs_key:
        lines.append(gettext("The access key is not part of the program. Keep it out of files that others read."))
    if example.writes:
        lines.append(gettext("The call changes data. After a timeout, check whether it did before you repeat it."))
    if example.pass_through:
        lines.append(gettext("What you append to the address, and the body, are forwarded unchanged."))
    return lines
