"""Encrypted connections to sources, and those that must not come about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters import adapter_class
from adapters.base import ConnectFailed, Limits
from tests.servers.certificates import Authority
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import IS_ROOT, Server

LIMITS = Limits(10, 10)

#: The three settings that ask for more than a wish, in each engine's words.
MODES = {
    "postgresql": ("sslmode", "sslrootcert", "require", "verify-ca", "verify-full"),
    "mysql": ("ssl_mode", "ssl_ca", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"),
}


def hand_over(server: Server, *files: Path) -> list[str]:
    """Copies of the files for the server's account."""
    copies = []
    for file in files:
        copy = Path(shutil.copy(file, server.folder))
        copy.chmod(0o600)
        if IS_ROOT:
            shutil.chown(copy, "nobody")
        copies.append(str(copy))
    return copies


class Encrypted:
    """A server that offers TLS with a certificate for one address, and the authority that signed it."""

    def __init__(self, server: Any, folder: Path, address: str) -> None:
        self.server = server
        self.authority = Authority(folder)
        certificate, key = hand_over(server, *self.authority.certificate(address))
        server.options = {
            "postgresql": ["-c", "ssl=on", "-c", f"ssl_cert_file={certificate}", "-c", f"ssl_key_file={key}"],
            "mariadb": [f"--ssl-cert={certificate}", f"--ssl-key={key}"],
        }[server.name]
        server.stop()
        server.start()

    def connect(self, level: int, authority: Path | None = None) -> bool:
        """Connect, asking for the level (0 required, 1 its authority, 2 its name); whether it is encrypted."""
        source = self.server.source()
        mode, file, *levels = MODES[source["engine"]]
        adapter = adapter_class(source["engine"])({**source, mode: levels[level], file: str(authority or "")})
        connection = adapter.connect()
        sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        if source["engine"] == "mysql":
            sql = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
        rows = [row for batch in adapter.run(connection, sql, {}, LIMITS) for row in batch]
        connection.close()
        return bool(rows[0][-1])


@pytest.fixture(scope="module", params=[PostgreSQLServer, MariaDBServer], ids=["postgresql", "mariadb"])
def offering(request: pytest.FixtureRequest) -> Iterator[Any]:
    with request.param() as server:
        yield server


def test_it_works(offering: Any, tmp_path: Path) -> None:
    encrypted = Encrypted(offering, tmp_path, "127.0.0.1")
    assert encrypted.connect(0)
    assert encrypted.connect(1, encrypted.authority.file)
    assert encrypted.connect(2, encrypted.authority.file)


def test_a_stranger_in_the_middle_is_refused(offering: Any, tmp_path: Path) -> None:
    encrypted = Encrypted(offering, tmp_path, "127.0.0.1")
    stranger = Authority(tmp_path, "stranger")
    for level in (1, 2):
        with pytest.raises(ConnectFailed) as error:
            encrypted.connect(level, stranger.file)
        assert error.value.reason == "tls"


def test_a_certificate_for_another_address_is_refused(offering: Any, tmp_path: Path) -> None:
    encrypted = Encrypted(offering, tmp_path, "192.0.2.1")
    if offering.name == "postgresql":  # MariaDB's client library looks at the name in any case
        assert encrypted.connect(1, encrypted.authority.file)
    with pytest.raises(ConnectFailed) as error:
        encrypted.connect(2, encrypted.authority.file)
    assert error.value.reason == "tls"
