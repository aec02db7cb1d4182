"""Marks, optional blocks, and which statements may run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from adapters import adapter_class
from adapters.base import Limits, QueryFailed
from dataservices.sql import (
    Problem,
    Template,
    TemplateError,
    check,
    grammar,
    parse,
    quoted_placeholders,
    supports_paging,
)
from dataservices.sql.tokens import tokenizer
from tests.dataservices import statements

DIALECTS = ("sqlite", "postgres", "mysql")
ENGINES = {"sqlite": "sqlite", "postgres": "postgresql", "mysql": "mysql"}


def problem_of(sql: str, dialect: str = "postgres") -> Problem:
    with pytest.raises(TemplateError) as error:
        parse(sql, dialect)
    return error.value.problem


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_works(dialect: str) -> None:
    template = parse("SELECT * FROM t WHERE nip = :nip AND a LIKE '10%'", dialect)
    assert template.placeholders == ("nip",)
    assert template.optional == frozenset()
    assert template.render(["nip"], "pyformat") == ("SELECT * FROM t WHERE nip = %(nip)s AND a LIKE '10%%'", ("nip",))
    assert template.render(["nip"], "named") == ("SELECT * FROM t WHERE nip = :nip AND a LIKE '10%'", ("nip",))
    assert template.render(["nip"], "qmark") == ("SELECT * FROM t WHERE nip = ? AND a LIKE '10%'", ("nip",))


@pytest.mark.parametrize(
    ("dialect", "sql", "marks"),
    [
        ("postgres", "SELECT ':a', \":b\", :c /* :d */ -- :e\n, :f", ("c", "f")),
        ("postgres", "SELECT $$ :a $$, $x$ :b $x$, E'\\':c', :d", ("d",)),
        ("postgres", "SELECT x::text, :a::integer, f(a := 1), b[1: n]", ("a",)),
        ("postgres", "SELECT :limit, :offset, :order, :end, :date", ("limit", "offset", "order", "end", "date")),
        ("postgres", "SELECT :a+:a-:b, (:c)", ("a", "b", "c")),
        ("postgres", "SELECT 1 ORDER BY :_x1", ("_x1",)),
        ("mysql", "SELECT ':a', \":b\", `:c`, 'x\\':d', :e # :f\n, :g", ("e", "g")),
        ("mysql", "CALL p(:a, ':b')", ("a",)),
        ("sqlite", "SELECT [:a], ':b', \":c\", `:d`, :e", ("e",)),
        ("sqlite", "SELECT 'it''s :a', :b", ("b",)),
    ],
)
def test_a_mark_is_found_only_where_a_value_can_stand(dialect: str, sql: str, marks: tuple[str, ...]) -> None:
    assert parse(sql, dialect).placeholders == marks


def test_a_mark_that_occurs_twice_is_bound_twice_by_place() -> None:
    assert parse("SELECT :a, :b, :a", "sqlite").render((), "qmark") == ("SELECT ?, ?, ?", ("a", "b", "a"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_block_stays_when_all_its_marks_are_given(dialect: str) -> None:
    sql = "SELECT 1 FROM t WHERE 1=1[[ AND a=:a AND b=:b]][[ AND c=:c ]] AND d=:d"
    template = parse(sql, dialect)
    assert template.placeholders == ("a", "b", "c", "d")
    assert template.optional == {"a", "b", "c"}
    assert template.render(["d"], "named") == ("SELECT 1 FROM t WHERE 1=1   AND d=:d", ("d",))
    assert template.render(["a", "d"], "named") == ("SELECT 1 FROM t WHERE 1=1   AND d=:d", ("d",))
    assert template.render({"a", "b"}, "qmark") == (
        "SELECT 1 FROM t WHERE 1=1  AND a=? AND b=?   AND d=?",
        ("a", "b", "d"),
    )
    assert template.render("abcd", "named")[1] == ("a", "b", "c", "d")


def test_a_mark_outside_of_blocks_too_is_not_optional() -> None:
    assert parse("SELECT :a [[ , :a, :b ]]", "postgres").optional == {"b"}


@pytest.mark.parametrize(
    ("sql", "dialect", "full"),
    [
        ("SELECT 1 [[ AND x = a[b[1]] AND :y = 1 ]]", "postgres", "SELECT 1   AND x = a[b[1]] AND :y = 1  "),
        ("SELECT 1 [[ AND a[:i] = c[d[:j]]]]", "postgres", "SELECT 1   AND a[:i] = c[d[:j]] "),
        ("SELECT a[b[1]], '[[', \"]]\" /* [[ */", "postgres", "SELECT a[b[1]], '[[', \"]]\" /* [[ */"),
        ("SELECT 1 [[ AND [a b] = :y]]", "sqlite", "SELECT 1   AND [a b] = :y "),
        ("SELECT 1 [[[a b] = :y]]", "sqlite", "SELECT 1  [a b] = :y "),
        ("SELECT 1 [[ AND a = ']]' AND b = :b ]]", "mysql", "SELECT 1   AND a = ']]' AND b = :b  "),
    ],
)
def test_brackets_of_the_dialect_are_no_blocks(sql: str, dialect: str, full: str) -> None:
    template = parse(sql, dialect)
    assert template.render(template.placeholders, "named")[0] == full


@pytest.mark.parametrize(
    ("sql", "code", "place"),
    [
        ("SELECT 1 [[ AND a = :a", "block-open", (1, 10)),
        ("SELECT 1\n [[ AND a = :a [[ AND b = :b ]] ]]", "block-nested", (2, 16)),
        ("SELECT 1 [[ AND a = 1 ]]", "block-empty", (1, 10)),
        ("SELECT ARRAY[[1, 2], [3, 4]]", "block-array", (1, 13)),
        ("SELECT ARRAY[[1]]", "block-empty", (1, 13)),
        ("SELECT 1 LIMIT:n", "mark-adjacent", (1, 15)),
        ("SELECT a[1:n]", "mark-adjacent", (1, 11)),
        ("SELECT :a$b", "mark-name", (1, 8)),
        ("SELECT :nämä", "mark-name", (1, 8)),
        ("SELECT 'a", "unreadable", (None, None)),
        ("SELECT " + "1," * 60_000, "too-long", (None, None)),
    ],
)
def test_a_text_that_cannot_be_read_says_what_to_do(sql: str, code: str, place: tuple[int | None, int | None]) -> None:
    problem = problem_of(sql)
    assert (problem.code, (problem.line, problem.column)) == (code, place)
    assert "{" not in problem.text()
    assert [found.code for found in check(sql, "postgres")] == [code]


def test_paging_needs_both_marks() -> None:
    assert supports_paging(parse("SELECT 1 LIMIT :limit OFFSET :offset", "postgres"))
    assert not supports_paging(parse("SELECT 1 LIMIT :limit OFFSET 0", "postgres"))
    assert not supports_paging(parse("SELECT 1", "postgres"))


def test_a_rendering_is_made_once() -> None:
    template = parse("SELECT :a [[ , :b ]]", "postgres")
    assert template.render(["a", "x"], "named") is template.render({"a": 1}, "named")
    assert template.render(["a", "b"], "named") is not template.render(["a"], "named")


def test_renderings_do_not_pile_up() -> None:
    names = [f"p{number}" for number in range(12)]
    template = parse("SELECT 1" + "".join(f"[[ , :{name} ]]" for name in names), "postgres")
    for number in range(4096):
        given = [name for index, name in enumerate(names) if number >> index & 1]
        assert template.render(given, "named")[1] == tuple(given)
    assert len(template._renderings) <= 256


PLAIN = ["SELECT ", "1", ", ", "x", " % ", "%s", "%%", "\n", "-- :no [[ \n", "/* :no ]] */", "':no'", '"a:no"']
MARKED = [" :a ", " :b ", " :limit ", "[[ :a ]]", "[[ x = :b ]]", "[[:c + :d]]", "[[ ':no' :e /* ]] */ ]]"]
pieces = st.lists(
    st.one_of(
        st.sampled_from(PLAIN),
        st.sampled_from(MARKED),
        st.text(alphabet="abc é😀'\"%,()", max_size=5).map(lambda text: "'" + re.sub(r"['\"]", "''", text) + "'"),
    ),
    max_size=12,
)


@given(pieces, st.sets(st.sampled_from(["a", "b", "c", "d", "e", "limit"])))
def test_all_text_outside_of_marks_is_kept(parts: list[str], given_names: set[str]) -> None:
    sql = " ".join(parts)
    template = parse(sql, "postgres")
    expected = "".join(" " + _expected(part, given_names) for part in parts)[1:]
    assert template.render(given_names, "named") == (expected, tuple(_marks(expected)))
    rendered, order = template.render(given_names, "pyformat")
    assert rendered % {name: f":{name}" for name in order} == expected
    for names in (given_names, template.placeholders, ()):
        assert len(template.sample(names)) == len(sql)


def _expected(part: str, names: set[str]) -> str:
    if not part.startswith("[["):
        return part
    return f" {part[2:-2]} " if set(_marks(part)) <= names else " "


def _marks(text: str) -> list[str]:
    return [name for name in re.findall(r":([a-z]+)", text) if name != "no"]


@given(st.text(alphabet="SELECT select:abc[]'\"`$-/*#{}\\\n\r\t ;,()=@?%!0é\u00a0\x00", max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    for dialect in DIALECTS:
        for sql in (text, "SELECT " + text):
            for problem in check(sql, dialect):
                assert problem.text()
            # parse() alone must raise nothing but its own error either.
            with suppress(TemplateError):
                assert isinstance(parse(sql, dialect), Template)


def honest(dialect: str) -> list[str]:
    common = [sql for sql in statements.READING if dialect != "sqlite" or sql not in statements.NOT_SQLITE]
    return [*common, *statements.READING_IN[dialect]]


CASES = [(dialect, sql) for dialect in DIALECTS for sql in honest(dialect)]
WRITES = [(dialect, sql) for dialect in DIALECTS for sql in statements.WRITING[dialect]]
HOSTILE = [(dialect, sql) for dialect in DIALECTS for sql in (*statements.HOSTILE, *statements.HOSTILE_IN[dialect])]
HOSTILE_WRITES = [
    (dialect, sql)
    for dialect in DIALECTS
    for sql in (*statements.HOSTILE_WRITING[dialect], *statements.HOSTILE_IN[dialect])
]


@pytest.mark.parametrize(("dialect", "sql"), CASES)
def test_an_honest_statement_passes(dialect: str, sql: str) -> None:
    assert [problem.text() for problem in check(sql, dialect)] == []


@pytest.mark.parametrize(("dialect", "sql"), WRITES)
def test_an_honest_write_passes_only_as_one(dialect: str, sql: str) -> None:
    assert [problem.text() for problem in check(sql, dialect, writes=True)] == []
    assert check(sql, dialect)


@pytest.mark.parametrize(("dialect", "sql"), HOSTILE)
def test_a_hostile_statement_is_refused(dialect: str, sql: str) -> None:
    problems = check(sql, dialect)
    assert problems
    for problem in problems:
        assert problem.text()


@pytest.mark.parametrize(("dialect", "sql"), HOSTILE_WRITES)
def test_a_hostile_write_is_refused(dialect: str, sql: str) -> None:
    assert check(sql, dialect, writes=True)


def test_a_reading_statement_is_no_write() -> None:
    for dialect, sql in CASES:
        assert check(sql, dialect, writes=True), sql


@pytest.mark.parametrize(
    ("sql", "code", "place"),
    [
        ("SELECT 1,\n  pg_sleep(1)", "function", (2, 3)),
        ("SELECT nama\nFROM\nWHERE 1 = 1", "syntax", (3, 1)),
        ("SELECT 1; SELECT 2", "statements", (1, 9)),
        ("DELETE FROM t WHERE a = 1", "not-reading", (1, 1)),
        ("SELECT * FROM pg_shadow", "table", (None, None)),
        ("SELECT 1 /*! 2 */", "comment", (1, 10)),
        ("SELECT\u00a01", "character", (1, 7)),
        ("SELECT a.b(1)", "function-qualified", (1, 10)),
        ("SELECT 1,\n (t.a).b FROM t", "attribute", (2, 3)),
        ("SELECT t.pg_typeof FROM t", "function", (1, 8)),
        ("SELECT current_user", "function", (None, None)),
        ("SELECT 'x'::regclass", "type", (None, None)),
        ("SELECT a OPERATOR(public.+) 1", "function", (1, 10)),
    ],
)
def test_a_problem_says_where(sql: str, code: str, place: tuple[int | None, int | None]) -> None:
    problem, *_ = check(sql, "postgres")
    assert (problem.code, (problem.line, problem.column)) == (code, place)


def test_a_part_that_the_grammar_does_not_know_is_refused() -> None:
    """Parts that the parser knows, and nobody has looked at what the engines do with them."""
    for dialect, sql in (
        ("postgres", "SELECT a FROM t CLUSTER BY a"),
        ("sqlite", "SELECT a FROM t DISTRIBUTE BY b"),
        ("tsql", "SELECT hierarchyid::Parse('/')"),
        ("oracle", "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a) DEFINE a AS b > 1)"),
    ):
        assert {problem.code for problem in check(sql, dialect)} & {"construct", "syntax", "function"}, sql


@pytest.mark.parametrize("dialect", [*DIALECTS, "tsql", "oracle"])
def test_the_parser_leaves_functions_to_the_lists(dialect: str) -> None:
    """A call is an Anonymous with its name and arguments, so that no function has a shape of its own by accident."""
    sql = "SELECT date_add(a, b), sum(c), nextval('s'), current_setting('x') FROM t"
    (tree,) = grammar.parse(tokenizer(dialect).tokenize(sql), sql, dialect)
    assert tree is not None
    assert [call.name.lower() for call in tree.expressions] == ["date_add", "sum", "nextval", "current_setting"]
    assert {type(call) for call in tree.expressions} == {exp.Anonymous}


def test_a_problem_in_the_arguments_of_a_call_says_where() -> None:
    (problem,) = check("CALL p(1, pg_sleep(1))", "postgres", writes=True)
    assert (problem.code, problem.line, problem.column) == ("function", 1, 11)


def test_the_operator_may_allow_a_function() -> None:
    assert [problem.code for problem in check("SELECT hitung_umur(a) FROM t", "postgres")] == ["function"]
    assert check("SELECT hitung_umur(a) FROM t", "postgres", allowed={"hitung_umur"}) == []


def test_a_write_may_not_lose_its_only_condition() -> None:
    sql = "UPDATE t SET a = 1 [[ WHERE b = :b ]]"
    assert [problem.code for problem in check(sql, "mysql", writes=True)] == ["every-row"]
    assert check("UPDATE t SET a = 1 WHERE c = :c [[ AND b = :b ]]", "mysql", writes=True) == []
    assert check("UPDATE t SET a = 1 WHERE 1 = 1", "mysql", writes=True) == []


@contextmanager
def prepared(dialect: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[Any, Any]]:
    """An engine with the tables of the statements, and a connection to it that reads."""
    if dialect == "sqlite":
        path = folder / "x.db"
        path.touch()
        source = {"database": str(path), "roots": [str(folder)]}
    else:
        source = request.getfixturevalue({"postgres": "postgresql", "mysql": "mariadb"}[dialect]).source()
    adapter = adapter_class(ENGINES[dialect])(source)
    maker = adapter.connect(writes=True)
    for table in ("pegawai", "unit"):
        adapter.run(maker, f"DROP TABLE IF EXISTS {table}", {}, Limits(1, 10, writes=True))
    for sql in statements.TABLES:
        adapter.run(maker, sql, {}, Limits(1, 10, writes=True))
    maker.close()
    connection = adapter.connect()
    try:
        yield adapter, connection
    finally:
        connection.close()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_honest_statements_run_on_the_real_thing(
    dialect: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """With every parameter and with none: what a block leaves behind is a statement too."""
    refused = []
    with prepared(dialect, request, tmp_path) as (adapter, connection):
        for sql in honest(dialect):
            template = parse(sql, dialect)
            for names in (template.placeholders, ()):
                text, order = template.render(names, adapter.paramstyle)
                try:
                    stream = adapter.run(connection, text, dict.fromkeys(order, _value(order, sql)), Limits(100, 10))
                    list(stream)
                    stream.close()
                except QueryFailed as error:
                    refused.append((sql, str(error)))
    assert refused == []


def _value(order: tuple[str, ...], sql: str) -> Any:
    """A value that fits wherever the statements have a mark: text for what is joined to text."""
    numbers = {"limit", "offset", "akhir", "x", "unit", "n", "dari", "sampai"}
    if "sejak" in order:
        return "2024-01-01"
    return 1 if numbers & set(order) and "nama" not in order else "1"


# ------------------------------------------------------------------- what a value or a placeholder would do silently


@pytest.mark.parametrize(
    ("given", "split"),
    [
        ({"dari"}, (["dari"], ["sampai"])),
        ({"sampai"}, (["sampai"], ["dari"])),
        ({"dari", "sampai"}, None),
        (set(), None),
        ({"unit"}, None),
        ({"unit", "sampai"}, (["sampai"], ["dari"])),
        ({"jenis"}, None),
    ],
)
def test_a_value_that_would_be_without_effect_is_found(given: set[str], split: Any) -> None:
    template = parse(
        "SELECT 1 FROM t WHERE a = :a [[ AND lahir BETWEEN :dari AND :sampai ]] [[ AND unit = :unit AND a <> :a ]] "
        "[[ AND jenis = :jenis ]] [[ AND jenis = :jenis AND tahun = :tahun ]]",
        "postgres",
    )
    assert template.split(given, {*given, "a"}) == split


def test_a_default_alone_is_not_a_callers_value() -> None:
    template = parse("SELECT 1 WHERE 1 = 1 [[ AND x BETWEEN :dari AND :sampai ]]", "postgres")
    assert template.split(set(), {"dari"}) is None


@pytest.mark.parametrize(
    ("dialect", "sql", "instead"),
    [
        ("postgres", "SELECT 1 FROM t WHERE nama ILIKE '%:nama%' AND b = :b", "'%' || :nama || '%'"),
        ("mysql", "SELECT 1 FROM t WHERE nama LIKE '%:nama%'", "CONCAT('%', :nama, '%')"),
        ("tsql", "SELECT 1 FROM t WHERE nama LIKE ':nama%'", ":nama + '%'"),
        ("oracle", "SELECT 1 FROM t WHERE nama = ':nama'", ":nama"),
        ("sqlite", "SELECT 1 FROM t WHERE nama LIKE 'it''s :nama'", "'it''s ' || :nama"),
        ("sqlite", 'SELECT 1 FROM t WHERE nama = ":nama"', ":nama"),
        ("mysql", 'SELECT 1 FROM t WHERE nama LIKE "%:nama%"', 'CONCAT("%", :nama, "%")'),
        ("mysql", "SELECT 1 FROM t WHERE nama = N':nama'", ":nama"),
        ("tsql", "SELECT 1 FROM t WHERE nama LIKE N'%:nama'", "N'%' + :nama"),
        ("postgres", "SELECT 1 FROM t WHERE nama LIKE E'%:nama\\n'", "E'%' || :nama || E'\\n'"),
        ("postgres", "SELECT 1 FROM t WHERE nama LIKE $a$%:nama$a$", "$a$%$a$ || :nama"),
    ],
)
def test_a_placeholder_in_quotation_marks_is_found_with_its_right_spelling(
    dialect: str, sql: str, instead: str
) -> None:
    (problem,) = quoted_placeholders(sql, dialect)
    assert (problem.code, problem.details["instead"], problem.line) == ("mark-quoted", instead, 1)
    assert problem.details["name"] == "nama"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT TO_CHAR(x, 'HH24:MI:SS'), '12:30', 'a:b', 'Nama: x', 'https://x', ':', 'x::int'",
        "SELECT '{\"a\":null}', x ~ '[[:alpha:]]' OR x ~ '^(?:abc)$', \"kolom :x\", :x -- ':y'",
        "SELECT '%:' || 'nama%'",
    ],
)
def test_a_colon_that_belongs_to_a_text_is_no_placeholder(sql: str) -> None:
    assert quoted_placeholders(sql, "postgres") == []
