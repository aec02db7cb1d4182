"""The wire of MANTRA 1.99x, through the WSGI door."""

from __future__ import annotations

import gzip
import io
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from mantra import wsgi
from mantra.gateway import php_input
from registry import checks, faults
from registry.journal import shipping
from registry.models import AccessKey, CallRecord, Field, Operation
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, ends_of

FORM = "application/x-www-form-urlencoded"
ECHO = "gggggggggg"
KEYS = {"satu": "aaaaaaaaaa", "dua": "bbbbbbbbbb", "terbuka": "cccccccccc"}


@pytest.fixture
def legacy(cast: Cast) -> Cast:
    cast.operation(
        "dua",
        "SELECT id, nama, unit FROM orang WHERE unit = :unit_kerja AND nama LIKE :nama ORDER BY id LIMIT 2",
        parameters=({"name": "unit_kerja"}, {"name": "nama"}),
    )
    for code, key in KEYS.items():
        AccessKey.import_legacy(cast.application, key, Operation.objects.get(code=code))
    holder.refresh()
    return cast


def code_of(reply: Reply) -> int:
    """The envelope's code; every answer of this wire is HTTP 200 in plain text."""
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain;charset=UTF-8"
    if reply.body.startswith(b"{"):
        envelope = reply.json()["response"]
        assert envelope["status"] == (1 if envelope["code"] == 200 else 0)
        assert envelope["code"] == 200 or envelope["data"] == ""
        found: int = envelope["code"]
    elif reply.body.startswith(b"<?xml"):
        found = int(reply.text.partition("<code>")[2].partition("<")[0])
    else:
        found = int(reply.text.partition('s:4:"code";i:')[2].partition(";")[0])
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["status"] in (200, faults.TABLE[end["code"]].status if end["code"] != 200 else 200)
    return found


@pytest.mark.parametrize("prefix", ["", "/mantra", "/MANTRA"])
@pytest.mark.parametrize(("face", "begins"), [("json", b"{"), ("xml", b"<?xml"), ("api", b"a:1:{")])
@pytest.mark.parametrize("slash", ["", "/"])
def test_it_works(legacy: Cast, prefix: str, face: str, begins: bytes, slash: str) -> None:
    reply = call(f"{prefix}/{face}/prov/data/satu/id=7{slash}", accesskey=KEYS["satu"], user_agent="MANTRA")
    assert code_of(reply) == 200
    assert reply.body.startswith(begins)
    assert not reply.body.endswith(b"\n")


STYLES = {
    "REST": "/unit_kerja=Unit+1&nama=Orang+1%25",
    "REST, as the stock client encodes": "/unit_kerja=Unit%2B1&nama=Orang%2B1%2525",
    "RESTFULL": "/Unit+1/Orang+1%25",
    "RESTFULL, as the stock client encodes": "/Unit+1/Orang+1%25",
    "RESTFULLPAR": "/unit_kerja/Unit+1/nama/Orang+1%25",
    "RESTFULLPAR, other order and case": "/Nama/Orang+1%25/UNIT%20KERJA/Unit+1",
    "GET": "?unit_kerja=Unit+1&nama=Orang+1%25",
    "GET, other case and more than is declared": "?UNIT_KERJA=Unit+1&nama=Orang+1%25&lain=1",
}


@pytest.mark.parametrize("style", STYLES)
def test_caller_styles(legacy: Cast, style: str) -> None:
    reply = call(f"/json/prov/data/dua{STYLES[style]}", accesskey=KEYS["dua"])
    rows = reply.json()["response"]["data"]["dua"]
    assert rows == {
        "0": {"id": "1", "nama": "Orang 1", "unit": "Unit 1"},
        "1": {"id": "106", "nama": "Orang 106", "unit": "Unit 1"},
    }


def test_caller_style_post(legacy: Cast) -> None:
    body = "unit_kerja=Unit+1&nama=Orang+1%25"
    reply = call("/json/prov/data/dua", "POST", body, accesskey=KEYS["dua"], content_type=FORM)
    assert code_of(reply) == 200
    path_wins = call("/json/prov/data/dua/Unit+2/x", "POST", body, accesskey=KEYS["dua"], content_type=FORM)
    assert code_of(path_wins) == 10012


