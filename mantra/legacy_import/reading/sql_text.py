"""The text of a dump as a stream: names, words and values of SQL, read in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from django.utils.translation import gettext as _

from mantra.legacy_import.reading.problems import UnreadableDatabase

#: Bytes read at once, and how far the reader looks ahead for a word, a name or a number.
CHUNK, _AHEAD = 1 << 20, 1 << 13
#: The most bytes of a value that is kept: longer ones are cut. No form of 1.99x takes more.
MAX_VALUE = 1 << 20
#: The most bytes of a dump, unpacked: a small packed file may unpack without end.
MAX_BYTES = 1 << 36

_BLANKS = re.compile(rb"[\s\x00]*+")
_WORD = re.compile(rb"[A-Za-z0-9_$.\x80-\xff]+")
_NUMBER = re.compile(rb"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?(?![A-Za-z0-9_.])")
_HEX = re.compile(rb"[0-9A-Fa-f]*")
_ESCAPED = re.compile(rb"\\(.)", re.S)
_ESCAPES = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a", b"%": b"\\%", b"_": b"\\_"}
_QUOTE, _BACKSLASH = b"'"[0], b"\\"[0]
_CONDITIONAL = re.compile(rb"/\*![0-9]*")


class CutValue(bytes):
    """The beginning of a value that is longer than MAX_VALUE."""


class SQLText:
    """Reads SQL from a stream. ``line`` is where it is; ``place`` what it reads, for errors."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._data, self._at = b"", 0
        #: The same text with two other bytes in place of each escaped quote: a search finds the end of a string then.
        self._masked = b""
        self._lines_before, self._bytes = 1, 0
        self._is_ended = False
        self.delimiter = b";"
        #: The table whose rows are read.
        self.table = ""
        #: A program's comment at the beginning of the dump promises one at its end.
        self.is_begun = self.is_complete = False

    # --------------------------------------------------------------------------------------------- the stream

    @property
    def line(self) -> int:
        return self._lines_before + self._data.count(b"\n", 0, self._at)

    def _more(self) -> bool:
        """Read on. Return False at the end."""
        if self._is_ended:
            return False
        chunk = self._read(CHUNK)
        self._bytes += len(chunk)
        if self._bytes > MAX_BYTES:
            raise UnreadableDatabase(_("The dump is larger than 64 GiB. Make a dump without the table tracks."))
        if not chunk:
            self._is_ended = True
            return False
        self._lines_before = self.line
        self._data, self._at = self._data[self._at :] + chunk, 0
        self._masked = self._data.replace(b"\\\\", b"..").replace(b"\\'", b"..")
        return True

    def _look(self, count: int = _AHEAD) -> bytes:
        """Return the text that follows, at least ``count`` bytes of it if there are as many, from ``_at`` on."""
        while len(self._data) - self._at < count and self._more():
            pass
        return self._data

    def at_end(self) -> bool:
        """Return True if nothing but blanks and comments follows."""
        self.skip_blanks()
        return self._at >= len(self._data)

    def truncated(self) -> NoReturn:
        raise UnreadableDatabase(
            _(
                "The dump ends in the middle of a statement, in line %(line)d (%(table)s). It is not complete. Make it "
                "again, and check that the disk has room and that the file is copied as a whole."
            )
            % self._where()
        )

    def damaged(self) -> NoReturn:
        if self._at >= len(self._data):
            self.truncated()
        raise UnreadableDatabase(
            _(
                "The dump cannot be read from line %(line)d on (%(table)s). Make it again with mysqldump, and do not "
                "edit it."
            )
            % self._where()
        )

    def _where(self) -> dict[str, object]:
        table = _("table %(name)s") % {"name": self.table[:64]} if self.table else _("no table")
        return {"line": self.line, "table": table}

    # ------------------------------------------------------------------------------------- blanks and comments

    def skip_blanks(self) -> None:
        """Skip blanks and comments. What a comment holds for certain versions only, /*!40101 … */, is read."""
        while True:
            data = self._look(16)
            found = _BLANKS.match(data, self._at)
            assert found is not None
            self._at = found.end()
            if self._at == len(data):
                if not self._more():
                    return
            elif (conditional := _CONDITIONAL.match(self._look(16), self._at)) is not None:
                self._at = conditional.end()
            elif self._follows(b"*/"):
                self._at += 2
            elif self._follows(b"/*"):
                self._at += 2
                self._skip_past(b"*/")
            elif self._follows(b"#") or self._is_line_comment():
                self._note_program()
                self._skip_past(b"\n")
            else:
                return

    def _follows(self, text: bytes) -> bool:
        return self._look(len(text)).startswith(text, self._at)

    def _is_line_comment(self) -> bool:
        return self._follows(b"--") and self._look(3)[self._at + 2 : self._at + 3].strip() == b""

    def _note_program(self) -> None:
        """mysqldump writes at the end that it came there."""
        head = self._look(64)[self._at : self._at + 64]
        if head.startswith((b"-- MySQL dump ", b"-- MariaDB dump ")):
            self.is_begun, self.is_complete = True, False
        elif head.startswith(b"-- Dump completed"):
            self.is_complete = True

    def _skip_past(self, end: bytes) -> None:
        while (found := self._data.find(end, self._at)) < 0:
            self._at = max(self._at, len(self._data) - len(end) + 1)
            if not self._more():
                self._at = len(self._data)
                return
        self._at = found + len(end)

    # ---------------------------------------------------------------------------------------- words and names

    def word(self) -> str:
        """Return the next word in upper case, without moving past it; "" if something else follows."""
        self.skip_blanks()
        found = _WORD.match(self._look(), self._at)
        return found[0][:64].decode("ascii", "replace").upper() if found else ""

    def take_word(self, *wanted: str) -> str:
        """Return the next word, and move past it if it is one of those; "" if it is not."""
        word = self.word()
        if word not in wanted:
            return ""
        self._at += len(word)
        return word

    def take(self, sign: bytes) -> bool:
        """Move past a sign. Return False if something else follows."""
        self.skip_blanks()
        if not self._follows(sign):
            return False
        self._at += len(sign)
        return True

    def expect(self, sign: bytes) -> None:
        if not self.take(sign):
            self.damaged()

    def name(self) -> str:
        """Return the name that follows, in lower case as servers on Windows have it, with or without quotes."""
        self.skip_blanks()
        data = self._look()
        quote = data[self._at : self._at + 1]
        if quote in (b"`", b'"'):
            end = re.compile(rb"(?:[^%s]|%s%s){1,256}+%s" % ((quote,) * 4)).match(data, self._at + 1)
            if end is None:
                self.damaged()
            self._at, text = end.end(), end[0][:-1].replace(quote * 2, quote)
        else:
            found = re.compile(rb"[A-Za-z0-9_$\x80-\xff]{1,256}").match(data, self._at)
            if found is None:
                self.damaged()
            self._at, text = found.end(), found[0]
        return text.decode("utf-8", "replace").lower()

    def table_name(self) -> tuple[str, str]:
        """Return the database's name, "" where none is named, and the table's."""
        first = self.name()
        return (first, self.name()) if self.take(b".") else ("", first)

    # --------------------------------------------------------------------------------------------- statements

    def skip_statement(self) -> None:
        """Move past the end of this statement."""
        plain = re.compile(rb"[^\s\x00'\"`/#\-*%s]+" % re.escape(self.delimiter[:1]))
        while True:
            self.skip_blanks()
            data = self._look(len(self.delimiter))
            if self._at >= len(data):
                self.truncated()
            if data.startswith(self.delimiter, self._at):
                self._at += len(self.delimiter)
                return
            if data[self._at : self._at + 1] in (b"'", b'"', b"`"):
                self._string(False)
            elif (found := plain.match(data, self._at)) is not None:
                self._at = found.end()
            else:
                self._at += 1

    def end_statement(self) -> bool:
        """Move past the delimiter. Return False if something else follows."""
        return self.take(self.delimiter)

    def take_delimiter(self) -> None:
        """Read the rest of a line DELIMITER, which is for the client."""
        data = self._look()
        found = re.compile(rb"[ \t]*([^\s\x00]{1,16})[^\n]*").match(data, self._at)
        if found is None:
            self.damaged()
        self._at, self.delimiter = found.end(), found[1]

    def skip_item(self) -> None:
        """Move to the comma or bracket that ends an item of a list, past strings and brackets in it."""
        depth = 0
        while True:
            self.skip_blanks()
            sign = self._look(1)[self._at : self._at + 1]
            if not sign or (not depth and self._follows(self.delimiter)):
                self.damaged()
            if sign in (b"'", b'"', b"`"):
                self._string(False)
                continue
            if not depth and sign in (b",", b")"):
                return
            depth += (sign == b"(") - (sign == b")")
            self._at += 1

    # ------------------------------------------------------------------------------------------------- values

    def row(self, keep: tuple[bool, ...]) -> list[bytes | None]:
        """Return the values of a row that are kept, without the others. The opening bracket is behind.

        A value is as the dump has it, without quotes and escapes; None is NULL.
        """
        values: list[bytes | None] = []
        last = len(keep) - 1
        for place, is_kept in enumerate(keep):
            value = self._value(is_kept)
            if is_kept:
                values.append(value)
            self._end_of_value(b")" if place == last else b",")
        return values

    def count_row(self) -> None:
        """Move past a row of a table of which nothing is kept."""
        while True:
            self._value(False)
            if self.take(b")"):
                return
            self.expect(b",")

    def _end_of_value(self, sign: bytes) -> None:
        # Nearly always it follows at once.
        if self._data.startswith(sign, self._at):
            self._at += 1
        else:
            self.expect(sign)

    def _value(self, is_kept: bool) -> bytes | None:
        data, at = self._data, self._at
        if at + 1 < len(data) and data[at] == _QUOTE:
            # The whole string is in memory, nearly always. Escapes are found in pairs from its first byte on.
            end = self._masked.find(b"'", at + 1)
            if 0 <= end < len(data) - 1 and data[end + 1] != _QUOTE and end - at <= MAX_VALUE:
                self._at = end + 1
                return _unescaped(data[at + 1 : end]) if is_kept else None
        return self._slow_value(is_kept)

    def _slow_value(self, is_kept: bool) -> bytes | None:
        self.skip_blanks()
        data = self._look()
        if data[self._at : self._at + 1] in (b"'", b'"'):
            return self._string(is_kept)
        if data[self._at : self._at + 2].lower() == b"0x":
            return self._hex(is_kept)
        if (number := _NUMBER.match(data, self._at)) is not None:
            self._at = number.end()
            return number[0]
        word = self.word()
        if word == "NULL":
            self._at += 4
            return None
        if word.startswith("_") or word in ("X", "N"):
            # An introducer: _binary '…', _utf8mb4 '…', x'…', N'…'.
            return self._introduced(word, is_kept)
        if is_kept:
            self.damaged()
        self.skip_item()
        return None

    def _introduced(self, word: str, is_kept: bool) -> bytes | None:
        self._at += len(word)
        value = self._slow_value(True)
        if word != "X" or value is None or not is_kept:
            return value if is_kept else None
        return self._from_hex(value)

    def _hex(self, is_kept: bool) -> bytes | None:
        """Move past a value like 0x4D616E, however long, and return it, if that is kept."""
        self._at += 2
        pieces: list[bytes] = []
        while (found := _HEX.match(self._look(1), self._at)) is not None and found[0]:
            self._at = found.end()
            if is_kept and sum(map(len, pieces)) <= 2 * MAX_VALUE:
                pieces.append(found[0])
        return self._from_hex(b"".join(pieces)) if is_kept else None

    def _from_hex(self, digits: bytes) -> bytes:
        try:
            value = bytes.fromhex((b"0" * (len(digits) % 2) + digits).decode("ascii"))
        except ValueError:
            self.damaged()
        return value if len(value) <= MAX_VALUE else CutValue(value[:MAX_VALUE])

    def _string(self, is_kept: bool) -> bytes | None:
        """Move past a string or a quoted name, however long, and return its text, if that is kept."""
        quote = self._data[self._at : self._at + 1]
        self._at += 1
        pieces: list[bytes] = []
        size = 0
        while True:
            is_masked = quote == b"'"
            end = self._masked.find(quote, self._at) if is_masked else _end_of_string(self._data, self._at, quote)
            piece = self._data[self._at : end if end >= 0 else _safe_end(self._data, self._at)]
            if is_kept and size <= MAX_VALUE:
                pieces.append(piece)
            size += len(piece)
            self._at += len(piece)
            if end < 0:
                if not self._more():
                    self._at = len(self._data)
                    self.truncated()
            elif self._look(2)[self._at + 1 : self._at + 2] == quote:
                # A doubled quote is one.
                pieces += [quote] if is_kept and size <= MAX_VALUE else []
                size += 1
                self._at += 2
            else:
                self._at += 1
                break
        if not is_kept:
            return None
        text = b"".join(map(_unescaped, pieces))
        return CutValue(text[:MAX_VALUE]) if size > MAX_VALUE else text


def _end_of_string(data: bytes, begin: int, quote: bytes) -> int:
    """Return the place of the next quote that no backslash escapes, from ``begin`` on; -1 if there is none."""
    at = begin
    while True:
        end = data.find(quote, at)
        if end <= begin or data[end - 1] != _BACKSLASH:
            return end
        slashes = end - 1
        while slashes > begin and data[slashes - 1] == _BACKSLASH:
            slashes -= 1
        if (end - slashes) % 2 == 0:
            return end
        at = end + 1


def _safe_end(data: bytes, begin: int) -> int:
    """Return the end of the text, or the place of its last backslash, if that escapes what is not read yet."""
    end = len(data)
    slashes = end
    while slashes > begin and data[slashes - 1] == _BACKSLASH:
        slashes -= 1
    return end - (end - slashes) % 2


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)
