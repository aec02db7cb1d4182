"""Pages in a browser: who signs in, what may be wrong with a page, and how much a person has to do on it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, Response, expect

from registry.models import Agency, User
from tests.servers.process import wait_until

PASSWORD = "kata-sandi-panjang-1"
#: Name → width and height of the screen.
SIZES: dict[str, tuple[int, int]] = {"desktop": (1366, 768), "phone": (390, 844)}
#: What stops people. The others are counted as advice.
STOPPING = ("critical", "serious")


# ---------------------------------------------------------------------------------------------- people


def person(name: str, role: str, agency: Agency | None = None) -> User:
    user = User.objects.create_user(name, password=PASSWORD, agency=agency, is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    return user


def sign_in(page: Page, name: str) -> None:
    """Sign in by the form, as people do."""
    page.goto("/admin/")
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.get_by_role("button", name="Masuk").click()
    expect(page.get_by_text("Langkah pertama")).to_be_visible()


def signed_in(context: BrowserContext, user: User, address: str) -> None:
    """Give a browser the session of a user, without the form."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": address}])


# ------------------------------------------------------------------------------------- what is wrong

#: What the browser reports when a page is left while a part of it is on the way.
LEFT = ("htmx:sendAbort", "htmx:afterRequest", "htmx:beforeOnLoad")


def wait_for(page: Page, expression: str, seconds: float = 30) -> Any:
    """Wait until an expression is true in a page, and return its value.

    Playwright's own wait_for_function makes code of a text in the page, which the page's policy forbids.
    """
    found: list[Any] = []

    def true() -> bool:
        try:
            found.append(page.evaluate(expression))
        except Error as error:
            if "navigation" not in str(error):
                raise
            return False  # the page is left for another one
        return bool(found[-1])

    wait_until(true, seconds, expression)
    return found[-1]


def idle(page: Page) -> None:
    """Wait until nothing is on its way to the bus."""
    wait_for(page, "!document.querySelector('.htmx-request, .mantra-busy, [aria-busy=true]')")


