from django.contrib import admin
from django.urls import path

from mantra.legacy_import.pages import comparison_views, views

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(views.listing), name="moving_in"),
    # Files are uploaded to new/, again/ and compare/: mantra/body_limit.py and nginx know these addresses.
    path("new/", _view(views.new), name="moving_in_new"),
    path("again/<int:pk>/", _view(views.again), name="moving_in_again"),
    path("compare/<int:pk>/", _view(comparison_views.compare), name="moving_in_compare"),
    path("calls/", _view(views.old_calls), name="moving_in_calls"),
    path("<int:pk>/", _view(views.single), name="moving_in_run"),
    path("<int:pk>/cancel/", _view(views.cancel), name="moving_in_cancel"),
    path("<int:pk>/discard/", _view(views.discard), name="moving_in_discard"),
    path("<int:pk>/export/", _view(views.export), name="moving_in_export"),
    path("<int:pk>/forget/", _view(comparison_views.forget), name="moving_in_forget"),
    path("comparisons/<int:pk>/", _view(comparison_views.single), name="moving_in_comparison"),
    path("comparisons/<int:pk>/again/", _view(comparison_views.again), name="moving_in_comparison_again"),
    path("comparisons/<int:pk>/cancel/", _view(comparison_views.cancel), name="moving_in_comparison_cancel"),
]
