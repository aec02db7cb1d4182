"""Drafts beside published operations, publishing, and going back.

Every change of a definition that callers get passes _accept(), whoever makes it: it asks CHECKS and keeps the version.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from registry import sample_responses
from registry.models import Operation, OperationVersion, SnapshotVersion, User, VersionText
from registry.models.changes import atomic
from registry.notifications import changes
from registry.versions import comparison
from registry.versions.definition import (
    Definition,
    SecretsToReenter,
    apply,
    definition,
    digest_of,
    is_same,
    large_texts,
    secrets_to_reenter,
    without_secrets,
)
from registry.versions.kinds import UNVERSIONED, is_large, kind_of, rows_of

#: Attribute of a list → its rows.
Lists = Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Change:
    """A definition that is about to be put into force."""

    #: The operation whose callers will get it, as a row of its kind.
    operation: Operation
    #: The row that has the new definition now: a draft beside the operation, or the operation itself.
    row: Operation
    #: What callers get now; None: nothing.
    old: Definition | None
    new: Definition
    #: None: a command of an operator.
    user: User | None
    reason: str
    origin: str
    #: For callers.
    change_note: str = ""
    #: The rows of the lists of ``row``, by the lists' attributes, where they were read; None otherwise.
    lists: Lists | None = None


#: Called with each change before it is put into force. One that must not be raises ValidationError.
CHECKS: list[Callable[[Change], None]] = []


#: Called with an operation whose state was changed by a user: (operation) → warnings, as sentences.
STATE_WARNINGS: list[Callable[[Operation], list[str]]] = []


class DraftExists(ValidationError):
    """There is a draft that would be lost."""

    def __init__(self) -> None:
        super().__init__(_("There is a draft. Publish or discard it first."))


# ------------------------------------------------------------------------------------------- drafts


def draft_of(operation: Operation) -> Any:
    """Return the draft beside a published operation as a row of its kind, None if there is none."""
    return kind_of(operation).model._default_manager.filter(draft_of=operation.pk).first()


@transaction.atomic
def open_draft(operation: Operation, user: User | None, version: OperationVersion | None = None) -> Any:
    """Return the draft beside an operation, made from what is published or from ``version`` if there is none.

    An operation that was never published is its own draft. Secrets of ``version`` whose destinations have changed
    since are left out. Raises DraftExists if there is a draft and ``version`` would replace it.
    """
    SnapshotVersion.lock()
    operation = _stored(operation)
    own = operation.state == Operation.State.DRAFT
    draft = operation if own else draft_of(operation)
    if draft is not None and version is not None:
        raise DraftExists
    if draft is not None:
        return draft
    _keep_unrecorded(operation)
    return _new_draft(operation, version)


def _new_draft(operation: Operation, version: OperationVersion | None) -> Operation:
    kind = kind_of(operation)
    draft = kind.model(draft_of=Operation.objects.get(pk=operation.pk), kind=operation.kind)
    for name in UNVERSIONED - {"state", "sunset"}:
        setattr(draft, name, getattr(operation, name))
    draft.revision = operation.revision  # the version that it was made from
    if version is None:
        texts = large_texts(operation)
        apply(definition(operation), draft, texts.__getitem__)
    else:
        apply(without_secrets(version.definition, kind), draft, _texts_of(operation))
    return draft


@transaction.atomic
def discard(draft: Operation) -> None:
    """Delete the draft beside a published operation."""
    if draft.draft_of_id is None:
        raise ValueError("not a draft beside an operation")
    SnapshotVersion.lock()
    _stored(draft).delete()


@transaction.atomic
def absorb(draft: Operation) -> None:
    """Make a draft what its operation consists of, which no longer has callers: it is its own draft then."""
    SnapshotVersion.lock()
    draft = _stored(draft)
    operation = draft.draft_of
    if operation is None or operation.state != Operation.State.DRAFT:
        raise ValueError("not a draft beside an operation without callers")
    apply(definition(draft), _stored(operation), large_texts(draft).__getitem__)
    draft.delete()


def next_number(operation: Operation) -> int:
    """Return the number that the operation's next version will have."""
    return _number_after(operation, operation.versions.first())


def _number_after(operation: Operation, last: OperationVersion | None) -> int:
    return max(operation.revision, last.number if last is not None else 0) + 1


