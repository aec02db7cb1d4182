"""Definitions of operations as MANTRA 1.99x stores them: clean ones, which can be called, and every trap."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

#: The columns of the real table, as the server has them, and its rows.
TABLE = "pegawai"
COLUMNS = ("nip", "nama", "golongan", "unit kerja", "kode-wil", "tahun")
ROWS: tuple[tuple[str | None, ...], ...] = tuple(
    (
        f"1980{number:04d}",
        f"{('Siti', 'Budi', 'Ayu', 'Tiur', 'Ünal')[number % 5]} {number}",
        f"{'I' * (1 + number % 3)}/{'abcd'[number % 4]}",
        f"Dinas {number % 7}" if number % 9 else None,
        f"32.{number % 4:02d}",
        str(2015 + number % 5),
    )
    for number in range(1, 41)
)
#: Name of a trap → the column of it, in a table of its own.
HARD_TABLE = "induk"
HARD_COLUMNS = {
    "parameter-dash": "kode-wil", "parameter-dot": "a.b", "parameter-digit": "1tmt", "parameter-accent": "Ünï",
    "parameter-bracket": "nilai(rp)", "parameter-slash": "rt/rw", "parameter-blank": "NAMA LENGKAP",
    "parameter-long": "k" * 64,
}  # fmt: skip


def hard_value(name: str, row: Sequence[str | None]) -> str:
    """What a row has in a column that is hard to name: another value in each."""
    return f"{list(HARD_COLUMNS).index(name)}/{row[0]}"


TABLE_STATEMENTS = (
    f"CREATE TABLE IF NOT EXISTS `{TABLE}` (`nip` varchar(18) NOT NULL, `nama` varchar(100) NOT NULL,"
    " `golongan` varchar(8), `unit kerja` varchar(60), `kode-wil` varchar(10), `tahun` int(11), PRIMARY KEY (`nip`))"
    " ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci",
    f"DELETE FROM `{TABLE}`",
    f"INSERT INTO `{TABLE}` VALUES "
    + ", ".join("(" + ", ".join("NULL" if value is None else f"'{value}'" for value in row) + ")" for row in ROWS),
    # A table of the same people, with the columns that are hard to name.
    f"CREATE TABLE IF NOT EXISTS `{HARD_TABLE}` (`nip` varchar(18) NOT NULL, `nama` varchar(100) NOT NULL, "
    + ", ".join(f"`{name}` varchar(40)" for name in HARD_COLUMNS.values())
    + ", PRIMARY KEY (`nip`)) ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci",
    f"DELETE FROM `{HARD_TABLE}`",
    f"INSERT INTO `{HARD_TABLE}` VALUES "
    + ", ".join(
        "(" + ", ".join(f"'{value}'" for value in (*row[:2], *(hard_value(name, row) for name in HARD_COLUMNS))) + ")"
        for row in ROWS
    ),
)
#: The table of the real PostgreSQL: its columns with their types, and its rows as the server writes them.
PERMITS = {
    "no_izin": "text", "berlaku": "date", "aktif": "boolean", "luas": "double precision", "kode-wil": "text",
    "tahun": "integer",
}  # fmt: skip
PERMIT_ROWS: tuple[tuple[str | None, ...], ...] = tuple(
    (
        f"IZ/{number:03d}",
        f"201{number % 8}-0{1 + number % 9}-17",
        (None, "t", "f")[number % 3],
        ("7", "0.5", "1e+20", "-3.25")[number % 4],
        f"32.{number % 4:02d}",
        str(2015 + number % 5),
    )
    for number in range(1, 31)
)
PERMIT_STATEMENTS = (
    f"CREATE TABLE v_izin ({', '.join(f'{json.dumps(name)} {type}' for name, type in PERMITS.items())})",
    "INSERT INTO v_izin VALUES "
    + ", ".join(
        "(" + ", ".join("NULL" if value is None else f"'{value}'" for value in row) + ")" for row in PERMIT_ROWS
    ),
    "GRANT SELECT ON v_izin TO PUBLIC",
)


@dataclass(frozen=True)
class Place:
    """The servers of what can be called: the real table's, that of PostgreSQL, and the addresses of web services."""

    host: str = "10.1.1.5"
    port: int = 3306
    database: str = "simpeg"
    user: str = "baca"
    password: str = "rahasia"
    postgres: Place | None = None
    upstream: str = "http://10.9.9.8"
    soap: str = "http://10.8.8.9/rpc"

    @property
    def permits(self) -> Place:
        return self.postgres or Place("10.1.2.4", 5432, "izin")


