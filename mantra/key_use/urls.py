from django.contrib import admin
from django.urls import path

from mantra.key_use import views

_view = admin.site.admin_view

urlpatterns = [
    path("leaked/", _view(views.leaked), name="leaked_key"),
    path("<int:pk>/use/", _view(views.use), name="key_use"),
    path("<int:pk>/networks/<int:network>/", _view(views.confirm), name="confirm_network"),
]
