"""The journal: chained, shipped once, proved, and safe from what may happen to it."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from registry import faults
from registry.journal import chain, reader, sealing, segments, shipping
from registry.models import AccessKey, CallRecord, JournalSegment
from tests.cast import Cast, call, ends_of


def segment() -> Path:
    (only,) = reader.segments()
    return only


def test_it_works(cast: Cast) -> None:
    reply = cast.get("satu.json", "id=7")
    assert shipping.ship() == 3  # open, begin, end
    record = CallRecord.objects.get()
    assert record.request_id == reply.headers["x-request-id"]
    assert (record.agency, record.service, record.operation) == ("prov", "data", "satu")
    assert (record.consumer_agency, record.application, record.key) == ("kons", "app", cast.key_row.public)
    assert (record.outcome, record.status, record.rows, record.bytes) == (200, 200, 1, len(reply.body))
    assert (record.protocol, record.method, record.format, record.parameters) == ("rest", "GET", "json", "id")
    assert record.fields == "id, nama, unit, gaji"
    assert record.duration_us and record.duration_us > 0
    assert str(record.client_ip) == "127.0.0.1"
    key = AccessKey.objects.get(pk=cast.key_row.pk)
    assert (key.last_used_at, key.last_used_in_path_at) == (record.started_at, None)


def test_each_line_is_taken_in_once(cast: Cast) -> None:
    cast.get("satu.json", "id=7")
    shipping.ship()
    assert shipping.ship() == 0
    cast.get("satu.json", "id=8")
    assert shipping.ship() == 2
    assert CallRecord.objects.count() == 2


def test_ends_that_another_thread_writes_find_their_calls(cast: Cast) -> None:
    """The segment of ends is the older one here, and would come first by its age."""
    pieces: list[dict[str, Any]] = []
    more = threading.Event()
    wrote = threading.Event()

    def ends() -> None:
        segments.write({"t": "note"}, chain.COMPLETIONS)
        wrote.set()
        more.wait(10)
        segments.write(pieces[0], chain.COMPLETIONS)
        segments.close()

    writer = threading.Thread(target=ends)
    writer.start()
    wrote.wait(10)
    reply = cast.get("satu.json", "id=7")
    path = next(path for path in reader.segments() if not reader.is_read_last(path))
    *head, end = path.read_bytes().splitlines(keepends=True)
    pieces.append(orjson.loads(reader.line_of(end, 0, 0).body))
    path.write_bytes(b"".join(head))
    more.set()
    writer.join()
    assert reader.is_read_last(reader.segments()[0])
    shipping.ship()
    record = CallRecord.objects.get()
    assert (record.outcome, record.status, record.bytes) == (200, 200, len(reply.body))
    assert JournalSegment.objects.get(name=reader.segments()[0].name).closed


def test_a_call_that_ends_in_a_later_round(cast: Cast) -> None:
    cast.get("satu.json", "id=7")
    path = segment()
    whole = path.read_bytes()
    head, end = whole.splitlines(keepends=True)[:2], whole.splitlines(keepends=True)[2]
    path.write_bytes(b"".join(head) + end[:20])  # what a reader sees of a line half written
    shipping.ship()
    assert CallRecord.objects.get().outcome == 0
    path.write_bytes(whole)
    shipping.ship()
    assert CallRecord.objects.get().outcome == 200


def test_lines_from_before_the_renaming_are_shipped(cast: Cast) -> None:
    """They lie in the folder when the bus is upgraded. Their ends may be in segments of an older kind, read last."""
    begin = {"t": "begin", "id": "a" * 32, "at": 1.0, "face": "console", "method": "GET", "ip": "127.0.0.1"}
    end = {"t": "end", "id": "a" * 32, "code": 200, "status": 200, "bytes": 3, "us": 4, "format": "json"}
    ends = segments.Segment(0, None, "ends")
    ends.append(end)
    ends.close()
    segments.write(begin)
    segments.close()
    shipping.ship()
    record = CallRecord.objects.get()
    assert (record.protocol, record.outcome, record.bytes) == ("tryout", 200, 3)


def test_a_line_of_another_version_stops_nothing(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    segments.write({"t": "begin", "id": "a" * 32})
    segments.write({"t": "end", "id": "a" * 32})
    cast.get("satu.json", "id=7")
    shipping.ship()
    assert CallRecord.objects.get().outcome == 200
    assert caplog.text.count("is not a line of this version") == 2


def test_refused_calls_are_in_the_history_too(cast: Cast) -> None:
    call("/rest/prov/data/satu.json?id=7", accesskey="salah")
    call("/rest/rahasia/di/alamat")
    shipping.ship()
    outcomes = dict(CallRecord.objects.values_list("outcome", "operation"))
    assert outcomes == {faults.KEY_UNKNOWN.code: "satu", faults.OPERATION_UNKNOWN.code: ""}


def test_subjects_are_hashed(cast: Cast) -> None:
    cast.operations["satu"].parameters.update(subject=True)
    from registry.snapshot import holder

    holder.refresh()
    cast.get("satu.json", "id=7")
    cast.get("satu.json", "id=7")
    cast.get("satu.json", "id=8")
    shipping.ship()
    hashes = list(CallRecord.objects.order_by("id").values_list("subjects", flat=True))
    assert hashes[0] == hashes[1] == chain.subject_hash("7")
    assert hashes[0] != hashes[2]


def test_a_dead_writers_open_calls_are_closed(cast: Cast) -> None:
    script = (
        "import os, django; django.setup()\n"
        "from registry.journal import segments\n"
        "segments.write({'t': 'begin', 'id': 'a' * 32, 'at': 1.0, 'protocol': 'rest', 'method': 'GET', 'ip': ''})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    import os

    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "mantra.settings"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=False, cwd=settings.BASE_DIR)
    shipping.ship()
    record = CallRecord.objects.get()
    assert (record.outcome, record.broken) == (faults.INTERRUPTED.code, True)
    assert JournalSegment.objects.get().closed


def test_the_chain_is_proved(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        cast.get("satu.json", f"id={number}")
    shipping.ship()
    call_command("verify_audit")
    assert "11 lines in 1 segments" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: [*lines[:3], lines[3].replace(b"GET", b"PUT"), *lines[4:]], 4),
        (lambda lines: [*lines[:3], *lines[4:]], 4),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 4),
        (lambda lines: lines[1:], 1),
        (lambda lines: lines[:-2], 10),
        (lambda lines: [*lines, lines[-1]], 12),
    ],
    ids=["changed", "taken out", "swapped", "beheaded", "shortened", "repeated"],
)
def test_what_was_done_to_the_journal_is_found(
    cast: Cast, capsys: pytest.CaptureFixture[str], damage, line: int
) -> None:  # type: ignore[no-untyped-def]
    for number in range(5):
        cast.get("satu.json", f"id={number}")
    shipping.ship()
    path = segment()
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(CommandError):
        call_command("verify_audit")
    assert f"line {line} " in capsys.readouterr().out


def test_a_segment_that_is_gone_is_missed(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    cast.get("satu.json", "id=7")
    shipping.ship()
    segment().unlink()
    with pytest.raises(CommandError):
        call_command("verify_audit")
    assert "missing" in capsys.readouterr().out


def test_offline_needs_no_database(cast: Cast, capsys: pytest.CaptureFixture[str], django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    cast.get("satu.json", "id=7")
    with django_assert_num_queries(0):
        call_command("verify_audit", "--offline")


def test_segments_follow_on_each_other(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_BYTES", 1000)
    for number in range(10):
        cast.get("satu.json", f"id={number}")
    paths = reader.segments()
    assert len(paths) > 3
    for before, after in pairwise(paths):
        first = next(reader.lines(after))
        assert orjson.loads(first.body)["after"][0] == before.name
    shipping.ship()
    assert CallRecord.objects.filter(outcome=200).count() == 10
    call_command("verify_audit")


def test_a_full_disk_refuses_and_recovers(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    cast.get("satu.json", "id=7")
    size = segment().stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, hard))
    try:
        refused = cast.get("satu.json", "id=7")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (refused.status, refused.json()["code"]) == (503, faults.JOURNAL_DOWN.code)
    assert cast.get("satu.json", "id=7").status == 200
    shipping.ship()
    call_command("verify_audit")
    assert CallRecord.objects.filter(outcome=200).count() == 2


def test_pruning(cast: Cast) -> None:
    from datetime import timedelta

    from django.utils import timezone

    cast.get("satu.json", "id=7")
    segments.close()
    shipping.ship()
    path = segment()
    shipping.prune()
    assert path.exists()
    assert CallRecord.objects.count() == 1
    row = JournalSegment.objects.get()
    row.closed_at = timezone.now() - timedelta(days=settings.JOURNAL_DAYS + 1)
    row.seal = sealing.seal(row)
    row.save()
    CallRecord.objects.update(started_at=timezone.now() - timedelta(days=settings.HISTORY_DAYS + 1))
    shipping.prune()
    assert not path.exists()
    assert CallRecord.objects.count() == 0


def test_a_large_body_is_recorded_as_sent_when_it_is(cast: Cast) -> None:
    """One row of 400 kB: it is complete before its first byte, and its caller may still be too slow for it."""
    cast.operation("lebar", f"SELECT replace('{'x' * 400}', 'x', '{'y' * 1000}') AS isi", cache_seconds=60)
    reply = cast.get("lebar.json")
    assert int(reply.headers["content-length"]) == len(reply.body) > 400_000
    [end] = ends_of(reply.headers["x-request-id"])
    assert (end["code"], end["bytes"], end["rows"]) == (200, len(reply.body), 1)
    assert cast.get("lebar.json", if_none_match=reply.headers["etag"]).status == 304
    head = call("/rest/prov/data/lebar.json", "HEAD", accesskey=cast.key)
    assert head.headers["content-length"] == reply.headers["content-length"]
