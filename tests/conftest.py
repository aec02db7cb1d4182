"""Fixtures that every test may ask for."""

from __future__ import annotations

import gc
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware

from adapters import socket_watch
from adapters.tds import dialling
from mantra.gateway import quotas, row_quotas
from mantra.gateway.row_quota_stores import Memory
from mantra.verification import tries
from proxyservices import runtime
from registry import change_journal
from registry.journal import chain, segments
from registry.models import changes
from registry.snapshot import holder
from registry.statistics import rollups
from tests import cast as cast_module
from tests.cast import Cast
from tests.replay import replayed
from tests.servers import database

# A slow machine must not make a test fail, and the same code passes or fails each time. "explore" looks for new cases.
hypothesis_settings.register_profile("mantra", deadline=None, derandomize=True)
hypothesis_settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis_settings.load_profile("mantra")

pytest_plugins = ["tests.servers.fixtures", "tests.markers", "tests.stalled"]


def pytest_configure() -> None:
    # Nothing that collecting the tests makes is garbage.
    gc.disable()
    # The deployed one takes a quarter of a second for each password; the processes of a bus have it.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    WhiteNoiseMiddleware.add_files_from_finders = _add_static_files


def pytest_collection_finish() -> None:
    gc.enable()


_scan_static_files = WhiteNoiseMiddleware.add_files_from_finders
_static_files: dict[str, Any] = {}


def _add_static_files(self: WhiteNoiseMiddleware) -> None:
    """Add the static files that the first client of this process found: each client has its own middleware."""
    if not _static_files:
        _scan_static_files(self)
        _static_files.update(self.files)
    self.files.update(_static_files)


@pytest.fixture(autouse=True)
def _fresh_journal() -> Iterator[None]:
    """Each test has the journal to itself, and takes no picture of the book from the one before."""
    holder.forget()
    rollups.forget_groups()
    yield
    segments.close()
    for pattern in (f"*{chain.SUFFIX}", "*.alive", "*.erased"):
        for path in Path(settings.JOURNAL_DIR).glob(pattern):
            path.unlink()
    shutil.rmtree(settings.JOURNAL_ARCHIVE_DIR, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _no_changes_in_the_journal() -> None:
    """The journal of a test has its calls only, unless it asks for ``changes_recorded``: tests change rows freely."""
    changes.OBSERVERS.clear()


@pytest.fixture
def changes_recorded() -> Iterator[None]:
    """From here on changes of rows are in the journal, as they are outside of tests."""
    changes.OBSERVERS.append(change_journal.record)
    yield
    changes.OBSERVERS.clear()


@pytest.fixture(autouse=True)
def _fresh_runtime() -> None:
    """No test knows what the proxied calls of another have learned, or pays for its quotas."""
    runtime.reset()
    quotas._limiter.storage.reset()
    row_quotas.store = Memory()
    tries.store = tries.Memory()


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A registry in memory, copied from one that was migrated before, in place of migrating it in each process."""
    place = "file:memorydb_default?mode=memory&cache=shared"
    with closing(sqlite3.connect(place, uri=True)) as made:  # it lasts as long as somebody is connected
        with closing(sqlite3.connect(database.migrated())) as migrated:
            migrated.backup(made)
        with django_db_blocker.unblock():
            connection.close()
            settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = place
        yield
        with django_db_blocker.unblock():
            connection.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus waits long for a server that ends a statement: it shows that it does, however busy the machine is."""
    monkeypatch.setattr(socket_watch, "GRACE", 60.0)
    monkeypatch.setattr(dialling, "CUT_AFTER", 60.0)


@pytest.fixture
def cast(db: None) -> Cast:
    cast = replayed("cast", cast_module.assemble)
    holder.refresh()
    return cast
