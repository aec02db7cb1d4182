"""The pages of alarm rules and of what they found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from registry import tenancy
from registry.admin.base import Neighbour, ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.theme import ChoicesDropdownFilter, display
from registry.harvest import past
from registry.harvest.past import Caller
from registry.models import AccessKey, CallRecord, HarvestAlarm, HarvestRule

MODES = {"off": "default", "dry_run": "warning", "on": "success"}
ACTIONS = {"": "default", "alarm": "warning", "slow": "warning", "suspend": "danger"}


@admin.register(HarvestRule)
class HarvestRuleAdmin(ScopedAdmin):
    list_display = ("kind_label", "owner", "mode_label", "action_label", "least", "percent_text", "factor_text")
    list_display_links = ("kind_label",)
    list_filter = (("mode", ChoicesDropdownFilter), ("agency", ScopedFilter))
    list_select_related = ("agency",)
    fieldsets = (
        (None, {"fields": ("agency", "kind", "mode", "action")}),
        (_("When it finds something"), {"fields": ("least", "percent", "factor", "days")}),
        (_("Slowing down"), {"fields": ("slow_seconds", "slow_minutes")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # What a rule has found is about its kind and agency: for others there is another rule.
        return ("agency", "kind") if obj else ()

    def neighbours(self, request: HttpRequest, obj: Any) -> list[Neighbour]:
        return [Neighbour(_("Alarms"), HarvestAlarm, {"rule__id__exact": obj.pk}, obj.alarms.all())]

    def row_views(self) -> dict[str, Any]:
        return {"past": self.past}

    def _linked(self, request: HttpRequest, obj: Any) -> Iterator[dict[str, Any]]:
        yield from super()._linked(request, obj)
        address = reverse("admin:registry_harvestrule_past", args=(obj.pk,))
        yield {"label": _("What it would have found"), "address": address, "count": None}

    @method_decorator(require_safe)
    def past(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what a rule would have found in the last days, caller by caller, as far as one step gets."""
        rule = self.get_or_404(request, object_id)
        step = past.look_back(rule, timezone.now(), _caller(request))
        after = {}
        if step.after is not None:
            after = dict(zip(("agency", "application", "key"), step.after, strict=True))
        return self.render_page(
            request, "mantra/harvest_past.html", _("What the rule would have found"), rule=rule, step=step,
            days=past.DAYS, following=urlencode(after), own=self.redirect_to(request, rule)["Location"],
        )  # fmt: skip

    @display(description=_("kind"), ordering="kind")
    def kind_label(self, rule: HarvestRule) -> str:
        return rule.get_kind_display()

    @display(description=_("agency"), ordering="agency__code")
    def owner(self, rule: HarvestRule) -> Any:
        return rule.agency.code if rule.agency is not None else _("all agencies")

    @display(description=_("mode"), ordering="mode", label=MODES)
    def mode_label(self, rule: HarvestRule) -> tuple[str, str]:
        return rule.mode, rule.get_mode_display()

    @display(description=_("action"), ordering="action")
    def action_label(self, rule: HarvestRule) -> str:
        return rule.get_action_display()

    @display(description=_("of the usual"), ordering="factor")
    def factor_text(self, rule: HarvestRule) -> str:
        return f"{rule.factor} %"

    @display(description=_("share of the calls"), ordering="percent")
    def percent_text(self, rule: HarvestRule) -> str:
        return f"{rule.percent} %" if rule.kind in HarvestRule.WITH_SHARE else "–"


def _caller(request: HttpRequest) -> Caller | None:
    """Return the caller behind which a step begins; None for the first step."""
    if "application" not in request.GET:
        return None
    key = request.GET.get("key", "")
    number = int(key) if key.isdecimal() and len(key) < 19 else 0
    return request.GET.get("agency", "")[:63], request.GET["application"][:63], number


@admin.register(HarvestAlarm)
class HarvestAlarmAdmin(ScopedAdmin):
    list_display = ("found_at", "kind_label", "address", "key", "number", "usual", "action_text")
    list_filter = (("rule__kind", ChoicesDropdownFilter), ("action", ChoicesDropdownFilter))
    list_select_related = ("rule__agency", "incident")
    search_fields = ("application", "consumer_agency", "key")
    fields = (
        "kind_label", "address_text", "key", "found_at", "hour", ("number", "usual"), "offering", "done", "incident",
    )  # fmt: skip
    readonly_fields = ("kind_label", "address_text", "offering", "done")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def neighbours(self, request: HttpRequest, obj: Any) -> list[Neighbour]:
        found = [Neighbour(_("Calls"), CallRecord, {"of_application": obj.address})]
        keys = tenancy.visible(AccessKey.objects.filter(pk=obj.key_ref), request.user)
        return [*found, Neighbour(_("Access key"), AccessKey, {"id__exact": obj.key_ref}, keys)] if obj.key else found

    @display(description=_("kind"), ordering="rule__kind")
    def kind_label(self, alarm: HarvestAlarm) -> str:
        return alarm.rule.get_kind_display()

    @display(description=_("application"))
    def address_text(self, alarm: HarvestAlarm) -> str:
        return alarm.address

    @display(description=_("application"), ordering="application")
    def address(self, alarm: HarvestAlarm) -> str:
        return alarm.address

    @display(description=_("operations of"))
    def offering(self, alarm: HarvestAlarm) -> str:
        return ", ".join(map(str, alarm.figures.get("agencies", ())))

    @display(description=_("action"))
    def done(self, alarm: HarvestAlarm) -> Any:
        return self.action_text(alarm)[1]

    @display(description=_("action"), ordering="action", label=ACTIONS)
    def action_text(self, alarm: HarvestAlarm) -> tuple[str, Any]:
        return alarm.action, alarm.get_action_display() if alarm.action else _("dry run")
