"""Files of exports on the disk: encrypted, bounded, and not to be changed without being noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.exports import ExportError, files
from registry.exports.files import CHUNK, EncryptedOutput

CONTENT = b"3201010101010001;" * (2 * CHUNK // 17 + 5)


def stored(folder: Path, content: bytes, key: str, limit: int = 10**9) -> Path:
    path = files.folder() / "berkas"
    with EncryptedOutput(path, key, limit, lambda: None) as output:
        for place in range(0, len(content), 1000):
            output.write(content[place : place + 1000])
        output.finish()
        assert output.size == len(content)
    return path


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, len(CONTENT)])
def test_what_is_written_is_read(folder: Path, size: int) -> None:
    key = files.new_key()
    path = stored(folder, CONTENT[:size], key)
    assert b"".join(files.read(path.name, key)) == CONTENT[:size]
    assert b"3201" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0 and folder.stat().st_mode & 0o077 == 0


def test_a_file_that_was_changed_is_not_read(folder: Path) -> None:
    key = files.new_key()
    path = stored(folder, CONTENT, key)
    whole = path.read_bytes()
    piece = CHUNK + 16
    changed = [
        whole[:-1] + bytes((whole[-1] ^ 1,)),
        whole[: 2 * piece],  # the last chunk is missing
        whole[:piece],
        whole[piece : 2 * piece] + whole[:piece] + whole[2 * piece :],  # two are exchanged
        b"",
    ]
    for each in changed:
        path.write_bytes(each)
        with pytest.raises(ExportError):
            list(files.read(path.name, key))
    path.write_bytes(whole)
    with pytest.raises(ExportError):
        list(files.read(path.name, files.new_key()))


def test_a_file_has_at_most_so_many_bytes(folder: Path) -> None:
    with pytest.raises(ExportError, match="too-large"):
        stored(folder, CONTENT, files.new_key(), limit=len(CONTENT) - 1)


def test_what_belongs_to_no_export_is_removed(folder: Path) -> None:
    stored(folder, b"x", files.new_key())
    lost, known = files.new_name(), files.new_name()
    for name in (lost, known):
        (folder / name).write_bytes(b"y")
    (folder / f"{lost}.tmp").mkdir()
    (folder / f"{lost}.tmp" / "baris").write_bytes(b"z")
    files.remove_others([known])
    assert {path.name for path in folder.iterdir()} == {"berkas", known}
