"""Findings: what a check has found out about one thing, in words, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["ill", "warn", "unknown", "well"]
#: The states, the worst first. Much is not known because nobody called it lately: that comes last.
WORST_FIRST: tuple[State, ...] = ("ill", "warn", "well", "unknown")


@dataclass(frozen=True, slots=True)
class Affected:
    """Who feels it, such as "12 operations", and the page that lists them."""

    text: str
    url: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one thing. All texts are in the language that was active when the check ran.

    ``area``: the name of the check, such as disk. ``name``: what it is about. ``sentence``: its state in words, of what
    is ill the last error. ``advice``: what to do. ``since``: since when it is so. ``url``: its page in the admin.
    """

    area: str
    name: str
    state: State
    sentence: str
    advice: str = ""
    since: datetime | None = None
    affected: tuple[Affected, ...] = ()
    url: str = ""

    @property
    def needs_attention(self) -> bool:
        return self.state in ("ill", "warn")

    @property
    def order(self) -> tuple[int, float]:
        """The worst first; among equals, what began last."""
        return WORST_FIRST.index(self.state), -self.since.timestamp() if self.since else 0.0


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of the board."""
    return sorted(findings, key=lambda each: each.order)


def worst(findings: Iterable[Finding]) -> State:
    """Return the worst state of findings, unknown without any."""
    return min((each.state for each in findings), key=WORST_FIRST.index, default="unknown")
