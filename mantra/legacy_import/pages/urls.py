from django.contrib import admin
from django.urls import path

from mantra.legacy_import.pages import views

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(views.listing), name="moving_in"),
    path("new/", _view(views.new), name="moving_in_new"),
    path("calls/", _view(views.old_calls), name="moving_in_calls"),
    path("<int:pk>/", _view(views.single), name="moving_in_run"),
    path("<int:pk>/again/", _view(views.again), name="moving_in_again"),
    path("<int:pk>/cancel/", _view(views.cancel), name="moving_in_cancel"),
    path("<int:pk>/discard/", _view(views.discard), name="moving_in_discard"),
    path("<int:pk>/export/", _view(views.export), name="moving_in_export"),
]
