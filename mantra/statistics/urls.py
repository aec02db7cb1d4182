"""The addresses of the statistics, below admin/statistics/."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from mantra.statistics import views


def _page(route: str, kind: str) -> URLPattern:
    kwargs: dict[str, Any] = {"kind": kind}
    return path(route, admin.site.admin_view(views.dashboard), kwargs, name=f"statistics_{kind}")


urlpatterns = [
    path("", admin.site.admin_view(views.statistics), name="statistics"),
    path("live/", admin.site.admin_view(views.latest), name="statistics_live"),
    _page("matrix/", "matrix"),
    _page("personal-data/", "personal_data"),
    _page("agency/<str:agency>/", "agency"),
    _page("agency/<str:agency>/calls/", "caller"),
    _page("pair/<str:provider>/<str:consumer>/", "pair"),
    _page("service/<str:agency>/<str:service>/", "service"),
    _page("operation/<int:operation>/", "operation"),
    _page("application/<int:application>/", "application"),
    _page("backend/<int:backend>/", "backend"),
    _page("source/<int:source>/", "source"),
]
