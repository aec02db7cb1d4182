"""The theme's widgets, filters and forms. No other module imports the theme, so that it can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from unfold import decorators
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RangeDateTimeFilter,
    RelatedDropdownFilter,
    TextFilter,
)
from unfold.forms import AdminPasswordChangeForm, UserChangeForm
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

__all__ = [
    "AdminPasswordChangeForm", "ChangeList", "ChoicesDropdownFilter", "DropdownFilter", "InfinitePaginator",
    "ModelAdmin", "RangeDateTimeFilter", "RelatedDropdownFilter", "StackedInline", "TabularInline", "TextFilter",
    "UserChangeForm", "capitalise_labels", "checkbox", "code_area", "code_block", "display",
    "file_input", "password_input", "select", "text_area", "text_input",
]  # fmt: skip


class _Colours(dict[str, str]):
    """Value → colour. For a value that has none the theme would show the value in place of its word."""

    def __missing__(self, value: str) -> str:
        return ""


def display(*, label: dict[str, str] | None = None, **more: Any) -> Callable[[Callable[..., Any]], Any]:
    """Describe a column. ``label``: the colours of its values; the column returns (value, word), shown as a label."""
    described: Callable[[Callable[..., Any]], Any] = decorators.display(
        label=None if label is None else _Colours(label), **more
    )
    return described


def code_area(rows: int = 16) -> forms.Textarea:
    """Return a text area for SQL and other code: monospaced, without wrapping and spell checking."""
    attrs = {"rows": rows, "class": "mantra-code", "spellcheck": "false", "wrap": "off", "autocapitalize": "off"}
    return UnfoldAdminTextareaWidget(attrs)


def code_block(escaped: SafeString) -> SafeString:
    """Return read-only code with its layout."""
    return format_html('<pre class="mantra-code-block">{}</pre>', escaped)


def text_area(rows: int = 3) -> forms.Textarea:
    return UnfoldAdminTextareaWidget({"rows": rows})


def text_input(**attrs: str) -> forms.TextInput:
    return UnfoldAdminTextInputWidget(attrs)


def password_input() -> forms.PasswordInput:
    """Return a field that never shows the stored value and that browsers do not fill in."""
    return UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password", "class": "max-w-2xl"})


def capitalise_labels(form: forms.BaseForm) -> None:
    """Make a form's labels begin with a capital letter, as the admin does for models."""
    for field in form.fields.values():
        field.label = capfirst(str(field.label))


class _ManyFiles(UnfoldAdminFileFieldWidget):
    allow_multiple_selected = True


def file_input(accept: str, many: bool = True) -> forms.ClearableFileInput:
    """Return a field for one file or several."""
    if not many:
        return UnfoldAdminFileFieldWidget(attrs={"accept": accept})
    return _ManyFiles(attrs={"accept": accept, "multiple": True})


def checkbox() -> forms.CheckboxInput:
    return UnfoldBooleanWidget()


def select(choices: Iterable[tuple[str, Any]] = ()) -> forms.Select:
    return UnfoldAdminSelectWidget(choices=choices)
