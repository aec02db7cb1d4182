"""As-is operations: what comes is handed on, what answers comes back, and what must not does not."""

from __future__ import annotations

import io
from typing import Any

import pytest

from mantra.wsgi import application
from proxyservices.forwarding import bus_headers
from registry import faults
from tests.cast import Cast, call, ends_of, recorded
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream


def test_method_path_query_headers_and_body_go_on(cast: Cast) -> None:
    answer = Answer(b'{"ok":1}', "application/vnd.contoh+json", 201, [("ETag", '"e1"'), ("Location", "7")])
    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url + "/dasar/", path="v2", forwarded_request_headers="Content-Type, X-Pesan")
        reply = call(
            "/rest/prov/data/alias/a%2Fb/%C3%A9;v=1/?q=a+b%26c&q=2&kosong",
            "PUT",
            b"isi \x00\xff",
            accesskey=cast.key,
            content_type="application/x-sesuatu",
            x_pesan="halo",
            x_lain="tidak",
        )
    received = upstream.last
    assert (received.method, received.path) == ("PUT", "/dasar/v2/a%2Fb/%C3%A9;v=1/?q=a+b%26c&q=2&kosong")
    assert received.body == b"isi \x00\xff"
    assert received.header("Content-Type") == "application/x-sesuatu"
    assert (received.header("X-Pesan"), received.header("X-Lain")) == ("halo", "")
    assert (reply.status, reply.body) == (201, b'{"ok":1}')
    assert reply.headers["content-type"] == "application/vnd.contoh+json"
    assert (reply.headers["etag"], reply.headers["location"]) == ('"e1"', "/rest/prov/data/alias/a%2Fb/%C3%A9;v=1/7")
    assert reply.headers["content-length"] == "8"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method(cast: Cast, method: str) -> None:
    with serve_upstream(lambda received: Answer(received.method.encode(), "text/plain")) as upstream:
        publish_proxy(cast, upstream.url)
        reply = call("/rest/prov/data/alias/x", method, accesskey=cast.key)
    assert upstream.last.method == method
    assert reply.status == 200
    assert reply.body == (b"" if method == "HEAD" else method.encode())
    assert reply.headers["content-length"] == str(len(method))


def test_only_the_methods_that_are_named(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url, allowed_methods="GET")
        reply = call("/rest/prov/data/alias/x", "DELETE", accesskey=cast.key)
    assert (reply.status, reply.headers["allow"]) == (405, "GET")
    assert upstream.received == []


@pytest.mark.parametrize("status", [204, 301, 304, 400, 401, 404, 429, 500, 503, 599])
def test_every_status_comes_back_and_no_redirect_is_followed(cast: Cast, status: int) -> None:
    with serve_upstream(
        Answer(b"" if status in (204, 304) else b"ya", "text/plain", status, [("Location", "/lain")])
    ) as upstream:
        publish_proxy(cast, upstream.url, retries=0)
        reply = call("/rest/prov/data/alias/x", accesskey=cast.key)
        assert len(upstream.received) == 1
    assert reply.status == status
    assert reply.body == (b"" if status in (204, 304) else b"ya")
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["status"], end["code"], end["bytes"]) == (status, 200, len(reply.body))
    assert "broken" not in end
    assert reply.headers["location"] == "/rest/prov/data/alias/lain"


def test_a_wide_accept_is_the_upstreams_business(cast: Cast) -> None:
    with serve_upstream(Answer(b"GIF89a", "image/gif")) as upstream:
        publish_proxy(cast, upstream.url)
        reply = call("/rest/prov/data/alias/x.gif", accesskey=cast.key, accept="image/*")
    assert upstream.last.header("Accept") == "image/*"
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")


@pytest.mark.parametrize(
    "tail",
    [
        "/..",
        "/../x",
        "/a/../../x",
        "/%2e%2e/x",
        "/%252e%252e/x",
        "/..%2fx",
        "/..%5cx",
        "/..;a=1/x",
        "/a/./b",
        "/.%2e",
        "/%25252e%25252e%25252f",
    ],
)
def test_no_address_leads_out_of_the_alias(cast: Cast, tail: str) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url + "/dalam")
        reply = call(f"/rest/prov/data/alias{tail}", accesskey=cast.key)
    assert upstream.received == []
    assert reply.status == 400


