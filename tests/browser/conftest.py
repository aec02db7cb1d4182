"""One browser for all these tests, and a page in it that fails the test for what goes wrong on it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.signals import request_finished, request_started
from django.db import connection
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from tests.browser.pages import Troubles, new_page
from tests.servers import database
from tests.servers.process import wait_until

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
#: What a page will show is waited for as long as Playwright waits for what is clicked: a busy machine takes seconds.
expect.set_options(timeout=30_000)


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
    ContentType.objects.clear_cache()  # their keys differ from database to database
    yield
    with django_db_blocker.unblock():
        connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = in_memory
    ContentType.objects.clear_cache()


@pytest.fixture(scope="package")
def live_server(_registry_in_a_file: None) -> Iterator[LiveServer]:
    """The live server of these tests, as pytest-django's starts before the registry is in a file."""
    running = LiveServer("localhost")
    assert not running.thread.connections_override
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _all_requests_end(transactional_db: None) -> Iterator[None]:
    """Wait for the requests that the pages of a test have begun, before its rows are deleted.

    A request that reads a row at that time keeps it in a cache of the process, for which it has a new key afterwards.
    """
    serving: set[int] = set()

    def begun(**_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            serving.add(threading.get_ident())

    def ended(**_: Any) -> None:
        serving.discard(threading.get_ident())

    request_started.connect(begun)
    request_finished.connect(ended)
    yield
    wait_until(lambda: not serving, 30, "requests that end")
    request_started.disconnect(begun)
    request_finished.disconnect(ended)


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
