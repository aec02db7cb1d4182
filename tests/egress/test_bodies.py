"""Bodies as they come: in any pieces, encodings and characters, in bounded memory."""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import tracemalloc
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mantra.egress import unpacking
from mantra.egress.bodies import FILE, Body, Leaked, Source
from mantra.egress.unpacking import MOST_TIMES, Unreadable
from tests.egress.numbers import Numbers

#: Each case is the same code with other bytes.
_few = hypothesis_settings(max_examples=15)

NIK, EMAIL = "3201075001900001", "budi@contoh.id"


def _lists() -> list[dict[str, Any]]:
    numbers = Numbers(5)
    return [
        {"id": number, "nama": "Budi", "ket": "tanpa nomor", "saldo": 1000 + number}
        | ({"nik": numbers.nik()} if number % 7 == 0 else {})
        for number in range(60)
    ]


def _xml(rows: list[dict[str, Any]]) -> str:
    each = "".join("<b>" + "".join(f"<{name}>{value}</{name}>" for name, value in row.items()) + "</b>" for row in rows)
    return f'<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">{each}</s:Envelope>'


def _php(rows: list[dict[str, Any]]) -> str:
    def one(value: Any) -> str:
        return f"i:{value};" if isinstance(value, int) else f's:{len(value)}:"{value}";'

    items = "".join(
        f"i:{at};a:{len(row)}:{{{''.join(one(part) for pair in row.items() for part in pair)}}}"
        for at, row in enumerate(rows)
    )
    return f"a:{len(rows)}:{{{items}}}"


def _csv(rows: list[dict[str, Any]]) -> str:
    return "\r\n".join(",".join(str(value) for value in row.values()) for row in rows)


ROWS = _lists()
MANY = sum("nik" in row for row in ROWS)
TEXTS: dict[str, tuple[str, str]] = {
    "JSON": ("application/json", json.dumps(ROWS)),
    "indented JSON": ("application/json", json.dumps(ROWS, indent=4)),
    "XML": ("text/xml", _xml(ROWS)),
    "PHP": ("text/plain", _php(ROWS)),
    "CSV": ("text/csv", _csv(ROWS)),
    "tabs": ("text/plain", _csv(ROWS).replace(",", "\t")),
    "prose": ("text/plain", ". ".join(f"Warga bernama Budi {row.get('nik', '')} tinggal di sana" for row in ROWS)),
}


def fed(body: Body, content: bytes, splits: Iterable[int] = ()) -> bytes:
    """Give a body its content in pieces. Returns what went out."""
    return b"".join(_pieces(body, content, splits))


def _pieces(body: Body, content: bytes, splits: Iterable[int] = ()) -> Iterator[bytes]:
    before = 0
    for end in (*sorted(splits), len(content)):
        yield from body.feed(content[before:end])
        before = end
    yield from body.feed(b"", last=True)


def watched(body: Body, content: bytes, splits: Iterable[int] = ()) -> None:
    """Have a body looked at in pieces."""
    before = 0
    for end in (*sorted(splits), len(content)):
        body.look(content[before:end])
        before = end
    body.look(b"", last=True)


@pytest.mark.parametrize("name", TEXTS)
@_few
@given(splits=st.lists(st.integers(0, 8_000), max_size=12))
def test_any_split_finds_and_covers_the_same(name: str, splits: list[int]) -> None:
    media_type, text = TEXTS[name]
    content = text.encode()
    splits = [split for split in splits if split < len(content)]
    body = Body(Source(media_type, ""), (), covers=True, holds=True)
    covered = fed(body, content, splits)
    assert body.counts == {"NIK": MANY}
    whole = Body(Source(media_type, ""), (), covers=True, holds=True)
    assert covered == fed(whole, content)
    assert len(covered) == len(content)
    assert all(row["nik"].encode() not in covered for row in ROWS if "nik" in row)
    watching = Body(Source(media_type, ""), ())
    watched(watching, content, splits)
    assert watching.counts == {"NIK": MANY}


@pytest.mark.parametrize("name", TEXTS)
def test_a_byte_at_a_time(name: str) -> None:
    media_type, text = TEXTS[name]
    content = text.encode()[:1500]
    body, whole = (Body(Source(media_type, ""), (), covers=True, holds=True) for _each in range(2))
    assert fed(body, content, range(len(content))) == fed(whole, content)
    assert body.counts == whole.counts


