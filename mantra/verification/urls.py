from django.contrib import admin
from django.urls import path

from mantra.verification import views

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(views.choose), name="verification_choose"),
    path("<int:operation_id>/", _view(views.propose), name="verification_propose"),
]
