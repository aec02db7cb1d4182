"""The running bus that clients call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.postgresql import PostgreSQLServer
from tests.soap.running import Running, bus


@pytest.fixture(scope="module")
def running(postgresql: PostgreSQLServer) -> Iterator[Running]:
    with bus(postgresql) as made:
        yield made
