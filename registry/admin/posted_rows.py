"""Rows of lists as a form posted them, carried over to the draft: each row of it has another id than the published one.

A form may have been opened before the draft came to be, or before somebody else's changes of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from registry.models import Operation
from registry.versions import ChildList, kind_of

#: Form of a formset: name within the form → values.
_Form = dict[str, list[str]]


def carried_over(data: QueryDict, published: Operation, row: Operation) -> QueryDict:
    """Return the posted data with the ids of the rows of ``row``, the draft beside ``published``.

    A row that is found neither by its id nor by its key becomes a new one: nothing that was written is lost.
    """
    found = data.copy()
    for label, child in kind_of(row).all_lists.items():
        if f"{label}-TOTAL_FORMS" in data:
            _carry_over(found, label, child, published, row)
    return found


def _carry_over(data: QueryDict, label: str, child: ChildList, published: Operation, row: Operation) -> None:
    forms = _taken_out(data, label)
    known: list[_Form] = []
    new: list[_Form] = []
    for form, pk in zip(forms, _ids(forms, child, published, row), strict=True):
        form["id"], form["operation"] = [pk], [str(row.pk)]
        (known if pk else new).append(form)
    for index, form in enumerate([*known, *new]):
        for name, values in form.items():
            data.setlist(f"{label}-{index}-{name}", values)
    data[f"{label}-INITIAL_FORMS"] = str(len(known))
    data[f"{label}-TOTAL_FORMS"] = str(len(forms))


def _taken_out(data: QueryDict, label: str) -> list[_Form]:
    """Remove a formset's forms from the data and return them in their order."""
    pattern = re.compile(rf"^{re.escape(label)}-(\d{{1,6}})-(.+)$")
    forms: dict[int, _Form] = {}
    for key in list(data):
        if match := pattern.match(key):
            forms.setdefault(int(match[1]), {})[match[2]] = data.getlist(key)
            del data[key]
    return [forms[index] for index in sorted(forms)]


def _ids(forms: list[_Form], child: ChildList, published: Operation, row: Operation) -> list[str]:
    """Return the id of the draft's row for each form, "" for a new one."""
    left = {str(each.pk): each for each in child.model._default_manager.filter(operation=row.pk)}
    others = {str(each.pk): each for each in child.model._default_manager.filter(operation=published.pk)}
    ids = [pk if (pk := _value(form, "id")) in left else "" for form in forms]
    for pk in filter(None, ids):
        left.pop(pk, None)
    for index, form in enumerate(forms):
        if not ids[index] and (found := _by_key(left, child, _key(child, form, others))):
            ids[index] = found
            del left[found]
    return ids


def _key(child: ChildList, form: _Form, others: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the key of the row that a form shows: of the published one with its id, else as it was posted."""
    other = others.get(_value(form, "id"))
    return tuple(str(getattr(other, name)) if other is not None else _value(form, name) for name in child.key)


def _by_key(rows: Mapping[str, Any], child: ChildList, key: tuple[str, ...]) -> str:
    for pk, row in rows.items():
        if tuple(str(getattr(row, name)) for name in child.key) == key:
            return pk
    return ""


def _value(form: _Form, name: str) -> str:
    return next(iter(form.get(name, [])), "")
