"""The pages of the statistics that can be exported: what a job's parameters mean."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _

from mantra.statistics.scopes import Scope, scope_of
from registry import moments
from registry.exports.kinds import Parameters
from registry.models import User
from registry.statistics.reading import Period


def parameters(scope: Scope, period: Period) -> dict[str, Any]:
    """Return what names a page and its period."""
    first, last = period.first.isoformat(), period.last.isoformat()
    return {"kind": scope.kind, "key": scope.key, "title": scope.title, "first": first, "last": last}


def scope(user: User, parameters: Parameters) -> Scope:
    """Return whose calls a page is about. Raises Http404 if the user may not see it."""
    return scope_of(parameters["kind"], parameters["key"], user)


def may_read(user: User, parameters: Parameters) -> bool:
    try:
        scope(user, parameters)
    except Http404:
        return False
    return True


def period(parameters: Parameters) -> Period:
    return Period(date.fromisoformat(parameters["first"]), date.fromisoformat(parameters["last"]))


def days(period: Period) -> str:
    """Return the first and the last day of a period in words."""
    return f"{moments.day(period.first)} – {moments.day(period.last)}"


def title(parameters: Parameters) -> str:
    """Return what is exported: the page's title when it was exported, and its days."""
    words = {"title": parameters["title"], "days": days(period(parameters))}
    return _("Statistics: %(title)s, %(days)s") % words


def file_name(parameters: Parameters) -> str:
    parts = (_("statistics"), parameters["kind"], parameters["key"].replace("/", "-"), parameters["last"])
    return "-".join(part for part in parts if part)
