"""Whatever is written as evidence is checked: each test breaks one piece of it as somebody without the key could."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from registry.journal import archive, chain, heads, reader, sealing, segments, shipping
from registry.journal.lines import next_digest
from registry.models import JournalSegment
from tests.servers.bus import Bus

Attack = Callable[[list[Path]], None]


@pytest.fixture
def journal(db: None, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return six segments that are closed and shipped: three of a writer in a row, twice."""
    for _writer in range(2):
        for number in range(9):
            monkeypatch.setattr(segments, "MAX_BYTES", 0 if number % 3 == 0 else 10_000)  # three lines each
            segments.write({"t": "note", "number": number})
        segments.close()
    shipping.ship()
    paths = reader.segments()
    assert len(paths) == 6
    assert JournalSegment.objects.filter(closed=True).count() == 6
    return paths


def audit(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Return what verify_audit says: "" if nothing is broken."""
    capsys.readouterr()
    try:
        call_command("verify_audit", *options)
    except CommandError as error:
        return capsys.readouterr().out + str(error)
    out = capsys.readouterr().out
    assert "BROKEN" not in out
    return out if "UNPROVEN" in out else ""


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def cut(path: Path, count: int = 1) -> None:
    path.write_bytes(b"".join(lines(path)[:-count]))


def row_follows(path: Path) -> None:
    """Set a segment's row to what its file has now."""
    last = list(reader.lines(path))[-1]
    JournalSegment.objects.filter(name=path.name).update(
        lines=last.number, offset=last.end, last_hash=last.chain.decode()
    )


def removed(path: Path, with_row: bool = False) -> None:
    path.unlink()
    if with_row:
        JournalSegment.objects.filter(name=path.name).delete()


def test_it_works(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(capsys) == audit(capsys, "--offline") == ""


@pytest.mark.parametrize("segment", [0, 1, 2, 5], ids=["first", "middle", "last of a writer", "last of all"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda each: [each[0], each[1].replace(b"note", b"nota"), *each[2:]],
        lambda each: [each[0], *each[2:]],
        lambda each: [each[0], each[2], each[1], *each[3:]],
        lambda each: each[1:],
        lambda each: [*each, each[-1]],
    ],
    ids=["changed", "taken out", "swapped", "beheaded", "repeated"],
)
def test_s11_lines(journal: list[Path], capsys: pytest.CaptureFixture[str], segment: int, damage: Any) -> None:
    path = journal[segment]
    path.write_bytes(b"".join(damage(lines(path))))
    for options in ((), ("--offline",)):
        assert f"BROKEN {path.name}: line" in audit(capsys, *options)


@pytest.mark.parametrize("segment", [0, 1, 2, 5])
def test_s11_a_cut_tail(journal: list[Path], capsys: pytest.CaptureFixture[str], segment: int) -> None:
    """The successor names the line with which a segment ended; without one the close line is missed."""
    path = journal[segment]
    cut(path)
    assert f"BROKEN {path.name}" in audit(capsys)
    offline = audit(capsys, "--offline")
    assert f"{'BROKEN' if segment < 2 else 'UNPROVEN'} {path.name}" in offline
    # The row is changed too, without the key.
    row_follows(path)
    assert f"BROKEN {path.name}: its row in the database was changed" in audit(capsys)


@pytest.mark.parametrize("with_row", [False, True], ids=["the file", "both"])
@pytest.mark.parametrize("segment", [0, 1, 2, 3])
def test_s11_a_segment_that_is_gone(
    journal: list[Path], capsys: pytest.CaptureFixture[str], segment: int, with_row: bool
) -> None:
    removed(journal[segment], with_row)
    assert "missing" in audit(capsys)
    offline = audit(capsys, "--offline")
    assert ("the segment is missing" in offline) == (segment != 2)  # nothing continues the last one of a writer


def test_s11_what_only_a_head_shows(journal: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The last segment, and all of them: with their rows they leave no trace where they were."""
    head = tmp_path / "head"
    audit(capsys, "--head", str(head))
    assert audit(capsys, "--since-head", str(head)) == audit(capsys, "--offline", "--since-head", str(head)) == ""
    removed(journal[5], with_row=True)
    assert audit(capsys) == ""
    for options in ((), ("--offline",)):
        assert f"BROKEN {journal[5].name}: the segment is missing: 5 lines were named by the head" in audit(
            capsys, *options, "--since-head", str(head)
        )
    for path in journal[:5]:
        removed(path, with_row=True)
    assert audit(capsys) == ""
    assert "6 of 0 segments" in audit(capsys, "--since-head", str(head))


def test_s11_a_head_by_standard_input_and_output(
    journal: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    call_command("verify_audit", "--head", "-")
    written = capsys.readouterr()
    assert "are unchanged" in written.err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(written.out.encode())))
    removed(journal[5], with_row=True)
    assert "named by the head" in audit(capsys, "--since-head", "-")


def test_s11_an_old_row_with_its_old_file_is_shown_by_a_head(
    journal: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    segments.write({"t": "note"})
    shipping.ship()
    path = reader.segments()[-1]
    before, row = path.read_bytes(), JournalSegment.objects.get(name=path.name)
    segments.write({"t": "note"})
    shipping.ship()
    audit(capsys, "--head", str(tmp_path / "head"))
    segments._writers[""].segment = None  # killed
    path.write_bytes(before)
    row.save()
    assert "BROKEN" not in audit(capsys)
    assert f"BROKEN {path.name}: line 3 is missing" in audit(capsys, "--since-head", str(tmp_path / "head"))


def test_s11_a_head_is_signed_and_reaches_what_was_written_since(
    journal: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    head = tmp_path / "head"
    segments.write({"t": "note"})
    audit(capsys, "--head", str(head))
    segments.write({"t": "note"})
    shipping.ship()
    assert audit(capsys, "--since-head", str(head)) == ""
    head.write_bytes(head.read_bytes().replace(b'"v":1', b'"v":2'))
    assert "was changed" in audit(capsys, "--since-head", str(head))
    assert "cannot be used" in audit(capsys, "--since-head", str(tmp_path / "none"))


@pytest.mark.parametrize("column", ["name", "serial", "offset", "lines", "last_hash", "closed", "closed_at", "adopted",
                                    "pruned", "first", "seal"])  # fmt: skip
def test_s11_each_column_of_a_row_is_sealed(
    journal: list[Path], capsys: pytest.CaptureFixture[str], column: str
) -> None:
    row = JournalSegment.objects.get(name=journal[1].name)
    old = getattr(row, column)
    new = not old if isinstance(old, bool) else old + timedelta(days=-400) if column == "closed_at" else None
    new = old + 100 if isinstance(old, int) and new is None else new if new is not None else "x" * 64
    JournalSegment.objects.filter(pk=row.pk).update(**{column: new})
    assert "BROKEN" in audit(capsys)
    JournalSegment.objects.filter(pk=row.pk).update(**{column: old})
    assert audit(capsys) == ""


def test_s11_the_shipper_seals_no_row_that_was_changed(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    segments.write({"t": "note"})
    shipping.ship()
    path = reader.segments()[-1]
    JournalSegment.objects.filter(name=path.name).update(adopted=True)
    segments.write({"t": "note"})
    shipping.ship()
    assert f"BROKEN {path.name}: its row in the database was changed" in audit(capsys)


def test_s11_nobody_has_a_segment_deleted_by_its_row(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    JournalSegment.objects.filter(name=journal[2].name).update(closed_at=timezone.now() - timedelta(days=400))
    shipping.prune()
    assert journal[2].exists()
    assert "BROKEN" in audit(capsys)


def age(*paths: Path) -> None:
    """Let segments have been closed long ago, with the key."""
    for row in JournalSegment.objects.filter(name__in=[path.name for path in paths]):
        row.closed_at = timezone.now() - timedelta(days=settings.JOURNAL_DAYS + 1)
        row.seal = sealing.seal(row)
        row.save()


def test_an_archived_segment_is_proven_by_its_chain(
    journal: list[Path], capsys: pytest.CaptureFixture[str], settings: Any, tmp_path: Path
) -> None:
    settings.JOURNAL_ARCHIVE_DIR = tmp_path / "archive"
    text = journal[0].read_bytes()
    age(journal[0])
    shipping.prune()
    (packed,) = archive.segments()
    assert not journal[0].exists() and gzip.decompress(packed.read_bytes()) == text
    assert audit(capsys, "--archive") == ""
    packed.write_bytes(gzip.compress(text.replace(b'"t":"', b'"t":"x', 1)))
    assert "was changed" in audit(capsys, "--archive") and audit(capsys) == ""
    packed.write_bytes(gzip.compress(text)[:-20])
    assert "its archive is damaged" in audit(capsys, "--archive")
    (settings.JOURNAL_ARCHIVE_DIR / "bukti").mkdir()
    kept = packed.rename(settings.JOURNAL_ARCHIVE_DIR / "bukti" / packed.name)
    packed.write_bytes(b"x")
    archive.prune(timezone.now() + timedelta(days=40))
    # What a person has put beside the months stays, and keeps nothing else from being deleted.
    assert archive.segments() == [kept] and not packed.parent.exists()


def test_a_segment_that_cannot_be_archived_is_kept(journal: list[Path], settings: Any, tmp_path: Path) -> None:
    settings.JOURNAL_ARCHIVE_DIR = tmp_path / "file"
    settings.JOURNAL_ARCHIVE_DIR.touch()
    age(journal[0])
    shipping.prune()
    assert journal[0].exists()
    settings.ARCHIVE_DAYS = 0  # none is archived
    shipping.prune()
    assert not journal[0].exists()


def test_s11_what_the_bus_deletes_itself_is_not_missed(
    journal: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    head = tmp_path / "head"
    age(journal[0], journal[3])
    audit(capsys, "--head", str(head))
    shipping.prune()
    assert [path.exists() for path in journal] == [False, True, True, False, True, True]
    # By their names, the successors were opened just now.
    monkeypatch.setattr("registry.journal.verifying._opened", lambda name: timezone.now() - timedelta(days=400))
    assert audit(capsys) == audit(capsys, "--since-head", str(head)) == ""
    assert audit(capsys, "--offline").count("UNPROVEN") == 2
    heads.make_due(timezone.now())  # it says that they were deleted
    age(journal[1], journal[2])
    shipping.prune()
    assert JournalSegment.objects.count() == 6
    heads.make_due(timezone.now())
    shipping.prune()
    left = list(JournalSegment.objects.order_by("serial").values_list("serial", "pruned", "first"))
    assert left == [(4, True, True), (5, False, False), (6, False, False)]
    assert audit(capsys) == ""


def test_s11_pruning_hides_no_row_that_was_removed(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    removed(journal[1], with_row=True)
    age(*journal)
    shipping.prune()
    assert "rows between" in audit(capsys)
    JournalSegment.objects.filter(name=journal[0].name).delete()
    assert "rows of earlier segments are missing" in audit(capsys)


def test_s11_a_copy_that_continues_the_same_segment(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = next(reader.lines(journal[1]))
    again = segments.Segment(1, (journal[0].name, list(reader.lines(journal[0]))[-1].chain.decode(), ""))
    again.close()
    assert before.number == 1
    assert f"it continues {journal[0].name}, as " in audit(capsys, "--offline")


def test_s11_a_renamed_segment(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    copy = journal[5].with_name(journal[5].name.replace("-0.journal", "-9.journal").replace("-2.", "-8."))
    copy.write_bytes(journal[5].read_bytes())
    assert f"BROKEN {copy.name}: line 1" in audit(capsys, "--offline")


def test_s11_nothing_follows_a_close_line(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Not even what was written with the key."""
    written = list(reader.lines(journal[5]))
    digest = journal[5].name.encode()
    for line in written:
        digest = line.digest(digest)
    digest = next_digest(digest, b'{"t":"note"}', b"")
    more = chain.link(settings.JOURNAL_KEY, written[-1].chain, digest)
    with journal[5].open("ab") as file:
        file.write(b'{"t":"note"}\t\t\t%b\t%b\n' % (digest[:16], more))
    assert "follows the close line" in audit(capsys, "--offline")


def test_s11_rows_of_before_stay_verifiable_and_are_named(
    journal: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The migration numbers and seals them as they are; what was done to them before cannot be told."""
    from importlib import import_module

    migration = import_module("registry.migrations.0005_seal_journal_segments")
    JournalSegment.updated_at = timezone.now()  # type: ignore[attr-defined]
    JournalSegment.objects.update(seal="", serial=None, closed_at=None)
    try:
        migration.seal_rows(apps, None)
    finally:
        del JournalSegment.updated_at  # type: ignore[attr-defined]
    found = audit(capsys)
    assert found.count("UNPROVEN") == 6
    assert "its row was sealed by an upgrade" in found
    cut(journal[5])
    assert f"BROKEN {journal[5].name}" in audit(capsys)


def test_s11_a_new_key_begins_with_an_empty_folder(journal: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="archive first"):
        call_command("ship_journal", "--start-over")
    for path in journal:
        path.unlink()
    call_command("ship_journal", "--start-over")
    assert audit(capsys) == ""


def test_a_file_that_is_being_opened_is_not_closed(db: None) -> None:
    path = Path(settings.JOURNAL_DIR) / f"h-1-1-{1:d}-0{chain.SUFFIX}"
    path.touch()
    shipping.ship()
    assert not JournalSegment.objects.filter(closed=True).exists()


def test_s11_a_bus_that_stops_closes_its_segments(tmp_path: Path) -> None:
    """What has no close line was killed: a stop must not look like that."""
    with Bus(tmp_path) as bus:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _number: bus.status("/rest/a/b/c"), range(20)))
        assert bus.stop() == 0
        paths = sorted((tmp_path / "journal").glob("*.journal"))
        assert paths
        assert all(b'{"t":"close"}' in path.read_bytes().splitlines()[-1] for path in paths)
