"""The wizard's drafts: finding, locking and saving what a user has entered so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from dataservices import authoring
from dataservices.models import WizardDraft
from registry.models import SnapshotVersion, User


def author(request: HttpRequest) -> User:
    """Return the request's user, who may make data operations. Raises PermissionDenied."""
    user = request.user
    if not isinstance(user, User) or not user.has_perm("dataservices.add_dataoperation"):
        raise PermissionDenied
    return user


def unfinished(user: User) -> QuerySet[WizardDraft]:
    """Return a user's drafts that are not finished, the last touched first."""
    return WizardDraft.of(user).filter(finished_at=None).select_related("source__agency", "operation__service__agency")


def get_or_404(user: User, key: UUID) -> WizardDraft:
    """Return a user's own draft. Raises Http404, for another user's as for one that does not exist."""
    draft = WizardDraft.of(user).filter(key=key).select_related("source__agency", "operation").first()
    if draft is None or (draft.source is not None and not authoring.may_author(user, draft.source)):
        raise Http404
    return draft


def get_or_new(user: User, key: UUID) -> WizardDraft:
    """Return a user's draft, or a new one with this key that is not saved. Raises Http404 for another user's."""
    if WizardDraft.objects.filter(key=key).exists():
        return get_or_404(user, key)
    return WizardDraft(key=key, owner=user, agency=user.agency)


@contextmanager
def saving(draft: WizardDraft) -> Iterator[WizardDraft]:
    """Provide a draft as it is stored now, locked, and save it if the block ends without an error.

    A second request with the same form waits here. Raises ValidationError if there are too many drafts.
    """
    with transaction.atomic():
        stored = _locked(draft)
        if stored is None:
            SnapshotVersion.lock()  # one of two first requests makes the row, and the other finds it
            WizardDraft.clean_up(timezone.now())
            stored = _locked(draft) or draft
        yield stored
        stored.full_clean(validate_unique=False)
        stored.save()
    draft.__dict__.update(stored.__dict__)


def _locked(draft: WizardDraft) -> WizardDraft | None:
    return WizardDraft.objects.select_for_update().filter(key=draft.key).order_by().first()
