"""How gunicorn serves the bus, for ./run and for the containers alike. docs/deployment.md explains each variable."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

ROOT = Path(__file__).resolve().parent.parent

bind = os.environ.get("BIND") or f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
chdir = str(ROOT)
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = int(os.environ.get("WEB_THREADS", "16"))
# Each worker starts its own threads and connections, which would not survive a fork.
preload_app = False

# A worker that says nothing for this long is replaced; a long answer does not silence it.
timeout = 60
graceful_timeout = int(os.environ.get("WEB_GRACEFUL_SECONDS", "30"))
# Longer than nginx keeps its connections, so that nginx is the one who closes an idle one.
keepalive = 75
limit_request_line = 8190
memory = "/dev/shm"  # noqa: S108  # gunicorn makes its files there by mkstemp
if os.access(memory, os.W_OK):
    # The workers' heartbeat never waits for a disk.
    worker_tmp_dir = memory

# Only proxies of our own are believed, and none may set WSGI's SCRIPT_NAME.
forwarded_allow_ips = "*" if int(os.environ.get("MANTRA_TRUSTED_PROXIES", "0")) else ""
forwarder_headers = ""
control_socket_disable = True

# The journal is the record of calls. Addresses and query strings name persons: no log gets them.
accesslog = None
errorlog = "-"
loglevel = os.environ.get("MANTRA_LOG_LEVEL", "info").lower()


class DiscreetLogger(Logger):  # type: ignore[misc]  # gunicorn carries no types
    """Gunicorn's log without the request lines and exception texts that it would put in."""

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if str(msg).startswith("Invalid request"):
            msg, args = f"A malformed request was refused: {_kind()}", ()
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if str(msg).startswith(("Error handling", "Socket error")):
            super().error("A request broke off: %s", _kind())
        else:
            super().exception(msg, *args, **kwargs)


def _kind() -> str:
    kind = sys.exc_info()[0]
    return kind.__name__ if kind else "?"


logger_class = DiscreetLogger

# ------------------------------------------------------------- the embedded default: no second service


class Shipper:
    """``manage.py ship_journal --follow`` as a child of this server, started again when it ends."""

    def __init__(self, listeners: list[Any]) -> None:
        #: What the child must not hold open: gunicorn lets its listening sockets be inherited.
        self._listening = [listener.sock.fileno() for listener in listeners]
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._gone = threading.Event()
        self._pid = 0

    def watch(self) -> None:
        """Keep one child running until end() is called. Blocks."""
        command = [sys.executable, str(ROOT / "manage.py"), "ship_journal", "--follow", "--parent", str(os.getpid())]
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_CLOSE, number) for number in self._listening),
        ]
        while True:
            with self._lock:
                if self._ended.is_set():
                    break
                # Not subprocess: it waits for the end of a pipe that a worker forked meanwhile would hold open.
                # A session of its own: Ctrl-C is for the server, which ends the child after the last call.
                self._pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=files, setsid=True)
            # The server collects its dead children itself and may be the first to hear of this one.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0
            self._ended.wait(1)
        self._gone.set()

    def end(self) -> None:
        """End the child for good, by force after 10 seconds."""
        with self._lock:
            self._ended.set()
        for way, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 1)):
            if self._pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, way)
            if self._gone.wait(seconds):
                return


#: Seconds for which a thread waits for the next byte from a caller, or for one to take the next bytes of an answer.
STALL = int(os.environ.get("WEB_STALL_SECONDS", "30"))


def when_ready(server: Any) -> None:
    for listener in server.LISTENERS:
        # Connections inherit it. Without it a handful of callers who say nothing hold every thread for ever.
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, way, struct.pack("ll", STALL, 0))
    if os.environ.get("MANTRA_EMBEDDED") == "1":
        # Kept on the server: a reload (HUP) runs this file anew and must not lose sight of the child.
        server.shipper = Shipper(server.LISTENERS)
        threading.Thread(target=server.shipper.watch, name="shipper", daemon=True).start()


def on_exit(server: Any) -> None:
    if hasattr(server, "shipper"):
        server.shipper.end()
