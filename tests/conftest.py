"""Fixtures that every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from registry.journal import chain, segments
from registry.snapshot import holder
from tests import cast as cast_module
from tests.cast import Cast

pytest_plugins = ["tests.servers.fixtures"]


@pytest.fixture(autouse=True)
def _fresh_journal() -> Iterator[None]:
    """Each test has the journal to itself, and takes no picture of the book from the one before."""
    holder._holder.snapshot = None
    yield
    segments.close()
    for path in Path(settings.JOURNAL_DIR).glob(f"*{chain.SUFFIX}"):
        path.unlink()


@pytest.fixture
def cast(db: None) -> Cast:
    return cast_module.assemble()
