"""The parts of a backup that hold files: gzipped tar files, whose sums are computed while they are written."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote

from adapters.files import below
from mantra.backup.manifest import Part

_SQLITE = b"SQLite format 3\0"


class _Summed:
    """A file that is written, with the sum and size of what was."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sum, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


class Archive:
    """A gzipped tar file that is written. A context manager; afterwards ``part`` says what it became."""

    part: Part

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._summed = _Summed(self._file)
        # The fastest level: beside a running bus, processors are shorter than disks.
        self._gzip = gzip.GzipFile("", "wb", 1, self._summed, 0)  # type: ignore[arg-type]  # it only writes
        self._tar = tarfile.TarFile(fileobj=self._gzip, mode="w")
        #: Name → the file's identity when it was added.
        self._added: dict[str, tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        with self._file:
            if kind is None:
                self._tar.close()
                self._gzip.close()
                self.part = Part(self._path.name, self._summed.sum.hexdigest(), self._summed.size, len(self._added))

    def add_file(self, path: Path, name: str, size: int | None = None) -> None:
        """Add a file, or its first ``size`` bytes. One that was deleted meanwhile, or is in it already, is left out."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            stat = os.fstat(file.fileno())
            identity = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if self._added.get(name) == identity:
                return
            header = tarfile.TarInfo(name)
            header.size, header.mtime = stat.st_size if size is None else size, int(stat.st_mtime)
            header.mode = stat.st_mode & 0o777
            self._tar.addfile(header, file)
            self._tar.members.clear()  # type: ignore[attr-defined]  # it would remember every header
        self._added[name] = identity

    def add_folder(self, folder: Path, name: str) -> None:
        """Add the files of a folder that were not added before. Hidden files and locks are left out."""
        for path in _files(folder):
            self.add_file(path, f"{name}/{path.relative_to(folder)}")

    def add_source(self, path: Path, name: str) -> None:
        """Add a file of a source. An SQLite file is copied by SQLite: others may be writing to it."""
        with tempfile.NamedTemporaryFile(dir=self._path.parent) as copied:
            is_copied = _is_sqlite(path) and _copy_sqlite(path, copied.name)
            self.add_file(Path(copied.name) if is_copied else path, name)


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(parent, name) for name in sorted(names) if not name.startswith(".") and name != "lock")
        yield from (path for path in paths if path.is_file())


def sources(folder: Path, roots: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a folder of file sources, each with its real path, without what SQLite keeps beside its files.

    ``roots``: the real paths of all such folders. A link that leads out of them is no source, as for calls: whoever
    puts it there would have other files of the server, such as its keys, in the backup.
    """
    for path in _files(folder):
        real = Path(os.path.realpath(path))
        main = path.with_name(path.name.removesuffix("-wal").removesuffix("-shm").removesuffix("-journal"))
        if below(real, roots) and (main == path or not _is_sqlite(main)):
            yield path, real


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _copy_sqlite(path: Path, copied: str) -> bool:
    """Copy an SQLite file as it is at one moment. Return False if SQLite cannot: it is damaged, or locked for long."""
    source = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=20)
    try:
        with closing(source), closing(sqlite3.connect(copied)) as copy:
            source.backup(copy)
    except sqlite3.Error:
        return False
    return True


def extract(path: Path, folder_of: Callable[[str], Path]) -> None:
    """Write the files of an archive into the folders of the first part of their names.

    Raises OSError or tarfile.TarError.
    """
    with tarfile.open(path, "r:gz") as tar:
        for member in tar:
            first, _slash, name = member.name.partition("/")
            folder = folder_of(first)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tar.extract(member.replace(name=name), folder, filter="data")
