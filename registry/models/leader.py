"""The locks by which one process at a time leads a task."""

from __future__ import annotations

from django.db import models


class LeaderLock(models.Model):
    """A task that one process at a time does. Its holder raises ``beat``; when that stops, another may take over."""

    name = models.CharField(max_length=40, primary_key=True)
    #: host:pid; empty after the last holder released it.
    holder = models.CharField(max_length=100, blank=True)
    beat = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "leader lock"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
