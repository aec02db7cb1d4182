"""Mutual TLS by the shipped configuration of nginx: only the certificate of the connection reaches the bus."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from tests.cast import make_table
from tests.servers.bus import Bus
from tests.servers.certificates import Authority
from tests.servers.nginx import SHIPPED, Nginx
from tests.servers.process import free_port

SECRET = "rahasia-nginx-0123456789"
PATH = "/rest/prov/data/jumlah"


class Encrypted(Nginx):
    """nginx that ends TLS, with the shipped template."""

    def __init__(self, folder: Path, behind: Bus, files: tuple[Path, Path]) -> None:
        self.tls_port = free_port()
        self.files = files
        super().__init__(folder, behind, secret=SECRET)

    def _moved(self, path: Path) -> str:
        if path.name == "server.conf.template":
            path = SHIPPED / "tls.conf.template"
        self.words |= {
            "${MANTRA_CLIENT_CERTIFICATES}": "optional_no_ca",
            "${MANTRA_PLAIN_LEGACY}": "1",
            "${MANTRA_BASE_URL}": "https://bus.example",
            "/etc/nginx/tls/fullchain.pem": str(self.files[0]),
            "/etc/nginx/tls/privkey.pem": str(self.files[1]),
            "listen 8443": f"listen 127.0.0.1:{self.tls_port}",
        }
        return super()._moved(path)


BUNDLE: dict[str, Any] = {
    "agencies": [{"code": "prov", "name": "Penyedia"}, {"code": "kons", "name": "Konsumen"}],
    "sources": [{"agency": "prov", "code": "uji", "engine": "sqlite", "database": str(make_table())}],
    "services": [
        {
            "agency": "prov",
            "code": "data",
            "title": "Data",
            "operations": [
                {
                    "code": "jumlah",
                    "kind": "data",
                    "source": "prov/uji",
                    "state": "published",
                    "sql": "SELECT count(*) AS jumlah FROM orang",
                    "fields": [{"name": "jumlah", "type": "integer", "classification": "public"}],
                }
            ],
        }
    ],
    "applications": [
        {
            "agency": "kons",
            "code": "app",
            "title": "Aplikasi",
            "grants": [{"operation": "prov/data/jumlah", "purpose": "uji"}],
        }
    ],
}
_REQUIRE = """
import sys, django
django.setup()
from registry.models import Application, ClientCertificate
application = Application.objects.get(code="app")
row = ClientCertificate(application=application, pem=sys.stdin.read())
row.full_clean()
row.save()
application.certificate_required = True
application.save()
"""


@dataclass
class Installation:
    nginx: Encrypted
    bus: Bus
    authority: Authority
    own: tuple[Path, Path]
    foreign: tuple[Path, Path]

    def call(self, shown: tuple[Path, Path] | None = None, **headers: str) -> int:
        """The status of a call over TLS, with a certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if shown is not None:
            context.load_cert_chain(*shown)
        with urllib3.PoolManager(ssl_context=context) as pool:
            address = f"https://127.0.0.1:{self.nginx.tls_port}{PATH}"
            return pool.request("GET", address, headers={"AccessKey": self.bus.key} | headers, retries=False).status


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    server, own, foreign = (authority.certificate(name) for name in ("127.0.0.1", "app.example", "lain.example"))
    bus = Bus(
        tmp_path_factory.mktemp("bus"),
        BUNDLE,
        "kons/app",
        MANTRA_SOURCE_FILE_DIRS=str(make_table().parent.parent),
        MANTRA_TRUSTED_PROXIES="1",
        MANTRA_NGINX_SECRET=SECRET,
    )
    bus._run("-c", _REQUIRE, given=own[0].read_text())
    with bus:
        nginx = Encrypted(tmp_path_factory.mktemp("nginx"), bus, server)
        try:
            yield Installation(nginx, bus, authority, own, foreign)
        finally:
            nginx.close()


def test_the_certificate_of_the_connection_decides(installation: Installation) -> None:
    assert installation.call(installation.own) == 200
    assert installation.call() == 401
    assert installation.call(installation.foreign) == 403


def test_what_a_caller_writes_into_headers_is_no_certificate(installation: Installation) -> None:
    said = {"X-Mantra-Certificate": quote(installation.own[0].read_text()), "X-Mantra-Nginx": SECRET}
    assert installation.call(**said) == 401
    assert installation.call(installation.foreign, **said) == 403


def test_nobody_beside_nginx_states_a_certificate(installation: Installation) -> None:
    """Straight to the bus, as a neighbour in its network could go."""
    said = {"AccessKey": installation.bus.key, "X-Mantra-Certificate": quote(installation.own[0].read_text())}
    address = f"http://127.0.0.1:{installation.bus.port}{PATH}"
    assert urllib3.request("GET", address, headers=said, retries=False).status == 401
    # The control: with the secret, which nobody has, it would be taken.
    assert urllib3.request("GET", address, headers=said | {"X-Mantra-Nginx": SECRET}, retries=False).status == 200
