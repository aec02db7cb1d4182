"""The addresses of contracts. They stand before the catalogue's, whose pattern of operations fits them too."""

from __future__ import annotations

from django.urls import path

from mantra.contracts import views

urlpatterns = [
    path("<str:agency>/<str:service>/openapi.json", views.service_openapi, name="contract_service"),
    path("<str:agency>/<str:service>/postman.json", views.service_postman, name="postman_service"),
    path("<str:agency>/<str:service>/swagger.html", views.docs, name="contract_docs"),
    path("<str:agency>/<str:service>/<str:operation>/openapi.json", views.operation_openapi, name="contract_operation"),
]
