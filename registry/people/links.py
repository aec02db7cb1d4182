"""The addresses of links that people get by mail or on a page."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


def absolute(request: HttpRequest, path: str) -> str:
    """Return the URL of a path. With MANTRA_BASE_URL the request's Host header has no part in it."""
    return f"{settings.BASE_URL}{path}" if settings.BASE_URL else request.build_absolute_uri(path)


def invitation(request: HttpRequest, token: str) -> str:
    """Return the URL of an invitation."""
    return absolute(request, reverse("invitation", args=(token,)))
