"""Pages of the call history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from registry import faults, tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.filters import MomentFilter
from registry.admin.keyset import KeysetChangeList, KeysetPaginator
from registry.admin.theme import DropdownFilter, TextFilter, display
from registry.models import Agency, CallRecord

# ---------------------------------------------------------------------------------------- filters


class CodeFilter(TextFilter):
    """A filter by complete codes as text: a list of all codes would need a scan of the whole history."""

    placeholder: Any = ""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            choice["form"].fields[self.parameter_name].widget.attrs["placeholder"] = self.placeholder
            yield choice

    def parts(self) -> list[str]:
        """Return the parts of the text between slashes."""
        return [part.strip() for part in (self.value() or "").split("/") if part.strip()]

    def is_whole(self) -> bool:
        """Return True if the text ends with a slash: all that is below what it names."""
        return (self.value() or "").strip().endswith("/")


def of_agency(column: str, code: str) -> Q:
    """Return the condition for records of an agency, in any case of letters.

    It uses the code as the registry spells it, so that the database can use the index.
    """
    codes = list(Agency.objects.filter(code__iexact=code).values_list("code", flat=True))
    return Q(**{f"{column}__in": codes}) if codes else Q(**{f"{column}__iexact": code})


class AgencyCodeFilter(CodeFilter):
    title = _("agency")
    parameter_name = "of_agency"
    placeholder = _("agency")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        parts = self.parts()
        if not parts:
            return queryset
        return queryset.filter(of_agency("agency", parts[0]) | of_agency("consumer_agency", parts[0]))


class ApplicationCodeFilter(CodeFilter):
    """By application or agency/application; agency/ is all of an agency's."""

    title = _("application")
    parameter_name = "of_application"
    placeholder = _("agency/application")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.parts():
            case []:
                return queryset
            case [agency] if self.is_whole():
                return queryset.filter(of_agency("consumer_agency", agency))
            case [application]:
                return queryset.filter(application__iexact=application)
            case [agency, application]:
                return queryset.filter(of_agency("consumer_agency", agency), application__iexact=application)
        return queryset.none()


class OperationCodeFilter(CodeFilter):
    """By operation, service/operation or agency/service/operation; agency/ and agency/service/ are all below."""

    title = _("operation")
    parameter_name = "of_operation"
    placeholder = _("agency/service/operation")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.parts():
            case []:
                return queryset
            case [agency] if self.is_whole():
                return queryset.filter(of_agency("agency", agency))
            case [operation]:
                return queryset.filter(operation__iexact=operation)
            case [agency, service] if self.is_whole():
                return queryset.filter(of_agency("agency", agency), service__iexact=service)
            case [service, operation]:
                return queryset.filter(service__iexact=service, operation__iexact=operation)
            case [agency, service, operation]:
                records = queryset.filter(service__iexact=service, operation__iexact=operation)
                return records.filter(of_agency("agency", agency))
        return queryset.none()


OUTCOMES: dict[str, tuple[Any, Q]] = {
    "ok": (_("succeeded"), Q(outcome=200, broken=False)),
    "refused": (_("refused (4xx)"), Q(status__gte=400, status__lt=500)),
    "failed": (_("failed (5xx)"), Q(status__gte=500)),
    "broken": (_("aborted"), Q(broken=True)),
    "open": (_("in progress"), Q(outcome=0)),
}


class OutcomeFilter(DropdownFilter):
    title = _("outcome")
    parameter_name = "outcome_is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        language = get_language() or "id"
        single_codes = [(str(code), f"{code} {kind.outline(language)}") for code, kind in sorted(faults.TABLE.items())]
        return [(word, label) for word, (label, _condition) in OUTCOMES.items()] + single_codes

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if value in OUTCOMES:
            return queryset.filter(OUTCOMES[value][1])
        return queryset.filter(outcome=int(value)) if value.isascii() and value.isdigit() else queryset


#: Protocol of a call → its name for people.
PROTOCOLS: dict[str, Any] = {
    "rest": "REST",
    "soap": "SOAP",
    "legacy": "MANTRA 1.99x",
    "tryout": _("try-out"),
    "browse": _("view of a source"),
    "explain": _("execution plan"),
    "rehearsal": _("comparison of responses"),
}


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
        ("started_at", MomentFilter), AgencyCodeFilter, OperationCodeFilter, ApplicationCodeFilter, OutcomeFilter,
    )  # fmt: skip
    search_fields = ("request_id",)
    search_help_text = _("Complete request id")
    ordering = ("-started_at", "-id")
    paginator = KeysetPaginator
    actions = None
    fieldsets = (
        (None, {"fields": ("request_id", ("moment", "duration"), ("outcome_text", "status"), "meaning", "why")}),
        (
            _("Operation"),
            {"fields": (("what", "revision"), ("protocol_label", "method", "format"), "parameters", "subjects")},
        ),
        (_("Caller"), {"fields": ("who", ("key", "user"), "client_ip")}),
        (_("Response"), {"fields": (("rows", "bytes"), "fields")}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        # Compared exactly, so that the database uses the index: in any case of letters it would read all records.
        return (queryset.filter(request_id=term.strip()) if term.strip() else queryset), False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_fieldsets(request, obj)
        if obj is None:
            return found
        hidden: tuple[str, ...] = () if obj.outcome in faults.TABLE else ("why",)
        if not tenancy.may_see_person(request.user, obj):
            hidden += ("user",)
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
        if record.outcome == 0:
            return "open", _("in progress")
        if record.broken:
            return "failed", _("aborted")
        if record.outcome == 200:
            return "ok", _("succeeded")
        return ("failed" if (record.status or 500) >= 500 else "refused"), str(record.outcome)

    @display(description=_("outcome"))
    def outcome_text(self, record: CallRecord) -> Any:
        return self.outcome_label(record)[1]

    @display(description=_("time"), ordering="started_at")
    def moment(self, record: CallRecord) -> str:
        return formats.date_format(timezone.localtime(record.started_at), "DATETIME_FORMAT")

    @display(description=_("meaning"))
    def meaning(self, record: CallRecord) -> str:
        kind = faults.TABLE.get(record.outcome)
        if kind is None:
            return ""
        return kind.outline(get_language() or "id")

    @display(description=_("why"))
    def why(self, record: CallRecord) -> str:
        address = f"{reverse('why_refused')}?id={record.request_id}"
        return format_html('<a href="{}">{}</a>', address, _("Why was this call refused?"))

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
        return "" if record.duration_us is None else f"{formats.number_format(record.duration_us / 1000, 1)} ms"
