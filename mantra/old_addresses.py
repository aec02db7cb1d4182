"""The addresses of the pages of MANTRA 1.99x lead to the pages of this version.

Only a browser that opens a page is led on. All other requests stay calls, also those that no operation answers.
"""

from __future__ import annotations

from itertools import pairwise

from django.conf import settings
from django.urls import reverse

from mantra.gateway import php_input
from mantra.gateway.http import Environ, Response
from mantra.gateway.protocols import legacy
from registry.results import Fault
from registry.snapshot import holder

#: The program of 1.99x, which its addresses may name.
PROGRAM = "index.php"
SIGN_IN = frozenset(("login", "signin", "sign-in", "masuk"))
#: The most words of an address that are looked at.
MOST = 50


def handle(environ: Environ) -> Response:
    """Respond to a request below a folder of 1.99x."""
    if not _is_page(environ):
        return legacy.handle(environ)
    location = _page_of(_words(environ))
    return Response(302, b"", {"Location": location, "Content-Length": "0", "Cache-Control": "no-store"})


def _is_page(environ: Environ) -> bool:
    """Return True if a browser opens an address that can be no call."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or "HTTP_ACCESSKEY" in environ:
        return False
    if "text/html" not in environ.get("HTTP_ACCEPT", "").lower():
        return False
    segments = legacy.segments_of(environ)
    first = segments[0] if segments else ""
    return php_input.decoded(first).lower() not in legacy.FORMATS_BY_SEGMENT


def _words(environ: Environ) -> list[str]:
    """Return the parts of the path and the values of the query string, in their order."""
    words = [php_input.decoded(segment) for segment in legacy.segments_of(environ)]
    try:
        pairs = php_input.pairs(environ.get("QUERY_STRING", ""))
    except Fault:  # too many
        pairs = []
    words += [word for name, value in pairs for word in (value or name).split("/")]
    return [word for word in words if word and word.lower() != PROGRAM][:MOST]


def _page_of(words: list[str]) -> str:
    """Return the address of the page of the operation or service that the words name, of signing in, or the catalogue.

    The page itself decides what its reader may see.
    """
    snapshot = holder.current()
    if snapshot is not None:
        for names in zip(words, words[1:], words[2:], strict=False):
            operation = snapshot.legacy_operation(*names)
            if operation is not None:
                alias = operation.agency, operation.service, operation.code
                return reverse("catalogue_operation", args=alias)
        for agency, code in pairwise(words):
            service = snapshot.services.get((agency.lower(), code.lower()))
            if service is not None:
                return reverse("catalogue_service", args=(service.agency, service.code))
    if not SIGN_IN.isdisjoint(word.lower() for word in words):
        return reverse(settings.LOGIN_URL)
    return reverse("catalogue")
