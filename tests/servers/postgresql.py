"""A real PostgreSQL, started by the tests: user and password mantra, database mantra."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

from tests.servers.process import Server, as_nobody, find_binary

FOLDERS = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]


class PostgreSQLServer(Server):
    name = "postgresql"
    # SIGINT is its fast shutdown; SIGTERM would wait for the clients to leave.
    farewell = signal.SIGINT
    user = password = database = "mantra"

    def __init__(self) -> None:
        super().__init__()
        data = str(self.folder / "data")
        initdb = [find_binary("initdb", *FOLDERS), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            as_nobody([*initdb, "--locale=C.UTF-8", "--no-sync"]), check=True, capture_output=True, cwd=self.folder
        )
        self.start()
        self._make_account()

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        program = [find_binary("postgres", *FOLDERS), "-D", str(self.folder / "data"), "-p", str(self.port)]
        return program + [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

    def ready(self) -> bool:
        try:
            self.superuser().close()
        except psycopg2.OperationalError:
            return False
        return True

    def superuser(self, database: str = "postgres") -> psycopg2.extensions.connection:
        connection = psycopg2.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database)
        connection.autocommit = True
        return connection

    def _make_account(self) -> None:
        """Passwords are asked for over TCP from here on; the socket in our folder stays open to us."""
        connection = self.superuser()
        cursor = connection.cursor()
        cursor.execute("CREATE ROLE mantra LOGIN PASSWORD 'mantra'")
        cursor.execute("CREATE DATABASE mantra OWNER mantra")
        rules = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.folder / "data" / "pg_hba.conf").write_text(rules)
        cursor.execute("SELECT pg_reload_conf()")
        connection.close()

    def source(self, **changes: Any) -> dict[str, Any]:
        """The settings of a data source for this server."""
        base = {"engine": "postgresql", "host": "127.0.0.1", "port": self.port, "database": self.database}
        return {**base, "user": self.user, "password": self.password, **changes}

    def dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} dbname={self.database} user={self.user} password={self.password}"
