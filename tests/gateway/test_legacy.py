"""The wire of MANTRA 1.99x, through the WSGI door."""

from __future__ import annotations

import pytest

from registry import faults
from registry.models import AccessKey, Operation
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, ends_of

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
    "RESTFULL, as the stock client encodes": "/Unit%2B1/Orang%2B1%2525",
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
    form = "application/x-www-form-urlencoded"
    body = "unit_kerja=Unit+1&nama=Orang+1%25"
    reply = call("/json/prov/data/dua", "POST", body, accesskey=KEYS["dua"], content_type=form)
    assert code_of(reply) == 200
    path_wins = call("/json/prov/data/dua/Unit+2/x", "POST", body, accesskey=KEYS["dua"], content_type=form)
    assert code_of(path_wins) == 10012


def test_a_value_may_hold_anything(legacy: Cast) -> None:
    from urllib.parse import quote_plus

    for value in ("a/b", "a&b=c", "a%b", "a+b", "é ☃", "a=b"):
        twice = quote_plus(quote_plus(value))
        reply = call(f"/json/prov/data/dua/unit_kerja={twice}&nama=x", accesskey=KEYS["dua"])
        assert code_of(reply) == 10012, value
    cast = legacy
    cast.operation("gema", "SELECT :a AS a, :b AS b", parameters=({"name": "a"}, {"name": "b"}))
    AccessKey.import_legacy(cast.application, "gggggggggg", cast.operations["gema"])
    holder.refresh()
    for value in ("a/b", "a&b=c", "a%b", "a+b", "é ☃", "a=b", "%2B"):
        twice = quote_plus(quote_plus(value))
        for address in (f"a={twice}&b=x", f"a/{twice}/b/x", f"{twice}/x"):
            reply = call(f"/json/prov/data/gema/{address}", accesskey="gggggggggg")
            assert reply.json()["response"]["data"]["gema"]["0"] == {"a": value, "b": "x"}, address


@pytest.mark.parametrize(
    ("path", "key", "code"),
    [
        ("/json/prov/data/satu/id=7", "", 10001),
        ("/json/prov/data/satu/id=7", "salah", 10002),
        ("/json/prov/data/satu/id=7", "on", 10002),
        ("/json/prov/data/satu/id=7", 'idkey:O:8:"stdClass":0:{}', 10002),
        ("/json/prov/data/satu/id=7", "bbbbbbbbbb", 10002),
        ("/json/prov/data/tidakada/id=7", "aaaaaaaaaa", 10002),
        ("/json", "aaaaaaaaaa", 10003),
        ("/json/", "aaaaaaaaaa", 10003),
        ("/mantra/json", "aaaaaaaaaa", 10003),
        ("/json/prov", "aaaaaaaaaa", 10003),
        ("/mantra/lain/prov/data/satu", "aaaaaaaaaa", 10003),
        ("/json/prov/data", "aaaaaaaaaa", 10004),
        ("/json/prov/data/satu", "aaaaaaaaaa", 10005),
        ("/json/prov/data/satu/salah=1", "aaaaaaaaaa", 10005),
        ("/json/prov/data/satu/id=", "aaaaaaaaaa", 10005),
        ("/json/prov/data/dua/hanya-satu", "bbbbbbbbbb", 10005),
        ("/json/prov/data/satu/id=999999", "aaaaaaaaaa", 10012),
        ("/json/prov/data/satu/id=tujuh", "aaaaaaaaaa", 11102),
        ("/json/prov/data/satu/id=%25ff", "aaaaaaaaaa", 11110),
    ],
)
def test_refusals(legacy: Cast, path: str, key: str, code: int) -> None:
    for face in ("json", "xml", "api"):
        reply = call(path.replace("/json", f"/{face}"), accesskey=key)
        assert code_of(reply) == code
    assert call(path, accesskey=key).json()["response"]["message"]


@pytest.mark.parametrize("path", ["/mantra", "/mantra/", "/MANTRA//"])
def test_the_bare_prefix(legacy: Cast, path: str) -> None:
    assert code_of(call(path)) == 10003


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