def test_dots_that_lead_nowhere_go_on(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url)
        assert call("/rest/prov/data/alias/a..b/.env.json/...?x=../y", accesskey=cast.key).status == 200
    assert upstream.last.path == "/a..b/.env.json/...?x=../y"


def test_what_is_for_one_connection_goes_no_further(cast: Cast) -> None:
    answer = Answer(
        b"ya",
        "text/plain",
        200,
        [
            ("Connection", "X-Antara, close"),
            ("X-Antara", "1"),
            ("X-Sampai", "2"),
            ("Upgrade", "h2c"),
            ("Keep-Alive", "5"),
            ("Trailer", "X-T"),
            ("X-Accel-Redirect", "/rahasia"),
            ("Set-Cookie", "sessionid=jahat"),
            ("Content-Security-Policy", "x"),
            ("Clear-Site-Data", "*"),
        ],
    )
    listed = "Connection, Keep-Alive, TE, Upgrade, X-Antara, X-Sampai, Host, Via, Transfer-Encoding, Expect, Trailer"
    with serve_upstream(answer) as upstream:
        publish_proxy(
            cast,
            upstream.url,
            forwarded_request_headers=listed,
            returned_response_headers=listed
            + ", X-Accel-Redirect, Set-Cookie, Content-Security-Policy, Clear-Site-Data",
        )
        reply = call(
            "/rest/prov/data/alias/x",
            accesskey=cast.key,
            connection="keep-alive, X-Antara",
            x_antara="1",
            x_sampai="2",
            te="trailers",
            upgrade="h2c",
            keep_alive="5",
            trailer="x",
            expect="x",
            host="bus.contoh.go.id",
        )
    names = upstream.last.names
    assert names & {"x-antara", "te", "upgrade", "keep-alive", "trailer", "expect", "connection"} == set()
    assert upstream.last.header("X-Sampai") == "2"
    assert upstream.last.header("Host") == f"127.0.0.1:{upstream.port}"
    gone = {"x-antara", "upgrade", "keep-alive", "trailer", "x-accel-redirect", "set-cookie", "clear-site-data"}
    assert gone & set(reply.headers) == set()
    assert reply.headers["x-sampai"] == "2"
    # The page of somebody else must not act in the bus's name.
    assert reply.headers["content-security-policy"] == "sandbox"


def test_forwarded_headers_name_caller_and_path(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url)
        reply = call(
            "/rest/prov/data/alias/x",
            accesskey=cast.key,
            address="10.9.8.7",
            host="bus.contoh.go.id",
            x_forwarded_for="6.6.6.6",
            x_forwarded_host="jahat",
            x_request_id="karangan",
            via="1.0 lama",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            tracestate="a=1",
        )
    received = upstream.last
    assert received.header("X-Forwarded-For") == "10.9.8.7"
    assert received.header("X-Forwarded-Proto") == "http"
    assert received.header("X-Forwarded-Host") == "bus.contoh.go.id"
    assert received.header("X-Request-Id") == reply.headers["x-request-id"]
    assert received.header("Via").startswith("1.0 lama, 1.1 mantra-")
    assert received.header("traceparent") == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert (received.header("tracestate"), received.header("Mantra-Hops")) == ("a=1", "1")


