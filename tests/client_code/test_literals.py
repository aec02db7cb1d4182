"""A text as a literal is that text, and nothing else, to the language itself."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mantra.client_code import literals
from tests.client_code.running import ODD

#: Everything that a text of the registry may hold: no NUL, no half of a surrogate pair.
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)
NASTY = (
    "", "'", '"', "\\", "\\\\'", "$x ${x} {$x} $(x) `x`", "%s %{x} %d", "{{ x }} {% x %} {# x #}", "#{x} #(lf) #(#)",
    "?> */ --> </script> <!--", "\\u0022); //",
    "\n\r\t\x0b\x1b[201~rm", "\u202e\u2028\u2029\u0085\ufeff\u00ad", "é 名 😀",
    "\U000e0001", "a" * 500, ODD, "''", "$'", "'$(x)'", "\\x41\\101", "@file", "-rm", "~", "!x",
)  # fmt: skip
#: Literals that begin and end in a quote, and what may be between: an escape, or anything but the quote itself.
QUOTED: dict[str, tuple[Callable[[str], str], str]] = {
    "php": (literals.php, r'"(?:\\[\\"$]|\\x[0-9a-f]{2}|[^"\\$])*"'),
    "python": (literals.python, r'"(?:\\[\\"nrt]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|[^"\\])*"'),
    "java": (literals.java, r'"(?:\\[\\"nrt]|\\u[0-9a-f]{4}|[ !#-\[\]-~])*"'),
    "csharp": (literals.csharp, r'"(?:\\[\\"nrt]|\\u[0-9a-f]{4}|[^"\\])*"'),
    "javascript": (literals.javascript, r'"(?:\\[\\"nrt]|\\u[0-9a-f]{4}|[^"\\<])*"'),
    "power_query": (literals.power_query, r'"(?:""|#\((?:#|lf|cr|tab|[0-9A-F]{4}|[0-9A-F]{8})\)|#(?!\()|[^"#])*"'),
}


def every(test: Callable[[str], None]) -> Callable[[str], None]:
    """Give a test any text, and always the nasty ones."""
    test = settings(max_examples=30, deadline=None)(given(TEXTS)(test))
    for text in NASTY:
        test = example(text)(test)
    return test


@every
def test_nothing_ends_a_literal_or_is_unseen(text: str) -> None:
    for language, (literal, pattern) in QUOTED.items():
        written = literal(text)
        assert re.fullmatch(pattern, written, re.S), language
        assert not any(literals._unseen(each) for each in written), language
    written = literals.shell(text)
    assert not any(literals._unseen(each) for each in written)
    assert re.fullmatch(r"'(?:[^']|'\\'')*'|\$'(?:\\[0-7]{3}|[^\\'])*'", written, re.S)


@every
def test_python_and_those_that_write_as_json_does(text: str) -> None:
    assert ast.literal_eval(literals.python(text)) == text
    for literal in (literals.java, literals.csharp, literals.javascript):
        assert json.loads(literal(text)) == text  # the escapes that are used are those of JSON


@every
def test_power_query(text: str) -> None:
    names = {"lf": "\n", "cr": "\r", "tab": "\t", "#": "#"}
    inner = literals.power_query(text)[1:-1].replace('""', '"')
    read = re.sub(r"#\((\w+|#)\)", lambda found: names.get(found[1]) or chr(int(found[1], 16)), inner)
    assert read == text


@every
def test_a_comment_is_one_line_that_ends_nowhere_else(text: str) -> None:
    line = literals.comment(text)
    assert len(line) <= 120
    assert not any(literals._unseen(each) for each in line)
    assert not re.search(r"[?%]>|\*/|\\|</|<!", line)


def ran(interpreter: str, program: str) -> str:
    return subprocess.run([interpreter], input=program.encode(), capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize("language", ["php", "shell"])
def test_the_language_itself_reads_the_text(language: str) -> None:
    """All texts in one program."""
    if language == "php":
        lines = [f'echo bin2hex({literals.php(text)}), "\\n";' for text in NASTY]
        told = ran("php", "<?php\n" + "\n".join(lines))
        found = [bytes.fromhex(line).decode() for line in told.split("\n")[: len(NASTY)]]
    else:
        told = ran("bash", "".join(f"printf '%s\\0' {literals.shell(text)}\n" for text in NASTY))
        found = told.split("\0")[:-1]
    assert found == list(NASTY)