def test_f17_a_compressed_form(legacy: Cast) -> None:
    body = gzip.compress(b"unit_kerja=Unit+1&nama=Orang+1%25")
    more = {"accesskey": KEYS["dua"], "content_type": "application/x-www-form-urlencoded"}
    assert code_of(call("/json/prov/data/dua", "POST", body, content_encoding="gzip", **more)) == 200
    refused = call("/json/prov/data/dua", "POST", body, content_encoding="br", **more)
    assert code_of(refused) == faults.BODY_ENCODING.code


@pytest.fixture
def echo(legacy: Cast) -> Cast:
    """An operation that answers with its parameters; all are required."""
    legacy.operation("gema", "SELECT :a AS a, :b AS b", parameters=({"name": "a"}, {"name": "b"}))
    AccessKey.import_legacy(legacy.application, ECHO, legacy.operations["gema"])
    holder.refresh()
    return legacy


def echoed(address: str, method: str = "GET", body: str | bytes = "", **headers: str) -> dict[str, str]:
    """The parameters that arrived."""
    reply = call(f"/json/prov/data/gema{address}", method, body, accesskey=ECHO, **headers)
    row: dict[str, str] = reply.json()["response"]["data"]["gema"]["0"]
    return row


@pytest.mark.parametrize("value", ["a/b", "a&b=c", "a%b", "a+b", "é ☃", "a=b", "%2B", "x&b=0", "%&%", "[a].b", "a?b#c"])
def test_a_value_may_hold_anything(echo: Cast, value: str) -> None:
    once, twice = quote_plus(value), quote_plus(quote_plus(value))
    expected = {"a": value, "b": "x"}
    assert echoed(f"/a={twice}&b=x") == expected
    assert echoed(f"/a/{once}/b/x") == expected
    assert echoed(f"/{once}/x") == expected
    assert echoed(f"?a={once}&b=x") == expected
    assert echoed("", "POST", f"a={twice}&b=x", content_type=FORM) == expected


@pytest.mark.parametrize("style", ["/a={}&b=x", "/{}/x", "/a/{}/b/x", "?a={}&b=x"])
def test_f1_an_encoded_delimiter_stays_in_its_value(echo: Cast, style: str) -> None:
    """Callers that encode once, as http_build_query() does: a value must never become a second parameter."""
    for once, value in (("PT+A+%26+B", "PT A & B"), ("x%26b%3D0", "x&b=0"), ("a%2Fb", "a/b"), ("a%3Fb%23c", "a?b#c")):
        assert echoed(style.format(once)) == {"a": value, "b": "x"}
    assert echoed("", "POST", "a=PT+A+%26+B&b=x") == {"a": "PT A & B", "b": "x"}


def test_f1_the_raw_target_of_other_servers(echo: Cast) -> None:
    """uWSGI and Apache name it REQUEST_URI; where nobody gives it, the decoded path is all that there is."""
    target = "/json/prov/data/gema/a=x%26b%3D0&b=%20y"
    for given, expected in (
        ({"RAW_URI": "", "REQUEST_URI": target}, {"a": "x&b=0", "b": " y"}),
        ({"RAW_URI": f"http://localhost{target}"}, {"a": "x&b=0", "b": " y"}),
        ({"RAW_URI": ""}, {"a": "x", "b": " y"}),
    ):
        reply = call(target, accesskey=ECHO, changed=given)
        assert reply.json()["response"]["data"]["gema"]["0"] == expected


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("Dinas%2B3", "Dinas 3"),  # encoded beforehand, as the samples of 1.99x do
        ("Dinas+3", "Dinas 3"),
        ("%25AB%25", "%AB%"),  # LIKE: decoded again it would be no text
        ("%25E9%25", "%E9%"),
        ("100%25", "100%"),
        ("a%2525b", "a%b"),
    ],
)
def test_f4_values_of_forms_and_rest_are_decoded_a_second_time(echo: Cast, sent: str, value: str) -> None:
    assert echoed("", "POST", f"a={sent}&b=x", content_type=FORM) == {"a": value, "b": "x"}
    assert echoed(f"/a={sent}&b=x") == {"a": value, "b": "x"}


@pytest.mark.parametrize("style", ["/a={}&b=x", "/{}/x", "/a/{}/b/x", "?a={}&b=x", "POST"])
def test_f20_bytes_that_are_no_utf8_are_iso_8859_1(echo: Cast, style: str) -> None:
    body = "a=Ren%E9&b=x" if style == "POST" else ""
    found = echoed("" if body else style.format("Ren%E9"), "POST" if body else "GET", body)
    assert found == {"a": "René", "b": "x"}


