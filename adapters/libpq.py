"""PostgreSQL's cancel requests, sent by libpq itself.

psycopg2's ``connection.cancel`` keeps the interpreter's lock until the server has answered: a server that is silent
would stop every thread of the process.
"""

from __future__ import annotations

import ctypes
from functools import cache

from adapters.base import ConnectFailed


class CancelRequest:
    """The request to cancel what a connection runs. It stays valid when the connection is closed.

    ``connection`` is the address of the driver's PGconn.
    """

    def __init__(self, connection: int) -> None:
        self._handle = _libpq().PQgetCancel(connection)
        if not self._handle:
            raise ConnectFailed("broken")

    def send(self) -> None:
        """Ask the server to cancel, and wait until it has taken the request. Other threads go on."""
        answer = ctypes.create_string_buffer(256)
        _libpq().PQcancel(self._handle, answer, len(answer))

    def __del__(self) -> None:
        try:  # noqa: SIM105
            _libpq().PQfreeCancel(self._handle)
        except Exception:  # noqa: S110  # at the interpreter's end, functions may be gone already; suppress() too
            pass


@cache
def _libpq() -> ctypes.CDLL:
    """Return the libpq that psycopg2 is linked to. Calls through ctypes release the interpreter's lock."""
    from psycopg2 import _psycopg

    library = ctypes.CDLL(_psycopg.__file__)
    library.PQgetCancel.restype = ctypes.c_void_p
    library.PQgetCancel.argtypes = [ctypes.c_void_p]
    library.PQcancel.restype = ctypes.c_int
    library.PQcancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    library.PQfreeCancel.restype = None
    library.PQfreeCancel.argtypes = [ctypes.c_void_p]
    return library
