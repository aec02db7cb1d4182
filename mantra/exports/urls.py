from django.contrib import admin
from django.urls import path

from mantra.exports import views

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(views.listing), name="exports"),
    path("report/", _view(views.start_report), name="export_report"),
    path("statistics/", _view(views.start_statistics), name="export_statistics"),
    path("history/", _view(views.start_history), name="export_history"),
    path("<int:pk>/", _view(views.single), name="export"),
    path("<int:pk>/download/", _view(views.download), name="export_download"),
    path("<int:pk>/delete/", _view(views.delete), name="export_delete"),
    path("<int:pk>/again/", _view(views.again), name="export_again"),
]
