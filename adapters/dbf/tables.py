"""The DBF files of a source, the path of each one's copy, and the state of a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.base import ConnectFailed
from adapters.dbf import code_page_file, memo
from adapters.dbf.header import Header, Refused, known_encoding, read
from adapters.files import below, locate, real_roots

#: For each file: size, times of change in ns, and the bytes of its header that writers change.
State = list[list[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """One DBF file. ``cache`` is the path of its copy."""

    name: str
    path: Path
    encoding: str
    cache: Path

    def lock_path(self) -> Path:
        """Return the path of the file by which processes lock the table's copy, and see its progress."""
        return self.cache.with_suffix(".lock")

    def scans_path(self) -> Path:
        """Return the path of the file by which scans of the table count each other."""
        return self.cache.with_suffix(".scans")

    def header(self) -> Header:
        """Read the file's header. Raises Refused and OSError."""
        with self.path.open("rb") as file:
            return read(file, self.encoding)

    def memo(self, header: Header) -> Path | None:
        """Return the memo file, if the table has memos and one exists. Raises Refused for a link to another folder."""
        if not any(field.memo for field in header.fields):
            return None
        memo_path = memo.find(self.path, foxpro=header.vfp or header.version == 0xF5)
        if memo_path is not None and Path(os.path.realpath(memo_path)).parent != self.path.parent:
            raise Refused("the memo file is a link to another folder")
        return memo_path

    def state(self, memo_path: Path | None) -> State:
        """Return what distinguishes a changed file from an unchanged one. Raises OSError."""
        return [_state(path) for path in (self.path, memo_path) if path is not None]


def _state(path: Path) -> list[Any]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, os.pread(descriptor, 32, 0).hex()]
    finally:
        os.close(descriptor)


def tables(source: Mapping[str, Any]) -> tuple[dict[str, Table], list[str]]:
    """Return the tables of a source by name, and why other files are none. Raises ConnectFailed."""
    roots = real_roots(source)
    try:
        encoding = known_encoding(source["encoding"]) if source.get("encoding") else ""
    except Refused:
        raise ConnectFailed("data") from None
    path = _place(source, roots)
    try:
        folder = path.parent if path.is_file() else path
        names = os.listdir(folder)
        files = [path] if path.is_file() else _files(folder, names)
    except PermissionError:
        raise ConnectFailed("file-forbidden") from None
    except OSError:
        raise ConnectFailed("file-missing") from None
    # A source that names a code page overrides what stands beside its files.
    code_pages = {} if encoding else code_page_file.find(folder, names)
    table_by_name: dict[str, Table] = {}
    problems = []
    for file in files:
        real = Path(os.path.realpath(file))
        name = file.stem.lower()
        if not _is_utf8(name):
            problems.append(f"{file.name!a}: the name is not UTF-8")
        elif not below(real, roots):
            problems.append(f"{file.name}: a link to a file outside the source's folder")
        elif name in table_by_name:
            problems.append(f"{file.name}: another file in the folder has the same name with different capital letters")
        else:
            of_file = encoding
            try:
                of_file = of_file or code_page_file.read(code_pages.get(name))
            except Refused:
                problems.append(f"{file.name}: the .cpg file beside it names no known code page: ignored")
            table_by_name[name] = Table(name, real, of_file, _cache(source, real, of_file))
    return table_by_name, problems


def _is_utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _place(source: Mapping[str, Any], roots: list[Path]) -> Path:
    """Return the file or folder of the source. The agency's own folder is allowed as a folder."""
    try:
        return locate(source, any_case=True)
    except ConnectFailed as error:
        named = source.get("database")
        if error.reason == "file-forbidden" and named and roots and Path(os.path.realpath(roots[0] / named)) in roots:
            return Path(os.path.realpath(roots[0] / named))
        raise


def _files(folder: Path, names: list[str]) -> list[Path]:
    return sorted(folder / name for name in names if name.lower().endswith(".dbf") and name[0] != ".")


def _cache(source: Mapping[str, Any], path: Path, encoding: str) -> Path:
    """Return the copy's path: beside the file if writable, else in ``cache_dir``. The name depends on the encoding."""
    key = hashlib.sha256(f"{path}\0{encoding}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if os.access(path.parent, os.W_OK):
        return path.parent / f".mantra-{path.stem.lower()}-{key}.sqlite3"
    return Path(source.get("cache_dir") or path.parent) / f"{path.stem.lower()}-{key}.sqlite3"
