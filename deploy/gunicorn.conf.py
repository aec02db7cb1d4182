"""How gunicorn serves the bus, for ./run and for the containers alike. docs/deployment.md explains each variable."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http import message
from gunicorn.workers import gthread

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "deploy"), str(ROOT)]

import connections  # noqa: E402 (they lie beside this file)
from children import Children  # noqa: E402

from registry import logs  # noqa: E402

bind = os.environ.get("BIND") or f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
chdir = str(ROOT)
worker_class = connections.Worker
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = int(os.environ.get("WEB_THREADS", "16"))
# Each worker starts its own threads and connections, which would not survive a fork.
preload_app = False

# A worker that says nothing for this long is replaced; a long answer does not silence it.
timeout = 60
graceful_timeout = int(os.environ.get("WEB_GRACEFUL_SECONDS", "30"))
# Longer than nginx keeps its connections, so that nginx is the one who closes an idle one.
keepalive = 75
# Gunicorn's own maximum is 8190 bytes. The bus itself refuses values that are too long, in the caller's format.
limit_request_line = message.MAX_REQUEST_LINE = 32 * 1024
# Headers as long as addresses, in return for fewer of them: gunicorn reads up to their product before it refuses.
limit_request_field_size = 32 * 1024
limit_request_fields = 64
# Programs for MANTRA 1.99x write letters such as é into addresses as they are, which Apache took and nginx forwards.
# Spaces and control characters stay refused.
message.RFC9112_TARGET_INVALID = re.compile(r"[\x00-\x20\x7f]")
# A body that was refused unread is awaited for so many seconds before the connection is closed; gunicorn's own 5 would
# let anybody hold every thread with requests that need no key.
gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.05
# A caller's request must arrive within so many seconds, and the time that its bytes take at the rate.
caller_seconds = float(os.environ.get("WEB_CALLER_SECONDS", "15"))
connections.Unreader.pace = connections.Pace(caller_seconds, int(os.environ.get("WEB_CALLER_RATE", "32768")), threads)
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
    """Gunicorn's log in the form of the bus's, without the request lines and exception texts that it would put in."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        zone = os.environ.get("MANTRA_TIME_ZONE") or "Asia/Jakarta"
        form = logs.formatter(os.environ.get("MANTRA_LOG_FORMAT", "text"), zone)
        for handler in self.error_log.handlers:
            handler.setFormatter(form)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if str(msg).startswith("Invalid request"):
            msg, args = f"A malformed request was refused: {_kind()}", ()
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if str(msg).startswith(("Error handling", "Socket error")):
            super().error("A request was aborted: %s", _kind())
        else:
            super().exception(msg, *args, **kwargs)


def _kind() -> str:
    kind = sys.exc_info()[0]
    return kind.__name__ if kind else "?"


logger_class = DiscreetLogger

# ------------------------------------------------------------- the embedded default: no second service


def when_ready(server: Any) -> None:
    for listener in server.LISTENERS:
        # Connections inherit it: the time limit of a request's first bytes.
        patience = connections.timeval(caller_seconds)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
    if os.environ.get("MANTRA_EMBEDDED") == "1":
        # Kept on the server: a reload (HUP) runs this file anew and must not lose sight of the children.
        # Gunicorn lets its listening sockets be inherited.
        server.children = Children(closed=[listener.sock.fileno() for listener in server.LISTENERS])
        server.children.start()


def on_exit(server: Any) -> None:
    if hasattr(server, "children"):
        server.children.end()