Text = Mapping[str, Any]
Rows = list[dict[str, str | None]]


def as_json(definition: Text) -> str:
    """A definition as PHP writes it: slashes escaped, and everything outside of ASCII."""
    return json.dumps(definition, separators=(",", ":")).replace("/", "\\/")


def as_query(definition: Text) -> str:
    """A definition as rows of early versions have it."""
    return urlencode(definition)


def database(place: Place, **changes: Any) -> dict[str, Any]:
    """The definition of a data operation on the real table, with the changes."""
    base = {
        "dbtype": "mysql", "hostname": place.host, "port": str(place.port), "dbuser": place.user,
        "dbpassword": place.password, "dbname": place.database, "tbname": f"`{TABLE}`",
        "columns": "`nip`,`nama`,`golongan`", "conditions": "WHERE `nip` = ''", "orders": "", "limrows": "",
        "limoffset": "",
    }  # fmt: skip
    return {**base, **changes}


def proxy(**changes: Any) -> dict[str, Any]:
    """The definition of a proxy operation, with the changes."""
    base = {
        "wstype": "get",
        "endpoint": "http://10.9.9.9/cuaca",
        "method": "kota.php",
        "accesskey": "",
        "request": "id:text=''",
    }
    return {**base, **changes}


def program(code: str, request: str = "nip:text=''") -> dict[str, Any]:
    """The definition of a program."""
    return {"code": code, "request": request}


# ------------------------------------------------------------------------------------------------- clean ones


@dataclass(frozen=True)
class Clean:
    """A data operation on the real table that can be called. ``answer``: the rows for its parameters."""

    columns: tuple[str, ...]
    changes: Mapping[str, str]
    parameters: Callable[[Sequence[str | None]], dict[str, str]]
    matches: Callable[[Sequence[str | None], Mapping[str, str]], bool]
    most: int = 0
    skipped: int = 0
    #: The columns and rows of its table.
    table: tuple[Sequence[str], Sequence[Sequence[str | None]]] = (COLUMNS, ROWS)

    kind = "database"

    def definition(self, place: Place) -> dict[str, Any]:
        return database(place.permits if self.changes.get("dbtype") == "postgres" else place, **self.changes)

    def answer(self, parameters: Mapping[str, str]) -> Rows:
        columns, table = self.table
        rows = [
            dict(zip(columns, row, strict=True))
            for row in table
            if self.matches(row, parameters)
        ][self.skipped :]  # fmt: skip
        return [{name: row[name] for name in self.columns} for row in (rows[: self.most] if self.most else rows)]


