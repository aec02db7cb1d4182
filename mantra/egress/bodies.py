"""Reads bodies as they come, in bounded memory, and finds or covers what identifies people in them.

A number may be in two chunks: what may still go on waits for the next one. A body in a Content-Encoding is unpacked;
what cannot be read, such as an unknown encoding, raises Unreadable.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Collection, Iterator

from mantra.egress.prefilter import may_have
from mantra.egress.scanner import Found, scan
from mantra.egress.unpacking import Plain, Unpacker, Unreadable, unpacker

#: The kind of a body, or a part of one, that cannot be read.
FILE = "FILE"
#: Characters that are looked at in one piece.
_WINDOW = 2_048
#: The most bytes of a body that is only watched, once it is unpacked.
LOOKED_AT = 256 * 1024
#: Characters that may wait for the next chunk, and that are looked at again beside those that follow.
_WAITING, _AGAIN = 4_096, 128
#: What is in no number, address, escape or text in base64.
_BOUNDARIES = "\"'<>,[]|\n\r\t"
_BETWEEN_WORDS = re.compile(r"[A-Za-z]{2} (?=[A-Za-z])")
#: Codecs whose first 128 characters are those of ASCII. Python's names.
_LIKE_ASCII = re.compile(
    r"(?:ascii|utf-8|utf-8-sig|latin-1|iso8859-.*|cp125\d|cp437|cp850|cp858|koi8.*|mac.*|big5|gbk|gb2312|gb18030"
    r"|euc.*|shift_jis|cp9\d\d|tis-620)\Z"
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
#: Bytes by which it is decided how a body is read.
_HEAD = 64
#: The first bytes of files whose content is no text: documents, images, archives.
_FILES = (
    b"%PDF", b"PK\x03\x04", b"PK\x05\x06", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"Rar!", b"7z\xbc\xaf", b"BZh",
    b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"II*\0", b"MM\0*", b"RIFF", b"\xd0\xcf\x11\xe0", b"OggS", b"ID3",
    b"SQLite format",
)  # fmt: skip
#: Bytes that distinguish a text from another content, and characters that texts hardly have.
_SAMPLE = 512
_CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r\f\x1b")
#: A number that JSON and PHP write without quotes, and the characters before it that tell.
_NUMBER, _BEFORE = re.compile(r"[0-9.eE+]+"), 16
_GZIP = b"\x1f\x8b"


class Leaked(Exception):
    """A body has what must not leave. ``kind``: what."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


# ------------------------------------------------------------------------------------------- texts


