"""Locks on rows, so that changes of a row and of what belongs to it are made one after the other."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from registry.models import SnapshotVersion


def lock(model: type[Model], pk: Any) -> None:
    """Lock a row until the transaction ends. What was read of it before may have changed: read it again.

    An operation of either kind is locked by its row among all operations. On SQLite nothing happens: there each
    transaction that writes is alone (settings.DATABASES).
    """
    SnapshotVersion.lock()
    root = (*reversed(model._meta.get_parent_list()), model)[0]
    # Without an order, which would join other tables and lock their rows too.
    list(root._base_manager.select_for_update().filter(pk=pk).order_by().values_list("pk"))
