"""Starting, reading and deleting exports: who may, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from registry import tenancy
from registry.exports import files
from registry.exports.kinds import kind_of
from registry.models import ExportJob, User
from registry.models.bounds import check_number

State = ExportJob.State
#: What a user has no file of, or will have none of.
ENDED = (State.FAILED, State.EXPIRED)


def start(
    user: User,
    kind: str,
    parameters: Mapping[str, Any],
    *,
    format: str,  # the word of the page
    language: str = "",
    scheduled: bool = False,
) -> ExportJob:
    """Let the worker make an export. Raises ValidationError if the user has too many, ValueError for what is not one.

    The caller has checked the user's right; it is checked again when the export is made and when it is downloaded.
    """
    found = kind_of(kind)
    if found is None or format not in found.formats:
        raise ValueError(f"{kind} has no format {format}")
    job = ExportJob(
        user=user, kind=kind, format=format, parameters=dict(parameters), language=language or settings.LANGUAGE_CODE,
        scheduled=scheduled,
    )  # fmt: skip
    job.clean_fields()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # nobody else counts them meanwhile
        _make_room(user)
        if not scheduled:
            check_number(user.exports.all(), "exports")
        job.save()
    return job


def _make_room(user: User) -> None:
    """Delete a user's oldest exports without a file where there would be too many."""
    beyond = user.exports.count() + 1 - settings.ROW_LIMITS["exports"]
    if beyond > 0:
        ended = user.exports.filter(state__in=ENDED).order_by("created_at", "pk")
        ExportJob.objects.filter(pk__in=list(ended.values_list("pk", flat=True)[:beyond])).delete()


def delete(job: ExportJob) -> None:
    """Delete an export and its file. One that is being made ends at its next report of progress."""
    job.delete()
    files.remove(job.stored)


def view_of(user: User) -> str:
    """Return what a user may see, as a word: "all" or the user's agency. It changes with the agency and the role."""
    return "all" if tenancy.sees_all_agencies(user) else f"agency:{user.agency_id}"


def may_make(user: User, job: ExportJob) -> bool:
    """Return True if a user has the right of an export's kind, to what it is of."""
    kind = kind_of(job.kind)
    return kind is not None and user.is_active and user.has_perm(kind.right) and kind.may(user, job.parameters)


def may_download(user: User, job: ExportJob) -> bool:
    """Return True if a user gets the file: it is the user's, who still may see what was put into it."""
    return job.user_id == user.pk and job.state == State.DONE and job.view == view_of(user) and may_make(user, job)
