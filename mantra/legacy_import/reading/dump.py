"""Reads a dump of mysqldump, phpMyAdmin or HeidiSQL, plain or packed with gzip."""

from __future__ import annotations

import codecs
import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext as _

from mantra.legacy_import.reading import schema
from mantra.legacy_import.reading.problems import UnreadableDatabase
from mantra.legacy_import.reading.sql_text import SQLText
from mantra.legacy_import.reading.store import Filler, Place, Store, StoredDatabase

#: Called with the bytes of the file that were read, and with all of them.
Progress = Callable[[int, int], None]

#: By the server's name of a character set: Python's.
_ENCODINGS = {
    **dict.fromkeys(("utf8", "utf8mb3", "utf8mb4", "binary", "ascii", "default"), "utf-8"),
    # The server's latin1 is Windows-1252.
    **dict.fromkeys(("latin1", "cp1252"), "cp1252"),
    "latin2": "iso8859-2",
    "latin5": "iso8859-9",
    "latin7": "iso8859-13",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp850": "cp850",
}
#: How packed files begin that are not unpacked here.
_PACKED = (b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"Rar!", b"7z\xbc\xaf")
#: Statements of a dump that hold nothing to read.
_SKIPPED = frozenset((
    "ALTER", "ANALYZE", "BEGIN", "CALL", "CHANGE", "COMMIT", "DELETE", "DO", "FLUSH", "GRANT", "LOCK", "OPTIMIZE",
    "RENAME", "ROLLBACK", "SELECT", "SHOW", "START", "UNLOCK", "UPDATE",
))  # fmt: skip
#: What begins an item of CREATE TABLE that is no column.
_NO_COLUMN = frozenset((
    "PRIMARY", "KEY", "UNIQUE", "INDEX", "CONSTRAINT", "FOREIGN", "FULLTEXT", "SPATIAL", "CHECK", "PERIOD",
))  # fmt: skip
#: The most columns of a table that the server has.
_MAX_COLUMNS = 4096


@contextmanager
def open_dump(path: str | Path, progress: Progress | None = None) -> Iterator[StoredDatabase]:
    """Read the database of 1.99x that a dump holds. What is kept of it is dropped at the end of the block.

    Raises UnreadableDatabase, and whatever ``progress`` raises to stop the reading.
    """
    store = Store()
    try:
        with _opened(Path(path), progress) as read:
            Dump(read, store).read()
        yield store.finished(schema.choose(store.databases()))
    finally:
        store.close()


@contextmanager
def _opened(path: Path, progress: Progress | None) -> Iterator[Callable[[int], bytes]]:
    """Return what reads the text of the dump, in UTF-8 if it was in UTF-16."""
    try:
        # Without this flag a named pipe would never open.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except (OSError, ValueError):
        raise UnreadableDatabase(_("The file cannot be opened. Check its path and its permissions.")) from None
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableDatabase(_("This is no file. Enter the path of a dump."))
        yield _text(_watched(file, status.st_size, progress))


def _watched(file: BinaryIO, size: int, progress: Progress | None) -> Callable[[int], bytes]:
    """Return what reads the file, unpacked, with sentences for its errors."""
    begin = file.read(6)
    file.seek(0)
    if begin.startswith(_PACKED):
        raise UnreadableDatabase(_("The dump is packed in a way that cannot be read. Unpack it, or pack it with gzip."))
    unpacked = gzip.GzipFile(fileobj=file) if begin.startswith(b"\x1f\x8b") else file

    def read(count: int) -> bytes:
        try:
            chunk: bytes = unpacked.read(count)
        except EOFError:
            raise UnreadableDatabase(
                _("The packed file ends too early. It is not complete: copy it again as a whole.")
            ) from None
        except (OSError, zlib.error):
            raise UnreadableDatabase(_("The file is damaged. Copy it again, or make the dump again.")) from None
        if progress is not None:
            progress(file.tell(), size)
        return chunk

    return read


