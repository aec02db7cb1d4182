"""Servers that fall silent in the middle of opening a connection."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from adapters.base import ConnectFailed
from tests.adapters.engines import Engine
from tests.servers.faulty import relay


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
