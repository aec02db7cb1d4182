"""Receives the file of a job on its way to the worker: encrypted, on the disk of jobs, and without a name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from mantra.jobs import files
from mantra.jobs.problems import JobError
from registry.exports.files import EncryptedOutput, decrypted
from registry.exports.kinds import ExportError

#: The most bytes that are written: the request has a limit of its own (mantra/body_limit.py).
_LIMIT = 1 << 62


class JobUpload(UploadedFile):
    """A file that was sent for a job. ``problem``: why it could not be kept, "" if it could.

    Django's own handlers would keep it readable and, in a container, in memory.
    """

    def __init__(self, name: str, content_type: str) -> None:
        super().__init__(None, name, content_type, 0)
        self.problem = ""
        self._key = files.new_key()
        self._output: EncryptedOutput | None = None
        self._reader: Any = None
        self._content: Iterator[bytes] = iter(())
        self._rest = b""

    def begin(self) -> None:
        """Open the file, and take its name from it: it is gone with the request, also if this process is killed."""
        try:
            files.check_room()
            path = files.folder() / f"upload-{secrets.token_hex(16)}"
            self._output = EncryptedOutput(path, self._key, _LIMIT, lambda: None)
            try:
                self._reader = path.open("rb")
            finally:
                os.unlink(path)
        except (OSError, JobError):
            self.problem = "disk"

    def keep(self, chunk: bytes) -> None:
        if self.problem or self._output is None:
            return
        try:
            self._output.write(chunk)
        except (OSError, ExportError):
            self.problem = "disk"

    def finish(self, size: int) -> None:
        """End the file, which can be read from now on."""
        self.size = size
        if self.problem or self._output is None:
            return
        try:
            self._output.finish()
        except (OSError, ExportError):
            self.problem = "disk"
        else:
            self._content = decrypted(self._reader, self._key)

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        """Return the next bytes, at most ``size``."""
        if size < 0:
            found, self._rest = b"".join((self._rest, *self._content)), b""
            return found
        if not self._rest:
            self._rest = next(self._content, b"")
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def close(self) -> None:
        for stream in (self._output, self._reader):
            if stream is not None:
                stream.close()


class JobUploadHandler(FileUploadHandler):
    """Keeps the files of a form as a JobUpload each. ``chunk_size``: bytes that are written at once."""

    chunk_size = 256 * 1024

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.file = JobUpload(self.file_name or "", self.content_type or "")
        self.file.begin()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.file.keep(raw_data)

    def file_complete(self, file_size: int) -> JobUpload:
        self.file.finish(file_size)
        return self.file

    def upload_interrupted(self) -> None:
        if hasattr(self, "file"):
            self.file.close()