@pytest.mark.parametrize("name", ["unit kerja", "unit.kerja", "unit[kerja", " unit_kerja", "UNIT.Kerja"])
def test_f15_names_are_sent_as_php_reads_them(legacy: Cast, name: str) -> None:
    sent = quote(name)
    for address in (f"/{sent}=Unit+1&nama=Orang+1%25", f"?{sent}=Unit+1&nama=Orang+1%25"):
        assert code_of(call(f"/json/prov/data/dua{address}", accesskey=KEYS["dua"])) == 200
    assert code_of(call(f"/json/prov/data/dua/{sent}/Unit+1/nama/Orang+1%25", accesskey=KEYS["dua"])) == 200
    body = f"{sent}=Unit+1&nama=Orang+1%25"
    assert code_of(call("/json/prov/data/dua", "POST", body, accesskey=KEYS["dua"], content_type=FORM)) == 200


@pytest.mark.parametrize(
    ("query", "value"),
    [("a=1&a=2", "2"), ("a=1&A=2", "2"), ("A=2&a=1", "1"), ("a=1&A=2&a=3", "2"), ("a=1&A=", "1"), ("A=1&a", "1")],
)
def test_a_repeated_name_has_the_value_that_php_gives_it(echo: Cast, query: str, value: str) -> None:
    for address in (f"/{query}&b=x", f"?{query}&b=x"):
        assert echoed(address) == {"a": value, "b": "x"}
    assert code_of(call("/json/prov/data/gema/a=1&b=x&a=", accesskey=ECHO)) == 10005


def multipart(*parts: tuple[str, str], boundary: str = "xYz") -> bytes:
    """A form as PHP's curl sends it for an array: (further words of Content-Disposition, value)."""
    lines = [f"--{boundary}\r\nContent-Disposition: form-data; {words}\r\n\r\n{value}\r\n" for words, value in parts]
    return ("".join(lines) + f"--{boundary}--\r\n").encode()


MULTIPART = "multipart/form-data; boundary=xYz"


@pytest.mark.parametrize("content_type", [MULTIPART, 'Multipart/Form-Data;charset=utf-8; boundary="xYz"'])
@pytest.mark.parametrize(
    ("sent", "value"), [("a&b=c", "a&b=c"), ("Dinas%2B3", "Dinas+3"), ("Dinas+3", "Dinas 3"), ("é\r\n☃", "é\r\n☃")]
)
def test_f11_a_form_of_several_parts(echo: Cast, content_type: str, sent: str, value: str) -> None:
    """curl does not encode its values; the original decodes them once, as the second decoding of any form."""
    body = multipart(('name="a"', sent), ('name="foto"; filename="x.jpg"', "berkas"), ('name="b"', "x"))
    assert echoed("", "POST", body, content_type=content_type) == {"a": value, "b": "x"}
    assert echoed("/a=path&b=x", "POST", body, content_type=content_type) == {"a": "path", "b": "x"}


def test_f11_names_and_bytes_of_a_form_of_several_parts(legacy: Cast) -> None:
    for name in ("unit kerja", "unit.kerja", "UNIT_KERJA"):
        body = multipart((f'name="{name}"', "Unit 1"), ('name="nama"', "Orang 1%"))
        reply = call("/json/prov/data/dua", "POST", body, accesskey=KEYS["dua"], content_type=MULTIPART)
        assert code_of(reply) == 200


def test_f11_names_that_are_not_ascii() -> None:
    """A column of an old definition may be called Ünï."""
    environ = {"wsgi.input": io.BytesIO(body := multipart(('name="Ünï"', "é"))), "CONTENT_TYPE": MULTIPART}
    assert php_input.form({**environ, "CONTENT_LENGTH": str(len(body))}) == [("Ünï", "é")]


