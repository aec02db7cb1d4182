"""What browsers may do with the bus's pages: the content security policy, and the headers beside it.

A page has no script and no style of its own text, so that one that somebody smuggles into it does nothing. Scripts and
styles come from the folder of static files only. They do not come from the whole host: responses of upstreams come from
it too.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

#: What no page needs, and what a passkey and a button that copies do.
PERMISSIONS = (
    "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), "
    "gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=(), "
    "clipboard-write=(self), publickey-credentials-create=(self), publickey-credentials-get=(self)"
)
#: A document that a browser shows, and in which scripts could be, but no page of ours.
_DOCUMENT = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_DOCUMENTS = ("application/xml", "text/xml", "application/xhtml+xml", "image/svg+xml")


class ContentPolicyMiddleware:
    """Gives each page its policy, and a nonce (``request.csp_nonce``) for a style in the page's text.

    A view whose page needs another policy sets it in the response.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = SimpleLazyObject(lambda: secrets.token_urlsafe(16))
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        response = self.get_response(request)
        kind = response.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "text/html":
            response.headers.setdefault("Content-Security-Policy", policy(request, nonce=str(nonce)))
        elif kind in _DOCUMENTS:
            response.headers.setdefault("Content-Security-Policy", _DOCUMENT)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if "Cache-Control" not in response and _is_signed_in(request):
            # What a person may see stays in no cache, neither a proxy's nor the browser's after signing out.
            response["Cache-Control"] = "no-store, private"
        return response


def policy(request: HttpRequest, *, nonce: str = "", connect: str = "") -> str:
    """Return the policy of a page. ``connect``: a further origin to which its scripts may send requests."""
    files = _places(request, settings.STATIC_URL)
    styles = f"{files} 'nonce-{nonce}'" if nonce else files
    rules = {
        "default-src": "'none'",
        "script-src": f"{files} {_places(request, reverse('admin:jsi18n'))}",
        "style-src": styles,
        "img-src": "'self' data:",
        "font-src": files,
        "connect-src": f"'self' {connect}".strip(),
        "form-action": f"'self' {_origin(settings.OIDC_URL)}".strip(),
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _places(request: HttpRequest, path: str) -> str:
    """Return a folder or file of this host as a source of a policy.

    Behind a proxy that changes the host, browsers know the bus by its public address.
    """
    try:
        hosts = [request.get_host()]
    except DisallowedHost:
        return "'self'"  # the page is the error 400
    if settings.BASE_URL:
        hosts.append(urlsplit(settings.BASE_URL).netloc)
    return " ".join(host + path for host in dict.fromkeys(hosts))


def _origin(url: str) -> str:
    """Return the origin of a URL, "" of none. To sign in elsewhere, a form's response leads there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if url else ""


def _is_signed_in(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and bool(user.is_authenticated)
