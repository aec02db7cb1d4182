"""Reads a database of MANTRA 1.99x from a dump or a server: ``open_database``.

``dump`` reads a dump, with ``sql_text`` as its tokens, ``server`` a running server. Both fill a ``store``; ``schema``
says which tables it takes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from mantra.legacy_import.old import OldDatabase
from mantra.legacy_import.reading.dump import Progress, open_dump
from mantra.legacy_import.reading.problems import UnreadableDatabase
from mantra.legacy_import.reading.server import open_server

__all__ = ("Progress", "UnreadableDatabase", "open_database", "open_dump", "open_server")


def open_database(text: str, progress: Progress | None = None) -> AbstractContextManager[OldDatabase]:
    """Read the database at an address, mysql://user:password@host:port/database, or in the file at a path.

    The result is a context manager; what it reads is dropped at its end. It raises UnreadableDatabase. Use open_dump
    or open_server where a user of a page gives the text: a path is one of the server.
    """
    return open_server(text, progress) if "://" in text else open_dump(text, progress)
