"""The bus as a process of its own: gunicorn as deployed, over a database of its own.

with Bus(folder, BUNDLE, application="kons/app") as bus:
    assert bus.request("/rest/prov/data/satu.json?id=7").status == 200
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import urllib3

from tests.servers import database, surroundings
from tests.servers.process import ending_with_us, free_port, permit, wait_until

ROOT = surroundings.ROOT
GUNICORN = (sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py")
APPLICATION = "mantra.wsgi:application"


#: Both commands in one process: each would take more than a second to start.
_APPLY_AND_ISSUE = """
import sys, django
django.setup()
from django.core.management import call_command
call_command("apply_definitions", "-", "--reason", "uji", stdout=sys.stderr)
call_command("issue_key", sys.argv[1])
"""


def _yaml(bundle: Any) -> str:
    # JSON is YAML.
    return bundle if isinstance(bundle, str) else json.dumps(bundle)


def children(pid: int) -> list[int]:
    """The process ids of a process's children; none of a process that has ended."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def command_line(pid: int) -> list[str]:
    """The words that a process was started with; none of a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def private_memory(pid: int) -> int:
    """KiB that a process holds for itself."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise AssertionError(pid)


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Every line of the journal in a folder: its facts and its content."""
    found = b"".join(path.read_bytes() for path in sorted(folder.glob("*.journal"))).splitlines()
    fields = [line.split(b"\t") for line in found]
    return [json.loads(facts) | json.loads(content or b"{}") for facts, content, *_ in fields]


class Served:
    """A bus that answers on a port of this machine, whoever started it."""

    #: What a test that starts one is marked with.
    marker = "system"
    var: Path
    port: int
    process: subprocess.Popen[bytes]
    #: The access key that requests carry; none when it is "".
    key: str = ""

    def __init__(self) -> None:
        self.http = urllib3.PoolManager(maxsize=64)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def request(self, path: str, method: str = "GET", **more: Any) -> urllib3.BaseHTTPResponse:
        """One request. ``more`` goes to urllib3; headers come on top of the key."""
        headers = ({"AccessKey": self.key} if self.key else {}) | more.pop("headers", {})
        more = {"retries": False, "timeout": 60, "redirect": False} | more
        return self.http.request(method, self.base + path, headers=headers, **more)

    def status(self, path: str) -> int:
        """The status of an answer on a fresh connection, so that workers take turns; 0 where none came."""
        try:
            return int(self.request(path, timeout=15, headers={"Connection": "close"}).status)
        except urllib3.exceptions.HTTPError:
            return 0

    def ready(self) -> bool:
        return self.status("/readyz") == 200

    def journal(self) -> list[dict[str, Any]]:
        """Every line of its journal."""
        return read_journal(self.var / "journal")

    def ends(self) -> dict[str, dict[str, Any]]:
        """The journal's last word on each call, by request id."""
        return {line["id"]: line for line in self.journal() if line["t"] == "end"}

    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers: those children that are no command of ours."""
        found = {pid: command_line(pid) for pid in children(self.pid)}
        return [pid for pid, words in found.items() if APPLICATION in words]

    def memory(self) -> int:
        """KiB that its processes hold for themselves."""
        return sum(private_memory(pid) for pid in (self.pid, *children(self.pid)))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, politely first; its exit status. An answer that is under way may take its time."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Bus(Served):
    """Made in ``var``, which becomes its folder; started by ``start`` or as a context.

    ``bundle`` is applied before, as text or as data; ``application`` (agency/code) gets a key. ``environment`` comes on
    top of an installation's own; a MANTRA_DATABASE_URL is that of an empty database, which gets all tables.
    """

    def __init__(self, var: Path, bundle: Any = None, application: str = "", **environment: str) -> None:
        super().__init__()
        self.var = var
        self.port = free_port()
        self.log_file = var / "log"
        settings = {"MANTRA_SNAPSHOT_SECONDS": "0.3", "HOST": "127.0.0.1", "PORT": str(self.port)}
        self.environment = surroundings.environment(var, **settings | environment)
        if "MANTRA_DATABASE_URL" in environment:
            database.fill(environment["MANTRA_DATABASE_URL"])
        else:
            shutil.copy(database.migrated(), var / "mantra.sqlite3")
        if bundle is not None and application:
            self.key = self._run("-c", _APPLY_AND_ISSUE, application, given=_yaml(bundle)).strip()
        elif bundle is not None:
            self.apply(bundle)
        elif application:
            self.key = self.issue_key(application)

    def manage(self, *words: str, given: str | None = None, check: bool = True) -> str:
        """What a command of this bus says; it must succeed unless ``check`` is off."""
        return self._run("manage.py", *words, given=given, check=check)

    def _run(self, *words: str, given: str | None = None, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT, env=self.environment, input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout if check else done.stdout + done.stderr

    def apply(self, bundle: Any) -> None:
        self.manage("apply_definitions", "-", "--reason", "uji", given=_yaml(bundle))

    def issue_key(self, application: str) -> str:
        return self.manage("issue_key", application).strip()

    def start(self, command: Sequence[str] = (*GUNICORN, APPLICATION)) -> None:
        permit("the bus")
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                ending_with_us(command),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self._ready_or_dead, 60, "the bus")
        except BaseException:
            self.stop()
            raise

    def _ready_or_dead(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the bus ended at once:\n{self.log()[-2000:]}")
        return self.ready()

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
