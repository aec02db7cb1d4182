"""Runs the reading process (dataservices/tabular/), of which there are few at a time over all web containers."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings

from dataservices.tabular.shapes import Bounds, ColumnWanted, Layout
from dataservices.uploads.folders import private
from dataservices.uploads.messages import REFUSALS, UploadError

#: Reading processes at a time, and seconds that an upload waits for a place.
PLACES, WAIT_SECONDS = 2, 20.0

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = [sys.executable, "-m", "dataservices.tabular"]
#: Environment variables that the process inherits. The others may be secrets.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR")
#: The most bytes of a result: names, and the first characters of values.
_MAX_RESULT = 32 * 1024 * 1024


def inspect(path: Path, sheet: str, layout: Layout) -> dict[str, Any]:
    """Return what a file has, as the fields of a TableFound. Raises UploadError."""
    return _run(path, sheet, layout, {})


def build(path: Path, target: Path, sheet: str, layout: Layout, columns: Sequence[ColumnWanted]) -> int:
    """Fill the empty file ``target`` with a file's rows, and return their number. Raises UploadError."""
    more = {"target": str(target), "columns": [asdict(column) for column in columns]}
    rows: int = _run(path, sheet, layout, more)["rows"]
    return rows


def rows(descriptor: int, most: int, layout: Layout) -> Iterator[Any]:
    """Yield the header of an open workbook (a dict), then its rows: number and texts. Raises UploadError.

    The file needs no name. ``most``: the most rows.
    """
    task = _task(Path(f"/proc/self/fd/{descriptor}"), "", layout, {"list": True}, most)
    with _place():
        process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=_ROOT,
            env=_environment(), pass_fds=(descriptor,),
        )  # fmt: skip
        try:
            yield from _listed(process, task)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _listed(process: subprocess.Popen[bytes], task: dict[str, Any]) -> Iterator[Any]:
    """Yield the lines of a process that lists rows, but the last one, which says how it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(task).encode())
    process.stdin.close()
    waiting = None
    for line in process.stdout:
        if waiting is not None:
            yield waiting
        waiting = json.loads(line)
    if process.wait():
        raise _failure(process.returncode)
    _check_result(waiting)


def _task(path: Path, sheet: str, layout: Layout, more: Mapping[str, Any], rows: int) -> dict[str, Any]:
    bounds = Bounds(rows, settings.MAX_UPLOAD_COLUMNS, settings.MAX_UNPACKED_BYTES)
    return {
        "path": str(path), "sheet": sheet, "layout": asdict(layout), "bounds": asdict(bounds), **more,
        "limits": {
            "memory": settings.UPLOAD_MEMORY_BYTES,
            "seconds": settings.UPLOAD_SECONDS,
            "written": settings.MAX_UPLOADS_BYTES,
        },
    }  # fmt: skip


def _run(path: Path, sheet: str, layout: Layout, more: Mapping[str, Any]) -> dict[str, Any]:
    with _place():
        return _result_of(_task(path, sheet, layout, more, settings.MAX_UPLOAD_ROWS))


def _result_of(task: dict[str, Any]) -> dict[str, Any]:
    try:
        ended = subprocess.run(
            _COMMAND,
            input=json.dumps(task).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=_environment(),
            # Beside its computing time, which is limited in the process itself, it may wait for a disk.
            timeout=2 * settings.UPLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UploadError("time", seconds=settings.UPLOAD_SECONDS) from None
    if ended.returncode:
        raise _failure(ended.returncode)
    if len(ended.stdout) > _MAX_RESULT:
        raise UploadError("columns", found="?", most=settings.MAX_UPLOAD_COLUMNS)
    result: dict[str, Any] = json.loads(ended.stdout)
    _check_result(result)
    return result


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT), **{name: os.environ[name] for name in _INHERITED if name in os.environ}}


def _check_result(result: Any) -> None:
    """Raise UploadError if the process has refused its file, or has not said how it ended."""
    if not isinstance(result, dict):
        raise UploadError("failed")
    if (code := result.get("refused")) is not None:
        raise UploadError(code if code in REFUSALS else "failed", **result["details"])


def _failure(code: int) -> UploadError:
    """Return what an exit code means: the limits end the process by signals."""
    by_signal = {6: "memory", 9: "memory", 11: "memory", 24: "time", 25: "full"}
    name = by_signal.get(-code, "failed")
    return UploadError(name, seconds=settings.UPLOAD_SECONDS, mib=settings.MAX_UPLOADS_BYTES >> 20)


@contextmanager
def _place() -> Iterator[None]:
    """Hold one of the places for reading processes. Raises UploadError if none becomes free."""
    descriptors = [_open(number) for number in range(PLACES)]
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not any(map(_locks, descriptors)):
            if time.monotonic() > deadline:
                raise UploadError("busy")
            time.sleep(0.1)
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _open(number: int) -> int:
    try:
        path = private() / f"reading-{number}.lock"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        raise UploadError("folder") from None


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
