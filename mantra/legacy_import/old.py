"""The rows of a database of MANTRA 1.99x, as texts: what is stored there, with nothing mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OldAgency:
    """A row of ``instances``. Id 0 is ``system``, the home of administrators."""

    id: int
    code: str
    name: str
    website: str
    email: str
    description: str


@dataclass(frozen=True, slots=True)
class OldUser:
    """A row of ``users``. ``password`` is a hash of bcrypt, or in old rows base64 of the password."""

    id: int
    agency_id: int
    full_name: str
    email: str
    username: str
    password: str
    role: str
    active: bool


@dataclass(frozen=True, slots=True)
class OldService:
    """A row of ``services``."""

    id: int
    agency_id: int
    code: str
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class OldOperation:
    """A row of ``methods``. ``kind`` is ``database``, ``services`` or ``program``; ``source`` its definition."""

    id: int
    service_id: int
    code: str
    kind: str
    listed: bool
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class OldOrder:
    """A row of ``orders``: a user's key for one operation. ``active``: it was approved, and not closed again."""

    id: int
    username: str
    key: str
    operation_id: int
    active: bool


@dataclass(frozen=True, slots=True)
class OldCalls:
    """Calls of a day, of ``tracks``: nothing but their number is taken."""

    day: date
    agency: str
    username: str
    status: str
    calls: int


class OldDatabase(Protocol):
    """A database of MANTRA 1.99x. Each method reads its table from the beginning, in the order of the ids."""

    def agencies(self) -> Iterator[OldAgency]: ...
    def users(self) -> Iterator[OldUser]: ...
    def services(self) -> Iterator[OldService]: ...
    def operations(self) -> Iterator[OldOperation]: ...
    def orders(self) -> Iterator[OldOrder]: ...

    def calls(self) -> Iterator[OldCalls]:
        """Return the calls, counted by day, agency, user and status."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has, by its name, those that nothing is taken of too."""
        ...
