"""Real buses: gunicorn as deployed, over SQLite, with proxy operations of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from django.conf import settings

from tests.servers.process import free_port, wait_until

_DEFINE = """
import json, sys
import django
django.setup()
from proxyservices.models import ProxyOperation, Upstream
from registry.models import AccessKey, Agency, Application, Grant, Parameter, Service
given = json.load(sys.stdin)
provider = Agency.objects.create(code="prov", name="Penyedia")
application = Application.objects.create(agency=provider, code="app", title="Aplikasi")
service = Service.objects.create(agency=provider, code="data", title="Data")
for each in given:
    parameters, upstreams = each.pop("parameters", ()), each.pop("upstreams")
    operation = ProxyOperation(service=service, state="published", **each)
    operation.full_clean()
    operation.save()
    for name in parameters:
        Parameter.objects.create(operation=operation, name=name)
    for upstream in upstreams:
        row = Upstream(operation=operation, **upstream)
        row.full_clean()
        row.save()
    Grant.objects.create(application=application, operation=operation, purpose="uji")
print(AccessKey.issue(application)[1])
"""


@dataclass
class Bus:
    base: str
    key: str
    pid: int
    var: Path
    environment: dict[str, str] = field(repr=False)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=64))

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def ask(self, path: str, method: str = "GET", **more: Any) -> urllib3.BaseHTTPResponse:
        headers = {"AccessKey": self.key, **more.pop("headers", {})}
        more = {"retries": False, "timeout": 60, "redirect": False} | more
        return self.http.request(method, self.base + path, headers=headers, **more)

    def manage(self, *words: str) -> str:
        """What a command of this bus says."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=settings.BASE_DIR, env=self.environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr

    def memory(self) -> int:
        """KiB that its processes hold for themselves."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(_held(pid) for pid in (self.pid, *map(int, children)))


def _held(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise AssertionError(pid)


@contextmanager
def bus(folder: Path, operations: list[dict[str, Any]], key: str = "", **environment: str) -> Iterator[Bus]:
    """A bus with these operations of the service prov/data, and an application that may call them."""
    folder.mkdir()
    for name in ("journal", "static", "sources"):
        (folder / name).mkdir()
    port = free_port()
    made = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mantra.settings",
        "MANTRA_VAR_DIR": str(folder),
        "MANTRA_SOURCE_FILE_DIRS": str(folder / "sources"),
        "MANTRA_DATABASE_URL": f"sqlite:///{folder / 'mantra.sqlite3'}",
        # What tells one installation from another.
        "MANTRA_SECRET_KEY": os.urandom(32).hex(),
        "MANTRA_SNAPSHOT_SECONDS": "0.3",
        "PORT": str(port),
        **environment,
    }
    _migrated(folder, made)
    done = subprocess.run(
        [sys.executable, "-c", _DEFINE], cwd=settings.BASE_DIR, env=made, input=json.dumps(operations),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "mantra.wsgi:application"]
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=made)
    found = Bus(f"http://127.0.0.1:{port}", done.stdout.strip(), process.pid, folder, made)
    try:
        wait_until(lambda: _ready(found), 30, "the bus")
        yield found
    finally:
        process.terminate()
        process.wait(timeout=60)


_database: list[Path] = []


def _migrated(folder: Path, environment: dict[str, str]) -> None:
    """A database with all tables; made once, then copied."""
    wanted = folder / "mantra.sqlite3"
    if _database and _database[0].exists():
        shutil.copy(_database[0], wanted)
        return
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=settings.BASE_DIR, env=environment, check=True
    )
    copy = folder / "empty.sqlite3"
    shutil.copy(wanted, copy)
    _database[:] = [copy]


def _ready(bus: Bus) -> bool:
    try:
        return bus.http.request("GET", bus.base + "/readyz", retries=False, timeout=5).status == 200
    except urllib3.exceptions.HTTPError:
        return False
