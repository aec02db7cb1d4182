"""Query specs become SQL that the check of SQL takes, and that becomes the same spec again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import ADAPTERS
from adapters.base import ColumnInfo, Key
from dataservices.builder import (
    INNER,
    LEFT,
    OPERATOR_LABELS,
    OPERATORS,
    Column,
    ColumnRef,
    Filter,
    Join,
    Order,
    Spec,
    SpecError,
    Table,
    Value,
    from_json,
    from_sql,
    operators_for,
    parameter_names,
    parameters,
    suggested_joins,
    to_json,
    to_sql,
)
from dataservices.builder.dialects import DIALECTS, dialect_of
from dataservices.sql import check, parse, quoted_placeholders
from tests.dataservices.specs import specs

ENGINES = sorted(DIALECTS)
EXAMPLES = settings(max_examples=10, deadline=None)


def test_every_engine_has_a_dialect() -> None:
    assert set(DIALECTS) == set(ADAPTERS)


@pytest.mark.parametrize("engine", ENGINES)
@given(data=st.data())
@EXAMPLES
def test_the_sql_of_a_spec_is_read_as_that_spec(engine: str, data: st.DataObject) -> None:
    spec = data.draw(specs(engine))
    sql = to_sql(spec, engine)
    assert from_sql(sql, engine, spec.page_size) == spec


@pytest.mark.parametrize("engine", ENGINES)
@given(data=st.data())
@EXAMPLES
def test_the_check_takes_the_sql_of_a_spec(engine: str, data: st.DataObject) -> None:
    spec = data.draw(specs(engine))
    sql = to_sql(spec, engine)
    grammar = dialect_of(engine).grammar
    assert [problem.text() for problem in check(sql, grammar) + quoted_placeholders(sql, grammar)] == []
    template = parse(sql, grammar)
    assert set(template.placeholders) == {*spec.parameters, *(("limit", "offset") if spec.page_size else ())}
    assert template.optional == {name for each in spec.filters if each.optional for name in each.parameters}


@given(data=st.data())
@EXAMPLES
def test_json_keeps_a_spec(data: st.DataObject) -> None:
    spec: Spec = data.draw(specs(data.draw(st.sampled_from(ENGINES))))
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec


NIK = ColumnRef("pegawai", "nik")
SIMPLE = Spec(Table("public", "pegawai"), (), (Column(NIK),))


def made(sql: str, engine: str = "postgresql", page_size: int = 0) -> str | None:
    """What is written of what was read."""
    spec = from_sql(sql, engine, page_size)
    return spec and to_sql(spec, engine)


WRITTEN = """\
SELECT p.nik, j.nama AS jabatan
FROM public.pegawai AS p
LEFT JOIN public.jabatan AS j ON j.kode = p.kode_jab
WHERE p.aktif = TRUE
  [[ AND p.tgl_lahir BETWEEN :dari AND :sampai ]]
  AND p.unit IN ('A', 'B')
