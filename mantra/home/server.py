"""The operators' page: the drivers, versions, disks, and worker of this server, for administrators."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from adapters import missing_driver
from dataservices.models import engines
from mantra import VERSION, probes
from proxyservices.health.tracker import PROBER
from proxyservices.models import ServerState
from registry import leader, tenancy
from registry.journal.lag import lag
from registry.models import CallRecord
from registry.moments import moment

#: The share of a disk that should be free, and the bytes of the journal that the worker ships within seconds.
FREE, BEHIND = 0.1, 16 * 1024 * 1024


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
    places = {_("data"): settings.VAR_DIR, _("journal"): settings.JOURNAL_DIR, _("uploads"): settings.UPLOAD_DIR}
    disks: dict[int, list[tuple[Any, Path]]] = {}
    for name, folder in places.items():
        if folder.exists():
            disks.setdefault(folder.stat().st_dev, []).append((name, folder))
    for found in disks.values():
        yield _disk(", ".join(f"{name} {folder}" for name, folder in found), found[0][1])


def _disk(name: str, folder: Path) -> Fact:
    disk = shutil.disk_usage(folder)
    sizes = {"free": filesizeformat(disk.free), "total": filesizeformat(disk.total)}
    space = gettext("%(free)s of %(total)s free") % sizes
    if disk.free < probes.MIN_FREE:
        return Fact(name, space, "no", _("Calls are refused: there is no space for the journal. Free some space."))
    if disk.free < FREE * disk.total:
        return Fact(name, space, "warn", _("Free some space, or enlarge the disk."))
    return Fact(name, space)


def _worker() -> Iterator[Fact]:
    """Yield whether the journal is shipped and servers are probed."""
    if leader.is_done_in(Path(settings.JOURNAL_DIR), "ship"):
        yield Fact(_("shipping of the journal"), _("running"))
    else:
        yield Fact(_("shipping of the journal"), _("not running"), "no", _("Start the worker container."))
    behind = lag()
    size = ngettext("%(size)s in %(number)d file", "%(size)s in %(number)d files", behind.segments) % {
        "size": filesizeformat(behind.bytes), "number": behind.segments,
    }  # fmt: skip
    yield Fact(_("not in the call history yet"), size, "warn" if behind.bytes > BEHIND else "yes")
    newest = CallRecord.objects.order_by("-started_at", "-id").values_list("started_at", flat=True).first()
    yield Fact(_("newest call in the history"), moment(newest) or gettext("none yet"))
    probed = ServerState.objects.filter(observer=PROBER).aggregate(last=Max("seen_at"))["last"]
    yield Fact(_("last probe of a backend server"), moment(probed) or gettext("none yet"))
