"""One browser for all these tests, and a page in it that fails the test for what goes wrong on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from tests.browser.pages import Troubles, new_page
from tests.servers import database

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="package")
def _registry_in_a_file(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A registry in a file, of which each thread of the live server has a connection of its own, as in a bus.

    All threads would share the connection of one in memory, and can then wait for each other for ever: one holds the
    connection and waits for the interpreter, to run a function of Django's within SQL; another holds the interpreter
    and waits for the connection, to read a value.
    """
    place = tmp_path_factory.mktemp("registry") / "mantra.sqlite3"
    shutil.copy(database.migrated(), place)
    in_memory = connection.settings_dict["NAME"]
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = str(place)
    with django_db_blocker.unblock():
        connection.close()
    yield
    with django_db_blocker.unblock():
        connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = in_memory


@pytest.fixture(scope="package")
def live_server(_registry_in_a_file: None) -> Iterator[LiveServer]:
    """The live server of these tests, as pytest-django's starts before the registry is in a file."""
    running = LiveServer("localhost")
    assert not running.thread.connections_override
    yield running
    running.stop()


@pytest.fixture(scope="package")  # in one process, until tests of another folder come
def browser() -> Iterator[Browser]:
    # The same engine without windows, tabs and menus, which cost a fifth of all time.
    path = shutil.which("chromium-headless-shell")
    assert path, "the browser is missing: apt-get install chromium-headless-shell"
    # Playwright runs an event loop in this thread, and Django takes that for asynchronous code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, live_server: LiveServer, transactional_db: None) -> Iterator[Page]:
    """A page that fails the test when it asks another host for anything or a script on it fails."""
    found = new_page(browser, live_server.url)
    troubles = Troubles(found, live_server.url)
    yield found
    found.context.close()
    assert troubles == []
