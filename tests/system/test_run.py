"""./run as its user starts it: from nothing, over HTTP, through crashes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from bench import contracts
from tests import test_words
from tests.bounds import assert_short
from tests.metrics.test_files import named
from tests.servers.bus import Served, children
from tests.servers.process import ending_with_us, free_port, permit, wait_until
from tests.servers.surroundings import clean

ROOT = Path(settings.BASE_DIR)
GOLDEN = ROOT / "tests" / "golden" / "legacy.jsonl"
NIP = "198000000000000011"


TOKEN = "a-token-for-tests-only"


class Run(Served):
    """A bus that was started with ./run, and what it said."""

    def __init__(self, var: Path, port: int = 0, **environment: str) -> None:
        super().__init__()
        self.var, self.port = var, port or free_port()
        began = time.monotonic()
        log = var.with_suffix(".log")
        permit("./run")
        with log.open("w") as output:
            self.process = subprocess.Popen(
                ending_with_us(["./run"]),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean() | {"MANTRA_VAR_DIR": str(var), "PORT": str(self.port), **environment},
            )
        try:
            wait_until(lambda: self.process.poll() is not None or "Ctrl+C" in log.read_text(), 240, "./run")
            assert self.process.poll() is None, log.read_text()
        except BaseException:
            self.stop()
            raise
        self.seconds = time.monotonic() - began
        self.said = log.read_text()

    def get(self, path: str, key: str = "abcdefghij", **headers: str) -> urllib3.BaseHTTPResponse:
        return self.request(path, headers={"AccessKey": key, **headers}, timeout=20)

    def manage(self, *words: str) -> str:
        """manage.py as it is typed beside ./run, from any folder: its own folder is all that is said."""
        done = subprocess.run(
            [str(ROOT / "manage.py"), *words],
            cwd=self.var,
            env=clean() | {"MANTRA_VAR_DIR": str(self.var)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    started = Run(tmp_path_factory.mktemp("run") / "var", MANTRA_METRICS_TOKEN=TOKEN)
    yield started
    started.stop()


def test_start_message_names_address_and_password(bus: Run) -> None:
    password = (bus.var / "admin-password").read_text().strip()
    assert len(password) >= 12
    assert password in bus.said
    assert (bus.var / "admin-password").stat().st_mode & 0o077 == 0
    assert (bus.var / "secrets.env").stat().st_mode & 0o077 == 0
    assert f"{bus.base}/admin/" in bus.said


def test_the_three_lines_work_when_pasted(bus: Run) -> None:
    lines = re.findall(r"^ +(curl .*)$", bus.said, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run(["bash", "-c", line + " -sS --fail"], capture_output=True, text=True, check=True)
        assert "Pegawai" in done.stdout


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"LANG": "id_ID.UTF-8"}, "PORT harus berupa angka"),
        ({"LC_ALL": "", "LC_MESSAGES": "id", "LANG": "C"}, "PORT harus berupa angka"),
        ({"LC_ALL": "C.UTF-8", "LANG": "id_ID.UTF-8"}, "PORT must be a number"),
        ({"LANG": "idx_ID"}, "PORT must be a number"),
        ({}, "PORT must be a number"),
    ],
)
def test_run_speaks_the_language_of_the_shell(names: dict[str, str], text: str) -> None:
    done = subprocess.run(
        ["./run"], cwd=ROOT, env=clean() | {"PORT": "x"} | names, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert text in done.stderr


@pytest.mark.parametrize("script", ["run", "test"])
def test_each_text_of_a_command_has_its_translation_beside_it(script: str) -> None:
    written = (ROOT / script).read_text()
    assert not re.findall(r'echo "[A-Z ].*', written)
    pairs = re.findall(r'\bsay "([^"]*)"[\s\\]+"([^"]*)"', written)
    assert len(pairs) == len(re.findall(r"\bsay ", written))
    for english, indonesian in pairs:
        assert english != indonesian
        assert not test_words.english(re.sub(r"\$\S*", "", indonesian)), indonesian


def test_a_second_start_is_fast_and_keeps_everything_and_nothing_is_left_running(bus: Run, tmp_path: Path) -> None:
    copy = tmp_path / "var"
    shutil.copytree(bus.var, copy)
    password = (copy / "admin-password").read_text()
    moved = Run(copy)
    moved.stop()
    again = Run(copy, port=moved.port, LC_ALL="id_ID.UTF-8")
    try:
        # Three seconds are promised to a machine that has nothing else to do.
        assert_short(again.seconds, 3)
        assert "Menyiapkan" not in again.said
        assert "MANTRA siap setelah" in again.said
        assert f"pengguna admin, kata sandi {password.strip()}" in again.said
        assert "ready" not in again.said
        assert again.get(f"/rest/bkn/simpeg/pegawai_by_nip.json?nip={NIP}").json()["count"] == 1
        # The demo's loop-back follows the port.
        assert again.get(f"/json/bkn/simpeg/proxy_nip/nip={NIP}", "dddddddddd").json()["response"]["code"] == 200
        # The worker comes first, and what runs beside it once it is ready.
        wait_until(lambda: len(children(again.pid)) == 3, 10, "the shipping and the prober")
        mention = subprocess.run(["pgrep", "-f", str(copy)], capture_output=True, text=True, check=False).stdout.split()
        family = children(again.pid)
        assert family
    finally:
        again.stop()
    for pid in {*family, *map(int, mention)}:
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 5, f"the end of {pid}")


def test_a_command_beside_it_has_the_settings_of_the_server(bus: Run) -> None:
    names = ("PORT", "MANTRA_EMBEDDED", "MANTRA_UPSTREAM_NETWORKS", "MANTRA_ALLOWED_HOSTS")
    environ = Path(f"/proc/{bus.pid}/environ").read_text().split("\0")
    served = dict(line.split("=", 1) for line in environ if line)
    show = f"import os; print(*(os.environ[name] for name in {names}), sep='|')"
    assert bus.manage("shell", "-v", "0", "-c", show).strip() == "|".join(served[name] for name in names)
    assert (bus.var / "run.env").stat().st_mode & 0o077 == 0
    assert served["MANTRA_SECRET_KEY"] not in (bus.var / "run.env").read_text()


def test_every_recorded_exchange_answers_the_same(bus: Run) -> None:
    exchanges = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    assert len(exchanges) == 13
    for prefix in ("", "/mantra"):
        for exchange in exchanges:
            form = exchange.get("form")
            headers = dict(exchange["headers"])
            if form:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            answer = bus.http.request(
                exchange["method"], bus.base + prefix + exchange["path"], headers=headers, body=form, retries=False
            )
            assert answer.data.decode() == exchange["body"], exchange["path"]
            assert (answer.status, answer.headers["content-type"]) == (exchange["status"], exchange["type"])


PHP_CLIENT = r"""
// The way a 1.99x client calls: curl with FAILONERROR, every value encoded twice, the answer told by its edges.
function ambil($url, $key) {
    $curl = curl_init($url);
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_FAILONERROR => true, CURLOPT_PROXY => '',
        CURLOPT_USERAGENT => 'MANTRA', CURLOPT_HTTPHEADER => ["AccessKey: $key"]]);
    $body = curl_exec($curl);
    if ($body === false) die(curl_error($curl));
    if ($body[0] === '{' && substr($body, -1) === '}') return json_decode($body, true);
    if (substr($body, 0, 5) === '<?xml') return json_decode(json_encode(simplexml_load_string($body)), true);
    return unserialize($body);
}
[$_, $base, $key] = $argv;
$query = 'unit_kerja=' . urlencode(urlencode('Dinas 3')) . '&gaji=2599900';
$all = [];
foreach (['api', 'json', 'xml'] as $face) {
    $answer = ambil("$base/mantra/$face/bkn/simpeg/pegawai_by_unit/$query", $key);
    $rows = ($answer['response'] ?? $answer)['data']['pegawai_by_unit'];
    $all[] = array_column(array_values($rows), 'nip');
}
echo json_encode($all);
"""


def test_a_php_program_of_the_1_99x_kind(bus: Run, tmp_path: Path) -> None:
    program = tmp_path / "klien.php"
    program.write_text("<?php\n" + PHP_CLIENT)
    done = subprocess.run(["php", str(program), bus.base, "bbbbbbbbbb"], capture_output=True, text=True, check=True)
    nips = ["198000000000099903", "198000000000099940", "198000000000099977"]
    assert json.loads(done.stdout) == [nips, nips, nips]


def test_the_demo_keeps_its_contract(bus: Run, tmp_path: Path) -> None:
    # Those with a suffix differ in the format only: bench/contracts.py takes them too, and requests at random.
    key = bus.manage("issue_key", "dukcapil/siak").strip()
    options = ("--phases", "examples,coverage", "--generation-deterministic", "--exclude-path-regex", "format")
    done = subprocess.run(
        contracts.command(bus.base, "bkn/simpeg", key, *options),
        env=contracts.environment(clean()),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) == int(passed[2]) > 200


def test_the_demo_keys_open_the_demo_only(bus: Run) -> None:
    assert bus.get("/rest/bkn/simpeg/pegawai_by_unit.json?unit_kerja=x&gaji=1").json()["code"] == 11004
    assert bus.get("/rest/bkn/simpeg/jumlah_per_golongan.json", "").status == 200


def test_a_call_is_in_the_history_soon(bus: Run) -> None:
    id = bus.get(f"/rest/bkn/simpeg/pegawai_by_nip.json?nip={NIP}").headers["x-request-id"]
    wait_until(lambda: outcome_of(bus, id) == 200, 10, "the record of the call")


def outcome_of(bus: Run, id: str) -> int | None:
    with sqlite3.connect(f"file:{bus.var / 'mantra.sqlite3'}?mode=ro", uri=True, timeout=10) as database:
        row = database.execute("SELECT outcome FROM registry_callrecord WHERE request_id = ?", (id,)).fetchone()
    return row[0] if row else None


def test_kill_9_in_the_middle_of_a_load_loses_no_answered_call(bus: Run) -> None:
    answered: list[str] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                answer = bus.get(f"/rest/bkn/simpeg/pegawai_by_nip.json?nip={NIP}")
                assert answer.status == 200
                answered.append(answer.headers["x-request-id"])
            except urllib3.exceptions.HTTPError:
                time.sleep(0.01)

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    killed = 0
    for _round in range(3):
        time.sleep(1)
        for pid in bus.workers():
            os.kill(pid, signal.SIGKILL)
            killed += 1
        wait_until(bus.workers, 10, "a new worker")
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    assert killed >= 3
    assert len(answered) > 300
    missing: set[str] = set()

    def all_there() -> bool:
        with sqlite3.connect(f"file:{bus.var / 'mantra.sqlite3'}?mode=ro", uri=True, timeout=10) as database:
            there = {
                row[0] for row in database.execute("SELECT request_id FROM registry_callrecord WHERE outcome = 200")
            }
        missing.clear()
        missing.update(set(answered) - there)
        return not missing

    with suppress(TimeoutError):
        wait_until(all_there, 30, "the history")
    assert not missing, f"{len(missing)} of {len(answered)} answered calls are not in the history"
    assert "are unchanged" in bus.manage("verify_audit")


def test_revoking_takes_hold_within_a_second(bus: Run) -> None:
    bus.manage("apply_definitions", str(ROOT / "demo" / "demo.yaml"), "--reason", "uji")
    key = bus.manage("issue_key", "dukcapil/siak").strip()
    path = f"/rest/bkn/simpeg/pegawai_by_nip.json?nip={NIP}"
    wait_until(lambda: bus.get(path, key).status == 200, 1.5, "the new key")
    with sqlite3.connect(bus.var / "mantra.sqlite3", timeout=20) as database:
        database.execute("UPDATE registry_accesskey SET revoked_at = '2026-01-01' WHERE public = ?", (key[:12],))
        database.execute("UPDATE registry_snapshotversion SET version = version + 1")
    wait_until(lambda: bus.get(path, key).status == 401, 1.0, "the refusal")


def metrics(bus: Run) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    reply = bus.request("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert reply.status == 200
    families = text_string_to_metric_families(reply.data.decode())
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def test_metrics_have_each_call_whatever_became_of_its_process(bus: Run) -> None:
    """After the tests above, one of which kills the worker process three times."""
    found = metrics(bus)
    counted = {
        dict(labels)["operation"]: value
        for (name, labels), value in found.items()
        if name == "mantra_calls_total" and dict(labels)["outcome"] == "answered" and dict(labels)["operation"]
    }
    begun = {line["id"]: line for line in bus.journal() if line["t"] == "begin"}
    answered: Counter[str] = Counter()
    for id, end in bus.ends().items():
        begin = begun[id]
        if begin["protocol"] != "tryout" and end["code"] == 200 and end["status"] < 500 and not end.get("broken"):
            answered[begin["op"][2]] += 1
    assert answered.pop("pegawai_by_nip") - counted.pop("pegawai_by_nip") in range(3 * 8 + 1)  # a kill may come between
    assert {name: value for name, value in answered.items() if name} == counted


def test_metrics_have_all_that_the_rules_and_the_dashboard_name(bus: Run) -> None:
    # The demo's proxy operation makes its backend known to the worker, which writes every 15 seconds.
    assert bus.get(f"/json/bkn/simpeg/proxy_nip/nip={NIP}", "dddddddddd").status == 200
    missing: set[str] = set()

    def all_there() -> bool:
        missing.clear()
        missing.update(named() - {name for name, _labels in metrics(bus)})
        return not missing

    with suppress(TimeoutError):
        wait_until(all_there, 40, "the metrics")
    assert not missing
    roles = {
        dict(labels)["role"]: value for (name, labels), value in metrics(bus).items() if name == "mantra_processes"
    }
    assert roles == {"web": 1, "worker": 1, "prober": 1}
