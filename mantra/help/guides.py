"""The guides of docs/id/ as HTML: in Indonesian, one for each role and one for all, and read without a connection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDER = Path(settings.BASE_DIR) / "docs" / "id"
#: The guides in the order in which they are listed. Each is a file of FOLDER; the last is for everybody.
GUIDES = (
    "pemanfaat", "penyedia", "pengelola-proksi", "kepala", "administrator", "operator", "pindah-dari-1.99x", "akun",
)  # fmt: skip
#: The pictures of the documentation, as static files.
PICTURES = "mantra/docs"
_PICTURE = re.compile(r"\.\./img/([a-z0-9-]+\.png)")
_GUIDE = re.compile(r"([a-z0-9.-]+)\.md(#[a-z0-9-]+)?")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a guide that can be linked to."""

    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide. ``title`` is its first heading, ``summary`` its first paragraph, ``sections`` its headings below."""

    name: str
    title: str
    summary: str
    sections: tuple[Section, ...]
    html: SafeString


@cache
def guide(name: str) -> Guide:
    """Return the guide of a name in GUIDES."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    headings = _headings(tokens)
    for token in tokens:
        for child in token.children or ():
            _rewrite(child)
    title, *rest = headings
    body = markdown.renderer.render(tokens[3:], markdown.options, {})
    return Guide(
        name,
        title.title,
        _text(next(token for token in tokens[3:] if token.type == "inline")),
        tuple(rest),
        mark_safe(body),  # noqa: S308 - the text is ours, and HTML in it is escaped
    )


def _headings(tokens: Sequence[Token]) -> list[Section]:
    """Give the headings of the first two levels an anchor, and return them."""
    found = []
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag in ("h1", "h2"):
            section = Section(anchor(_text(content)), _text(content))
            opening.attrSet("id", section.anchor)
            found.append(section)
    return found


def anchor(title: str) -> str:
    """Return the anchor of a heading, as the viewers of Markdown files make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _text(inline: Token) -> str:
    """Return the text of a paragraph or heading without its markup."""
    return "".join(" " if child.type == "softbreak" else child.content for child in inline.children or ())


def _rewrite(token: Token) -> None:
    """Let a link or picture that is right in the file be right on the page."""
    if token.type == "image" and (picture := _PICTURE.fullmatch(str(token.attrGet("src")))):
        token.attrSet("src", static(f"{PICTURES}/{picture[1]}"))
        token.attrSet("loading", "lazy")
    if token.type == "link_open" and (other := _GUIDE.fullmatch(str(token.attrGet("href")))):
        token.attrSet("href", reverse("help_guide", args=[other[1]]) + (other[2] or ""))
