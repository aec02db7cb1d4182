"""A definition: all that is versioned of an operation, as JSON, and rows made from it again.

{"columns": {name: value}, "derived": {name: value}, "lists": {attribute: [{name: value}, …]}}. "derived" is what the
bus found out itself. A value is as in the database, except for references ({"id", "label"}), secrets
({"secret": encrypted, "for": where it is sent}) and large texts ({"sha256"}).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import ForeignKey, Model
from django.utils.translation import gettext as _

from registry import secrets
from registry.models import Operation
from registry.secrets import EncryptedField, Sealed, Secret
from registry.versions.kinds import ChildList, VersionedKind, is_large, kind_of, rows_of

Definition = dict[str, Any]
#: Returns a large text by its digest.
Texts = Callable[[str], str]

_PLAIN = (str, int, float, bool, list, dict, type(None))


def definition(row: Operation, lists: Mapping[str, list[Any]] | None = None) -> Definition:
    """Return the definition of a stored operation, a draft or a published one, with its lists as they are stored.

    ``lists``: their rows, if they were read.
    """
    kind = kind_of(row)
    if lists is None:
        lists = rows_of(row)
    own = row if isinstance(row, kind.model) else kind.model._default_manager.get(pk=row.pk)
    columns = {column.name: _encoded(own, column) for column in kind.columns if column.editable}
    return {
        "columns": columns,
        "derived": {column.name: _encoded(own, column) for column in kind.columns if not column.editable},
        "lists": {
            label: [_encoded_child(kind, label, child, columns) for child in children]
            for label, children in lists.items()
        },
    }


def large_texts(row: Operation, lists: Mapping[str, list[Any]] | None = None) -> dict[str, str]:
    """Return the large texts of a stored operation by their digests. ``lists``: the rows of its lists, if read."""
    found = {}
    for label, child in kind_of(row).all_lists.items():
        columns = list(filter(is_large, child.columns))
        rows = lists[label] if lists is not None else child.model._default_manager.filter(operation=row.pk)
        for each in rows if columns else ():
            found.update({digest_of(text): text for text in (getattr(each, column.attname) for column in columns)})
    return found


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _encoded_child(kind: VersionedKind, label: str, row: Model, columns: Mapping[str, Any]) -> dict[str, Any]:
    values = {column.name: _encoded(row, column) for column in kind.all_lists[label].columns}
    for value in values.values():
        if is_secret(value):
            value["for"] = sorted(kind.destinations(label, row, columns))
    return values


def _encoded(row: Model, column: Any) -> Any:
    value = getattr(row, column.attname)
    if isinstance(column, EncryptedField):
        return {"secret": value.token if isinstance(value, Sealed) else secrets.encrypt(str(value))} if value else ""
    if is_large(column):
        return {"sha256": digest_of(value)}
    if isinstance(column, ForeignKey):
        return None if value is None else {"id": value, "label": str(getattr(row, column.name))}
    return value if isinstance(value, _PLAIN) else column.value_to_string(row)


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and "secret" in value


def secrets_of(found: Definition) -> Iterator[dict[str, Any]]:
    """Yield the secrets of a definition, as they are in it."""
    for values in (found["columns"], *(child for children in found["lists"].values() for child in children)):
        yield from filter(is_secret, values.values())


def readable(found: Definition) -> Definition:
    """Return a definition as others may read it: of a secret it says only that there is one."""

    def shown(values: dict[str, Any]) -> dict[str, Any]:
        return {name: {"secret": True} if is_secret(value) else value for name, value in values.items()}

    lists = {label: [shown(values) for values in children] for label, children in found["lists"].items()}
    return {**found, "columns": shown(found["columns"]), "lists": lists}


def plain(value: Any) -> Any:
    """Return what two values of a column are compared by: each encryption of a secret is another text."""
    if is_secret(value):
        try:
            return ("secret", secrets.decrypt(value["secret"]))
        except ImproperlyConfigured:
            return ("secret", "", value["secret"])
    if isinstance(value, str):
        # As browsers end lines. A text of a bundle may end with a line end, which forms remove.
        return value.replace("\r\n", "\n").rstrip("\n")
    return ("id", value["id"]) if isinstance(value, dict) and set(value) == {"id", "label"} else value


def is_same(old: Definition, new: Definition, kind: VersionedKind | None = None) -> bool:
    """Return True if two definitions mean the same.

    With a kind, a column that one of them lacks, since it was written by an older release, has its default there.
    """
    columns = [column for column in kind.columns if column.editable] if kind is not None else []
    defaults = {column.name: plain(column.get_default()) for column in columns if column.name not in old["columns"]}
    (before, lists), (after, other_lists) = _comparable(old, kind), _comparable(new, kind)
    return {**defaults, **before} == after and lists == other_lists


def _comparable(found: Definition, kind: VersionedKind | None) -> Any:
    defaults = {label: _defaults(child) for label, child in kind.all_lists.items()} if kind is not None else {}
    lists = {
        label: [defaults.get(label, {}) | {name: plain(value) for name, value in child.items()} for child in children]
        for label, children in found["lists"].items()
    }
    return {name: plain(value) for name, value in found["columns"].items()}, lists


def _defaults(child: ChildList) -> dict[str, Any]:
    """Return the defaults of a list's columns that have one, which rows of an older release may lack."""
    return {column.name: plain(column.get_default()) for column in child.columns if column.has_default()}


# ------------------------------------------------------------------------------------- back to rows


