"""Each way to tamper with a journal is named by file and line: by verify_audit, and by the program without the bus."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from registry.journal import erasing, heads, reader, segments, shipping, verifying
from registry.models import CallRecord, JournalHead, JournalSegment
from tests.cast import Cast
from tests.gateway.journal_corpus import ATTACKS, AUDIT, KEYED, LAST, OFFLINE, PUBLIC, Attack, Scene, erased
from tests.gateway.program import load, verify_journal


@pytest.fixture
def scene(cast: Cast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    """Return a journal that the bus has written: six segments of two calls each, and three heads."""
    monkeypatch.setattr(segments.Segment, "is_full", lambda segment: _length(segment.name) == LAST - 1)
    for writer in range(2):
        for number in range(6):
            cast.get("satu.json", "id=7")
            if writer and number == 2:
                shipping.ship()
                heads.make_due(timezone.now())
        segments.close()
        shipping.ship()
        heads.make_due(timezone.now())
    paths = reader.segments()
    assert [_length(path.name) for path in paths] == [LAST] * 6
    assert JournalSegment.objects.filter(closed=True, headed=0).count() == 0
    folder = tmp_path / "heads"
    folder.mkdir()
    for row in JournalHead.objects.all():
        (folder / str(row.serial)).write_text(row.document)
    assert len(list(folder.iterdir())) == 3
    return Scene(paths, folder)


def _length(name: str) -> int:
    return (settings.JOURNAL_DIR / name).read_bytes().count(b"\n")


def audit(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    """Return the lines of verify_audit that name something."""
    capsys.readouterr()
    try:
        call_command("verify_audit", "--archive", *options)
    except CommandError:
        return capsys.readouterr().out.splitlines()
    return capsys.readouterr().out.splitlines()[:-1]


def program(scene: Scene, tmp_path: Path, key: bool) -> list[str]:
    """Return the lines of the program that name something."""
    _broken, found = verify_journal(tmp_path, heads.public_keys(), key=key, folder=scene.heads)
    return [line for line in found if line.startswith(("BROKEN", "UNPROVEN"))]


def verified(verifier: str, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    if verifier in (AUDIT, OFFLINE):
        return audit(capsys, *(["--offline"] if verifier == OFFLINE else []))
    return program(scene, tmp_path, verifier == KEYED)


@pytest.mark.parametrize("verifier", [AUDIT, OFFLINE, PUBLIC, KEYED])
def test_a_journal_as_it_was_written(
    scene: Scene, verifier: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(verifier, scene, tmp_path, capsys) == []


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_is_named(
    scene: Scene, attack: Attack, settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attack.do(scene)
    for verifier in (AUDIT, OFFLINE, PUBLIC, KEYED):
        found = verified(verifier, scene, tmp_path, capsys)
        broken = [line for line in found if line.startswith("BROKEN")]
        if verifier not in attack.found_by:
            assert not broken, (verifier, found)  # the day it is found: say so
        elif attack.head:
            assert any(re.search(rf"BROKEN .*\b{attack.head}:", line) for line in broken), found
        else:
            name, line = scene.paths[attack.segment].name, attack.line_for(verifier)
            place = (
                rf"{re.escape(name)}: .*\bline {line}\b"
                if verifier in (AUDIT, OFFLINE)
                else rf"{re.escape(name)}:{line}:"
            )
            label = "UNPROVEN" if attack.unproven else "BROKEN"
            pattern = rf"{label} .*{place}" if line else rf"{label} .*{re.escape(name)}"
            assert any(re.search(pattern, each) for each in found), (verifier, found)


# ------------------------------------------------------------------------------------- both agree


def mutated(random: Random, scene: Scene) -> None:
    """Change something of one segment at random, as no list of attacks foresees."""
    number = random.randrange(6)
    text = bytearray(scene.paths[number].read_bytes())
    lines = scene.lines(number)
    match random.randrange(6):
        case 0:
            text[random.randrange(len(text))] ^= 1 << random.randrange(8)
        case 1:
            begin = random.randrange(len(text))
            del text[begin : begin + random.randrange(1, 200)]
        case 2:
            text[random.randrange(len(text)) : 0] = random.randbytes(random.randrange(1, 40))
        case 3:
            random.shuffle(lines)
            text = bytearray(b"".join(lines))
        case 4:
            lines[random.randrange(LAST)] = random.choice(scene.lines(random.randrange(6)))
            text = bytearray(b"".join(lines))
        case 5:
            lines[random.randrange(LAST)] = erased(lines[random.randrange(1, LAST - 1)])
            text = bytearray(b"".join(lines))
    scene.paths[number].write_bytes(text)


def test_both_verifiers_agree_on_what_nobody_has_foreseen(scene: Scene) -> None:
    """The program with the key finds exactly the segments and lines that the bus finds."""
    program = load()
    original = {path: path.read_bytes() for path in scene.paths}
    public, faults = heads.load_all(heads.stored(), heads.public_keys())
    assert faults == {}
    random, found = Random(15), 0
    for _attempt in range(150):
        mutated(random, scene)
        report = verifying.verify(reader.segments(), None, None, timezone.now(), public)
        ours = {name: int(re.search(r"line (\d+)", text)[1]) for name, text in report.broken.items()}  # type: ignore[index]
        other = program.verify([str(settings.JOURNAL_DIR)], str(scene.heads), heads.public_keys(), settings.JOURNAL_KEY)
        assert {name: line for name, (_kind, line, _words) in other.broken.items()} == ours
        found += bool(ours)
        for path, content in original.items():
            path.write_bytes(content)
    assert found > 120


# --------------------------------------------------------------------------------------- the history


def _history(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.split(": ", 1)[1] for line in audit(capsys, "--history", "0") if line.startswith("BROKEN")]


def test_a_record_that_was_changed_is_found(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert _history(capsys) == []
    first, second, third, *_more = CallRecord.objects.order_by("pk")
    CallRecord.objects.filter(pk=first.pk).update(application="lain")
    assert _history(capsys) == ["line 3: the history has another application"]
    CallRecord.objects.filter(pk=first.pk).update(application=first.application, client_ip="10.9.9.9")
    assert _history(capsys) == ["line 2: the history has another client ip"]
    CallRecord.objects.filter(pk=first.pk).update(client_ip=first.client_ip)
    third.delete()
    assert _history(capsys) == ["line 2: the history has no record of it"]
    CallRecord.objects.create(request_id="f" * 32, started_at=timezone.now(), segment=second.segment, outcome=200)
    assert "the history has 1 records that the segment has not" in _history(capsys)


def test_an_erased_record_is_not_taken_for_a_change(
    scene: Scene, capsys: pytest.CaptureFixture[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONTENT_DAYS = 30
    later = timezone.now() + timedelta(days=31)
    assert erasing.erase_old(later) == 6
    shipping.ship()
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert _history(capsys) == []
    CallRecord.objects.update(status=500)
    assert len(_history(capsys)) == 6
