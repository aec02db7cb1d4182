"""The rewriting of wordings for the check: what it must keep."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataservices.sql import wordings
from dataservices.sql.tokens import COMMENT, QUOTED

DIALECTS = ("sqlite", "postgres", "mysql", "tsql", "oracle")
PIECES = (
    "select", "from", "t", "a.b", "f(", ")", "(", ",", "order by", "group by", "desc", "using", ">", "join", "as x",
    "with", "(nolock)", "index=ix", "update", "delete", "merge", "top (5)", "output", "limit 5", "rows examined 9",
    "operator(pg_catalog.+)", "u&'x'", "'teks', (''", '"nama"', "[nama]", "`nama`", "-- catatan\n", "/* f( */", "{d",
    "}", "1--{d '2020-01-01'}", "1-", "-", "/", "*", "$1", "0x", "0b11", "!>", "distinctrow", "exists (table",
    "xmlnamespaces ('u' as x)", "set @a +=", "$$ f( $$",
)  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=14), blank=st.sampled_from((" ", "")))
def test_no_call_no_literal_and_no_position_is_lost(dialect: str, pieces: list[str], blank: str) -> None:
    text = blank.join(pieces)
    found = wordings.known(text, dialect)
    quoted = re.compile(rf"{COMMENT[dialect]}|{QUOTED[dialect]}", re.S)
    assert len(found) == len(text)
    before = {match.span(): match[0] for match in quoted.finditer(text)}
    after = {match.span(): match[0] for match in quoted.finditer(found)}
    assert after.items() <= before.items()
    assert not any(found[start:end].strip() for start, end in before.keys() - after.keys())
    assert found.count("f(") == text.count("f(")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.timeout(20)
def test_no_text_keeps_the_rewriting_busy(dialect: str) -> None:
    for piece in ("order by ", "group by a, ", "join using (a) ", "with (", "a . ", "delete from a.", "limit 1, ",
                  "with xmlnamespaces (", "!>", "group by a desc, "):  # fmt: skip
        wordings.known(piece * (20_000 // len(piece)), dialect)