BY_NIP = "`nip` ASC"
#: One row each of shapes that real installations have; what they read is sorted by nip, as the table is.
CLEAN: tuple[Clean, ...] = (
    Clean(
        ("nip", "nama", "golongan"),
        {},
        lambda row: {"nip": str(row[0])},
        lambda row, sent: row[0] == sent["nip"],
    ),
    Clean(
        ("nip", "nama"),
        {"columns": "`nip`,`nama`", "conditions": "WHERE `nama` LIKE ''", "orders": BY_NIP},
        lambda row: {"nama": f"{str(row[1]).partition(' ')[0]}%"},
        lambda row, sent: str(row[1]).startswith(sent["nama"].rstrip("%")),
    ),
    Clean(
        ("nip", "unit kerja"),
        {"columns": "`nip`,`unit kerja`", "conditions": "WHERE `tahun` = 2017@@AND `golongan` = ''", "orders": BY_NIP},
        lambda _row: {"golongan": "III/c"},
        lambda row, sent: row[5] == "2017" and row[2] == sent["golongan"],
    ),
    Clean(
        ("nip", "nama"),
        {"columns": "`nip`,`nama`", "conditions": "WHERE `tahun` = ''", "orders": BY_NIP}
        | {"limrows": "3", "limoffset": "1"},
        lambda row: {"tahun": str(row[5])},
        lambda row, sent: row[5] == sent["tahun"],
        most=3,
        skipped=1,
    ),
    Clean(
        ("nip", "nama"),
        # The limit has no effect with this driver.
        {"columns": "`nip`,`nama`", "conditions": "WHERE `tahun` = ''", "orders": BY_NIP}
        | {"dbtype": "mysqli", "limrows": "2"},
        lambda row: {"tahun": str(row[5])},
        lambda row, sent: row[5] == sent["tahun"],
    ),
    Clean(
        ("nip", "unit kerja"),
        {"columns": "`nip`,`unit kerja`", "conditions": "WHERE `nip` = ''@@OR `unit kerja` = ''", "orders": BY_NIP},
        lambda row: {"nip": str(row[0]), "unit_kerja": "Dinas 3"},
        lambda row, sent: row[0] == sent["nip"] or row[3] == sent["unit_kerja"],
    ),
    Clean(
        ("nip", "kode-wil"),
        {"columns": "`nip`,`kode-wil`", "conditions": "WHERE `kode-wil` = ''", "orders": BY_NIP},
        lambda row: {"kode-wil": str(row[4])},
        lambda row, sent: row[4] == sent["kode-wil"],
    ),
    Clean(
        COLUMNS,
        {"columns": "", "conditions": "WHERE `nip` = ''"},
        lambda row: {"nip": str(row[0])},
        lambda row, sent: row[0] == sent["nip"],
    ),
    Clean(
        ("nip", "tahun"),
        # A value is a text whatever the column is: MySQL reads the number that it begins with.
        {"columns": "`nip`,`tahun`", "conditions": "WHERE `tahun` = ''@@AND `nip` <> '19800001'", "orders": BY_NIP},
        lambda row: {"tahun": f"0{row[5]}.0"},
        lambda row, sent: float(sent["tahun"]) == float(str(row[5])) and row[0] != "19800001",
    ),
    Clean(
        ("nip", "golongan"),
        # AND binds before OR.
        {"columns": "`nip`,`golongan`", "orders": BY_NIP}
        | {"conditions": "WHERE `tahun` = 2017@@AND `golongan` = ''@@OR `nip` = ''"},
        lambda row: {"golongan": "III/c", "nip": str(row[0])},
        lambda row, sent: (row[5] == "2017" and row[2] == sent["golongan"]) or row[0] == sent["nip"],
    ),
)  # fmt: skip

_PERMITS = {"dbtype": "postgres", "tbname": '"v_izin"', "orders": '"no_izin" ASC'}
#: The same on PostgreSQL.
CLEAN_PERMITS: tuple[Clean, ...] = (
    Clean(
        ("no_izin", "berlaku", "aktif", "luas"),
        {**_PERMITS, "columns": '"no_izin","berlaku","aktif","luas"', "conditions": "WHERE \"no_izin\" LIKE ''"},
        lambda _row: {"no_izin": "IZ/01%"},
        lambda row, sent: str(row[0]).startswith(sent["no_izin"].rstrip("%")),
        table=(tuple(PERMITS), PERMIT_ROWS),
    ),
    Clean(
        ("no_izin", "kode-wil"),
        {**_PERMITS, "columns": '"no_izin","kode-wil"', "conditions": "WHERE \"kode-wil\" = ''@@AND \"tahun\" > 2015"}
        | {"limrows": "2", "limoffset": "1"},
        lambda row: {"kode-wil": str(row[4])},
        lambda row, sent: row[4] == sent["kode-wil"] and str(row[5]) > "2015",
        most=2,
        skipped=1,
        table=(tuple(PERMITS), PERMIT_ROWS),
    ),
    Clean(
        ("no_izin", "tahun"),
        {**_PERMITS, "columns": '"no_izin","tahun"', "conditions": "WHERE \"tahun\" = ''"},
        lambda row: {"tahun": str(row[5])},
        lambda row, sent: row[5] == sent["tahun"],
        table=(tuple(PERMITS), PERMIT_ROWS),
    ),
)  # fmt: skip


def _hard(name: str) -> Clean:
    column = HARD_COLUMNS[name]
    sent = column.replace(" ", "_")
    return Clean(
        ("nip", "nama"),
        {"tbname": f"`{HARD_TABLE}`", "columns": "`nip`,`nama`", "conditions": f"WHERE `{column}` = ''"},
        lambda row: {sent: hard_value(name, row)},
        lambda row, values: hard_value(name, row) == values[sent],
    )


