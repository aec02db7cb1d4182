"""import_legacy --compare: an old database is imported into a running bus, and both hosts then get the same requests.

The old host is FakeOldHost, which responds from the rows of the installation as 1.99x does.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.core.management import CommandError, call_command

from mantra.legacy_import.models import LegacyImport
from tests.gateway import original
from tests.gateway.test_exchanges import answer, request
from tests.legacy_import.fake_old_host import FakeOldHost
from tests.legacy_import.old_database import SMALL, OldCall, OldInstallation, make
from tests.legacy_import.test_calls_after_import import HOSTS, real_place
from tests.servers.bus import ROOT, Bus
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.process import wait_until


@dataclass
class Moving:
    old: OldInstallation
    dump: Path
    log: Path
    bus: Bus
    host: FakeOldHost

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Import once more, with the log of the old host."""
        return subprocess.run(
            [sys.executable, "manage.py", "import_legacy", str(self.dump), *HOSTS, "--log", str(self.log), *words],
            cwd=ROOT, env=self.bus.environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def compare(self, *words: str, only: Iterable[str] = ()) -> subprocess.CompletedProcess[str]:
        """Compare what the old host can respond to, or some of it."""
        return self.run(
            "--compare", self.host.url, "--new", self.bus.base, "--pace", "1000", *words,
            "--operations", *(only or self.host.shapes),
        )  # fmt: skip


def names_of(call: OldCall) -> str:
    return "/".join(quote(name, safe="") for name in (call.agency, call.service, call.operation))


def values_of(call: OldCall) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(quote_plus(value))}" for name, value in call.parameters.items())


def logged(old: OldInstallation) -> list[str]:
    """An access log of the old host: calls of some proxy operations, and two keys in addresses."""
    proxies = [call for call in old.calls if call.document is not None][:4]
    targets = [f"GET /mantra/json/{names_of(call)}/{values_of(call)}" for call in proxies]
    second, first = in_path(old)
    targets.append(f"GET /mantra/api/{names_of(second)}/{second.key}/{values_of(second)}")
    targets.append(f"POST /api/{first.key}/{names_of(first)}")
    return [f'10.0.0.9 - - [03/Nov/2017:10:15:00 +0700] "{target} HTTP/1.1" 200 512' for target in targets]


def in_path(old: OldInstallation) -> list[OldCall]:
    """The calls of the generations 2 and 1."""
    return by_nip(old)[:2]


def by_nip(old: OldInstallation) -> list[OldCall]:
    """Calls of operations with plain names, each of another operation."""
    calls = {call.operation_id: call for call in old.calls if call.operation.startswith("operasi_")}
    return [call for call in calls.values() if list(call.parameters) == ["nip"]]


@pytest.fixture(scope="module")
def moving(
    mariadb: MariaDBServer, postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moving]:
    var = tmp_path_factory.mktemp("bus")
    with real_place(mariadb, postgresql) as place, FakeOldHost("/mantra") as host:
        old = make(replace(SMALL, orders=560), place, seed=2)
        host.serve(old)
        dump, log = old.write(var / "lama.sql"), var / "access.log"
        log.write_text("\n".join(logged(old)) + "\n")
        with Bus(var, WEB_CONCURRENCY="1") as bus:
            moving = Moving(old, dump, log, bus, host)
            # The bus runs while the database is imported: it must have taken it up before it is compared.
            done = moving.compare("--keys-in-path", "log")
            assert done.returncode == 0, "\n".join(re.findall("^✗.*", done.stdout, re.M)) + done.stderr
            (var / "first").write_text(done.stdout)
            yield moving


def test_import_and_compare_is_clean(moving: Moving) -> None:
    text = (moving.bus.var / "first").read_text()
    assert re.search(r"^methods: 180 = ", text, re.M)
    summary = text.rstrip().splitlines()[-1]
    assert summary.startswith("Bersih")
    formats = {target.split("/")[2] for _method, target, _key in moving.host.received}
    assert formats == {"json", "xml", "api"}
    # Operations of the log and of first rows: more than fifty of them.
    assert len({tuple(target.split("/")[3:6]) for _method, target, _key in moving.host.received}) > 50
    assert not any(call.key in text for call in moving.old.calls)
    assert "Siti" not in text


def test_a_planted_difference_is_named_until_it_is_gone(moving: Moving) -> None:
    call = by_nip(moving.old)[2]
    address = f"{call.agency}/{call.service}/{call.operation}".lower()

    def planted(sent: dict[str, str]) -> Any:
        rows: Any = moving.host.shapes[address].answer({"nip": sent["nip"]})
        return original.rows(call.operation, [row | {"nama": "RAHASIA"} for row in rows])

    moving.host.operations[address] = planted
    try:
        done = moving.compare("--only", "agencies", only=[address])
        assert done.returncode == 1
        assert "RAHASIA" not in done.stdout + done.stderr
        assert re.search(rf"✗ {re.escape(address)}: .*\bnilai\b", done.stdout, re.I), done.stdout[-1500:]
        assert "nama: text" in done.stdout
        # The request of generation 2 gets XML from both.
        older = in_path(moving.old)[0]
        address = f"{older.agency}/{older.service}/{older.operation}".lower()
        moving.host.operations[address] = planted
        assert re.search(
            rf"✗ {re.escape(address)}: .*\bnilai\b", moving.compare("--only", "agencies", only=[address]).stdout, re.I
        )
    finally:
        moving.host.operations.clear()
    assert moving.compare("--only", "agencies", only=[address]).returncode == 0


