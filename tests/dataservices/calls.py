"""The ways in which each engine's grammar lets a statement call a function: how a call is written, and where.

``{f}`` is a function of one number, ``{r}`` one of a row of the table t(a), ``{g}`` an aggregate; ``{e}`` is the place
of a call. A statement of the corpus is each way of writing in each place. CALL of a function of the agency's own is
none of them: that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Corpus:
    """``spelled`` are calls that the engine runs in a SELECT list; ``places`` are reading, ``changing`` writing.

    ``whole`` are statements with a call of their own. ``strange`` is what the engine does not take, or takes as
    something else, in this version or at this place: it is tried all the same.
    """

    spelled: tuple[str, ...]
    places: tuple[str, ...]
    changing: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)

    def calls(self, strange: bool = True) -> list[str]:
        return [self.named(call) for call in (*self.spelled, *(self.strange if strange else ()))]

    def named(self, text: str) -> str:
        for key, name in self.names.items():
            text = text.replace(f"{{{key}}}", name).replace(f"{{{key.upper()}}}", name.upper())
        return text

    def statements(self, writes: bool = False) -> Iterator[str]:
        for place in self.changing if writes else self.places:
            for call in self.calls():
                yield self.named(place).replace("{e}", call)
        yield from map(self.named, self.whole)


#: Places that all engines have.
_PLACES = (
    "SELECT {e} FROM t",
    "SELECT DISTINCT {e} AS x FROM t",
    "SELECT a FROM t WHERE {e} = 1",
    "SELECT a FROM t ORDER BY {e}",
    "SELECT count(*) FROM t GROUP BY {e}",
    "SELECT max(a) FROM t GROUP BY a HAVING max({e}) = 1",
    "SELECT u.a FROM t AS u JOIN t ON {e} = u.a",
    "SELECT u.a FROM t AS u LEFT JOIN t ON u.a = {e}",
    "SELECT CASE WHEN {e} = 1 THEN 1 ELSE 0 END FROM t",
    "SELECT CASE a WHEN {e} THEN 1 END FROM t",
    "SELECT CASE WHEN a = 1 THEN {e} END FROM t",
    "SELECT COALESCE(NULL, {e}) FROM t",
    "SELECT a FROM t WHERE a IN (2, {e})",
    "SELECT a FROM t WHERE {e} BETWEEN 0 AND 1",
    "SELECT a FROM t WHERE NOT ({e} IS NULL)",
    "SELECT a FROM t WHERE a = (SELECT {e})",
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.a = {e})",
    "SELECT 2 FROM t UNION ALL SELECT {e} FROM t",
    "SELECT x.b FROM (SELECT {e} AS b FROM t) AS x",
    "WITH x AS (SELECT {e} AS b FROM t) SELECT b FROM x",
    "WITH RECURSIVE x(b) AS (SELECT 1 UNION ALL SELECT b + {e} FROM x, t WHERE b < 2) SELECT b FROM x",
    "SELECT sum(a) OVER (PARTITION BY {e}) FROM t",
    "SELECT sum(a) OVER (ORDER BY {e}) FROM t",
    "SELECT sum({e}) OVER () FROM t",
    "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY {e})",
    "SELECT -{e} + 1 FROM t",
    "SELECT CAST({e} AS char(5)) FROM t",
    "SELECT NULLIF(2, {e}) FROM t",
    "SELECT abs({e}) FROM t",
)

POSTGRESQL = Corpus(
    names={"f": "jejak", "r": "jejak_baris", "g": "jejak_semua"},
    spelled=(
        "{f}(1)", "{F}(1)", '"{f}"(1)', "public.{f}(1)", 'public."{f}"(1)', "public . {f} (1)", "{f} (1)", "{f}/**/(1)",
        "{f} -- x\n (1)", "{f}(a => 1)", "{f}(VARIADIC a => 1)", "{f}((SELECT 1))", 'U&"\\006aejak"(1)',
        "(1).{f}", "(1::int).{f}", "((1)).{f}", '(1)."{f}"', "(1).{F}", "(1) . {f}", "(1)/**/.{f}", "(SELECT 1).{f}",
        "(ARRAY[1])[1].{f}", "(CASE WHEN true THEN 1 END).{f}", "(CAST(1 AS int)).{f}", "(t.a).{f}", "(t.a + 1).{f}",
        "((t.k).b).{f}", "(t.k).b.{f}", "(t.s)[1].{f}", "t.s[1].{f}", "(abs(1)).{f}", "(-1).{f}", "('1'::int).{f}",
        "(t).{r}", "(t.*).{r}", "(SELECT t).{r}",
        "{g}(t.a)", "{g}(DISTINCT t.a)", "{g}(t.a) FILTER (WHERE true)", "{g}(t.a) OVER ()", "{g}(t.a ORDER BY t.a)",
        "1 OPERATOR(public.@#@) 1", "1 @#@ 1", "1 OPERATOR(@#@) 1", "@#@ 1", "(1 OPERATOR(public . @#@) 1)",
    ),
    strange=(
        "{f}", "t.{f}", "'1'.{f}", "1.{f}", "$1.{f}", "{f} 1", "{f} '1'", "ROW(1).{f}", "ARRAY[1].{f}", "(1){f}",
        "'{f}'::regproc", "'{f}(int)'::regprocedure", "('{f}'::regproc)(1)", "CAST('{f}' AS pg_catalog.regproc)",
        "[1].{f}",
        "{f}[1]", "'1'::{f}", "EXECUTE {f}(1)", "{f}(1).{f}", "(SELECT t.*).{f}", "1 {f} 1", "@ {f} 1",
    ),
    places=(
        *_PLACES,
        "SELECT DISTINCT ON ({e}) a FROM t",
        "SELECT a FROM t LIMIT {e}",
        "SELECT a FROM t OFFSET {e}",
        "SELECT a FROM t FETCH FIRST ({e}) ROWS ONLY",
        "SELECT ARRAY[{e}] FROM t",
        "SELECT (ARRAY[1, 2])[{e}] FROM t",
        "SELECT (ARRAY[1, 2])[1: {e}] FROM t",
        "SELECT ROW({e}, 2) FROM t",
        "SELECT ROW(1, {e}) = ROW(1, 1) FROM t",
        "VALUES ({e})",
        "SELECT {e} IS DISTINCT FROM 1 FROM t",
        "SELECT ({e})::text FROM t",
        "SELECT ({e})::text COLLATE \"C\" FROM t",
        "SELECT 1 = ANY (ARRAY[{e}]) FROM t",
        "SELECT x.a FROM t, LATERAL (SELECT {e} AS a) AS x",
        "SELECT n FROM t, generate_series(1, {e}) AS n",
        "SELECT a FROM t TABLESAMPLE BERNOULLI (100 * {e})",
        "SELECT count(*) FILTER (WHERE {e} = 1) FROM t",
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY {e}) FROM t",
        "SELECT GROUPING(a) FROM t GROUP BY GROUPING SETS ((a, {e}), ())",
        "SELECT count(*) FROM t GROUP BY ROLLUP ({e})",
        "SELECT extract(day FROM now() + {e} * interval '1 day') FROM t",
        "SELECT overlay('abc' placing 'x' from {e}) FROM t",
        "SELECT substring('abc' from {e} for 1) FROM t",
        "SELECT xmlelement(name x, {e}) FROM t",
        "SELECT xmlforest({e} AS x) FROM t",
        "SELECT * FROM t, XMLTABLE('/r' PASSING xmlelement(name r, {e}) COLUMNS b text PATH '.') AS x",
        "SELECT jsonb_build_object('a', {e}) -> 'a' FROM t",
        "SELECT '{}'::jsonb -> ('a' || {e}) FROM t",
        "SELECT string_agg('x', ',' ORDER BY {e}) FROM t",
        "SELECT 'x' ~ ('y' || {e}) FROM t",
        "SELECT timestamp '2024-01-01' AT TIME ZONE ('UTC' || repeat('', {e})) FROM t",
        "SELECT sum(a) OVER (ROWS BETWEEN {e} PRECEDING AND CURRENT ROW) FROM t",
        "WITH x AS MATERIALIZED (SELECT {e} AS b FROM t) SELECT b FROM x",
    ),
    changing=(
        "INSERT INTO u (a) SELECT {e} FROM t",
        "INSERT INTO u (a) VALUES ({e})",
        "INSERT INTO u (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = {e}",
        "INSERT INTO u (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1 WHERE {e} = 1",
        "INSERT INTO u (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1 RETURNING {e}",
        "UPDATE u SET b = {e} FROM t WHERE u.a = t.a",
        "UPDATE u SET (b, c) = (1, {e}) FROM t WHERE u.a = t.a",
        "UPDATE u SET b = 1 FROM t WHERE u.a = {e}",
        "UPDATE u SET b = 1 FROM t WHERE u.a = t.a RETURNING {e}",
        "DELETE FROM u USING t WHERE u.a = {e}",
        "MERGE INTO u USING t ON u.a = {e} WHEN MATCHED THEN DO NOTHING",
        "MERGE INTO u USING t ON u.a = t.a WHEN MATCHED AND {e} = 1 THEN UPDATE SET b = {e}"
        " WHEN NOT MATCHED THEN INSERT (a) VALUES ({e})",
        "WITH x AS (DELETE FROM u USING t WHERE u.a = {e} RETURNING u.a) INSERT INTO u (a) SELECT a FROM x",
        "CALL tidak_ada({e})",
    ),
    whole=(
        "SELECT * FROM {f}(1)", "SELECT * FROM ROWS FROM ({f}(1))", "SELECT * FROM LATERAL {f}(1) AS x",
        "SELECT * FROM t CROSS JOIN {f}(t.a)", "SELECT * FROM public.{f}(1) WITH ORDINALITY", "TABLE {f}",
        "SELECT * FROM {f}", "SELECT a FROM t ORDER BY a USING @#@", "EXECUTE {f}(1)",
        "DO $$BEGIN PERFORM {f}(1); END$$",
        "COPY (SELECT {f}(1)) TO STDOUT", "EXPLAIN ANALYZE SELECT {f}(1)", "PREPARE x AS SELECT {f}(1)",
        "SELECT 1; SELECT {f}(1)", "SELECT $$a$$, {f}(1), $$b$$", "SELECT 'a' , {f}(1) -- '",
        "SELECT E'\\'' , {f}(1) --'",
        "SELECT ('select {f}(1)'::text).ts_stat", "SELECT query_to_xml('select {f}(1)', true, true, '')",
        "SELECT (query_to_xml('select {f}(1)', true, true, '')).text", "CREATE VIEW x AS SELECT {f}(1)",
        "SELECT a FROM t TABLESAMPLE {f} (1)", "SELECT CAST(ROW(1) AS corak).{f}", "SELECT t.k.{f} FROM t",
    ),
)  # fmt: skip

MARIADB = Corpus(
    names={"f": "jejak", "g": "jejak_semua"},
    spelled=(
        "{f}(1)", "{F}(1)", "`{f}`(1)", "{f} (1)", "{f}/**/(1)", "{f} # x\n (1)", "{f} -- x\n (1)", "mantra.{f}(1)",
        "mantra.`{f}` (1)", "`mantra` . `{f}`(1)", "{fn {f}(1)}", "/*!{f}(1)*/", "/*!50000 {f}(1) */", "/*M!{f}(1)*/",
        "/*M!100000 {f}(1) */", "{f}((SELECT 1))", "1 + --1 + {f}(1)", "{g}(t.a)",
        "sql_{f} (1)",
    ),
    strange=(
        "{f}", "{f} 1", "t.{f}", "(1).{f}", "@x := {f}(1)", "'{f}'(1)", '"{f}"(1)', "{f(1)}", "{x {f}(1)}", "@@{f}",
        "_utf8mb4{f}(1)", "BINARY {f}(1)", "INTERVAL {f}(1) DAY + now()", "N{f}(1)", "{f}(1) COLLATE utf8mb4_bin",
        "NEXT VALUE FOR {f}", "PREVIOUS VALUE FOR {f}", "{f}.nextval", "{f}(DISTINCT 1)", "{f}(1) OVER ()",
    ),
    places=(
        *_PLACES,
        "SELECT IF({e} = 1, 1, 2) FROM t",
        "SELECT date_add(now(), INTERVAL {e} DAY) FROM t",
        "SELECT now() + INTERVAL {e} DAY FROM t",
        "SELECT group_concat({e} ORDER BY {e} SEPARATOR ',') FROM t",
        "SELECT {e} <=> 1, {e} DIV 1, {e} MOD 2, {e} XOR 1 FROM t",
        "SELECT a FROM t WHERE a REGEXP {e}",
        "SELECT convert({e} USING utf8mb4) FROM t",
        "SELECT extract(DAY FROM from_days(700000 + {e})) FROM t",
        "SELECT count(*) FROM t GROUP BY {e} WITH ROLLUP",
        "VALUES ({e})",
        "SELECT j.b FROM t, JSON_TABLE(concat('[', {e}, ']'), '$[*]' COLUMNS (b int PATH '$')) AS j",
    ),
    changing=(
        "INSERT INTO u (a) SELECT {e} FROM t",
        "INSERT INTO u (a) VALUES ({e})",
        "INSERT INTO u (a) VALUES (1) ON DUPLICATE KEY UPDATE b = {e}",
        "INSERT INTO u (a) VALUES (99) RETURNING {e}",
        "UPDATE u SET b = {e} WHERE a = 1",
        "UPDATE u JOIN t ON u.a = t.a SET u.b = 1 WHERE u.a = {e}",
        "UPDATE u SET b = 2 WHERE a > 0 ORDER BY {e}",
        "DELETE FROM u WHERE a = {e}",
        "CALL tidak_ada({e})",
    ),
    whole=(
        "DO {f}(1)", "SET @x = {f}(1)", "SELECT {f}(1) INTO @x", "EXECUTE IMMEDIATE 'SELECT {f}(1)'",
        "PREPARE x FROM 'SELECT {f}(1)'", "SELECT * FROM {f}(1)", "HANDLER t READ FIRST WHERE {f}(1)", "TABLE {f}",
        "SELECT 1 LIMIT 1 PROCEDURE {f}(1)", "SELECT 'a\\'', {f}(1) -- '", 'SELECT "a", {f}(1)',
        "SELECT 1; SELECT {f}(1)",
        "SET STATEMENT max_statement_time = 1 FOR SELECT {f}(1)", "BEGIN NOT ATOMIC SELECT {f}(1); END",
        "EXPLAIN EXTENDED SELECT {f}(1)", "ANALYZE SELECT {f}(1)",
    ),
)  # fmt: skip

SQLITE = Corpus(
    names={"f": "jejak", "g": "jejak_semua"},
    spelled=(
        "{f}(1)", "{F}(1)", '"{f}"(1)', "`{f}`(1)", "[{f}](1)", "{f} (1)", "{f}/**/(1)", "{f} -- x\n (1)",
        "{f}((SELECT 1))", "{g}(t.a)", "{g}(DISTINCT t.a)", "{g}(t.a) FILTER (WHERE 1)", "{g}(t.a) OVER ()",
    ),
    strange=(
        "{f}", "t.{f}", "main.{f}(1)", "{f} 1", "{f}(*)", "(1).{f}", "1 {f} 1", "{f}(1) OVER w", "1 -> {f}(1)",
        "1 ->> {f}(1)",
        "1 COLLATE {f}", "1 MATCH {f}(1)", "1 REGEXP {f}(1)", "RAISE({f}, 'x')", "?{f}", ":{f}(1)", "@{f}(1)",
        "$t::{f}(1)",
        "'{f}'(1)",
    ),
    places=(
        *_PLACES,
        "SELECT a FROM t LIMIT {e}",
        "SELECT a FROM t LIMIT 1 OFFSET {e}",
        "SELECT iif({e}, 1, 2) FROM t",
        "VALUES ({e})",
        "SELECT '{}' ->> {e} FROM t",
        "SELECT 'x' GLOB {e} FROM t",
        "SELECT a COLLATE NOCASE FROM t ORDER BY {e} COLLATE NOCASE",
        "SELECT j.value FROM t, json_each('[' || {e} || ']') AS j",
        "SELECT total(a) FILTER (WHERE {e}) FROM t",
    ),
    changing=(
        "INSERT INTO u (a) SELECT {e} FROM t",
        "INSERT INTO u (a) VALUES ({e})",
        "INSERT INTO u (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = {e} WHERE {e}",
        "INSERT INTO u (a) VALUES (NULL) RETURNING {e}",
        "UPDATE u SET b = {e} WHERE a = 1",
        "UPDATE u SET b = 1 FROM t WHERE u.a = {e}",
        "DELETE FROM u WHERE a = {e} RETURNING {e}",
    ),
    whole=(
        "SELECT * FROM {f}(1)", "SELECT * FROM {f}", "SELECT 1; SELECT {f}(1)", "EXPLAIN SELECT {f}(1)",
        "SELECT * FROM pragma_table_info('t')", "SELECT * FROM pragma_function_list",
        "SELECT * FROM t JOIN pragma_table_list",
        "PRAGMA table_info({f})", "CREATE TABLE x AS SELECT {f}(1)", "ATTACH {f}(1) AS x", "VACUUM INTO {f}(1)",
        "CREATE TRIGGER x AFTER INSERT ON u BEGIN SELECT {f}(1); END",
    ),
)  # fmt: skip