@dataclass(frozen=True)
class CleanProxy:
    """A proxy operation that can be called. Its upstream responds with what it received: ``answer``."""

    changes: Mapping[str, str]
    #: The values that the caller sends → path, body and key that the upstream gets.
    received: Callable[[Mapping[str, str]], tuple[str, str, str]]
    parameters: Callable[[Sequence[str | None]], dict[str, str]] = lambda row: {
        "kota": f"Kota {row[0]}",
        "tgl": f"17/8 & {row[5]}",
    }

    kind = "services"

    def definition(self, place: Place) -> dict[str, Any]:
        return proxy(**{"endpoint": f"{place.upstream}/cuaca", "request": "kota:text='',tgl:text=''", **self.changes})

    def answer(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        path, body, key = self.received(parameters)
        return {"jalur": path, "isi": body, "kunci": key}


@dataclass(frozen=True)
class CleanSoap:
    """A proxy operation of a SOAP service, which tests/servers/soap_service.py is. ``block``: what has the result."""

    path: str
    block: str

    kind = "services"

    def definition(self, place: Place) -> dict[str, Any]:
        request = "nik:text=''"
        # The key was never sent.
        return proxy(wstype="soap", endpoint=place.soap, method=self.path, request=request, accesskey="tidak-dikirim")

    def parameters(self, row: Sequence[str | None]) -> dict[str, str]:
        return {"nik": str(row[0])}

    def answer(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        return {self.block: {"nama": f"Untuk {parameters['nik']}", "gaji": "2500000.50"}}


Shape = Clean | CleanProxy | CleanSoap


def _twice(text: str) -> str:
    return quote_plus(quote_plus(text))


#: How the original asks, measured: LEGACY-IMPORT.md, section 5.
CLEAN_PROXIES: tuple[CleanProxy, ...] = (
    CleanProxy({"wstype": "get"}, lambda sent: (f"GET /cuaca/kota.php?{urlencode(sent)}", "", "")),
    CleanProxy(
        {"wstype": "post", "accesskey": "kunci12345"},
        lambda sent: ("POST /cuaca/kota.php", urlencode(sent), "kunci12345"),
    ),
    CleanProxy(
        {"wstype": "rest", "accesskey": "kunci12345"},
        lambda sent: (
            f"GET /cuaca/kota.php/kota={_twice(sent['kota'])}&tgl={_twice(sent['tgl'])}", "", "kunci12345",
        ),
    ),
    CleanProxy(
        {"wstype": "restfull"},
        lambda sent: (f"GET /cuaca/kota.php/{quote_plus(sent['kota'])}/{quote_plus(sent['tgl'])}", "", ""),
    ),
    CleanProxy(
        {"wstype": "restfullpar", "accesskey": "kunci12345"},
        lambda sent: (
            f"GET /cuaca/kota.php/kota/{quote_plus(sent['kota'])}/tgl/{quote_plus(sent['tgl'])}", "", "kunci12345",
        ),
    ),
    CleanProxy(
        # Constants go out as they were sent: a text with its quotation marks, without its equals signs.
        {"request": "id:numeric=501,kota:text='Gresik',q:text='a=b',kunci:password='rahasia',tgl:text=''"},
        lambda sent: (
            f"GET /cuaca/kota.php?id=501&kota=%27Gresik%27&q=%27ab%27&kunci=%27rahasia%27&{urlencode(sent)}", "", "",
        ),
        lambda row: {"tgl": f"1/1/{row[5]}"},
    ),
)  # fmt: skip

#: Data operations on servers that no test has.
ELSEWHERE: tuple[Text, ...] = (
    {
        "dbtype": "postgres", "hostname": "10.1.2.4", "port": "5432", "dbname": "izin", "tbname": '"v_izin"',
        "columns": '"no_izin","berlaku","aktif"', "conditions": "WHERE \"npwp\" = ''", "limrows": "50",
        "limoffset": "10",
    },
    {
        "dbtype": "mssql", "hostname": "10.1.2.6", "port": "1433", "dbname": "keu", "tbname": "[realisasi]",
        "columns": "[kode rekening],[nilai]", "conditions": "WHERE [tahun] = ''@@AND [nilai] >= 0",
    },
    {
        "dbtype": "oci8", "hostname": "10.1.2.3", "port": "1521", "dbname": "ORCL", "tbname": '"KENDARAAN"',
        "columns": '"NO_POLISI","MEREK"', "conditions": "WHERE \"NO_POLISI\" = ''",
    },
)  # fmt: skip

#: Proxy operations of each style.
PROXIES: tuple[Text, ...] = (
    {"wstype": "get"},
    {"wstype": "post", "accesskey": "kunci12345"},
    {"wstype": "rest", "accesskey": "kunci12345", "request": "kota:text='',tgl:text=''"},
    {"wstype": "restfull", "request": "kota:text='',tgl:text=''"},
    {"wstype": "restfullpar", "accesskey": "kunci12345", "request": "kota:text=''"},
    {"wstype": "soap", "endpoint": "http://10.8.8.8/ws/kk.php", "method": "cariKK#1#", "request": "nokk:text=''"},
)

PROGRAMS: tuple[Text, ...] = (
    program(
        "<?php $rows = dbExecute('SELECT nip, nama FROM pegawai WHERE nip = ?', $bindfield); echo serialize($rows); ?>"
    ),
    program("echo date('Y');", ""),
)


# ------------------------------------------------------------------------------------------------------ traps


@dataclass(frozen=True)
class Trap:
    """A row of ``methods`` with one thing that goes wrong in an import."""

    name: str
    kind: str
    source: str
    code: str = ""
    restricted: str = "on"
    #: What it responds with, where it can be called.
    shape: Shape | None = None


def traps(place: Place) -> list[Trap]:
    """Every trap of a definition, and of the names and kinds of operations."""
    return [*_data_traps(place), *_parameter_traps(place), *_proxy_traps(place), *_program_traps(), *_row_traps(place)]


def _data_traps(place: Place) -> list[Trap]:
    whole = database(place)
    other = {"hostname": "10.1.1.9", "port": "3306", "dbuser": "baca", "dbpassword": "sandi", "dbname": "dukcapil"}
    changes: dict[str, dict[str, Any]] = {
        "connection-host-with-port": {**other, "hostname": "10.1.1.5:3307", "port": ""},
        "connection-named-instance": {
            "dbtype": "mssql", "hostname": "SRV\\KEU", "port": "", "tbname": "[realisasi]", "columns": "[nilai]",
            "conditions": "WHERE [tahun] = ''",
        },
        "connection-localhost": {**other, "hostname": "localhost"},
        "connection-loopback": {**other, "hostname": "127.0.0.1"},
        "connection-port-1443": {
            "dbtype": "mssql", "hostname": "10.1.2.6", "port": "1443", "tbname": "[realisasi]", "columns": "[nilai]",
            "conditions": "WHERE [tahun] = ''",
        },
        "connection-no-port": {**other, "dbtype": "mysqli", "port": ""},
        "connection-tns-name": {
            "dbtype": "oci8", "hostname": "PRODUKSI", "port": "", "dbname": "", "tbname": '"KENDARAAN"', "columns": "",
            "conditions": "WHERE \"NO_POLISI\" = ''",
        },
        "connection-shared": {**other},
        "connection-shared-again": {**other, "columns": "`nip`"},
        "connection-other-password": {**other, "dbpassword": "sandi-lama"},
        "connection-root": {**other, "dbuser": "root"},
        "connection-unknown-type": {"dbtype": "firebird"},
        "connection-null-password": {**other, "dbpassword": None},
        "table-with-schema": {"tbname": "`skema.pegawai`"},
        "table-empty": {"tbname": ""},
        "columns-all": {"columns": ""},
        "columns-comma-in-name": {"columns": "`nip`,`nama, gelar`"},
        "condition-without-where": {"conditions": "AND `nip` = ''"},
        "condition-empty-text": {"conditions": "WHERE `golongan` <> ''@@AND `nip` = ''"},
        "condition-fixed-sql": {"conditions": "WHERE `nip` = ''@@AND `tahun` = (SELECT MAX(`tahun`) FROM `pegawai`)"},
        "condition-semicolon": {"conditions": "WHERE `nip` = ''@@AND `tahun` = 2017; DROP TABLE x"},
        "condition-comment": {"conditions": "WHERE `nip` = ''@@AND `tahun` = 2017 -- sementara"},
        "condition-colon": {"conditions": "WHERE `nip` = ''@@AND `nama` <> ':nama'@@AND `tahun` = :tahun"},
        "condition-brackets": {"conditions": "WHERE `nip` = ''@@AND `nama` <> '[[x]]'"},
        "condition-question-mark": {"conditions": "WHERE `nip` = ''@@AND `nama` <> 'apa?'"},
        "condition-unquoted-name": {"conditions": "WHERE HARGA = ''"},
        "condition-and-or": {"conditions": "WHERE `tahun` = 2017@@AND `nip` = ''@@OR `golongan` = ''"},
        "condition-column-twice": {"conditions": "WHERE `tahun` >= ''@@AND `tahun` <= ''"},
        "condition-not-equal": {"conditions": "WHERE `nip` != ''"},
        "condition-like": {"conditions": "WHERE `nama` LIKE ''"},
        "condition-none": {"conditions": ""},
        "order-two": {"orders": "`nama` ASC,`nip` DESC"},
        "limit-with-offset": {"limrows": "10", "limoffset": "5"},
        "limit-without-effect": {"dbtype": "mysqli", "limrows": "100"},
        "limit-without-effect-mssql": {
            "dbtype": "mssql", "hostname": "10.1.2.6", "port": "1433", "tbname": "[realisasi]", "columns": "[nilai]",
            "conditions": "WHERE [tahun] = ''", "limrows": "5",
        },
        "limit-without-effect-oci8": {
            "dbtype": "oci8", "hostname": "10.1.2.3", "port": "1521", "dbname": "ORCL", "tbname": '"KENDARAAN"',
            "columns": '"NO_POLISI"', "conditions": "WHERE \"NO_POLISI\" = ''", "limrows": "5",
        },
        "limit-no-number": {"limrows": "sepuluh"},
        "columns-boolean": {
            "dbtype": "postgres", "hostname": "10.1.2.4", "port": "5432", "dbname": "izin", "tbname": '"v_izin"',
            "columns": '"no_izin","aktif"', "conditions": "WHERE \"npwp\" = ''",
        },
    }  # fmt: skip
    found = [Trap(name, "database", as_json(whole | change)) for name, change in changes.items()]
    early = {**whole, **other, "hostname": "10.1.1.5:3307", "port": "", "dbpassword": "a&b"}
    return [
        *found,
        Trap("definition-query-string", "database", as_query(early)),
        Trap(
            "definition-query-string-called",
            "database",
            as_query({**whole, "hostname": f"{place.host}:{place.port}", "port": ""}),
            shape=CLEAN[0],
        ),
        # The rest of the password was a name of its own, already in the old program.
        Trap("definition-query-string-cut", "database", as_query(early).replace("a%26b", "a&b")),
    ]


def _parameter_traps(place: Place) -> list[Trap]:
    capitals = Clean(
        ("nip", "nama", "golongan"),
        {"conditions": "WHERE `NIP` = ''"},
        lambda row: {"nIp": str(row[0])},
        lambda row, sent: row[0] == sent["nIp"],
    )
    shapes = {**{name: _hard(name) for name in HARD_COLUMNS}, "parameter-capitals": capitals}
    return [Trap(name, "database", as_json(shape.definition(place)), shape=shape) for name, shape in shapes.items()]


def _proxy_traps(place: Place) -> list[Trap]:
    changes: dict[str, dict[str, str]] = {
        "proxy-unknown-style": {"wstype": "grpc"},
        "proxy-no-endpoint": {"endpoint": ""},
        "proxy-endpoint-with-query": {"endpoint": "http://10.9.9.9/cuaca?versi=2"},
        "proxy-endpoint-slash": {"endpoint": "http://10.9.9.9/cuaca/"},
        "proxy-endpoint-without-scheme": {"endpoint": "10.9.9.9/cuaca"},
        "proxy-no-method": {"method": ""},
        "proxy-soap-block": {
            "wstype": "soap",
            "endpoint": "http://10.8.8.8/ws/kk.php",
            "method": "cariKK#3#valid_data",
        },
        "proxy-soap-wsdl": {"wstype": "soap", "endpoint": "http://10.8.8.8/ws/kk.php?wsdl", "method": "cariKK#1#"},
        "proxy-soap-key": {"wstype": "soap", "method": "cariKK#1#", "accesskey": "tidak-dikirim"},
        "proxy-constant-text": {"request": "kota:text='Gresik',tgl:text=''"},
        "proxy-constant-numeric": {"request": "kota:numeric=Gresik,id:numeric=501"},
        "proxy-constant-password": {"request": "id:numeric=501,kunci:password='rahasia',tgl:text=''"},
        "proxy-value-with-equals": {"request": "q:text='a=b=c'"},
        "proxy-value-with-comma": {"request": "q:text='a,b:c'"},
        "proxy-zero": {"request": "halaman:numeric=0"},
        "proxy-names-by-case": {"request": "Tgl:text='',tgl:text=''"},
        "proxy-no-parameters": {"request": ""},
    }
    found = [Trap(name, "services", as_json(proxy(**change))) for name, change in changes.items()]
    early = proxy(accesskey="kunci12345")
    early["token"] = early.pop("accesskey")
    slash = CleanProxy({"endpoint": f"{place.upstream}/cuaca/"}, CLEAN_PROXIES[0].received)
    empty = CleanProxy({"method": ""}, lambda sent: (f"GET /cuaca?{urlencode(sent)}", "", ""))
    called: dict[str, Shape] = {
        "proxy-called-soap": CleanSoap("cari#1#", "cari"),
        "proxy-called-soap-block": CleanSoap("cari#1#hasil", "hasil"),
        "proxy-called-slash": slash, "proxy-called-no-method": empty, "proxy-called-constants": CLEAN_PROXIES[-1],
    }  # fmt: skip
    return [
        *found,
        *(Trap(name, "services", as_json(shape.definition(place)), shape=shape) for name, shape in called.items()),
        Trap("proxy-token", "services", as_query(early)),
        Trap("proxy-token-json", "services", as_json(early)),
    ]


def _program_traps() -> list[Trap]:
    codes = {
        "program-write": "dbUpdate(\"UPDATE pegawai SET nama = ? WHERE nip = ?\", $bindfield); echo 'OK';",
        "program-delete": "dbDelete('DELETE FROM cuti WHERE id = ?', $bindfield);",
        "program-credentials": "mysql_connect('10.1.1.5', 'root', 'sandi-root'); echo 'OK';",
        "program-own-envelope": "echo serialize(array('response' => array('status' => 1, 'data' => 'x')));",
        "program-tags": "echo '<b>tebal</b>';",
        "program-long": "// " + "x" * 20_000 + "\necho 1;",
    }
    found = [Trap(name, "program", as_json(program(code))) for name, code in codes.items()]
    # Early rows are encoded twice; a text with $code= was taken for one of them.
    twice = urlencode({"code": urlencode({"": "echo 1 + 1;"})[1:], "request": urlencode({"": "nip:text=''"})[1:]})
    return [
        *found,
        Trap("program-query-string", "program", twice),
        Trap("program-says-code", "program", as_json(program("$code='x'; echo $code;"))),
    ]


def _row_traps(place: Place) -> list[Trap]:
    good = as_json(database(place))
    codes = {
        "operation-underscore": "_cari", "operation-slash": "cari/nip", "operation-comma": "cari, nip",
        "operation-apostrophe": "data jum'at", "operation-accent": "Cari Ünï", "operation-percent": "cari%nip",
        "operation-dot": "cari.nip-v1:a", "operation-blank": "cari nip", "operation-long": "o" * 128,
        "operation-bracket": "cari(nip)", "operation-alike": "cari nip!",
    }  # fmt: skip
    # No address of ours can have these: their callers must be told.
    lost = ("operation-slash", "operation-percent")
    return [
        *(Trap(name, "database", good, code, shape=None if name in lost else CLEAN[0]) for name, code in codes.items()),
        Trap("open-flag", "database", good, restricted="off", shape=CLEAN[0]),
        Trap("type-unknown", "skrip", as_json(program("echo 1;"))),
        Trap("definition-empty", "database", ""),
        Trap("definition-neither", "database", "belum diisi"),
        Trap("definition-broken-json", "database", good[: len(good) // 2]),
        Trap("definition-list", "database", "[1, 2]"),
        Trap("definition-wrong-kind", "services", good),
        Trap("definition-leading-blank", "database", "\r\n  " + good, shape=CLEAN[0]),
    ]
