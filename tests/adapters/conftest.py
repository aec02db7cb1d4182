from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters import engines


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> engines.Engine:
    """Each engine in turn, with the tables of the contract, empty."""
    if request.param == "sqlite":
        return engines.sqlite_engine(tmp_path)
    if request.param == "postgresql":
        return engines.postgresql_engine(request.getfixturevalue("postgresql"))
    return engines.mariadb_engine(request.getfixturevalue("mariadb"))


@pytest.fixture(params=["postgresql", "mariadb"])
def networked(request: pytest.FixtureRequest) -> engines.Engine:
    """The engines that live behind a socket."""
    if request.param == "postgresql":
        return engines.postgresql_engine(request.getfixturevalue("postgresql"))
    return engines.mariadb_engine(request.getfixturevalue("mariadb"))
