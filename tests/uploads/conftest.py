"""An agency that uploads, with a folder of its own for each test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.models import Agency, User
from tests.admin.conftest import make_user


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.UPLOAD_DIR = tmp_path / "uploads"
    return tmp_path / "uploads"


@pytest.fixture
def agency(db: None, request: pytest.FixtureRequest) -> Agency:
    """The agency that provides: that of the cast, where there is one."""
    if "cast" in request.fixturenames:
        provider: Agency = request.getfixturevalue("cast").provider
        return provider
    return Agency.objects.create(code="prov", name="Penyedia")


@pytest.fixture
def provider(agency: Agency) -> User:
    return make_user("Provider", agency)
