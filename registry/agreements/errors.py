"""Why a file is not accepted."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A file is not accepted. Its argument is a sentence for the person who sent it, translated when it is shown."""

    def __init__(self, message: Any) -> None:
        super().__init__(message)
        self.message = message
