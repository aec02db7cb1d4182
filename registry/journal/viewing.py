"""Records of what users see in the admin beside calls: tables and rows of a source, a plan, responses of a rehearsal.

They have the lines of a call (mantra/gateway/recording.py): who saw what and when, with names and numbers, no values.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest

from registry import faults
from registry.calls import request_id
from registry.client_ip import client_ip
from registry.journal import segments
from registry.models import Operation
from registry.results import Fault

log = logging.getLogger("mantra.journal")

F = TypeVar("F", bound=Callable[..., Any])


def shows(kind: str) -> Callable[[F], F]:
    """Mark a view that shows rows, files or persons, and records it by record() with this kind.

    tests/looks/test_looks.py visits each marked view, and finds those that show such things and are not marked.
    """

    def mark(view: F) -> F:
        view.shows_data = kind  # type: ignore[attr-defined]
        return view

    return mark


#: The most characters of a name, and names, that a source's catalogue gives.
_NAME, _NAMES = 127, 500


@dataclass(frozen=True, slots=True)
class View:
    """What is viewed. ``kind`` is recorded as the protocol: one of registry.admin.history.page.PROTOCOLS."""

    kind: str
    agency: str
    #: The code of the service, or of the source.
    service: str
    name: str = ""
    operation: Operation | None = None
    #: The names of the columns that are shown.
    fields: tuple[str, ...] = ()
    #: The number of rows, or of responses, that are shown; None for names only.
    rows: int | None = None
    #: The hashes of the persons whose records are looked for.
    subjects: tuple[str, ...] = ()

    @classmethod
    def of(cls, operation: Operation, kind: str, rows: int | None = None) -> View:
        """Return the view of what an operation gives."""
        service = operation.service
        return cls(kind, service.agency.code, service.code, operation.code, operation, rows=rows)


def record(request: HttpRequest, view: View) -> None:
    """Record that the request's user sees data now. Raises Fault JOURNAL_DOWN: do not show what is not recorded."""
    record_of(request.user.get_username(), client_ip(request.META), str(request.method), view)


def record_of(user: str, address: str, method: str, view: View) -> None:
    """Record that a user sees data now, also without a request, as by a command. Raises Fault JOURNAL_DOWN."""
    if not settings.JOURNAL:
        return
    id, operation = request_id(), view.operation
    reference = (operation.pk, operation.revision) if operation else (None, None)
    begin = {
        "t": "begin", "id": id, "at": time.time(), "protocol": view.kind, "method": method, "ip": address, "user": user,
        "op": (view.agency, view.service, view.name[:_NAME], *reference),
    }  # fmt: skip
    end = {"t": "end", "id": id, "code": 200, "status": 200, "bytes": 0, "us": 0, "format": "html"}
    if view.rows is not None:
        end |= {"rows": view.rows, "fields": [name[:_NAME] for name in view.fields[:_NAMES]]}
    if view.subjects:
        end["subjects"] = list(view.subjects)
    _write(begin)
    _write(end)


def _write(line: dict[str, Any]) -> None:
    try:
        segments.write(line)
    except OSError as error:
        log.error("the journal cannot be written: errno %s", error.errno)
        raise Fault(faults.JOURNAL_DOWN, retry_after=5) from None
