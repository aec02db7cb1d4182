"""A query in parentheses: nothing gets out of them, and nothing may run there that may not run by itself."""

from __future__ import annotations

import pytest

from dataservices.sql import NotWrappable, TemplateError, check, parse, wrappable
from tests.dataservices.statements import HOSTILE, HOSTILE_IN, READING_IN

DIALECTS = ("sqlite", "postgres", "mysql", "tsql", "oracle")


def union(sql: str, dialect: str, style: str = "named") -> str:
    template = parse(sql, dialect)
    return wrappable(template, template.placeholders, dialect).union(2, style)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_works(dialect: str) -> None:
    assert union("SELECT a, '%' AS b FROM t WHERE a = :a OR (b = :b AND a > :a);  -- akhir", dialect, "pyformat") == (
        "SELECT 0 AS mantra_n, t.* FROM (\n"
        "SELECT a, '%%' AS b FROM t WHERE a = %(p0_0)s OR (b = %(p0_1)s AND a > %(p0_0)s)\n"
        ") t\nUNION ALL\nSELECT 1 AS mantra_n, t.* FROM (\n"
        "SELECT a, '%%' AS b FROM t WHERE a = %(p1_0)s OR (b = %(p1_1)s AND a > %(p1_0)s)\n) t"
    )


def test_values_go_by_the_names_of_their_query() -> None:
    query = wrappable(parse("SELECT a FROM t WHERE a = :a AND b = :b", "sqlite"), ("a", "b"), "sqlite")
    assert query.bound(7, {"a": 1, "b": 2, "c": 3}) == {"p7_0": 1, "p7_1": 2}


@pytest.mark.parametrize("dialect", list(READING_IN))
def test_statements_that_may_run_may_stand_in_parentheses(dialect: str) -> None:
    refused = []
    for sql in READING_IN[dialect]:
        try:
            union(sql, dialect)
        except NotWrappable as error:
            refused.append(error.reason)
    assert set(refused) <= {"statement", "with"} and len(refused) < len(READING_IN[dialect]) / 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_may_not_run_may_not_run_there(dialect: str) -> None:
    """Also for a definition that was checked by an older version. A comment at the end is not there any more."""
    refused = 0
    for sql in (*HOSTILE, *HOSTILE_IN.get(dialect, ())):
        try:
            text = union(sql, dialect)
        except (NotWrappable, TemplateError):
            refused += 1
        else:
            assert check(text, dialect) == [], sql
    assert refused > len(HOSTILE) / 2


@pytest.mark.parametrize(
    ("sql", "end"),
    [
        ("SELECT a FROM t ORDER BY a", "FROM t"),
        ("SELECT a FROM t ORDER BY a, (SELECT max(b) FROM u) DESC -- x", "FROM t"),
        ("SELECT TOP 5 a FROM t ORDER BY a", "ORDER BY a"),
        ("SELECT a FROM t ORDER BY a OFFSET :mulai ROWS FETCH NEXT 5 ROWS ONLY", "NEXT 5 ROWS ONLY"),
        ("SELECT row_number() OVER (ORDER BY a) AS n FROM t", "FROM t"),
    ],
)
def test_an_order_that_t_sql_does_not_take_is_cut_off(sql: str, end: str) -> None:
    text = union(sql, "tsql")
    assert text.endswith(f"{end}\n) t") and text.count("mantra_n") == 2


@pytest.mark.parametrize(
    ("sql", "ordered"),
    [
        ("SELECT a FROM t", False),
        ("SELECT a FROM t ORDER BY a LIMIT 3", True),
        ("(SELECT a FROM t ORDER BY a LIMIT 3)", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a) x", False),
        ("SELECT a FROM t [[ WHERE a = :a ]] [[ ORDER BY :b ]]", False),
    ],
)
def test_an_order_is_known(sql: str, ordered: bool) -> None:
    assert wrappable(parse(sql, "postgres"), ("a",), "postgres").ordered is ordered


@pytest.mark.parametrize(
    ("sql", "dialect", "reason"),
    [
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", "tsql", "with"),
        ("DECLARE @a int; SET @a = :a; SELECT @a AS a", "tsql", "statement"),
        ("UPDATE t SET a = 1", "sqlite", "statement"),
        ("CALL hitung(:a)", "postgres", "statement"),
    ],
)
def test_what_cannot_stand_in_parentheses(sql: str, dialect: str, reason: str) -> None:
    with pytest.raises(NotWrappable) as error:
        union(sql, dialect)
    assert error.value.reason == reason


def test_names_that_depend_on_values() -> None:
    for sql, fixed in (
        ("SELECT a, count(*), upper(b) AS c FROM t WHERE a = :a", True),
        ("SELECT a + :a FROM t", False),
        ("SELECT t.* FROM t UNION SELECT 5 FROM t", True),
        ("SELECT 5 FROM t UNION SELECT a FROM t", False),
    ):
        template = parse(sql, "mysql")
        if fixed:
            wrappable(template, ("a",), "mysql", named=True)
        else:
            with pytest.raises(NotWrappable):
                wrappable(template, ("a",), "mysql", named=True)
