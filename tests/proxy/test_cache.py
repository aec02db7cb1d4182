"""The answer cache: what is kept, for whom, how long, and what stands in when the upstream is away."""

from __future__ import annotations

import time
from typing import Any

import pytest

from proxyservices.forwarding import cache
from registry import faults
from registry.models import AccessKey, Application, Grant
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.proxy.publishing import publish
from tests.proxy.upstream import Answer, Asked, upstream


def counting(**more: Any) -> Any:
    """An upstream that numbers its answers."""
    numbers = iter(range(1, 100))
    return lambda asked: Answer(b'{"n":%d}' % next(numbers), **more)


def ask(cast: Cast, tail: str = "/x", method: str = "GET", **headers: str) -> Reply:
    headers.setdefault("accesskey", cast.key)
    return call(f"/rest/prov/data/alias{tail}", method, **headers)


def test_it_is_asked_once(cast: Cast) -> None:
    with upstream(counting()) as there:
        publish(cast, there.url, cache_seconds=60)
        first, second = ask(cast), ask(cast)
        assert (first.body, second.body) == (b'{"n":1}', b'{"n":1}')
        assert len(there.asked) == 1
        assert ("age" in first.headers, second.headers["age"]) == (False, "0")
        assert second.headers["cache-control"].startswith("private, max-age=")
        assert second.headers["etag"] == first.headers["etag"]


def test_other_questions_have_other_answers(cast: Cast) -> None:
    with upstream(counting()) as there:
        publish(cast, there.url, cache_seconds=60, request_headers="Accept, X-Bahasa")
        found = [
            ask(cast), ask(cast, "/y"), ask(cast, "/x?a=1"), ask(cast, accept="text/plain"), ask(cast, x_bahasa="id"),
            ask(cast, method="POST"), ask(cast, x_tak_diteruskan="1"),
        ]  # fmt: skip
    assert [each.body for each in found] == [b'{"n":%d}' % n for n in (1, 2, 3, 4, 5, 6, 1)]


def test_a_change_of_the_operation_begins_anew(cast: Cast) -> None:
    with upstream(counting()) as there:
        operation = publish(cast, there.url, cache_seconds=60)
        ask(cast)
        operation.refresh_from_db()
        operation.revision += 1
        operation.save()
        holder.refresh()
        assert ask(cast).body == b'{"n":2}'


def test_the_caller_who_holds_it_hears_so(cast: Cast) -> None:
    with upstream(counting(headers=[("ETag", '"v1"')])) as there:
        publish(cast, there.url, cache_seconds=60)
        assert ask(cast).headers["etag"] == '"v1"'
        for held in ('"v1"', 'W/"v1"', '"lain", "v1"', "*"):
            reply = ask(cast, if_none_match=held)
            assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", '"v1"')
        assert ask(cast, if_none_match='"v2"').status == 200
        assert len(there.asked) == 1
        # The caller's own conditions are for the bus to judge; the upstream must not.
        assert "if-none-match" not in there.last.names


def test_it_is_revalidated_once_it_is_old(cast: Cast) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.header("If-None-Match") == '"v1"':
            return Answer(b"", "", 304, [("ETag", '"v1"')])
        return Answer(b"isi", "text/plain", 200, [("ETag", '"v1"'), ("Cache-Control", "no-cache")])

    with upstream(answer) as there:
        publish(cast, there.url, cache_seconds=60)
        found = [ask(cast) for _ in range(3)]
    assert [(each.status, each.body) for each in found] == [(200, b"isi")] * 3
    assert [asked.header("If-None-Match") for asked in there.asked] == ["", '"v1"', '"v1"']


