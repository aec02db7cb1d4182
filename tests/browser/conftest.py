"""One browser for all these tests, and a page in it that fails the test for what goes wrong on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.browser.pages import Troubles, new_page

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


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
