"""FreeTDS's configuration file: the only place for the authority that a server's certificate is checked with.

The file is in this process's memory. Sections are only added to it, each named by a hash of its text.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading

from adapters.base import ConnectFailed

_PATH = re.compile(r"[\w./+@-]+")


class _ConfigurationFile:
    """The file freetds.conf, created at the first section."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor = -1
        self._names: set[str] = set()

    def forget(self) -> None:
        """Start anew in a forked child: the file is the parent's, which still writes to it."""
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


_file = _ConfigurationFile()
os.register_at_fork(after_in_child=_file.forget)


def server_name(host: str, port: str, authority: str) -> str:
    """Return the name of a section: the certificate must be the authority's and for this host. Raises ConnectFailed.

    ``authority`` is a PEM file, or "system" for the machine's own list. ``host`` must be checked already.
    """
    if not _PATH.fullmatch(authority):
        raise ConnectFailed("tls")
    return _file.section(
        f"\thost = {host}\n\tport = {port}\n\tencryption = require\n\tca file = {authority}\n"
        "\tcheck certificate hostname = yes\n"
    )
