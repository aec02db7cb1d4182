"""Exchanges of old callers with a running bus: bytes on the wire, and the bytes that 1.99x would have answered.

F1, F4, F5, F11, F15, F20: the findings of the comparison with the original.
"""

from __future__ import annotations

import base64
import json
import random
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.gateway import original
from tests.gateway.original import FORMATS, Row, failure, rows, written
from tests.servers.bus import Bus
from tests.servers.wire import read_response

CLIENTS = Path(__file__).parent / "clients"
NAMES = ["Siti & Co", "Budi/Ani", "100% Jaya", "A+B", "Ünï é ☃ 😀", "<b>\"'\\", "tab\tbaris\nbaru", "Siti"]
KEYS = {
    "gema": "aaaaaaaaaa", "Cari-Orang.v1": "bbbbbbbbbb", "semua": "cccccccccc", "rusak": "dddddddddd",
    "di_alamat": "eeeeeeeeee", "dibungkus": "ffffffffff",
}  # fmt: skip
NO_KEY = "Operasi tidak memiliki izin, karena kunci akses tidak terdaftar (kosong)"
UNKNOWN = "Fungsi operasi tidak terdaftar"
MISSING = "Seluruh parameter fungsi operasi wajib diisi"
FORM = "application/x-www-form-urlencoded"
#: The parameters of the operation gema, as 1.99x named them.
ECHOED = ("nama", "kode-wil")


def nothing(name: str) -> str:
    return f'Hasil operasi data "{name}" tidak ada (kosong)'


def bundle() -> dict[str, Any]:
    def operation(code: str, sql: str, *parameters: Any, **more: Any) -> dict[str, Any]:
        return {
            "code": code, "kind": "data", "source": "db", "state": "published", "sql": sql,
            "parameters": list(parameters), **more,
        }  # fmt: skip

    nama, kode = {"name": "nama"}, {"name": "kode_wil", "legacy_name": "kode-wil"}
    operations = [
        operation("gema", 'SELECT :nama AS nama, :kode_wil AS "kode-wil"', nama, kode),
        operation("Cari-Orang.v1", "SELECT nomor, nama FROM orang WHERE nama LIKE :nama ORDER BY nomor", nama),
        operation("semua", "SELECT nomor, nama FROM orang ORDER BY nomor", legacy_name="_Semua Ünï"),
        operation("rusak", "SELECT nama FROM tabel_rahasia WHERE nama = :nama", nama),
        operation("di_alamat", "SELECT :nama AS nama", nama),
        operation("dibungkus", "SELECT :nama AS nama", nama),
    ]
    keys = [
        {
            "legacy": key,
            "operation": f"prov/data/{code}",
            "in_path": code in ("di_alamat", "dibungkus"),
            "wrapped": code == "dibungkus",
        }
        for code, key in KEYS.items()
    ]
    grants = [{"operation": f"prov/data/{each['code']}", "purpose": "uji"} for each in operations]
    return {
        "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
        "sources": [{"agency": "prov", "code": "db", "engine": "sqlite", "database": "${TABLE}"}],
        "services": [{"agency": "prov", "code": "data", "title": "Data", "operations": operations}],
        "applications": [{"agency": "kons", "code": "app", "title": "Aplikasi", "keys": keys, "grants": grants}],
    }


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    var = tmp_path_factory.mktemp("bus")
    table = var / "sources" / "prov" / "orang.sqlite3"
    table.parent.mkdir(parents=True)
    with sqlite3.connect(table) as made:
        made.execute("CREATE TABLE orang (nomor INTEGER PRIMARY KEY, nama TEXT)")
        made.executemany("INSERT INTO orang (nama) VALUES (?)", [(name,) for name in NAMES])
        made.execute("CREATE TABLE tabel_rahasia (nama TEXT)")
    made.close()
    more = {"TABLE": str(table), "WEB_CONCURRENCY": "1", "MANTRA_LEGACY_FOLDERS": "mantra,gsb,layanan/gsb"}
    with Bus(var, bundle(), **more) as running:
        with sqlite3.connect(table) as changed:  # what was published breaks afterwards
            changed.execute("DROP TABLE tabel_rahasia")
        changed.close()
        yield running


