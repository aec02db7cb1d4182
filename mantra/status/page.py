"""The page's responses: /status/ in both languages, and /status/status.json.

They are served beside Django, as calls are: without a session, and without the places that requests to the admin wait
for. So the page works while the bus's own database is away.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from itertools import groupby
from typing import Any

import orjson
from django.conf import settings
from django.http import parse_cookie
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from mantra.gateway.http import Environ, Response, pairs, stamp
from mantra.status import bus
from mantra.status.cache import DAYS, Status, StatusCache
from mantra.status.states import Service, State
from registry.calls import request_id
from registry.results import Fault

#: Seconds for which browsers and proxies may keep a response.
SECONDS = 10
PAGE, DOCUMENT = "", "status.json"
#: The page has no script at all. mantra.content_policy has the policy of the other pages.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
#: State → its words, and the colour of its label.
WORDS: dict[State, tuple[Any, str]] = {
    "working": (_("working"), "good"),
    "disturbed": (_("disturbed"), "warn"),
    "down": (_("down"), "bad"),
    "unknown": (_("not known"), ""),
}
#: The state of the bus → what it means for those who call.
OF_BUS: dict[State, Any] = {
    "working": _("The bus takes calls."),
    "disturbed": _("The bus takes calls. Changes, such as new grants, are not in force yet."),
    "down": _("The bus refuses calls at present."),
    "unknown": _("The state of the bus is not known."),
}

cache = StatusCache()


class _Rendered:
    """The last bytes of each page: all readers of a status get the same ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()

    def get(self, key: tuple[Any, ...], render: Callable[[], bytes]) -> bytes:
        with self._lock:  # rendered once, however many ask for it at the same time
            if key not in self._pages:
                self._pages[key] = render()
                while len(self._pages) > 2 * len(settings.LANGUAGES):
                    self._pages.popitem(last=False)
            return self._pages[key]


_rendered = _Rendered()


def handle(environ: Environ) -> Response:
    """Respond to a request for the status page."""
    response = _respond(environ)
    stamp(response, request_id())
    response.headers["Content-Length"] = str(len(response.body)) if isinstance(response.body, bytes) else "0"
    if environ["REQUEST_METHOD"] == "HEAD":
        response.body = b""
    return response


def _respond(environ: Environ) -> Response:
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return Response(405, b"", {"Allow": "GET, HEAD"})
    _first, slash, rest = environ.get("PATH_INFO", "").lstrip("/").partition("/")
    if not slash:
        return Response(308, b"", {"Location": "/status/"})
    if rest not in (PAGE, DOCUMENT):
        return Response(404, b"Not found\n", {"Content-Type": "text/plain"})
    return _status(rest, language_of(environ))


def language_of(environ: Environ) -> str:
    """Return the language of the address, else that of the language switch's cookie, else settings.LANGUAGE_CODE."""
    try:
        asked = dict(pairs(environ.get("QUERY_STRING", ""))).get("lang", "")
    except Fault:
        asked = ""
    cookie = parse_cookie(environ.get("HTTP_COOKIE", "")).get(settings.LANGUAGE_COOKIE_NAME, "")
    known = dict(settings.LANGUAGES)
    return next((code for code in (asked, cookie) if code in known), settings.LANGUAGE_CODE)


def _status(kind: str, language: str) -> Response:
    status, of_bus = cache.current(), bus.state()
    key = (kind, language if kind == PAGE else "", status and (status.at, status.stale), of_bus)
    body = _rendered.get(key, lambda: render(kind, language, status, of_bus))
    headers = {
        "Content-Type": "application/json" if kind == DOCUMENT else "text/html; charset=utf-8",
        "Cache-Control": f"public, max-age={SECONDS}",
        "Vary": "Cookie",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Content-Security-Policy": POLICY,
    }
    return Response(200, body, headers if kind == DOCUMENT else {**headers, "Content-Language": language})


def render(kind: str, language: str, status: Status | None, of_bus: tuple[State, Any]) -> bytes:
    """Return the body of PAGE in a language, or of DOCUMENT."""
    if kind == DOCUMENT:
        return orjson.dumps(document(status, of_bus), option=orjson.OPT_INDENT_2)
    with translation.override(language):
        return render_to_string("status/page.html", _context(status, of_bus)).encode()


def document(status: Status | None, of_bus: tuple[State, Any]) -> dict[str, Any]:
    """Return the status as JSON has it."""
    return {
        "at": timezone.localtime(status.at).isoformat(timespec="seconds") if status else None,
        "stale": status is None or status.stale,
        "bus": {"state": of_bus[0], "since": _moment(of_bus[1])},
        "services": [
            {
                "agency": each.agency,
                "agency_name": each.agency_name,
                "service": each.code,
                "title": each.title,
                "state": each.state,
                "since": _moment(each.since),
                "availability": {str(days): _rounded(share) for days, share in availability.items()},
                "retirements": [{"operation": one.operation, "day": one.day.isoformat()} for one in each.retirements],
            }
            for each, availability in (status.services if status else ())
        ],
    }


def _moment(moment: Any) -> str | None:
    return timezone.localtime(moment).isoformat(timespec="seconds") if moment else None


def _rounded(share: float | None) -> float | None:
    """Return a share in per cent. Only a share without any failure is 100."""
    return None if share is None else int(share * 100) / 100


def _context(status: Status | None, of_bus: tuple[State, Any]) -> dict[str, Any]:
    services = status.services if status else ()
    agencies = [
        (name, [_line(each, availability) for each, availability in of_agency])
        for (_code, name), of_agency in groupby(services, key=lambda pair: (pair[0].agency, pair[0].agency_name))
    ]
    word, colour = WORDS[of_bus[0]]
    return {
        "status": status,
        "agencies": agencies,
        "bus": {"word": word, "colour": colour, "meaning": OF_BUS[of_bus[0]], "since": of_bus[1]},
        "days": DAYS,
        "language": translation.get_language(),
        "languages": settings.LANGUAGES,
        "disturbed": sum(each.state in ("down", "disturbed") for each, _availability in services),
    }


def _line(service: Service, availability: dict[int, float | None]) -> dict[str, Any]:
    word, colour = WORDS[service.state]
    shares = [(days, _rounded(availability[days])) for days in DAYS]
    return {"service": service, "word": word, "colour": colour, "shares": shares}