def test_f11_bytes_of_a_form_of_several_parts(echo: Cast) -> None:
    body = multipart(('name="a"', "René"), ('name="b"', "x")).decode().encode("latin-1")
    assert echoed("", "POST", body, content_type=MULTIPART) == {"a": "René", "b": "x"}


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"", MULTIPART, 10005),
        (b"a=1&b=x", MULTIPART, 10005),
        (multipart(('filename="x"', "y")), MULTIPART, 10005),
        (multipart(('name="a"', "1"), ('name="b"', "x")), "multipart/form-data", 11105),
        (multipart(('name="a"', "1"), ('name="b"', "x")), "multipart/form-data; boundary=é", 11105),
        (multipart(*[('name="a"', "1")] * 1100), MULTIPART, 11105),
        (multipart(*[('name="a"; filename="x"', "1")] * 1100), MULTIPART, 11105),
        (multipart(('name="a"', "1" * 1_000_000)), MULTIPART, 11106),
    ],
)
def test_f11_bad_forms_of_several_parts(echo: Cast, body: bytes, content_type: str, code: int) -> None:
    reply = call("/json/prov/data/gema", "POST", body, accesskey=ECHO, content_type=content_type)
    assert code_of(reply) == code


def test_too_many_fields_are_refused(echo: Cast) -> None:
    many = "&".join(f"a{number}=1" for number in range(501))
    for address, method, body, code in (
        (f"/{many}", "GET", "", 11110),
        (f"?{many}", "GET", "", 11110),
        ("", "POST", many, 11105),
    ):
        assert code_of(call(f"/json/prov/data/gema{address}", method, body, accesskey=ECHO)) == code


@pytest.mark.parametrize(
    ("path", "key", "code"),
    [
        ("/json/prov/data/satu/id=7", "", 10001),
        ("/json/prov/data/satu/id=7", "salah", 10002),
        ("/json/prov/data/satu/id=7", "on", 10002),
        ("/json/prov/data/satu/id=7", 'idkey:O:8:"stdClass":0:{}', 10002),
        ("/json/prov/data/satu/id=7", "bbbbbbbbbb", 10002),
        ("/json/prov/data/tidakada/id=7", "aaaaaaaaaa", 10002),
        ("/json", "aaaaaaaaaa", 10002),
        ("/json/", "aaaaaaaaaa", 10002),
        ("/mantra/json", "aaaaaaaaaa", 10002),
        ("/json/prov", "aaaaaaaaaa", 10002),
        ("/mantra/lain/prov/data/satu", "aaaaaaaaaa", 10002),
        ("/json/prov/data", "aaaaaaaaaa", 10002),
        ("/json/prov/data/satu", "aaaaaaaaaa", 10005),
        ("/json/prov/data/satu/salah=1", "aaaaaaaaaa", 10005),
        ("/json/prov/data/satu/id=", "aaaaaaaaaa", 10005),
        ("/json/prov/data/dua/hanya-satu", "bbbbbbbbbb", 10005),
        ("/json/prov/data/satu/id=999999", "aaaaaaaaaa", 10012),
        ("/json/prov/data/satu/id=tujuh", "aaaaaaaaaa", 11102),
        ("/json/prov/data/satu/id=%25ff", "aaaaaaaaaa", 11102),
    ],
)
def test_refusals(legacy: Cast, path: str, key: str, code: int) -> None:
    for face in ("json", "xml", "api"):
        reply = call(path.replace("/json", f"/{face}"), accesskey=key)
        assert code_of(reply) == code
    assert call(path, accesskey=key).json()["response"]["message"]