# --------------------------------------------------------------------------------- bytes on the wire


def request(
    target: str, method: str = "GET", body: bytes = b"", key: str = "", content_type: str = "", **headers: str
) -> bytes:
    """A request as an old caller writes it."""
    lines = [f"{method} {target} HTTP/1.1", "Host: gsb.contoh.go.id", "User-Agent: MANTRA", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"AccessKey:{key}"] if key else []
    lines += [f"Content-Type:{content_type}"] if content_type else []
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer(bus: Bus, sent: bytes) -> bytes:
    """The body of the answer, which is HTTP 200 in plain text whatever happened."""
    with socket.create_connection(("127.0.0.1", bus.port), timeout=20) as connection:
        connection.sendall(sent)
        status, body = read_response(connection)
    assert status == 200, body
    return body


def check(bus: Bus, target: str, expected: dict[str, Any], **more: Any) -> None:
    """Each format answers as 1.99x did, byte for byte. ``{}`` in the target is the format."""
    for format in FORMATS:
        sent = request(target.replace("{}", format), **more)
        assert answer(bus, sent) == written(expected, format), sent


# -------------------------------------------------------------------- five caller styles, odd values


@dataclass(frozen=True)
class Sent:
    """The part of a request that carries the parameters."""

    suffix: str = ""
    body: bytes = b""
    content_type: str = ""
    #: How the original decoded it.
    twice: bool = False

    @property
    def more(self) -> dict[str, Any]:
        method = "POST" if self.body else "GET"
        return {"method": method, "body": self.body, "content_type": self.content_type}


def query(values: Row, *encodings: Callable[[str], str]) -> str:
    """name=value&…: the names encoded once."""
    pairs = []
    for name, value in values.items():
        for encode in encodings:
            value = encode(value or "")
        pairs.append(f"{quote_plus(name)}={value}")
    return "&".join(pairs)


def multipart(values: Row) -> bytes:
    parts = [
        f'--xYz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in values.items()
    ]
    return ("".join(parts) + "--xYz--\r\n").encode()


#: The stock adapter, and the others that there are: caller → what it sends for these values.
CALLERS: dict[str, Callable[[Row], Sent]] = {
    "REST": lambda values: Sent("/" + query(values, quote_plus, quote_plus), twice=True),
    "REST once": lambda values: Sent("/" + query(values, quote_plus), twice=True),
    "REST once, as JavaScript": lambda values: Sent("/" + query(values, quote), twice=True),
    "RESTFULL": lambda values: Sent("/" + "/".join(quote_plus(value or "") for value in values.values())),
    "RESTFULLPAR": lambda values: Sent(
        "/" + "/".join(f"{name}/{quote_plus(value or '')}" for name, value in values.items())
    ),
    "GET": lambda values: Sent("?" + query(values, quote_plus)),
    "POST": lambda values: Sent("", query(values, quote_plus).encode(), FORM, twice=True),
    "POST as plain text": lambda values: Sent(
        "", query(values, quote_plus).encode(), "text/plain;charset=utf-8", twice=True
    ),
    "POST beforehand": lambda values: Sent("/", query(values, quote_plus, quote_plus).encode(), FORM, twice=True),
    "POST array": lambda values: Sent("", multipart(values), "multipart/form-data; boundary=xYz"),
}
#: Encoded in a way that the original read exactly, whatever the value.
EXACT = {"REST", "RESTFULL", "RESTFULLPAR", "GET", "POST beforehand"}
ODD = [
    *NAMES, "x&kode-wil=0", "%&%", "%AB%", "a=b", "=", "&", "%", "%%2B", "%2B", "%252B", "+", "a?b#c", "[a].b", ";",
    ":", "0", "007", "1e5", "true", "null", "' OR 1=1 --", "a:1:{", "{}", "]]>", "&amp;", "\x7f", "\r\n",
    "\x01", "x" * 1500,
]  # fmt: skip