def _stored(row: Operation) -> Any:
    """Return an operation as a row of its kind, as it is stored now."""
    kind = kind_of(row)
    return kind.model._default_manager.select_related("service__agency", *kind.related).get(pk=row.pk)


# --------------------------------------------------------------------------------------- publishing


@transaction.atomic
def publish(
    row: Operation,
    user: User | None,
    reason: str = "",
    origin: str = OperationVersion.Origin.ADMIN,
    change_note: str = "",
) -> OperationVersion:
    """Put a draft into force and return its version; ``row`` is a draft beside an operation or one without callers.

    The draft is deleted. Raises ValidationError if the definition breaks a rule or one of CHECKS refuses it.
    """
    SnapshotVersion.lock()
    row = _stored(row)
    operation = row if row.draft_of is None else _stored(row.draft_of)
    old = definition(operation) if operation.state != Operation.State.DRAFT else None
    _check_rules(operation, row)
    lists = rows_of(row)
    change = Change(operation, row, old, definition(row, lists), user, reason, origin, change_note, lists)
    _ask_checks(change)
    if row.pk != operation.pk:
        _keep_unrecorded(operation)
        apply(change.new, operation, large_texts(row).__getitem__)
        row.delete()
    if operation.state == Operation.State.DRAFT:
        operation.state = Operation.State.PUBLISHED
    return _accept(change, operation.versions.first(), ("state",))


def record(
    operation: Operation,
    user: User | None,
    reason: str = "",
    origin: str = OperationVersion.Origin.ADMIN,
    was_draft: bool = False,
    change_note: str = "",
    made: Lists | None = None,
) -> OperationVersion | None:
    """Make a version of rows that were changed in place, if they differ from the last version.

    Return the version that is in force, None for an operation without callers. ``was_draft``: it had no callers before.
    ``made``: of an operation that was made just now, by this transaction and with its first revision, the rows of all
    its lists; nothing is read again then. Raises ValidationError if one of CHECKS refuses it; the caller's transaction
    must then be undone.
    """
    with atomic():
        row = operation if made is not None else _stored(operation)
        return _record(row, user, reason, origin, was_draft, change_note, made)


def _record(
    operation: Operation,
    user: User | None,
    reason: str,
    origin: str,
    was_draft: bool,
    change_note: str,
    made: Lists | None,
) -> OperationVersion | None:
    if operation.state == Operation.State.DRAFT or operation.draft_of_id is not None:
        return None
    last = operation.versions.first() if made is None else None
    lists = rows_of(operation) if made is None else made
    new = definition(operation, lists)
    unchanged = last is not None and is_same(last.definition, new, kind_of(operation))
    if unchanged and not was_draft:
        return last
    old = None if last is None or was_draft else last.definition
    change = Change(operation, operation, old, new, user, reason, origin, change_note, lists)
    _ask_checks(change)
    return last if unchanged else _accept(change, last, is_new=made is not None)


@transaction.atomic
def revert(version: OperationVersion, user: User | None, reason: str) -> OperationVersion:
    """Put the definition of an earlier version into force again, and return it as a new version.

    Raises DraftExists, SecretsToReenter if secrets of it would be sent to other places than then, ValidationError
    as publish() does.
    """
    SnapshotVersion.lock()
    operation = _stored(version.operation)
    if draft_of(operation) is not None:
        raise DraftExists
    if names := secrets_to_reenter(kind_of(operation), version.definition):
        raise SecretsToReenter(names)
    if operation.state == Operation.State.DRAFT:
        if not is_same(operation.versions.first().definition, definition(operation), kind_of(operation)):
            raise DraftExists
        apply(version.definition, operation, _texts_of(operation))
        return publish(operation, user, reason, OperationVersion.Origin.REVERT)
    draft = open_draft(operation, user, version)
    return publish(draft, user, reason, OperationVersion.Origin.REVERT)


def _check_rules(operation: Operation, row: Operation) -> None:
    """Check the whole definition again: rules and neighbours may have changed since it was saved."""
    as_published = copy.copy(row)
    as_published.state = operation.state if operation.state != Operation.State.DRAFT else Operation.State.PUBLISHED
    as_published.sunset = operation.sunset
    as_published.full_clean()
    for label, children in rows_of(row).items():
        kind_of(row).all_lists[label].model.check_list(row, children)
        for child in children:
            _check_child(child)
    if problems := list(kind_of(row).problems(as_published)):
        raise ValidationError(problems)


