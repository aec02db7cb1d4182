"""A card of the first page: a heading, at most MOST lines, and links to the pages that have all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from registry.pages import address as address

#: The most lines of a card.
MOST = 10


@dataclass(frozen=True, slots=True)
class Link:
    text: Any
    url: str
    hint: Any = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage on the way to what a line is about."""

    text: Any
    done: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of work, and the page where it is done. ``colour``: of the state's label, as on the health board."""

    text: str
    url: str
    note: Any = ""
    state: Any = ""
    colour: str = "mute"
    trail: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """``name``: the element's id. ``empty``: what a card without lines says. ``advice``: what to do then."""

    name: str
    title: Any
    lines: list[Line]
    empty: Any
    links: tuple[Link, ...] = ()
    advice: Link | None = None


def all_of(text: Any, model: str, query: str = "") -> Link:
    """Return the link to a model's list, such as registry_grant."""
    return Link(text, reverse(f"admin:{model}_changelist") + query)


def page_of(model: str, pk: int) -> str:
    """Return the address of a row's page."""
    return reverse(f"admin:{model}_change", args=(pk,))