def meant(caller: str, value: str) -> str:
    """The value that 1.99x read of what a caller sent."""
    if caller in EXACT:
        return value
    once = value.encode()
    return original.twice({b"": once})[b""].decode()


@pytest.mark.parametrize("caller", CALLERS)
def test_f1_f4_f11_every_caller_style_in_every_format(bus: Bus, caller: str) -> None:
    for number, value in enumerate(ODD):
        sent = CALLERS[caller]({"nama": value, "kode-wil": "3578"})
        seen = meant(caller, value)
        expected = rows("gema", [{"nama": seen, "kode-wil": "3578"}])
        prefix = ("", "/mantra", "/gsb", "/layanan/gsb")[number % 4]
        check(bus, f"{prefix}/{{}}/prov/data/gema{sent.suffix}", expected, key=KEYS["gema"], **sent.more)


@pytest.mark.parametrize(
    "kode", ["kode-wil", "Kode-Wil", "kode%2Dwil", "kode_wil", "KODE.WIL", "kode+wil", "kode%5Bwil"]
)
@pytest.mark.parametrize("nama", ["nama", "NAMA", "+nama", "na%6Da"])
def test_f15_names_as_callers_send_them(bus: Bus, nama: str, kode: str) -> None:
    expected = rows("gema", [{"nama": "x", "kode-wil": "y"}])
    for suffix in (f"/{nama}=x&{kode}=y&lain=1", f"?{kode}=y&{nama}=x"):
        check(bus, f"/{{}}/prov/data/gema{suffix}", expected, key=KEYS["gema"])


@pytest.mark.parametrize("spelling", ["Cari-Orang.v1", "cari-orang.v1", "CARI-ORANG.V1", "cari%2Dorang%2Ev1"])
def test_f5_the_operation_as_its_caller_spells_it(bus: Bus, spelling: str) -> None:
    seen = spelling.replace("%2D", "-").replace("%2E", ".")
    found: list[Row] = [{"nomor": str(NAMES.index(name) + 1), "nama": name} for name in ("Siti & Co", "Siti")]
    key = KEYS["Cari-Orang.v1"]
    check(bus, f"/{{}}/Prov/DATA/{spelling}/nama=Siti%25", rows(seen, found), key=key)
    missing = failure(10012, nothing(f"Prov:DATA.{seen}"))
    check(bus, f"/{{}}/Prov/DATA/{spelling}/nama=Nobody", missing, key=key)


def test_f1_a_like_pattern_with_an_ampersand(bus: Bus) -> None:
    """%&% in LIKE, encoded once: one row, not all."""
    expected = rows("cari-orang.v1", [{"nomor": "1", "nama": "Siti & Co"}])
    check(bus, "/mantra/{}/prov/data/cari-orang.v1/nama=%25%26%25", expected, key=KEYS["Cari-Orang.v1"])


def test_f15_an_operation_under_its_old_name(bus: Bus) -> None:
    found: list[Row] = [{"nomor": str(number), "nama": name} for number, name in enumerate(NAMES, 1)]
    for name in ("_Semua Ünï", "_semua ünï", "semua"):
        check(bus, f"/{{}}/prov/data/{quote(name)}", rows(name, found), key=KEYS["semua"])
        check(bus, f"/{{}}/prov/data/{name.replace(' ', '%20')}/", rows(name, found), key=KEYS["semua"])


