"""/metrics: who may read it, that each call is counted once, and that no count is lost."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from mantra.health.findings import Finding
from mantra.metrics import calls, exposition, findings, web
from mantra.metrics.families import GAUGES, OPERATION
from registry import worker_metrics
from registry.journal import segments
from registry.metrics import counters, folder, merging
from registry.metrics.counters import Counters
from registry.metrics.gauges import Publisher
from tests.cast import Cast, Reply, call, recorded
from tests.servers.surroundings import ROOT

TOKEN = "a-token-for-tests-only"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def counted(settings: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A process that counts, in a folder of its own."""
    settings.METRICS_TOKEN, settings.METRICS_DIR = TOKEN, tmp_path / "metrics"
    web.start()
    yield tmp_path / "metrics"
    web.stop()


def scrape(**headers: str) -> Reply:
    return call("/metrics", **({"AUTHORIZATION": f"Bearer {TOKEN}"} | headers))


def samples() -> Samples:
    reply = scrape()
    assert reply.status == 200, reply.text
    families = text_string_to_metric_families(reply.text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def families_of(text: bytes) -> Iterable[Metric]:
    return text_string_to_metric_families(text.decode())


def plain(sample: Sample) -> tuple[str, list[tuple[str, str]], float]:
    """A sample with its bound as a number."""
    labels = {name: repr(float(value)) if name == "le" else value for name, value in sample.labels.items()}
    return sample.name, sorted(labels.items()), sample.value


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def of_operation(cast: Cast, code: str, **more: str) -> dict[str, str]:
    id = cast.operations[code].pk
    return {"operation_id": str(id), "agency": "prov", "service": "data", "operation": code, **more}


def test_it_works(counted: Path, cast: Cast) -> None:
    sent = [cast.get("satu.json", "id=7"), cast.get("satu.json", "id=8")]
    cast.get("satu.json", "id=x")
    cast.get("semua.json")
    call("/rest/prov/data/nobody-has-it")
    found = samples()
    assert value(found, "mantra_calls_total", **of_operation(cast, "satu", outcome="answered")) == 2
    assert value(found, "mantra_calls_total", **of_operation(cast, "satu", outcome="refused")) == 1
    assert value(found, "mantra_call_duration_seconds_count", **of_operation(cast, "satu")) == 3
    assert value(found, "mantra_call_duration_seconds_bucket", **of_operation(cast, "satu", le="+Inf")) == 3
    assert value(found, "mantra_rows_total", **of_operation(cast, "satu")) == 2
    assert value(found, "mantra_response_bytes_total", **of_operation(cast, "satu")) >= sum(len(r.body) for r in sent)
    unknown = dict.fromkeys(("operation_id", "agency", "service", "operation"), "")
    assert value(found, "mantra_calls_total", **unknown, outcome="refused") == 1
    assert value(found, "mantra_calls_in_progress") == 0
    assert (
        value(found, "mantra_source_connections_max", agency="prov", source="uji", source_id=str(cast.source.pk)) >= 1
    )
    assert value(found, "mantra_processes", role="web") == 1


def test_the_counts_are_those_of_the_journal(counted: Path, cast: Cast) -> None:
    for query in ("id=7", "id=x", "", "id=8"):
        cast.get("satu.json", query)
        cast.get("semua.csv", key="wrong")
    ends = [line for line in recorded() if line["t"] == "end"]
    found = samples()
    by_code = {dict(labels)["code"]: n for (name, labels), n in found.items() if name == "mantra_outcomes_total"}
    assert by_code == {str(code): sum(e["code"] == code for e in ends) for code in {e["code"] for e in ends}}
    assert sum(n for (name, _), n in found.items() if name == "mantra_calls_total") == len(ends) == 8


def test_a_call_that_cannot_be_recorded_is_counted(counted: Path, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(segments, "write_parts", full)
    assert cast.get("satu.json", "id=7").status == 503
    found = samples()
    assert value(found, "mantra_calls_total", **of_operation(cast, "satu", outcome="bus")) == 1
    assert value(found, "mantra_outcomes_total", protocol="rest", code="11901") == 1
    assert value(found, "mantra_calls_in_progress") == 0


@pytest.mark.parametrize(
    ("authorization", "status"), [("", 401), ("Bearer wrong", 401), (f"Basic {TOKEN}", 401), (f"bearer {TOKEN}", 200)]
)
def test_only_who_has_the_token_reads_it(counted: Path, authorization: str, status: int) -> None:
    reply = call("/metrics", AUTHORIZATION=authorization)
    assert reply.status == status
    assert (b"mantra_" in reply.body) == (status == 200)


def test_without_a_token_there_is_nothing(cast: Cast) -> None:
    assert not settings.METRICS_TOKEN
    web.start()
    assert cast.get("satu.json", "id=7").status == 200
    assert call("/metrics", AUTHORIZATION="Bearer ").status == 404
    assert not Path(settings.METRICS_DIR).exists()


@pytest.mark.parametrize("path", ["/metrics/", "//metrics", "/METRICS", "/metrics/x"])
def test_there_is_one_address(counted: Path, path: str) -> None:
    assert call(path, AUTHORIZATION=f"Bearer {TOKEN}").status == 404


def test_operations_are_written_as_the_library_writes_them() -> None:
    cells = list(range(3, 3 + counters.CELLS))
    totals = merging.Totals({("operation", "7", "bkn", 'sim"peg\\', "a\nb"): cells, ("operation",): cells[::-1]})
    labels = [("7", "bkn", 'sim"peg\\', "a\nb"), ("",) * 4]
    calls_ = CounterMetricFamily("mantra_calls", "-", labels=(*OPERATION, "outcome"))
    duration = HistogramMetricFamily("mantra_call_duration_seconds", "-", labels=OPERATION)
    sent = CounterMetricFamily("mantra_response_bytes", "-", labels=OPERATION)
    rows = CounterMetricFamily("mantra_rows", "-", labels=OPERATION)
    for values, of_row in zip(labels, (cells, cells[::-1]), strict=True):
        for at, outcome in enumerate(calls.OUTCOMES):
            calls_.add_metric((*values, outcome), of_row[at])
        counts = [sum(of_row[8 : 8 + n]) for n in range(1, 15)]
        bounds = [str(each / 1_000_000) for each in calls.BOUNDS] + ["+Inf"]
        duration.add_metric(values, list(zip(bounds, counts, strict=True)), of_row[5] / 1_000_000)
        sent.add_metric(values, of_row[6])
        rows.add_metric(values, of_row[7])
    found = {family.name: family.samples for family in families_of(exposition.write(totals, 0))}
    for family in (calls_, duration, sent, rows):
        assert sorted(map(plain, found[family.name])) == sorted(map(plain, family.samples))


def test_nothing_that_a_caller_wrote_is_a_label(counted: Path, cast: Cast) -> None:
    call("/rest/prov/data/3201234567890001?nip=3201234567890002", AccessKey="3201234567890003")
    cast.get("satu.json", "id=3201234567890004", User_Agent="3201234567890005")
    assert "320123456789" not in scrape().text


def test_a_folder_that_cannot_be_written_stops_no_call(
    cast: Cast, settings: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    settings.METRICS_TOKEN, settings.METRICS_DIR = TOKEN, tmp_path / "file" / "metrics"
    web.start()
    assert "there are no metrics" in caplog.text
    assert cast.get("satu.json", "id=7").status == 200
    assert scrape().status == 503


def test_the_document_explains_each_metric_and_no_other() -> None:
    documented = set(re.findall(r"`(mantra_[a-z_]+)`", (ROOT / "docs" / "monitoring.md").read_text()))
    families = list(families_of(exposition.write(merging.Totals(), 0)))
    assert documented == {f"{each.name}_total" if each.type == "counter" else each.name for each in families}


# ------------------------------------------------------------------------------------- counts

_COUNTING = """
import sys
from django.conf import settings
settings.configure(METRICS_DIR=sys.argv[1])
from registry.metrics.counters import Counters
counters = Counters()
for _ in range(3):
    counters.row(("operation", "1", "prov", "data", "satu")).cells[0] += 1
print("counted", flush=True)
sys.stdin.read()
"""
KEY = ("operation", "1", "prov", "data", "satu")


@pytest.fixture
def place(settings: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    settings.METRICS_DIR = tmp_path / "metrics"
    return tmp_path / "metrics"


def test_the_counts_of_a_killed_process_are_kept(place: Path) -> None:
    command = [sys.executable, "-c", _COUNTING, str(place)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "counted\n"
        assert merging.totals().counts[KEY][0] == 3
        assert len(list(place.glob("*.counts1"))) == 1  # it is alive: nobody takes its file
        other.send_signal(signal.SIGKILL)
    own = Counters()
    own.row(KEY).cells[0] += 1
    for _twice in range(2):
        assert merging.totals().counts[KEY][0] == 4
    assert [path.stem for path in place.glob("*.counts1")] == [own.stem]


def _ended(rows: int = 1, first: int = 0) -> None:
    """Leave the counts of a process that has ended."""
    process = Counters()
    for number in range(first, first + rows):
        process.row(("operation", str(number), "prov", "data", "satu")).cells[0] += 1
    os.close(process._fd)


def test_counts_are_added_once_if_the_process_that_adds_them_dies(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ended(first=1)
    with monkeypatch.context() as crash:
        crash.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EIO, "crash")))
        with pytest.raises(OSError, match="crash"):
            merging.totals()
    assert list(place.glob("*.counts1"))
    for _twice in range(2):
        assert merging.totals().counts[KEY][0] == 1
    assert not list(place.glob("*.counts1"))


def test_threads_count_exactly(place: Path) -> None:
    row = Counters().row(KEY)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def count() -> None:
        for _ in range(2000):
            with row.lock:
                row.cells[0] += 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert merging.totals().counts[KEY][0] == 8000


def test_rows_are_bounded_and_none_is_lost(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_ROWS", 10)
    monkeypatch.setattr(merging, "MAX_ROWS", 15)
    _ended(30)
    _ended(30, first=100)
    totals = merging.totals()
    assert sum(cells[0] for cells in totals.counts.values()) == 60
    assert len(totals.counts) <= 16
    assert totals.counts[("operation",)][0] >= 40


def test_a_chunk_has_its_blocks_before_it_is_used(place: Path) -> None:
    process = Counters()
    for number in range(counters.CHUNK_BYTES // counters.ROW_BYTES + 1):
        process.row(("operation", str(number), "p", "d", "o")).cells[0] += 1
    stat = process.path.stat()
    assert stat.st_size == 2 * counters.CHUNK_BYTES
    assert stat.st_blocks * 512 >= stat.st_size
    assert len(merging.totals().counts) == counters.CHUNK_BYTES // counters.ROW_BYTES + 1


def test_a_full_disk_fails_no_call(counted: Path, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    # The rows of the first chunk are used up.
    process = calls._calls._counters  # type: ignore[union-attr]
    for number in range(counters.CHUNK_BYTES // counters.ROW_BYTES - len(process._rows)):
        process.row(("operation", f"-{number}", "p", "d", "o"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    assert cast.get("satu.json", "id=7").status == 200


def test_each_code_has_room_in_a_row() -> None:
    key = "\0".join(("operation", str(2**63), "a" * 63, "s" * 63, "o" * 127))
    assert len(key.encode()) <= counters.KEY_BYTES
    assert calls.CLASSES + len(calls.BOUNDS) < counters.CELLS


# ------------------------------------------------------------------------------------- gauges


def test_the_worker_measures_what_waits(place: Path, cast: Cast) -> None:
    cast.get("satu.json", "id=7")
    process = Counters()
    parts = (worker_metrics.journal, worker_metrics.registry, worker_metrics.outbox, *worker_metrics.SOURCES)
    Publisher("worker", process, parts).publish()
    (published,) = merging.totals().alive
    gauges = {name: value for name, _labels, value in published.gauges}
    assert gauges["mantra_journal_lag_bytes"] > 0
    assert gauges["mantra_journal_lag_segments"] == 1
    assert 0 < gauges["mantra_journal_lag_seconds"] < 3600
    assert gauges["mantra_registry_version"] > 0
    assert set(gauges) <= set(GAUGES)


def test_findings_are_counted_and_kept_for_a_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    now, runs = [0.0], []

    def check() -> list[Finding]:
        runs.append(now[0])
        return [Finding("mail", "e-mail", "ill", "")] * len(runs)

    monkeypatch.setattr(findings, "CHECKS", findings.CHECKS | {"mail": check})
    gauges = findings.Findings(lambda: now[0])

    def ill() -> float:
        found = {(labels["area"], labels["state"]): number for _name, labels, number in gauges()}
        assert {area for area, _state in found} == {
            "disk",
            "journal",
            "worker",
            "mail",
            "proof",
            "certificates",
            "keys",
        }
        return found["mail", "ill"]

    assert (ill(), ill()) == (1, 1)
    now[0] = findings.KEPT_SECONDS
    assert ill() == 2
    assert runs == [0.0, findings.KEPT_SECONDS]


def test_a_part_that_fails_leaves_the_others(place: Path) -> None:
    def broken() -> Iterator[tuple[str, dict[str, str], float]]:
        yield "mantra_journal_lag_bytes", {}, 1
        raise OSError(errno.EIO, "disk")

    process = Counters()
    with pytest.raises(OSError, match="disk"):
        Publisher("worker", process, (broken, worker_metrics.disks.gauges)).publish()
    (published,) = merging.totals().alive
    names = {name for name, _labels, _value in published.gauges}
    assert {"mantra_processes", "mantra_journal_lag_bytes", "mantra_disk_free_bytes"} <= names


def test_gauges_of_a_dead_process_are_gone(place: Path) -> None:
    publisher = Publisher("prober", Counters(), ())
    publisher.publish()
    assert [each.role for each in merging.totals().alive] == ["prober"]
    os.close(publisher._counters._fd)
    del publisher  # and with it what is mapped
    assert merging.totals().alive == []
    assert not list(place.glob(f"*{folder.GAUGES}"))