def test_what_was_covered_is_still_a_document() -> None:
    content = json.dumps({"nik": int(NIK), "teks": f"nomor {NIK}", "daftar": [int(NIK), 1], "email": EMAIL})
    body = Body(Source("application/json; charset=utf-8", ""), (), covers=True, holds=True)
    found = json.loads(fed(body, content.encode()))
    stars = "*" * 16
    assert found == {"nik": None, "teks": f"nomor {stars}", "daftar": [None, 1], "email": "*" * len(EMAIL)}


def test_covered_php_can_still_be_read() -> None:
    import phpserialize

    content = f'a:2:{{s:3:"nik";s:16:"{NIK}";s:1:"n";i:{NIK};}}'.encode()
    found = phpserialize.loads(fed(Body(Source("text/plain", ""), (), covers=True, holds=True), content))
    assert found == {b"nik": b"*" * 16, b"n": 0}


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=4),
    "zstd": zstd.compress,
    "identity": bytes,
    "": bytes,
}


def _raw_deflate(content: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(content) + made.flush()


@pytest.mark.parametrize("encoding", ENCODERS)
@_few
@given(split=st.integers(0, 400))
def test_content_encodings(encoding: str, split: int) -> None:
    content = TEXTS["JSON"][1].encode()
    body = Body(Source("application/json", encoding), (), covers=True, holds=True)
    out = fed(body, ENCODERS[encoding](content), [split])
    assert body.counts == {"NIK": MANY}
    assert len(out) == len(content)


def test_deflate_without_a_head_and_gzip_of_several_members() -> None:
    content = f'{{"nik":"{NIK}"}}'.encode()
    bare = Body(Source("application/json", "deflate"), ())
    watched(bare, _raw_deflate(content))
    assert bare.counts == {"NIK": 1}
    for encoding in ("gzip", "zstd"):
        pack = ENCODERS[encoding]
        for split in ([], [len(pack(b'{"a":1,'))]):  # also where one chunk ends with the first member
            several = Body(Source("application/json", encoding), (), holds=True, covers=True)
            assert len(fed(several, pack(b'{"a":1,') + pack(content[1:]), split)) == 7 + len(content) - 1
            assert several.counts == {"NIK": 1}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 3 * 65_536])
def test_bodies_as_long_as_what_is_unpacked_at_once(encoding: str, size: int) -> None:
    content = (b'"aman", ' * size)[:size]
    unpacking_ = unpacking.unpacker(encoding)
    assert b"".join(unpacking_.feed(ENCODERS[encoding](content))) == content
    unpacking_.end()


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip", "gzip, br", "aes128gcm"])
def test_an_encoding_that_nobody_reads(encoding: str) -> None:
    with pytest.raises(Unreadable):
        Body(Source("application/json", encoding), ())


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("part", ["another", "short", "shorter", "behind"])
def test_damaged_encodings(encoding: str, part: str) -> None:
    packed = ENCODERS[encoding](bytes(range(256)) * 20)
    damaged = {"another": b"not packed at all", "short": packed[:20], "shorter": packed[:5], "behind": packed + b"more"}
    with pytest.raises(Unreadable):
        fed(Body(Source("application/json", encoding), (FILE,), holds=True), damaged[part])


