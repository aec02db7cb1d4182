"""Pages of the call history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from registry import faults, moments, outcome_words, request_ids, tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.filters import MomentFilter
from registry.admin.history import saved, story
from registry.admin.history.filters import (
    AgencyFilter,
    ApplicationFilter,
    ClassificationFilter,
    CountedFilter,
    OperationFilter,
    OriginFilter,
    OutcomeFilter,
)
from registry.admin.history.related import Related
from registry.admin.history.suggesting import suggest
from registry.admin.keyset import KeysetChangeList, KeysetPaginator
from registry.admin.theme import display
from registry.models import CallRecord, Field
from registry.pages import address

#: Protocol of a call → its name for people.
PROTOCOLS: dict[str, Any] = {
    "rest": "REST",
    "soap": "SOAP",
    "legacy": "MANTRA 1.99x",
    "job": _("job"),
    "oauth2": _("access token"),
    "tryout": _("try-out"),
    "browse": _("view of a source"),
    "explain": _("execution plan"),
    "rehearsal": _("comparison of responses"),
    "matching": _("reconciliation"),
    "own-read": _("reconciliation of own data"),
    **story.LOOKS,
}


#: Party that must act on an outcome → the colour of its label.
_COLOURS = {"caller": "refused", "provider": "failed", "bus": "failed"}


#: The columns of a record, and the lookups of them that an address may have beside the list's own filters. Others read
#: the whole history, and some columns are not for every viewer (registry.tenancy).
_COLUMNS = frozenset({"pk", *(field.name for field in CallRecord._meta.get_fields())})
_LOOKUPS = frozenset({"started_at__gte", "started_at__lte"})


def _without(fields: Any, hidden: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the fields of a form, some of which share a line, without the hidden ones."""
    lines = (line if isinstance(line, str) else tuple(name for name in line if name not in hidden) for line in fields)
    return tuple(line for line in lines if line and line not in hidden)


@admin.register(CallRecord)
class CallRecordAdmin(ScopedAdmin):
    """The call history. No user changes it."""

    list_display = ("moment", "outcome_label", "what", "who", "rows", "duration", "protocol_label", "request_id")
    list_display_links = ("moment", "request_id")
    #: Those with an index: in another order the database would read and sort all records for a page.
    sortable_by = ("moment", "duration")
    list_filter = (
        ("started_at", MomentFilter), AgencyFilter, OperationFilter, ApplicationFilter, OutcomeFilter,
        ClassificationFilter, OriginFilter, CountedFilter,
    )  # fmt: skip
    search_fields = ("request_id",)
    search_help_text = _("Request id")
    list_before_template = "mantra/history/before.html"
    ordering = ("-started_at", "-id")
    paginator = KeysetPaginator
    actions = None
    change_form_outer_before_template = "mantra/history/call.html"
    fieldsets = (
        (None, {"fields": ("request_id", ("moment", "duration"), ("outcome_text", "status"), "meaning")}),
        (
            _("Operation"),
            {"fields": (("what", "revision"), ("protocol_label", "method", "format"), "parameters", "subjects")},
        ),
        (_("Caller"), {"fields": ("who", ("key", "user"), "client_ip")}),
        (_("Response"), {"fields": (("rows", "bytes"), ("origin_text", "classification_label"), "fields")}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        if lookup.partition("__")[0] in _COLUMNS and lookup not in _LOOKUPS:
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        wanted = request_ids.cleaned(term)
        return (request_ids.with_id(queryset, wanted) if wanted else queryset), False

    def get_urls(self) -> list[URLPattern]:
        views = {"suggest/<str:kind>": suggest, "filters/save": saved.save, "filters/<int:pk>/delete": saved.delete}
        names = ("suggest", "save_filter", "delete_filter")
        return [
            *(
                path(f"{route}/", self.admin_site.admin_view(view), name=f"registry_callrecord_{name}")
                for (route, view), name in zip(views.items(), names, strict=True)
            ),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, {**saved.of_list(request), **(extra_context or {})})
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None:
            specs = (each for each in changelist.filter_specs if hasattr(each, "in_words"))
            response.context_data["filtered_by"] = [(each.title, words) for each in specs if (words := each.in_words)]
        return response

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        record = kwargs.get("obj")
        if record is not None:
            about = Related(request.user, record)  # type: ignore[arg-type]
            failed = record.outcome in faults.TABLE
            context |= {
                "story": story.sentence(about),
                "story_state": self.outcome_label(record)[0],
                "advice": story.advice(about),
                "why_address": f"{address('why_refused')}?id={record.request_id}" if failed else "",
                "links": about.links(),
                "nearby": about.neighbours(),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    class Media:
        js = ("mantra/suggest.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_fieldsets(request, obj)
        if obj is None:
            return found
        hidden: tuple[str, ...] = () if tenancy.may_see_person(request.user, obj) else ("user",)
        if not tenancy.may_see_origin(request.user, obj):
            hidden += ("origin_text",)
        return [(title, {**options, "fields": _without(options["fields"], hidden)}) for title, options in found]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(
        description=_("outcome"),
        label={"ok": "success", "refused": "warning", "failed": "danger", "open": "info"},
    )
    def outcome_label(self, record: CallRecord) -> tuple[str, Any]:
        if record.outcome == outcome_words.IN_PROGRESS:
            return "open", _("in progress")
        if record.broken:
            return "failed", _("aborted")
        kind = faults.TABLE.get(record.outcome)
        if kind is None and (record.status or 0) >= 400:
            return "failed" if record.status >= 500 else "refused", _("upstream's status %d") % record.status  # type: ignore[operator]
        return _COLOURS.get(kind.party if kind else "", "ok"), outcome_words.sentence(record.outcome)

    @display(description=_("outcome"))
    def outcome_text(self, record: CallRecord) -> Any:
        return self.outcome_label(record)[1]

    @display(description=_("time"), ordering="started_at")
    def moment(self, record: CallRecord) -> str:
        return moments.moment(record.started_at)

    @display(description=_("meaning"))
    def meaning(self, record: CallRecord) -> str:
        kind = faults.TABLE.get(record.outcome)
        if kind is None:
            return ""
        return kind.outline(get_language() or "id")

    @display(description=_("source or backend"))
    def origin_text(self, record: CallRecord) -> str:
        kinds = {"source": _("source"), "backend": _("backend")}
        return f"{kinds[record.origin_kind]} {record.origin}" if record.origin_kind in kinds else ""

    @display(description=_("classification"))
    def classification_label(self, record: CallRecord) -> Any:
        return dict(Field.Classification.choices).get(record.classification, record.classification)

    @display(description=_("protocol"), ordering="protocol")
    def protocol_label(self, record: CallRecord) -> Any:
        return PROTOCOLS.get(record.protocol, record.protocol)

    @display(description=_("operation"))
    def what(self, record: CallRecord) -> str:
        return "/".join(part for part in (record.agency, record.service, record.operation) if part)

    @display(description=_("caller"))
    def who(self, record: CallRecord) -> str:
        # A trial has both. Its user's name is for the agency of the application (get_fieldsets).
        caller = "/".join(part for part in (record.consumer_agency, record.application) if part)
        return caller or record.user

    @display(description=_("duration"), ordering="duration_us")
    def duration(self, record: CallRecord) -> str:
        return story.duration(record)
