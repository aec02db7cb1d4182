"""The operators' page: the drivers, versions, disks, and worker of this server, for administrators."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import django
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from adapters import missing_driver
from dataservices.models import engines
from mantra import VERSION
from mantra.health import board
from mantra.health.checks import disk, journal, worker
from mantra.health.findings import Finding
from proxyservices.health.tracker import PROBER
from proxyservices.models import ServerState
from registry import tenancy
from registry.models import CallRecord
from registry.moments import moment


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the page. ``state`` is the colour of its label, with which the line says that something is wrong."""

    name: Any
    value: Any
    state: str = "yes"
    advice: Any = ""


@require_safe
def server(request: HttpRequest) -> HttpResponse:
    """Show the state of this server."""
    if not tenancy.is_administrator(request.user):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": _("Server"),
        "drivers": [(label, missing_driver(engine)) for engine, label in engines()],
        "sections": [(_("Worker"), list(_worker())), (_("Disks"), list(_disks())), (_("Versions"), list(_versions()))],
    }
    return TemplateResponse(request, "mantra/server.html", context)


def _versions() -> Iterator[Fact]:
    yield Fact("MANTRA", VERSION)
    yield Fact("Python", platform.python_version())
    yield Fact("Django", django.get_version())
    yield Fact(connection.display_name, ".".join(map(str, connection.get_database_version())))


def _disks() -> Iterator[Fact]:
    """Yield the free space of each disk, with what is on it."""
    yield from map(_fact, disk.check())


def _worker() -> Iterator[Fact]:
    """Yield whether the journal is shipped and servers are probed."""
    yield from map(_fact, [*worker.check(), *journal.check()])
    newest = CallRecord.objects.order_by("-started_at", "-id").values_list("started_at", flat=True).first()
    yield Fact(_("newest call in the history"), moment(newest) or gettext("none yet"))
    probed = ServerState.objects.filter(observer=PROBER).aggregate(last=Max("seen_at"))["last"]
    yield Fact(_("last probe of a backend server"), moment(probed) or gettext("none yet"))


def _fact(finding: Finding) -> Fact:
    return Fact(finding.name, finding.sentence, board.STATES[finding.state][1], finding.advice)