ORDER BY p.nik DESC, j.nama
LIMIT 100"""


@pytest.mark.parametrize(
    "sql",
    [
        WRITTEN,
        WRITTEN.replace("\n", " "),
        WRITTEN.replace(" ", "\n\t"),
        WRITTEN + ";",
        re.sub(r"\b[A-Z]{2,}\b", lambda word: word[0].lower(), WRITTEN),
        WRITTEN.replace("p.nik", "P . NIK"),
        WRITTEN.replace("p.nik", '"p"."nik"'),
        WRITTEN.replace("LEFT JOIN", "LEFT OUTER JOIN"),
        WRITTEN.replace("j.kode = p.kode_jab", "p.kode_jab = j.kode"),
        WRITTEN.replace("DESC, j.nama", "DESC, j.nama ASC"),
        WRITTEN.replace("j.nama\nLIMIT", "jabatan\nLIMIT"),
        WRITTEN.replace("[[ AND", "[[AND").replace(":sampai ]]", ":sampai]]"),
    ],
)
def test_other_formatting_is_read(sql: str) -> None:
    assert made(sql) == WRITTEN


@pytest.mark.parametrize(
    "sql",
    [
        "", ";", "SELECT", "SELECT 1", "SELECT * FROM pegawai", "SELECT nik FROM", "SELECT nik FROM a, b",
        "SELECT DISTINCT nik FROM pegawai", "SELECT p.* FROM pegawai AS p", "SELECT nik AS 'x' FROM pegawai",
        "SELECT upper(nik) FROM pegawai", "SELECT count(*) FROM pegawai", "SELECT nik + 1 FROM pegawai",
        "SELECT (nik) FROM pegawai", "SELECT nik FROM (SELECT nik FROM pegawai) AS x", "SELECT nik, nik FROM pegawai",
        "WITH x AS (SELECT 1) SELECT nik FROM x", "SELECT nik FROM pegawai UNION SELECT nik FROM pegawai",
        "SELECT nik FROM a.b.pegawai", "SELECT nik FROM pegawai p", "SELECT x.nik FROM pegawai AS p",
        "SELECT nik FROM pegawai -- catatan", "SELECT nik /* catatan */ FROM pegawai",
        "SELECT a.x FROM a RIGHT JOIN b ON b.x = a.x", "SELECT a.x FROM a CROSS JOIN b", "SELECT a.x FROM a JOIN b",
        "SELECT a.x FROM a JOIN b USING (x)", "SELECT a.x FROM a JOIN b ON b.x > a.x",
        "SELECT x FROM a JOIN b ON b.x = a.x",
        "SELECT a.x FROM a JOIN b ON b.x = 1", "SELECT a.x FROM a JOIN b ON b.x = a.x OR b.y = a.y",
        "SELECT a.x FROM a JOIN b ON a.x = a.y", "SELECT a.x FROM a JOIN b ON b.x = c.x JOIN c ON c.x = a.x",
        "SELECT a.x FROM a NATURAL JOIN b", "SELECT a.x FROM a FULL JOIN b ON b.x = a.x",
        "SELECT nik FROM pegawai WHERE nik = 1 OR nik = 2", "SELECT nik FROM pegawai WHERE NOT nik = 1",
        "SELECT nik FROM pegawai WHERE (nik = 1)", "SELECT nik FROM pegawai WHERE nik = nama",
        "SELECT nik FROM pegawai WHERE 1 = nik", "SELECT nik FROM pegawai WHERE 1 = 1",
        "SELECT nik FROM pegawai WHERE TRUE",
        "SELECT nik FROM pegawai WHERE 1 = 1 AND nik = 2", "SELECT nik FROM pegawai WHERE nik = 1 + 1",
        "SELECT nik FROM pegawai WHERE nik NOT IN (1)", "SELECT nik FROM pegawai WHERE nik IN ()",
        "SELECT nik FROM pegawai WHERE nik IN (SELECT 1)", "SELECT nik FROM pegawai WHERE nik IN (:a, :b)",
        "SELECT nik FROM pegawai WHERE nik NOT BETWEEN 1 AND 2", "SELECT nik FROM pegawai WHERE nik BETWEEN 1 AND :a",
        "SELECT nik FROM pegawai WHERE nik = :a AND nama = :a", "SELECT nik FROM pegawai WHERE nik = :limit",
        "SELECT nik FROM pegawai WHERE nik LIKE 'a%'", "SELECT nik FROM pegawai WHERE nik = '' ",
        "SELECT nik FROM pegawai WHERE nik = E'a'", "SELECT nik FROM pegawai WHERE nik = $$a$$",
        "SELECT nik FROM pegawai WHERE nik = 0x10", "SELECT nik FROM pegawai WHERE nik = 1e3",
        "SELECT nik FROM pegawai WHERE nik = 007", "SELECT nik FROM pegawai WHERE nik = 1.",
        "SELECT nik FROM pegawai WHERE nik = NULL",
        "SELECT nik FROM pegawai WHERE tgl = DATE '2026-13-01'", "SELECT nik FROM pegawai WHERE nik = 'a' || nama",
        "SELECT nik FROM pegawai WHERE STRPOS(LOWER(nik), LOWER(nama)) > 0",
        "SELECT nik FROM pegawai WHERE STRPOS(LOWER(nik), LOWER('x')) > 1",
        "SELECT nik FROM pegawai WHERE (nik IS NULL OR nama = '')",
        "SELECT nik FROM pegawai WHERE x = 1 [[ AND a = :a AND b = 1 ]]",
        "SELECT nik FROM pegawai WHERE x = 1 [[ OR a = :a ]]", "SELECT nik FROM pegawai [[ WHERE a = :a ]]",
        "SELECT nik FROM pegawai WHERE [[ a = :a ]]", "SELECT nik FROM pegawai WHERE x = 1 [[ AND a = 1 ]]",
        "SELECT nik FROM pegawai WHERE x = 1 [[ AND a = :a",
        "SELECT nik FROM pegawai WHERE x = 1 [[ AND a = :a AND b = :b ]]",
        "SELECT nik FROM pegawai GROUP BY nik", "SELECT nik FROM pegawai ORDER BY 1",
        "SELECT nik FROM pegawai ORDER BY lower(nik)",
        "SELECT nik FROM pegawai ORDER BY nik NULLS LAST", "SELECT nik FROM pegawai LIMIT 5 OFFSET 5",
        "SELECT nik FROM pegawai LIMIT :n", "SELECT nik FROM pegawai LIMIT ALL",
        "SELECT nik FROM pegawai FETCH FIRST 5 ROWS ONLY",
        "SELECT nik FROM pegawai LIMIT :limit OFFSET :offset", "SELECT TOP 5 nik FROM pegawai",
        "SELECT nik FROM pegawai FOR UPDATE",
        "SELECT nik FROM pegawai; SELECT 1", "UPDATE pegawai SET nik = 1", "DELETE FROM pegawai WHERE nik = :nik",
        "SELECT nik, nama AS nik2 FROM pegawai WHERE nik2 = 1 AND nama = :",
        "SELECT nama AS nik, nik AS x FROM pegawai WHERE nik = 1",
    ],
)  # fmt: skip
def test_sql_of_another_kind_is_not_read(sql: str) -> None:
    assert from_sql(sql, "postgresql") is None


@pytest.mark.parametrize(
    ("engine", "sql"),
    [
        ("mysql", r"SELECT a FROM t WHERE a = 'x\ny'"),
        ("mysql", r"SELECT a FROM t WHERE a = 'it\'s'"),
        ("mysql", 'SELECT a FROM t WHERE a = "x"'),
        ("mysql", "SELECT a FROM t WHERE a = 'x' 'y'"),
        ("mysql", "SELECT SQL_NO_CACHE a FROM t"),
        ("mysql", "SELECT a FROM t LIMIT 5, 5"),
        ("sqlserver", "SELECT a FROM t WHERE a = 'é'"),
        ("sqlserver", "SELECT a FROM t WHERE a = N'e'"),
        ("sqlserver", "SELECT TOP 5 PERCENT a FROM t"),
        ("sqlserver", "SELECT TOP 0 a FROM t"),
        ("sqlserver", "SELECT a FROM t WITH (NOLOCK)"),
        ("sqlserver", "SELECT a FROM t LIMIT 5"),
        ("oracle", "SELECT a FROM t SAMPLE (10)"),
        ("oracle", "SELECT sysdate FROM t"),
        ("oracle", "SELECT a FROM t WHERE rownum < 5"),
        ("sqlite", "SELECT a FROM t LIMIT 0"),
        ("sqlite", "SELECT [a] FROM t"),
        ("postgresql", 'SELECT x AS "Nama", nama AS y FROM t ORDER BY nama'),
        ("postgresql", 'SELECT É FROM t'),
        ("postgresql", "SELECT a FROM t WHERE a = U&'x'"),
        ("postgresql", "SELECT current_date FROM t"),
    ],
)  # fmt: skip
def test_what_an_engine_reads_otherwise_is_not_read(engine: str, sql: str) -> None:
    assert from_sql(sql, engine) is None


def test_a_column_called_1_is_no_beginning_of_a_condition() -> None:
    sql = 'SELECT a\nFROM t\nWHERE "1" = 1\n  [[ AND b = :b ]]'
    assert made(sql) == sql


def test_pages_belong_to_the_operation() -> None:
    paged = replace(SIMPLE, order=(Order(NIK),), page_size=50)
    sql = to_sql(paged, "postgresql")
    assert sql.endswith("ORDER BY nik\nLIMIT :limit OFFSET :offset")
    assert from_sql(sql, "postgresql", 50) == paged
    assert from_sql(sql, "postgresql") is None
    assert from_sql(to_sql(SIMPLE, "postgresql"), "postgresql", 50) is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"table": None}, "table"),
        ({"table": {"name": 5}}, "table.name"),
        ({"table": {"name": ""}}, "table"),
        ({"table": {"name": "x" * 129}}, "table"),
        ({"table": {"name": 'a"b'}}, "table"),
        ({"lain": 1}, "query"),
        ({"columns": {}}, "columns"),
        ({"columns": [{}] * 201}, "columns"),
        ({"columns": [{"column": {"table": "x", "column": "nik"}}]}, "columns[0]"),
        ({"columns": [{"column": {"table": "pegawai", "column": "nik"}, "nama": 1}]}, "columns[0]"),
        ({"filters": [{"column": {"table": "pegawai", "column": "nik"}, "operator": "drop"}]}, "filters[0]"),
        ({"filters": [{"column": {"table": "pegawai", "column": "nik"}, "operator": "="}]}, "filters[0]"),
        ({"row_limit": -1}, "row_limit"),
        ({"row_limit": True}, "row_limit"),
        ({"row_limit": 10**9}, "row_limit"),
        ({"page_size": 20_000}, "page_size"),
        ({"page_size": 5, "row_limit": 5}, "page_size"),
        ({"order": [{"column": {"table": "pegawai", "column": "nik"}, "descending": 1}]}, "order[0].descending"),
        ({"joins": [{"kind": "cross", "table": {"name": "b"}, "on": []}]}, "joins[0]"),
        ({"joins": [{"kind": "left", "table": {"name": "b"}, "on": []}]}, "joins[0]"),
        (
            {"joins": [{"kind": "left", "table": {"name": "b"}, "on": [{"earlier": {"table": "c", "column": "x"},
                                                                        "column": "y"}]}]},
            "joins[0].on",
        ),
    ],
)  # fmt: skip
def test_json_that_is_no_spec_is_refused_at_its_place(change: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as error:
        from_json({**to_json(SIMPLE), **change})
    assert error.value.path == path
    assert error.value.message


def test_an_unfinished_spec_is_kept_but_has_no_sql() -> None:
    unfinished = from_json({"table": {"name": "pegawai"}})
    assert unfinished == Spec(Table("", "pegawai"))
    with pytest.raises(SpecError):
        to_sql(unfinished, "sqlite")
    with pytest.raises(SpecError):  # pages without an order
        to_sql(replace(SIMPLE, page_size=5), "postgresql")
    with pytest.raises(SpecError):
        to_sql(replace(SIMPLE, page_size=5, order=(Order(NIK),)), "sybase")
    apostrophe = replace(SIMPLE, columns=(Column(ColumnRef("pegawai", "Jum'at")),))
    assert '"Jum\'at"' in to_sql(apostrophe, "oracle")
    with pytest.raises(SpecError):
        to_sql(apostrophe, "sqlserver")


@pytest.mark.parametrize(
    ("kind", "entered", "value"),
    [
        ("integer", " 007 ", Value("integer", "7")), ("decimal", "1,5", None),
        ("decimal", "01.50", Value("decimal", "1.50")),
        ("float", "1.5", Value("decimal", "1.5")), ("boolean", "ya", Value("boolean", "true")),
        ("text", "007", Value("text", "007")),
        ("date", "2026-02-30", None), ("date", "2026-02-28", Value("date", "2026-02-28")),
        ("datetime", "2026-02-28T08:00", Value("datetime", "2026-02-28 08:00:00")),
        ("datetime", "2026-02-28T08:00Z", None),
        ("time", "08:00", Value("text", "08:00")), (None, "x", Value("text", "x")), ("text", "", None),
        ("text", "a\nb", None),
        ("text", "x" * 501, None), ("integer", "abc", None),
    ],
)  # fmt: skip
def test_a_persons_input_becomes_a_value_of_the_columns_type(
    kind: str | None, entered: str, value: Value | None
) -> None:
    if value is None:
        with pytest.raises(SpecError):
            Value.of(kind, entered)
    else:
        assert Value.of(kind, entered) == value


def test_each_operator_has_a_label_and_a_column_that_it_is_for() -> None:
    assert set(OPERATOR_LABELS) == set(OPERATORS)
    offered = {operator for kind in ("text", "integer", "boolean", "bytes") for operator in operators_for(kind)}
    assert offered == set(OPERATORS)
    assert "contains" not in operators_for("text", "mood")
    for type_ in ("", "character varying(60)", "TEXT", "C(20)", "M(10)", "enum('a','b')", "NVARCHAR2(20)"):
        assert "contains" in operators_for("text", type_), type_


COLUMNS = {
    ("public", "pegawai"): [
        ColumnInfo("nik", "bigint", "integer"), ColumnInfo("npwp", "text", "text"), ColumnInfo("nama", "text", "text"),
        ColumnInfo("tgl_lahir", "date", "date"), ColumnInfo("gaji", "float8", "float"), ColumnInfo("jam", "time",
        "time"),
        ColumnInfo("waktu", "timestamp", "datetime"), ColumnInfo("aktif", "boolean", "boolean"),
    ]
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "operator", "types", "more"),
    [
        ("nik", "=", ("nik",), {"subject": True}), ("nik", "begins", ("text",), {"min": "1"}),
        ("npwp", "=", ("npwp",), {"subject": True}),
        ("nama", "contains", ("text",), {"min": "1"}), ("tgl_lahir", "between", ("date", "date"), {}),
        ("gaji", ">=", ("decimal",), {}),
        ("jam", "=", ("text",), {}), ("waktu", "<", ("datetime",), {}), ("aktif", "=", ("boolean",), {}),
        ("lain", "=", ("text",), {}), ("nama", "in", ("text",), {"max": "2000"}), ("nik", "empty", (), {}),
    ],
)  # fmt: skip
def test_a_parameter_has_the_type_of_its_column(
    column: str, operator: str, types: tuple[str, ...], more: dict[str, Any]
) -> None:
    names = parameter_names(column, operator)
    spec = replace(SIMPLE, filters=(Filter(ColumnRef("pegawai", column), operator, (), names, bool(names)),))
    drafts = parameters(spec, COLUMNS)
    assert tuple(draft.type for draft in drafts) == types
    for draft in drafts:
        assert not draft.required and draft.description
        assert {"min": draft.min, "max": draft.max, "subject": draft.subject} == {
            "min": "", "max": "", "subject": False, **more
        }  # fmt: skip


@pytest.mark.parametrize(
    ("column", "operator", "taken", "names"),
    [
        ("tgl lahir", "between", (), ("tgl_lahir_dari", "tgl_lahir_sampai")), ("NIK", "=", (), ("nik",)),
        ("NIK", "=", ("Nik",), ("nik_2",)),
        ("gaji", ">", (), ("gaji_dari",)), ("gaji", "<=", (), ("gaji_sampai",)), ("1kolom", "=", (), ("p_1kolom",)),
        ("é", "=", (), ("e",)),
        ("—", "=", (), ("p",)), ("limit", "=", (), ("limit_2",)), ("page", "=", ("page_2",), ("page_3",)),
        ("x", "empty", (), ()),
        ("k" * 128, "between", (), ("k" * 58 + "_dari", "k" * 56 + "_sampai")),
    ],
)  # fmt: skip
def test_parameters_get_legal_names_of_their_own(
    column: str, operator: str, taken: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert parameter_names(column, operator, taken) == names


KEYS = {
    ("public", "pegawai"): [
        Key("pk", "primary", ("nik",)),
        Key("fk", "foreign", ("unit", "jab"), ("public", "jabatan", ("unit", "kode"))),
        Key("atasan", "foreign", ("atasan",), ("public", "pegawai", ("nik",))),
    ],
    ("public", "cuti"): [Key("fk", "foreign", ("nik",), ("public", "pegawai", ("nik",)))],
    ("public", "lain"): [Key("fk", "foreign", ("x",), ("public", "y", ("x",)))],
}


def test_joins_follow_foreign_keys_both_ways() -> None:
    jabatan = Join(
        LEFT,
        Table("public", "jabatan"),
        ((ColumnRef("pegawai", "unit"), "unit"), (ColumnRef("pegawai", "jab"), "kode")),
    )
    atasan = Join(LEFT, Table("public", "pegawai", "pegawai_2"), ((ColumnRef("pegawai", "atasan"), "nik"),))
    bawahan = Join(INNER, Table("public", "pegawai", "pegawai_2"), ((NIK, "atasan"),))
    cuti = Join(INNER, Table("public", "cuti"), ((NIK, "nik"),))
    assert suggested_joins(SIMPLE, KEYS) == [jabatan, atasan, bawahan, cuti]
    assert suggested_joins(replace(SIMPLE, joins=(jabatan,)), KEYS) == [atasan, bawahan, cuti]
    for join in suggested_joins(SIMPLE, KEYS):
        assert " ON " in to_sql(replace(SIMPLE, joins=(join,)), "postgresql")


def test_the_document_shows_what_each_engine_gets() -> None:
    document = (Path(__file__).parents[2] / "docs" / "builder.md").read_text().replace("\\|", "|")
    holes = {"column": "nama", "value": ":nama", "low": "", "high": "", "list": ""}
    days = {"date": Value("date", "2026-01-31"), "datetime": Value("datetime", "2026-01-31 08:00:00")}
    for engine, dialect in DIALECTS.items():
        written = [dialect.conditions[name].format(**holes) for name in ("contains", "begins", "in-parameter")]
        for value in days.values():
            sql = to_sql(replace(SIMPLE, filters=(Filter(NIK, "=", (value,)),)), engine)
            written.append(sql.partition(" = ")[2])
        for shown in [*written, dialect.paging or "none"]:
            assert shown in document, (engine, shown)
    (example,) = re.findall(r"```sql\n(.*?)\n```", document, re.S)
    assert made(example) == example


def infos(*names: str, key: str = "", kind: str = "text") -> list[ColumnInfo]:
    return [ColumnInfo(name, kind, kind, True, name == key) for name in names]


@pytest.mark.parametrize(
    ("own", "name", "other", "pair"),
    [
        (infos("nama", "kode_kec"), "kecamatan", infos("kode_kec", "nama"), ("kode_kec", "kode_kec")),
        (infos("nama", "KD_KEC"), "kecamatan", infos("kode_kec", "nama"), ("KD_KEC", "kode_kec")),
        (infos("id", "jabatan_id"), "jabatan", infos("id", "nama", key="id"), ("jabatan_id", "id")),
        (infos("id", "id_jabatan"), "jabatan", infos("id", "nama"), ("id_jabatan", "id")),
        (infos("nik", "nama"), "bansos", infos("no", "nik", "nominal"), ("nik", "nik")),
        (infos("id", "jabatan_id"), "m_jabatan", infos("id", "nama"), ("jabatan_id", "id")),
        (infos("id", "kelas_2_id"), "kelas_1", infos("id", "nama"), None),
        (infos("id", "kelas_1_id"), "kelas_1", infos("id", "nama"), ("kelas_1_id", "id")),
        (infos("nik", "nama"), "bansos", infos("no", "nik", key="no"), None),
        (infos("id", "nama"), "jabatan", infos("id", "nama"), None),
        (infos("nama"), "jabatan", infos("nama"), None),
        (infos("kode_kec", kind="integer"), "kecamatan", infos("kode_kec"), None),
        ([], "jabatan", infos("id"), None),
    ],
)
def test_joins_are_found_by_names_where_there_are_no_foreign_keys(
    own: list[ColumnInfo], name: str, other: list[ColumnInfo], pair: tuple[str, str] | None
) -> None:
    columns = {("public", "pegawai"): own, ("public", name): other}
    joins = [join for join in suggested_joins(SIMPLE, {}, columns) if join.kind == LEFT]
    expected = pair and Join(LEFT, Table("public", name), ((ColumnRef("pegawai", pair[0]), pair[1]),))
    assert joins == ([expected] if expected else [])
    back = suggested_joins(Spec(Table("public", name)), {}, columns)
    if pair and (pair[0] != pair[1] or other[0].key):
        assert [(join.table.name, join.on) for join in back] == [("pegawai", ((ColumnRef(name, pair[1]), pair[0]),))]
    linked = {("public", "pegawai"): [Key("fk", "foreign", ("x",), ("public", name, ("y",)))]}
    assert len(suggested_joins(SIMPLE, linked, columns)) == 1
