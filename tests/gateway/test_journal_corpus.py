"""Each way to tamper with a journal is named by file and line: by verify_audit, and by the program without the bus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from registry.journal import heads, reader, segments, shipping
from registry.models import JournalHead, JournalSegment
from tests.cast import Cast
from tests.gateway.journal_corpus import ATTACKS, AUDIT, KEYED, LAST, OFFLINE, PUBLIC, Attack, Scene
from tests.gateway.program import verify_journal


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
