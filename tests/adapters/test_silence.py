"""Servers, and resolvers of their names, that fall silent in the middle of opening a connection."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import Any

import pytest

from adapters import adapter_class
from adapters.base import ConnectFailed
from tests.adapters.engines import Engine
from tests.servers.faulty import relay
from tests.servers.process import wait_until


def test_a_server_that_falls_silent_while_connecting(networked: Engine) -> None:
    """Wherever it does, in the log-in or in the session's first statements, the attempt ends by itself."""
    assert networked.server is not None
    outcomes: dict[int, str] = {}

    def attempt(replies: int, port: int) -> None:
        try:
            networked.adapter(port=port).connect(seconds=2).close()
            outcomes[replies] = "connected"
        except ConnectFailed as error:
            outcomes[replies] = error.reason

    with ExitStack() as relays:
        attempts = [
            threading.Thread(target=attempt, args=(n, relays.enter_context(relay(networked.server.port, n))))
            for n in range(12)
        ]
        for thread in attempts:
            thread.start()
        for thread in attempts:
            thread.join(30)
        found = [outcomes.get(n, "waits without end") for n in range(12)]
    silent = found.index("connected")
    assert set(found[:silent]) == {"unreachable"}
    assert set(found[silent:]) == {"connected"}


@pytest.mark.parametrize("engine", ["postgresql", "mysql", "sqlserver", "sybase", "oracle"])
def test_a_resolver_that_hangs_does_not_hold_the_thread_that_connects(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    resolve = socket.getaddrinfo

    def silent(host: Any, *args: Any, **options: Any) -> Any:
        if host == "lambat.contoh.go.id" and not options.get("flags"):
            answered.wait(60)
            raise socket.gaierror
        return resolve(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    values = {"host": "lambat.contoh.go.id", "user": "x", "password": "x", "database": "x"}
    reasons: list[str] = []

    def attempt() -> None:
        try:
            adapter_class(engine)(values).connect(seconds=0.3)
        except ConnectFailed as error:
            reasons.append(error.reason)

    # The second attempt shares the lookup of the first.
    attempts = [threading.Thread(target=attempt) for _ in range(2)]
    try:
        for thread in attempts:
            thread.start()
        for thread in attempts:
            thread.join(20)
        assert reasons == ["host-unknown"] * 2
        assert sum(thread.name == "source-lookup" for thread in threading.enumerate()) == 1
    finally:
        answered.set()
        wait_until(lambda: all(thread.name != "source-lookup" for thread in threading.enumerate()), 20, "its end")
