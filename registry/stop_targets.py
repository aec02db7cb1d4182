"""What can be stopped: the objects of each kind, by their rows and by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from registry.models import Agency, StopKind
from registry.models.containment import NAME

#: Kind of stop → the model of its object.
MODELS = {
    StopKind.KEY: "registry.AccessKey",
    StopKind.GRANT: "registry.Grant",
    StopKind.APPLICATION: "registry.Application",
    StopKind.OPERATION: "registry.Operation",
    StopKind.SOURCE: "dataservices.DataSource",
    StopKind.BACKEND: "proxyservices.Backend",
    StopKind.AGENCY: "registry.Agency",
}
#: The agency that an object belongs to. A grant is the offering agency's: it decides whom it serves.
_OWNERS = {
    StopKind.KEY: "application__agency",
    StopKind.GRANT: "operation__service__agency",
    StopKind.APPLICATION: "agency",
    StopKind.OPERATION: "service__agency",
    StopKind.SOURCE: "agency",
    StopKind.BACKEND: "agency",
}
#: Kind of stop → the columns that the parts of an object's name are in. Keys have their first characters as name.
_PARTS = {
    StopKind.KEY: ("public",),
    StopKind.GRANT: ("pk",),
    StopKind.APPLICATION: ("agency__code", "code"),
    StopKind.OPERATION: ("service__agency__code", "service__code", "code"),
    StopKind.SOURCE: ("agency__code", "code"),
    StopKind.BACKEND: ("agency__code", "code"),
    StopKind.AGENCY: ("code",),
}
#: The same for people.
FORMS = {
    StopKind.KEY: "mtr_Ab12Cd34",
    StopKind.GRANT: "id",
    StopKind.APPLICATION: "agency/application",
    StopKind.OPERATION: "agency/service/operation",
    StopKind.SOURCE: "agency/source",
    StopKind.BACKEND: "agency/backend",
    StopKind.AGENCY: "agency",
}
#: The most digits of an id.
_DIGITS = 15
#: The name of a stop of all calls.
ALL_NAME = "MANTRA"


@dataclass(frozen=True, slots=True)
class Target:
    """What a stop is about: its kind, its row (None for all calls), its name, and the agency that it belongs to."""

    kind: StopKind
    row: Model | None
    name: str
    owner: Agency | None

    @property
    def ref(self) -> int:
        return self.row.pk if self.row is not None else 0


def model_of(kind: str) -> type[Model]:
    """Return the model of the objects of a kind."""
    return apps.get_model(MODELS[StopKind(kind)])


def target_of(kind: str, pk: int) -> Target:
    """Return the object with an id; for "all" that of all calls. Raises ValidationError if there is none."""
    try:
        known = StopKind(kind)
    except ValueError:
        raise ValidationError(_("There is nothing like this to stop.")) from None
    if known == StopKind.ALL:
        return Target(known, None, ALL_NAME, None)
    row = model_of(known)._default_manager.filter(pk=pk).first()
    if row is None:
        raise ValidationError(_("There is nothing like this to stop."))
    return target_of_row(row)


def find(kind: str, name: str, seen: Callable[[QuerySet[Any]], QuerySet[Any]] = lambda rows: rows) -> Target:
    """Return the object of a name, among those rows that ``seen`` leaves. Raises ValidationError."""
    known = StopKind(kind)
    if known == StopKind.ALL:
        return target_of(known, 0)
    columns, parts = _PARTS[known], name.split("/")
    is_id = name.isascii() and name.isdigit() and len(name) <= _DIGITS
    if len(parts) != len(columns) or not all(parts) or "\0" in name or (known == StopKind.GRANT and not is_id):
        raise ValidationError(_("Write the name as %(form)s."), params={"form": FORMS[known]})
    suffix = "" if known in (StopKind.GRANT, StopKind.KEY) else "__iexact"
    rows = model_of(known)._default_manager.filter(
        **{f"{column}{suffix}": part for column, part in zip(columns, parts, strict=True)}
    )
    if known == StopKind.OPERATION:
        rows = rows.filter(draft_of=None)
    found = list(seen(rows)[:2])
    if not found:
        raise ValidationError(_("There is nothing like this to stop."))
    if len(found) > 1:
        raise ValidationError(_("Several objects have this name."))
    return target_of_row(found[0])


def target_of_row(row: Model) -> Target:
    """Return the object that a row is. An operation of any kind is one; of a draft it is what the draft is beside."""
    kind = kind_of(row)
    if kind is None:
        raise ValidationError(_("There is nothing like this to stop."))
    if kind == StopKind.OPERATION and getattr(row, "draft_of_id", None):
        row = row.draft_of  # type: ignore[attr-defined]
    owner = row if isinstance(row, Agency) else _end_of(row, _OWNERS[kind])
    return Target(kind, row, _name_of(kind, row)[:NAME], owner)


def kind_of(row: Model) -> StopKind | None:
    """Return the kind of stop for a row; None if its model has none."""
    labels = {row._meta.label, *(parent._meta.label for parent in row._meta.get_parent_list())}
    return next((kind for kind, label in MODELS.items() if label in labels), None)


def _end_of(row: Any, path: str) -> Any:
    for step in path.split("__"):
        row = getattr(row, step)
    return row


def _name_of(kind: StopKind, row: Any) -> str:
    if kind == StopKind.KEY:
        return f"{row.application} {row.public}"
    if kind == StopKind.GRANT:
        return f"{row.application} → {row.operation.address}"
    if kind == StopKind.OPERATION:
        return str(row.address)
    if kind in (StopKind.SOURCE, StopKind.BACKEND):
        return f"{row.agency.code}/{row.code}"
    return str(row.code) if kind == StopKind.AGENCY else str(row)
