"""The states of public services, read from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from django.contrib.auth.models import AnonymousUser

from dataservices import health
from proxyservices.health import summary
from proxyservices.health.summary import BackendSummary
from proxyservices.models import Backend
from registry import catalogue
from registry.models import Operation

State = Literal["working", "disturbed", "down", "unknown"]
#: The most operations that are read. They are in the order of agencies and services.
MOST = 5_000
_STATES: dict[str, State] = {"healthy": "working", "unknown": "unknown", "half-open": "disturbed"}
#: The state of a source or a backend, and since when it is so.
Found = tuple[State, datetime | None]
_UNKNOWN: Found = ("unknown", None)


@dataclass(frozen=True, slots=True)
class Retirement:
    """A public operation that is to be retired on a day."""

    operation: str
    day: date


@dataclass(slots=True)
class Service:
    """A service with its public operations that can be called."""

    agency: str
    agency_name: str
    code: str
    title: str
    operations: list[int] = field(default_factory=list)
    #: Of what its operations need, each source or backend once.
    needs: dict[tuple[str, int], Found] = field(default_factory=dict)
    retirements: list[Retirement] = field(default_factory=list)

    @property
    def state(self) -> State:
        """Down if nothing of it works, disturbed if a part of it does not."""
        states = {state for state, _since in self.needs.values()} - {"unknown"}
        if not states:
            return "unknown"
        if len(states) == 1:
            return states.pop()
        return "disturbed"

    @property
    def since(self) -> datetime | None:
        """Since when something of it does not work, or since when all works that is known."""
        bad = [since for state, since in self.needs.values() if state in ("down", "disturbed") and since]
        if self.state in ("down", "disturbed"):
            return min(bad, default=None)
        return max((since for state, since in self.needs.values() if state == "working" and since), default=None)


def services() -> list[Service]:
    """Return the services with public operations, by agency and title. Reads five queries, however many there are."""
    rows = _operations()
    sources = _sources(_needed(row, _SOURCES) for row in rows)
    backends = _backends(_needed(row, _BACKENDS) for row in rows)
    found: dict[int, Service] = {}
    for row in rows:
        service = found.setdefault(row["service"], _service(row))
        service.operations.append(row["pk"])
        if (source := _needed(row, _SOURCES)) is not None:
            service.needs["source", source] = sources.get(source, _UNKNOWN)
        elif (backend := _needed(row, _BACKENDS)) is not None:
            service.needs["backend", backend] = backends.get(backend, _UNKNOWN)
        if row["sunset"] is not None:
            service.retirements.append(Retirement(row["title"] or row["code"], row["sunset"]))
    return sorted(found.values(), key=lambda each: (each.agency_name.casefold(), each.title.casefold(), each.code))


#: Where an operation's source and backend are: a verification needs those of the operation with its data.
_SOURCES = ("dataoperation__source", "verificationoperation__base__dataoperation__source")
_BACKENDS = ("proxyoperation__backend", "verificationoperation__base__proxyoperation__backend")


def _needed(row: Mapping[str, Any], places: tuple[str, ...]) -> int | None:
    return next((row[place] for place in places if row[place] is not None), None)


def _operations() -> list[dict[str, Any]]:
    rows = catalogue.listed(AnonymousUser()).exclude(state=Operation.State.RETIRED)
    rows = rows.order_by("service__agency__code", "service__code", "code")
    columns = (
        "pk", "code", "title", "sunset", "service", "service__code", "service__title", "service__agency__code",
        "service__agency__name", *_SOURCES, *_BACKENDS,
    )  # fmt: skip
    return list(rows.values(*columns)[:MOST])


def _service(row: Mapping[str, Any]) -> Service:
    agency = row["service__agency__code"]
    return Service(agency, row["service__agency__name"] or agency, row["service__code"], row["service__title"])


def _sources(ids: Iterable[int | None]) -> dict[int, Found]:
    found = health.live({id for id in ids if id is not None})
    return {id: (_STATES.get(each.state, "down"), each.since) for id, each in found.items()}


def _backends(ids: Iterable[int | None]) -> dict[int, Found]:
    found = summary.backends(Backend.objects.filter(pk__in={id for id in ids if id is not None}))
    return {id: (_state(each), each.summary.since) for id, each in found.items()}


def _state(backend: BackendSummary) -> State:
    return _STATES.get(backend.state, "disturbed" if backend.serves else "down")
