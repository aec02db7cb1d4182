"""Content is erased, by age or at a person's request, and the journal proves itself as before; older formats, too."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from mantra.proof.eraser import Eraser
from registry import leader
from registry.journal import archive, erasing, heads, reader, sealing, segments, shipping
from registry.journal.chain import link, subject_hash
from registry.models import CallRecord, JournalSegment, SubjectsOfJob
from tests.cast import Cast
from tests.gateway.program import verify_journal

#: Two persons' numbers, as callers send them.
ONE, OTHER = "3174012345678901", "3174012345678902"


@pytest.fixture
def cast_of_persons(cast: Cast) -> Cast:
    cast.operation("orang", "SELECT :nik AS nik", parameters=({"name": "nik", "subject": True},))
    return cast


def called(cast: Cast, *numbers: str) -> Path:
    """Make calls about persons, and return their segment, which is closed and shipped."""
    for number in numbers:
        assert cast.get("orang.json", f"nik={number}").status == 200
    segments.close()
    shipping.ship()
    return reader.segments()[-1]


def age(days: int, *paths: Path) -> None:
    for row in JournalSegment.objects.filter(name__in=[path.name for path in paths]):
        row.closed_at = timezone.now() - timedelta(days=days)
        row.seal = sealing.seal(row)
        row.save()


def is_proven(tmp_path: Path) -> bool:
    """Return True if both verifiers find nothing, the program with and without the key."""
    call_command("verify_audit", "--archive", stdout=io.StringIO())
    keys = heads.public_keys()
    return verify_journal(tmp_path, keys)[0] == verify_journal(tmp_path, keys, key=True)[0] == []


def everything() -> bytes:
    """Return all bytes of journal and archive."""
    import gzip

    files = [path.read_bytes() for path in reader.segments()]
    return b"".join(files + [gzip.decompress(path.read_bytes()) for path in archive.segments()])


# -------------------------------------------------------------------------------------------- by age


def test_content_is_erased_by_age(cast_of_persons: Cast, settings: Any, tmp_path: Path) -> None:
    old, new = called(cast_of_persons, ONE), called(cast_of_persons, OTHER)
    heads.make_due(timezone.now())
    age(31, old)
    CallRecord.objects.filter(segment=old.name).update(started_at=timezone.now() - timedelta(days=31))
    before, chain = old.stat().st_size, [line.chain for line in reader.lines(old)]
    assert erasing.erase_old(timezone.now()) == 0  # it is not wanted
    settings.CONTENT_DAYS = 30
    assert erasing.erase_old(timezone.now()) == 1
    assert erasing.erase_old(timezone.now()) == 0
    assert [line.chain for line in reader.lines(old)] == chain
    text = old.read_bytes()
    assert subject_hash(ONE).encode() not in text and b'"params"' not in text and b"127.0.0.1" not in text
    assert b'"status":200' in text and b"kons" in text  # who called what, and how it ended
    assert subject_hash(OTHER).encode() in new.read_bytes()
    row = JournalSegment.objects.get(name=old.name)
    assert (row.offset, row.erased) == (old.stat().st_size, True)
    assert sealing.is_genuine(row) and row.offset < before
    first, second = CallRecord.objects.order_by("started_at")
    assert (first.user, first.client_ip, first.parameters, first.subjects, first.fields) == ("", None, "", "", "")
    assert (first.outcome, first.application, second.subjects) == (200, "app", subject_hash(OTHER))
    shipping.ship()
    assert CallRecord.objects.count() == 2
    assert is_proven(tmp_path)


def test_what_was_erased_is_archived_and_pruned_as_before(cast_of_persons: Cast, settings: Any, tmp_path: Path) -> None:
    path = called(cast_of_persons, ONE)
    age(100, path)
    settings.CONTENT_DAYS = 30
    erasing.erase_old(timezone.now())
    shipping.ship()
    shipping.prune()
    assert not path.exists() and len(archive.segments()) == 1
    assert subject_hash(ONE).encode() not in everything()
    assert is_proven(tmp_path)


def test_archived_content_is_erased_when_its_month_is_over(
    cast_of_persons: Cast, settings: Any, tmp_path: Path
) -> None:
    path = called(cast_of_persons, ONE)
    age(200, path)
    shipping.prune()
    [packed] = archive.segments()
    settings.CONTENT_DAYS = 120
    assert subject_hash(ONE).encode() in everything()
    assert erasing.erase_old(timezone.now()) == 1
    assert subject_hash(ONE).encode() not in everything()
    assert erasing.erase_old(timezone.now()) == 0
    assert [each.name for each in archive.segments()] == [packed.name]
    shipping.ship()
    assert is_proven(tmp_path)


def test_content_is_erased_again_after_a_crash(
    cast_of_persons: Cast, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill before the new file is in its place, and one before the row is set."""
    path = called(cast_of_persons, ONE)
    heads.make_due(timezone.now())
    age(31, path)
    settings.CONTENT_DAYS = 30
    for broken in ("registry.journal.erasing.disk.sync", "registry.journal.erasing._note"):
        with monkeypatch.context() as patched:
            patched.setattr(broken, _killed)
            with pytest.raises(InterruptedError):
                erasing.erase_old(timezone.now())
        segments.close()
        shipping.ship()
        assert is_proven(tmp_path)
    assert not JournalSegment.objects.get(name=path.name).erased
    assert erasing.erase_old(timezone.now()) == 1
    shipping.ship()
    assert JournalSegment.objects.get(name=path.name).erased
    assert is_proven(tmp_path)


