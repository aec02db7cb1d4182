"""The agencies, operations and applications that a text means, and those that are suggested while it is typed.

A text is a code, codes between slashes, or a name. It means what the user may know of: the directory of agencies, what
the catalogue lists, the own applications, and those with grants for the own operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.apps import apps
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from registry import catalogue, tenancy
from registry.models import Agency, Application, CallGroup, Grant, Operation, Service

#: The most suggestions, and the most words that are searched for.
MOST, WORDS = 20, 6
#: The most rows that a text may mean. A code such as "search" is that of many operations.
MEANT = 5_000


@dataclass(frozen=True, slots=True)
class Suggestion:
    """``value``: the codes that the field gets. ``text``: the name that people know."""

    value: str
    text: str


# -------------------------------------------------------------------------------- what a user knows of


def known_operations(user: tenancy.AnyUser) -> QuerySet[Any]:
    """Return the operations whose calls a user may come across: the agency's own, and those of the catalogue."""
    rows = Operation.objects.filter(draft_of=None).select_related("service__agency")
    if tenancy.sees_all_agencies(user):
        return rows
    own = tenancy.visible(Operation.objects.all(), user)
    found: QuerySet[Any] = rows.filter(Q(pk__in=own.values("pk")) | Q(pk__in=catalogue.listed(user).values("pk")))
    return found


def known_applications(user: tenancy.AnyUser) -> QuerySet[Any]:
    """Return the applications whose calls a user may come across: the agency's own, and those with grants of it."""
    rows = Application.objects.select_related("agency")
    if tenancy.sees_all_agencies(user):
        return rows
    granted = tenancy.visible(Grant.objects.all(), user).values("application")
    own = tenancy.visible(Application.objects.all(), user).values("pk")
    found: QuerySet[Any] = rows.filter(Q(pk__in=own) | Q(pk__in=granted))
    return found


# ---------------------------------------------------------------------------------- while it is typed


def matching(rows: QuerySet[Any], text: str, *columns: str) -> QuerySet[Any]:
    """Return the rows that have each word of a text in one of their columns."""
    for word in text.replace("/", " ").split()[:WORDS]:
        rows = rows.filter(reduce(or_, (Q(**{f"{column}__icontains": word}) for column in columns)))
    return rows


def _agencies(user: tenancy.AnyUser, text: str) -> Iterator[Suggestion]:
    for row in matching(Agency.objects.all(), text, "code", "name").order_by("code")[:MOST]:
        yield Suggestion(row.code, row.name)


#: Columns by which an operation is found, and those of its service.
_OF_SERVICE = ("service__code", "service__title", "service__agency__code", "service__agency__name")


def _operations(user: tenancy.AnyUser, text: str) -> Iterator[Suggestion]:
    """Yield services, of which all operations can be chosen, and operations."""
    known = known_operations(user)
    services = Service.objects.filter(pk__in=known.values("service")).select_related("agency")
    # Not by the agency's name, which would put services before the operation that is meant.
    for service in matching(services, text, "code", "title", "agency__code")[:3]:
        words = {"service": service.title}
        yield Suggestion(f"{service.agency.code}/{service.code}/", _("%(service)s: all operations") % words)
    for row in matching(known, text, "code", "title", *_OF_SERVICE).order_by(
        "service__agency__code", "service__code", "code"
    )[:MOST]:
        yield Suggestion(row.address, f"{row.title or row.code} · {row.service.agency}")


def _applications(user: tenancy.AnyUser, text: str) -> Iterator[Suggestion]:
    rows = matching(known_applications(user), text, "code", "title", "agency__code", "agency__name")
    for row in rows.order_by("agency__code", "code")[:MOST]:
        yield Suggestion(f"{row.agency.code}/{row.code}", f"{row.title} · {row.agency}")


#: The kind of a record's origin → its model, of a package above this one, and the right to see its rows.
ORIGINS = {
    "source": ("dataservices.DataSource", "dataservices.view_datasource"),
    "backend": ("proxyservices.Backend", "proxyservices.view_backend"),
}


def known_origins(user: Any) -> Iterator[tuple[str, QuerySet[Any]]]:
    """Yield the kinds of origins, and the sources or backends that a user may see."""
    for kind, (model, right) in ORIGINS.items():
        if user.has_perm(right):
            rows = apps.get_model(model)._default_manager.select_related("agency").order_by("agency__code", "code")
            yield kind, tenancy.visible(rows, user)


