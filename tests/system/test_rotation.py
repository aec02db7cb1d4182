"""Secrets are changed on a running bus of several processes, with callers at work: no call fails, sessions go on."""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
from cryptography.fernet import Fernet
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.cast import make_table
from tests.servers.bus import Bus, children
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import wait_until
from tests.servers.redis import RedisServer

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
    grants: [{operation: prov/data/satu, purpose: uji, quota: 1000000/day}]
"""
FILES = ("MANTRA_SECRET_KEY", "MANTRA_SECRET_KEY_FALLBACKS", "MANTRA_FIELD_KEYS", "MANTRA_KEY_PEPPERS")
STORES = ("MANTRA_DATABASE_URL", "MANTRA_QUOTA_STORE")
CALL = "/rest/prov/data/satu.json?id=1"
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
    """A bus whose secrets are files, and its callers. A call or a page that fails is in ``failed``."""

    def __init__(self, bus: Bus, folder: Path, files: Sequence[str]) -> None:
        self.bus, self.folder = bus, folder
        self.failed: list[object] = []
        #: The request ids of the calls.
        self.calls: set[str] = set()
        self.pages = 0
        self._ended = threading.Event()
        folder.mkdir()
        for name in files:
            self.write(name, bus.environment.pop(name, ""))
            bus.environment[f"{name}_FILE"] = str(folder / name)

    def write(self, name: str, value: str) -> None:
        (self.folder / name).write_text(value + "\n")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def shell(self, text: str) -> str:
        return self.bus.manage("shell", "--verbosity", "0", "-c", text).strip().splitlines()[-1]

    def _repeat(self, path: str, **headers: str) -> None:
        while not self._ended.is_set():
            try:
                reply = self.bus.request(path, headers=headers)
                if reply.status != 200:
                    self.failed.append((path, reply.status, reply.data[:200]))
                if path == CALL:
                    self.calls.add(reply.headers["x-request-id"])
                else:
                    self.pages += 1
            except Exception as error:
                self.failed.append((path, repr(error)))
            self._ended.wait(0.05)

    def run(self, work: Callable[[], None], cookie: str = "") -> None:
        """Do something while the callers call and, with a cookie, a person reads a page."""
        threads = [threading.Thread(target=self._repeat, args=(CALL,)) for _ in range(CALLERS)]
        if cookie:
            threads.append(threading.Thread(target=self._repeat, args=("/admin/",), kwargs={"Cookie": cookie}))
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
        before, done, pages = set(self.bus.workers()), len(self.calls), self.pages
        self.bus.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (now := set(self.bus.workers())) and not now & before, 120, "new processes")
        wait_until(self.bus.ready, 60, "the bus")
        wait_until(lambda: len(self.calls) > done + 2 * CALLERS, 60, "calls after that")
        wait_until(lambda: not pages or self.pages > pages + 2, 60, "pages after that")

    def admin(self, cookie: str) -> int:
        return int(self.bus.request("/admin/", headers={"Cookie": cookie}).status)


@pytest.mark.timeout(900)  # five times new processes
def test_all_secrets_are_changed_while_callers_call(tmp_path: Path) -> None:
    more = {"SOURCE_PASSWORD": "sandi-sumber", "MANTRA_SOURCE_FILE_DIRS": str(make_table().parent.parent)}
    bus = Bus(tmp_path, BUNDLE, "kons/app", WEB_CONCURRENCY="2", **more)
    drill = Drill(bus, tmp_path / "rahasia", FILES)
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
            lambda: bus.request(CALL, headers={"AccessKey": another}).status == 200,
            30, "the new key",
        )  # fmt: skip

    with bus:
        drill.run(work)
        assert drill.failed == []
        assert len(drill.calls) > 500
        # Without the old key nobody is signed in any more: it did hold the session.
        drill.write("MANTRA_SECRET_KEY_FALLBACKS", "")
        before = set(bus.workers())
        bus.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (now := set(bus.workers())) and not now & before, 120, "new processes")
        wait_until(lambda: drill.admin(cookie) == 302, 60, "the end of the session")


def _role(registry: PostgreSQLServer, user: str, password: str) -> str:
    """Return the role that a user works as in the database, "" where the password is refused."""
    try:
        connection = psycopg2.connect(
            host="127.0.0.1", port=registry.port, dbname="mantra", user=user, password=password
        )
    except psycopg2.OperationalError:
        return ""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])


@pytest.mark.timeout(300)
def test_the_passwords_of_the_stores_are_changed_while_callers_call(tmp_path: Path) -> None:
    """As docs/operations.md has it: two roles of the database, two passwords of Redis."""
    with PostgreSQLServer() as registry, RedisServer() as store:
        old, new = secrets.token_hex(16), secrets.token_hex(16)
        database = registry.superuser("mantra").cursor()
        # It stays signed in whatever happens to the password. A refused one is not tried again.
        quotas: Any = redis.Redis(port=store.port, retry=Retry(NoBackoff(), 0))
        quotas.execute_command("ACL", "SETUSER", "default", "resetpass", f">{old}")
        quotas.execute_command("AUTH", old)

        def ask(sql: str) -> list[tuple[object, ...]]:
            database.execute(sql)
            return list(database.fetchall())

        def sessions(user: str) -> int:
            return len(ask(f"SELECT 1 FROM pg_stat_activity WHERE usename = '{user}'"))

        def url(user: str, password: str) -> str:
            return f"postgres://{user}:{password}@127.0.0.1:{registry.port}/mantra"

        database.execute(f"ALTER ROLE mantra PASSWORD '{old}'")
        bus = Bus(
            tmp_path, BUNDLE, "kons/app", WEB_CONCURRENCY="2", MANTRA_EMBEDDED="1", SOURCE_PASSWORD="x",
            MANTRA_SOURCE_FILE_DIRS=str(make_table().parent.parent),
            MANTRA_DATABASE_URL=url("mantra", old),
            MANTRA_QUOTA_STORE=f"redis://:{old}@127.0.0.1:{store.port}/0",
            # A call that cannot be counted fails, so that the callers notice it.
            MANTRA_QUOTA_STORE_DOWN="refuse",
        )  # fmt: skip
        drill = Drill(bus, tmp_path / "rahasia", STORES)
        cookie = drill.shell(SESSION)

        def work() -> None:
            wait_until(lambda: ask("SELECT 1 FROM registry_callrecord LIMIT 1"), 60, "the shipping")
            wait_until(lambda: drill.pages > 2, 60, "pages")
            # Both servers take the old and the new one.
            database.execute(f"CREATE ROLE mantra_2 LOGIN PASSWORD '{new}' IN ROLE mantra")
            database.execute("ALTER ROLE mantra_2 SET role = 'mantra'")
            quotas.execute_command("ACL", "SETUSER", "default", f">{new}")
            drill.write("MANTRA_DATABASE_URL", url("mantra_2", new))
            drill.write("MANTRA_QUOTA_STORE", f"redis://:{new}@127.0.0.1:{store.port}/0")
            beside = set(children(bus.pid)) - set(bus.workers())
            assert len(beside) == 2
            drill.reload()
            # Those beside the server are new ones too, and no session of the old role is left.
            wait_until(lambda: not beside & set(children(bus.pid)), 60, "the end of the old processes")
            wait_until(lambda: sessions("mantra") == 0, 60, "the end of the old sessions")
            database.execute("ALTER ROLE mantra PASSWORD NULL")
            quotas.execute_command("ACL", "SETUSER", "default", f"<{old}")
            done = len(drill.calls)
            wait_until(lambda: len(drill.calls) > done + 2 * CALLERS, 60, "calls without the old ones")

        with bus:
            drill.run(work, cookie)
            assert drill.failed == []
            assert _role(registry, "mantra", old) == ""
            # What the new role makes belongs to the old one.
            assert _role(registry, "mantra_2", new) == "mantra"
            with pytest.raises(redis.AuthenticationError):
                quotas.execute_command("AUTH", old)
            quotas.execute_command("AUTH", new)

            # New connections have the new ones: all sessions end, and all goes on.
            ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mantra_2'")
            quotas.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert drill.admin(cookie) == 200
            reply = bus.request(CALL)
            assert reply.status == 200
            drill.calls.add(reply.headers["x-request-id"])
            found = "SELECT request_id FROM registry_callrecord WHERE outcome = 200"
            wait_until(lambda: drill.calls <= {str(id) for (id,) in ask(found)}, 60, "the records of all calls")
            assert sum(int(quotas.get(key)) for key in quotas.keys("LIMITS:*")) >= len(drill.calls)