@pytest.mark.parametrize("given", ["", "karangan", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_a_trace_is_begun_where_there_is_none(cast: Cast, given: str) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url)
        reply = call("/rest/prov/data/alias/x", accesskey=cast.key, traceparent=given)
    request_id = reply.headers["x-request-id"]
    assert upstream.last.header("traceparent") == f"00-{request_id}-{request_id[-16:]}-01"


def test_the_callers_credentials_stay_here(cast: Cast) -> None:
    listed = "AccessKey, Authorization, Cookie, X-Api-Key, Referer"
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url, forwarded_request_headers=listed)
        call(
            "/rest/prov/data/alias/x",
            accesskey=cast.key,
            authorization="Basic eDp5",
            cookie="a=b",
            x_api_key=cast.key,
            referer=f"https://x/?k={cast.key}",
        )
    assert upstream.last.names & {"accesskey", "authorization", "cookie", "x-api-key", "referer"} == set()
    assert cast.key not in str(upstream.last)


def test_the_callers_credentials_go_on_where_the_operation_says_so(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url, forward_credentials=True)
        call("/rest/prov/data/alias/x", accesskey=cast.key, authorization="Basic eDp5", cookie="a=b")
    received = upstream.last
    assert (received.header("AccessKey"), received.header("Authorization")) == (cast.key, "Basic eDp5")
    assert received.header("Cookie") == "a=b"


def test_the_buss_own_credential_takes_the_callers_place(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(
            cast,
            upstream.url,
            forward_credentials=True,
            upstream={"credential_kind": "bearer", "credential": "tokenbus"},
        )
        call("/rest/prov/data/alias/x", accesskey=cast.key, authorization="Basic eDp5")
    assert upstream.last.header("Authorization") == "Bearer tokenbus"


@pytest.mark.parametrize("place", ["/x?kunci={key}", "/{key}/x", "/x?a=%{first:02x}{rest}"])
def test_a_key_in_the_address_goes_nowhere(cast: Cast, place: str) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url)
        tail = place.format(key=cast.key, first=ord(cast.key[0]), rest=cast.key[1:])
        reply = call(f"/rest/prov/data/alias{tail}", accesskey=cast.key)
    assert (reply.status, reply.json()["code"]) == (400, faults.REQUEST_NOT_CONVERTIBLE.code)
    assert upstream.received == []


def test_call_that_returns_to_this_bus_is_refused(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        operation = publish_proxy(cast, upstream.url)
        call("/rest/prov/data/alias/x", accesskey=cast.key)
        via = upstream.last.header("Via")
        assert via.endswith(f".{operation.pk}")
        reply = call("/rest/prov/data/alias/x", accesskey=cast.key, via=f"1.1 lain, {via}")
        assert (reply.status, reply.json()["code"]) == (508, faults.LOOP.code)
        reply = call("/rest/prov/data/alias/x", accesskey=cast.key, mantra_hops=str(bus_headers.MAX_HOPS))
        assert reply.json()["code"] == faults.LOOP.code
        assert len(upstream.received) == 1


def test_a_body_over_the_cap_is_refused_whether_its_length_is_said_or_not(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url, max_body_bytes=1000)
        said = call("/rest/prov/data/alias/x", "POST", b"x" * 1001, accesskey=cast.key)
        unsaid = call(
            "/rest/prov/data/alias/x",
            "POST",
            b"x" * 200_000,
            accesskey=cast.key,
            content_length="",
            transfer_encoding="chunked",
        )
        fits = call("/rest/prov/data/alias/x", "POST", b"x" * 1000, accesskey=cast.key)
    assert [each.status for each in (said, unsaid, fits)] == [413, 413, 200]
    assert [len(each.body) for each in upstream.received] == [1000]


def test_a_chunked_body_goes_on_in_chunks(cast: Cast) -> None:
    with serve_upstream(lambda received: Answer(received.body)) as upstream:
        publish_proxy(cast, upstream.url)
        reply = call(
            "/rest/prov/data/alias/x",
            "POST",
            b"x" * 200_000,
            accesskey=cast.key,
            content_length="",
            transfer_encoding="chunked",
        )
    assert upstream.last.header("Transfer-Encoding") == "chunked"
    assert reply.body == b"x" * 200_000


def test_a_body_that_breaks_off_is_never_handed_on_as_whole(cast: Cast) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url)
        reply = call("/rest/prov/data/alias/x", "POST", b"setengah", accesskey=cast.key, content_length="100")
    assert (reply.status, reply.json()["code"]) == (400, faults.BODY_INVALID.code)
    assert upstream.received == [] or len(upstream.received[0].body) < 100


