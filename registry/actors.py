"""Who acts now: the user of a request, or the command or process without one. The change journal notes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

#: Characters of a user's name and of a door.
_USER, _DOOR = 150, 40
#: The command that is the worker.
_WORKER = "ship_journal"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by which door (admin, api, a command, worker) and from which address."""

    user: str
    door: str
    client_ip: str = ""


def process_actor() -> Actor:
    """Return who acts in a process without a request: its command."""
    name = Path(sys.argv[0]).name if sys.argv else ""
    command = sys.argv[1] if name == "manage.py" and len(sys.argv) > 1 else ""
    return Actor("", "worker" if command == _WORKER else f"command {command or name or 'python'}"[:_DOOR])


_current: ContextVar[Callable[[], Actor]] = ContextVar("actor", default=process_actor)


def current() -> Actor:
    """Return who acts now."""
    found = _current.get()()
    return Actor(found.user[:_USER], found.door[:_DOOR], found.client_ip)


@contextmanager
def acting(actor: Callable[[], Actor]) -> Iterator[None]:
    """Let an actor act in a block. It is asked when it is needed: a request's user is known only later."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)
