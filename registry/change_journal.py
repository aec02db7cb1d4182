"""Changes of definitions in the journal: who changed which row when, with the names of the fields, without values.

A change has two lines. The first is written within its transaction: a change that cannot be recorded is refused, by all
doors, commands too. The second is written when the transaction was committed. A change without it was undone, or its
process ended at that moment.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from registry import actors, faults, tenancy
from registry.calls import request_id
from registry.journal import segments
from registry.journal.changes import CHANGE, COMMITTED
from registry.models import Agency, ApiToken, HarvestRule, RoleRule, User
from registry.models.base import changed_columns
from registry.models.change_records import NAME
from registry.models.changes import ADDED, CHANGED, DELETED, Change, are_undone, observe
from registry.results import Fault

log = logging.getLogger("mantra.journal")

#: Rows beside definitions whose changes are recorded too: they decide who may do what, and what is noticed of it.
BESIDE: tuple[type[models.Model], ...] = (User, RoleRule, ApiToken, HarvestRule)
#: Columns of theirs that are no change of anybody's.
_UNIMPORTANT = frozenset({"last_login", "last_used_at", "last_used", "language"})


def record(change: Change) -> None:
    """Record a change. Raises Fault JOURNAL_DOWN, which refuses it."""
    if not settings.JOURNAL or are_undone():
        return
    actor = actors.current()
    for row in change.rows:
        _write_change(actor, change, row, 1)
    if change.count > len(change.rows):
        _write_change(actor, change, None, change.count - len(change.rows))


def _write_change(actor: actors.Actor, change: Change, row: Any, count: int) -> None:
    """Write the line of a row, or with None of rows without their names, and see to that of the commit."""
    id = request_id()
    line: dict[str, Any] = {
        "t": CHANGE, "id": id, "at": time.time(), "user": actor.user, "by": actor.door, "ip": actor.client_ip,
        "what": change.action, "kind": change.model._meta.label_lower, "fields": list(change.fields),
        "version": change.version,
    }  # fmt: skip
    if row is None:
        line["n"] = count
    else:
        line |= {"ref": row.pk, "name": _name(row), "of": agencies_of(row)}
        if (revision := getattr(row, "revision", None)) is not None:
            line["revision"] = revision
    _write(line)
    transaction.on_commit(partial(_confirm, id))


def _name(row: Any) -> str:
    return (row.get_username() if isinstance(row, User) else str(row))[:NAME]


def _write(line: dict[str, Any]) -> None:
    try:
        segments.write(line)
    except OSError as error:
        log.error("the journal cannot be written: errno %s; a change is refused", error.errno)
        raise Fault(faults.JOURNAL_DOWN, retry_after=5) from None


def _confirm(id: str) -> None:
    """Record that a change was committed. It was: what cannot be recorded now cannot be undone either."""
    try:
        segments.write({"t": COMMITTED, "id": id, "at": time.time()})
    except OSError as error:
        log.error("the journal cannot be written: errno %s; the commit of a change is not in it", error.errno)


def agencies_of(row: models.Model) -> list[str]:
    """Return the codes of the agencies that may read a row, two at most; none for what is the administrators'."""
    if isinstance(row, Agency):
        return [row.code]
    if isinstance(row, User):
        return [row.agency.code] if row.agency is not None else []
    found = [_end_of(row, path) for path in tenancy.scope(type(row)).read]
    return list(dict.fromkeys(code for code in found if code))[:2]


def _end_of(row: Any, path: str) -> str:
    """Return the code of the agency at the end of a path of references, "" if one of them is not set."""
    for step in path.split("__"):
        if row is None:
            return ""
        row = getattr(row, step, None)
    return getattr(row, "code", "")


# ------------------------------------------------------------------------------------------- other rows


def watch() -> None:
    """Record the changes of users, their roles and API tokens, the rules for signing in, and alarm rules too."""
    for model in BESIDE:
        name = f"registry.change_journal.{model._meta.model_name}"
        pre_save.connect(_before_save, sender=model, dispatch_uid=name)
        post_save.connect(_after_save, sender=model, dispatch_uid=name)
        pre_delete.connect(_before_deletion, sender=model, dispatch_uid=name)
    m2m_changed.connect(_roles_changed, sender=User.groups.through, dispatch_uid="registry.change_journal.roles")


def _before_save(instance: models.Model, raw: bool = False, update_fields: Any = None, **_kwargs: Any) -> None:
    if raw or (update_fields is not None and set(update_fields) <= _UNIMPORTANT):
        return
    rows = type(instance)._default_manager.filter(pk=instance.pk) if instance.pk else None
    before = rows.order_by().values().first() if rows is not None else None
    names = changed_columns(instance, before, update_fields)
    instance.__dict__["_change"] = before is None, tuple(name for name in names if name not in _UNIMPORTANT)


def _after_save(instance: models.Model, **_kwargs: Any) -> None:
    is_new, names = instance.__dict__.pop("_change", (False, ()))
    if is_new and isinstance(instance, RoleRule):
        return  # made by a migration, when there may be no journal yet; people only change them
    if is_new or names:
        observe(Change(ADDED if is_new else CHANGED, type(instance), (instance,), names))


def _before_deletion(instance: models.Model, **_kwargs: Any) -> None:
    observe(Change(DELETED, type(instance), (instance,)))


def _roles_changed(instance: Any, action: str, reverse: bool = False, **_kwargs: Any) -> None:
    if action in ("post_add", "post_remove", "post_clear") and not reverse:
        observe(Change(CHANGED, User, (instance,), ("groups",)))