class SecretsToReenter(ValidationError):
    """Secrets of a definition would be sent where they were not entered for. ``names``: of their rows."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        text = _("These secrets must be entered again, since their destinations have changed: %(names)s.")
        super().__init__(text % {"names": ", ".join(names)})


def apply(found: Definition, target: Operation, texts: Texts) -> None:
    """Write a definition into an operation and its lists. Rows that match keep their ids. Raises ValidationError."""
    kind = kind_of(target)
    values = {**found["derived"], **found["columns"]}
    for column in kind.columns:
        if column.name in values:
            _set(target, column, values[column.name], texts)
    target.save()
    for label, child in kind.all_lists.items():
        _replace(child, target, found["lists"].get(label, []), texts)


def _set(row: Any, column: Any, value: Any, texts: Texts) -> None:
    setattr(row, column.attname, _decoded(column, value, texts))


def _decoded(column: Any, value: Any, texts: Texts) -> Any:
    if is_secret(value):
        try:
            return Secret(secrets.decrypt(value["secret"]))
        except ImproperlyConfigured:
            return Sealed.of(value["secret"])
    if is_large(column):
        return texts(value["sha256"])
    if isinstance(column, ForeignKey):
        return _referenced(column, value)
    return column.to_python(value)


def _referenced(column: Any, value: Any) -> Any:
    if value is None:
        return None
    if not column.related_model._default_manager.filter(pk=value["id"]).exists():
        raise ValidationError(_("%(name)s no longer exists.") % {"name": value["label"]})
    return value["id"]


def _replace(child: ChildList, target: Operation, wanted: list[dict[str, Any]], texts: Texts) -> None:
    stored = list(child.model._default_manager.filter(operation=target.pk))
    matched = match(child, stored, wanted)
    kept = {row.pk for row in matched if row is not None}
    for row in stored:
        if row.pk not in kept:
            row.delete()
    added = []
    for position, (values, row) in enumerate(zip(wanted, matched, strict=True)):
        if row is None:
            added.append(_new_child(child, target, values, position, texts))
        elif _changed(child, row, values, position):
            _fill(child, row, values, position, texts)
            row.save()
    if added:
        child.model._default_manager.bulk_create(added)


def _new_child(child: ChildList, target: Operation, values: dict[str, Any], position: int, texts: Texts) -> Any:
    row = child.model(operation_id=target.pk)
    _fill(child, row, values, position, texts)
    return row


def _fill(child: ChildList, row: Any, values: dict[str, Any], position: int, texts: Texts) -> None:
    for column in child.columns:
        if column.name in values:
            _set(row, column, values[column.name], texts)
    if child.ordered:
        row.position = position


def _changed(child: ChildList, row: Any, values: dict[str, Any], position: int) -> bool:
    if child.ordered and row.position != position:
        return True
    stored = {column.name: plain(_encoded(row, column)) for column in child.columns if column.name in values}
    return any(stored[name] != plain(values[name]) for name in stored)


def match(child: ChildList, stored: list[Any], wanted: list[dict[str, Any]]) -> list[Any]:
    """Return the stored row for each wanted one, None for new ones: by the key, then by what is near."""
    left = list(stored)
    matched: list[Any] = [_take(left, child.key, values) for values in wanted]
    if child.near is None:
        return matched
    candidates = [_unsaved(child, values) for values in wanted]
    for index, row in _edited(child.near, left, candidates, matched):
        matched[index] = row
    return matched


def _unsaved(child: ChildList, values: dict[str, Any]) -> Any:
    """Return a row of a list without its secrets and large texts."""
    plain_values = {name: value for name, value in values.items() if not isinstance(value, dict)}
    references = {
        f"{name}_id": value["id"] for name, value in values.items() if isinstance(value, dict) and "id" in value
    }
    return child.model(**plain_values, **references)


def _take(left: list[Any], key: tuple[str, ...], values: Mapping[str, Any]) -> Any:
    for row in left:
        if all(getattr(row, name) == values.get(name) for name in key):
            left.remove(row)
            return row
    return None


def _edited(
    near: Callable[[Any], Hashable], left: list[Any], candidates: list[Any], matched: list[Any]
) -> Iterator[tuple[int, Any]]:
    """Yield the unmatched rows that were edited, with their indexes: the only ones near each other on both sides."""
    open_ = [index for index, row in enumerate(matched) if row is None]
    wanted = Counter(near(candidates[index]) for index in open_)
    there = Counter(near(row) for row in left)
    for index in open_:
        place = near(candidates[index])
        if wanted[place] == 1 and there[place] == 1:
            yield index, next(row for row in left if near(row) == place)


def secrets_to_reenter(kind: VersionedKind, found: Definition) -> list[str]:
    """Return the names of the rows with a secret that would now be sent to a place for which it was not entered."""
    lists = {
        label: [_unsaved(child, values) for values in found["lists"].get(label, [])]
        for label, child in kind.all_lists.items()
    }
    return [
        str(row)
        for label, rows in lists.items()
        for row, values in zip(rows, found["lists"].get(label, []), strict=True)
        for value in values.values()
        if is_secret(value) and kind.destinations(label, row, found["columns"]) - set(value.get("for", ()))
    ]


def without_secrets(found: Definition, kind: VersionedKind) -> Definition:
    """Return a definition without the secrets that must be entered again."""
    names = set(secrets_to_reenter(kind, found))
    lists = {}
    for label, children in found["lists"].items():
        child = kind.all_lists[label]
        lists[label] = [
            {name: "" if is_secret(value) and str(_unsaved(child, values)) in names else value
             for name, value in values.items()}
            for values in children
        ]  # fmt: skip
    return {**found, "lists": lists}
