"""The page of personal data that left although nobody declared it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry.admin.base import ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.theme import ChoicesDropdownFilter, display
from registry.models import Guard, GuardFinding

ACTIONS = {Guard.ALLOW: "info", Guard.ALARM: "warning", Guard.MASK: "success", Guard.BLOCK: "danger"}


@admin.register(GuardFinding)
class GuardFindingAdmin(ScopedAdmin):
    list_display = ("day", "address", "column", "kind", "found", "calls", "action", "advice")
    list_display_links = ("day",)
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("guard", ChoicesDropdownFilter),
        ("operation__service__agency", ScopedFilter),
        ("operation", ScopedFilter),
    )
    list_select_related = ("operation__service__agency",)
    list_before_template = "mantra/guard_findings_before.html"
    search_fields = ("operation__code", "operation__service__code", "place")
    fields = ("day", "address", "column", "kind", ("found", "calls"), "action", "last_at", "advice")
    readonly_fields = (*fields[:4], "found", "calls", "action", "last_at", "advice")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("operation"), ordering="operation__code")
    def address(self, row: GuardFinding) -> str:
        return row.operation.address

    @display(description=_("column"), ordering="place")
    def column(self, row: GuardFinding) -> str:
        return row.place or gettext("the response as a whole")

    @display(description=_("what was done"), ordering="guard", label={str(key): name for key, name in ACTIONS.items()})
    def action(self, row: GuardFinding) -> tuple[str, str]:
        return row.guard, row.get_guard_display()

    @display(description=_("what to do"))
    def advice(self, row: GuardFinding) -> SafeString:
        """Return the links to the two places where it ends: the columns' classification, and the rule."""
        page = reverse("admin:registry_operation_change", args=(row.operation_id,))
        return format_html(
            '<a href="{}#part-columns">{}</a> · <a href="{}#part-access">{}</a>',
            page, _("Classify the column"), page, _("Cover or refuse it"),
        )  # fmt: skip
