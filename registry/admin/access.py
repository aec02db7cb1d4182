"""Pages of applications, access keys and grants."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from registry import moments, requests, tenancy
from registry.admin.base import Neighbour, ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.mask_form import mask_field, value_field
from registry.admin.quota_form import QuotaField, pairs, use_boxes
from registry.admin.theme import ChoicesDropdownFilter, DropdownFilter, display, text_area
from registry.models import AccessKey, Application, CallRecord, ClientCertificate, Grant

# -------------------------------------------------------------------------------------- applications


class ApplicationForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use_boxes(self)


@admin.register(Application)
class ApplicationAdmin(ScopedAdmin):
    form = ApplicationForm
    list_display = ("code", "title", "agency", "contact", "active", "active_keys")
    statistics_page = "statistics_application"
    list_display_links = ("code", "title")
    list_filter = (("agency", ScopedFilter), "active")
    list_select_related = ("agency",)
    ordering = ("agency__code", "code")
    search_fields = ("code", "title", "agency__code")
    fields = (
        "agency", "code", "title", "contact", "active", "row_limit", "subject_limit", "certificate_required",
        "signing_required",
    )  # fmt: skip
    autocomplete_fields = ("agency",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        active = Q(access_keys__revoked_at=None) & (
            Q(access_keys__expires_at=None) | Q(access_keys__expires_at__gt=timezone.now())
        )
        return super().get_queryset(request).annotate(active_total=Count("access_keys", filter=active))

    def neighbours(self, request: HttpRequest, obj: Any) -> list[Neighbour]:
        query = {"application__id__exact": obj.pk}
        return [
            Neighbour(_("Access keys"), AccessKey, query, obj.access_keys.all()),
            Neighbour(_("Client certificates"), ClientCertificate, query, obj.certificates.all()),
            Neighbour(_("Grants"), Grant, query, obj.grants.all()),
            Neighbour(_("Calls"), CallRecord, {"of_application": f"{obj.agency.code}/{obj.code}"}),
        ]

    @display(description=_("active keys"))
    def active_keys(self, application: Any) -> int:
        return int(application.active_total)


class CredentialAdmin(ScopedAdmin):
    """The admin of what an application proves itself with: it is active, has expired, or is revoked for good."""

    autocomplete_fields = ("application",)
    #: The button that revokes one, what it asks before, and what it says after.
    revoke_label: Any
    revoke_question: Any
    revoke_done: Any

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        return rows.filter(active=True) if field == "application" else rows

    @display(description=_("state"), label={"live": "success", "expired": "warning", "revoked": "danger"})
    def state(self, credential: Any) -> tuple[str, Any]:
        if credential.revoked_at is not None:
            return "revoked", _("revoked")
        return ("live", _("active")) if credential.is_active else ("expired", _("expired"))

    @display(description=_("state"))
    def state_text(self, credential: Any) -> Any:
        return self.state(credential)[1]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # An active one must be revoked first: refusing a caller must be a deliberate step.
        return super().has_delete_permission(request, obj) and (obj is None or not obj.is_active)

    def row_views(self) -> dict[str, Any]:
        return {"revoke": self.revoke_one}

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if obj.revoked_at is not None or not self.has_change_permission(request, obj):
            return []
        return [("revoke", self.revoke_label, self.revoke_question)]

    def _revoke(self, request: HttpRequest, credential: Any) -> None:
        credential.revoke()
        self.log_change(request, credential, [{"changed": {"fields": [str(_("revoked at"))]}}])

    @method_decorator(require_POST)
    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        credential = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, credential):
            raise PermissionDenied
        self._revoke(request, credential)
        self.message_user(request, self.revoke_done, messages.SUCCESS)
        return self.redirect_to(request, credential)


class InPathFilter(DropdownFilter):
    """Keys that programs write into URLs, and those of which none does it any more."""

    title = _("used in a URL")
    parameter_name = "in_url"
    LATELY, ALLOWED = "lately", "allowed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        days = {"days": AccessKey.IN_PATH_DAYS}
        return [
            (self.LATELY, _("in the last %(days)d days") % days),
            (self.ALLOWED, _("allowed, but not in the last %(days)d days") % days),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        lately = Q(last_used_in_path_at__gte=timezone.now() - timedelta(days=AccessKey.IN_PATH_DAYS))
        if self.value() == self.LATELY:
            return queryset.filter(lately)
        if self.value() == self.ALLOWED:
            return queryset.filter(in_path=True).filter(~lately | Q(last_used_in_path_at=None))
        return queryset


@admin.register(AccessKey)
class AccessKeyAdmin(CredentialAdmin):
    list_display = (
        "public", "application", "state", "operation", "expires_at", "last_used_at", "in_path_on", "created_at",
    )  # fmt: skip
    list_filter = (
        ("application__agency", ScopedFilter),
        ("application", ScopedFilter),
        ("kind", ChoicesDropdownFilter),
        InPathFilter,
    )
    list_select_related = ("application__agency", "operation__service__agency")
    search_fields = ("public", "application__code", "application__title", "application__agency__code")
    actions = ("revoke",)
    page_above = (_("Use of the access key"), "key_use")
    revoke_label = _("Revoke key")
    revoke_question = _("Revoke this key? Callers that use it are refused immediately.")
    revoke_done = _("The key is revoked.")
    _identity = (
        "public", "application", "kind", "operation", "state_text", "created_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    _slowed = ("slow_seconds", "slowed_until")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "networks":
            kwargs["widget"] = text_area()
        if db_field.name == "kind":
            kwargs["required"] = False  # most keys are sent
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # A key that nobody needs any more ends by itself.
        return {"expires_at": timezone.now() + timedelta(days=365), **super().get_changeform_initial_data(request)}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        limits = (_("Limits"), {"fields": ("expires_at", "networks")})
        if obj is None:
            old_programs = (_("Old programs"), {"fields": ("in_path", "wrapped")})
            return [(None, {"fields": ("application", "kind")}), limits, old_programs]
        in_path = ("in_path", "in_path_use") if obj.in_path or obj.last_used_in_path_at else ("in_path",)
        old_programs = (_("Old programs"), {"fields": (*in_path, "wrapped")})
        return [(None, {"fields": self._identity_of(obj)}), limits, old_programs]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else (*self._identity, *self._slowed, "in_path_use")

    @display(description=_("in a URL"), ordering="last_used_in_path_at")
    def in_path_on(self, key: AccessKey) -> str:
        """Return the day on which the key was last in a URL."""
        return moments.day(key.last_used_in_path_at)

    @display(description=_("use in URLs"))
    def in_path_use(self, key: AccessKey) -> Any:
        """Return how long the key must be allowed in URLs."""
        until = key.in_path_until
        if until is None:
            return _("No call has had the key in its URL. If no program needs that, switch it off.")
        words = {"last": moments.day(key.last_used_in_path_at), "until": moments.day(until)}
        if not key.in_path:
            return _("Last on %(last)s.") % words
        if until <= timezone.now():
            return _("Last on %(last)s: it can be switched off now.") % words
        return _("Last on %(last)s. If no further call has the key in its URL, switch it off on %(until)s.") % words

    def _identity_of(self, key: AccessKey) -> tuple[str, ...]:
        return (*self._identity, *self._slowed) if key.is_slowed else self._identity

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        if not tenancy.may_change(request.user, obj):
            raise PermissionDenied
        issued, obj.plain = AccessKey.issue(
            obj.application,
            obj.expires_at,
            kind=obj.kind,
            networks=obj.networks,
            in_path=obj.in_path,
            wrapped=obj.wrapped,
        )
        obj.pk, obj.public = issued.pk, issued.public

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self.render_page(
            request,
            "mantra/issued.html",
            _("New signing key") if obj.signs else _("New access key"),
            issued=obj,
            plain=obj.plain,
            signs=obj.signs,
            header=f"AccessKey: {obj.plain}",
            application=obj.application,
            shown_at=str(self.redirect_to(request, obj)["Location"]),
        )

    @admin.action(description=_("Revoke selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        keys = [key for key in self.changeable(request, queryset) if key.revoked_at is None]
        for key in keys:
            self._revoke(request, key)
        self.message_user(
            request, ngettext("%d key revoked.", "%d keys revoked.", len(keys)) % len(keys), messages.SUCCESS
        )

    def row_views(self) -> dict[str, Any]:
        return {**super().row_views(), "hasten": self.hasten_one}

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        found = super().row_actions(request, obj)
        # Not by those whose key it is.
        if found and obj.is_slowed and tenancy.is_administrator(request.user):
            found.append(("hasten", _("End the slowing down"), ""))
        return found

    @method_decorator(require_POST)
    def hasten_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.get_or_404(request, object_id)
        if not tenancy.is_administrator(request.user):
            raise PermissionDenied
        key.hasten()
        self.log_change(request, key, [{"changed": {"fields": [str(_("slowed down until"))]}}])
        self.message_user(request, _("The key is not slowed down any more."), messages.SUCCESS)
        return self.redirect_to(request, key)


@admin.register(ClientCertificate)
class ClientCertificateAdmin(CredentialAdmin):
    list_display = ("subject", "application", "state", "not_after", "created_at")
    list_filter = (("application__agency", ScopedFilter), ("application", ScopedFilter))
    list_select_related = ("application__agency",)
    search_fields = ("subject", "thumbprint", "application__code", "application__agency__code")
    revoke_label = _("Revoke certificate")
    revoke_question = _("Revoke this certificate? Callers that need it are refused immediately.")
    revoke_done = _("The certificate is revoked.")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "pem":
            kwargs["widget"] = text_area()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("application", "pem")
        return ("application", "subject", "digits", "not_after", "state_text", "created_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Another certificate is another row: what was trusted once stays known.
        return self.get_fields(request, obj) if obj else ()

    @display(description=_("SHA-256"))
    def digits(self, certificate: ClientCertificate) -> str:
        """Return the thumbprint in groups, as people compare it, and as it fits on a phone."""
        text = certificate.thumbprint
        return " ".join(text[start : start + 8] for start in range(0, len(text), 8))


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]
    #: Who makes or changes the grant. The class is made for each request.
    user: tenancy.AnyUser

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        quota = self.fields.get("quota")
        if quota is not None and pairs(self.instance.quota) is not None:
            help_text = _("Calls beyond the limit are refused. Empty: no limit.")
            self.fields["quota"] = QuotaField(label=quota.label, required=False, help_text=help_text)
        use_boxes(self)
        if self.instance.pk:
            self._set_lines()

    def _set_lines(self) -> None:
        """Show masks and values line by line: the operation is known, and so are its fields and values."""
        operation = self.instance.operation.of_its_kind
        if "masks" in self.fields and operation.masks_fields and (fields := list(operation.fields.all())):
            self.fields["masks"] = mask_field(fields, self.fields["masks"].label)
        if "values" in self.fields and (values := sorted(operation.grant_values)):
            self.fields["values"] = value_field(values, self.fields["values"].label)

    def _post_clean(self) -> None:
        before = Grant.objects.filter(pk=self.instance.pk).first()
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            requests.check_direct(self.instance, before, self.user)
        except ValidationError as error:
            self.add_error(None, error)


@admin.register(Grant)
class GrantAdmin(ScopedAdmin):
    form = GrantForm
    list_display = ("application", "operation", "state_label", "valid_from", "valid_until", "quota")
    list_filter = (("state", ChoicesDropdownFilter), ("operation__service__agency", ScopedFilter))
    list_select_related = ("application__agency", "operation__service__agency")
    search_fields = (
        "application__code", "application__agency__code", "operation__code", "operation__service__code", "agreement",
    )  # fmt: skip
    autocomplete_fields = ("application", "operation")
    actions = ("approve", "revoke")
    readonly_fields = ("state", "created_at")
    fieldsets = (
        (None, {"fields": ("application", "operation", "state")}),
        (_("Justification"), {"fields": ("purpose", "legal_basis", "agreement")}),
        (_("Validity and quota"), {"fields": (("valid_from", "valid_until"), "quota", "row_limit", "subject_limit")}),
        (_("Limits"), {"fields": ("fields", "networks")}),
        (_("Masks and rows"), {"fields": ("masks", "values")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("fields", "networks", "masks", "values"):
            kwargs["widget"] = text_area()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        requests.tell_of_grant(obj, obj.state)
        for warning in obj.warnings:
            self.message_user(request, warning, messages.WARNING)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.user = request.user
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the sections; without masks and values where the operation can have none."""
        if obj is None:
            return self.fieldsets
        operation = obj.operation.of_its_kind
        idle = {
            name for name, used in (("masks", operation.masks_fields), ("values", bool(operation.grant_values)))
            if not used and not getattr(obj, name)
        }  # fmt: skip
        *others, (title, options) = self.fieldsets
        shown = tuple(name for name in ("masks", "values") if name not in idle)
        return (*others, (title, {**options, "fields": shown})) if shown else tuple(others)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Application and operation identify the grant: another pair needs another grant.
        return (*self.readonly_fields, "application", "operation") if obj else self.readonly_fields

    @display(description=_("state"), ordering="state", label={"approved": "success", "revoked": "danger"})
    def state_label(self, grant: Grant) -> tuple[str, str]:
        return grant.state, grant.get_state_display()

    def _set_state(self, request: HttpRequest, grant: Grant, state: str) -> None:
        """Raises ValidationError."""
        before = Grant.objects.get(pk=grant.pk)
        grant.state = state
        requests.check_direct(grant, before, request.user)
        grant.set_state(state)
        requests.tell_of_grant(grant, before.state)
        self.log_change(request, grant, [{"changed": {"fields": [str(_("state"))]}}])

    def _set_state_of_all(self, request: HttpRequest, queryset: QuerySet[Any], state: str) -> int:
        grants = [grant for grant in self.changeable(request, queryset) if grant.state != state]
        return sum(self._try_state(request, grant, state) for grant in grants)

    def _try_state(self, request: HttpRequest, grant: Grant, state: str) -> bool:
        """Set the state of a grant. Return False, with a message, if that cannot be."""
        try:
            self._set_state(request, grant, state)
        except ValidationError as error:
            self.message_user(request, f"{grant}: {' '.join(error.messages)}", messages.ERROR)
            return False
        return True

    @admin.action(description=_("Approve selected grants"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = self._set_state_of_all(request, queryset, Grant.State.APPROVED)
        self.message_user(request, ngettext("%d grant approved.", "%d grants approved.", count) % count)

    @admin.action(description=_("Revoke selected grants"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = self._set_state_of_all(request, queryset, Grant.State.REVOKED)
        self.message_user(request, ngettext("%d grant revoked.", "%d grants revoked.", count) % count)

    def row_views(self) -> dict[str, Any]:
        return {"approve": self.approve_one, "revoke": self.revoke_one}

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if not self.has_change_permission(request, obj):
            return []
        if obj.state == Grant.State.APPROVED:
            return [("revoke", _("Revoke grant"), _("Revoke this grant? The application is refused immediately."))]
        return [("approve", _("Approve grant"), "")]

    @method_decorator(require_POST)
    def approve_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._set_state_of_one(request, object_id, Grant.State.APPROVED, _("The grant is approved."))

    @method_decorator(require_POST)
    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._set_state_of_one(request, object_id, Grant.State.REVOKED, _("The grant is revoked."))

    def _set_state_of_one(self, request: HttpRequest, object_id: str, state: str, message: Any) -> HttpResponse:
        grant = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, grant):
            raise PermissionDenied
        if self._try_state(request, grant, state):
            self.message_user(request, message, messages.SUCCESS)
        return self.redirect_to(request, grant)