def test_a_window_that_no_receiver_must_have_is_not_unpacked() -> None:
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    with pytest.raises(Unreadable):
        fed(Body(Source("text/plain", "zstd"), (), holds=True), zstd.compress(b"aman " * 4_000_000, options=options))


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("sign", [b"\0", b" ", b"7", b"<"])
def test_a_bomb_is_given_up_in_bounded_memory(sign: bytes, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 MiB that came as 40 KiB or less: not more than FREE_BYTES of them are unpacked, a piece at a time."""
    monkeypatch.setattr(unpacking, "FREE_BYTES", 512 * 1024)
    bomb = ENCODERS[encoding](sign * 40 * 1024 * 1024)
    assert len(bomb) * MOST_TIMES < 40 * 1024 * 1024
    body = Body(Source("text/plain", encoding), (), holds=True)
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable):
            deque(_pieces(body, bomb), maxlen=0)
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_of_a_bomb_that_is_only_watched_the_beginning_is_read() -> None:
    made = zlib.compressobj(wbits=31)
    bomb = made.compress(f'{{"nik":"{NIK}","x":"'.encode() + b" " * 10 * 1024 * 1024) + made.flush()
    body = Body(Source("application/json", "gzip"), ())
    tracemalloc.start()
    try:
        watched(body, bomb)
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert body.counts == {"NIK": 1}


CHARACTERS = {
    "utf-16 with a mark": ("", codecs.BOM_UTF16_LE, "utf-16-le"),
    "utf-16 big-endian with a mark": ("", codecs.BOM_UTF16_BE, "utf-16-be"),
    "utf-16 as declared": ("utf-16le", b"", "utf-16-le"),
    "utf-16 declared without an order": ("UTF-16", b"", "utf-16-be"),
    "utf-16 that nobody declared": ("", b"", "utf-16-le"),
    "utf-16 big-endian that nobody declared": ("", b"", "utf-16-be"),
    "utf-16 declared as utf-8": ("utf-8", b"", "utf-16-le"),
    "utf-32": ("", codecs.BOM_UTF32_LE, "utf-32-le"),
    "latin-1": ("iso-8859-1", b"", "latin-1"),
    "windows-1252": ("windows-1252", b"", "cp1252"),
    "utf-8 with a mark": ("utf-8", codecs.BOM_UTF8, "utf-8"),
    "utf-7": ("utf-7", b"", "utf-7"),
    "EBCDIC": ("ibm037", b"", "cp037"),
}


@pytest.mark.parametrize("name", CHARACTERS)
@_few
@given(split=st.integers(0, 300))
def test_characters(name: str, split: int) -> None:
    charset, mark, codec = CHARACTERS[name]
    text = f'{{"nama":"José","nik":"{NIK}","email":"{EMAIL}"}}'
    content = mark + text.encode(codec)
    media_type = f"application/json; charset={charset}" if charset else "application/json"
    body = Body(Source(media_type, ""), (), covers=True, holds=True)
    out = fed(body, content, [split])
    assert body.counts == {"NIK": 1, "EMAIL": 1}
    assert out == mark + text.replace(NIK, "*" * 16).replace(EMAIL, "*" * len(EMAIL)).encode(codec)


@pytest.mark.parametrize("charset", ["x-nobody-knows", "rot13", "zlib", "hex", "base64"])
def test_characters_that_nobody_reads(charset: str) -> None:
    with pytest.raises(Unreadable):
        Body(Source(f"text/plain; charset={charset}", ""), ())


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7 x", b"PK\x03\x04...", b"\x89PNG\r\n", gzip.compress(b"x" * 99, mtime=0)]
)
def test_files_are_held_unless_they_are_expected(content: bytes) -> None:
    with pytest.raises(Leaked, match=FILE):
        fed(Body(Source("application/octet-stream", ""), (), holds=True), content)
    assert fed(Body(Source("application/octet-stream", ""), (FILE,), holds=True), content, [3]) == content
    watching = Body(Source("application/octet-stream", ""), ())
    watched(watching, content)
    assert not watching.counts


def test_nothing_of_a_number_goes_out_before_it_is_refused() -> None:
    content = f'{{"a":"awal","nik":"{NIK}"}}'.encode()
    for split in range(1, len(content)):
        pieces: list[bytes] = []
        with pytest.raises(Leaked, match="NIK"):
            pieces.extend(_pieces(Body(Source("application/json", ""), (), holds=True), content, [split]))
        assert NIK[:1] not in b"".join(pieces).decode()


def test_what_is_clean_goes_out_as_it_came() -> None:
    content = bytes(range(256)) * 300 + "é – 中文".encode()
    body = Body(Source("application/octet-stream", ""), (), covers=True, holds=True)
    assert fed(body, content, range(0, len(content), 777)) == content
    assert not body.counts


def test_a_large_body_in_base64_is_read_across_its_pieces() -> None:
    inner = b"x" * 30_000 + f" {NIK} ".encode() + b"y" * 30_000
    content = base64.b64encode(inner)
    body = Body(Source("text/plain", ""), (), covers=True, holds=True)
    out = fed(body, content, range(0, len(content), 1_000))
    assert body.counts["NIK"] >= 1
    assert NIK.encode() not in base64.b64decode(out.replace(b"*", b"A"))


def test_memory_does_not_grow_with_a_body() -> None:
    body = Body(Source("application/json", ""), (), covers=True, holds=True)
    piece = b'{"a":"' + b"z" * 200 + b'","n":1},'
    deque(body.feed(piece * 100), maxlen=0)
    tracemalloc.start()
    try:
        for _number in range(60):
            deque(body.feed(piece * 100), maxlen=0)
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_kinds_that_are_expected_leave() -> None:
    content = f'{{"nik":"{NIK}","email":"{EMAIL}"}}'.encode()
    body = Body(Source("application/json", ""), ("NIK",), covers=True, holds=True)
    out = fed(body, content)
    assert NIK.encode() in out
    assert EMAIL.encode() not in out
