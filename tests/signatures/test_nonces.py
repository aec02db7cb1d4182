"""The replay guard: across processes, with the store away, over the ends of periods."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mantra.gateway.signatures import nonces
from mantra.gateway.signatures.nonces import MEMORY_SECONDS, FolderNonces, Guard, RedisNonces
from registry import faults
from registry.results import Fault
from registry.snapshot.types import Application, Key
from tests.servers.process import free_port
from tests.servers.redis import RedisServer


def key(required: bool = False, id: int = 1) -> Key:
    owner = Application(1, "kons", "app", signing_required=required)
    return Key(id, "mts_12345678", owner, float("inf"), (), None, False, secret=b"x")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_it_works(tmp_path: Path) -> None:
    guard = Guard(None, FolderNonces(tmp_path))
    guard.check(key(), "satu")
    guard.check(key(id=2), "satu")
    guard.check(key(), "dua")
    with pytest.raises(Fault) as caught:
        guard.check(key(), "satu")
    assert caught.value.code == faults.SIGNATURE_REPLAYED.code
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert len(names) == 3
    assert not any("satu" in name for name in names)


def test_of_many_processes_one_accepts_a_nonce(tmp_path: Path) -> None:
    """The replay comes to another process at the same moment."""
    program = (
        "import sys, os; os.environ['DJANGO_SETTINGS_MODULE'] = 'mantra.settings'\n"
        "from pathlib import Path\n"
        "from mantra.gateway.signatures.nonces import FolderNonces\n"
        "guard = FolderNonces(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.readline()\n"
        "print(sum(guard.is_new(f'{n:040d}') for n in range(300)))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for each in processes:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    accepted = []
    for each in processes:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    for each in processes:
        out, _ = each.communicate(timeout=60)
        accepted.append(int(out))
    assert sum(accepted) == 300


def test_a_nonce_is_remembered_over_the_ends_of_periods_and_then_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = 10 * MEMORY_SECONDS - 0.5
    one, other = FolderNonces(tmp_path, clock), FolderNonces(tmp_path, clock)
    assert one.is_new("a")
    clock.now += 1  # a new period
    assert not other.is_new("a")
    assert not one.is_new("a")
    assert other.is_new("b")
    clock.now += MEMORY_SECONDS
    assert not one.is_new("b")
    clock.now += 2 * MEMORY_SECONDS
    assert one.is_new("c")
    for thread in threading.enumerate():
        if thread.name == "nonces":
            thread.join()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["c"]


def test_clocks_at_the_end_of_a_period_let_nothing_through(tmp_path: Path) -> None:
    late, early = Clock(), Clock()
    late.now, early.now = 10 * MEMORY_SECONDS + 0.1, 10 * MEMORY_SECONDS - 0.1
    assert FolderNonces(tmp_path, late).is_new("a")
    assert not FolderNonces(tmp_path, early).is_new("a")


def test_the_folder_is_bounded_and_refuses_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonces, "MAX_NONCES", 2)
    clock = Clock()
    guard = Guard(None, FolderNonces(tmp_path, clock))
    guard.check(key(), "satu")
    guard.check(key(), "dua")
    with pytest.raises(Fault) as caught:
        guard.check(key(), "tiga")
    assert caught.value.code == faults.NOT_READY.code
    clock.now += MEMORY_SECONDS
    guard.check(key(), "tiga")


def test_a_folder_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault) as caught:
        Guard(None, FolderNonces(tmp_path / "file")).check(key(), "satu")
    assert caught.value.code == faults.NOT_READY.code


def test_the_shared_store_remembers_for_all_and_not_for_ever(tmp_path: Path) -> None:
    with RedisServer() as server:
        one, other = (Guard(RedisNonces(server.url), FolderNonces(tmp_path / str(n))) for n in (1, 2))
        one.check(key(), "satu")
        with pytest.raises(Fault) as caught:
            other.check(key(), "satu")
        assert caught.value.code == faults.SIGNATURE_REPLAYED.code
        import redis

        client = redis.Redis.from_url(server.url)
        (name,) = client.keys("NONCE:*")
        assert MEMORY_SECONDS - 60 < client.ttl(name) <= MEMORY_SECONDS + 1


def test_without_its_store_a_key_that_must_sign_is_refused(tmp_path: Path) -> None:
    guard = Guard(RedisNonces(f"redis://127.0.0.1:{free_port()}/0"), FolderNonces(tmp_path))
    for number in range(8):  # also while the circuit breaker is open
        with pytest.raises(Fault) as caught:
            guard.check(key(required=True), f"nomor-{number}")
        assert caught.value.code == faults.NOT_READY.code
    assert not list(tmp_path.iterdir())


def test_without_its_store_other_keys_are_guarded_by_this_host(tmp_path: Path) -> None:
    with RedisServer() as server:
        guard = Guard(RedisNonces(server.url), FolderNonces(tmp_path))
        guard.check(key(), "sebelum")
    guard.check(key(), "sesudah")
    with pytest.raises(Fault) as caught:
        guard.check(key(), "sesudah")
    assert caught.value.code == faults.SIGNATURE_REPLAYED.code


def test_what_passed_while_the_store_was_away_is_known_when_it_is_back(tmp_path: Path, monkeypatch: Any) -> None:
    with RedisServer() as server:
        guard = Guard(RedisNonces(server.url), FolderNonces(tmp_path))

        def fail(id: str) -> bool:
            raise nonces.redis.ConnectionError

        with monkeypatch.context() as patched:
            patched.setattr(guard._shared, "is_new", fail)
            guard.check(key(), "selama")
        with pytest.raises(Fault) as caught:
            guard.check(key(), "selama")
        assert caught.value.code == faults.SIGNATURE_REPLAYED.code