def test_it_is_revalidated_by_its_date_where_it_has_no_tag(cast: Cast) -> None:
    day = "Sat, 21 Nov 2026 00:00:00 GMT"

    def answer(asked: Asked) -> Answer:
        if asked.header("If-Modified-Since") == day:
            return Answer(b"", "", 304)
        return Answer(b"isi", "text/plain", 200, [("Last-Modified", day), ("Cache-Control", "max-age=0")])

    with upstream(answer) as there:
        publish(cast, there.url, cache_seconds=60)
        assert [ask(cast).body for _ in range(2)] == [b"isi", b"isi"]
    assert there.last.header("If-Modified-Since") == day
    assert "if-none-match" not in there.last.names  # the tag is the bus's own


def test_the_upstream_may_say_shorter_but_not_longer(cast: Cast) -> None:
    with upstream(counting(headers=[("Cache-Control", "max-age=1")])) as there:
        publish(cast, there.url, cache_seconds=60)
        ask(cast)
        assert ask(cast).body == b'{"n":1}'
        time.sleep(1.1)
        assert ask(cast).body == b'{"n":2}'
    with upstream(counting(headers=[("Cache-Control", "max-age=9999")])) as there:
        publish(cast, there.url, cache_seconds=1, code="lain")
        call("/rest/prov/data/lain", accesskey=cast.key)
        time.sleep(1.1)
        assert call("/rest/prov/data/lain", accesskey=cast.key).body == b'{"n":2}'


@pytest.mark.parametrize(
    "more",
    [
        {"headers": [("Set-Cookie", "a=1")]}, {"headers": [("Cache-Control", "no-store")]},
        {"headers": [("Vary", "*")]}, {"headers": [("Vary", "Accept, X-Forwarded-For")]}, {"status": 404},
        {"status": 206},
    ],
)  # fmt: skip
def test_what_is_never_kept(cast: Cast, more: dict[str, Any]) -> None:
    with upstream(counting(**more)) as there:
        publish(cast, there.url, cache_seconds=60)
        assert [ask(cast).body for _ in range(2)] == [b'{"n":1}', b'{"n":2}']


@pytest.mark.parametrize("header", ["range", "if_match", "if_unmodified_since"])
def test_a_question_for_a_part_is_never_answered_from_here(cast: Cast, header: str) -> None:
    with upstream(counting()) as there:
        publish(cast, there.url, cache_seconds=60)
        ask(cast)
        assert ask(cast, **{header: "bytes=0-1"}).body == b'{"n":2}'
        assert header.replace("_", "-") in there.last.names


def other_key(cast: Cast) -> str:
    application = Application.objects.create(agency=cast.stranger, code="lain", title="Lain")
    _row, plain = AccessKey.issue(application)
    for grant in Grant.objects.filter(application=cast.application):
        Grant.objects.create(application=application, operation=grant.operation, purpose="uji")
    holder.refresh()
    return plain


def test_a_private_answer_is_kept_for_its_caller_alone(cast: Cast) -> None:
    with upstream(counting(headers=[("Cache-Control", "private")])) as there:
        publish(cast, there.url, cache_seconds=60)
        other = other_key(cast)
        found = [ask(cast), ask(cast, accesskey=other), ask(cast), ask(cast, accesskey=other)]
    assert [each.body for each in found] == [b'{"n":1}', b'{"n":2}', b'{"n":1}', b'{"n":2}']


def test_a_private_answer_to_nobody_in_particular_is_not_kept(cast: Cast) -> None:
    with upstream(counting(headers=[("Cache-Control", "private")])) as there:
        publish(cast, there.url, cache_seconds=60, access="open")
        assert [ask(cast, accesskey="").body for _ in range(2)] == [b'{"n":1}', b'{"n":2}']


def test_callers_whose_credentials_go_on_share_nothing(cast: Cast) -> None:
    with upstream(counting()) as there:
        publish(cast, there.url, cache_seconds=60, pass_credentials=True)
        assert ask(cast, cookie="a=1").body == b'{"n":1}'
        assert ask(cast, cookie="a=2").body == b'{"n":2}'
        assert ask(cast, accesskey=other_key(cast), cookie="a=1").body == b'{"n":3}'
        assert ask(cast, cookie="a=1").body == b'{"n":1}'


