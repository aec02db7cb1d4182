"""How each style makes the question for the upstream out of a call.

A recipe is made once, when the operation is prepared, and asked at each call. It knows nothing of addresses:
what it makes can be put to any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import quote, quote_plus, unquote

import orjson

from proxyservices.transport.upload import Upload
from registry import faults
from registry.calls import Passage
from registry.results import Fault

READS = ("GET", "HEAD", "POST")
WRITES = ("POST",)
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_END = re.compile(r"[;\x00-\x1f\x7f]")
_HEADER_VALUE = re.compile(r"[\t -~]*\Z")
_MEDIA_TYPES = {
    "json": "application/json", "xml": "application/xml", "csv": "text/csv", "ndjson": "application/x-ndjson",
    "php": "application/vnd.php.serialized", "phpa": "application/x-php-array",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "legacy_xml": "application/xml",
}  # fmt: skip


@dataclass(slots=True)
class Task:
    """What a recipe makes a question of."""

    arguments: dict[str, Any] = field(repr=False)
    #: The request as it came, for operations that hand it on; None where the face has none to hand on.
    passage: Passage | None
    method: str
    request_id: str
    #: Monotonic seconds at which the whole call must be over.
    deadline: float
    size_cap: int
    format: str = "json"
    #: The caller's address and key: the one is told to the upstream, the other must not be.
    address: str = ""
    secret: str = field(default="", repr=False)
    hops: int = 0


@dataclass(slots=True)
class Asked:
    """A question, whichever address it goes to. ``path`` is what follows the address, encoded, with its query."""

    method: str
    path: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes | Upload | None = field(default=None, repr=False)
    #: Of the body; None where its end alone will tell.
    length: int | None = 0

    @property
    def again(self) -> bool:
        """Whether it can be put once more."""
        return not (isinstance(self.body, Upload) and self.body.begun)


class Recipe(Protocol):
    """What an operation's style comes to."""

    @property
    def methods(self) -> tuple[str, ...]:
        """With which callers may call."""
        ...

    @property
    def passes(self) -> bool: ...

    @property
    def legacy(self) -> bool:
        """Whether answers go by the rules of MANTRA 1.99x."""
        ...

    def make(self, task: Task) -> Asked: ...


# ------------------------------------------------------------------------------------------ values


def not_convertible(why_id: str, why_en: str) -> Fault:
    return Fault(faults.NOT_CONVERTIBLE, why_id=why_id, why_en=why_en)


def text_of(value: Any) -> str:
    """A parameter's value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | day_time | datetime):
        return value.isoformat()
    return str(value)


def climbs(path: str) -> bool:
    """Whether a path has a segment that some server reads as "here" or "one up", however it is disguised."""
    if "." not in path and "%" not in path:
        return False
    for _layer in range(4):
        for segment in re.split(r"[/\\]", path):
            # Some servers take what stands before a control letter for the whole.
            if _END.split(segment, 1)[0].strip() in (".", ".."):
                return True
        inner = unquote(path)
        if inner == path:
            return False
        path = inner
    return True


def segment(value: str, name: str) -> str:
    """A value as one segment of a path. Raises Fault for one that would leave it."""
    if not value:
        raise not_convertible(f"parameter {name} tidak boleh kosong", f"the parameter {name} must not be empty")
    if climbs(value):
        raise not_convertible(f"parameter {name} berisi titik saja", f"the parameter {name} would lead elsewhere")
    return quote(value, safe="")


def header_value(value: str, name: str) -> str:
    if not _HEADER_VALUE.match(value):
        raise not_convertible(
            f"parameter {name} hanya boleh berisi huruf ASCII", f"the parameter {name} may hold ASCII letters only"
        )
    return value


def pairs_text(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def joined(path: str, query: str) -> str:
    """A path with a query behind what it may have already."""
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"


def below(path: str) -> str:
    """What stands below an address: "" or /…, with nothing in it that a request line cannot hold."""
    path = quote(path.strip(), safe="/:@!$&'()*+,;=~-._?%{}")
    return "/" + path.lstrip("/") if path else ""


# -------------------------------------------------------------------------------------------- rest


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from: a parameter, or fixed."""

    name: str
    parameter: str
    value: str = field(default="", repr=False)

    def of(self, arguments: dict[str, Any]) -> Any:
        """The value; None where an optional parameter was not given."""
        return arguments.get(self.parameter) if self.parameter else self.value


def texts(sources: Sequence[Source], given: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.name, text_of(value)) for each in sources if (value := each.of(given)) is not None]


def nested(sources: Sequence[Source], given: dict[str, Any]) -> dict[str, Any]:
    """A JSON object of the values, a dot in a name going one level down. Raises Fault where two names collide."""
    document: dict[str, Any] = {}
    for each in sources:
        value = each.of(given)
        if value is None:
            continue
        *outer, last = each.name.split(".")
        place = document
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise not_convertible(f"{each.name} berbenturan", f"{each.name} collides with another name")
        place[last] = value
    return document


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError


def accept(format: str) -> str:
    """What is asked of an upstream: best the caller's own format, which then need not be converted."""
    best = _MEDIA_TYPES.get(format, "application/json")
    others = [each for each in ("application/json", "application/xml") if each != best]
    return ", ".join([best, *(f"{each};q=0.{8 - place}" for place, each in enumerate(others)), "*/*;q=0.1"])
