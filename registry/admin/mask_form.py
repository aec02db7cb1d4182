"""Masks and values of grants in forms: a line for each field, and for each value that the operation needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry.admin.theme import select, text_input
from registry.models import Field, bounds, lines_of, pairs
from registry.personal_data import masks

Make = Callable[[str], forms.Widget]


class LinesWidget(forms.Widget):
    """A table with an input for each name. Its value is the lines ``name=value`` of those that have one."""

    template_name = "mantra/grant_lines.html"

    def __init__(self, rows: Sequence[tuple[str, str]], make: Make, headings: Sequence[Any]) -> None:
        super().__init__()
        #: Names, each with what is said about it.
        self.rows = rows
        self.make = make
        self.headings = headings

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        found = pairs(value or "")
        id_ = context["widget"]["attrs"].get("id", name)
        context["rows"] = [
            (row, about, self._rendered(f"{name}-{index}", found.get(row, ""), row, f"{id_}-{index}"))
            for index, (row, about) in enumerate(self.rows)
        ]
        context["headings"] = self.headings
        return context

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        # A form's own renderer finds templates of Django only.
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def _rendered(self, name: str, value: str, row: str, id_: str) -> Any:
        return self.make(row).render(name, value, {"id": id_, "aria-label": f"{row}: {self.headings[-1]}"})

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        given = {row: data.get(f"{name}-{index}", "") for index, (row, _about) in enumerate(self.rows)}
        try:
            return lines_of({row: value for row, value in given.items() if value.strip()})
        except ValueError:
            return "="  # the model's own rule says what is wrong with it

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return not any(f"{name}-{index}" in data for index in range(len(self.rows)))

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0" if id_ else ""


def mask_field(fields: Iterable[Field], label: Any) -> forms.CharField:
    """Return a form's field with a mask for each of an operation's fields."""
    known = {field.name: field for field in fields}
    rows = [(name, _about(field)) for name, field in known.items()]

    def make(name: str) -> forms.Widget:
        possible = masks.possible(known[name].type)
        whole = _("as the operation gives it")
        return select([("", whole), *((kind, word) for kind, word in Field.Mask.choices if kind in possible)])

    widget = LinesWidget(rows, make, (_("Field"), _("mask")))
    return forms.CharField(label=label, required=False, widget=widget, max_length=bounds.NAME_LIST, help_text=_(
        "The application gets less of these fields than the operation gives. Of the two masks the stricter one holds."
    ))  # fmt: skip


def _about(field: Field) -> str:
    """Return what is said about a field: its classification, and how the operation masks it."""
    words = str(field.get_classification_display())
    if field.mask:
        words = gettext("%(classification)s; the operation gives: %(mask)s") % {
            "classification": words, "mask": field.get_mask_display(),
        }  # fmt: skip
    return words


def value_field(names: Iterable[str], label: Any) -> forms.CharField:
    """Return a form's field with an input for each value that an operation needs of a grant."""
    rows = [(name, "") for name in names]
    widget = LinesWidget(
        rows, lambda _name: text_input(autocomplete="off", maxlength=str(bounds.VALUE)), (_("Value"), _("content"))
    )
    return forms.CharField(label=label, required=False, widget=widget, max_length=bounds.VALUE_LIST, help_text=_(
        "The application gets only the rows that these values select. Callers cannot change them."
    ))  # fmt: skip
