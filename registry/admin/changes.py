"""The pages of the changes of definitions: who changed what, from the journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from registry import moments, tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.filters import MomentFilter
from registry.admin.history import names
from registry.admin.keyset import KeysetChangeList, KeysetPaginator
from registry.admin.theme import DropdownFilter, TextFilter, display
from registry.change_journal import BESIDE
from registry.models import ChangeRecord, RegistryModel

#: The doors of the admin and the API, in words. A command has its name.
DOORS: dict[str, Any] = {"admin": _("the admin"), "api": _("management API"), "worker": _("worker")}
#: The most characters of what people type into a filter.
_TYPED = 150


def kind_label(label: str) -> str:
    """Return what a kind of rows is called; the label itself for a model that this version does not have."""
    try:
        return str(apps.get_model(label)._meta.verbose_name)
    except (LookupError, ValueError):
        return label


class _Typed(TextFilter):
    """A filter by what a person types."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            attributes = {"maxlength": _TYPED, "autocomplete": "off", "spellcheck": "false"}
            choice["form"].fields[self.parameter_name].widget.attrs.update(attributes)
            yield choice

    @property
    def text(self) -> str:
        # PostgreSQL takes no text with a NUL.
        return (self.value() or "").replace("\0", "").strip()[:_TYPED]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(self.condition()) if self.text else queryset

    def condition(self) -> Q:
        """Return the condition for the rows that the text means."""
        raise NotImplementedError


class UserFilter(_Typed):
    title = _("user")
    parameter_name = "by_user"

    def condition(self) -> Q:
        return Q(user=self.text)


class AgencyFilter(_Typed):
    title = _("agency")
    parameter_name = "of_agency"

    def condition(self) -> Q:
        codes = names.agency_codes(self.text.strip("/ "))
        return Q(agency__in=codes) | Q(other_agency__in=codes)


class RowFilter(_Typed):
    """By a row: its kind and id, such as registry.grant:12, as links of other pages have it."""

    title = _("row")
    parameter_name = "of_row"

    def condition(self) -> Q:
        kind, _colon, ref = self.text.partition(":")
        return Q(kind=kind, ref=int(ref)) if ref.isdecimal() and len(ref) < 19 else Q(kind=kind)


class KindFilter(DropdownFilter):
    title = _("kind")
    parameter_name = "kind_is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        found = [(label, kind_label(label)) for label in recorded_kinds()]
        return sorted(found, key=lambda each: each[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class CommittedFilter(DropdownFilter):
    """Changes that were undone, or whose process ended: they are left out otherwise."""

    title = _("not committed")
    parameter_name = "undone"
    _WITH = "with"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(self._WITH, _("shown too"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() == self._WITH else queryset.filter(committed=True)


def recorded_kinds() -> list[str]:
    """Return the labels of the models whose changes are recorded."""
    from_models = {model._meta.label_lower for model in apps.get_models() if _is_recorded(model)}
    return sorted(from_models)


def _is_recorded(model: type[Model]) -> bool:
    return issubclass(model, RegistryModel) or model in BESIDE


class ChangesList(KeysetChangeList):
    column = "at"


@admin.register(ChangeRecord)
class ChangeRecordAdmin(ScopedAdmin):
    """The changes of definitions. No user changes them."""

    list_display = ("moment", "action_label", "kind_text", "what", "changed_fields", "who", "door")
    list_display_links = ("moment",)
    sortable_by = ("moment",)
    list_filter = (("at", MomentFilter), KindFilter, AgencyFilter, UserFilter, RowFilter, CommittedFilter)
    list_before_template = "mantra/changes_before.html"
    ordering = ("-at", "-id")
    paginator = KeysetPaginator
    actions = None
    fieldsets = (
        (None, {"fields": (("moment", "action_text"), ("kind_text", "what"), "changed_fields", "committed_text")}),
        (_("Who"), {"fields": (("who", "door"), "client_ip")}),
        (_("Version"), {"fields": (("registry_version", "revision"), "number")}),
    )
    readonly_fields = (
        "moment", "action_text", "kind_text", "what", "changed_fields", "committed_text", "who", "door",
        "registry_version", "number",
    )  # fmt: skip

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return ChangesList

    def get_list_filter(self, request: HttpRequest) -> Any:
        found = super().get_list_filter(request)
        return found if tenancy.sees_all_agencies(request.user) else [each for each in found if each != AgencyFilter]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("time"), ordering="at")
    def moment(self, record: ChangeRecord) -> str:
        return moments.moment(record.at)

    @display(description=_("change"), label={"added": "success", "changed": "info", "deleted": "danger"})
    def action_label(self, record: ChangeRecord) -> tuple[str, str]:
        return record.action, record.get_action_display()

    @display(description=_("change"))
    def action_text(self, record: ChangeRecord) -> str:
        return record.get_action_display()

    @display(description=_("version of the registry"))
    def registry_version(self, record: ChangeRecord) -> str:
        return str(record.version or "–")

    @display(description=_("number of the change"))
    def number(self, record: ChangeRecord) -> str:
        return record.change_id

    @display(description=_("kind"))
    def kind_text(self, record: ChangeRecord) -> str:
        return kind_label(record.kind)

    @display(description=_("row"))
    def what(self, record: ChangeRecord) -> Any:
        if not record.name:
            return _("%(number)d rows at once") % {"number": record.rows}
        url = _page_of(record)
        return format_html('<a class="mantra-link" href="{}">{}</a>', url, record.name) if url else record.name

    @display(description=_("fields"))
    def changed_fields(self, record: ChangeRecord) -> str:
        return record.fields or "–"

    @display(description=_("user"))
    def who(self, record: ChangeRecord) -> str:
        return record.user or "–"

    @display(description=_("by way of"))
    def door(self, record: ChangeRecord) -> Any:
        return DOORS.get(record.origin, record.origin)

    @display(description=_("committed"))
    def committed_text(self, record: ChangeRecord) -> Any:
        return _("yes") if record.committed else _("no: it was undone, or its process ended")


def _page_of(record: ChangeRecord) -> str:
    """Return the page of the row, "" if it has none."""
    if record.ref is None or record.action == ChangeRecord.Action.DELETED:
        return ""
    app, _dot, model = record.kind.partition(".")
    try:
        return reverse(f"admin:{app}_{model}_change", args=(record.ref,))
    except NoReverseMatch:
        return ""