def test_an_answer_over_the_cap_is_refused(cast: Cast) -> None:
    with serve_upstream(Answer(b"x" * 5000)) as upstream:
        publish_proxy(cast, upstream.url, max_body_bytes=4999)
        reply = call("/rest/prov/data/alias/x", accesskey=cast.key)
    assert (reply.status, reply.json()["code"]) == (502, faults.UPSTREAM_TOO_LARGE.code)


def test_a_grant_of_some_fields_is_refused_before_anything_is_asked(cast: Cast) -> None:
    with serve_upstream(Answer(b'{"nip":"1"}')) as upstream:
        publish_proxy(cast, upstream.url, grant="nip")
        reply = call("/rest/prov/data/alias/x", accesskey=cast.key)
    assert (reply.status, reply.json()["code"]) == (403, faults.FIELDS_INSEPARABLE.code)
    assert upstream.received == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "no-store"),
        ("public, max-age=60, s-maxage=90", "private, max-age=60"),
        ("no-store", "no-store"),
        ("private", "no-store"),
        ("no-cache", "private, no-cache"),
    ],
)
def test_no_cache_between_takes_a_callers_answer_for_everybodys(cast: Cast, said: str, told: str) -> None:
    with serve_upstream(Answer(b"1", headers=[("Cache-Control", said)] if said else [])) as upstream:
        publish_proxy(cast, upstream.url)
        reply = call("/rest/prov/data/alias/x", accesskey=cast.key)
    assert reply.headers["cache-control"] == told
    assert ("AccessKey" in reply.headers.get("vary", "")) == (told != "no-store")


def test_headers_that_come_twice_are_joined_and_cookies_are_not(cast: Cast) -> None:
    answer = Answer(
        b"1",
        headers=[
            ("Vary", "Accept"),
            ("Vary", "Origin"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2, c"),
            ("Set-Cookie", "csrftoken=jahat"),
        ],
    )
    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, forward_credentials=True, returned_response_headers="Vary, Set-Cookie")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/rest/prov/data/alias/x",
            "HTTP_ACCESSKEY": cast.key,
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            "REMOTE_ADDR": "127.0.0.1",
        }
        fields: list[tuple[str, str]] = []
        b"".join(application(environ, lambda status, found: fields.extend(found)))
    assert [value for name, value in fields if name == "Set-Cookie"] == [
        f"{cookie}; Path=/rest/prov/data/alias" for cookie in ("a=1", "b=2, c")
    ]
    assert not any(name == "Vary" and "Origin" not in value for name, value in fields)


def test_call_by_soap_gets_a_document(cast: Cast) -> None:
    def answer(received: Received) -> Answer:
        return (
            Answer(b"<a><b>1</b></a>", "text/xml")
            if received.path == "/?nip=7"
            else Answer(b"teks belaka", "text/weird")
        )

    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, parameters=("nip",))
        reply = call("/json/prov/data/alias/nip=7", accesskey=cast.key)
        assert reply.json()["response"]["data"] == {"a": {"b": "1"}}
        plain = call("/json/prov/data/alias/nip=8", accesskey=cast.key)
        assert plain.json()["response"]["data"] == "teks belaka"


def test_the_call_path_asks_the_database_nothing(cast: Cast, django_assert_num_queries: Any) -> None:
    with serve_upstream(Answer(b"1")) as upstream:
        publish_proxy(cast, upstream.url)
        with django_assert_num_queries(0):
            assert call("/rest/prov/data/alias/x", accesskey=cast.key).status == 200


def test_the_journal_holds_no_path_and_no_value(cast: Cast) -> None:
    with serve_upstream(Answer(b"1")) as upstream:
        publish_proxy(cast, upstream.url)
        call("/rest/prov/data/alias/317123456789?nik=317123456789", accesskey=cast.key)
    assert "317123456789" not in str(recorded())