@pytest.mark.parametrize("folder", ["gsb", "GSB", "layanan/gsb", "", "mantra"])
def test_f15_a_folder_of_another_name(legacy: Cast, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setattr("mantra.gateway.protocols.legacy.FOLDERS", [("mantra",), ("gsb",), ("layanan", "gsb")])
    for name in ("gsb", "layanan"):
        monkeypatch.setitem(wsgi.HANDLERS, name, wsgi.HANDLERS["mantra"])
    prefix = f"/{folder}" if folder else ""
    reply = call(f"{prefix}/json/prov/data/satu/id=7/", accesskey=KEYS["satu"])
    assert code_of(reply) == 200
    assert code_of(call(f"{prefix}/lain/prov/data/satu/id=7/" if prefix else "/json/prov")) == 10002


@pytest.mark.parametrize("folder", ["rest", "/admin/", "a b", "JSON", "", "é"])
def test_f15_a_folder_that_cannot_be(settings: Any, folder: str) -> None:
    settings.LEGACY_FOLDERS = ["mantra", folder]
    assert [each.id for each in checks.legacy_folders(None)] == ["mantra.E003"]
    settings.LEGACY_FOLDERS = ["mantra", "GSB", "/layanan/gsb-2.0/"]
    assert checks.legacy_folders(None) == []


@pytest.mark.parametrize("path", ["/mantra", "/mantra/", "/MANTRA//"])
def test_the_bare_prefix(legacy: Cast, path: str) -> None:
    assert code_of(call(path)) == 10002


@pytest.mark.parametrize("spelling", ["satu", "Satu", "SATU", "%53atu"])
def test_f5_the_operation_is_spelt_as_the_caller_spelt_it(legacy: Cast, spelling: str) -> None:
    """The samples of 1.99x read ['data'][$method] with the spelling that they asked with."""
    key, seen = KEYS["satu"], spelling.replace("%53", "S")
    found = call(f"/json/PROV/Data/{spelling}/id=7", accesskey=key).json()["response"]["data"]
    assert list(found) == [seen]
    assert f"<{seen}>\n      <id>7</id>" in call(f"/xml/PROV/Data/{spelling}/id=7", accesskey=key).text
    length = len(seen)
    assert f's:4:"data";a:1:{{s:{length}:"{seen}"' in call(f"/api/PROV/Data/{spelling}/id=7", accesskey=key).text
    nothing = call(f"/json/PROV/Data/{spelling}/id=999999", accesskey=key).json()["response"]["message"]
    assert nothing == f'Hasil operasi data "PROV:Data.{seen}" tidak ada (kosong)'


def test_f5_a_writing_operation_is_spelt_as_the_caller_spelt_it(legacy: Cast) -> None:
    legacy.operation("Ubah-Nama", "UPDATE orang SET nama = nama WHERE id = 7", writes=True)
    reply = call("/json/prov/data/ubah-nama", "POST", accesskey=legacy.key)
    assert reply.json()["response"]["data"] == {"ubah_nama": {"0": {"affected": "1"}}}


def test_no_rows_names_the_operation(legacy: Cast) -> None:
    reply = call("/json/prov/data/satu/id=999999", accesskey=KEYS["satu"])
    assert reply.json()["response"]["message"] == 'Hasil operasi data "prov:data.satu" tidak ada (kosong)'


def test_an_open_operation_needs_no_key(legacy: Cast) -> None:
    assert code_of(call("/json/prov/data/terbuka")) == 200
    assert code_of(call("/json/prov/data/terbuka", accesskey="salah")) == 200


def test_the_user_agent_is_no_security(legacy: Cast) -> None:
    assert code_of(call("/json/prov/data/satu/id=7", accesskey=KEYS["satu"], user_agent="curl/8")) == 200


def test_new_keys_open_this_wire_too(legacy: Cast) -> None:
    assert code_of(call("/json/prov/data/satu/id=7", accesskey=legacy.key)) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/mantra/api/prov/data/satu/aaaaaaaaaa/id=7",
        "/mantra/api/prov/data/satu/aaaaaaaaaa?id=7",
        "/api/aaaaaaaaaa/prov/data/satu/id=7",
    ],
)
def test_a_key_in_the_address_is_off_by_default(legacy: Cast, path: str) -> None:
    refused = call(path)
    assert refused.body.startswith(b"<?xml")
    assert code_of(refused) == faults.KEY_IN_PATH.code
    AccessKey.objects.filter(public__startswith="aa").update(in_path=True)
    holder.refresh()
    assert code_of(call(path)) == 200
    assert call(path).body.startswith(b"<?xml")


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("/mantra/json/prov/data/satu/aaaaaaaaaa/id=7", b"{"),
        ("/xml/prov/data/satu/aaaaaaaaaa/7", b"<?xml"),
        ("/json/prov/data/satu/aaaaaaaaaa?id=7", b"{"),
        ("/json/aaaaaaaaaa/prov/data/satu/id=7", b"{"),
    ],
)
def test_f20_a_key_in_the_address_of_json_and_xml(legacy: Cast, path: str, begins: bytes) -> None:
    assert code_of(call(path)) == faults.KEY_IN_PATH.code
    AccessKey.objects.filter(public__startswith="aa").update(in_path=True)
    holder.refresh()
    reply = call(path)
    assert code_of(reply) == 200
    assert reply.body.startswith(begins)


OTHER_KEYS = ["1a2b3c4d", "Kunci.Rahasia-2016", "a/b+c%&=?#", "x" * 64]


