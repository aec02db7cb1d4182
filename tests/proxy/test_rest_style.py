"""Style REST: where parameters, constants and secrets go, and what comes of the answer."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from registry import faults
from tests.cast import Cast, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

ROWS = b'[{"nip":"1","nama":"Ani","gaji":12.50},{"nip":"2","nama":null}]'


def test_every_place(cast: Cast) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(
            cast,
            upstream.url + "/api",
            style="rest",
            path="/pegawai/{nip}/{bagian}",
            method="GET",
            parameters=("nip", "unit", "jumlah", {"name": "lain", "required": False}),
            mappings=(
                {"location": "path", "name": "bagian", "value": "tetap & aman"},
                {"location": "query", "name": "u", "parameter": "unit"},
                {"location": "header", "name": "X-Jumlah", "parameter": "JUMLAH"},
                {"location": "header", "name": "X-Rahasia", "value": "s3cret"},
                {"location": "query", "name": "versi", "value": "2"},
            ),
        )
        reply = cast.get("alias.json", "nip=a%2Fb&unit=Dinas+3%26x&jumlah=7")
    received = upstream.last
    assert reply.status == 200
    assert (received.method, received.path) == ("GET", "/api/pegawai/a%2Fb/tetap%20%26%20aman?u=Dinas+3%26x&versi=2")
    assert (received.header("X-Jumlah"), received.header("X-Rahasia")) == ("7", "s3cret")
    assert received.header("Accept").startswith("application/json")
    assert received.header("X-Request-Id") == reply.headers["x-request-id"]
    assert cast.key not in str(received)


def test_a_json_body_is_typed_and_nested(cast: Cast) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(
            cast,
            upstream.url,
            style="rest",
            path="cari",
            method="POST",
            parameters=(
                "nip",
                {"name": "jumlah", "type": "integer"},
                {"name": "gaji", "type": "decimal"},
                {"name": "aktif", "type": "boolean"},
                {"name": "lahir", "type": "date"},
                {"name": "kosong", "required": False},
            ),
            mappings=(
                {"location": "json", "name": "pegawai.nip", "parameter": "nip"},
                {"location": "json", "name": "pegawai.rahasia", "value": "s3cret"},
                {"location": "query", "name": "n", "parameter": "jumlah"},
            ),
        )
        form = "nip=007&jumlah=3&gaji=12.50&aktif=true&lahir=1970-01-31"
        reply = call(
            "/rest/prov/data/alias",
            "POST",
            form,
            accesskey=cast.key,
            content_type="application/x-www-form-urlencoded",
        )
    received = upstream.last
    assert reply.status == 200
    assert (received.method, received.path, received.header("Content-Type")) == (
        "POST",
        "/cari?n=3",
        "application/json",
    )
    assert b'"gaji":12.50' in received.body
    assert json.loads(received.body) == {
        "pegawai": {"nip": "007", "rahasia": "s3cret"},
        "gaji": 12.5,
        "aktif": True,
        "lahir": "1970-01-31",
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_form_is_the_body_unless_something_else_is_said(cast: Cast, method: str) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url, style="rest", path="tulis", method=method, parameters=("nip", "nama"))
        reply = cast_post(cast, {"nip": "1", "nama": "Ani & Budi"})
        assert reply.status == 200
        assert call("/rest/prov/data/alias", accesskey=cast.key).status == 405
    received = upstream.last
    assert (received.method, received.path, received.body) == (method, "/tulis", b"nip=1&nama=Ani+%26+Budi")
    assert received.header("Content-Type") == "application/x-www-form-urlencoded"


def cast_post(cast: Cast, body: dict[str, str]) -> Any:
    return call("/rest/prov/data/alias", "POST", json.dumps(body), accesskey=cast.key, content_type="application/json")


@pytest.mark.parametrize("value", ["..", "%2E", "a%2F..%2Fb", "a%5C..", "..%3Bx"])
def test_no_value_leads_out_of_its_path(cast: Cast, value: str) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url, style="rest", path="a/{nip}/b", parameters=("nip",))
        reply = cast.get("alias.json", f"nip={value}")
    assert (reply.status, reply.json()["code"]) == (400, faults.REQUEST_NOT_CONVERTIBLE.code)
    assert upstream.received == []


def test_no_value_breaks_out_of_its_header(cast: Cast) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(
            cast,
            upstream.url,
            style="rest",
            parameters=("nip",),
            mappings=({"location": "header", "name": "X-Nip", "parameter": "nip"},),
        )
        for value in ("a%0D%0AX-Jahat:+1", "a%7F", "%C3%A9"):
            assert cast.get("alias.json", f"nip={value}").json()["code"] == faults.REQUEST_NOT_CONVERTIBLE.code
        assert cast.get("alias.json", "nip=a+b").status == 200
    assert upstream.last.header("X-Nip") == "a b"


@pytest.mark.parametrize(
    "broken",
    [
        {"path": "/{tidak_ada}"},
        {"mappings": ({"location": "query", "name": "x", "parameter": "tidak_ada"},)},
        {"mappings": ({"location": "header", "name": "Transfer-Encoding", "value": "chunked"},)},
        {
            "mappings": (
                {"location": "json", "name": "x", "value": "1"},
                {"location": "form", "name": "y", "value": "1"},
            )
        },
    ],
)
def test_definition_that_cannot_be_planned_stops_only_itself(cast: Cast, broken: dict[str, Any]) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url, style="rest", **broken)
        assert cast.get("alias.json").json()["code"] == faults.DEFINITION_BROKEN.code
        assert cast.get("satu.json", "id=7").status == 200


# ------------------------------------------------------------------------------------------ answers


def test_a_format_that_agrees_comes_back_untouched(cast: Cast) -> None:
    body = b'{ "a" : 1.50,\n"b":"\\u00e9" }'
    with serve_upstream(Answer(body, "application/json; charset=utf-8", headers=[("X-Dalam", "1")])) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        reply = cast.get("alias.json")
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "x-dalam" not in reply.headers


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"data":{"nip":"1","nama":"A&B","kosong":null}}'),
        ("application/problem+json", b'{"data":{"nip":"1","nama":"A&B","kosong":null}}'),
        ("text/plain", b'{"data":{"nip":"1","nama":"A&B","kosong":null}}'),
        ("text/xml", b"<data><nip>1</nip><nama>A&amp;B</nama><kosong/></data>"),
        (
            "application/vnd.php.serialized",
            b'a:1:{s:4:"data";a:3:{s:3:"nip";s:1:"1";s:4:"nama";s:3:"A&B";s:6:"kosong";N;}}',
        ),
    ],
)
@pytest.mark.parametrize("format", ["json", "xml", "php"])
def test_one_document_in_every_format(cast: Cast, content_type: str, body: bytes, format: str) -> None:
    with serve_upstream(Answer(body, content_type)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        reply = cast.get(f"alias.{format}")
    assert reply.status == 200
    if format == "json":
        assert reply.json() == {"data": {"nip": "1", "nama": "A&B", "kosong": None}}
    elif format == "php":
        assert reply.body == b'a:1:{s:4:"data";a:3:{s:3:"nip";s:1:"1";s:4:"nama";s:3:"A&B";s:6:"kosong";N;}}'
    else:
        assert b"<nip>1</nip><nama>A&amp;B</nama>" in reply.body
        assert reply.headers["content-type"].partition(";")[0] in (content_type, "application/xml")


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (b"%b", ""),
        (b'{"data":%b,"total":2}', "data"),
        (b'{"status":"ok","hasil":{"isi":%b}}', "hasil.isi"),
    ],
)
def test_records_as_rows(cast: Cast, wrap: bytes, path: str) -> None:
    with serve_upstream(Answer(wrap % ROWS)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", records_path=path)
        assert cast.get("alias.csv").body == b"nip,nama,gaji\r\n1,Ani,12.50\r\n2,,\r\n"
        lines = cast.get("alias.ndjson").body.splitlines()
        assert lines == [b'{"nip":"1","nama":"Ani","gaji":12.50}', b'{"nip":"2","nama":null,"gaji":null}']
        assert cast.get("alias.xlsx").body[:2] == b"PK"


def test_a_table_of_the_upstreams_is_a_table_everywhere(cast: Cast) -> None:
    with serve_upstream(Answer(b'nip,nama\r\n007,"Ani, S.H."\r\n008,\r\n', "text/csv; charset=utf-8")) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        rows = [{"nip": "007", "nama": "Ani, S.H."}, {"nip": "008", "nama": None}]
        assert cast.get("alias.json").json() == {"data": rows, "count": 2, "truncated": False}
        assert cast.get("alias.csv").body == b'nip,nama\r\n007,"Ani, S.H."\r\n008,\r\n'
        legacy = call("/json/prov/data/alias", accesskey=cast.key).json()
        assert legacy["response"]["data"]["alias"]["0"] == rows[0]


def test_what_holds_no_rows_is_no_table(cast: Cast) -> None:
    with serve_upstream(Answer(b'{"a":[{"x":1}],"b":[{"y":1}]}')) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        reply = cast.get("alias.csv")
    assert (reply.status, reply.json()["code"]) == (406, faults.FORMAT_IMPOSSIBLE.code)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>galat", "text/html"),
        (b"{", "application/json"),
        (b"[" * 5000 + b"]" * 5000, "application/json"),
        (b'{"a":' * 150 + b"1" + b"}" * 150, "application/json"),
        (b'{"a":NaN}', "application/json"),
        (b'{"a":1e400}', "application/json"),
        (b"\xff\xfe{}", "application/json"),
        (b"<a>" * 150 + b"</a>" * 150, "application/xml"),
        (b"<a/>" * 2, "application/xml"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "application/xml"),
        (
            '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
            "text/xml",
        ),
        (b'O:8:"stdClass":0:{}', "application/vnd.php.serialized"),
        (b"a:2:{i:0;R:1;}", "application/vnd.php.serialized"),
        (b'a:1:{i:0;C:1:"a":0:{}}', "application/vnd.php.serialized"),
        (b"a:1:{i:0;" * 150 + b"N;" + b"}" * 150, "application/vnd.php.serialized"),
        (b"a:999999999:{i:0;i:1;}", "application/vnd.php.serialized"),
        (b's:5:"abc";', "application/vnd.php.serialized"),
        (b"a,b\r\n1\r\n", "text/csv"),
        (b"PK\x03\x04", "application/zip"),
    ],
)
def test_what_cannot_be_read_is_a_clear_502(cast: Cast, body: bytes, content_type: str) -> None:
    with serve_upstream(Answer(body, content_type)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        reply = cast.get("alias.phpa", accept_language="en")
    assert reply.status == 502
    assert b"11207" in reply.body
    assert b"passwd" not in reply.body


def test_numbers_keep_their_digits(cast: Cast) -> None:
    body = b'{"a":12.50,"b":123456789012345678901234567890,"c":1e3}'
    with serve_upstream(Answer(body, "text/plain")) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.json").body == b'{"a":12.50,"b":123456789012345678901234567890,"c":1000.0}'


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_a_status_that_is_no_success_is_told_by_its_number(cast: Cast, status: int) -> None:
    with serve_upstream(Answer(b'{"rahasia":"isi galat"}', status=status)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", retries=0)
        reply = cast.get("alias.json")
    assert (reply.status, reply.json()["code"]) == (502, faults.UPSTREAM_STATUS.code)
    assert str(status) in reply.json()["detail"]
    assert "rahasia" not in reply.text


def test_an_answer_without_a_body_is_null(cast: Cast) -> None:
    with serve_upstream(Answer(b"", "", 204)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.json").body == b"null"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("body", "status", "value"),
    [
        (b"OK", 200, "OK"),
        (b"", 204, None),
        (b"<html>Tersimpan</html>", 201, "<html>Tersimpan</html>"),
        (b'{"id":', 200, '{"id":'),
    ],
)
def test_f9_an_upstream_that_wrote_is_not_told_as_failed(
    cast: Cast, method: str, body: bytes, status: int, value: str | None
) -> None:
    with serve_upstream(Answer(body, "text/plain" if body else "", status)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", method=method, parameters=("nip",))
        reply = cast_post(cast, {"nip": "1"})
    assert (reply.status, reply.json()) == (200, value)


def test_a_compressed_answer_is_read_and_a_bomb_is_not(cast: Cast) -> None:
    found = Answer(gzip.compress(b'{"a":"1"}'), headers=[("Content-Encoding", "gzip")])
    with serve_upstream(found) as upstream:
        publish_proxy(cast, upstream.url, style="rest", max_body_bytes=100_000)
        assert cast.get("alias.json").json() == {"a": "1"}
        found.body = gzip.compress(b" " * 10_000_000 + b"{}")
        assert cast.get("alias.json").json()["code"] == faults.UPSTREAM_ANSWER_UNREADABLE.code


def test_head_is_get_without_a_body(cast: Cast) -> None:
    with serve_upstream(Answer(b'{"a":1}')) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        reply = call("/rest/prov/data/alias.json", "HEAD", accesskey=cast.key)
        assert upstream.last.method == "GET"
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "7")


# -------------------------------------------------------------------------------------------- fields

NESTED = (
    b'{"total":1,"meta":{"rahasia":"x"},"data":[{"nip":"1","nama":"Ani","ibu":{"nama":"Rahasia"}},'
    b'{"nip":"2","nama":"Budi","ibu":{"nama":"Rahasia"}}]}'
)


@pytest.mark.parametrize("format", ["json", "xml", "csv", "ndjson", "php"])
def test_a_grant_of_some_fields_shows_no_other(cast: Cast, format: str) -> None:
    with serve_upstream(Answer(NESTED)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", grant="nama")
        reply = cast.get(f"alias.{format}")
        if format == "json":
            assert reply.json() == {"data": [{"nama": "Ani"}, {"nama": "Budi"}]}
    assert reply.status == 200
    assert b"Ani" in reply.body
    for hidden in (b"nip", b"Rahasia", b"rahasia", b"total"):
        assert hidden not in reply.body


def test_declared_fields_are_all_that_is_shown(cast: Cast) -> None:
    with serve_upstream(Answer(b'[{"nip":7,"nama":"Ani","gaji":1}]')) as upstream:
        publish_proxy(cast, upstream.url, style="rest", fields=("nip", "nama"))
        assert cast.get("alias.json").body == b'[{"nip":"7","nama":"Ani"}]'  # text, as its provider declares
        assert cast.get("alias.csv").body == b"nip,nama\r\n7,Ani\r\n"


def test_declared_and_granted_is_what_is_both(cast: Cast) -> None:
    with serve_upstream(Answer(b'[{"nip":"7","nama":"Ani","gaji":1}]')) as upstream:
        publish_proxy(cast, upstream.url, style="rest", fields=("nip", "nama"), grant="nama, gaji")
        assert cast.get("alias.json").json() == [{"nama": "Ani"}]


@pytest.mark.parametrize("body", [b'"teks"', b"[1,2]", b'{"lain":"x"}', b'[{"lain":"x"}]', b'{"a":{"b":["nama"]}}'])
def test_a_document_without_records_is_refused_to_a_grant_of_fields(cast: Cast, body: bytes) -> None:
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", grant="nama")
        reply = cast.get("alias.json")
    assert (reply.status, reply.json()["code"]) == (403, faults.FIELDS_INSEPARABLE.code)


@pytest.mark.parametrize("body", [b"[]", b'{"data":[]}', b"null"])
def test_nothing_found_is_shown_to_everybody(cast: Cast, body: bytes) -> None:
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", grant="nama")
        reply = cast.get("alias.json")
    assert (reply.status, reply.body) == (200, body)


def test_a_table_is_cut_by_columns(cast: Cast) -> None:
    with serve_upstream(Answer(b"nip,nama\r\n1,Ani\r\n", "text/csv")) as upstream:
        publish_proxy(cast, upstream.url, style="rest", grant="nama")
        assert cast.get("alias.csv").body == b"nama\r\nAni\r\n"
