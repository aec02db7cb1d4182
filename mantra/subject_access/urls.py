from django.contrib import admin
from django.urls import path

from mantra.subject_access import views

urlpatterns = [
    path("", admin.site.admin_view(views.look_up), name="subject_access"),
    path("letter/", admin.site.admin_view(views.letter), name="subject_letter"),
]