def _killed(*_arguments: object, **_more: object) -> None:
    raise InterruptedError


def test_the_record_is_on_the_disk_before_the_content_is_gone(
    cast_of_persons: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = called(cast_of_persons, ONE)
    age(31, path)
    settings.CONTENT_DAYS = 30
    steps: list[str] = []
    for module, name in ((segments, "write"), (segments, "sync"), (erasing, "_rewrite")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, _noting(steps, name, original))
    erasing.erase_old(timezone.now())
    assert steps == ["write", "sync", "_rewrite"]


def _noting(steps: list[str], name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*arguments: Any) -> Any:
        steps.append(name)
        return original(*arguments)

    return noted


def test_nothing_is_erased_of_evidence(cast_of_persons: Cast, settings: Any) -> None:
    """A segment that was tampered with stays as it is, whoever asks."""
    path = called(cast_of_persons, ONE)
    age(31, path)
    settings.CONTENT_DAYS = 30
    text = path.read_bytes().replace(b'"status":200', b'"status":404')
    path.write_bytes(text)
    assert erasing.erase_old(timezone.now()) == 0
    found = erasing.erase_subject(ONE, "permohonan 12/2026", "operator")
    assert (found.lines, found.left) == (0, {path.name: "it is not as it was written: run verify_audit"})
    assert path.read_bytes() == text


def test_a_history_is_erased_some_days_at_once(
    cast_of_persons: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    called(cast_of_persons, ONE, ONE, ONE, ONE)
    now = timezone.now()
    for record, days in zip(CallRecord.objects.order_by("pk"), (60, 50, 40, 10), strict=True):
        CallRecord.objects.filter(pk=record.pk).update(started_at=now - timedelta(days=days))
    SubjectsOfJob.objects.create(request_id="a", started_at=now - timedelta(days=40), hashes="x", segment="s", line=1)
    settings.CONTENT_DAYS = 30
    monkeypatch.setattr(erasing, "DAYS_IN_ROUND", 15)
    left = []
    for _round in range(4):
        erasing.erase_old(now)
        left.append(CallRecord.objects.exclude(subjects="").count())
    assert left == [2, 1, 1, 1]
    assert not SubjectsOfJob.objects.exists()


def test_the_worker_erases(cast_of_persons: Cast, settings: Any) -> None:
    import threading

    path = called(cast_of_persons, ONE)
    settings.CONTENT_DAYS = 30
    later = timezone.now() + timedelta(days=31)
    stop = threading.Event()
    assert Eraser(lambda: later).round(stop) == 1
    assert subject_hash(ONE).encode() not in path.read_bytes()
    stop.set()
    called(cast_of_persons, ONE)
    assert Eraser(lambda: later).round(stop) == 0


def test_nothing_is_erased_while_a_backup_is_made(
    cast_of_persons: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    called(cast_of_persons, ONE)
    monkeypatch.setattr(erasing, "WAIT", 0.0)
    refused = pytest.raises(CommandError, match="a backup is being made")
    with leader.only_one_in(settings.JOURNAL_DIR, shipping.PRUNING), refused:
        erase(monkeypatch, ONE)


# --------------------------------------------------------------------------------------- by request


def erase(monkeypatch: pytest.MonkeyPatch, number: str) -> str:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{number}\n"))
    call_command("erase_subject", "--reason", "permohonan 12/2026", stdout=out)
    return out.getvalue()


def test_a_person_is_erased_at_request(cast_of_persons: Cast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the journal, in the archive and in the history; others stay."""
    archived, path = called(cast_of_persons, ONE, OTHER), called(cast_of_persons, ONE, OTHER)
    age(100, archived)
    heads.make_due(timezone.now())
    shipping.prune()
    assert erase(monkeypatch, ONE).startswith("2 lines of 2 segments and 2 records were erased")
    shipping.ship()
    assert subject_hash(ONE).encode() not in everything()
    assert everything().count(subject_hash(OTHER).encode()) == 2
    assert CallRecord.objects.filter(subjects=subject_hash(OTHER)).count() == 2
    assert CallRecord.objects.filter(subjects="").count() == 2
    assert is_proven(tmp_path)
    # Each erasure has a record: where, why and by whom, without the person.
    found = [orjson.loads(line.body) for segment in reader.segments() for line in reader.lines(segment)]
    records = [line for line in found if line["t"] == "erase"]
    assert [(each["segment"], each["because"], each["reason"]) for each in records] == [
        (archived.name, "request", "permohonan 12/2026"), (path.name, "request", "permohonan 12/2026"),
    ]  # fmt: skip
    [restated, _again] = [line for line in found if line["t"] == "restated"]
    assert (restated["params"], restated["subjects"], restated["segment"]) == (["nik"], [], archived.name)
    assert erase(monkeypatch, ONE).startswith("0 lines")


def test_others_of_the_same_line_stay(cast_of_persons: Cast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A line of a job has many persons."""
    hashes = [subject_hash(ONE), subject_hash(OTHER)]
    segments.write({"t": "subjects", "id": "a" * 32, "at": 1764500000.0, "hashes": hashes})
    segments.close()
    shipping.ship()
    assert erase(monkeypatch, ONE).startswith("1 lines of 1 segments and 1 records")
    assert SubjectsOfJob.objects.get().hashes == subject_hash(OTHER)
    assert subject_hash(ONE).encode() not in everything()
    assert subject_hash(OTHER).encode() in everything()
    # The other one is found in the line that says the rest again, and can be erased from there.
    shipping.ship()
    assert erase(monkeypatch, OTHER).startswith("1 lines of 1 segments and 1 records")
    assert subject_hash(OTHER).encode() not in everything()
    shipping.ship()
    assert is_proven(tmp_path)


def test_what_is_being_written_is_named(cast_of_persons: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    cast_of_persons.get("orang.json", f"nik={ONE}")
    shipping.ship()
    with pytest.raises(CommandError, match="1 segments still name the person"):
        erase(monkeypatch, ONE)
    segments.close()
    shipping.ship()
    assert erase(monkeypatch, ONE).startswith("1 lines of 1 segments")


def test_who_guesses_cannot_find_what_was_erased(cast_of_persons: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the journal's key and the right guess, the commitment tells nothing: the salt is gone."""
    path = called(cast_of_persons, ONE)
    line = next(line for line in reader.lines(path) if subject_hash(ONE).encode() in line.body)
    assert line.fields is not None
    content, salt = line.fields[1], line.fields[2]
    erase(monkeypatch, ONE)
    erased = list(reader.lines(path))[line.number - 1]
    assert erased.fields is not None and erased.is_erased
    from registry.journal.lines import commitment

    assert erased.fields[2] == commitment(salt, content)
    assert salt not in everything()
    assert commitment(b"", content) != erased.fields[2] != commitment(b"0" * 32, content)


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_a_reason_is_needed(cast_of_persons: Cast, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    with pytest.raises(CommandError, match="reason"):
        call_command("erase_subject", "--reason", reason)


# ----------------------------------------------------------------------------------- the older format


def written_before(name: str, *lines: dict[str, Any]) -> Path:
    """Write a segment of format 1, as the release before did."""
    path = settings.JOURNAL_DIR / name
    chain = name.encode()
    with path.open("wb") as file:
        for line in ({"t": "open", "v": 1, "after": None}, *lines, {"t": "close"}):
            body = orjson.dumps(line)
            chain = link(settings.JOURNAL_KEY, chain, body)
            file.write(b"%b %b\n" % (body, chain))
    return path


def test_segments_of_before_are_shipped_and_proven(
    cast_of_persons: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An upgrade: some lines were shipped by the release before, the rest is by this one."""
    called(cast_of_persons, OTHER)
    now = timezone.now().timestamp()
    begin = {"t": "begin", "id": f"{int(now * 1000):012x}{'a' * 20}", "at": now, "protocol": "rest", "method": "GET"}
    begin |= {"ip": "127.0.0.1", "op": ("prov", "data", "orang", 1, 1)}
    end = {"t": "end", "id": begin["id"], "code": 200, "status": 200, "bytes": 1, "us": 1, "format": "json"}
    end |= {"params": ["nik"], "subjects": [subject_hash(ONE)]}
    path = written_before(f"tua-1-2-{int(now * 1e9)}-0.journal", begin, end)
    shipping.ship()
    row = JournalSegment.objects.get(name=path.name)
    assert (row.lines, row.digest, CallRecord.objects.filter(outcome=200).count()) == (4, "", 2)
    heads.make_due(timezone.now())
    call_command("verify_audit")
    assert verify_journal(tmp_path, heads.public_keys(), key=True)[0] == []
    # Without the key its lines prove nothing but their end, and that is said.
    broken, lines = verify_journal(tmp_path, heads.public_keys())
    assert (broken, lines[0]) == (
        [], f"UNPROVEN key {path.name}: its lines are of format 1, which only --journal-key-file proves",
    )  # fmt: skip
    # It has nothing that can be erased; it stays until it is deleted because of its age.
    settings.CONTENT_DAYS = 30
    age(31, path)
    assert erasing.erase_old(timezone.now()) == 0
    with pytest.raises(CommandError, match="1 segments still name the person"):
        erase(monkeypatch, ONE)
    changed = path.read_bytes().replace(b'"bytes":1', b'"bytes":2')
    path.write_bytes(changed)
    assert verify_journal(tmp_path, heads.public_keys(), key=True)[0][0].startswith(f"BROKEN changed {path.name}:3:")
    with pytest.raises(CommandError):
        call_command("verify_audit")


def test_rows_of_before_keep_their_seals(cast_of_persons: Cast) -> None:
    """A row that the release before has sealed knows no public digest, head or erasure."""
    from django.utils import timezone as tz

    from registry.secrets import authenticate

    path = written_before(f"tua-1-2-{int(tz.now().timestamp() * 1e9)}-0.journal")
    shipping.ship()
    row = JournalSegment.objects.get(name=path.name)
    closed_at = row.closed_at and row.closed_at.isoformat()
    columns = [row.name, row.serial, row.offset, row.lines, row.last_hash, True, closed_at, False, False, False]
    assert row.seal == authenticate(settings.JOURNAL_KEY, b"segment:" + orjson.dumps(columns))
    row.headed = 1
    assert not sealing.is_genuine(row)
