from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.formats.oracle import Php


@pytest.fixture(scope="session")
def php() -> Iterator[Php]:
    running = Php()
    yield running
    running.close()
