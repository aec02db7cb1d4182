"""The people of a story at their screens: what they look at is checked, and what they do is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from playwright.sync_api import Browser, Page, expect

from tests.browser.office import Office
from tests.browser.pages import LEFT, PASSWORD, Clerk, Troubles, accessibility, fits, idle, new_page, picture, wait_for
from tests.browser.test_pages import VISITS
from tests.servers.bus import Bus

AnyBus = TypeVar("AnyBus", bound=Bus)
#: What the browser says of a page that answers 403, 404 or 409 on purpose.
REFUSED = "the server responded with a status of 4"


@dataclass
class Desk(Generic[AnyBus]):
    """The people of an office at their screens."""

    browser: Browser
    bus: AnyBus
    office: Office
    wrong: list[str] = field(default_factory=list)
    seats: list[tuple[Page, Troubles]] = field(default_factory=list)

    def seat(self, address: str = "/admin/") -> Clerk:
        """A browser of its own, on a page or, as nobody has signed in, on that for signing in."""
        page = new_page(self.browser, self.bus.base, self.office.size, self.office.scheme)
        troubles = Troubles(page, self.bus.base)
        troubles.expected += LEFT
        self.seats.append((page, troubles))
        clerk = Clerk(page)
        page.goto(address)
        return clerk

    def sign_in(self, name: str, address: str = "/admin/") -> Clerk:
        """A person who has signed in by the form, which counts, to read a page."""
        clerk = self.seat(address)
        clerk.fill("#id_username", self.office.person(name))
        clerk.fill("#id_password", PASSWORD)
        clerk.click(clerk.page.get_by_role("button", name="Masuk"))
        expect(clerk.page.get_by_text("Langkah pertama").or_(clerk.page.locator("#nav-sidebar")).first).to_be_attached()
        return clerk

    def look(self, page: Page, name: str = "", size: str = "desktop") -> None:
        """Check a page; with ``name`` also make the documentation's picture of it, at one size."""
        idle(page)
        page.mouse.move(0, 0)
        wait_for(page, "document.getAnimations().every(each => each.playState !== 'running')")
        rules = VISITS[self.office.size, self.office.scheme]
        self.wrong += [f"{page.url}: {line}" for line in accessibility(page, rules)]
        if not fits(page):
            self.wrong.append(f"{page.url}: wider than the screen")
        if name and self.office.size == size:
            picture(page, name)

    def leave(self) -> None:
        found = list(self.wrong)
        for page, troubles in self.seats:
            page.context.close()
            found += [line for line in troubles if REFUSED not in line]
        assert not found, "\n".join(found)


def counted(what: str, desk: Desk, clerk: Clerk, clicks: int, fields: int) -> None:
    print(f"\n{what} ({desk.office.size}): {clerk}")
    assert clerk.clicks <= clicks, str(clerk)
    assert clerk.fields <= fields, str(clerk)
