"""nginx with the configuration that is shipped, on a free port."""

from __future__ import annotations

import http.client
import os
import subprocess
from pathlib import Path
from typing import Protocol

from tests.servers.process import answers, ending_with_us, find_binary, free_port, permit, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


class Behind(Protocol):
    """What nginx stands before."""

    @property
    def port(self) -> int: ...


class Nginx:
    """The shipped configuration, moved to free ports and a folder of its own."""

    marker = "system"

    def __init__(
        self, folder: Path, behind: Behind, trusted_proxies: int = 1, secret: str = "", ends: Path | None = None
    ) -> None:
        self.folder = folder
        self.port = free_port()
        shipped = ROOT / "deploy" / "nginx"
        texts = {
            name: (shipped / name).read_text()
            for name in ("nginx.conf", "templates/bus.conf.template", "templates/server.conf.template")
        }
        if secret:
            (folder / "accelerated").mkdir()
            for path in (shipped / "accelerated").iterdir():
                template = path.suffix == ".template"
                texts[f"accelerated/{path.name}" if not template else path.name] = path.read_text()
        for name, text in texts.items():
            for old, new in {
                "/tmp/": f"{folder}/",  # first: the folder itself lies there
                "/spool/": f"{folder}/",
                "${MANTRA_TRUSTED_PROXIES}": str(trusted_proxies),
                "${MANTRA_ACCELERATED}": secret,
                "/var/lib/mantra/offload/": f"{ends or folder}/",
                "/etc/nginx/accelerated/": f"{folder}/accelerated/",
                "/dev/stdout": f"{folder}/access.log",
                "/etc/nginx/answers.conf": str(shipped / "answers.conf"),
                "listen 8080": f"listen 127.0.0.1:{self.port}",
                "listen 127.0.0.1:8081": f"listen 127.0.0.1:{free_port()}",
                # Debian's nginx is older than the image's: no names are resolved while it runs.
                "server web:8000 resolve": f"server 127.0.0.1:{behind.port}",
            }.items():
                text = text.replace(old, new)
            place = folder / name.removeprefix("templates/").removesuffix(".template")
            place.write_text(text)
        (folder / "nginx.conf").rename(folder / "main.nginx")
        permit("nginx")
        account = "user root; " if os.geteuid() == 0 else ""
        with (folder / "error.log").open("wb") as log:
            self.process = subprocess.Popen(
                ending_with_us([find_binary("nginx"), "-c", str(folder / "main.nginx"), "-g", f"{account}daemon off;"]),
                stderr=log,
            )
        wait_until(lambda: answers(self.port), 10, "nginx")

    def request(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        self.headers = response.headers
        return response.status, response.read()

    def logs(self) -> str:
        return (self.folder / "access.log").read_text() + (self.folder / "error.log").read_text()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
