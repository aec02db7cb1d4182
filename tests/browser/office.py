"""The bus as a process of its own, with the people of an office for each size of screen, for test_stories.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.browser.pages import PASSWORD, SIZES
from tests.servers.bus import Bus
from tests.servers.process import wait_until

#: Size of the screen → its colours.
SCHEMES = {"desktop": "light", "phone": "dark"}

#: Run within the bus: one process for all of it. Prints the caller's key and the publishers' API tokens.
_OPENING = """
from datetime import timedelta
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.utils import timezone
from registry.models import AccessKey, Agency, ApiToken, Application, User

call_command("apply_definitions", {bundle!r}, reason="uji")
password = make_password({password!r})
for name, role, agency in {people!r}:
    user = User.objects.create(
        username=name, password=password, is_staff=True, agency=Agency.objects.get(code=agency),
        email=f"{{name}}@{{agency}}.contoh.go.id",
    )
    user.groups.set([Group.objects.get(name=role)])
    if role == "Publisher":
        print(name, ApiToken.issue(user, timezone.now() + timedelta(days=1))[1])
for application in Application.objects.all():
    print("key", AccessKey.issue(application)[1])
"""


@dataclass(frozen=True)
class Office:
    """Who works at a screen of one size, and the codes of their agencies. Each size has an office of its own."""

    size: str

    @property
    def scheme(self) -> str:
        return SCHEMES[self.size]

    @property
    def agency(self) -> str:
        """Where two providers and a head work."""
        return f"dinsos-{self.size}"

    @property
    def small(self) -> str:
        """An agency with one provider, who has no second person."""
        return f"disdukcapil-{self.size}"

    @property
    def publishing(self) -> str:
        return f"kominfo-{self.size}"

    def person(self, name: str) -> str:
        return f"{name}-{self.size}"

    def people(self) -> list[tuple[str, str, str]]:
        roles = (("ani", "Provider", self.small), ("budi", "Provider", self.agency), ("citra", "Provider", self.agency),
                 ("kepala", "Head", self.agency), ("penerbit", "Publisher", self.publishing))  # fmt: skip
        return [(self.person(name), role, agency) for name, role, agency in roles]

    def services(self) -> list[dict[str, Any]]:
        """Operations on the population register: two of districts, one of people that is a draft."""
        district = {
            "kind": "data", "source": "siak", "sql": "SELECT kode, nama FROM kecamatan WHERE kode = :kode",
            "parameters": [{"name": "kode"}],
            "fields": [{"name": "kode", "classification": "public"}, {"name": "nama", "classification": "public"}],
        }  # fmt: skip
        people = {
            "code": "warga", "kind": "data", "source": "siak", "state": "draft",
            "sql": "SELECT nik, nama_lengkap FROM penduduk WHERE nik = :nik", "parameters": [{"name": "nik"}],
            "fields": [
                {"name": "nik", "classification": "specific"}, {"name": "nama_lengkap", "classification": "personal"},
            ],
        }  # fmt: skip
        published = [{"code": code, "state": "published", **district} for code in ("kecamatan", "wilayah")]
        return [
            {"agency": self.agency, "code": "siak", "title": "Kependudukan", "operations": [*published, people]},
            {"agency": self.publishing, "code": "gerbang", "title": "Gerbang", "operations": []},
        ]


OFFICES = tuple(Office(size) for size in SIZES)


class PeopledBus(Bus):
    """A bus with a bundle's definitions and with people: name, role and agency. ``source``: the register's settings."""

    marker = "browser"

    def __init__(
        self, var: Path, source: dict[str, Any], bundle: dict[str, Any], people: list[tuple[str, str, str]], **more: str
    ) -> None:
        super().__init__(var, REGISTER_PASSWORD=source["password"], **more)
        file = var / "bundle.json"
        file.write_text(json.dumps(bundle))
        script = _OPENING.format(bundle=str(file), password=PASSWORD, people=people)
        lines = self.manage("shell", "-v", "0", "-c", script).splitlines()
        self.tokens = dict(line.split() for line in lines if line.startswith(("key ", "penerbit-")))
        self.key = self.tokens.pop("key", "")


class OfficeBus(PeopledBus):
    """A bus with the people of all offices, and one caller's key. ``source``: the settings of the register."""

    def __init__(self, var: Path, source: dict[str, Any]) -> None:
        people = [each for office in OFFICES for each in office.people()]
        super().__init__(var, source, _bundle(of_environment(source)), people)

    def grant(self, office: Office, operations: list[str]) -> None:
        """Grant operations of the publisher's service to the caller by the management API, as a program would."""
        headers = {"Authorization": f"Bearer {self.tokens[office.person('penerbit')]}"}
        for code in operations:
            body = {"application": "mitra/app", "operation": f"{office.publishing}/gerbang/{code}", "purpose": "uji"}
            response = self.request("/manage/api/v1/grants/", "POST", json=body, headers=headers)
            assert response.status == 201, response.data

    def waits_for(self, path: str, said: object) -> urllib3.BaseHTTPResponse:
        """Call until a caller gets ``said``: a status, or a text in the body. Changes take a second to be in force."""
        replies: list[urllib3.BaseHTTPResponse] = []

        def is_so() -> bool:
            replies[:] = [self.request(path)]
            return replies[0].status == said if isinstance(said, int) else str(said).encode() in replies[0].data

        wait_until(is_so, 30, f"{said} from {path}")
        return replies[0]

    def revision(self, reply: urllib3.BaseHTTPResponse) -> int:
        """The version that the journal has for a call."""
        number = reply.headers["X-Request-Id"]
        (begin,) = (line for line in self.journal() if line.get("id") == number and line["t"] == "begin")
        return int(begin["op"][-1])


def of_environment(source: dict[str, Any]) -> dict[str, Any]:
    """The register's settings for a bundle, which has no password."""
    return {**source, "password": "env:REGISTER_PASSWORD"}


def _bundle(source: dict[str, Any]) -> dict[str, Any]:
    agencies = ["mitra", *dict.fromkeys(each[2] for office in OFFICES for each in office.people())]
    granted = [f"{office.agency}/siak/{code}" for office in OFFICES for code in ("kecamatan", "wilayah", "warga")]
    return {
        "agencies": [{"code": code, "name": code.title()} for code in agencies],
        "sources": [{"agency": office.agency, "code": "siak", **source} for office in OFFICES],
        "services": [service for office in OFFICES for service in office.services()],
        "applications": [
            {
                "agency": "mitra",
                "code": "app",
                "title": "Aplikasi mitra",
                "grants": [{"operation": name, "purpose": "uji", "legal_basis": "UU 24/2013"} for name in granted],
            }
        ],
    }
