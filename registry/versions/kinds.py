"""What of each kind of operation is versioned. Each package registers its own kind when its app is ready."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from registry.models import Field, Operation, Parameter
from registry.models.bounds import BoundedTextField

#: Columns that every version of an operation shares, and those that the bus keeps itself.
UNVERSIONED = frozenset({"service", "code", "legacy_name", "state", "sunset", "listing"})
_KEPT_BY_THE_BUS = frozenset({"id", "operation_ptr", "kind", "draft_of", "revision", "updated_at"})
_KEPT_IN_LISTS = frozenset({"id", "operation", "position"})
#: A text column that may be longer is stored once for all versions that have it.
LARGE_TEXT = 100_000

#: Section of a comparison → its heading, in the order in which they are shown.
SECTIONS: dict[str, Any] = {
    "description": _("Name and description"),
    "query": _("Query"),
    "request": _("Request and response"),
    "parameters": _("Parameters"),
    "fields": _("Fields"),
    "access": _("Access"),
    "caching": _("Caching"),
    "backend": _("Backend"),
    "limits": _("Limits"),
}
_COMMON_SECTIONS = {
    "title": "description",
    "description": "description",
    "access": "access",
    "cache_seconds": "caching",
    "guard": "fields",
    "guard_expected": "fields",
}


@dataclass(frozen=True, slots=True)
class ChildList:
    """A list of rows that belongs to an operation and is versioned with it."""

    #: A RegistryModel with a reference "operation".
    model: type[Any]
    #: The columns that identify a row in its list.
    key: tuple[str, ...]
    section: str
    #: A row whose key has changed is the same one if it alone has this value: an upstream on the same server.
    near: Callable[[Any], Hashable] | None = None

    @property
    def columns(self) -> list[Any]:
        """Return the versioned columns."""
        return [each for each in self.model._meta.local_concrete_fields if each.name not in _KEPT_IN_LISTS]

    @property
    def ordered(self) -> bool:
        """Return True if the rows have positions."""
        return any(each.name == "position" for each in self.model._meta.local_concrete_fields)


def _no_problems(_row: Any) -> list[str]:
    return []


def _nowhere(_label: str, _row: Any, _columns: Mapping[str, Any]) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class VersionedKind:
    """What of one kind of operation is versioned, and how it is shown."""

    model: type[Operation]
    #: Lists beside parameters and fields, by the operation's attribute.
    lists: Mapping[str, ChildList] = field(default_factory=dict)
    #: Column → key of SECTIONS. Columns that are not named are in ``default_section``.
    sections: Mapping[str, str] = field(default_factory=dict)
    default_section: str = "request"
    #: Paths of references that are in the name of what it refers to.
    related: Sequence[str] = ()
    #: Returns what the rules of single rows do not find, given an operation with its rows as stored.
    problems: Callable[[Any], Collection[str]] = _no_problems
    #: (attribute of a list, its row, the definition's columns) → the places to which the row's secrets are sent.
    destinations: Callable[[str, Any, Mapping[str, Any]], frozenset[str]] = _nowhere

    @property
    def columns(self) -> list[Any]:
        """Return the versioned columns of the operation itself."""
        left_out = UNVERSIONED | _KEPT_BY_THE_BUS
        return [each for each in self.model._meta.concrete_fields if each.name not in left_out]

    @property
    def all_lists(self) -> dict[str, ChildList]:
        return {**_COMMON_LISTS, **self.lists}

    def section_of(self, column: str) -> str:
        return {**_COMMON_SECTIONS, **self.sections}.get(column, self.default_section)


_COMMON_LISTS = {
    "parameters": ChildList(Parameter, ("name",), "parameters"),
    "fields": ChildList(Field, ("name",), "fields"),
}
#: Kind of operation → what of it is versioned.
KINDS: dict[str, VersionedKind] = {}


def kind_of(row: Operation) -> VersionedKind:
    return KINDS[row.kind]


def is_large(column: Any) -> bool:
    """Return True for a column whose texts are stored beside the definitions."""
    return isinstance(column, BoundedTextField) and (column.max_length or 0) > LARGE_TEXT


def rows_of(row: Operation) -> dict[str, list[Model]]:
    """Return the stored rows of an operation's versioned lists, by the lists' attributes."""
    return {
        label: list(child.model._default_manager.filter(operation=row.pk))
        for label, child in kind_of(row).all_lists.items()
    }