class Text:
    """Finds what identifies people in a text that comes in pieces, and covers it if ``covers``.

    ``expected``: kinds that may leave. ``base64``: look into it too. ``counts`` has what was found, by kinds.
    """

    def __init__(
        self, expected: Collection[str], covers: bool = False, base64: bool = True, json: bool = False
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._expected, self._covers, self._base64, self._json = expected, covers, base64, json
        #: What waits, and the characters before it, which are not looked at again.
        self._text, self._done = "", 0

    def feed(self, piece: str, last: bool = False) -> str:
        """Take the next piece. Return the text that can go out."""
        text = self._text + piece if self._text else piece
        cut, begin = len(text) if last else self._cut(text), self._done
        if cut <= begin:
            self._text = text
            return ""
        if self._may_have(text, begin, cut):
            out = []
            for end in self._ends(text, begin, cut):
                out.append(self._looked_at(text, begin, end))
                begin = end
            going = "".join(out)
        else:
            going = text[begin:cut]
        keep = max(0, cut - _AGAIN)
        self._text, self._done = text[keep:], cut - keep
        return going

    def _may_have(self, text: str, begin: int, end: int) -> bool:
        return may_have(text[max(0, begin - _AGAIN) : end].encode("utf-8", "surrogatepass"), self._base64)

    def _cut(self, text: str) -> int:
        """Return where a text can be cut: what is before it is in no number with what comes."""
        low = max(self._done, len(text) - _WAITING)
        found = max(text.rfind(sign, low) for sign in _BOUNDARIES) + 1
        if found > low:
            return found
        words = list(_BETWEEN_WORDS.finditer(text, low))
        if words:
            return words[-1].end()
        if len(text) - self._done < _WAITING:
            return 0
        # Nothing is between all these characters: a text in base64, or no text. Its groups of four stay together.
        return self._done + (len(text) - _AGAIN - self._done) // 4 * 4

    def _ends(self, text: str, begin: int, cut: int) -> Iterator[int]:
        """Yield the ends of the pieces that are looked at, each at a boundary."""
        while cut - begin > _WINDOW:
            end = max(text.rfind(sign, begin, begin + _WINDOW) for sign in _BOUNDARIES) + 1
            if end <= begin:
                words = list(_BETWEEN_WORDS.finditer(text, begin, begin + _WINDOW))
                end = words[-1].end() if words else min(cut, begin + _WAITING)
            yield end
            begin = end
        yield cut

    def _looked_at(self, text: str, begin: int, end: int) -> str:
        """Return a piece of a text, covered where that is wanted."""
        if not self._may_have(text, begin, end):
            return text[begin:end]
        context = max(0, begin - _AGAIN)
        found = [
            Found(each.kind, max(begin, each.begin + context), each.end + context)
            for each in scan(text[context:end], base64=self._base64)
            if each.end + context > begin and each.kind not in self._expected
        ]
        pieces: list[str] = []
        upto = begin
        for each in found:
            self.counts[each.kind] += 1
            pieces += (text[upto : each.begin], self._cover(text, each))
            upto = each.end
        return "".join((*pieces, text[upto:end])) if self._covers else text[begin:end]

    def _cover(self, text: str, found: Found) -> str:
        """Return what stands in the place of a find: as many characters, and of a type that the format has there."""
        size = found.end - found.begin
        before = text[max(0, found.begin - _BEFORE) : found.begin].rstrip()
        if _NUMBER.fullmatch(text, found.begin, found.end):
            if self._json and before.endswith((":", "[", ",")):
                return "null".ljust(size)
            if before.endswith(("i:", "d:")):  # PHP's numbers
                return "0" * size
        return "*" * size


# ------------------------------------------------------------------------------------------ bodies


class Source:
    """How a body is written, by its Content-Type and Content-Encoding. Raises Unreadable if nobody here can read it."""

    def __init__(self, media_type: str, encoding: str) -> None:
        kind, _, options = media_type.lower().partition(";")
        self.is_json = "json" in kind
        #: Python's name of a charset whose digits are not those of ASCII; "" for the others.
        self.codec = _codec_of(options) if options else ""
        self._encoding = encoding
        #: True if each part of the bytes is text by itself, unless the first bytes say something else.
        self.is_plain = isinstance(self.unpacker(), Plain) and not self.codec

    def unpacker(self) -> Unpacker:
        return unpacker(self._encoding) if self._encoding else Plain()

    def is_surely_clean(self, content: bytes, base64: bool) -> bool:
        """Return True if bytes of the body surely have nothing, whatever else they are.

        Texts in two bytes a character have NUL: what is in base64 there is not seen in the bytes.
        """
        return self.is_plain and b"\0" not in content and not may_have(content, base64)


class Body:
    """Finds what identifies people in a body.

    ``holds``: nothing goes out before it was looked at; else bytes are only watched. Raises Unreadable, and Leaked if
    ``holds`` and not ``covers``.
    """

    def __init__(
        self,
        source: Source,
        expected: Collection[str],
        *,
        covers: bool = False,
        holds: bool = False,
        base64: bool = True,
    ) -> None:
        self._covers, self._holds, self._expected = covers, holds, expected
        self._unpacker = source.unpacker()
        self._codec = source.codec
        self._text = Text(expected, covers, base64, json=source.is_json)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._encoder: codecs.IncrementalEncoder | None = None
        #: True for a file whose content nobody reads, and may go out.
        self._is_opaque = False
        #: Bytes of a body that is only watched.
        self._looked_at = 0
        #: The first bytes, until there are enough to tell how the others are read.
        self._head = b""
        #: True if any part of the body can be read by itself.
        self.is_plain = source.is_plain

    @property
    def counts(self) -> Counter[str]:
        """What was found, by kinds, since it was last cleared."""
        return self._text.counts

    def feed(self, chunk: bytes, last: bool = False) -> Iterator[bytes]:
        """Take the next chunk, and yield what can go out; ``last``: no chunk follows."""
        for content in self._unpacker.feed(chunk):
            if going := self._taken(content, False):
                yield going
        if last:
            self._unpacker.end()
            if going := self._taken(b"", True):
                yield going

    def look(self, chunk: bytes, last: bool = False) -> None:
        """Look at the next chunk, of which nothing is wanted, and at no more of it than LOOKED_AT bytes."""
        if self._is_opaque:
            return
        for content in self._unpacker.feed(chunk):
            self._looked_at += len(content)
            self._taken(content, False)
            if self._looked_at > LOOKED_AT:
                self._is_opaque = True
                return
        if last and not self._is_opaque:
            self._taken(b"", True)

    def _taken(self, content: bytes, last: bool) -> bytes:
        if self._decoder is None and not self._is_opaque:
            self._head += content
            if len(self._head) < _HEAD and not last:
                return b""
            content, self._head = self._head, b""
            self._begin(content)
        if self._is_opaque:
            return content
        assert self._decoder is not None
        try:
            piece = self._decoder.decode(content, last)
        except UnicodeError:
            raise Unreadable("characters") from None
        text = self._text.feed(piece, last)
        if self._holds and not self._covers and self.counts:
            raise Leaked(next(iter(self.counts)))
        return self._encoder.encode(text) if self._encoder is not None else b""

    def _begin(self, content: bytes) -> None:
        """Choose how the bytes are read, by the first ones."""
        codec = next((name for mark, name in _MARKS if content.startswith(mark)), self._codec)
        if not codec and content.startswith((_GZIP, *_FILES)):
            if not self._holds or FILE in self._expected:
                self._is_opaque, self.is_plain = True, False
                return
            raise Leaked(FILE)
        codec = codec or _by_nul(content)
        if not codec and not self._holds and _is_binary(content[:_SAMPLE]):
            self._is_opaque, self.is_plain = True, False  # neither text nor a file that is known
            return
        errors = "strict" if self._holds else "replace"
        if codec:
            self.is_plain = False
        else:
            codec, errors = "utf-8", "surrogateescape"
        codec = _exact(codec, content)
        # A mark at the beginning is a character of its own here, and goes out as it came.
        self._decoder = codecs.getincrementaldecoder(codec)(errors)
        if self._holds:
            self._encoder = codecs.getincrementalencoder(codec)(errors)


def _is_binary(content: bytes) -> bool:
    """Return True for bytes with many characters that texts hardly have."""
    return len(content.translate(None, _CONTROL)) * 10 < len(content) * 9


def _by_nul(content: bytes) -> str:
    """Return the codec of a text in two bytes a character, of which one is 0 for those of ASCII; "" for another."""
    first, second = content[:_HEAD:2], content[1:_HEAD:2]
    if second and not second.strip(b"\0") and first.strip(b"\0"):
        return "utf-16-le"
    return "utf-16-be" if first and not first.strip(b"\0") and second.strip(b"\0") else ""


def _exact(codec: str, content: bytes) -> str:
    """Return the codec that reads and writes a mark as a character, in the order of the bytes of the content."""
    if codec not in ("utf-16", "utf-32"):
        return codec
    width = 2 if codec == "utf-16" else 4
    little = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE)) or (
        not content.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) and content[width - 1 : width] == b"\0"
    )
    return f"{codec}-{'le' if little else 'be'}"


def _codec_of(options: str) -> str:
    """Return Python's name of a charset whose digits are not those of ASCII; "" for the others, and without one.

    Raises Unreadable for one that nobody knows.
    """
    match = re.search(r"charset\s*=\s*\"?([\w.:+-]{1,40})", options)
    if match is None:
        return ""
    try:
        info = codecs.lookup(match[1])
    except LookupError:
        raise Unreadable("charset") from None
    if not getattr(info, "_is_text_encoding", True):
        raise Unreadable("charset")
    name = info.name
    return "" if _LIKE_ASCII.match(name) else name
