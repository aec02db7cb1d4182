"""The caller styles of MANTRA 1.99x towards an upstream, and its answer rules."""

from __future__ import annotations

import pytest

from registry import faults
from tests.cast import Cast, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

OK = b'{"response":{"status":1,"code":200,"message":"OK","data":{"asal":{"0":{"nip":"007","nama":null}}}}}'
KEY = {"credential_kind": "access-key", "credential": "kuncihulu1"}


@pytest.mark.parametrize(
    ("style", "method", "path", "body"),
    [
        ("rest", "GET", "/json/bkn/simpeg/asal/nip=a%252Fb&unit=Dinas%2B3", b""),
        ("restfull", "GET", "/json/bkn/simpeg/asal/a%2Fb/Dinas+3", b""),
        ("restfullpar", "GET", "/json/bkn/simpeg/asal/nip/a%2Fb/unit/Dinas+3", b""),
        ("get", "GET", "/json/bkn/simpeg/asal?nip=a%2Fb&unit=Dinas+3", b""),
        ("post", "POST", "/json/bkn/simpeg/asal", b"nip=a%2Fb&unit=Dinas+3"),
    ],
)
def test_each_style_on_the_wire(cast: Cast, style: str, method: str, path: str, body: bytes) -> None:
    with serve_upstream(Answer(OK, "text/plain;charset=UTF-8")) as upstream:
        publish_proxy(
            cast, upstream.url + "/json/bkn/simpeg", style=f"legacy-{style}", path="asal", parameters=("nip", "unit"),
            upstream=KEY,
        )  # fmt: skip
        reply = cast.get("alias.json", "nip=a%2Fb&unit=Dinas+3")
    received = upstream.last
    assert (received.method, received.path, received.body) == (method, path, body)
    assert (received.header("User-Agent"), received.header("AccessKey")) == ("MANTRA", "kuncihulu1")
    assert reply.json() == {"asal": {"0": {"nip": "007", "nama": None}}}


def test_constants_and_secrets_stand_where_their_mapping_does(cast: Cast) -> None:
    with serve_upstream(Answer(OK)) as upstream:
        publish_proxy(
            cast, upstream.url, style="legacy-restfull", path="asal", parameters=("nip", "unit"),
            mappings=(
                {"location": "query", "name": "nip", "parameter": "nip"},
                {"location": "query", "name": "sandi", "value": "s3cret/x"},
            ),
        )  # fmt: skip
        assert call("/json/prov/data/alias/1/2", accesskey=cast.key).json()["response"]["status"] == 1
    assert upstream.last.path == "/asal/1/s3cret%2Fx/2"


def test_values_by_place_cannot_have_gaps(cast: Cast) -> None:
    with serve_upstream(Answer(OK)) as upstream:
        publish_proxy(
            cast, upstream.url, style="legacy-restfull", path="asal",
            parameters=({"name": "nip", "required": False}, {"name": "unit", "required": False}),
        )  # fmt: skip
        assert cast.get("alias.json", "unit=3").json()["code"] == faults.REQUEST_NOT_CONVERTIBLE.code
        assert cast.get("alias.json", "nip=3").status == 200
        assert upstream.last.path == "/asal/3"
        assert cast.get("alias.json").status == 200
        assert upstream.last.path == "/asal"


@pytest.mark.parametrize(
    ("style", "path"),
    [
        ("rest", "/%C3%BC+ber=%25C3%25BC%2B%2525%252B"),
        ("restfull", "/%C3%BC+%25%2B"),
        ("restfullpar", "/%C3%BC+ber/%C3%BC+%25%2B"),
    ],
)
def test_f2_only_the_values_of_rest_are_encoded_twice(cast: Cast, style: str, path: str) -> None:
    with serve_upstream(Answer(OK)) as upstream:
        publish_proxy(
            cast, upstream.url, style=f"legacy-{style}", parameters=("nip",),
            mappings=({"location": "query", "name": "ü ber", "parameter": "nip"},),
        )  # fmt: skip
        assert cast.get("alias.json", "nip=%C3%BC+%25%2B").status == 200
    assert upstream.last.path == path


@pytest.mark.parametrize(
    "body",
    [
        OK,
        b'<?xml version="1.0" encoding="utf-8"?>\n<response><status>1</status><code>200</code><message>OK</message>'
        b"<data><asal><nip>007</nip><nama></nama></asal></data></response>",
        b'a:1:{s:8:"response";a:4:{s:6:"status";i:1;s:4:"code";i:200;s:7:"message";s:2:"OK";s:4:"data";'
        b'a:1:{s:4:"asal";a:1:{i:0;a:2:{s:3:"nip";s:3:"007";s:4:"nama";N;}}}}}',
    ],
    ids=["json", "xml", "php"],
)
@pytest.mark.parametrize("face", ["json", "xml", "api"])
def test_each_answer_in_each_format(cast: Cast, body: bytes, face: str) -> None:
    with serve_upstream(Answer(body, "text/plain")) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal")
        reply = call(f"/{face}/prov/data/alias", accesskey=cast.key)
    assert reply.status == 200
    assert {"json": b'"nip": "007"', "xml": b"<nip>007</nip>", "api": b's:3:"nip";s:3:"007";'}[face] in reply.body


def test_rows_come_as_csv(cast: Cast) -> None:
    with serve_upstream(Answer(OK)) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal")
        assert cast.get("alias.csv").body == b"nip,nama\r\n007,\r\n"


def test_what_the_upstream_refuses_is_no_table_either(cast: Cast) -> None:
    with serve_upstream(Answer(b'{"response":{"status":0,"code":10005,"message":"wajib","data":""}}')) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal")
        for format in ("csv", "json", "xlsx"):
            assert cast.get(f"alias.{format}").json()["code"] == faults.UPSTREAM_REFUSED.code


@pytest.mark.parametrize("code", [10012, 10009])
def test_an_upstream_in_which_nothing_matches_has_not_failed(cast: Cast, code: int) -> None:
    body = b'{"response":{"status":0,"code":%d,"message":"kosong","data":""}}' % code
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal")
        for format in ("csv", "json", "xlsx"):
            reply = cast.get(f"alias.{format}")
            assert (reply.status, reply.json()["code"]) == (404, faults.NO_ROWS.code)


def test_a_grant_of_some_fields_is_kept_within_the_envelope(cast: Cast) -> None:
    with serve_upstream(Answer(OK)) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal", grant="nip")
        found = call("/json/prov/data/alias", accesskey=cast.key).json()["response"]
        assert (found["status"], found["code"]) == (1, 200)
        assert found["data"] == {"asal": {"0": {"nip": "007"}}}
        assert b"nama" not in cast.get("alias.xml").body
