"""Who feels that a source or a backend does not work: its operations, and the applications that may call them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Affected
from registry import catalogue
from registry.models import Grant, Operation

#: The most operations whose grants a link lists: an address has a length.
MOST = 100


def of(operation: type[Any], field: str, ids: Collection[int]) -> dict[int, tuple[Affected, ...]]:
    """Return who is affected by the loss of rows, by their ids. Two queries for all.

    ``operation``: the kind of operation that uses them, such as DataOperation; ``field``: its reference to them.
    """
    used: dict[int, list[int]] = {}
    rows = operation.objects.listed().filter(state__in=_CALLABLE, **{f"{field}__in": ids}).order_by()
    for pk, ref in rows.values_list("pk", field):
        used.setdefault(ref, []).append(pk)
    path = f"operation__{operation._meta.model_name}__{field}"
    grants = catalogue.in_force(Grant.objects.filter(application__active=True), timezone.localdate())
    counted = grants.filter(**{f"{path}__in": list(used)}).order_by().values(path)
    callers = {
        each[path]: (each["agencies"], each["applications"])
        for each in counted.annotate(
            agencies=Count("application__agency", distinct=True), applications=Count("application", distinct=True)
        )
    }
    return {ref: _words(operation, field, ref, pks, callers.get(ref)) for ref, pks in used.items()}


_CALLABLE = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)


def _words(
    operation: type[Any], field: str, ref: int, operations: list[int], callers: tuple[int, int] | None
) -> tuple[Affected, ...]:
    text = ngettext("%(number)d operation", "%(number)d operations", len(operations)) % {"number": len(operations)}
    found = Affected(text, f"{_list_of(operation)}?{field}__id__exact={ref}")
    return (found, _callers(operations, *callers)) if callers else (found,)


def _callers(operations: list[int], agencies: int, applications: int) -> Affected:
    text = ngettext("%(number)d application", "%(number)d applications", applications) % {"number": applications}
    of_agencies = ngettext("%(number)d agency", "%(number)d agencies", agencies) % {"number": agencies}
    words = _("%(applications)s of %(agencies)s") % {"applications": text, "agencies": of_agencies}
    ids = ",".join(map(str, operations[:MOST]))
    return Affected(words, f"{_list_of(Grant)}?state__exact={Grant.State.APPROVED}&operation__in={ids}")


def _list_of(model: type[Any]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
