"""How gunicorn serves the bus, for ./run and for the containers alike. docs/deployment.md explains each variable."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "deploy"), str(ROOT)]

from children import Children  # noqa: E402 (they lie beside this file)
from server.pace import Pace  # noqa: E402
from server.worker import Worker  # noqa: E402

from registry import logs  # noqa: E402

bind = os.environ.get("BIND") or f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
chdir = str(ROOT)
worker_class = Worker
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = int(os.environ.get("WEB_THREADS", "16"))
# Each worker starts its own threads and connections, which would not survive a fork.
preload_app = False

# A worker that says nothing for this long is replaced; a long answer does not silence it.
timeout = 60
graceful_timeout = int(os.environ.get("WEB_GRACEFUL_SECONDS", "30"))
# Longer than nginx keeps its connections, so that nginx is the one who closes an idle one.
keepalive = 75
# A caller's request must arrive within so many seconds, and the time that its bytes take at the rate; and so must the
# caller read a response.
caller_seconds = float(os.environ.get("WEB_CALLER_SECONDS", "15"))
Worker.pace = Pace(caller_seconds, int(os.environ.get("WEB_CALLER_RATE", "32768")), threads)
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


class FormattedLogger(Logger):  # type: ignore[misc]  # gunicorn carries no types
    """Gunicorn's log in the form of the bus's."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        zone = os.environ.get("MANTRA_TIME_ZONE") or "Asia/Jakarta"
        form = logs.formatter(os.environ.get("MANTRA_LOG_FORMAT", "text"), zone)
        for handler in self.error_log.handlers:
            handler.setFormatter(form)


logger_class = FormattedLogger

# ------------------------------------------------------------- the embedded default: no second service


def when_ready(server: Any) -> None:
    if os.environ.get("MANTRA_EMBEDDED") == "1":
        # Kept on the server: a reload (HUP) runs this file anew and must not lose sight of the children.
        # Gunicorn lets its listening sockets be inherited.
        server.children = Children(closed=[listener.sock.fileno() for listener in server.LISTENERS])
        # Each of them takes as much of a processor to start as the worker, and the first caller waits for the worker.
        ready, server.ready = os.pipe()
        os.set_blocking(server.ready, False)
        server.children.start_after(lambda: os.read(ready, 1))


def post_fork(server: Any, worker: Any) -> None:
    worker.ready = getattr(server, "ready", None)


def post_worker_init(worker: Any) -> None:
    if worker.ready is not None:
        with suppress(BlockingIOError):  # nobody reads what later workers write
            os.write(worker.ready, b".")


def on_reload(server: Any) -> None:
    # Secrets that are in files may have changed: the children read them when they start.
    if hasattr(server, "children"):
        server.children.renew()


def on_exit(server: Any) -> None:
    if hasattr(server, "children"):
        server.children.end()
