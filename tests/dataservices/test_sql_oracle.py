"""Oracle's SQL: what an author may write there, and what comes out of a procedure."""

from __future__ import annotations

import pytest

from adapters.oracle.statements import parse_statement
from dataservices.sql import check, parse


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM a, b WHERE a.id = b.id(+) AND b.n (+) = :n AND b.m ( + ) = 1",
        "SELECT LEVEL, SYS_CONNECT_BY_PATH(n, '/') p FROM t START WITH a IS NULL"
        " CONNECT BY NOCYCLE PRIOR (id) = parent ORDER SIBLINGS BY n",
        "SELECT * FROM (SELECT a.*, ROWNUM rn FROM (SELECT * FROM t ORDER BY x) a WHERE ROWNUM <= :limit + :offset)"
        " WHERE rn > :offset",
        "SELECT LISTAGG(n, ',') WITHIN GROUP (ORDER BY n), NVL(a, b), DECODE(a, 1, 'x', 'y') FROM t GROUP BY ROLLUP(a)",
        "SELECT /*+ INDEX(t ix) */ a$b, c#, n'é' FROM t OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY",
        "SELECT TO_CHAR(SYSDATE, 'YYYY-MM-DD HH24:MI') x, CAST(a AS VARCHAR2(10)) FROM dual [[ WHERE a = :a ]]",
        "SELECT MAX(a) KEEP (DENSE_RANK LAST ORDER BY b) FROM t",
        "SELECT * FROM t PIVOT (SUM(x) FOR y IN ('a' AS a, 'b' AS b))",
        "SELECT a FROM t MINUS SELECT b FROM user_pegawai WHERE DATE '2024-01-31' < d AND ROWNUM = 1",
        "SELECT :a out, ords.id FROM pesanan ords",
        "SELECT t.id, skema.u.id, v.alamat.kota, x.a FROM t, skema.u, pegawai v, (SELECT 1 a FROM dual) x",
        "WITH c AS (SELECT 1 a FROM dual) SELECT c.a, (SELECT MAX(t.b) FROM t WHERE t.a = c.a) FROM c",
    ],
)
def test_a_query_passes(sql: str) -> None:
    assert check(sql, "oracle") == []


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM t@lain", "link"),
        ("SELECT * FROM t @ lain", "link"),
        ("SELECT q'[it's]' FROM dual", "literal"),
        ("SELECT Nq'!'!' FROM dual", "character"),
        ("SELECT q '[' FROM dual", "syntax"),
        ("SELECT dbms_random.value FROM dual", "function"),
        ("SELECT DBMS_LOCK.SLEEP(3) FROM dual", "function"),
        ('SELECT "SYS"."DBMS_X".y FROM dual', "function"),
        ("SELECT utl_inaddr.get_host_name FROM dual", "function"),
        ("SELECT UTL_HTTP.REQUEST('http://x') FROM dual", "function"),
        ("SELECT HTTPURITYPE('http://x').getclob() FROM dual", "function"),
        ("SELECT XMLTYPE('x') FROM dual", "function"),
        ("SELECT XMLQUERY('doc(\"http://x\")') FROM dual", "function"),
        ("SELECT SYS_CONTEXT('USERENV', 'IP_ADDRESS') FROM dual", "function"),
        ("SELECT BFILENAME('A', 'b') FROM dual", "function"),
        ("SELECT CURSOR(SELECT 1 FROM dual) FROM dual", "function"),
        ("SELECT paket.f(1) FROM dual", "function-qualified"),
        ("SELECT urutan.NEXTVAL FROM dual", "not-reading"),
        ("SELECT * FROM TABLE(f(1))", "not-reading"),
        ("SELECT * FROM t FOR UPDATE", "not-reading"),
        ("BEGIN NULL; END;", "not-reading"),
        ("ALTER SESSION SET CURRENT_SCHEMA = sys", "not-reading"),
        ("SELECT 1 FROM dual; SELECT 2 FROM dual", "statements"),
        ("WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual", "statements"),
        ("SELECT x INTO y FROM t", "into"),
        ("SELECT /*+ x /* */ 1 FROM dual", "character"),
        ("SELECT ? FROM dual", "placeholder"),
        ("SELECT * FROM sys.user$", "table"),
        ("SELECT * FROM dba_users", "table"),
        ("SELECT * FROM v$session", "table"),
        ('SELECT * FROM "GV$SQL"', "table"),
        ("SELECT * FROM all_users", "table"),
        ("SELECT htp.p FROM dual", "function-qualified"),
        ("SELECT standard.user FROM dual", "function-qualified"),
        ("SELECT ordsys.ord_dicom.x FROM dual", "function-qualified"),
        ("SELECT kupp$proc.x, a.b FROM t a", "function"),
        ("SELECT htp.p FROM dual htp", "function-qualified"),
        ("SELECT paket.f FROM t WHERE t.a = 1", "function-qualified"),
        ("SELECT USER FROM dual", "function"),
    ],
)
def test_a_query_is_refused(sql: str, code: str) -> None:
    assert code in [problem.code for problem in check(sql, "oracle")]


