"""The answer cache: what is kept, for whom, how long, and what stands in when the upstream is away."""

from __future__ import annotations

from typing import Any

import pytest

from proxyservices.forwarding import cache
from registry import faults
from registry.models import AccessKey, Application, Grant
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.clock import Clock, stopped_clock
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream


def counting(**more: Any) -> Any:
    """An upstream that numbers its answers."""
    numbers = iter(range(1, 100))
    return lambda received: Answer(b'{"n":%d}' % next(numbers), **more)


def request(cast: Cast, tail: str = "/x", method: str = "GET", **headers: str) -> Reply:
    headers.setdefault("accesskey", cast.key)
    return call(f"/rest/prov/data/alias{tail}", method, **headers)


def test_cached_response_is_fetched_once(cast: Cast) -> None:
    with serve_upstream(counting()) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        first, second = request(cast), request(cast)
        assert (first.body, second.body) == (b'{"n":1}', b'{"n":1}')
        assert len(upstream.received) == 1
        assert ("age" in first.headers, second.headers["age"]) == (False, "0")
        assert second.headers["cache-control"].startswith("private, max-age=")
        assert second.headers["etag"] == first.headers["etag"]


def test_different_requests_have_different_cache_entries(cast: Cast) -> None:
    with serve_upstream(counting()) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60, forwarded_request_headers="Accept, X-Bahasa")
        found = [
            request(cast),
            request(cast, "/y"),
            request(cast, "/x?a=1"),
            request(cast, accept="text/plain"),
            request(cast, x_bahasa="id"),
            request(cast, method="POST"),
            request(cast, x_tak_diteruskan="1"),
        ]
    assert [each.body for each in found] == [b'{"n":%d}' % n for n in (1, 2, 3, 4, 5, 6, 1)]


def test_change_of_the_operation_empties_its_cache(cast: Cast) -> None:
    with serve_upstream(counting()) as upstream:
        operation = publish_proxy(cast, upstream.url, cache_seconds=60)
        request(cast)
        operation.refresh_from_db()
        operation.revision += 1
        operation.save()
        holder.refresh()
        assert request(cast).body == b'{"n":2}'


def test_cached_response_answers_if_none_match_with_304(cast: Cast) -> None:
    with serve_upstream(counting(headers=[("ETag", '"v1"')])) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        assert request(cast).headers["etag"] == '"v1"'
        for held in ('"v1"', 'W/"v1"', '"lain", "v1"', "*"):
            reply = request(cast, if_none_match=held)
            assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", '"v1"')
        assert request(cast, if_none_match='"v2"').status == 200
        assert len(upstream.received) == 1
        # The caller's own conditions are for the bus to judge; the upstream must not.
        assert "if-none-match" not in upstream.last.names


def test_stale_response_is_revalidated_by_its_etag(cast: Cast) -> None:
    def answer(received: Received) -> Answer:
        if received.header("If-None-Match") == '"v1"':
            return Answer(b"", "", 304, [("ETag", '"v1"')])
        return Answer(b"isi", "text/plain", 200, [("ETag", '"v1"'), ("Cache-Control", "no-cache")])

    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        found = [request(cast) for _ in range(3)]
    assert [(each.status, each.body) for each in found] == [(200, b"isi")] * 3
    assert [received.header("If-None-Match") for received in upstream.received] == ["", '"v1"', '"v1"']


def test_stale_response_without_etag_is_revalidated_by_its_date(cast: Cast) -> None:
    day = "Sat, 21 Nov 2026 00:00:00 GMT"

    def answer(received: Received) -> Answer:
        if received.header("If-Modified-Since") == day:
            return Answer(b"", "", 304)
        return Answer(b"isi", "text/plain", 200, [("Last-Modified", day), ("Cache-Control", "max-age=0")])

    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        assert [request(cast).body for _ in range(2)] == [b"isi", b"isi"]
    assert upstream.last.header("If-Modified-Since") == day
    assert "if-none-match" not in upstream.last.names  # the tag is the bus's own


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch, cache)


