"""The addresses of the catalogue. Fixed names below a service stand before the operation's pattern."""

from __future__ import annotations

from django.urls import path

from mantra.catalogue import views
from mantra.client_code.views import client_adapter, client_code
from mantra.tryout import as_application

urlpatterns = [
    path("", views.index, name="catalogue"),
    path("unduh/<str:file>", client_adapter, name="client_adapter"),
    path("<str:agency>/", views.agency_page, name="catalogue_agency"),
    path("<str:agency>/<str:service>/", views.service_page, name="catalogue_service"),
    path("<str:agency>/<str:service>/<str:operation>/sample/remove", views.remove_sample, name="remove_sample"),
    path(
        "<str:agency>/<str:service>/<str:operation>/try", as_application.try_as_application, name="try_as_application"
    ),
    path("<str:agency>/<str:service>/<str:operation>/code", client_code, name="client_code"),
    path("<str:agency>/<str:service>/<str:operation>", views.operation_page, name="catalogue_operation"),
]
