"""The texts of a page that people see or hear: text nodes, and the attributes that are read aloud or shown."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

#: Elements with code, or with nothing for people. Elements that have no end.
CODE = frozenset({"code", "pre", "script", "style", "template", "textarea", "kbd"})
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
SPOKEN = ("title", "aria-label", "aria-description", "placeholder", "alt")
#: The theme's icons are words in a font of their own.
ICON = "material-symbols-outlined"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        #: For each element that is open: True if its text is for people.
        self._open: list[tuple[str, bool]] = []

    @property
    def _is_text(self) -> bool:
        return all(is_text for _tag, is_text in self._open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [given[name] for name in SPOKEN if given.get(name)]
        if tag == "input" and given.get("type") in ("submit", "button", "reset"):
            self.found.append(given.get("value", ""))
        if "/mantra/" in given.get("src", ""):
            # The words that a script of ours shows.
            self.found += [value for name, value in given.items() if name.startswith("data-")]
        if tag not in VOID:
            self._open.append((tag, tag not in CODE and ICON not in given.get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and self._is_text:
            self.found.append(data.strip())


def texts(html: str) -> Iterator[str]:
    """Yield each text of a page, with single spaces."""
    reader = _Reader()
    reader.feed(html)
    yield from (" ".join(text.split()) for text in reader.found)