GEMA = "/{}/prov/data/gema"
#: Address, key, further parts of the request → the answer.
REFUSALS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (GEMA + "/nama=x&kode-wil=y", "", {}, failure(10001, NO_KEY)),
    (GEMA + "/nama=x&kode-wil=y", "zzzzzzzzzz", {}, failure(10002, UNKNOWN)),
    (GEMA + "/nama=x&kode-wil=y", KEYS["semua"], {}, failure(10002, UNKNOWN)),
    (GEMA + "/nama=x&kode-wil=y", "on", {}, failure(10002, UNKNOWN)),
    (GEMA + "/nama=x&kode-wil=y", 'idkey:O:8:"stdClass":0:{}', {}, failure(10002, UNKNOWN)),
    ("/{}/prov/data/lain/nama=x", KEYS["gema"], {}, failure(10002, UNKNOWN)),
    ("/{}/prov/data%2Fgema/nama=x&kode-wil=y", KEYS["gema"], {}, failure(10002, UNKNOWN)),
    ("/{}/prov/data", KEYS["gema"], {}, failure(10002, UNKNOWN)),
    ("/{}/prov/data/", KEYS["gema"], {}, failure(10002, UNKNOWN)),
    ("/mantra/{}/prov", KEYS["gema"], {}, failure(10002, UNKNOWN)),
    ("/gsb/{}/", KEYS["gema"], {}, failure(10002, UNKNOWN)),
    (GEMA, KEYS["gema"], {}, failure(10005, MISSING)),
    (GEMA + "/nama=x", KEYS["gema"], {}, failure(10005, MISSING)),
    (GEMA + "/nama=&kode-wil=", KEYS["gema"], {}, failure(10005, MISSING)),
    (GEMA + "/nama=x&kode-wil", KEYS["gema"], {}, failure(10005, MISSING)),
    (GEMA + "/nama=x%26kode-wil%3Dy", KEYS["gema"], {}, failure(10005, MISSING)),
    (GEMA + "?nama=x%26kode-wil%3Dy", KEYS["gema"], {}, failure(10005, MISSING)),
    (GEMA, KEYS["gema"], {"method": "POST", "body": b"nama=x%26kode-wil%3Dy"}, failure(10005, MISSING)),
    (GEMA, KEYS["gema"], {"method": "POST", "body": b'{"nama":"x"}', "content_type": "application/json"},
     failure(10005, MISSING)),
    ("/{}/prov/data/di_alamat/eeeeeeeeee", "", {}, failure(10005, MISSING)),
]  # fmt: skip


@pytest.mark.parametrize(("target", "key", "more", "expected"), REFUSALS)
def test_f20_refusals(bus: Bus, target: str, key: str, more: dict[str, Any], expected: dict[str, Any]) -> None:
    for format in FORMATS:
        sent = request(target.replace("{}", format), key=key, **more)
        in_path = "eeeeeeeeee" in target and format == "api"  # generation 2 reads XML
        assert answer(bus, sent) == written(expected, "xml" if in_path else format), sent


@pytest.mark.parametrize("generation", ["/prov/data/di_alamat/eeeeeeeeee", "/eeeeeeeeee/prov/data/di_alamat"])
@pytest.mark.parametrize("style", ["/nama=a%26b", "/a%26b", "/nama/a%26b", "?nama=a%26b"])
def test_f20_a_key_in_the_address(bus: Bus, generation: str, style: str) -> None:
    expected = rows("di_alamat", [{"nama": "a&b"}])
    for format, seen in (("json", "json"), ("xml", "xml"), ("api", "xml")):
        assert answer(bus, request(f"/mantra/{format}{generation}{style}")) == written(expected, seen)


def test_responses_to_a_key_with_app_enc(bus: Bus) -> None:
    """As strrev(base64_encode(…)) of PHP writes them, whole, in each format and generation."""
    expected, missing = rows("dibungkus", [{"nama": "é"}]), failure(10005, MISSING)
    key = KEYS["dibungkus"]
    for format, in_path in (("json", "json"), ("xml", "xml"), ("api", "xml")):
        address = f"/mantra/{format}/prov/data/dibungkus"
        for sent, body in (
            (request(f"{address}/nama=%C3%A9", key=key), written(expected, format)),
            (request(f"{address}?nama=%C3%A9", key=key), written(expected, format)),
            (request(address, key=key), written(missing, format)),
            (request(f"{address}/{key}/nama=%C3%A9"), written(expected, in_path)),
        ):
            assert answer(bus, sent) == base64.b64encode(body)[::-1], sent


