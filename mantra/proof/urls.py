"""The public addresses of the journal's heads, below /.well-known/mantra/."""

from __future__ import annotations

from django.urls import path

from mantra.proof import views

urlpatterns = [
    path("heads/latest", views.latest, name="latest_head"),
    path("heads/keys", views.keys, name="head_keys"),
    path("heads/<int:serial>", views.head, name="head"),
    path("verify_journal.py", views.verifier, name="verifier"),
]