def _check_child(child: Any) -> None:
    try:
        child.full_clean()
    except ValidationError as error:
        raise ValidationError([f"{child}: {message}" for message in error.messages]) from None


def _ask_checks(change: Change) -> None:
    for check in CHECKS:
        check(change)


# ---------------------------------------------------------------------------------------- versions


def _accept(
    change: Change, last: OperationVersion | None, unsaved: Sequence[str] = (), is_new: bool = False
) -> OperationVersion:
    """Keep a definition that is in force now as a version after the ``last`` one, log it, and return it.

    ``unsaved``: columns of the operation that were changed and not stored yet. ``is_new``: it was stored with the
    revision of this version.
    """
    operation = change.operation
    number = operation.revision if is_new else _number_after(operation, last)
    # The lists are those of a draft, whose rows the operation has now, or its own.
    texts = large_texts(operation, change.lists)
    version = _kept(
        operation, change.new, number, texts, user=change.user, reason=change.reason, origin=change.origin,
        change_note=change.change_note,
    )  # fmt: skip
    if not is_new:
        operation.revision = number
        operation.save(update_fields=(*unsaved, "revision", "updated_at"))
        sample_responses.mask_again(operation)
    if change.user is not None:
        text = _log_text(version, change)
        LogEntry.objects.log_actions(change.user.pk, [operation], CHANGE, change_message=text, single_object=True)
    _prune(operation, number)
    # An address that moves is nothing to callers.
    if change.old is not None and change.origin != OperationVersion.Origin.ADDRESS:
        changes.version_published(operation, number)
    return version


def _log_text(version: OperationVersion, change: Change) -> str:
    head = capfirst(_("published as v%(number)d") % {"number": version.number})
    head += f" ({change.reason})" if change.reason else ""
    return f"{head}\n{comparison.summary(comparison.compare(kind_of(change.operation), change.old, change.new))}"


def _keep_unrecorded(operation: Operation) -> None:
    """Make a version of a definition in force that none has, such as rows that were changed by hand."""
    last, lists = operation.versions.first(), rows_of(operation)
    new = definition(operation, lists)
    if last is not None and is_same(last.definition, new, kind_of(operation)):
        return
    number = max(operation.revision, 1) if last is None else _number_after(operation, last)
    _kept(operation, new, number, large_texts(operation, lists), origin=OperationVersion.Origin.EXISTING)
    if operation.revision != number:
        operation.revision = number
        operation.save()


def _kept(
    operation: Operation,
    new: Definition,
    number: int,
    texts: Mapping[str, str],
    user: User | None = None,
    reason: str = "",
    origin: str = "",
    change_note: str = "",
) -> OperationVersion:
    name = user.get_username() if user is not None else ""
    version = OperationVersion(
        operation_id=operation.pk, number=number, definition=new, user=name, reason=reason, origin=origin,
        change_note=change_note.strip(),
    )  # fmt: skip
    version.full_clean(exclude={"operation"})
    version.save()
    known = set(VersionText.objects.filter(operation=operation.pk).values_list("digest", flat=True)) if texts else ()
    for digest, text in texts.items():
        if digest not in known:
            VersionText.objects.create(operation_id=operation.pk, digest=digest, content=text)
    return version


def _texts_of(operation: Operation) -> Callable[[str], str]:
    """Return the function that reads the large texts of an operation's versions."""

    def read(digest: str) -> str:
        if digest == digest_of(""):
            return ""
        return VersionText.objects.get(operation=operation.pk, digest=digest).content

    return read


def _prune(operation: Operation, number: int) -> None:
    """Delete the oldest versions above the limit, and the large texts that only they had.

    ``number``: of the newest version. There are not more of them.
    """
    if number <= settings.ROW_LIMITS["versions"]:
        return
    surplus = list(operation.versions.values_list("pk", flat=True)[settings.ROW_LIMITS["versions"] :])
    if not surplus:
        return
    OperationVersion.objects.filter(pk__in=surplus).delete()
    used = {digest for each in operation.versions.all() for digest in _digests(operation, each.definition)}
    VersionText.objects.filter(operation=operation.pk).exclude(digest__in=used).delete()


def _digests(operation: Operation, found: Definition) -> set[str]:
    return {
        values[column.name]["sha256"]
        for label, child in kind_of(operation).all_lists.items()
        for column in child.columns
        if is_large(column)
        for values in found["lists"].get(label, [])
    }
