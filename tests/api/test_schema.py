"""The description of the API: whole, and served without asking anybody else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from django.core.management import call_command
from django.test import Client

from mantra.api.urls import router
from tests.api.conftest import Person


def test_the_schema_is_valid_and_names_every_endpoint(tmp_path: Path) -> None:
    file = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    schema = yaml.safe_load(file.read_text())
    for prefix, _view, _name in router.registry:
        assert f"/manage/api/v1/{prefix}/" in schema["paths"]
    for name in ("Source", "Backend", "Server"):
        readable = [
            each for each, of in schema["components"]["schemas"][name]["properties"].items() if not of.get("writeOnly")
        ]
        assert "password" not in readable
        assert "credential" not in readable


def test_s21_the_description_needs_a_sign_in(provider: Person, settings: Any) -> None:
    assert Client().get("/manage/api/v1/schema/").status_code == 401
    page = Client().get("/manage/api/v1/docs/")
    assert (page.status_code, page["Location"]) == (302, "/account/login/?next=/manage/api/v1/docs/")
    assert provider.get("schema/").status_code == 200
    settings.API_DOCS_OPEN = True
    assert Client().get("/manage/api/v1/schema/").status_code == 200
    assert Client().get("/manage/api/v1/docs/").status_code == 200


def test_the_schema_is_served(provider: Person) -> None:
    provider.client.force_login(provider.user)
    answer = provider.client.get("/manage/api/v1/schema/")
    assert answer.status_code == 200
    assert b"/manage/api/v1/operations/" in answer.content


def test_swagger_ui_asks_no_other_host(provider: Person) -> None:
    provider.client.force_login(provider.user)
    page = provider.client.get("/manage/api/v1/docs/").content.decode()
    assert "swagger-ui-bundle.js" in page
    assert not re.findall(r"""(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}""", page, re.I)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith("/"), address
        assert Client().get(address).status_code == 200, address