def picture(page: Page, name: str) -> None:
    """Write a picture of the page into the folder of the environment's SCREENSHOTS, if there is one."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        idle(page)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=False, scale="css")


def new_page(browser: Browser, address: str, size: str = "desktop", scheme: str = "light") -> Page:
    """Return a page at one of SIZES, of a person who prefers a colour scheme."""
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=address,
        locale="en-US",  # the admin is Indonesian all the same
        timezone_id=settings.TIME_ZONE,
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    return context.new_page()


#: Reports what a page's policy stops, but for the styles that the browser itself gives a text when a program replaces
#: all of the SQL editor's: the editor sets its own text there at once.
_STOPPED = """document.addEventListener("securitypolicyviolation", (event) => {
    const { violatedDirective: rule, blockedURI, sourceFile, lineNumber, target } = event;
    if (!(rule === "style-src-attr" && target.closest?.("[data-part=editor]"))) {
        console.error(`stopped: ${rule} ${blockedURI} ${sourceFile}:${lineNumber} ${target.outerHTML || ""}`);
    }
});"""
#: How the browser reports the same, without the place.
_REPORTED = "Content Security Policy directive"


class Troubles(list[str]):
    """What goes wrong on a page: a script's error, an error on its console, a request to another host, no policy.

    What a page's policy forbids is an error on its console.

    Errors that a test expects, such as a response with 403, go to ``expected``: parts of their text.
    """

    def __init__(self, page: Page, address: str) -> None:
        super().__init__()
        self.expected: list[str] = []
        self._own = ("", urlsplit(address).netloc)
        page.add_init_script(_STOPPED)
        page.on("request", lambda request: self._on_request(request.url))
        page.on("response", self._on_response)
        page.on("pageerror", lambda error: self._add(str(error)))
        page.on("console", self._on_console)

    def _on_request(self, url: str) -> None:
        if urlsplit(url).netloc not in self._own:
            self._add(f"request to {url}")

    def _on_response(self, response: Response) -> None:
        headers = response.headers
        if headers.get("content-type", "").startswith("text/html"):
            rules = headers.get("content-security-policy", "")
            if "default-src 'none'" not in rules or "unsafe" in rules:
                self._add(f"policy of {response.url}: {rules or 'none'}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and _REPORTED not in message.text:
            self._add(f"console: {message.text} {message.location.get('url', '')}")

    def _add(self, text: str) -> None:
        if not any(part in text for part in self.expected):
            self.append(text)


@cache
def _axe() -> str:
    return (Path(__file__).parent / "axe" / "axe.min.js").read_text()


def accessibility(page: Page, rules: Iterable[str] = (), within: str = "", without: str = "") -> list[str]:
    """Return what axe finds on a page that stops people, one line for each rule: impact, rule, first places.

    ``rules``: only these; without them all. ``within``: only what is visible in these elements, a CSS selector.
    ``without``: not in the elements of this CSS selector.
    """
    if not page.evaluate("'axe' in window"):  # half a megabyte: once for each page
        page.evaluate(_axe())
    # To load style sheets and media again is for rules about turned screens and sounds, of which there are none.
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    context = {"exclude": [without]} if without else within or None
    found = page.evaluate("([context, options]) => axe.run(context || document, options)", [context, options])
    found = found["violations"]
    return [_line(each) for each in found if each["impact"] in STOPPING]


def _line(violation: dict[str, Any]) -> str:
    nodes = violation["nodes"]
    places = "; ".join(f"{node['target'][-1]} {node['html'][:120]}" for node in nodes[:3])
    return f"{violation['impact']} {violation['id']} ({len(nodes)}): {places}"


#: Finds what Alpine cannot read of a page, of which it reads a part on a click only, and handlers in attributes.
_UNREADABLE = """() => {
    const found = [];
    for (const element of document.querySelectorAll("*")) {
        for (const { name, value } of element.attributes) {
            const [directive] = name.split(/[:.]/);
            if (["x-data", "x-on", "x-bind", "x-show", "x-text", "x-model", "x-if", "x-resize", "x-sort"]
                    .includes(directive) && value) {
                try {
                    Alpine.read(value);
                } catch (error) {
                    found.push(`${name}="${value}": ${error.message}`);
                }
            }
            if (/^on|^(@|x-html|x-init|x-effect)/.test(name)) {
                found.push(`${name}="${value}"`);
            }
        }
    }
    return found;
}"""


def unreadable(page: Page) -> list[str]:
    """Return the attributes of a page that make code from text, in place of what its policy allows."""
    return list(dict.fromkeys(page.evaluate(_UNREADABLE)))


def fits(page: Page) -> bool:
    """Return True if nothing reaches beyond the right edge of the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


# ---------------------------------------------------------------------------------- what people have to do


class Clerk:
    """A person at a page. Clicks, fields and pages are counted; ``print(clerk)`` shows them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.fields = self.pages = 0
        page.on("framenavigated", self._on_navigation)

    def _on_navigation(self, frame: Any) -> None:
        if frame == self.page.main_frame:
            self.pages += 1

    def __str__(self) -> str:
        return f"{self.clicks} clicks, {self.fields} fields, {self.pages} pages"

    def _locator(self, target: str | Locator) -> Locator:
        return self.page.locator(target) if isinstance(target, str) else target

    def click(self, target: str | Locator) -> None:
        self.clicks += 1
        self._locator(target).click()

    def check(self, target: str | Locator) -> None:
        self.clicks += 1
        self._locator(target).check()

    def fill(self, target: str | Locator, text: str) -> None:
        self.fields += 1
        self._locator(target).fill(text)

    def choose(self, target: str | Locator, label: str) -> None:
        """Choose an option of a select box."""
        self.fields += 1
        self._locator(target).select_option(label=label)

    def upload(self, target: str | Locator, *files: str) -> None:
        self.fields += 1
        self._locator(target).set_input_files(list(files))
