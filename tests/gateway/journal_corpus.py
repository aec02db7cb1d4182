"""Journals that somebody has tampered with, made from one that the bus has written.

Each attack says what was done, and which verifier must name which line: verify_audit has the database and the key, the
program deploy/verify_journal.py has the heads, and sometimes the key.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from registry.journal import archive, heads, lines, reader, sealing
from registry.journal.chain import link
from registry.models import JournalHead, JournalSegment

#: Where an attack is found: by verify_audit, by it without the database, by the program without and with the key.
AUDIT, OFFLINE, PUBLIC, KEYED = "audit", "offline", "public", "keyed"
ALL = (AUDIT, OFFLINE, PUBLIC, KEYED)


@dataclass
class Scene:
    """A journal of two writers with three segments each, and the folder with its heads."""

    paths: list[Path]
    heads: Path

    def lines(self, number: int) -> list[bytes]:
        return self.paths[number].read_bytes().splitlines(keepends=True)

    def write(self, number: int, found: list[bytes]) -> None:
        self.paths[number].write_bytes(b"".join(found))

    def row(self, number: int) -> JournalSegment:
        return JournalSegment.objects.get(name=self.paths[number].name)


@dataclass(frozen=True)
class Attack:
    """What was done; the segment and the line that are named for it, and by whom.

    ``line``: the same for all, or of each verifier; 0 for a segment as a whole. ``head``: the number of a head that is
    named instead. ``unproven``: True if it is only said that something cannot be proven.
    """

    name: str
    do: Callable[[Scene], object]
    segment: int = -1
    line: int | dict[str, int] = 0
    found_by: tuple[str, ...] = ALL
    head: int = 0
    unproven: bool = False

    def __str__(self) -> str:
        return self.name

    def line_for(self, verifier: str) -> int:
        return self.line[verifier] if isinstance(self.line, dict) else self.line


# ------------------------------------------------------------------------------------------- tools


def remarked(name: str, found: list[bytes], key: bytes | None = None) -> list[bytes]:
    """Return lines with the marks that somebody without the key can make; with ``key`` also with their chains."""
    digest = chain = name.encode()
    made = []
    for raw in found:
        facts, content, seal, _mark, old = raw[:-1].split(b"\t")
        digest = lines.next_digest(digest, facts, lines.commitment(seal, content) if content else seal)
        chain = link(key, chain, digest) if key else old
        made.append(b"%b\t%b\t%b\t%b\t%b\n" % (facts, content, seal, digest[:16], chain))
    return made


def erased(raw: bytes) -> bytes:
    """Return a line without its content, as somebody without the key can erase it."""
    facts, content, seal, mark, chain = raw[:-1].split(b"\t")
    return b"%b\t\t%b\t%b\t%b\n" % (facts, lines.commitment(seal, content), mark, chain)


def field(raw: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    fields = raw[:-1].split(b"\t")
    fields[number] = change(fields[number])
    return b"\t".join(fields) + b"\n"


def flip(text: bytes) -> bytes:
    """Return a text with another last hex digit."""
    return text[:-1] + (b"0" if text[-1:] != b"0" else b"1")


def _edit(number: int, change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Scene], None]:
    return lambda scene: scene.write(number, change(scene.lines(number)))


def _remake(number: int, change: Callable[[list[bytes]], list[bytes]], key: bool = False) -> Callable[[Scene], None]:
    def do(scene: Scene) -> None:
        secret = settings.JOURNAL_KEY if key else None
        scene.write(number, remarked(scene.paths[number].name, change(scene.lines(number)), secret))

    return do


def _number(raw: bytes) -> bytes:
    return field(raw, 0, lambda facts: facts.replace(b'"status":200', b'"status":201'))


def _content(raw: bytes) -> bytes:
    return field(raw, 1, lambda content: content.replace(b'"params"', b'"Params"'))


def _removed(*numbers: int, rows: bool = False) -> Callable[[Scene], None]:
    def do(scene: Scene) -> None:
        for number in numbers:
            scene.paths[number].unlink()
            if rows:
                JournalSegment.objects.filter(name=scene.paths[number].name).delete()

    return do


def _rolled_back(scene: Scene) -> None:
    """Put a segment and its row back to how they were before its last lines, as somebody does who has the old ones."""
    row = scene.row(5)
    kept = scene.lines(5)[:3]
    scene.write(5, kept)
    digest = row.name.encode()
    for line in reader.lines(scene.paths[5]):
        digest = line.digest(digest)
        last = line
    row.offset, row.lines, row.last_hash, row.digest = last.end, last.number, last.chain.decode(), digest.decode()
    row.seal = sealing.seal(row)
    row.save()


def _cut_with_row(scene: Scene) -> None:
    scene.write(5, scene.lines(5)[:-1])
    row = scene.row(5)
    last = list(reader.lines(scene.paths[5]))[-1]
    JournalSegment.objects.filter(pk=row.pk).update(lines=last.number, offset=last.end, last_hash=last.chain.decode())


def _copied(scene: Scene) -> None:
    copy = scene.paths[5].with_name(scene.paths[5].name.replace("-2.journal", "-7.journal"))
    shutil.copy(scene.paths[5], copy)
    scene.paths.append(copy)


def _renamed(scene: Scene) -> None:
    scene.paths.append(scene.paths[5].rename(scene.paths[5].with_name("salinan-1-2-1700000000000000000-9.journal")))


def _foreign_line(scene: Scene) -> None:
    found = scene.lines(1)
    scene.write(1, [*found[:3], scene.lines(2)[2], *found[3:]])


def _successor(scene: Scene) -> None:
    """A second segment that continues the first one, made with the key."""
    name = scene.paths[1].name.replace("-1.journal", "-8.journal")
    opened = scene.lines(1)[:1]
    copy = scene.paths[1].with_name(name)
    copy.write_bytes(b"".join(remarked(name, opened, settings.JOURNAL_KEY)))
    scene.paths.append(copy)


def _clock(scene: Scene) -> None:
    """A writer with the key whose clock went back two hours."""
    name = scene.paths[5].name.replace("-2.journal", "-9.journal")
    copy = scene.paths[5].with_name(name)
    begins = ({"t": "begin", "id": "a", "at": at} for at in (_late(), 0))
    entries = [{"t": "open", "v": 2, "after": None}, *begins, {"t": "close"}]
    raw = [json.dumps(entry).encode() + b"\t\t\t\t\n" for entry in entries]
    copy.write_bytes(b"".join(remarked(name, raw, settings.JOURNAL_KEY)))
    scene.paths.append(copy)


def _late() -> float:
    return timezone.now().timestamp()


def _format(scene: Scene) -> None:
    _remake(0, lambda each: [each[0].replace(b'"v":2', b'"v":9'), *each[1:]], key=True)(scene)


def _without_members(scene: Scene) -> None:
    """A record of an erasure that names no lines, written with the key."""
    _remake(5, _at(3, lambda _raw: b'{"t":"erase","segment":7}\t\t\t\t\n'), key=True)(scene)


def _older_format(scene: Scene) -> None:
    """A line of format 1 in a segment of format 2, chained with the key."""
    found = scene.lines(5)
    body = b'{"t":"note"}'
    chain = found[2][:-1].split(b"\t")[4]
    scene.write(5, [*found[:3], b"%b %b\n" % (body, link(settings.JOURNAL_KEY, chain, body))])


def _damaged(scene: Scene) -> None:
    archive.keep(scene.paths[5], timezone.now())
    scene.paths[5].unlink()
    [packed] = archive.segments()
    raw = packed.read_bytes()
    packed.write_bytes(raw[: len(raw) // 2])


# ------------------------------------------------------------------------------------------- heads


def _head(serial: int, scene: Scene) -> Path:
    return scene.heads / str(serial)


def _changed_head(scene: Scene) -> None:
    path = _head(2, scene)
    text = path.read_text().replace('"days":90', '"days":91')
    path.write_text(text)
    JournalHead.objects.filter(serial=2).update(document=text, digest=heads.digest_of(text))


def _removed_head(scene: Scene) -> None:
    _head(2, scene).unlink()
    JournalHead.objects.filter(serial=2).delete()


def _removed_last_heads(_scene: Scene) -> None:
    """In the database only: others have theirs."""
    JournalHead.objects.filter(serial__gte=2).delete()


def _new_heads(scene: Scene) -> None:
    """The bus goes on after all heads were removed: their numbers are not given again."""
    JournalHead.objects.all().delete()
    for path in scene.heads.iterdir():
        path.unlink()
    [made] = heads.make_due(timezone.now())
    _head(made.serial, scene).write_text(made.document)


def _swapped_heads(scene: Scene) -> None:
    """Head 3 was made again, with the real key, so that it does not continue head 2."""
    document = heads.dump(3, timezone.now(), "0" * 64, [])
    _head(3, scene).write_text(document)
    JournalHead.objects.filter(serial=3).update(document=document, digest=heads.digest_of(document))


def _foreign_head(scene: Scene) -> None:
    """Head 3 was signed with another key."""
    last = JournalHead.objects.get(serial=2)
    kept = settings.HEAD_KEYS
    settings.HEAD_KEYS = [sha256(b"lain").hexdigest()]
    document = heads.dump(3, timezone.now(), last.digest, [])
    settings.HEAD_KEYS = kept
    _head(3, scene).write_text(document)
    JournalHead.objects.filter(serial=3).update(document=document, digest=heads.digest_of(document))


def _changed_row(scene: Scene) -> None:
    JournalSegment.objects.filter(pk=scene.row(2).pk).update(lines=2)


def _forged_erase(scene: Scene) -> None:
    """Content of a segment erased, and a record of it put into another one by somebody without the key."""
    scene.write(1, [*scene.lines(1)[:2], erased(scene.lines(1)[2]), *scene.lines(1)[3:]])
    record = json.dumps({"t": "erase", "segment": scene.paths[1].name, "lines": [[3, 3]], "because": "age"}).encode()
    found = scene.lines(4)
    found.insert(2, record + b"\t\t\t\t" + found[2][:-1].split(b"\t")[4] + b"\n")
    scene.write(4, remarked(scene.paths[4].name, found))


def _at(number: int, change: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    """Return what changes a line of those of a segment, which are counted from 1 on."""
    return lambda each: [*each[: number - 1], change(each[number - 1]), *each[number:]]


def _in_segment(number: int) -> dict[str, int]:
    """Return that the key shows the line, and without it the next head that names the segment: at its end."""
    return {AUDIT: number, OFFLINE: number, KEYED: number, PUBLIC: LAST}


#: Lines of each segment.
LAST = 6
#: What needs the database, or heads.
NOT_OFFLINE, WITH_KEY, HEADS = (AUDIT, PUBLIC, KEYED), (AUDIT, OFFLINE, KEYED), (AUDIT, PUBLIC, KEYED)

#: Segments 0 to 2 and 3 to 5 are those of a writer; the heads name them, and the last head names all as closed.
ATTACKS = [
    Attack("a byte of the content", _edit(1, _at(3, _content)), 1, 3),
    Attack("a number among the facts", _edit(1, _at(5, _number)), 1, 5),
    Attack("a byte of the salt", _edit(1, _at(3, lambda raw: field(raw, 2, flip))), 1, 3),
    Attack("a byte of the mark", _edit(1, _at(3, lambda raw: field(raw, 3, flip))), 1, 3),
    Attack("a byte of the chain", _edit(1, _at(3, lambda raw: field(raw, 4, flip))), 1, 3, WITH_KEY),
    Attack("content, with new marks", _remake(1, _at(3, _content)), 1, _in_segment(3)),
    Attack("the first line removed", _edit(1, lambda each: each[1:]), 1, 1),
    Attack("a line in the middle removed", _edit(1, lambda each: [*each[:2], *each[3:]]), 1, 3),
    Attack("the close line removed", _edit(5, lambda each: each[:-1]), 5, LAST, NOT_OFFLINE),
    Attack(
        "the close line in between removed", _edit(1, lambda each: each[:-1]), 1,
        {AUDIT: LAST, PUBLIC: LAST, KEYED: LAST, OFFLINE: LAST - 1},
    ),
    Attack("a line of another segment added", _foreign_line, 1, 4),
    Attack("a line added with new marks", _remake(1, lambda each: [*each[:3], each[2], *each[3:]]), 1, _in_segment(4)),
    Attack("a line added behind the end, with the key", _remake(5, lambda each: [*each, each[2]], True), 5, LAST + 1),
    Attack("two lines swapped", _edit(1, lambda each: [each[0], each[2], each[1], *each[3:]]), 1, 2),
    Attack("a line repeated", _edit(1, lambda each: [*each[:3], *each[2:]]), 1, 4),
    Attack("half a line at the end", _edit(5, lambda each: [*each[:-1], each[-1][:50]]), 5, LAST),
    Attack("a segment copied under another name", _copied, 6, 1),
    Attack("a segment renamed", _renamed, 6, 1),
    Attack("the first segment removed", _removed(0), 0),
    Attack("a segment in the middle removed", _removed(1), 1),
    Attack("the last segment removed", _removed(5), 5, 0, NOT_OFFLINE),
    Attack("the last segment removed with its row", _removed(5, rows=True), 5, 0, HEADS),
    Attack("all segments removed with their rows", _removed(0, 1, 2, 3, 4, 5, rows=True), 3, 0, HEADS),
    Attack("a row removed", lambda s: s.row(1).delete(), 2, 0, (AUDIT,)),
    Attack("a row changed", _changed_row, 2, 2, (AUDIT,)),
    Attack("the end cut off, and the row changed", _cut_with_row, 5, LAST, HEADS),
    Attack("file and row put back together", _rolled_back, 5, 4, HEADS),
    Attack("rewritten by somebody with the key", _remake(1, _at(3, _content), True), 1, LAST),
    Attack("content erased without a record", _edit(1, _at(3, erased)), 1, 3),
    Attack("erased with another commitment", _edit(1, _at(3, lambda raw: field(erased(raw), 2, flip))), 1, 3),
    Attack("a forged record of an erasure", _forged_erase, 4, 3),
    Attack("content erased with a forged record", _forged_erase, 1, 3),
    Attack("two segments that continue the same one", _successor, 6),
    Attack("a clock that was put back", _clock, 6, 3, unproven=True),
    Attack("an unknown format", _format, 0, 1),
    Attack("a line without what it must have, with the key", _without_members, 5, 3),
    Attack("a line of an older format", _older_format, 5, 4),
    Attack("an archive that is damaged", _damaged, 5),
    Attack("the last heads removed", _removed_last_heads, found_by=(AUDIT,), head=3),
    Attack("all heads removed, and new ones made", _new_heads, found_by=HEADS, head=4),
    Attack("a head changed", _changed_head, found_by=HEADS, head=2),
    Attack("a head removed", _removed_head, found_by=HEADS, head=2),
    Attack("a head that continues another one", _swapped_heads, found_by=HEADS, head=3),
    Attack("a head signed with another key", _foreign_head, found_by=HEADS, head=3),
]  # fmt: skip
