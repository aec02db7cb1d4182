"""The running bus that clients call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.postgresql import PostgreSQLServer
from tests.soap.running import Running, bus


@pytest.fixture(scope="module")
def running(postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with bus(postgresql, tmp_path_factory.mktemp("soap") / "var") as made:
        yield made
