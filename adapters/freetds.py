"""What FreeTDS's ODBC driver takes from its configuration file only: whose certificates a server may show.

The file lies in this process's memory. Sections are only ever added to it, each under a name made of what it says.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading

from adapters.base import ConnectFailed

_PATH = re.compile(r"[\w./+@-]+")


class _File:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor = -1
        self._names: set[str] = set()

    def forget(self) -> None:
        """In a forked child: the file was the parent's, which goes on writing to it."""
        self.__init__()  # type: ignore[misc]

    def section(self, text: str) -> str:
        name = "mantra-" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        with self._lock:
            if name not in self._names:
                if self._descriptor < 0:
                    self._descriptor = os.memfd_create("freetds.conf")
                    os.environ["FREETDSCONF"] = f"/proc/self/fd/{self._descriptor}"
                os.write(self._descriptor, f"[{name}]\n{text}".encode())
                self._names.add(name)
        return name


_file = _File()
os.register_at_fork(after_in_child=_file.forget)


def server_name(host: str, port: str, authority: str) -> str:
    """The name of a server whose certificate must be the authority's and for this host. Raises ConnectFailed.

    ``authority`` is a PEM file, or "system" for the machine's own list. ``host`` has been looked at.
    """
    if not _PATH.fullmatch(authority):
        raise ConnectFailed("tls")
    return _file.section(
        f"\thost = {host}\n\tport = {port}\n\tencryption = require\n\tca file = {authority}\n"
        "\tcheck certificate hostname = yes\n"
    )
