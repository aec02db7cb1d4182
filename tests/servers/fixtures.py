"""The servers as fixtures, one of each for a test process, started on first use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import faulty
from tests.servers.mariadb import MariaDBServer
from tests.servers.mysql56 import MySQL56Server, NotToBeHad
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.redis import RedisServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    with PostgreSQLServer() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    with MariaDBServer() as server:
        yield server


@pytest.fixture(scope="session")
def mysql56() -> Iterator[MySQL56Server]:
    """A genuine MySQL, where it can be had."""
    try:
        server = MySQL56Server()
    except NotToBeHad as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def silent_port() -> Iterator[int]:
    with faulty.silent_server() as port:
        yield port


@pytest.fixture
def refusing_port() -> Iterator[int]:
    with faulty.refusing_port() as port:
        yield port


@pytest.fixture
def full_port() -> Iterator[int]:
    with faulty.full_port() as port:
        yield port
