"""SECURITY-FINDINGS 10: responses of upstreams do not fill a worker process's memory."""

from __future__ import annotations

import gc
import gzip
import threading
import tracemalloc

import pytest
from django.core.exceptions import ValidationError

from proxyservices.decoders import memory
from proxyservices.decoders.limits import MAX_BYTES, DecodeError
from proxyservices.decoders.memory import MIN_COUNTED_BYTES, Budget, estimate
from proxyservices.models import ProxyOperation
from registry import faults
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

BIG = b'{"data":"%s"}' % (b"x" * 2_000_000)


@pytest.mark.parametrize("bytes_", [0, 1_000_000_001, 2_000_000_000])
def test_s10_the_size_limit_has_bounds(bytes_: int) -> None:
    with pytest.raises(ValidationError) as error:
        ProxyOperation(max_body_bytes=bytes_).clean_fields(exclude=["service", "code"])
    assert list(error.value.message_dict) == ["max_body_bytes"]


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_s10_nothing_is_read_or_inflated_that_is_too_large_to_decode(cast: Cast, encoding: str) -> None:
    body = b'{"a":"%s"}' % (b"x" * (MAX_BYTES + 1))
    headers = [("Content-Encoding", encoding)] if encoding else []
    with serve_upstream(Answer(gzip.compress(body, 1) if encoding else body, headers=headers)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", max_body_bytes=700_000_000)
        tracemalloc.start()
        reply = cast.get("alias.xml")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    code = faults.UPSTREAM_ANSWER_UNREADABLE.code if encoding else faults.UPSTREAM_TOO_LARGE.code
    assert reply.status == 502
    assert f"<code>{code}</code>" in reply.text
    assert peak < 3 * MAX_BYTES


def test_s10_five_megabytes_of_small_objects_are_refused(cast: Cast) -> None:
    body = b"[" + b",".join([b'{"a":1}'] * 700_000) + b"]"
    assert estimate(body) > memory.MAX_TOTAL_BYTES
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert f"<code>{faults.UPSTREAM_ANSWER_UNREADABLE.code}</code>" in cast.get("alias.xml").text


@pytest.mark.parametrize("format", ["xml", "csv"])
def test_s10_memory_is_given_back_with_the_result(cast: Cast, format: str) -> None:
    body = b"[" + b",".join([b'{"nip":"198000000000099903","nama":"Pegawai"}'] * 20_000) + b"]"
    assert estimate(body) > MIN_COUNTED_BYTES
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get(f"alias.{format}").status == 200
    assert memory.budget.used == 0


@pytest.mark.parametrize("body", [b'{"a":}' + b" " * 2_000_000, BIG], ids=["unreadable", "no table"])
def test_s10_memory_is_given_back_after_a_failure(cast: Cast, body: bytes) -> None:
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.csv").status in (406, 502)
    gc.collect()
    assert memory.budget.used == 0


def test_s10_documents_share_a_budget(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(total=estimate(BIG) + 1)
    monkeypatch.setattr("proxyservices.styles.base.budget", budget)
    monkeypatch.setattr(memory, "MAX_WAIT_SECONDS", 0.0)
    with serve_upstream(Answer(BIG)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", retries=0)
        other = budget.reserve(BIG, 1)
        assert other is not None
        reply = cast.get("alias.xml")
        assert (reply.status, f"<code>{faults.UPSTREAM_BUSY.code}</code>" in reply.text) == (503, True)
        assert cast.get("alias.json").status == 200  # its own format needs no decoding
        other.release()
        assert cast.get("alias.xml").status == 200


def test_s10_a_document_waits_for_the_memory_of_others() -> None:
    budget = Budget(total=2 * estimate(BIG))
    first, second = budget.reserve(BIG, 0), budget.reserve(BIG, 0)
    assert first is not None and second is not None
    assert budget.reserve(BIG, 0) is None
    threading.Timer(0.05, first.release).start()
    third = budget.reserve(BIG, 30)
    assert third is not None
    for each in (first, second, third, third):
        each.release()
    assert budget.used == 0


def test_s10_a_forgotten_reservation_ends() -> None:
    budget = Budget()
    reservation = budget.reserve(BIG, 0)
    assert budget.used
    del reservation
    gc.collect()
    assert budget.used == 0


def test_s10_small_documents_share_nothing() -> None:
    budget = Budget()
    reservation = budget.reserve(b'{"a":1}', 0)
    assert reservation is not None
    assert budget.used == 0


def test_s10_a_document_beyond_the_budget_is_refused_at_once() -> None:
    with pytest.raises(DecodeError):
        Budget(total=1_000_000).reserve(BIG, 0)
