"""A process of the server: it accepts connections, and its threads serve them."""

from __future__ import annotations

import logging
import os
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any, ClassVar

from gunicorn.workers import base

from server.bodies import Budget
from server.connection import Connection, Server
from server.pace import Pace

log = logging.getLogger("gunicorn.error")

#: Seconds between two looks at how long callers have been waited for.
_ROUND = 0.25
#: Seconds for which a stopping process keeps silent connections, for requests that are on their way.
_LINGER = 2.0
#: Bytes of bodies that are held in memory before their applications run.
_BUDGET = 64 * 1024 * 1024
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


class Worker(base.Worker):  # type: ignore[misc]  # gunicorn carries no types
    """Threads that share one epoll. The main thread tells gunicorn's master that the process is alive."""

    #: deploy/gunicorn.conf.py sets it.
    pace: ClassVar[Pace] = Pace()

    def run(self) -> None:
        self._connections: dict[int, Connection] = {}
        self._epoll = select.epoll()
        self._server = Server(
            application=self.wsgi,
            pace=self.pace,
            keep_alive=self.cfg.keepalive,
            trusts_proxy="*" in self.cfg.forwarded_allow_ips,
            budget=Budget(_BUDGET),
            connections=self._connections,
            wake=lambda descriptor: self._epoll.modify(descriptor, _EVENTS),
        )
        self._listeners = {listener.fileno(): listener for listener in self.sockets}
        for descriptor, listener in self._listeners.items():
            listener.setblocking(False)
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._stop = os.eventfd(0)
        threads = [threading.Thread(target=self._serve, name=f"server-{n}") for n in range(self.cfg.threads)]
        for thread in threads:
            thread.daemon = True  # a call that hangs must not keep the process
            thread.start()
        while self.alive:
            self._round()
            if self.ppid != os.getppid():
                log.info("Parent changed, shutting down: %s", self)
                break
        self._end(threads)

    def _round(self) -> None:
        self.notify()
        now = time.monotonic()
        for connection in list(self._connections.values()):
            connection.expire(now)
        if select.select([self.PIPE[0]], [], [], _ROUND)[0]:  # a signal ends the wait
            os.read(self.PIPE[0], 512)

    def _serve(self) -> None:
        """What each thread does."""
        poll, connections, listeners, stop = self._epoll.poll, self._connections, self._listeners, self._stop
        while True:
            for descriptor, event in poll(None, 1):
                connection = connections.get(descriptor)
                if connection is not None:
                    connection.ready(bool(event & select.EPOLLRDHUP))
                elif descriptor in listeners:
                    self._accept(listeners[descriptor])
                elif descriptor == stop:
                    return

    def _accept(self, listener: Any) -> None:
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptor is left
            log.error("A connection could not be accepted: errno %s", error.errno)
            self._make_room()
            time.sleep(0.1)
            return
        accepted.setblocking(False)
        if len(self._connections) >= self.cfg.worker_connections:
            self._make_room()
        connection = Connection(accepted, self._base(accepted, address), self._server)
        descriptor = accepted.fileno()
        self._connections[descriptor] = connection
        with suppress(OSError):  # another thread has closed it already, to make room
            self._epoll.register(descriptor, _EVENTS)

    def _make_room(self) -> None:
        """Close the oldest silent connection."""
        silent = [each for each in list(self._connections.values()) if each.quiet_since]
        if silent:
            min(silent, key=lambda each: each.quiet_since).close_idle()

    def _base(self, accepted: socket.socket, address: Any) -> dict[str, Any]:
        """Return what the environments of all requests of a connection have in common."""
        ours = accepted.getsockname()
        tcp = accepted.family != socket.AF_UNIX
        if tcp:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return {
            "SCRIPT_NAME": "",
            "SERVER_NAME": ours[0] if tcp else "unix",
            "SERVER_PORT": str(ours[1]) if tcp else "",
            "REMOTE_ADDR": address[0] if tcp else "",
            "REMOTE_PORT": str(address[1]) if tcp else "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "mantra.socket": accepted,
        }

    def _end(self, threads: list[threading.Thread]) -> None:
        """Let running calls finish, then end the threads."""
        self._server.alive = False
        for descriptor, listener in self._listeners.items():
            self._epoll.unregister(descriptor)
            listener.close()
        began = time.monotonic()
        while self._connections and time.monotonic() < began + self.cfg.graceful_timeout:
            self.notify()
            now = time.monotonic()
            for connection in list(self._connections.values()):
                if now > began + _LINGER:
                    connection.close_idle()
                connection.expire(now)
            time.sleep(0.05)
        os.eventfd_write(self._stop, len(threads))
        self._epoll.register(self._stop, select.EPOLLIN)
        until = time.monotonic() + 1
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.01))
