"""The pages of the guides. Anybody may read them: they describe the product, not what is on this bus."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from mantra.help import topics
from mantra.help.guides import GUIDES, guide


def index(request: HttpRequest) -> HttpResponse:
    """List the guides, the reader's own first."""
    own = topics.guide_of(request.user)
    names = sorted(GUIDES, key=lambda name: name != own)
    return render(request, "help/index.html", {"guides": [guide(name) for name in names], "own": own})


def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show a guide."""
    if name not in GUIDES:
        raise Http404
    return render(request, "help/guide.html", {"guide": guide(name)})
