from django.contrib import admin
from django.urls import path

from mantra.notifications import own, templates, testing

_view = admin.site.admin_view

urlpatterns = [
    path("", _view(own.notifications), name="notifications"),
    path("<int:pk>/", _view(own.open_notification), name="notification"),
    path("read/", _view(own.mark_read), name="notifications_read"),
    path("choices/", _view(own.choices), name="notification_choices"),
    path("templates/", _view(templates.templates), name="message_templates"),
    path("templates/<slug:event>/<slug:language>/", _view(templates.template), name="message_template"),
    path("test/", _view(testing.test_mail), name="test_mail"),
]