def test_keys_of_the_log_are_allowed_in_addresses(moving: Moving) -> None:
    """Generations 2 and 1; the page of keys and the filter of those that can be retired know of it."""
    second, first = in_path(moving.old)
    targets = (
        (second, f"/mantra/api/{names_of(second)}/{second.key}/nip={second.parameters['nip']}"),
        (first, f"/api/{first.key}/{names_of(first)}/nip={first.parameters['nip']}"),
    )
    for call, target in targets:
        assert answer(moving.bus, request(target)) == original.written(original.rows(call.operation, call.rows), "xml")
    text = (moving.bus.var / "first").read_text()
    orders = [order for order in moving.old.orders if order.key in (second.key, first.key)]
    for order in orders:
        assert re.search(rf"orders {order.id} .*\n    Kunci boleh ada di alamat", text)
    other = by_nip(moving.old)[2]
    refused = answer(moving.bus, request(f"/mantra/api/{names_of(other)}/{other.key}/nip=19800001"))
    assert b"<code>11009</code>" in refused


def test_wrapped_responses(moving: Moving, tmp_path: Path) -> None:
    """A later run can switch it on, for the keys of a file."""
    call = by_nip(moving.old)[2]
    file = tmp_path / "kunci"
    file.write_text(f"# dibungkus\n{call.key} {names_of(call)}\n")
    target = f"/json/{names_of(call)}/nip={call.parameters['nip']}"
    plain = answer(moving.bus, request(target, key=call.key))
    assert plain.startswith(b"{")
    done = moving.run("--wrapped", str(file), "--keys-in-path", "log")
    assert done.returncode == 0, done.stderr
    assert "dibungkus" in done.stdout
    wait_until(lambda: answer(moving.bus, request(target, key=call.key)) != plain, 30, "the key's change")
    assert base64.b64decode(answer(moving.bus, request(target, key=call.key))[::-1]) == plain


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--dry-run", "--compare", "http://10.1.1.1"], "dry run imports nothing"),
        (["--compare", "http://user:secret@10.1.1.1"], "no address of a host"),
        (["--compare", "http://10.1.1.1/lama"], "to MANTRA_LEGACY_FOLDERS first"),
        (["--keys-in-path", "log"], "add --log"),
        (["--keys-in-path", "log", "--log", "/missing"], "No such file"),
        (["--keys-in-path", "/missing"], "No such file"),
        (["--wrapped", "/missing"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(
    db: None, tmp_path: Path, words: list[str], sentence: str
) -> None:
    dump = make(SMALL).write(tmp_path / "lama.sql")
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("import_legacy", str(dump), *words)
    assert "secret" not in str(refused.value)
    assert not LegacyImport.objects.exists()


#: What the page does after an import: the keys of the dump and a log are kept, and the worker compares.
ON_THE_PAGE = """
import json, sys
import django
django.setup()
from django.utils import timezone
from mantra.legacy_import.comparing_hosts.keys import keys_of_database
from mantra.legacy_import.models import HostComparison, LegacyImport
from mantra.legacy_import.pages import comparisons, inputs
from mantra.legacy_import.pages.worker import Task
from mantra.legacy_import.reading import open_dump
from registry.models import User

dump, log, url, *only = sys.argv[1:]
user = User.objects.create(username="pengelola", is_staff=True)
run = LegacyImport.objects.filter(state="done").first()
with open_dump(dump) as database:
    comparisons.keep_keys(run, keys_of_database(database), timezone.now())
kept = comparisons.input_of(run)
comparisons.put_log(kept, "access.log", *inputs.store([open(log, "rb").read()]))
comparisons.start(user, kept, timezone.now(), old_url=url, requests=2, only=only, language="id")
task = Task()
task.round()
task.leadership.release()
done = HostComparison.objects.get()
print(json.dumps([done.state, done.is_clean, done.responses, done.equal, done.log["requests"], done.kinds]))
"""


def test_the_worker_of_the_page_compares_as_the_command_does(moving: Moving, tmp_path: Path) -> None:
    calls = [*by_nip(moving.old)[:2], *by_nip(moving.old)[3:5]]  # the third one's responses are wrapped by now
    only = [f"{call.agency}/{call.service}/{call.operation}".lower() for call in calls]
    moving.host.received.clear()
    own = {"MANTRA_BASE_URL": moving.bus.base, "MANTRA_EXPORT_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ON_THE_PAGE, str(moving.dump), str(moving.log), moving.host.url, *only],
        cwd=ROOT, env={**moving.bus.environment, **own}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state, is_clean, responses, equal, requests, kinds = json.loads(done.stdout.splitlines()[-1])
    assert (state, is_clean, requests) == ("done", True, len(logged(moving.old))), kinds
    assert 0 < equal <= responses == len(moving.host.received)
