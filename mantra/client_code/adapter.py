"""The adapter file for PHP programs of MANTRA 1.99x, with the address of this bus in it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from mantra.client_code import literals

FILE_NAME = "adapter.php"
_FILE = Path(__file__).with_name(FILE_NAME)
#: Where the file has the address.
_ADDRESS = "'@MANTRA_URL@'"


@lru_cache(1)
def _source() -> str:
    return _FILE.read_text()


def adapter(base: str) -> str:
    """Return the file for a bus at an address."""
    return _source().replace(_ADDRESS, literals.php(base))