def test_an_operator_may_allow_a_package_s_function() -> None:
    assert check("SELECT paket.f(1), g(2) FROM dual", "oracle", allowed=("paket.f", "g")) == []
    assert check("SELECT lain.f(1) FROM dual", "oracle", allowed=("paket.f",)) != []


@pytest.mark.parametrize(
    ("sql", "marks", "outs"),
    [
        ("CALL paket.hitung(:a, :b OUT, :c OUT NUMBER)", ("a",), (("b", "VARCHAR2"), ("c", "NUMBER"))),
        ("call a.paket.daftar(:a, :s in out number, :c OUT CURSOR)", ("a", "s"), (("s", "NUMBER"), ("c", "CURSOR"))),
        ("CALL catat(:a)", ("a",), ()),
        (
            "INSERT INTO t (a) VALUES (:a) RETURNING id, nama INTO :id OUT INTEGER, :n OUT",
            ("a",),
            (("id", "INTEGER"), ("n", "VARCHAR2")),
        ),
        ("UPDATE t SET a = :a WHERE id = :id RETURNING a INTO :b OUT", ("a", "id"), (("b", "VARCHAR2"),)),
        ("INSERT INTO t VALUES (urutan.NEXTVAL, :a)", ("a",), ()),
        (
            "MERGE INTO t USING (SELECT :id id FROM dual) s ON (t.id = s.id) WHEN MATCHED THEN UPDATE SET t.n = s.id",
            ("id",),
            (),
        ),
    ],
)
def test_out_mark_is_no_parameter(sql: str, marks: tuple[str, ...], outs: tuple[tuple[str, str], ...]) -> None:
    assert check(sql, "oracle", writes=True) == []
    template = parse(sql, "oracle")
    assert template.placeholders == marks
    text, order = template.render(marks, "named")
    assert (text, order) == (sql, marks)
    statement = parse_statement(text)
    assert tuple(name for name, _ in statement.placeholders) == marks
    assert tuple((out.name, out.type) for out in statement.outs) == outs


def test_places_agree_behind_what_comes_out() -> None:
    (problem,) = check("CALL p(:a OUT NUMBER,\n :b IN OUT, tidur(1))", "oracle", writes=True)
    assert (problem.code, problem.line, problem.column) == ("function", 2, 13)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("CALL dbms_scheduler.drop_job('x')", "function"),
        ("CALL sys.p(1)", "function"),
        ("CALL p(dbms_random.value)", "function"),
        ("CALL p(f(1))", "function"),
        ("CALL p(1); DROP TABLE x", "statements"),
        ("CALL p(:a) INTO :b", "not-writing"),
        ("CALL a.b.c.d(1)", "not-writing"),
        ("INSERT INTO t@lain VALUES (1)", "link"),
        ("INSERT INTO t (a) VALUES (:a) RETURNING id INTO x", "into"),
        ("UPDATE t SET a = 1", "every-row"),
        ("GRANT dba TO x", "not-writing"),
        ("TRUNCATE TABLE x", "not-writing"),
        ("BEGIN p(1); END;", "not-writing"),
    ],
)
def test_a_writing_statement_is_refused(sql: str, code: str) -> None:
    assert code in [problem.code for problem in check(sql, "oracle", writes=True)]


@pytest.mark.parametrize(
    "sql",
    [
        "CALL htp.p('x')",
        'CALL "HTP".p(:a)',
        "CALL sys.htp.p('x')",
        "CALL standard.raise_application_error(-20001, 'x')",
        "CALL initjvmaux.rollbackset()",
        "CALL kupp$proc.disable_multiprocess()",
        "CALL ordsys.ord_dicom.x(1)",
        "CALL lbacsys.sa_session.x(1)",
        "CALL olapsys.a(1)",
        "CALL /* a */ LbacSys . a(1)",
    ],
)
def test_what_oracle_has_itself_is_not_called(sql: str) -> None:
    assert {problem.code for problem in check(sql, "oracle", writes=True)} & {"function", "procedure"}


def test_a_package_of_the_agencys_is_called() -> None:
    for sql in ("CALL kupon.buat(1)", "CALL ordsys_kita.buat(1)", "CALL app.paket.buat(:a)", "CALL buat(:a OUT)"):
        assert check(sql, "oracle", writes=True) == [], sql
