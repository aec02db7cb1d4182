from django.contrib import admin
from django.urls import path

from mantra.jobs import starting, views

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(views.listing), name="jobs"),
    path("new/", _view(starting.choose), name="job_choice"),
    path("new/<int:operation_id>/", _view(starting.start), name="job_new"),
    path("template/<int:operation_id>.<str:file_format>", _view(starting.template), name="job_template"),
    path("<slug:number>/", _view(views.single), name="job"),
    path("<slug:number>/columns/", _view(views.columns), name="job_columns"),
    path("<slug:number>/result.<str:file_format>", _view(views.download), name="job_download"),
    path("<slug:number>/<str:action>/", _view(views.act), name="job_action"),
]