def test_head_is_answered_by_what_get_brought(cast: Cast) -> None:
    with upstream(counting()) as there:
        publish(cast, there.url, cache_seconds=60)
        assert ask(cast, method="HEAD").status == 200
        assert there.last.method == "HEAD"
        ask(cast)
        reply = ask(cast, method="HEAD")
    assert (len(there.asked), reply.body, reply.headers["content-length"]) == (2, b"", "7")


def test_one_answer_in_every_format(cast: Cast) -> None:
    with upstream(Answer(b'[{"a":"1"}]', "text/plain")) as there:
        publish(cast, there.url, style="rest", cache_seconds=60)
        for _ in range(2):
            assert cast.get("alias.json").body == b'[{"a":"1"}]'
            assert cast.get("alias.csv").body == b"a\r\n1\r\n"
        first = cast.get("alias.json")
        assert cast.get("alias.json", if_none_match=first.headers["etag"]).status == 304
    assert len(there.asked) <= 2  # one for each Accept that goes to the upstream


def test_large_answers_stream_and_are_kept_up_to_a_size(cast: Cast) -> None:
    found = Answer(b"x" * 500_000, "text/plain")
    with upstream(found) as there:
        publish(cast, there.url, cache_seconds=60)
        assert [len(ask(cast).body) for _ in range(2)] == [500_000, 500_000]
        assert len(there.asked) == 1
        found.body = b"y" * (cache.MOST + 1)
        assert [len(ask(cast, "/y").body) for _ in range(2)] == [cache.MOST + 1] * 2
        assert len(there.asked) == 3


def test_all_that_is_kept_is_bounded() -> None:
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
@pytest.mark.parametrize("style", ["as-is", "rest"])
def test_the_last_good_answer_stands_in(cast: Cast, style: str, way: str) -> None:
    found = Answer(b'{"n":1}', headers=[("Cache-Control", "max-age=0")])
    with upstream(found) as there:
        publish(cast, there.url, style=style, cache_seconds=60, stale_seconds=60, retries=0)
        path = "/rest/prov/data/alias.json"
        assert call(path, accesskey=cast.key).body == b'{"n":1}'
        time.sleep(1.05)
        found.status = 503
        if way == "status":
            reply = call(path, accesskey=cast.key)
    if way == "gone":
        reply = call(path, accesskey=cast.key)
    assert (reply.status, reply.body) == (200, b'{"n":1}')
    assert int(reply.headers["age"]) >= 1
    assert reply.headers["warning"] == '110 - "Response is Stale", 111 - "Revalidation Failed"'


def test_it_stands_in_for_so_long_and_no_longer(cast: Cast) -> None:
    with upstream(Answer(b"1", headers=[("ETag", '"v"')])) as there:
        publish(cast, there.url, stale_seconds=1, retries=0)
        assert ask(cast).status == 200
    assert ask(cast).status == 200
    time.sleep(2.05)
    assert ask(cast).json()["code"] == faults.UPSTREAM_DOWN.code


def test_the_upstream_may_forbid_it(cast: Cast) -> None:
    with upstream(Answer(b"1", headers=[("Cache-Control", "max-age=0, must-revalidate")])) as there:
        publish(cast, there.url, stale_seconds=60, cache_seconds=60, retries=0)
        assert ask(cast).status == 200
    assert ask(cast).json()["code"] == faults.UPSTREAM_DOWN.code


def test_nothing_stands_in_for_a_write(cast: Cast) -> None:
    with upstream(Answer(b"1")) as there:
        publish(cast, there.url, stale_seconds=60, cache_seconds=60, retries=0)
        assert ask(cast).status == 200
    assert ask(cast, method="POST").json()["code"] == faults.UPSTREAM_DOWN.code
