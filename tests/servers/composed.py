"""What docker-compose.yml runs, without containers: nginx, the bus and its worker, with the fast lane between them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.proxy.bus import bus
from tests.servers.bus import ROOT, Bus
from tests.servers.nginx import Nginx
from tests.servers.process import ending_with_us, permit, wait_until

SECRET = "rahasia-antara-nginx-dan-bus"
ALIAS = "/rest/prov/data"
#: The line that nginx writes of a call on the fast lane (mantra/gateway/fast_lane).
_LINE = re.compile(
    r"([0-9a-f]{16}) ([0-9a-f]{32}) [0-9.]+ (?:GET|HEAD) [0-9a-f.:]+ ([0-9]{3}) [0-9]+ [0-9.]+ "
    r"(?:[0-9]+|end|-|large|stopped) (?:OK)?\n"
)

#: (status, headers by their names in lower case, body).
Answered = tuple[int, dict[str, str], bytes]


def holds(folder: Path, text: str) -> bool:
    """Whether a text is in one of a folder's files."""
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            if text.encode() in path.read_bytes():
                return True
    return False


class Console:
    """The bus's own Python, kept running: each start of Django takes a second of CPU."""

    _LOOP = """
import json, sys, time, django
django.setup()
for line in sys.stdin:
    found = {}
    exec(json.loads(line), found)
    print(json.dumps(found.get("result")), flush=True)
"""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ending_with_us([sys.executable, "-c", self._LOOP]),
            cwd=ROOT,
            env={**environment, "DJANGO_SETTINGS_MODULE": "mantra.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> Any:
        """What the code leaves in ``result``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Composed:
    """The servers in a row. Use it by ``with``."""

    marker = "system"

    def __init__(
        self,
        folder: Path,
        operations: list[dict[str, Any]],
        workers: str = "1",
        read_timeout: str = "10s",
        **environment: str,
    ) -> None:
        self.folder = folder
        self.read_timeout = read_timeout
        self.lane = folder / "lane"
        self.lane.mkdir()
        self.workers = workers
        settings = {
            "MANTRA_TRUSTED_PROXIES": "1",
            "MANTRA_NGINX_SECRET": SECRET,
            "MANTRA_FAST_LANE_DIR": str(self.lane),
            # Half of them may wait for one upstream: as many as a Crowd has callers.
            "WEB_THREADS": "40",
        }
        self.bus: Bus = bus(folder / "bus", operations, **settings | environment)
        self.worker: subprocess.Popen[bytes] | None = None
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        self._console = self._console or Console(self.bus.environment)
        return self._console

    def start_worker(self) -> None:
        """Start what takes the journal into the history, again after it was killed."""
        permit("the worker")
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                ending_with_us([sys.executable, "manage.py", "ship_journal", "--follow"]),
                cwd=ROOT,
                env=self.bus.environment,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        self.start_worker()
        self.bus.start()
        # nginx takes the groups over when it starts, and later ones when its script sees them.
        wait_until(lambda: (self.lane / "upstreams.conf").exists(), 30, "the groups of upstreams")
        place = self.folder / "nginx"
        place.mkdir()
        self.nginx = Nginx(
            place, self.bus, secret=SECRET, lane=self.lane, workers=self.workers, read_timeout=self.read_timeout
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.nginx.close()
        self.bus.stop()
        if self._console is not None:
            self._console.close()
        if self.worker is not None:
            self.worker.terminate()
            self.worker.wait(20)

    def kill(self, *pids: int) -> None:
        """End processes as a failing machine does."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def request(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answered:
        """Ask nginx, with the application's key."""
        connection = http.client.HTTPConnection("127.0.0.1", self.nginx.port, timeout=30)
        connection.request(method, ALIAS + path, body, {"AccessKey": self.bus.key} | (headers or {}))
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def nginx_groups(self) -> str:
        """The version of the groups of upstreams that the bus has rendered."""
        return str(json.loads((self.lane / "upstreams.json").read_bytes())["version"])

    def calls(self) -> Counter[str]:
        """How often nginx has written each request id, of those on the fast lane."""
        found: Counter[str] = Counter()
        for path in (self.lane / "log").glob("*"):
            with suppress(FileNotFoundError):
                found.update(match[2] for match in map(_LINE.fullmatch, path.read_text().splitlines(True)) if match)
        return found

    def was_on_lane(self, id: str) -> bool:
        """Whether nginx fetched the answer itself. Waits until either of them has written it down."""
        ways: list[bool] = []

        def written() -> bool:
            ways[:] = [True] if holds(self.lane / "log", id) else [False] if holds(self.bus.var / "journal", id) else []
            return bool(ways)

        wait_until(written, 10, f"the record of {id}")
        return ways[0]

    def fast(self, path: str, warm: str = "", method: str = "GET", headers: dict[str, str] | None = None) -> Answered:
        """Ask until nginx has fetched an answer itself; ``warm``: another address below the same operation, before."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if warm:
                self.fast(warm, method=method, headers=headers)
            found = self.request(path, method, None, headers)
            if self.was_on_lane(found[1]["x-request-id"]):
                return found
        raise AssertionError(f"{path} never went over the fast lane")

    def record(self, id: str) -> dict[str, Any]:
        """The record of a call in the history, once the worker has its end."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = self.records(id)
            return any(record["outcome"] for record in found)

        wait_until(there, 20, f"the history of {id}")
        (record,) = found
        return record

    def wait_for_records(self, condition: str) -> list[dict[str, Any]]:
        """Records of the history under a condition of SQL, once there are any."""
        text = f"SELECT * FROM registry_callrecord WHERE {condition}"
        wait_until(lambda: self.query(text), 20, condition)
        return self.query(text)

    def records(self, *ids: str) -> list[dict[str, Any]]:
        """Records of the history: of these calls, or of all."""
        where = f" WHERE request_id IN ({','.join('?' * len(ids))})" if ids else ""
        return self.query(f"SELECT * FROM registry_callrecord{where}", *ids)

    def query(self, text: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the bus's database."""
        link = sqlite3.connect(f"file:{self.bus.var}/mantra.sqlite3?mode=ro", uri=True, timeout=10)
        link.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in link.execute(text, values)]
        finally:
            link.close()


class Crowd:
    """Callers that ask one address again and again, each over a connection of its own, until it is told to end."""

    def __init__(self, composed: Composed, path: str, key: str = "", callers: int = 16) -> None:
        self._composed, self._path = composed, path
        self._key = key or composed.bus.key
        self._over = threading.Event()
        #: (when it was asked, in seconds since the epoch; status, 0 for a connection that broke; body).
        self.answers: list[tuple[float, int, bytes]] = []
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(callers)]

    def _call(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._composed.nginx.port, timeout=20)
            began = time.time()
            try:
                while not self._over.is_set():
                    began = time.time()
                    connection.request("GET", ALIAS + self._path, headers={"AccessKey": self._key})
                    answer = connection.getresponse()
                    self.answers.append((began, answer.status, answer.read()))
            except (OSError, http.client.HTTPException):
                self.answers.append((began, 0, b""))
                self._over.wait(0.02)
            finally:
                connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for(self, count: int, seconds: float = 30) -> None:
        """Until so many more were answered."""
        wanted = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= wanted, seconds, f"{count} answers")

    def last(self, status: int, body: bytes | None = None) -> float:
        """When the last was asked that got this; 0 without one."""
        return max((began for began, got, text in self.answers if got == status and body in (None, text)), default=0.0)
