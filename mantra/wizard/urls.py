from django.contrib import admin
from django.urls import path

from mantra.wizard import views

_view = admin.site.admin_view

urlpatterns = [
    path("operation/<int:operation_id>/", _view(views.open_operation), name="wizard_operation"),
    path("table/<int:table_id>/", _view(views.open_table), name="wizard_table"),
    path("", _view(views.start), name="wizard"),
    path("<uuid:key>/<int:number>/", _view(views.step), name="wizard_step"),
    path("<uuid:key>/preview/", _view(views.show_preview), name="wizard_preview"),
    path("<uuid:key>/sample/", _view(views.show_preview), {"sample": True}, name="wizard_sample"),
    path("<uuid:key>/delete/", _view(views.delete), name="wizard_delete"),
]