def _text(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Return what reads the text without the mark at its beginning.

    PowerShell writes to a file as UTF-16 whatever a program prints.
    """
    begin = read(1 << 16)
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(begin[:2])
    begin = begin.removeprefix(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    if encoding:
        begin = begin[2:]

    def next_text(count: int) -> bytes:
        nonlocal begin
        chunk, begin = begin or read(count), b""
        if decoder is None:
            return chunk
        while chunk and not (text := decoder.decode(chunk)):
            chunk = read(count)
        return text.encode() if chunk else b""

    return next_text


class Dump:
    """The statements of a dump, and what they do to the store."""

    def __init__(self, read: Callable[[int], bytes], store: Store) -> None:
        self._sql, self._store = SQLText(read), store
        self._database, self._encoding = "", "utf-8"
        self._is_first = True

    def read(self) -> None:
        """Read all statements. Raises UnreadableDatabase."""
        while not self._sql.at_end():
            self._statement()
            self._sql.table = ""
        if self._sql.is_begun and not self._sql.is_complete:
            raise UnreadableDatabase(
                _(
                    "The last line of the dump, “Dump completed”, is missing. The dump is not complete. Make it again, "
                    "and check that the disk has room and that the file is copied as a whole."
                )
            )

    def _statement(self) -> None:
        sql = self._sql
        if sql.end_statement():  # an empty one
            return
        word = sql.word()
        reader = {
            "CREATE": self._create, "DROP": self._drop, "TRUNCATE": self._truncate, "SET": self._set, "USE": self._use,
            "INSERT": self._insert, "REPLACE": self._insert, "DELIMITER": self._delimiter,
        }.get(word)  # fmt: skip
        if reader is None and word not in _SKIPPED:
            if self._is_first:
                raise UnreadableDatabase(
                    _("This is no dump of a database: it has no SQL. Make one with mysqldump, phpMyAdmin or HeidiSQL.")
                )
            sql.damaged()
        self._is_first = False
        if reader is None:
            sql.skip_statement()
        else:
            sql.take_word(word)
            reader()

    def _delimiter(self) -> None:
        self._sql.take_delimiter()

    def _use(self) -> None:
        self._database = self._sql.name()
        self._sql.skip_statement()

    def _set(self) -> None:
        """The character set of the texts that follow: SET NAMES."""
        if self._sql.take_word("NAMES"):
            quoted = self._sql.take(b"'")
            name = self._sql.name()
            if quoted:
                self._sql.expect(b"'")
            if name not in _ENCODINGS:
                raise UnreadableDatabase(
                    _("The dump is in the character set %(name)s. Make it again in utf8mb4 or utf8.")
                    % {"name": name[:32]}
                )
            self._encoding = _ENCODINGS[name]
        self._sql.skip_statement()

    def _place(self) -> Place:
        database, table = self._sql.table_name()
        self._sql.table = table
        return database or self._database, table

    # ------------------------------------------------------------------------------------------------- tables

    def _create(self) -> None:
        sql = self._sql
        sql.take_word("TEMPORARY")
        if sql.take_word("TABLE"):
            is_kept = bool(sql.take_word("IF"))
            sql.take_word("NOT")
            sql.take_word("EXISTS")
            place = self._place()
            if sql.take(b"("):
                columns = self._columns()
                if not (is_kept and place in self._store.columns):
                    self._store.begin(place, columns)
        sql.skip_statement()

    def _columns(self) -> list[str]:
        """Return the names of the columns of CREATE TABLE, in their order."""
        sql = self._sql
        columns: list[str] = []
        while True:
            if sql.word() not in _NO_COLUMN:
                columns.append(sql.name())
            sql.skip_item()
            if sql.take(b")"):
                return columns
            sql.expect(b",")
            if len(columns) > _MAX_COLUMNS:
                sql.damaged()

    def _drop(self) -> None:
        if self._sql.take_word("TABLE"):
            self._sql.take_word("IF")
            self._sql.take_word("EXISTS")
            self._store.drop(self._place())
            while self._sql.take(b","):
                self._store.drop(self._place())
        self._sql.skip_statement()

    def _truncate(self) -> None:
        self._sql.take_word("TABLE")
        self._store.truncate(self._place())
        self._sql.skip_statement()

    # --------------------------------------------------------------------------------------------------- rows

    def _insert(self) -> None:
        sql = self._sql
        while sql.take_word("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"):
            pass
        place = self._place()
        named = self._named_columns()
        if not sql.take_word("VALUES", "VALUE"):
            if place in self._store.columns and schema.is_read(place[1], self._store.columns[place]):
                sql.damaged()
            sql.skip_statement()
            return
        if place not in self._store.columns:
            if not named:
                raise UnreadableDatabase(self._no_columns(place[1]))
            self._store.begin(place, named)
        self._rows(place, named or self._store.columns[place])

    def _no_columns(self, table: str) -> str:
        return _(
            "The dump has rows of the table %(name)s, but no CREATE TABLE for it. Make it again with its structure and "
            "data."
        ) % {"name": table[:64]}

    def _named_columns(self) -> tuple[str, ...]:
        """Return the columns that INSERT names, in their order; none if it names none."""
        sql = self._sql
        names: list[str] = []
        if sql.take(b"("):
            while not names or sql.take(b","):
                names.append(sql.name())
                if len(names) > _MAX_COLUMNS:
                    sql.damaged()
            sql.expect(b")")
        return tuple(names)

    def _rows(self, place: Place, columns: tuple[str, ...]) -> None:
        sql, counts = self._sql, self._store.counts
        filler = self._store.filler(place)
        add = None if filler is None else self._adder(filler, columns)
        while True:
            sql.expect(b"(")
            if add is None:
                sql.count_row()
                counts[place] += 1
            else:
                counts[place] += add()
            if not sql.take(b","):
                break
        if not sql.end_statement():
            if sql.word() not in ("ON", "AS"):  # ON DUPLICATE KEY UPDATE
                sql.damaged()
            sql.skip_statement()

    def _adder(self, filler: Filler, columns: tuple[str, ...]) -> Callable[[], bool]:
        """Return what reads a row and adds it."""
        keep = tuple(column in filler.columns for column in columns)
        kept = [column for column in columns if column in filler.columns]
        if len(set(kept)) < len(kept):
            self._sql.damaged()
        order = [kept.index(column) if column in kept else -1 for column in filler.columns]
        encoding = self._encoding

        def add() -> bool:
            values = [*self._sql.row(keep), None]
            try:
                return filler.add([values[place] for place in order], encoding)
            except ValueError:
                self._sql.damaged()

        return add
