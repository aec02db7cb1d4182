"""Deleting a row, with the rows that it takes along: each of those under the rules for deleting it alone.

The admin and the management API both delete by this module only, so that they agree and log the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any

from django.contrib.admin.models import DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import Model
from django.db.models.deletion import Collector

from registry import tenancy
from registry.models import RegistryModel, SnapshotVersion, User

#: Parts of an operation, an application, a backend, a source, an uploaded table or a user: whoever may delete that may
#: delete them.
PARTS = frozenset(
    {
        "registry.revokedtoken",
        "dataservices.uploadversion",
        "dataservices.wizarddraft",
        "registry.parameter",
        "registry.field",
        "registry.operationversion",
        "registry.versiontext",
        "registry.publishrequest",
        "registry.notification",
        "registry.notificationchoice",
        "registry.outboxmessage",
        "registry.accessrequest",
        "registry.keynetwork",
        "registry.requestedoperation",
        "registry.requeststep",
        "dataservices.sourcestate",
        "proxyservices.backendserver",
        "proxyservices.serverstate",
        "proxyservices.parametermapping",
        "proxyservices.servicedescription",
        "verification.verifiedfield",
        "registry.guardfinding",
        "registry.samplerequest",
        "registry.sampleresponse",
        "registry.invitation",
        "registry.exportjob",
        "registry.savedfilter",
        "registry.incidentobject",
        "registry.incidentnote",
        "reconciliation.side",
        "reconciliation.reconciliationrun",
        "synchronization.syncrun",
        "legacy_import.importedrow",
        "legacy_import.comparisoninput",
        "legacy_import.hostcomparison",
        "legacy_import.comparedoperation",
        "jobs.job",
        "registry.harvestrule",
        "registry.harvestalarm",
    }
)
#: Parts that get no line of their own in the log: messages, observations, samples, whose names may be people's, and
#: versions.
_UNLOGGED = frozenset(
    {
        "registry.revokedtoken",
        "registry.notification",
        "registry.notificationchoice",
        "registry.outboxmessage",
        "dataservices.uploadversion",
        "dataservices.sourcestate",
        "proxyservices.serverstate",
        "dataservices.wizarddraft",
        "registry.guardfinding",
        "registry.samplerequest",
        "registry.sampleresponse",
        "registry.invitation",
        "registry.exportjob",
        "registry.savedfilter",
        "synchronization.syncrun",
        "legacy_import.importedrow",
        "legacy_import.comparisoninput",
        "legacy_import.hostcomparison",
        "legacy_import.comparedoperation",
        "jobs.job",
        "registry.harvestalarm",
        "registry.operationversion",
        "registry.versiontext",
        "registry.requestedoperation",
        "registry.requeststep",
        "reconciliation.side",
        "reconciliation.reconciliationrun",
    }
)


class InUse(Exception):
    """The reason why a row must not be deleted now, as a message for the user."""


class _Collector(Collector):
    def can_fast_delete(self, objs: Any, from_field: Any = None) -> bool:
        return False  # such rows would be deleted without being collected


def taken_along(rows: Iterable[Model]) -> list[Model]:
    """Return rows and all rows that their deletion deletes, each once. Raises ProtectedError."""
    rows = list(rows)
    return _rows(_collected(rows)) if rows else []


def _collected(rows: Sequence[Model]) -> Collector:
    collector = _Collector(router.db_for_write(type(rows[0])), origin=rows[0])
    collector.collect(rows)
    return collector


def _rows(collector: Collector) -> list[Model]:
    # The row of an operation among all operations is the same row as that of its kind.
    bases = {base for model in collector.data for base in model._meta.get_parent_list()}
    found = [row for model, of_model in collector.data.items() if model not in bases for row in of_model]
    return sorted(found, key=lambda row: (row._meta.label_lower, row.pk))


def refused(user: tenancy.AnyUser, rows: Iterable[Model]) -> list[Model]:
    """Return those of the rows that ``user`` may not delete, parts of others excepted."""
    return [row for row in rows if not is_part(row) and not _may_delete(user, row)]


def is_part(row: Model) -> bool:
    """Return True for a row that goes with what it is a part of, whoever deletes that."""
    return row._meta.label_lower in PARTS


def _may_delete(user: tenancy.AnyUser, row: Model) -> bool:
    right = f"{row._meta.app_label}.delete_{row._meta.model_name}"
    return user.has_perm(right) and tenancy.may_change(user, row)


def kept(rows: Iterable[Model]) -> dict[Model, str]:
    """Return those of the rows that nobody may delete now, with the reason."""
    reasons = {row: str(row.kept_because()) for row in rows if isinstance(row, RegistryModel)}
    return {row: reason for row, reason in reasons.items() if reason}


@transaction.atomic
def delete(user: User, row: Model) -> None:
    """Delete a row that ``user`` may delete, with the rows that it takes along, and log each.

    Raises PermissionDenied if one of the others may not be deleted by the user, InUse if one may not be deleted now,
    ProtectedError, or IntegrityError if a row came to be that refers to a deleted one.
    """
    SnapshotVersion.lock()
    collector = _collected([row])
    rows = _locked(_rows(collector))
    if refused(user, (each for each in rows if each != row)):
        raise PermissionDenied
    for reason in kept(rows).values():
        raise InUse(reason)
    drafts = {each.pk for each in rows if getattr(each, "draft_of_id", None) is not None}
    logged = [each for each in rows if each._meta.label_lower not in _UNLOGGED and not _is_of(drafts, each)]
    LogEntry.objects.log_actions(user.pk, logged, DELETION)  # type: ignore[arg-type]
    # Only what was asked for: a row that refers to one of these since makes the database refuse.
    collector.delete()


def _is_of(drafts: Collection[int], row: Model) -> bool:
    """Return True for a draft beside an operation that is deleted too, and for its parts."""
    return getattr(row, "draft_of_id", None) is not None or getattr(row, "operation_id", None) in drafts


def _locked(rows: list[Model]) -> list[Model]:
    """Return the rows as they are now. They stay so until the transaction ends; those that are gone are left out."""
    locked: list[Model] = []
    models: list[type[Model]] = list(dict.fromkeys(map(type, rows)))
    for model in models:
        keys = [row.pk for row in rows if type(row) is model]
        locked += model._base_manager.select_for_update().filter(pk__in=keys).order_by("pk")
    return sorted(locked, key=attrgetter("_meta.label_lower", "pk"))