def test_old_pages_lead_to_new_ones(bus: Bus) -> None:
    """A browser's request with no key. Followed, the page is there."""
    for target in ("/mantra/", "/gsb/index.php?page=login", "/layanan/gsb/apa/saja"):
        with socket.create_connection(("127.0.0.1", bus.port), timeout=20) as connection:
            connection.sendall(request(target, Accept="text/html"))
            head = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        assert head.startswith("HTTP/1.1 302"), target
        location = head.partition("Location: ")[2].partition("\r\n")[0]
        assert location == ("/account/login/" if "login" in target else "/catalog/")


def test_a_failing_database_keeps_its_first_sentence(bus: Bus) -> None:
    body = json.loads(answer(bus, request("/json/prov/data/rusak/nama=x", key=KEYS["rusak"])))["response"]
    assert (body["status"], body["data"]) == (0, "")
    assert body["message"].startswith("Koneksi database gagal atau perintah SQL keliru.")
    assert "rahasia" not in body["message"]


@pytest.mark.parametrize(("name", "encoding"), [("Ünï", "utf-8"), ("名", "utf-8"), ("Ünï", "latin-1")])
def test_letters_that_nobody_encoded(bus: Bus, name: str, encoding: str) -> None:
    """As careless callers write them. Apache took them."""
    expected = written(rows("gema", [{"nama": name, "kode-wil": "y"}]), "json")
    for suffix in ("/nama=NAMA&kode-wil=y", "/NAMA/y", "?kode-wil=y&nama=NAMA"):
        sent = request(f"/json/prov/data/gema{suffix}", key=KEYS["gema"]).replace(b"NAMA", name.encode(encoding))
        assert answer(bus, sent) == expected, sent


def test_letters_that_nobody_encoded_on_rest(bus: Bus) -> None:
    for letters, expected in (("Ünï 名".replace(" ", "+").encode(), 200), (b"\xdcn\xef", 11110)):
        for more in (b"", b"&kode_wil=y"):
            sent = request("/rest/prov/data/gema.json?QUERY", key=KEYS["gema"])
            sent = sent.replace(b"QUERY", (b"kode_wil=y&nama=" if not more else b"nama=") + letters + more)
            with socket.create_connection(("127.0.0.1", bus.port), timeout=20) as connection:
                connection.sendall(sent)
                found = json.loads(read_response(connection)[1])
            assert found.get("code", 200) == expected
            if expected == 200:
                assert found["data"] == [{"nama": "Ünï 名", "kode-wil": "y"}]


@pytest.mark.parametrize("letter", [b"\x00", b"\x01", b"\t", b"\x0b", b"\x0c", b"\x1f", b"\x7f"])
def test_a_control_character_in_an_address_is_refused(bus: Bus, letter: bytes) -> None:
    sent = request("/json/prov/data/gema/nama=NAMA&kode-wil=y", key=KEYS["gema"]).replace(b"NAMA", letter)
    with socket.create_connection(("127.0.0.1", bus.port), timeout=20) as connection:
        connection.sendall(sent)
        assert read_response(connection)[0] == 400


# --------------------------------------------------------------------------------- random addresses

PIECES = [
    "nama", "NAMA", "kode-wil", "Kode-Wil", "kode%2Dwil", "%20nama", "na%6Da", "lain", "=", "=", "=", "&", "&", "%26",
    "%3D", "%25", "%2526", "%253D", "%252B", "%2525", "%2F", "%3F", "%23", "+", "%2B", "%20", "%C3%BC", "%25C3%25BC",
    "%E2%98%83", "%25E9", "%25AB%25", "%F0%9F%98%80", "%", "%4", "%zz", "%2", "a", "b", "0", "1", ".", "-", "_", ":",
    ";", ",", "'", "(", ")", "*", "!", "~", "@", "$", "x", "Siti", "PT+A+%26+B",
]  # fmt: skip
SEED = 20261128


def random_query(source: random.Random) -> str:
    """A query string of pieces that are hard to read, mostly with both parameters."""
    middle = "".join(source.choice(PIECES) for _ in range(source.randrange(12)))
    last = "".join(source.choice(PIECES) for _ in range(source.randrange(8)))
    shape = source.choice(["nama={0}&kode-wil={1}", "kode-wil={1}&nama={0}", "nama=a&kode-wil=b&{0}={1}", "a={0}&{1}"])
    return shape.format(middle, last)


