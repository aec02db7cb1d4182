"""Servers, and resolvers of their names, that fall silent in the middle of opening a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import pytest

from adapters import adapter_class
from adapters.base import Adapter, ConnectFailed
from adapters.sqlserver import SQLServer
from adapters.sybase import Sybase
from tests.adapters.engines import Engine
from tests.servers.faulty import relay
from tests.servers.process import wait_until
from tests.servers.tds import TDSServer


def outcomes(adapter: Callable[[int], Adapter], port: int, replies: Iterable[int]) -> list[str]:
    """What becomes of attempts to connect, at once, to a server that falls silent after so many replies in each."""
    found: dict[int, str] = {}

    def attempt(place: int, relayed: int) -> None:
        try:
            adapter(relayed).connect(seconds=2).close()
            found[place] = "connected"
        except ConnectFailed as error:
            found[place] = error.reason

    with ExitStack() as relays:
        ports = [relays.enter_context(relay(port, number)) for number in replies]
        # Daemons: an attempt without end must not hold the tests' process.
        attempts = [threading.Thread(target=attempt, args=each, daemon=True) for each in enumerate(ports)]
        for thread in attempts:
            thread.start()
        for thread in attempts:
            thread.join(30)
        return [found.get(place, "waits without end") for place in range(len(ports))]


def test_a_server_that_falls_silent_while_connecting(networked: Engine) -> None:
    """Wherever it does, in the log-in or in the session's first statements, the attempt ends by itself."""
    assert networked.server is not None
    found = outcomes(lambda port: networked.adapter(port=port), networked.server.port, range(12))
    silent = found.index("connected")
    assert set(found[:silent]) == {"unreachable"}
    assert set(found[silent:]) == {"connected"}


@pytest.mark.parametrize(("kind", "engine"), [("sqlserver", SQLServer), ("sybase", Sybase)])
def test_a_tds_server_that_falls_silent_while_connecting(kind: str, engine: type[Any]) -> None:
    """FreeTDS's own timeout in a log-in made half of the attempts wait without end; several show it in one run."""
    with TDSServer(kind) as server:
        found = outcomes(lambda port: engine({**server.source(), "port": port}), server.port, (*[0] * 6, *range(12)))
    silent = found.index("connected")
    assert set(found[:silent]) <= {"unreachable", "timeout"}
    assert set(found[silent:]) == {"connected"}


@pytest.mark.parametrize("engine", [SQLServer, Sybase])
def test_an_address_that_accepts_no_connection_is_given_up(engine: type[Any]) -> None:
    """Its queue is full, so that the kernel answers nothing: the driver's socket has no peer yet."""
    with ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        found: list[str] = []

        def attempt() -> None:
            with pytest.raises(ConnectFailed) as error:
                engine(
                    {"host": "127.0.0.1", "port": address[1], "user": "x", "password": "x", "database": "x"}
                ).connect(seconds=2)
            found.append(error.value.reason)

        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        thread.join(30)
    assert found == ["unreachable"]


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
