"""A real MariaDB, started by the tests: user and password mantra, database mantra."""

from __future__ import annotations

import subprocess
from typing import Any

import MySQLdb

from tests.servers.process import Server, as_nobody, find_binary


class MariaDBServer(Server):
    name = "mariadb"
    user = password = database = "mantra"

    def __init__(self) -> None:
        super().__init__()
        install = [
            find_binary("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--tmpdir={self.folder}",  # two servers made at the same time must not share their temporary tables
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]
        done = subprocess.run(as_nobody(install), capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        self.start()
        self._make_account()

    def command(self) -> list[str]:
        return [
            find_binary("mariadbd"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--tmpdir={self.folder}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.folder}/s.sock",
            f"--pid-file={self.folder}/pid",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
            f"--log-error={self.folder}/err.log",
        ]

    def ready(self) -> bool:
        try:
            self.superuser().close()
        except MySQLdb.OperationalError:
            return False
        return True

    def superuser(self) -> Any:
        return MySQLdb.connect(unix_socket=f"{self.folder}/s.sock", user="root", autocommit=True)

    def _make_account(self) -> None:
        connection = self.superuser()
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE mantra CHARACTER SET utf8mb4")
        cursor.execute("CREATE USER mantra@'127.0.0.1' IDENTIFIED BY 'mantra'")
        cursor.execute("GRANT ALL ON mantra.* TO mantra@'127.0.0.1'")
        connection.close()

    def source(self, **changes: Any) -> dict[str, Any]:
        """The settings of a data source for this server."""
        base = {"engine": "mysql", "host": "127.0.0.1", "port": self.port, "database": self.database}
        return {**base, "user": self.user, "password": self.password, **changes}
