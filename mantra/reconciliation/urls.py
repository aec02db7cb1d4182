from django.contrib import admin
from django.urls import path

from mantra.reconciliation import views

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(views.listing), name="reconciliations"),
    path("new/", _view(views.new), name="reconciliation_new"),
    path("<int:pk>/", _view(views.single), name="reconciliation"),
    path("<int:pk>/lists/", _view(views.lists), name="reconciliation_lists"),
    path("<int:pk>/columns/", _view(views.columns), name="reconciliation_columns"),
    path("<int:pk>/run/", _view(views.run), name="reconciliation_run"),
    path("<int:pk>/cancel/", _view(views.cancel), name="reconciliation_cancel"),
    path("<int:pk>/delete/", _view(views.delete), name="reconciliation_delete"),
    path("<int:pk>/export/", _view(views.export), name="reconciliation_export"),
]
