"""Agreement files: what is accepted by its content, and how it is stored."""

from __future__ import annotations

import base64
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from registry import agreements
from registry.agreements import Refused, media_type_of, pdf
from registry.models import AgreementFile, User


def stream(data: bytes, entries: bytes = b"/Filter /FlateDecode", packed: bool = True) -> bytes:
    body = zlib.compress(data) if packed else data
    return b"5 0 obj\n<< /Length %d %s >>\nstream\n%s\nendstream\nendobj\n" % (len(body), entries, body)


def document(*parts: bytes) -> bytes:
    catalog = b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] >>\nendobj\n"
    return b"%PDF-1.7\n" + catalog + b"".join(parts) + b"trailer\n<< /Root 1 0 R >>\nstartxref\n9\n%%EOF\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PDF = document(stream(b"BT /F1 12 Tf (Perjanjian kerja sama) Tj ET"))
PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0") + chunk(b"IEND", b"")
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xda\x00\x02" + b"\x55" * 40 + b"\xff\xd9"
OBJECTS = b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode"
SCRIPT = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PDF, "application/pdf"), (PNG, "image/png"), (JPEG, "image/jpeg"),
        # Signed electronically, with links and pictures, as offices write them.
        (document(b"3 0 obj\n<< /AcroForm << /SigFlags 3 /Fields [4 0 R] >> /OpenAction [2 0 R /Fit] >>\nendobj\n"),
         "application/pdf"),
        (document(b"3 0 obj\n<< /A << /S /URI /URI (https://contoh.go.id) >> >>\nendobj\n"), "application/pdf"),
        (document(stream(os.urandom(20_000), b"/Filter /DCTDecode", packed=False)), "application/pdf"),
        (document(stream(base64.a85encode(zlib.compress(b"BT ET")) + b"~>",
                         b"/Filter [/ASCII85Decode /FlateDecode]", packed=False)), "application/pdf"),
    ],
)  # fmt: skip
def test_it_works(content: bytes, media_type: str) -> None:
    assert media_type_of(content) == media_type


@pytest.mark.parametrize(
    "content",
    [
        document(b"3 0 obj\n" + SCRIPT + b"\nendobj\n"),
        document(b"3 0 obj\n<< /S /#4aava#53cript /J#53 (x) >>\nendobj\n"),
        document(stream(b"3 0 " + SCRIPT, OBJECTS)),
        document(stream(zlib.compress(SCRIPT), b"/Filter [/FlateDecode /FlateDecode]")),
        document(stream(SCRIPT, b"/Filter /DCTDecode % /Filter /FlateDecode")),
        document(stream(base64.a85encode(zlib.compress(SCRIPT)) + b"~>", b"/Filter [/A85 /Fl]", packed=False)),
        document(stream(SCRIPT.hex().encode() + b">", b"/Filter /ASCIIHexDecode", packed=False)),
        document(stream(SCRIPT, b"/Filter 9 0 R")),
        document(stream(SCRIPT, b"/Filter /LZWDecode", packed=False)),
        document(stream(SCRIPT[::-1], OBJECTS + b" /DecodeParms << /Predictor 12 >>")),
        document(b"3 0 obj\n<< /S /Launch /F (cmd.exe) >>\nendobj\n"),
        document(b"3 0 obj\n<< /Names << /EmbeddedFiles 4 0 R >> >>\nendobj\n"),
        document(b"3 0 obj\n<< /Type /Annot /Subtype /RichMedia >>\nendobj\n"),
        document(b"3 0 obj\n<< /AcroForm << /XFA 4 0 R >> >>\nendobj\n"),
        document(b"trailer\n<< /Encrypt 7 0 R >>\n"),
        document(stream(SCRIPT)[:-20]), PDF[:-6], b"%PDF-1.7\n" + os.urandom(5000),
        b"PK\x03\x04word/vbaProject.bin", b"\xd0\xcf\x11\xe0" + b"\0" * 600, b"<html><script>1</script>", b"",
        PNG + b"PK\x03\x04", PNG[:-1], PNG.replace(b"IHDR", b"iHDR"), JPEG[:-2], JPEG + b"<script>",
        b"\xff\xd8\xff\xe0",
    ],
)  # fmt: skip
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        media_type_of(content)


def packed(entries: bytes, data: bytes, line: bytes = b"stream\n") -> bytes:
    """An object with a stream whose first line is this."""
    return b"5 0 obj\n<< " + entries + b" >>\n" + line + data + b"\nendstream\nendobj\n"


OBJECT_SCRIPT = b"3 0 " + SCRIPT
DEFLATED, HEX = zlib.compress(OBJECT_SCRIPT), OBJECT_SCRIPT.hex().encode() + b">"
UNSEEN = OBJECT_SCRIPT[::-1]
#: An object stream but for its filters.
BARE = b"/Type /ObjStm /N 1 /First 4 "


