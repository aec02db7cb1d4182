"""Data operations of MANTRA 1.99x: connections, SQL and parameters."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import adapter_class
from dataservices import models
from dataservices.sql import check, parse, quoted_placeholders
from mantra.legacy_import.translating import DataDefinition, OldParameter, Refused, connections, translate
from mantra.legacy_import.translating import data as data_module
from tests.legacy_import.written import data, kinds, operation, php_json

DIALECTS = {"mysql": "mysql", "mysqli": "mysql", "postgres": "postgres", "mssql": "tsql", "oci8": "oracle"}


def assert_runs(definition: DataDefinition) -> None:
    """Assert that the SQL may run, and that its placeholders are the parameters."""
    dialect = definition.connection.dialect
    assert check(definition.sql, dialect) == []
    assert quoted_placeholders(definition.sql, dialect) == []
    template = parse(definition.sql, dialect)
    assert set(template.placeholders) == {each.name for each in definition.parameters}
    assert not template.blocks


def refused(**texts: object) -> str:
    with pytest.raises(Refused) as error:
        data(**texts)
    return error.value.remark.kind.value


# --------------------------------------------------------------- the ten definitions: 1 to 8


def test_1_by_number() -> None:
    found = data(
        hostname="localhost",
        dbuser="user",
        columns="`nip`,`nama`,`golongan`",
        conditions="WHERE `nip` = ''",
        limrows="1",
    )
    assert found.sql == "SELECT `nip`,`nama`,`golongan` FROM `pegawai` WHERE `nip` = :nip LIMIT 1"
    assert found.max_rows == 1
    assert found.parameters == (OldParameter("nip"),)
    assert kinds(found) == {"localhost"} and found.is_draft
    assert_runs(found)


def test_2_like_with_all_columns() -> None:
    found = data(
        tbname="`penduduk`", columns="", conditions="WHERE `NAMA LENGKAP` LIKE ''", orders="`NAMA LENGKAP` ASC"
    )
    assert found.sql == ("SELECT * FROM `penduduk` WHERE `NAMA LENGKAP` LIKE :NAMA_LENGKAP ORDER BY `NAMA LENGKAP` ASC")
    assert kinds(found) == {"all-columns"} and not found.is_draft
    assert_runs(found)


def test_3_fixed_and_free_with_a_limit_that_does_nothing() -> None:
    found = data(
        dbtype="mysqli", conditions="WHERE `tahun` = 2017@@AND `status` = 'AKTIF'@@AND `kode_skpd` = ''", limrows="100"
    )
    assert found.sql == (
        "SELECT `nip`,`nama` FROM `pegawai` WHERE `tahun` = 2017 AND `status` = 'AKTIF' AND `kode_skpd` = :kode_skpd"
    )
    assert found.max_rows == data_module.MAX_ROWS
    assert kinds(found) == {"limit-unused"} and not found.is_draft
    assert_runs(found)


def test_4_two_parameters_with_or() -> None:
    found = data(conditions="WHERE `nik` = ''@@OR `no_kk` = ''")
    assert found.sql.endswith("WHERE `nik` = :nik OR `no_kk` = :no_kk")
    assert [each["required"] for each in found.bundle("uji", "simpeg")["parameters"]] == [True, True]
    assert_runs(found)


def test_5_postgresql_with_a_limit() -> None:
    """The legacy wire writes booleans as t and f by itself: no column is wrapped."""
    found = data(
        dbtype="postgres", port="5432", tbname='"v_izin"', columns='"no_izin","berlaku","aktif"',
        conditions="WHERE \"npwp\" = ''", limrows="50", limoffset="10",
    )  # fmt: skip
    assert found.sql == ('SELECT "no_izin","berlaku","aktif" FROM "v_izin" WHERE "npwp" = :npwp LIMIT 50 OFFSET 10')
    assert (found.connection.engine, found.connection.port, found.max_rows) == ("postgresql", 5432, 50)
    assert_runs(found)


def test_6_a_named_instance_of_sql_server() -> None:
    found = data(
        dbtype="mssql", hostname="SRV\\KEU", port="", tbname="[realisasi]", columns="[kode rekening],[nilai]",
        conditions="WHERE [tahun] = ''@@AND [nilai] >= 0",
    )  # fmt: skip
    assert found.sql == "SELECT [kode rekening],[nilai] FROM [realisasi] WHERE [tahun] = :tahun AND [nilai] >= 0"
    assert (found.connection.host, found.connection.port) == ("SRV", None)
    assert found.connection.options == (("instance", "KEU"),)
    assert kinds(found) == {"named-instance", "sqlserver-or-sybase"}
    assert_runs(found)


def test_7_oracle() -> None:
    found = data(
        dbtype="oci8", hostname="10.1.2.3", port="1521", dbname="ORCL", tbname='"KENDARAAN"', columns="",
        conditions="WHERE \"NO_POLISI\" = ''",
    )  # fmt: skip
    assert found.sql == 'SELECT * FROM "KENDARAAN" WHERE "NO_POLISI" = :NO_POLISI'
    assert (found.connection.port, found.connection.database) == (1521, "")
    assert found.connection.options == (("service_name", "ORCL"),)
    assert kinds(found) == {"all-columns", "oracle-name"}
    assert_runs(found)


def test_8_the_old_encoding() -> None:
    source = (
        "dbtype=mysql&hostname=10.1.1.5%3A3307&port=&dbuser=baca&dbpassword=a%26b&dbname=dukcapil&tbname=%60ktp%60"
        "&columns=&conditions=WHERE+%60nik%60+%3D+%27%27&orders=&limrows=&limoffset="
    )
    found = translate(operation("database", source))
    assert isinstance(found, DataDefinition)
    assert found.sql == "SELECT * FROM `ktp` WHERE `nik` = :nik"
    assert found.connection == connections.Connection("mysql", "10.1.1.5", 3307, "dukcapil", "baca", "a&b")


# -------------------------------------------------------------------------------- connections


def test_operations_with_equal_connections_share_a_source() -> None:
    written = data(hostname="10.1.1.5:3306", port="").connection
    assert {data().connection, data(dbtype="mysqli", port="").connection, written} == {data().connection}
    assert len({data().connection, data(dbpassword="lain").connection}) == 2
    assert "a&b" not in repr(data().connection)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "127.0.1.1", "", "localhost:/tmp/mysql.sock", "::1"]
)
def test_the_old_server_itself_is_asked_for(host: str) -> None:
    found = data(hostname=host)
    assert found.connection.is_local and found.is_draft and "localhost" in kinds(found)


def test_an_address_that_is_known_by_now_takes_its_place() -> None:
    for host in ("localhost", "Localhost:3306"):
        found = data(hosts={"localhost": "10.1.1.9"}, hostname=host)
        assert (found.connection.host, found.connection.port) == ("10.1.1.9", 3306)
        assert not found.is_draft and kinds(found) == set()
    same = data(hosts={"localhost": "127.0.0.1"}, hostname="localhost")
    assert (same.connection.host, same.is_draft) == ("127.0.0.1", False)
    found = data(hosts={"localhost": "10.1.1.9:3310"}, hostname="localhost", port="3306")
    assert found.connection.port == 3310 and kinds(found) == set()


@pytest.mark.parametrize(
    ("texts", "host", "port", "remarks"),
    [
        ({"port": "3307"}, "10.1.1.5", 3307, set()),
        ({"hostname": "db:3308", "port": "3306"}, "db", 3308, {"port-twice"}),
        ({"hostname": "db:3308", "port": "3308"}, "db", 3308, set()),
        ({"port": "tiga"}, "10.1.1.5", 3306, {"port-unusable"}),
        ({"port": "70000"}, "10.1.1.5", 3306, {"port-unusable"}),
        ({"hostname": "fe80::1"}, "fe80::1", 3306, set()),
        ({"hostname": "[fe80::1]:3310", "port": ""}, "fe80::1", 3310, set()),
        ({"dbtype": "mssql", "port": "1443"}, "10.1.1.5", 1443, {"unusual-port", "sqlserver-or-sybase"}),
        ({"dbtype": "mssql", "hostname": "srv,1500", "port": ""}, "srv", 1500, {"sqlserver-or-sybase"}),
        ({"dbtype": "mssql", "hostname": "srv\\keu", "port": "1500"}, "srv", 1500, {"sqlserver-or-sybase"}),
    ],
)
def test_ports(texts: dict[str, str], host: str, port: int, remarks: set[str]) -> None:
    found = data(**texts)
    assert (found.connection.host, found.connection.port) == (host, port)
    assert kinds(found) == remarks


def test_sql_server_or_sybase_at_both_ports() -> None:
    found = data(dbtype="mssql", port="1443").connection
    assert [(each.engine, each.port) for each in found.alternatives] == [("sqlserver", 1433), ("sybase", 1443)]
    assert data().connection.alternatives == ()


def test_oracles_connect_strings() -> None:
    for host, database in (("SIMPEG", ""), ("(DESCRIPTION=(X=1))", "ORCL"), ("//10.1.1.5:1521/ORCL", "ORCL")):
        found = data(dbtype="oci8", hostname=host, dbname=database).connection
        assert (found.host, found.port, found.options) == ("", None, (("dsn", host),))


def test_a_lost_password_is_to_be_entered_and_a_powerful_account_replaced() -> None:
    found = data(dbpassword=None, dbuser="root")
    assert kinds(found) == {"password-lost", "powerful-account"}
    assert found.connection.password == "" and not found.is_draft


def test_missing_settings_are_named_and_filled() -> None:
    found = data(dbuser="", dbname="")
    assert kinds(found) == {"missing-setting"} and found.is_draft
    assert (found.connection.user, found.connection.database) == ("belum-diisi", "belum-diisi")


def test_refused_connections() -> None:
    assert refused(dbtype="sqlite") == "unknown-engine"
    assert refused(dbtype="MySQL") == "unknown-engine"
    assert refused(dbname="mysql") == "system-database"
    assert refused(dbtype="mssql", dbname="Master") == "system-database"
    assert refused(dbpassword="x" * 1001) == "too-long"


def test_the_servers_own_databases_and_ports_are_those_of_the_adapters() -> None:
    for engine, port in connections.PORTS.items():
        adapter = adapter_class(engine)
        assert connections.SYSTEM_DATABASES.get(engine, frozenset()) == adapter.system_databases
        assert [each.default for each in adapter.settings if each.name == "port"] == [str(port)]
        assert connections.DIALECTS[engine] == adapter.dialect


def test_a_source_as_a_bundle_has_it() -> None:
    found = data(dbtype="mssql", hostname="$" + "{HOME}\\KEU", port="", dbname="a$$b").connection
    assert found.bundle("diknas", "keu", "env:X") == {
        "agency": "diknas", "code": "keu", "engine": "sqlserver", "host": "$$" + "{HOME}", "database": "a$$$b",
        "user": "baca", "password": "env:X", "options": {"instance": "KEU"},
    }  # fmt: skip


# ------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("dbtype", DIALECTS)
@pytest.mark.parametrize("written", ["`pegawai`", '"pegawai"', "[pegawai]", " pegawai ", "pegawai"])
def test_a_table_is_quoted_for_its_database_however_it_was_written(dbtype: str, written: str) -> None:
    found = data(dbtype=dbtype, tbname=written)
    opening, closing = {"mysql": "``", "postgres": '""', "tsql": "[]", "oracle": '""'}[DIALECTS[dbtype]]
    assert f" FROM {opening}pegawai{closing}" in found.sql
    assert_runs(found)


def test_schema_and_table_are_one_name_as_in_the_original() -> None:
    found = data(dbtype="postgres", tbname="skema.tabel")
    assert ' FROM "skema.tabel"' in found.sql
    assert kinds(found) == {"qualified-table"} and found.is_draft
    assert_runs(found)


def test_two_quoted_names_stay_two() -> None:
    found = data(dbtype="postgres", tbname='"skema"."tabel"')
    assert ' FROM "skema"."tabel"' in found.sql
    assert not found.is_draft
    assert_runs(found)


def test_no_table_is_refused() -> None:
    assert refused(tbname="") == "no-table"
    assert refused(tbname=' `` "" ') == "no-table"
    assert refused(tbname=None) == "no-table"


# --------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize("dbtype", DIALECTS)
@pytest.mark.parametrize("operator", ["LIKE", "<>", "!=", "<=", ">=", "<", ">", "="])
def test_each_operator_in_each_dialect(dbtype: str, operator: str) -> None:
    opening, closing = {"mysql": "``", "postgres": '""', "tsql": "[]", "oracle": '""'}[DIALECTS[dbtype]]
    found = data(dbtype=dbtype, conditions=f"WHERE {opening}kode wil{closing} {operator} ''")
    assert found.sql.endswith(f"WHERE {opening}kode wil{closing} {operator} :kode_wil")
    assert found.parameters == (OldParameter("kode_wil"),)
    assert_runs(found)


def test_and_or_keep_their_order_without_brackets() -> None:
    found = data(conditions="WHERE `a` = ''@@AND `b` = 1@@OR `c` <> 'x'@@AND `d` LIKE ''")
    assert found.sql.endswith("WHERE `a` = :a AND `b` = 1 OR `c` <> 'x' AND `d` LIKE :d")
    assert_runs(found)


def test_conditions_without_where_made_a_draft_for_the_original_returned_the_table() -> None:
    found = data(conditions="AND `a` = ''")
    assert "WHERE" not in found.sql and found.parameters == ()
    assert kinds(found) == {"conditions-ignored"} and found.is_draft


def test_an_equality_with_the_empty_text_is_fixed_unless_a_blank_is_before_it() -> None:
    found = data(conditions="WHERE `a` =''@@AND `b` = ''")
    assert found.sql.endswith("WHERE `a` ='' AND `b` = :b")
    assert found.parameters == (OldParameter("b"),)
    assert_runs(found)


def test_the_same_column_twice_is_two_parameters_in_a_draft() -> None:
    found = data(conditions="WHERE `tgl` >= ''@@AND `tgl` <= ''")
    assert found.sql.endswith("WHERE `tgl` >= :tgl AND `tgl` <= :tgl_2")
    assert kinds(found) == {"column-twice"} and found.is_draft
    assert_runs(found)


def test_a_question_mark_in_a_fixed_condition_makes_a_draft() -> None:
    found = data(conditions="WHERE `a` = 'siapa?'@@AND `b` = ''")
    assert found.sql.endswith("WHERE `a` = 'siapa?' AND `b` = :b")
    assert kinds(found) == {"question-mark"} and found.is_draft
    assert_runs(found)


@pytest.mark.parametrize(
    "clause", ["WHERE HARGA = ''", "WHERE NAMA LIKE ''", "AND KELAS = ''", "WHERE nama NOT LIKE ''"]
)
def test_names_of_which_the_original_takes_letters_away_are_refused(clause: str) -> None:
    assert refused(conditions=f"WHERE `a` = 1@@{clause}") == "letters-stripped"


def test_a_name_without_quotation_marks_that_keeps_its_letters_is_taken() -> None:
    found = data(conditions="WHERE kota = ''")
    assert found.sql.endswith("WHERE kota = :kota")
    assert not found.is_draft
    assert_runs(found)


def test_names_that_our_parameters_cannot_have_get_another() -> None:
    found = data(conditions="WHERE `kode-wil` = ''@@AND `1tmt` = ''@@AND `a.b` = ''")
    assert found.sql.endswith("WHERE `kode-wil` = :kode_wil AND `1tmt` = :p_1tmt AND `a.b` = :a_b")
    assert found.parameters == (
        OldParameter("kode_wil", "kode-wil"),
        OldParameter("p_1tmt", "1tmt"),
        OldParameter("a_b"),
    )
    assert kinds(found) == {"parameter-renamed"} and not found.is_draft
    assert_runs(found)


@pytest.mark.parametrize(
    ("clause", "reason"),
    [
        ("AND `b` = 1; DROP TABLE x", "statements"),
        ("AND `b` = 1 -- habis", "comment"),
        ("AND `b` = 1 # habis", "comment"),
        ("AND `b` = 1 /* habis */", "comment"),
        ("AND `b` = :c", "placeholders"),
        ("AND `b` = 'pukul :jam'", "mark-quoted"),
        ("AND [[ `b` = 1 ]]", "block-empty"),
        ("AND `b` = 'belum tutup", "unreadable"),
        ("AND `b` = sleep(10)", "function"),
        ("AND `b` = (SELECT `x` FROM `y` INTO OUTFILE 'z')", "into"),
        ("`b` = 1", "syntax"),
    ],
)
def test_fixed_text_that_may_not_run_here_is_a_comment_in_a_draft(clause: str, reason: str) -> None:
    found = data(conditions=f"WHERE `a` = ''@@{clause}")
    assert found.is_draft and "sql-refused" in kinds(found)
    (remark,) = [each for each in found.remarks if each.kind.value == "sql-refused"]
    assert reason in dict(remark.arguments)["reason"]
    assert found.sql.splitlines()[-1] == "SELECT :a AS p1"
    assert "`pegawai`" in found.sql
    assert_runs(found)


def test_a_fixed_condition_with_sql_that_may_run_stays() -> None:
    found = data(conditions="WHERE `a` IN (1, 2)@@AND `b` BETWEEN 1 AND 2@@AND LOWER(`c`) = 'x'@@AND `d` = ''")
    assert found.sql.endswith("WHERE `a` IN (1, 2) AND `b` BETWEEN 1 AND 2 AND LOWER(`c`) = 'x' AND `d` = :d")
    assert kinds(found) == {"condition-unclear"}
    assert_runs(found)


def test_times_and_casts_are_no_placeholders() -> None:
    found = data(dbtype="postgres", conditions="WHERE \"jam\" > '08:30'@@AND \"a\" = '1'::text@@AND \"b\" = ''")
    assert found.sql.endswith('WHERE "jam" > \'08:30\' AND "a" = \'1\'::text AND "b" = :b')
    assert not found.is_draft
    assert_runs(found)


def test_quotation_marks_of_another_database_make_a_draft() -> None:
    found = data(conditions="WHERE \"nip\" = ''")
    assert found.is_draft and kinds(found) == {"condition-unclear"}
    assert_runs(found)


# ----------------------------------------------------------------------- columns, order, limit


def test_columns_stay_as_they_were_written() -> None:
    found = data(columns="`nip`, nama,COUNT(*) AS n")
    assert found.sql.startswith("SELECT `nip`,nama,COUNT(*) AS n FROM")
    assert_runs(found)


def test_columns_that_may_not_run_make_a_draft() -> None:
    found = data(columns="LOAD_FILE('/etc/passwd')")
    assert found.is_draft and found.sql.splitlines()[-1] == "SELECT 1 AS p1"
    assert_runs(found)


def test_orders() -> None:
    found = data(orders="`nama` ASC, `nip` DESC,`id`")
    assert found.sql.endswith("ORDER BY `nama` ASC,`nip` DESC,`id`")
    assert_runs(found)


@pytest.mark.parametrize(
    ("texts", "sql", "rows", "remarks"),
    [
        ({"limrows": "5", "limoffset": "0"}, " LIMIT 5", 5, set()),
        ({"limrows": "0"}, "", data_module.MAX_ROWS, set()),
        ({"limrows": "", "limoffset": "3"}, "", data_module.MAX_ROWS, {"limit-unclear"}),
        ({"limrows": "5; DROP"}, "", data_module.MAX_ROWS, {"limit-unclear"}),
        ({"limrows": "99999999999"}, " LIMIT 99999999999", 10_000_000, set()),
        ({"dbtype": "mssql", "limrows": "5"}, "", data_module.MAX_ROWS, {"limit-unused", "sqlserver-or-sybase"}),
        ({"dbtype": "oci8", "limrows": "5"}, "", data_module.MAX_ROWS, {"limit-unused", "oracle-name"}),
    ],
)
def test_limits_are_taken_where_they_had_an_effect(
    texts: dict[str, str], sql: str, rows: int, remarks: set[str]
) -> None:
    found = data(**texts)
    assert found.sql.partition(" FROM ")[2].partition(" ")[2] == sql.strip()
    assert found.max_rows == rows and kinds(found) == remarks
    assert_runs(found)


def test_bounds() -> None:
    assert refused(columns="`a`," * 20_000) == "too-long"
    assert (
        refused(conditions="@@".join(["WHERE `a` = ''", *(f"AND `k{n}` = ''" for n in range(200))]))
        == "too-many-parameters"
    )
    assert data_module.MAX_SQL == models.MAX_SQL and data_module._HIGHEST == models.MAX_ROWS


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (f"WHERE{' ' * 40_000}kota = ''", set()),
        (f"WHERE `a`{' ' * 40_000} = ''", set()),
        (f"WHERE `a`{' ' * 40_000}x", {"condition-unclear", "sql-refused"}),
        ("WHERE " + "[" * 40_000, {"condition-unclear", "sql-refused"}),
        ("WHERE " + '"' * 40_000 + " = ''", {"condition-unclear"}),
    ],
)
def test_long_rubbish_is_read_in_one_pass(conditions: str, expected: set[str]) -> None:
    """An expression that reads blanks again and again would need minutes for these."""
    assert kinds(data(conditions=conditions)) >= expected


# ------------------------------------------------------------------------------ any text at all

_PIECES = st.sampled_from(
    ["WHERE ", "AND ", "OR ", "`a`", '"b"', "[c]", "kota", " = ", " LIKE ", "''", " ''", "'x'", "@@", ":n", "[[", "]]",
     "--", "/*", "*/", ";", "?", "`", "'", '"', "\\", "$$", "{{", "(", ")", ",", "1", "#", "\n", "ü", "%", "q'[",
     "\u2028"]
)  # fmt: skip
_TEXTS = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=14).map("".join))


@pytest.mark.parametrize("dbtype", sorted(DIALECTS))
@pytest.mark.parametrize("name", ["/*", "a/*b*/", "a--b", "a#b", "a;b", "a{{b"])
def test_a_table_with_signs_of_sql_runs_or_is_a_draft(dbtype: str, name: str) -> None:
    assert_runs(data(dbtype=dbtype, tbname=name, columns=f'"{name}"', conditions="", orders=""))


@settings(max_examples=300)
@given(
    dbtype=st.sampled_from(sorted(DIALECTS)), tbname=_TEXTS, columns=_TEXTS, conditions=_TEXTS, orders=_TEXTS,
    limrows=st.sampled_from(["", "1", "x", "-1", "²"]), description=st.text(max_size=20),
)  # fmt: skip
def test_any_text_ends_as_sql_that_may_run_or_as_refused(description: str, **texts: str) -> None:
    with suppress(Refused):
        assert_runs(data(**texts))


@settings(max_examples=300)
@given(
    kind=st.sampled_from(["database", "services", "program", "lain"]),
    source=st.one_of(
        st.text(max_size=200),
        st.dictionaries(
            st.sampled_from(["dbtype", "wstype", "code", "hostname", "port", "endpoint", "method", "request"]),
            st.one_of(_TEXTS, st.none(), st.integers(), st.sampled_from(["mysql", "get", "soap", "oci8", "http://x/"])),
        ).map(php_json),
        st.text(max_size=100).map("dbtype=mysql&wstype=get&code=".__add__),
    ),
)
def test_any_source_ends_as_a_definition_or_as_refused(kind: str, source: str) -> None:
    with suppress(Refused):
        found = translate(operation(kind, source))
        assert all(each.text() for each in found.all_remarks)
