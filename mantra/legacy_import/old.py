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


@dataclass(frozen=True, slots=True)
class OldOddity:
    """A row that was not read as it is stored. ``table`` and ``column``: their names in the old database.

    ``kind``: ``encoding``, a text that is not in the character set of its dump, read as Windows-1252; ``long``, a text
    of more than 1 MiB, of which the beginning was read; ``number``, no number where one belongs, read as -1;
    ``repeated``, a row with the id of an earlier one, left out.
    """

    table: str
    id: int
    column: str
    kind: str


class OldDatabase(Protocol):
    """A database of MANTRA 1.99x. Each method reads its table from the beginning, in the order of the ids."""

    def agencies(self) -> Iterator[OldAgency]: ...
    def users(self) -> Iterator[OldUser]: ...
    def services(self) -> Iterator[OldService]: ...
    def operations(self) -> Iterator[OldOperation]: ...
    def orders(self) -> Iterator[OldOrder]: ...

    def calls(self) -> Iterator[OldCalls]:
        """Return the calls, counted by day, agency, user and status. Visits of pages are no calls."""
        ...

    def oddities(self) -> Iterator[OldOddity]:
        """Return the rows that were not read as they are stored, at most 10,000 of a table."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has, by its name, those that nothing is taken of too."""
        ...