@pytest.mark.parametrize(
    "content",
    [
        # Readers begin with the data in the next line, whatever ends this one.
        packed(OBJECTS, DEFLATED, b"stream\r"), packed(OBJECTS, DEFLATED, b"stream \n"),
        packed(OBJECTS, DEFLATED, b"stream%x\r\n"),
        # A word in a comment or a text makes no stream of what follows, and ends none.
        b"%stream\n" + packed(BARE + b"/Filter /LZWDecode", UNSEEN),
        b"%stream\n" + packed(BARE + b"/Filter [/RL]", UNSEEN, b"%endstream\nstream\n"),
        b"9 0 obj (stream\n) endobj " + packed(BARE + b"/T (>> endstream) /Filter 9 0 R", UNSEEN),
        b"%stream\n<< /Encrypt 7 0 R >> endstream\n",
        b"%stream\n3 0 obj\n<< /AcroForm << /XFA 4 0 R >> >>\nendobj\n%endstream\n",
        # Filters after filters, and what readers ignore in their input.
        packed(BARE + b"/Filter [/FlateDecode /ASCIIHexDecode]", zlib.compress(HEX)),
        packed(BARE + b"/Filter [/AHx /AHx]", HEX.hex().encode() + b">"),
        packed(BARE + b"/Filter [/A85 /AHx /Fl]", base64.a85encode(DEFLATED.hex().encode() + b">") + b"~>"),
        packed(BARE + b"/Filter /AHx", HEX.replace(b"4a", b"4zz-a")), packed(BARE + b"/Filter /AHx", HEX[:-1]),
        packed(BARE + b"/Filter /A85", base64.a85encode(OBJECT_SCRIPT) + b"vvv~>"),
        packed(BARE + b"/Filter /A85", b"<~" + base64.a85encode(OBJECT_SCRIPT) + b"~>"),
        packed(BARE + b"/Filter /FlateDecode", DEFLATED[:-4] + b"xxxx"),
        # Objects that this check could not read.
        packed(BARE + b"/Filter /DCTDecode", UNSEEN), packed(BARE + b"/Filter /FlateDecode", b"x\x9c" + UNSEEN),
        packed(BARE + b"/Filter /FlateDecode /DecodeParms 9 0 R", zlib.compress(UNSEEN)),
        packed(BARE + b"/Filter [/FlateDecode 9 0 R]", DEFLATED), packed(BARE + b"/F 9 0 R", UNSEEN),
    ],
)  # fmt: skip
def test_active_content_cannot_be_hidden(content: bytes) -> None:
    with pytest.raises(Refused):
        media_type_of(document(content))


def test_object_streams_and_texts_are_read_as_programs_write_them() -> None:
    objects = stream(b"3 0 << /Title (\\(stream of 5 0 obj\\) \\\\) >>", OBJECTS)
    table = stream(b"\1" * 40, b"/Type /XRef /W [1 2 1] /Filter /FlateDecode /DecodeParms << /Predictor 12 >>")
    title = b"7 0 obj\n<< /Title (a stream (of data)\n) /Count 3 /First 8 0 R >>\nendobj\n"
    assert media_type_of(document(title, objects, table)) == "application/pdf"


def test_a_stream_that_hides_its_end_is_read_to_its_end() -> None:
    """The stored block holds the word at which a careless reader stops; what follows is compressed."""
    packer = zlib.compressobj(0)
    first = packer.compress(b"x" * 100 + b"\nendstream\n" + SCRIPT) + packer.flush()
    content = document(b"5 0 obj\n<< /Filter /FlateDecode >>\nstream\n" + first + b"\nendstream\nendobj\n")
    with pytest.raises(Refused):
        media_type_of(content.replace(b"/JavaScript", b"/J#61vaScript"))


def test_work_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.process_time()
    monkeypatch.setattr(pdf, "MAX_WORK", 1_000_000)
    for content in (
        document(stream(b"\0" * 50_000_000)),
        document(*[stream(b"\0" * 900_000)] * 3),
        document(b"5 0 obj ((" * 30_000),
        document(packed(b"/Filter /Fl", b"x") * 2_000),
    ):
        with pytest.raises(Refused):
            media_type_of(content)
    assert time.process_time() - began < 5


# ------------------------------------------------------------------------------------------------- storing


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.FILES_DIR = tmp_path / "files"
    return settings.FILES_DIR


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create(username="pemohon")


def test_a_file_is_stored_privately_under_another_name(folder: Path, user: User) -> None:
    file = agreements.store(user, 'C:\\surat\\..\\PKS\u202e 12".pdf', [PDF[:50], PDF[50:]])
    assert (file.name, file.media_type, file.size) == ("PKS 12.pdf", "application/pdf", len(PDF))
    assert [path.name for path in folder.iterdir()] == [file.stored]
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / file.stored).stat().st_mode & 0o077 == 0
    with agreements.open_file(file) as stored:
        assert stored.read() == PDF
    assert agreements.own_upload(user, file.stored) == file
    assert agreements.own_upload(User.objects.create(username="lain"), file.stored) is None


def test_what_is_refused_is_not_stored(folder: Path, user: User, settings: Any) -> None:
    settings.MAX_AGREEMENT_BYTES = len(PDF) - 1
    for name, content in (("a.pdf", PDF), ("b.pdf", b"MZ")):
        with pytest.raises(ValidationError):
            agreements.store(user, name, [content])
    settings.MAX_AGREEMENT_BYTES = len(PDF)
    folder.parent.joinpath("files").write_text("")  # no folder can be made here
    with pytest.raises(ValidationError, match="MANTRA_FILES_DIR"):
        agreements.store(user, "a.pdf", [PDF])
    assert not AgreementFile.objects.exists()


def test_unused_files_are_removed_after_a_day(folder: Path, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    file = agreements.store(user, "a.pdf", [PDF])
    (folder / ".half").write_bytes(b"x")
    agreements.sweep()
    assert len(list(folder.iterdir())) == 2
    monkeypatch.setattr("registry.agreements.storage.KEPT_SECONDS", -5)
    agreements.sweep()
    assert not list(folder.iterdir())
    assert not AgreementFile.objects.filter(pk=file.pk).exists()


def test_a_user_has_few_unused_files(folder: Path, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.agreements.storage.MOST_UNUSED", 1)
    agreements.store(user, "a.pdf", [PDF])
    with pytest.raises(ValidationError):
        agreements.store(user, "b.pdf", [PDF])
