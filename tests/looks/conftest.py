"""Calls about two citizens, and the people who may tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mantra import attempts
from registry.journal import shipping
from registry.snapshot import holder
from tests.admin.conftest import sign_in
from tests.cast import Cast

__all__ = ["sign_in"]

NIK, OTHER = "3201010101010001", "3201010101010002"


@pytest.fixture(autouse=True)
def _fresh_attempts() -> Iterator[None]:
    attempts.forget()
    yield
    attempts.forget()


@pytest.fixture
def citizen(cast: Cast) -> Cast:
    """The cast, with an operation that finds a person by the NIK."""
    parameter: dict[str, Any] = {"name": "nik", "subject": True}
    cast.operation("warga", "SELECT id, nama FROM orang WHERE nama = :nik OR id = 1", parameters=(parameter,))
    cast.service.title = "Kependudukan"
    return cast


def called(cast: Cast, nik: str = NIK, times: int = 1, **headers: str) -> None:
    holder.refresh()
    for _number in range(times):
        assert cast.get("warga", f"nik={nik}", **headers).status == 200
    shipping.ship()
