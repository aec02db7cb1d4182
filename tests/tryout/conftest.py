"""The page on which a requester tries an operation, and what it shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mantra.tryout import limits
from tests.admin.conftest import SignIn
from tests.admin.conftest import sign_in as sign_in
from tests.cast import Cast


@pytest.fixture(autouse=True)
def _no_trials_before() -> None:
    limits.forget()


def where(operation: str) -> str:
    return reverse("try_as_application", args=("prov", "data", operation))


@dataclass
class Shown:
    """A result as a reader sees it."""

    response: Any

    @property
    def text(self) -> str:
        return unescape(self.response.content.decode())

    @property
    def blocks(self) -> dict[str, str]:
        """The shown bytes by their names."""
        found = re.findall(
            r'<pre class="bytes"[^>]*aria-label="([^"]*)">(.*?)</pre>', self.response.content.decode(), re.S
        )
        return {unescape(name): unescape(content) for name, content in found}

    @property
    def request(self) -> str:
        return self.blocks["Kepala permintaan"] + self.blocks.get("Isi permintaan", "")

    @property
    def head(self) -> str:
        return self.blocks["Kepala respons"]

    @property
    def body(self) -> str:
        return self.blocks["Isi respons"]

    @property
    def request_id(self) -> str:
        found = re.search(r"<dd><code>([0-9a-f]{32})</code>", self.text)
        assert found, self.text
        return found.group(1)


def attempt(client: Client, operation: str, values: dict[str, str] | None = None, **fields: str) -> Shown:
    """Press the button, as the script does. ``values``: of the parameters."""
    data = {"identity": "kons/app", "way": "rest-json", "method": "GET", "action": "call", **fields}
    data |= {f"p_{name}": value for name, value in (values or {}).items()}
    return Shown(client.post(where(operation), data, headers={"X-Part": "result"}))


@pytest.fixture
def requester(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Requester", cast.consumer)
