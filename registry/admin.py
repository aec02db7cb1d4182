"""The pages of the book: agencies and people, services, consumers and the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from registry import faults, tenancy
from registry.admin_base import (
    AdminPasswordChangeForm,
    ChoicesDropdownFilter,
    DropdownFilter,
    InfinitePaginator,
    MomentFilter,
    ScopedAdmin,
    ScopedFilter,
    StackedInline,
    TabularInline,
    TextFilter,
    UserChangeForm,
    UserCreationForm,
    display,
    select,
    text_area,
)
from registry.models import AccessKey, Agency, ApiToken, Application, CallRecord, Field, Grant, Parameter, Service, User
from registry.roles import ROLES

# Roles are a table in the code: nobody puts together others.
admin.site.unregister(Group)

STATES = {"draft": "info", "published": "success", "deprecated": "warning", "retired": "danger"}


# ------------------------------------------------------------------------------- agencies, people


@admin.register(Agency)
class AgencyAdmin(ScopedAdmin):
    list_display = ("code", "name", "parent", "website", "email")
    list_select_related = ("parent",)
    search_fields = ("code", "name")
    fields = ("code", "name", "parent", "website", "email")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "website":
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found = super().get_queryset(request)
        if tenancy.is_administrator(request.user) or tenancy.is_supervisor(request.user):
            return found
        return found.filter(pk=request.user.agency_id)  # type: ignore[union-attr]


ROLE_LABELS = {
    "Administrator": _("Administrator: runs the bus, sees and changes every agency's book"),
    "Supervisor": _("Supervisor: sees every agency's book, changes nothing"),
    "Provider": _("Provider: offers the agency's data"),
    "Publisher": _("Publisher: offers other systems' services under a stable address"),
    "Requester": _("Requester: keeps the agency's applications and their keys"),
}
WITHOUT_AGENCY = ("Administrator", "Supervisor")


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]
    """What both user forms have beside Django's fields: one role, and the agency that it asks for."""

    role = forms.ChoiceField(label=_("Role"), choices=[(role, ROLE_LABELS[role]) for role in ROLES], widget=select())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "role" not in self.fields:
            return
        held = self.instance.groups.first() if self.instance.pk else None
        self.initial.setdefault("role", held.name if held else "")
        self.fields["role"].choices = [("", "---------"), *self.fields["role"].choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        role = self.cleaned_data.get("role", "")
        if role and role not in WITHOUT_AGENCY and not self.cleaned_data.get("agency"):
            self.add_error("agency", _("This role works for an agency: choose it."))
        return self.cleaned_data


class UserAddForm(RoleForm, UserCreationForm):
    class Meta:
        model = User
        fields = ("username",)


class UserEditForm(RoleForm, UserChangeForm):
    class Meta:
        model = User
        fields = ("username", "password", "first_name", "last_name", "email", "agency", "is_active")


@admin.register(User)
class UserAdmin(ScopedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserEditForm
    add_form = UserAddForm
    change_password_form = AdminPasswordChangeForm
    add_form_template = None
    list_display = ("username", "person", "role", "agency", "is_active", "last_login")
    list_filter = (("agency", ScopedFilter), "is_active")
    list_select_related = ("agency",)  # type: ignore[misc]
    search_fields = ("username", "first_name", "last_name", "email")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password", "is_active")}),
        (_("Role"), {"fields": ("role", "agency")}),
        (_("Person"), {"fields": (("first_name", "last_name"), "email")}),
        (_("Dates"), {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "password1", "password2")}),
        (_("Role"), {"fields": ("role", "agency")}),
        (_("Person"), {"fields": (("first_name", "last_name"), "email")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    @display(description=_("person"))
    def person(self, user: User) -> str:
        return user.get_full_name()

    @display(description=_("role"))
    def role(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return [(name, {**kept, "fields": [f for f in kept["fields"] if f != "password"]})
                    for name, kept in self.fieldsets]  # fmt: skip
        return super().get_fieldsets(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # With the user would go the log of what the user did: switch the account off instead.
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.is_staff = True
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.groups.set([Group.objects.get(name=form.cleaned_data["role"])])


@admin.register(ApiToken)
class ApiTokenAdmin(ScopedAdmin):
    """Everybody's own tokens, and nobody else's."""

    list_display = ("public", "created_at", "expires_at")
    ordering = ("-created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        assert isinstance(request.user, User)
        return ApiToken.objects.filter(user=request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_staff) and (obj is None or obj.user_id == request.user.pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("public", "created_at", "expires_at") if obj else ("expires_at",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"expires_at": timezone.now() + timedelta(days=90)}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        issued, obj.plain = ApiToken.issue(request.user, obj.expires_at)  # type: ignore[arg-type]
        obj.pk, obj.user, obj.public = issued.pk, issued.user, issued.public

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self.page(
            request,
            "mantra/issued.html",
            _("New API token"),
            issued=obj,
            plain=obj.plain,
            header=f"Authorization: Token {obj.plain}",
            shown_at=str(self.back(request, obj)["Location"]),
        )


# --------------------------------------------------------------------------------------- services


@admin.register(Service)
class ServiceAdmin(ScopedAdmin):
    list_display = ("code", "title", "agency", "classification", "operation_count")
    list_display_links = ("code", "title")
    list_filter = (("agency", ScopedFilter), ("classification", ChoicesDropdownFilter))
    list_select_related = ("agency",)
    ordering = ("agency__code", "code")
    search_fields = ("code", "title", "agency__code", "tags")
    fieldsets = (
        (None, {"fields": ("agency", "code", "title", "description")}),
        (_("For the catalogue"), {"fields": ("classification", "tags", "contact")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(operation_total=Count("operations"))

    @display(description=_("operations"), ordering="operation_total")
    def operation_count(self, service: Any) -> int:
        return int(service.operation_total)


class OperationAdmin(ScopedAdmin):
    """What the pages of both kinds of operation share."""

    list_display: tuple[Any, ...] = ("address", "title", "state_label", "access", "updated_at")
    list_display_links = ("address", "title")
    list_filter: tuple[Any, ...] = (
        ("state", ChoicesDropdownFilter),
        ("access", ChoicesDropdownFilter),
        ("service__agency", ScopedFilter),
        ("service", ScopedFilter),
    )
    list_select_related: tuple[str, ...] = ("service__agency",)
    search_fields = ("code", "title", "service__code", "service__agency__code")
    readonly_fields = ("revision", "updated_at")
    change_form_outer_after_template = "mantra/try_panel.html"

    publication: ClassVar[tuple[Any, dict[str, Any]]] = (
        _("Publication"),
        {"fields": (("state", "access"), ("sunset", "cache_seconds"), ("revision", "updated_at"))},
    )

    @display(description=_("address"), ordering="code")
    def address(self, operation: Any) -> str:
        return str(operation.address)

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, operation: Any) -> tuple[str, str]:
        return operation.state, operation.get_state_display()


class ParameterInline(StackedInline):
    model = Parameter
    fields = (
        ("name", "type"),
        ("required", "subject"),
        ("description", "position"),
        ("default", "pattern"),
        ("min", "max"),
        "choices",
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "choices":
            kwargs["widget"] = text_area(2)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class FieldInline(TabularInline):
    model = Field
    template_before = "mantra/fields_hint.html"
    fields = ("position", "name", "type", "classification", "description")


# -------------------------------------------------------------------------------------- consumers


@admin.register(Application)
class ApplicationAdmin(ScopedAdmin):
    list_display = ("code", "title", "agency", "contact", "active", "live_keys")
    list_display_links = ("code", "title")
    list_filter = (("agency", ScopedFilter), "active")
    list_select_related = ("agency",)
    ordering = ("agency__code", "code")
    search_fields = ("code", "title", "agency__code")
    fields = ("agency", "code", "title", "contact", "active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        live = Q(access_keys__revoked_at=None) & (
            Q(access_keys__expires_at=None) | Q(access_keys__expires_at__gt=timezone.now())
        )
        return super().get_queryset(request).annotate(live_total=Count("access_keys", filter=live))

    @display(description=_("live keys"))
    def live_keys(self, application: Any) -> int:
        return int(application.live_total)


@admin.register(AccessKey)
class AccessKeyAdmin(ScopedAdmin):
    list_display = ("public", "application", "state", "operation", "expires_at", "last_used_at", "created_at")
    list_filter = (("application__agency", ScopedFilter), ("application", ScopedFilter))
    list_select_related = ("application__agency", "operation__service__agency")
    search_fields = ("public", "application__code", "application__title", "application__agency__code")
    actions = ("revoke",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "networks":
            kwargs["widget"] = text_area()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        return rows.filter(active=True) if field == "application" else rows

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        limits = (_("Limits"), {"fields": ("expires_at", "networks", "in_path")})
        if obj is None:
            return [(None, {"fields": ("application",)}), limits]
        made = ("public", "application", "operation", "state_text", "created_at", "last_used_at", "revoked_at")
        return [(None, {"fields": made}), limits]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        return ("public", "application", "operation", "state_text", "created_at", "last_used_at", "revoked_at")

    @display(description=_("state"), label={"live": "success", "expired": "warning", "revoked": "danger"})
    def state(self, key: AccessKey) -> tuple[str, Any]:
        if key.revoked_at is not None:
            return "revoked", _("revoked")
        return ("live", _("live")) if key.is_live else ("expired", _("expired"))

    @display(description=_("state"))
    def state_text(self, key: AccessKey) -> Any:
        return self.state(key)[1]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A live key is revoked first: deleting must not be the quiet way to cut off a caller.
        return super().has_delete_permission(request, obj) and (obj is None or not obj.is_live)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        if not tenancy.may_change(request.user, obj):
            raise PermissionDenied
        issued, obj.plain = AccessKey.issue(obj.application, obj.expires_at, networks=obj.networks, in_path=obj.in_path)
        obj.pk, obj.public = issued.pk, issued.public

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self.page(
            request,
            "mantra/issued.html",
            _("New access key"),
            issued=obj,
            plain=obj.plain,
            header=f"AccessKey: {obj.plain}",
            application=obj.application,
            shown_at=str(self.back(request, obj)["Location"]),
        )

    @admin.action(description=_("Revoke the keys chosen"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        keys = [key for key in self.changeable(request, queryset) if key.revoked_at is None]
        for key in keys:
            self._revoke(request, key)
        self.message_user(
            request, ngettext("%d key revoked.", "%d keys revoked.", len(keys)) % len(keys), messages.SUCCESS
        )

    def _revoke(self, request: HttpRequest, key: AccessKey) -> None:
        key.revoke()
        self.log_change(request, key, [{"changed": {"fields": [str(_("revoked at"))]}}])

    def row_views(self) -> dict[str, Any]:
        return {"revoke": self.revoke_one}

    def buttons(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if obj.revoked_at is not None or not self.has_change_permission(request, obj):
            return []
        return [("revoke", _("Revoke this key"), _("Revoke this key? Callers that use it are turned away at once."))]

    @method_decorator(require_POST)
    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.one(request, object_id)
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        self._revoke(request, key)
        self.message_user(request, _("The key is revoked."), messages.SUCCESS)
        return self.back(request, key)


@admin.register(Grant)
class GrantAdmin(ScopedAdmin):
    list_display = ("application", "operation", "state_label", "valid_from", "valid_until", "quota")
    list_filter = (("state", ChoicesDropdownFilter), ("operation__service__agency", ScopedFilter))
    list_select_related = ("application__agency", "operation__service__agency")
    search_fields = (
        "application__code", "application__agency__code", "operation__code", "operation__service__code", "agreement",
    )  # fmt: skip
    autocomplete_fields = ("application",)
    actions = ("approve", "revoke")
    readonly_fields = ("state", "created_at")
    fieldsets = (
        (None, {"fields": ("application", "operation", "state")}),
        (_("Why"), {"fields": ("purpose", "legal_basis", "agreement")}),
        (_("When and how much"), {"fields": (("valid_from", "valid_until"), "quota")}),
        (_("Limits"), {"fields": ("fields", "networks")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("fields", "networks"):
            kwargs["widget"] = text_area()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        return rows.select_related("service__agency") if field == "operation" else rows

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Who may call what is settled when the grant is made; another pair is another grant.
        return (*self.readonly_fields, "application", "operation") if obj else self.readonly_fields

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        return self.autocomplete_fields

    @display(description=_("state"), ordering="state", label={"approved": "success", "revoked": "danger"})
    def state_label(self, grant: Grant) -> tuple[str, str]:
        return grant.state, grant.get_state_display()

    def _settle(self, request: HttpRequest, grant: Grant, state: str) -> None:
        grant.state = state
        grant.save(update_fields=["state"])
        self.log_change(request, grant, [{"changed": {"fields": [str(_("state"))]}}])

    def _settle_all(self, request: HttpRequest, queryset: QuerySet[Any], state: str) -> int:
        grants = [grant for grant in self.changeable(request, queryset) if grant.state != state]
        for grant in grants:
            self._settle(request, grant, state)
        return len(grants)

    @admin.action(description=_("Approve the grants chosen"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = self._settle_all(request, queryset, Grant.State.APPROVED)
        self.message_user(request, ngettext("%d grant approved.", "%d grants approved.", count) % count)

    @admin.action(description=_("Revoke the grants chosen"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = self._settle_all(request, queryset, Grant.State.REVOKED)
        self.message_user(request, ngettext("%d grant revoked.", "%d grants revoked.", count) % count)

    def row_views(self) -> dict[str, Any]:
        return {"approve": self.approve_one, "revoke": self.revoke_one}

    def buttons(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if not self.has_change_permission(request, obj):
            return []
        if obj.state == Grant.State.APPROVED:
            return [("revoke", _("Revoke this grant"), _("Revoke this grant? The application is turned away at once."))]
        return [("approve", _("Approve this grant"), "")]

    @method_decorator(require_POST)
    def approve_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._settle_one(request, object_id, Grant.State.APPROVED, _("The grant is approved."))

    @method_decorator(require_POST)
    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._settle_one(request, object_id, Grant.State.REVOKED, _("The grant is revoked."))

    def _settle_one(self, request: HttpRequest, object_id: str, state: str, said: Any) -> HttpResponse:
        grant = self.one(request, object_id)
        if not self.has_change_permission(request, grant):
            raise PermissionDenied
        self._settle(request, grant, state)
        self.message_user(request, said, messages.SUCCESS)
        return self.back(request, grant)


# ---------------------------------------------------------------------------------------- history


class CodeFilter(TextFilter):
    """A filter by codes typed in, whole: a list of all codes would mean to read the whole history."""

    placeholder: Any = ""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            choice["form"].fields[self.parameter_name].widget.attrs["placeholder"] = self.placeholder
            yield choice

    def parts(self) -> list[str]:
        """What was typed, parted at its slashes."""
        return [part.strip() for part in (self.value() or "").split("/") if part.strip()]


def of_agency(column: str, code: str) -> Q:
    """Records of an agency, capital letters aside. As the book writes the code, so that the index serves."""
    known = list(Agency.objects.filter(code__iexact=code).values_list("code", flat=True))
    return Q(**{f"{column}__in": known}) if known else Q(**{f"{column}__iexact": code})


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
    """By application or agency/application."""

    title = _("application")
    parameter_name = "of_application"
    placeholder = _("agency/application")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.parts():
            case []:
                return queryset
            case [application]:
                return queryset.filter(application__iexact=application)
            case [agency, application]:
                return queryset.filter(of_agency("consumer_agency", agency), application__iexact=application)
        return queryset.none()


class OperationCodeFilter(CodeFilter):
    """By operation, service/operation or agency/service/operation."""

    title = _("operation")
    parameter_name = "of_operation"
    placeholder = _("agency/service/operation")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.parts():
            case []:
                return queryset
            case [operation]:
                return queryset.filter(operation__iexact=operation)
            case [service, operation]:
                return queryset.filter(service__iexact=service, operation__iexact=operation)
            case [agency, service, operation]:
                found = queryset.filter(service__iexact=service, operation__iexact=operation)
                return found.filter(of_agency("agency", agency))
        return queryset.none()


OUTCOMES: dict[str, tuple[Any, Q]] = {
    "ok": (_("answered"), Q(outcome=200, broken=False)),
    "refused": (_("refused (4xx)"), Q(status__gte=400, status__lt=500)),
    "failed": (_("failed (5xx)"), Q(status__gte=500)),
    "broken": (_("broken off"), Q(broken=True)),
    "open": (_("still open"), Q(outcome=0)),
}


class OutcomeFilter(DropdownFilter):
    title = _("outcome")
    parameter_name = "outcome_is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        each = [(str(code), f"{code} {kind.name}") for code, kind in sorted(faults.TABLE.items())]
        return [(word, label) for word, (label, _wanted) in OUTCOMES.items()] + each

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if value in OUTCOMES:
            return queryset.filter(OUTCOMES[value][1])
        return queryset.filter(outcome=int(value)) if value.isascii() and value.isdigit() else queryset


@admin.register(CallRecord)
class CallRecordAdmin(ScopedAdmin):
    """Read only, for everybody."""

    list_display = ("moment", "outcome_label", "what", "who", "rows", "duration", "face", "request_id")
    list_display_links = ("moment", "request_id")
    list_filter = (
        ("started_at", MomentFilter), AgencyCodeFilter, OperationCodeFilter, ApplicationCodeFilter, OutcomeFilter,
    )  # fmt: skip
    search_fields = ("=request_id",)
    search_help_text = _("A request id, whole")
    ordering = ("-started_at", "-id")
    # Counting a history of millions takes longer than reading a page of it.
    paginator = InfinitePaginator
    actions = None
    fieldsets = (
        (None, {"fields": ("request_id", ("moment", "duration"), ("outcome_text", "status"), "meaning")}),
        (
            _("What was called"),
            {"fields": (("what", "revision"), ("face", "method", "format"), "parameters", "subjects")},
        ),
        (_("Who called"), {"fields": ("who", ("key", "user"), "address")}),
        (_("What was answered"), {"fields": (("rows", "bytes"), "fields")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(
        description=_("outcome"),
        ordering="outcome",
        label={"ok": "success", "refused": "warning", "failed": "danger", "open": "info"},
    )
    def outcome_label(self, record: CallRecord) -> tuple[str, Any]:
        if record.outcome == 0:
            return "open", _("still open")
        if record.broken:
            return "failed", _("broken off")
        if record.outcome == 200:
            return "ok", _("answered")
        return ("failed" if (record.status or 500) >= 500 else "refused"), str(record.outcome)

    @display(description=_("outcome"))
    def outcome_text(self, record: CallRecord) -> Any:
        return self.outcome_label(record)[1]

    @display(description=_("time"), ordering="started_at")
    def moment(self, record: CallRecord) -> str:
        return f"{timezone.localtime(record.started_at):%Y-%m-%d %H:%M:%S}"

    @display(description=_("meaning"))
    def meaning(self, record: CallRecord) -> str:
        kind = faults.TABLE.get(record.outcome)
        if kind is None:
            return ""
        # The history does not keep what a sentence was filled with.
        return (kind.en if get_language() == "en" else kind.id).format_map(defaultdict(lambda: "…"))

    @display(description=_("operation"))
    def what(self, record: CallRecord) -> str:
        return "/".join(part for part in (record.agency, record.service, record.operation) if part)

    @display(description=_("caller"))
    def who(self, record: CallRecord) -> str:
        if record.user:
            return record.user
        return "/".join(part for part in (record.consumer_agency, record.application) if part)

    @display(description=_("duration"), ordering="duration_us")
    def duration(self, record: CallRecord) -> str:
        return "" if record.duration_us is None else f"{record.duration_us / 1000:.1f} ms"
