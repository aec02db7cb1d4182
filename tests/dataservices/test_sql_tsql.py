"""T-SQL: which batches may run, where marks and blocks stand among [names], and that no second statement slips by."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataservices.sql import TemplateError, check, parse, supports_paging, tsql

READS = [
    "SELECT 1",
    "SELECT a, [b c] FROM [dbo].[t x] WHERE a = :a [[ AND b = :b ]]",
    "SELECT TOP (5) WITH TIES a FROM t ORDER BY a",
    "SELECT TOP (:n) a FROM t",
    ";WITH c AS (SELECT 1 AS a) SELECT * FROM c",
    "WITH s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :a) SELECT n FROM s OPTION (MAXRECURSION 0)",
    "DECLARE @x int = :a; SELECT @x AS x",
    "DECLARE @x int\nSET @x = :a\nSELECT @x AS x",
    "DECLARE @a date = GETDATE(), @b decimal(10, 2) = (SELECT max(x) FROM t)\nSELECT * FROM t WHERE d > @a AND e < @b",
    "SELECT a FROM t ORDER BY a OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY",
    "SELECT ISNULL(a, '') + 'x', CONVERT(varchar(10), d, 120), CAST(a AS decimal(10,2)), IIF(a = 1, 2, 3) FROM t",
    "SELECT * FROM t WITH (NOLOCK)",
    "SELECT a FROM t FOR JSON PATH",
    "SELECT STRING_AGG(a, ',') WITHIN GROUP (ORDER BY a) FROM t",
    "SELECT x.value('(a)[1]', 'int') FROM t",
    "SELECT * FROM OPENJSON(:j) WITH (a int '$.a')",
    "SELECT N'a', 0xff, 'it''s; DROP', [from], [shutdown] FROM [select]",
    "SELECT @@ROWCOUNT AS n",
    "SELECT t.* FROM t CROSS APPLY (SELECT TOP 1 b FROM u WHERE u.i = t.i) x",
    "SELECT a FROM db2.dbo.t",
    "SELECT CASE WHEN a = 1 THEN 'x' ELSE 'y' END FROM t",
    "SELECT * FROM t PIVOT (sum(a) FOR b IN ([x], [y])) p",
    "SELECT ROW_NUMBER() OVER (ORDER BY a) n FROM t",
    "SELECT 1 -- komentar; SHUTDOWN\n;",
    "SELECT convert(varchar(10), a), str_replace(b, 'x', 'y') FROM t",
    "SELECT a FROM dbo.t x (NOLOCK), v (NOLOCK) JOIN u WITH (INDEX=ix, NOLOCK) ON x.a = u.a",
    "SELECT a, b, SUM(c) AS s FROM t GROUP BY ROLLUP(a), CUBE(b)",
    "SELECT a FROM t WHERE CONTAINS(b, 'x') OR FREETEXT(b, 'y')",
    "DECLARE @a int = 1\nSET @a += :n; SELECT @a AS a",
    "SELECT a FROM t INNER MERGE JOIN u ON t.a = u.a LEFT HASH JOIN v ON v.a = u.a",
    "WITH XMLNAMESPACES ('urn:x' AS x, DEFAULT 'urn:y'), c AS (SELECT 1 AS a) SELECT a FROM c",
    "WITH XMLNAMESPACES ('urn:x' AS x) SELECT x.value('(x:a)[1]', 'int') AS a FROM t",
    "SELECT $12.50 AS harga, -$3 AS b FROM t WHERE b = 0x AND a !> 5 AND c !< 6",
    "SELECT a FROM t WHERE d = {d '2020-01-01'} OR e = {ts '2020-01-01 00:00:00'}",
    "SELECT v.ToString() AS v, g.STAsText() AS g, t.g.STArea() AS luas FROM t",
]
WRITES = [
    "DELETE FROM t OUTPUT deleted.id WHERE a = :a",
    "DELETE FROM x FROM t x JOIN u ON x.a = u.a WHERE u.b = :b",
    "UPDATE TOP (5) t SET a = 1 WHERE b = :b",
    "MERGE t WITH (HOLDLOCK) AS d USING u ON d.a = u.a WHEN MATCHED THEN UPDATE SET b = u.b OUTPUT $action;",
    "SET NOCOUNT ON; EXEC dbo.p :a",
    "SET NOCOUNT ON\nINSERT INTO t (a) VALUES (:a) SELECT SCOPE_IDENTITY() AS id",
    "UPDATE t SET a = 1 WHERE b = :b SELECT @@ROWCOUNT AS n",
    'EXEC p "teks", :a',
    "INSERT INTO t (a) VALUES (:a)",
    "INSERT t (a) VALUES (:a)",
    "INSERT INTO t (a) OUTPUT inserted.id VALUES (:a)",
    "INSERT INTO t SELECT a FROM u",
    "INSERT INTO t (a) VALUES (:a); SELECT SCOPE_IDENTITY() AS id",
    "UPDATE t SET a = :a WHERE b = 1",
    "UPDATE x SET x.a = 1 FROM t x JOIN u ON u.i = x.i WHERE u.b = 1",
    "DELETE FROM t WHERE a = :a",
    "WITH c AS (SELECT 1 AS a) UPDATE t SET a = 1 FROM c WHERE c.a = t.a",
    "MERGE INTO t USING (SELECT :a AS a) s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 1"
    " WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a);",
    "EXEC p",
    "EXEC dbo.p :a, 'x', -1, NULL",
    "EXEC dbo.p @a = :a, @b = 5",
    "EXECUTE [dbo].[p x] :a",
    "DECLARE @j int; EXEC dbo.p :a, @j OUTPUT; SELECT @j AS jumlah",
    "DECLARE @j int, @rc int\nEXEC @rc = dbo.p :a, @j = @j OUTPUT\nSELECT @j AS jumlah, @rc AS kode",
]
REFUSED_READS = [
    ("SELECT f(nolock) FROM t", "function"),
    ("SELECT a, f (nolock) FROM t", "function"),
    ("SELECT a FROM syslogins (NOLOCK)", "table"),
    ("SELECT a FROM master.sys.syslogins x (NOLOCK)", "table"),
    ("SELECT a FROM t WITH (INDEX=f(1))", "syntax"),
    ("WITH XMLNAMESPACES (f(1) AS x) SELECT a FROM t", "syntax"),
    ("SELECT {fn f(1)} AS a", "character"),
    ("SELECT a FROM t WHERE b = $sandi", "literal"),
    ("SET NOCOUNT OFF; SELECT 1", "declare"),
    ("SELECT 1 SHUTDOWN", "word"),
    ("SELECT 1 EXEC xp_cmdshell 'dir'", "word"),
    ("SELECT 1; DROP TABLE t", "word"),
    ("SELECT 1 DROP TABLE t", "word"),
    ("SELECT a FROM t CHECKPOINT", "word"),
    ("SELECT a FROM t COMMIT", "word"),
    ("SELECT a INTO b FROM t", "word"),
    ("SELECT 1 USE master", "word"),
    ("SELECT 1 KILL 5", "word"),
    ("SELECT 1 FETCH NEXT FROM c", "word"),
    ("SELECT 1 IF 1 = 1 SELECT 2", "word"),
    ("SELECT * FROM OPENROWSET('a', 'b', 'c')", "word"),
    ("SELECT * FROM OPENQUERY(srv, 'x')", "word"),
    ("SELECT * FROM OPENDATASOURCE('a', 'b').c.d.e", "word"),
    ("SELECT 1 a WAITFOR DELAY '0:0:1'", "word"),
    ("SELECT * FROM t WITH (XLOCK)", "word"),
    ("SELECT 1 UNION SELECT 2 REVERT", "word"),
    ("WAITFOR DELAY '0:0:1'", "not-reading"),
    ("EXEC p", "not-reading"),
    ("BEGIN TRAN", "not-reading"),
    ("INSERT INTO t VALUES (1)", "not-reading"),
    ("DECLARE @x int = 1 DELETE FROM t", "not-reading"),
    ("DECLARE @x int = 1; EXEC p", "not-reading"),
    ("DECLARE @x int = 1", "not-reading"),
    ("SELECT NEXT VALUE FOR s", "not-reading"),
    ("SELECT 1; SELECT 2", "statements"),
    ("DECLARE @x int = (SELECT 1) SELECT 1 DELETE FROM t", "word"),
    ("DECLARE @x int = xp_foo(1) SELECT @x", "function"),
    ("DECLARE @x int = (SELECT a FROM sys.sql_logins) SELECT @x", "table"),
    ("DECLARE @x TABLE (a int) SELECT 1", "declare"),
    ("DECLARE", "declare"),
    ("SET ROWCOUNT 5 SELECT 1", "declare"),
    ("SET @x = 1 SELECT @x", "undeclared"),
    ("SELECT @x", "undeclared"),
    ("SELECT @@VERSION", "variable"),
    ("SELECT @@SERVERNAME", "variable"),
    ("SELECT * FROM sys.sql_logins", "table"),
    ("SELECT * FROM syslogins", "table"),
    ("SELECT * FROM dbo.sysusers", "table"),
    ("SELECT * FROM master..syslogins", "table"),
    ("SELECT * FROM master.dbo.x", "table"),
    ("SELECT * FROM a.b.c.d", "table"),
    ("SELECT dbo.f(1)", "function-qualified"),
    ("SELECT suser_name()", "function"),
    ("SELECT * FROM fn_my_permissions(NULL, 'x')", "function"),
    ("SELECT [isnull](1, 2)", "function-quoted"),
    ("SELECT 1 /* a /* b */ SHUTDOWN */", "comment"),
    ("SELECT [a]]b] FROM t", "literal"),
    ("SELECT * FROM #t", "character"),
    ("SELECT {fn now()}", "character"),
    ("SELECT ?", "placeholder"),
    ("", "empty"),
    (" ; ", "empty"),
]
REFUSED_WRITES = [
    ("EXEC sp_executesql N'x'", "procedure"),
    ("EXEC xp_cmdshell 'x'", "procedure"),
    ("EXEC [sp_who]", "procedure"),
    ("EXEC sys.p", "procedure"),
    ("EXEC master.dbo.p", "procedure"),
    ("EXEC master..xp_cmdshell 'x'", "exec"),
    ("EXEC ('DROP TABLE t')", "exec"),
    ("EXEC p (1)", "exec"),
    ("EXEC p 1 DELETE FROM t", "exec"),
    ("EXEC p GETDATE()", "exec"),
    ("EXEC p 1 AT srv", "exec"),
    ("EXEC @p", "exec"),
    ("EXEC p @x", "undeclared"),
    ("EXEC p 1; DELETE FROM t", "not-reading"),
    ("EXEC p SELECT 1 DELETE FROM t", "word"),
    ("DECLARE @j int EXEC p @j OUTPUT SELECT @j; SELECT 2", "statements"),
    ("INSERT INTO t EXEC p", "word"),
    ("INSERT INTO t VALUES (1) DELETE FROM u", "word"),
    ("INSERT INTO t VALUES (1); DELETE FROM t WHERE 1 = 1", "not-reading"),
    ("INSERT INTO t OUTPUT inserted.a INTO u VALUES (1)", "word"),
    ("INSERT INTO OPENROWSET('a', 'b', 'c') VALUES (1)", "word"),
    ("UPDATE t SET a = 1", "every-row"),
    ("DELETE FROM t", "every-row"),
    ("UPDATE t SET a = 1 WHERE b = 2 SET ROWCOUNT 4", "word"),
    ("UPDATE t SET a = 1 WHERE 1 = 1 UPDATE u SET b = 1 WHERE 1 = 1", "word"),
    ("UPDATE sys.x SET a = 1 WHERE b = 1", "table"),
    ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE; DROP TABLE x", "not-reading"),
    ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE DELETE FROM u", "word"),
    ("SELECT 1", "not-writing"),
    ("DROP TABLE t", "word"),
    ("TRUNCATE TABLE t", "word"),
    ("BULK INSERT t FROM 'x'", "word"),
]


@pytest.mark.parametrize("sql", READS)
def test_what_reads_may_run(sql: str) -> None:
    assert check(sql, "tsql") == []


@pytest.mark.parametrize("sql", WRITES)
def test_what_writes_may_run(sql: str) -> None:
    assert check(sql, "tsql", writes=True) == []


@pytest.mark.parametrize(("sql", "code"), REFUSED_READS)
def test_what_does_more_than_read_is_refused(sql: str, code: str) -> None:
    problems = check(sql, "tsql")
    assert code in [problem.code for problem in problems]
    for problem in problems:
        assert "{near}" not in problem.text()
        assert "{name}" not in problem.text()


@pytest.mark.parametrize(("sql", "code"), REFUSED_WRITES)
def test_what_does_more_than_one_write_is_refused(sql: str, code: str) -> None:
    assert code in [problem.code for problem in check(sql, "tsql", writes=True)]


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "SELECT a FROM t", "SELECT a FROM t ORDER BY a", "DECLARE @x int SELECT @x"]
)
def test_no_word_begins_a_second_statement(sql: str) -> None:
    for tail in sorted(tsql.STARTERS):
        for joint in (" ", "\n", ";", "/**/"):
            assert check(f"{sql}{joint}{tail}", "tsql") != [], tail
            assert check(f"{sql}{joint}{tail.upper()} x", "tsql") != [], tail


@given(
    st.sampled_from(sorted(tsql.STARTERS)), st.sampled_from(["", " x", " x y", " TABLE t", " 'a'", " p 1", " @x = 1"])
)
@settings(max_examples=300, deadline=None)
def test_nothing_follows_a_procedure_but_a_select(word: str, rest: str) -> None:
    assert check(f"EXEC p 1 {word}{rest}", "tsql", writes=True) != []
    assert check(f"EXEC p 1; {word}{rest}", "tsql", writes=True) != []


def test_marks_are_found_among_bracketed_names() -> None:
    template = parse("SELECT [:a], ':b', :c FROM [t :d] WHERE x = :e [[ AND [y z] = :f ]]", "tsql")
    assert template.placeholders == ("c", "e", "f")
    assert template.optional == {"f"}
    assert template.render(["c", "e"], "qmark") == ("SELECT [:a], ':b', ? FROM [t :d] WHERE x = ?  ", ("c", "e"))
    assert template.render(template.placeholders, "named")[0].endswith("x = :e   AND [y z] = :f  ")


def test_a_block_and_a_bracketed_name_may_touch() -> None:
    template = parse("SELECT 1 FROM t WHERE 1 = 1[[ AND [a b] = :a]]", "tsql")
    assert template.render(["a"], "named")[0] == "SELECT 1 FROM t WHERE 1 = 1  AND [a b] = :a "
    with pytest.raises(TemplateError) as error:
        parse("SELECT [[a b]] FROM t", "tsql")
    assert error.value.problem.code == "block-empty"


def test_marks_are_found_behind_words_that_sqlglot_takes_for_commands() -> None:
    assert parse("EXEC dbo.p :a, @b = :b", "tsql").placeholders == ("a", "b")
    assert parse("DECLARE @x int = :a\nSET @x = :b\nSELECT @x", "tsql").placeholders == ("a", "b")


def test_paging_is_offset_and_fetch() -> None:
    assert supports_paging(parse("SELECT a FROM t ORDER BY a OFFSET :offset ROWS FETCH NEXT :limit ROWS ONLY", "tsql"))


def test_a_problem_has_its_place() -> None:
    problem = check("DECLARE @x int = 1\nSELECT 1,\n  @y", "tsql")[0]
    assert (problem.code, problem.line, problem.column) == ("undeclared", 3, 3)
    problem = check("DECLARE @x int = 1,\n @y int = pg_sleep(1)\nSELECT 1", "tsql")[0]
    assert (problem.code, problem.line, problem.column) == ("function", 2, 11)


def test_a_function_of_the_agency_is_allowed_by_its_whole_name() -> None:
    assert check("SELECT dbo.umur(a) FROM t", "tsql", allowed=["dbo.umur"]) == []
    assert check("SELECT [dbo].umur(a) FROM t", "tsql", allowed=["dbo.umur"]) == []
    assert check("SELECT x.umur(a) FROM t", "tsql", allowed=["dbo.umur"]) != []
