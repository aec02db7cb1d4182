"""Secrets are changed on a running bus of several processes, with callers at work: no call fails, sessions go on."""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.cast import make_table
from tests.servers.bus import Bus
from tests.servers.process import wait_until

BUNDLE = """
agencies: [{code: prov, name: Penyedia}, {code: kons, name: Konsumen}]
sources:
  - {agency: prov, code: uji, engine: sqlite, database: uji.sqlite3}
  - {agency: prov, code: jauh, engine: postgresql, host: 127.0.0.1, port: 1, database: d, user: u,
     password: "env:SOURCE_PASSWORD"}
services:
  - agency: prov
    code: data
    title: Data uji
    operations:
      - {code: satu, kind: data, source: uji, state: published, access: restricted,
         sql: "SELECT id, nama FROM orang WHERE id = :id", parameters: [{name: id, type: integer}]}
applications:
  - agency: kons
    code: app
    title: Aplikasi
    grants: [{operation: prov/data/satu, purpose: uji}]
"""
FILES = ("MANTRA_SECRET_KEY", "MANTRA_FIELD_KEYS", "MANTRA_KEY_PEPPERS")
#: Prints the cookie of a session, as a person has who has signed in.
SESSION = """
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from registry.models import User
user = User.objects.create_user("pengurus", password="kata-sandi-panjang-1", is_staff=True)
user.groups.set([Group.objects.get(name="Supervisor")])
client = Client()
client.force_login(user)
print(settings.SESSION_COOKIE_NAME + "=" + client.cookies[settings.SESSION_COOKIE_NAME].value)
"""
#: Prints the stored password of a source.
PASSWORD = "from dataservices.models import DataSource; print(DataSource.objects.get(code='jauh').password)"
CALLERS = 16


class Drill:
    """A bus whose secrets are files, and its callers. A call that fails is in ``failed``."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self.bus, self.folder = bus, folder
        self.failed: list[object] = []
        self.done = 0
        self._ended = threading.Event()
        for name in FILES:
            self.write(name, bus.environment.pop(name))
            bus.environment[f"{name}_FILE"] = str(folder / name)
        self.write("MANTRA_SECRET_KEY_FALLBACKS", "")
        bus.environment["MANTRA_SECRET_KEY_FALLBACKS_FILE"] = str(folder / "MANTRA_SECRET_KEY_FALLBACKS")

    def write(self, name: str, value: str) -> None:
        (self.folder / name).write_text(value + "\n")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def shell(self, text: str) -> str:
        return self.bus.manage("shell", "--verbosity", "0", "-c", text).strip().splitlines()[-1]

    def _call(self) -> None:
        while not self._ended.is_set():
            try:
                reply = self.bus.request("/rest/prov/data/satu.json?id=1")
                if reply.status != 200:
                    self.failed.append((reply.status, reply.data[:200]))
            except Exception as error:
                self.failed.append(repr(error))
            self.done += 1
            self._ended.wait(0.05)

    def run(self, work: Callable[[], None]) -> None:
        """Do something while the callers call."""
        threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            work()
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(60)

    def reload(self) -> None:
        """Let new processes take the place of the old ones, and see some calls succeed after that."""
        before, done = set(self.bus.workers()), self.done
        self.bus.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (now := set(self.bus.workers())) and not now & before, 120, "new processes")
        wait_until(self.bus.ready, 60, "the bus")
        wait_until(lambda: self.done > done + 2 * CALLERS, 60, "calls after that")

    def admin(self, cookie: str) -> int:
        return int(self.bus.request("/admin/", headers={"Cookie": cookie}).status)


@pytest.mark.timeout(900)  # five times new processes
def test_all_secrets_are_changed_while_callers_call(tmp_path: Path) -> None:
    folder = tmp_path / "rahasia"
    folder.mkdir()
    more = {"SOURCE_PASSWORD": "sandi-sumber", "MANTRA_SOURCE_FILE_DIRS": str(make_table().parent.parent)}
    bus = Bus(tmp_path, BUNDLE, "kons/app", WEB_CONCURRENCY="2", **more)
    drill = Drill(bus, folder)
    cookie = drill.shell(SESSION)

    def work() -> None:
        assert drill.admin(cookie) == 200

        # What signs sessions: the old one is still taken.
        drill.write("MANTRA_SECRET_KEY_FALLBACKS", drill.read("MANTRA_SECRET_KEY"))
        drill.write("MANTRA_SECRET_KEY", secrets.token_urlsafe(48))
        drill.reload()
        assert drill.admin(cookie) == 200

        # What encrypts passwords: both, encrypt again, the new one alone.
        old, new = drill.read("MANTRA_FIELD_KEYS"), Fernet.generate_key().decode()
        drill.write("MANTRA_FIELD_KEYS", f"{new},{old}")
        drill.reload()
        assert "secrets are encrypted with the first" in bus.manage("rotate_secrets")
        drill.write("MANTRA_FIELD_KEYS", new)
        drill.reload()
        assert drill.shell(PASSWORD) == "sandi-sumber"

        # What keys are digested with: new keys have the new one, old keys go on.
        drill.write("MANTRA_KEY_PEPPERS", f"2:{secrets.token_urlsafe(32)},{drill.read('MANTRA_KEY_PEPPERS')}")
        drill.reload()
        another = bus.issue_key("kons/app")
        wait_until(
            lambda: bus.request("/rest/prov/data/satu.json?id=1", headers={"AccessKey": another}).status == 200,
            30, "the new key",
        )  # fmt: skip

    with bus:
        drill.run(work)
        assert drill.failed == []
        assert drill.done > 500
        # Without the old key nobody is signed in any more: it did hold the session.
        drill.write("MANTRA_SECRET_KEY_FALLBACKS", "")
        before = set(bus.workers())
        bus.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (now := set(bus.workers())) and not now & before, 120, "new processes")
        wait_until(lambda: drill.admin(cookie) == 302, 60, "the end of the session")