@pytest.mark.parametrize("key", OTHER_KEYS)
@pytest.mark.parametrize(("face", "begins"), [("json", b"{"), ("xml", b"<?xml"), ("api", b"<?xml")])
def test_f20_a_key_in_the_address_that_is_not_of_ten_letters(legacy: Cast, key: str, face: str, begins: bytes) -> None:
    """Keys of before 1.99x are 8 letters and more; later ones may be any text that went through a form."""
    row = AccessKey.import_legacy(legacy.application, key, legacy.operations["dua"])
    holder.refresh()
    sent = quote(key, safe="")
    addresses = (
        f"/{face}/prov/data/dua/{sent}/unit_kerja=Unit+1&nama=Orang+1%25",
        f"/{face}/prov/data/dua/{sent}/Unit+1/Orang+1%25",
        f"/mantra/{face}/prov/data/dua/{sent}?unit_kerja=Unit+1&nama=Orang+1%25",
        f"/{face}/{sent}/prov/data/dua/unit_kerja=Unit+1&nama=Orang+1%25",
    )
    assert {code_of(call(address)) for address in addresses} == {faults.KEY_IN_PATH.code}
    AccessKey.objects.filter(pk=row.pk).update(in_path=True)
    holder.refresh()
    for address in addresses:
        reply = call(address)
        assert code_of(reply) == 200
        assert reply.body.startswith(begins)


def test_a_value_that_is_no_key_stays_a_value(legacy: Cast) -> None:
    for value in ("12345678", "x" * 64, "aaaaaaaaab"):
        # With a key in the header nothing else is one.
        assert code_of(call(f"/json/prov/data/dua/{value}/x", accesskey=KEYS["dua"])) == 10012
    legacy.operation("buka", "SELECT :a AS a", parameters=({"name": "a"},), access="open")
    Field.objects.create(operation=legacy.operations["buka"], name="a", classification="public")
    holder.refresh()
    for value in ("12345678", "x" * 64, "aaaaaaaaab"):
        assert call(f"/json/prov/data/buka/{value}").json()["response"]["data"]["buka"]["0"] == {"a": value}


def test_the_last_use_of_a_key_in_an_address_is_kept(legacy: Cast) -> None:
    def used() -> tuple[Any, Any]:
        shipping.ship()
        key = AccessKey.objects.get(public="aa…")
        return key.last_used_at, key.last_used_in_path_at

    call("/json/prov/data/satu/id=7", accesskey=KEYS["satu"])
    last, in_path = used()
    assert last is not None and in_path is None
    # A refused one counts too: a program still writes the key into addresses.
    assert code_of(call("/json/prov/data/satu/aaaaaaaaaa/id=7")) == faults.KEY_IN_PATH.code
    refused = used()[1]
    assert refused == CallRecord.objects.latest("id").started_at
    AccessKey.objects.filter(public="aa…").update(in_path=True, last_used_in_path_at=None)
    holder.refresh()
    for address in ("/api/aaaaaaaaaa/prov/data/satu/id=7", "/json/prov/data/satu/aaaaaaaaaa?id=7"):
        assert code_of(call(address)) == 200
        AccessKey.objects.filter(public="aa…").update(last_used_in_path_at=None)
        last, in_path = used()
        assert in_path == CallRecord.objects.latest("id").started_at
    call("/json/prov/data/satu/id=7", accesskey=KEYS["satu"])
    assert used()[1] == in_path
    assert AccessKey.objects.get(public="bb…").last_used_in_path_at is None


def test_a_failing_database_keeps_its_first_sentence(legacy: Cast) -> None:
    legacy.operation("rusak", "SELECT kolom_rahasia FROM tabel_rahasia")
    AccessKey.import_legacy(legacy.application, "rrrrrrrrrr", legacy.operations["rusak"])
    holder.refresh()
    reply = call("/json/prov/data/rusak", accesskey="rrrrrrrrrr")
    message = reply.json()["response"]["message"]
    assert message.startswith("Koneksi database gagal atau perintah SQL keliru.")
    assert reply.headers["x-request-id"] in message
    assert "rahasia" not in message


def test_head(legacy: Cast) -> None:
    reply = call("/json/prov/data/satu/id=7", "HEAD", accesskey=KEYS["satu"])
    assert (reply.status, reply.body) == (200, b"")
