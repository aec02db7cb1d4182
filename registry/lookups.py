"""What a change of the registry must ask an agency's source, without making other changes wait for the source."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar, cast


class Unavailable(Protocol):
    """A kind of error of a source that does not answer."""

    @classmethod
    def not_queried(cls) -> Exception:
        """Return the error for a source that is not queried."""
        ...


Outcome = TypeVar("Outcome")
Found = TypeVar("Found")
#: (source, what is wanted of it) → what was found for the change that is being made; None outside of with_lookups().
#: What is noted for (source, _NOTHING) is the error of a source that did not answer.
_findings: ContextVar[dict[tuple[Hashable, Hashable], Any] | None] = ContextVar("findings", default=None)
_NOTHING = ""
#: True while no source is queried.
_silent: ContextVar[bool] = ContextVar("silent", default=False)
#: True while a lookup runs.
_looking_up: ContextVar[bool] = ContextVar("looking_up", default=False)


class LookupNeeded(Exception):
    """A change depends on what a source says, and must not wait for it: with_lookups() does, and repeats it."""

    def __init__(
        self, source: Hashable, wanted: Hashable, run: Callable[[], Any], unavailable: type[Exception]
    ) -> None:
        super().__init__()
        self.source = source
        self.wanted = wanted
        self.run = run
        self.unavailable = unavailable


def look_up(source: Hashable, wanted: Hashable, run: Callable[[], Found], unavailable: type[Exception]) -> Found:
    """Return what ``run`` returns, once for each source and question of a change.

    Within with_lookups() it raises LookupNeeded for what is not known yet. A source that raised ``unavailable`` raises
    it for all further questions of the change.
    """
    if _silent.get():
        raise cast("type[Unavailable]", unavailable).not_queried()
    findings = _findings.get()
    if findings is None:
        return run()
    if (source, wanted) in findings:
        found: Found = findings[source, wanted]
        return found
    if isinstance(failure := findings.get((source, _NOTHING)), unavailable):
        raise failure
    if _looking_up.get():
        return run()
    raise LookupNeeded(source, wanted, run, unavailable)


@contextmanager
def without_lookups() -> Iterator[None]:
    """Query no source in a block: each look-up ends as if its source did not answer.

    For many definitions of sources that may not be open to this server yet.
    """
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def with_lookups(change: Callable[[], Outcome]) -> Outcome:
    """Make a change of the registry, and repeat it with what was found in its sources meanwhile.

    A change is a transaction for whose end all other changes wait, revocations too: within it no source is waited for.
    """
    findings: dict[tuple[Hashable, Hashable], Any] = {}
    token = _findings.set(findings)
    try:
        while True:
            try:
                return change()
            except LookupNeeded as needed:
                try:
                    findings[needed.source, needed.wanted] = _outside(needed.run)
                except needed.unavailable as error:
                    findings[needed.source, _NOTHING] = error  # it is not tried again in this change
    finally:
        _findings.reset(token)


def _outside(run: Callable[[], Found]) -> Found:
    """Run a lookup outside of the change: what it needs itself is looked up at once."""
    token = _looking_up.set(True)
    try:
        return run()
    finally:
        _looking_up.reset(token)