def test_upstream_may_shorten_the_cache_time_but_not_lengthen_it(cast: Cast, clock: Clock) -> None:
    with serve_upstream(counting(headers=[("Cache-Control", "max-age=40")])) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        request(cast)
        clock.move(39)
        assert request(cast).body == b'{"n":1}'
        clock.move(1)
        assert request(cast).body == b'{"n":2}'
    with serve_upstream(counting(headers=[("Cache-Control", "max-age=9999")])) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60, code="lain")
        call("/rest/prov/data/lain", accesskey=cast.key)
        clock.move(59)
        assert call("/rest/prov/data/lain", accesskey=cast.key).body == b'{"n":1}'
        clock.move(1)
        assert call("/rest/prov/data/lain", accesskey=cast.key).body == b'{"n":2}'


@pytest.mark.parametrize(
    "more",
    [
        {"headers": [("Set-Cookie", "a=1")]},
        {"headers": [("Cache-Control", "no-store")]},
        {"headers": [("Vary", "*")]},
        {"headers": [("Vary", "Accept, X-Forwarded-For")]},
        {"status": 404},
        {"status": 206},
    ],
)
def test_response_that_must_not_be_cached_is_not(cast: Cast, more: dict[str, Any]) -> None:
    with serve_upstream(counting(**more)) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        assert [request(cast).body for _ in range(2)] == [b'{"n":1}', b'{"n":2}']


@pytest.mark.parametrize("header", ["range", "if_match", "if_unmodified_since"])
def test_range_and_if_match_requests_bypass_the_cache(cast: Cast, header: str) -> None:
    with serve_upstream(counting()) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        request(cast)
        assert request(cast, **{header: "bytes=0-1"}).body == b'{"n":2}'
        assert header.replace("_", "-") in upstream.last.names


def other_key(cast: Cast) -> str:
    application = Application.objects.create(agency=cast.stranger, code="lain", title="Lain")
    _row, plain = AccessKey.issue(application)
    for grant in Grant.objects.filter(application=cast.application):
        Grant.objects.create(application=application, operation=grant.operation, purpose="uji")
    holder.refresh()
    return plain


def test_private_response_is_cached_for_its_caller_alone(cast: Cast) -> None:
    with serve_upstream(counting(headers=[("Cache-Control", "private")])) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        other = other_key(cast)
        found = [request(cast), request(cast, accesskey=other), request(cast), request(cast, accesskey=other)]
    assert [each.body for each in found] == [b'{"n":1}', b'{"n":2}', b'{"n":1}', b'{"n":2}']


def test_private_response_to_an_anonymous_caller_is_not_cached(cast: Cast) -> None:
    with serve_upstream(counting(headers=[("Cache-Control", "private")])) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60, access="open")
        assert [request(cast, accesskey="").body for _ in range(2)] == [b'{"n":1}', b'{"n":2}']


def test_callers_with_passed_credentials_share_no_cache_entry(cast: Cast) -> None:
    with serve_upstream(counting()) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60, forward_credentials=True)
        assert request(cast, cookie="a=1").body == b'{"n":1}'
        assert request(cast, cookie="a=2").body == b'{"n":2}'
        assert request(cast, accesskey=other_key(cast), cookie="a=1").body == b'{"n":3}'
        assert request(cast, cookie="a=1").body == b'{"n":1}'


def test_head_is_answered_from_a_cached_get(cast: Cast) -> None:
    with serve_upstream(counting()) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        assert request(cast, method="HEAD").status == 200
        assert upstream.last.method == "HEAD"
        request(cast)
        reply = request(cast, method="HEAD")
    assert (len(upstream.received), reply.body, reply.headers["content-length"]) == (2, b"", "7")


