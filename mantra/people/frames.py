"""The frame of the pages of signing in: alone before somebody is in, within the admin after."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic.base import ContextMixin, View

from mantra.people import gate

_ALONE, _WITHIN = "unfold/layouts/unauthenticated.html", "admin/base_site.html"


def context(request: HttpRequest, title: Any) -> dict[str, Any]:
    """Return what a page's template needs beside the page's own."""
    alone = not request.user.is_authenticated or bool(gate.step(request))
    return {
        **admin.site.each_context(request),
        "title": title,
        "base": _ALONE if alone else _WITHIN,
        "alone": alone,
        "first_step": gate.step(request),
    }


class Framed(ContextMixin, View):
    """A view of django-allauth with one of our templates, in our frame."""

    title: Any = ""

    # Not by a decorator of the class: that would take the place of the dispatch() of django-allauth's view.
    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**context(self.request, self.title), **super().get_context_data(**kwargs)}
