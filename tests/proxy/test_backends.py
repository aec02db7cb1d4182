"""A backend that several operations share: one health, one limit, one move, and no response of the address before."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxyservices.health import tracker
from proxyservices.models import Backend, BackendServer, ProxyOperation
from registry import faults
from registry.models import Grant
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream

pytestmark = pytest.mark.django_db


def share(cast: Cast, operation: ProxyOperation, code: str, **more: object) -> None:
    """A further operation of the same backend."""
    made = ProxyOperation(
        service=cast.service, code=code, state="published", style=operation.style, backend=operation.backend, **more
    )
    made.full_clean()
    made.save()
    Grant.objects.create(application=cast.application, operation=made, purpose="uji")
    holder.refresh()


def ask(cast: Cast, code: str) -> Reply:
    return call(f"/rest/prov/data/{code}", accesskey=cast.key)


def test_the_failures_of_one_operation_eject_the_server_for_all(cast: Cast) -> None:
    with serve_upstream(Answer(b"{}", status=500)) as first, serve_upstream(Answer(b'{"a":1}')) as second:
        operation = publish_proxy(cast, first.url, second.url, retries=0)
        share(cast, operation, "lain")
        for _time in range(tracker.THRESHOLD):
            assert ask(cast, "alias").status == 500
        assert ask(cast, "lain").json() == {"a": 1}
        assert len(first.received) == tracker.THRESHOLD


def test_all_operations_together_keep_the_limit_of_the_backend(cast: Cast) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def answer(_received: Received) -> Answer:
        entered.release()
        leave.wait(10)
        return Answer(b"{}")

    with serve_upstream(answer) as upstream:
        operation = publish_proxy(cast, upstream.url)
        share(cast, operation, "lain")
        Backend.objects.update(max_concurrent_calls=2)
        holder.refresh()
        with ThreadPoolExecutor(2) as threads:
            held = [threads.submit(ask, cast, code) for code in ("alias", "lain")]
            assert entered.acquire(timeout=10)
            assert entered.acquire(timeout=10)
            refused = [ask(cast, code) for code in ("alias", "lain")]
            leave.set()
            assert [each.result().status for each in held] == [200, 200]
        assert [each.json()["code"] for each in refused] == [faults.UPSTREAM_BUSY.code] * 2
        assert ask(cast, "lain").status == 200


def test_after_a_move_no_stored_response_of_the_address_before_is_served(cast: Cast) -> None:
    with serve_upstream(Answer(b'{"a":"lama"}')) as old, serve_upstream(Answer(b'{"a":"baru"}')) as new:
        publish_proxy(cast, old.url, cache_seconds=600)
        assert [ask(cast, "alias").json()["a"] for _time in range(2)] == ["lama", "lama"]
        assert len(old.received) == 1
        BackendServer.objects.update(url=new.url)
        holder.refresh()
        assert ask(cast, "alias").json() == {"a": "baru"}


def test_a_server_with_settings_of_its_own_gets_its_own_credential(cast: Cast) -> None:
    with serve_upstream(Answer(b"", status=503)) as first, serve_upstream(Answer(b"{}")) as second:
        operation = publish_proxy(
            cast, first.url, second.url, upstream={"credential_kind": "bearer", "credential": "satu"}
        )
        assert operation.backend is not None
        server = operation.backend.servers.get(url=second.url)
        server.own_settings, server.credential_kind, server.credential = True, "bearer", "dua"
        server.save()
        holder.refresh()
        assert ask(cast, "alias").status == 200
        tokens = [each.last.header("Authorization") for each in (first, second)]
        assert tokens == ["Bearer satu", "Bearer dua"]
