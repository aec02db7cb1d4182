"""Which rows of a kind a check looks at."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet

from registry import tenancy
from registry.tenancy import AnyUser


def rows_for(viewer: AnyUser | None, model: type[Model]) -> QuerySet[Any]:
    """Return the rows of a model that a viewer may see; all of them without a viewer."""
    rows: QuerySet[Any] = model._default_manager.all()
    if viewer is None:
        return rows
    right = f"{model._meta.app_label}.view_{model._meta.model_name}"
    return tenancy.visible(rows, viewer) if viewer.has_perm(right) else rows.none()
