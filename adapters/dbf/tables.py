"""Which DBF files a source has, where the SQLite file of each lies, and the state that a file is in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.base import ConnectFailed
from adapters.dbf import memo
from adapters.dbf.header import Header, Refused, known_encoding, read
from adapters.files import below, locate, real_roots

#: Of each file: size, times of change in ns, and the bytes of its header that writers change.
State = list[list[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """One DBF file. ``cache`` is the path of its SQLite file."""

    name: str
    path: Path
    encoding: str
    cache: Path

    def header(self) -> Header:
        """Raises Refused, or OSError."""
        with self.path.open("rb") as file:
            return read(file, self.encoding)

    def memo(self, header: Header) -> Path | None:
        """The memo file, where the table has memos and there is one. Raises Refused for one that lies elsewhere."""
        if not any(field.memo for field in header.fields):
            return None
        found = memo.find(self.path, foxpro=header.vfp or header.version == 0xF5)
        if found is not None and Path(os.path.realpath(found)).parent != self.path.parent:
            raise Refused("the memo file is a link to another folder")
        return found

    def state(self, memo_path: Path | None) -> State:
        """What tells a changed file from an unchanged one. Raises OSError."""
        return [_state(path) for path in (self.path, memo_path) if path is not None]


def _state(path: Path) -> list[Any]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, os.pread(descriptor, 32, 0).hex()]
    finally:
        os.close(descriptor)


def tables(source: Mapping[str, Any]) -> tuple[dict[str, Table], list[str]]:
    """The tables of a source by name, and why files of its folder are none. Raises ConnectFailed."""
    roots = real_roots(source)
    try:
        encoding = known_encoding(source["encoding"]) if source.get("encoding") else ""
    except Refused:
        raise ConnectFailed("data") from None
    path = _place(source, roots)
    try:
        files = [path] if path.is_file() else _files(path)
    except PermissionError:
        raise ConnectFailed("file-forbidden") from None
    except OSError:
        raise ConnectFailed("file-missing") from None
    found: dict[str, Table] = {}
    problems = []
    for file in files:
        real = Path(os.path.realpath(file))
        name = file.stem.lower()
        if not _sayable(name):
            problems.append(f"{file.name!a}: its name is not UTF-8")
        elif not below(real, roots):
            problems.append(f"{file.name}: it is a link to a file outside the source's folder")
        elif name in found:
            problems.append(f"{file.name}: another file of the folder has this name in other capital letters")
        else:
            found[name] = Table(name, real, encoding, _cache(source, real, encoding))
    return found, problems


def _sayable(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _place(source: Mapping[str, Any], roots: list[Path]) -> Path:
    """The file or folder of the source. The agency's folder itself will do for a folder."""
    try:
        return locate(source, any_case=True)
    except ConnectFailed as error:
        named = source.get("database")
        if error.reason == "file-forbidden" and named and roots and Path(os.path.realpath(roots[0] / named)) in roots:
            return Path(os.path.realpath(roots[0] / named))
        raise


def _files(folder: Path) -> list[Path]:
    return sorted(folder / name for name in os.listdir(folder) if name.lower().endswith(".dbf") and name[0] != ".")


def _cache(source: Mapping[str, Any], path: Path, encoding: str) -> Path:
    """Beside the file where one may write, else in the source's ``cache_dir``. The name tells settings apart."""
    key = hashlib.sha256(f"{path}\0{encoding}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if os.access(path.parent, os.W_OK):
        return path.parent / f".mantra-{path.stem.lower()}-{key}.sqlite3"
    return Path(source.get("cache_dir") or path.parent) / f"{path.stem.lower()}-{key}.sqlite3"