def test_cached_response_is_served_in_every_format(cast: Cast) -> None:
    with serve_upstream(Answer(b'[{"a":"1"}]', "text/plain")) as upstream:
        publish_proxy(cast, upstream.url, style="rest", cache_seconds=60)
        for _ in range(2):
            assert cast.get("alias.json").body == b'[{"a":"1"}]'
            assert cast.get("alias.csv").body == b"a\r\n1\r\n"
        first = cast.get("alias.json")
        assert cast.get("alias.json", if_none_match=first.headers["etag"]).status == 304
    assert len(upstream.received) <= 2  # one for each Accept that goes to the upstream


def test_large_response_streams_and_is_cached_up_to_a_size(cast: Cast) -> None:
    found = Answer(b"x" * 500_000, "text/plain")
    with serve_upstream(found) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        assert [len(request(cast).body) for _ in range(2)] == [500_000, 500_000]
        assert len(upstream.received) == 1
        found.body = b"y" * (cache.MAX_ENTRY_BYTES + 1)
        assert [len(request(cast, "/y").body) for _ in range(2)] == [cache.MAX_ENTRY_BYTES + 1] * 2
        assert len(upstream.received) == 3


def test_cache_size_is_bounded() -> None:
    kept = cache.Cache(total=100_000)
    for number in range(1000):
        kept.put(number, cache.SHARED, cache.Entry(200, [], b"x" * 10_000, '"e"', 0, 0, True))
        assert kept.size <= 100_000
    assert kept.get(999, "") is not None
    assert kept.get(1, "") is None
    kept.forget(999, "")
    assert kept.get(999, "") is None


# -------------------------------------------------------------------------------------------- stale


@pytest.mark.parametrize("way", ["status", "gone"])
@pytest.mark.parametrize("style", ["pass-through", "rest"])
def test_stale_response_is_served_when_the_upstream_fails(cast: Cast, clock: Clock, style: str, way: str) -> None:
    found = Answer(b'{"n":1}', headers=[("Cache-Control", "max-age=0")])
    with serve_upstream(found) as upstream:
        publish_proxy(cast, upstream.url, style=style, cache_seconds=60, stale_if_error_seconds=60, retries=0)
        path = "/rest/prov/data/alias.json"
        assert call(path, accesskey=cast.key).body == b'{"n":1}'
        clock.move(60)
        found.status = 503
        if way == "status":
            reply = call(path, accesskey=cast.key)
    if way == "gone":
        reply = call(path, accesskey=cast.key)
    assert (reply.status, reply.body) == (200, b'{"n":1}')
    assert reply.headers["age"] == "60"
    assert reply.headers["warning"] == '110 - "Response is Stale", 111 - "Revalidation Failed"'


def test_stale_response_is_served_no_longer_than_stale_seconds(cast: Cast, clock: Clock) -> None:
    with serve_upstream(Answer(b"1", headers=[("ETag", '"v"')])) as upstream:
        publish_proxy(cast, upstream.url, stale_if_error_seconds=60, retries=0)
        assert request(cast).status == 200
    clock.move(60)
    assert request(cast).status == 200
    clock.move(1)
    assert request(cast).json()["code"] == faults.UPSTREAM_UNREACHABLE.code


def test_must_revalidate_forbids_a_stale_response(cast: Cast) -> None:
    with serve_upstream(Answer(b"1", headers=[("Cache-Control", "max-age=0, must-revalidate")])) as upstream:
        publish_proxy(cast, upstream.url, stale_if_error_seconds=60, cache_seconds=60, retries=0)
        assert request(cast).status == 200
    assert request(cast).json()["code"] == faults.UPSTREAM_UNREACHABLE.code


def test_stale_response_is_not_served_to_a_post(cast: Cast) -> None:
    with serve_upstream(Answer(b"1")) as upstream:
        publish_proxy(cast, upstream.url, stale_if_error_seconds=60, cache_seconds=60, retries=0)
        assert request(cast).status == 200
    assert request(cast, method="POST").json()["code"] == faults.UPSTREAM_UNREACHABLE.code