def _origins(user: tenancy.AnyUser, text: str) -> Iterator[Suggestion]:
    kinds = {"source": _("data source"), "backend": _("backend")}
    for kind, rows in known_origins(user):
        for row in matching(rows, text.rpartition(":")[2], "code", "agency__code", "agency__name")[:MOST]:
            yield Suggestion(f"{kind}:{row.agency.code}/{row.code}", f"{row.code} · {kinds[kind]} · {row.agency}")


#: What a field is about → its suggestions for a text.
KINDS: dict[str, Callable[[tenancy.AnyUser, str], Iterator[Suggestion]]] = {
    "agency": _agencies,
    "operation": _operations,
    "application": _applications,
    "origin": _origins,
}


def suggestions(user: tenancy.AnyUser, kind: str, text: str) -> list[Suggestion]:
    """Return what a text may become, at most MOST of it."""
    return list(KINDS[kind](user, text))[:MOST]


# ------------------------------------------------------------------------------------- what is meant


def parts(text: str) -> list[str]:
    """Return the parts of a text between slashes."""
    return [part.strip() for part in text.split("/") if part.strip()]


def spellings(code: str) -> list[str]:
    """Return a code of which the registry knows nothing as it may stand in the history, for the database's index."""
    return sorted({code, code.lower(), code.upper()})


def agency_codes(text: str) -> list[str]:
    """Return the codes of the agencies with a code or a name, as the registry spells them."""
    rows = Agency.objects.filter(code__iexact=text) or matching(Agency.objects.all(), text, "name")[:MEANT]
    return [row.code for row in rows] or spellings(text)


def _meant(known: QuerySet[Any], last_first: list[str], *columns: str) -> list[Any]:
    """Return the rows that have these codes; if one word is given and is no code, those that have it in their name."""
    if not 0 < len(last_first) <= len(columns):
        return []
    codes = {f"{column}__iexact": code for column, code in zip(columns, last_first, strict=False)}
    found = list(known.filter(**codes)[:MEANT])
    if found or len(last_first) > 1 or not hasattr(known.model, "title"):
        return found
    return list(matching(known, last_first[0], "title")[:MEANT])


def operations(user: tenancy.AnyUser, text: str) -> list[Any]:
    """Return the operations that a text means: operation, service/operation, agency/service/operation, or a name."""
    return _meant(known_operations(user), parts(text)[::-1], "code", "service__code", "service__agency__code")


def applications(user: tenancy.AnyUser, text: str) -> list[Any]:
    """Return the applications that a text means: application, agency/application, or a name."""
    return _meant(known_applications(user), parts(text)[::-1], "code", "agency__code")


def service_codes(agency: str, service: str) -> list[str]:
    """Return the code of an agency's service, as the registry spells it."""
    rows = Service.objects.filter(agency__code__iexact=agency, code__iexact=service)
    return list(rows.values_list("code", flat=True)) or spellings(service)


def origins(user: tenancy.AnyUser, text: str) -> dict[str, list[int]]:
    """Return the ids of the sources and backends that a text means: code, agency/code, or either after its kind."""
    wanted, colon, codes = text.rpartition(":")
    found = {
        kind: [row.pk for row in _meant(rows, parts(codes)[::-1], "code", "agency__code")]
        for kind, rows in known_origins(user)
        if not colon or kind == wanted.strip()
    }
    return {kind: ids for kind, ids in found.items() if ids}


# ---------------------------------------------------------------------- what the registry has no more


def called(**codes: Any) -> QuerySet[CallGroup] | None:
    """Return the groups of calls with some codes or origins, also of what is deleted; None if nothing is counted yet.

    The history can be searched by them at once. By a code that nobody has called all of it would be read.
    """
    groups = CallGroup.objects.filter(kind=CallGroup.Kind.CALL)
    return groups.filter(**codes) if groups.exists() else None


def called_operations(**codes: Any) -> list[int] | None:
    """Return the ids of the operations that were called by these codes, or from these origins; None as above."""
    groups = called(**codes)
    return None if groups is None else list(groups.values_list("operation_ref", flat=True).distinct()[:MEANT])
