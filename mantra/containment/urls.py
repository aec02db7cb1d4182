from django.contrib import admin
from django.urls import path

from mantra.containment import views

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(views.listing), name="containment"),
    path("stop/<slug:kind>/<int:ref>/", _view(views.stop_new), name="containment_stop_new"),
    path("stops/<int:pk>/", _view(views.stop), name="containment_stop"),
    path("incidents/new/", _view(views.incident_new), name="incident_new"),
    path("incidents/<int:pk>/", _view(views.incident), name="incident"),
    path("incidents/<int:pk>/edit/", _view(views.incident_edit), name="incident_edit"),
    path("incidents/<int:pk>/note/", _view(views.incident_note), name="incident_note"),
    path("incidents/<int:pk>/state/", _view(views.incident_state), name="incident_state"),
    path("incidents/<int:pk>/report/", _view(views.incident_report), name="incident_report"),
    path("incidents/<int:pk>/file/", _view(views.incident_file), name="incident_file"),
]