def expected_of(text: str, twice: bool) -> dict[str, Any]:
    sent = original.parse_str(text.encode())
    values = original.bound(original.twice(sent) if twice else sent, ECHOED)
    return failure(10005, MISSING) if values is None else rows("gema", [dict(values)])


def random_queries() -> list[str]:
    source = random.Random(SEED)
    return [random_query(source) for _ in range(450)]


def test_the_model_reads_as_php_does() -> None:
    """The original's own functions, on the random queries of the next test."""
    cases = [(text.encode(), twice) for text in random_queries() for twice in (True, False)]
    asked = [{"query": base64.b64encode(text).decode(), "twice": twice} for text, twice in cases]
    found = ran("decoding.php", asked)
    for (text, twice), pairs in zip(cases, found, strict=True):
        sent = original.parse_str(text)
        model = original.twice(sent) if twice else sent
        assert [(base64.b64decode(name), base64.b64decode(value)) for name, value, _ in pairs] == list(model.items())
        assert [again for _, _, again in pairs] == [original.urlencode(value.decode()) for value in model.values()]


def test_f1_f4_random_addresses_and_forms(bus: Bus) -> None:
    served = 0
    for number, text in enumerate(random_queries()):
        format = FORMATS[number % 3]
        sent = [
            (request(f"/{format}/prov/data/gema/{text}", key=KEYS["gema"]), True),
            (request(f"/{format}/prov/data/gema?{text}", key=KEYS["gema"]), False),
            (request(f"/{format}/prov/data/gema", "POST", text.encode(), KEYS["gema"], FORM), True),
        ]
        for data, twice in sent:
            expected = expected_of(text, twice)
            served += expected["status"]
            assert answer(bus, data) == written(expected, format), data
    assert served > 600  # most are answered: not only refusals were compared


# ----------------------------------------------------------------------------------------- real PHP


def ran(program: str, given: Any) -> Any:
    """What a PHP program wrote."""
    done = subprocess.run(
        ["php", str(CLIENTS / program)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(done.stdout)


PHP_STYLES = [
    "REST", "REST once", "RESTFULL", "RESTFULLPAR", "GET", "POST", "POST beforehand", "POST array", "POST file",
]  # fmt: skip
PHP_VALUES = ["Siti & Co", "Budi/Ani", "Ünï é ☃ 😀", "x&kode-wil=0", "a=b", "Dinas 3", "007", "<b>", "%AB%"]
#: Exact however often a caller encodes: no % or + is left after the first decoding.
EXACT_IN_PHP = {"REST", "RESTFULL", "RESTFULLPAR", "GET", "POST beforehand"}


@pytest.mark.parametrize("format", FORMATS)
def test_php_programs_read_what_they_asked_for(bus: Bus, format: str) -> None:
    """The stock adapter and other scripts, in PHP with curl; ['data'][$method] with their own spelling (F5)."""
    calls, expected = [], []
    for style in PHP_STYLES:
        for number, value in enumerate(PHP_VALUES):
            spelling = ("gema", "Gema", "GEMA")[number % 3]
            plain = style == "POST" and number % 2
            calls.append({
                "url": f"{bus.base}/mantra/{format}/prov/data", "method": spelling, "key": KEYS["gema"], "style": style,
                "values": {"nama": value, "kode-wil": "3578"}, "sent": "text/plain;charset=utf-8" if plain else "",
            })  # fmt: skip
            seen = value if style in EXACT_IN_PHP else meant(style, value)
            row = {"nama": seen, "kode-wil": "3578"}
            # SimpleXML makes no list of one element.
            expected.append(row if format == "xml" else [row] if format == "api" else {"0": row})
    found = ran("caller.php", calls)
    for call, answered, row in zip(calls, found, expected, strict=True):
        # PHP's own json_encode writes the object {"0": …}, once read, as a list.
        assert answered == ([row["0"]] if format == "json" else row), call
