"""Pages of agencies, users and their API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import roles, tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.confirming import CodeForm
from registry.admin.filters import ScopedFilter
from registry.admin.theme import AdminPasswordChangeForm, UserChangeForm, UserCreationForm, display, select
from registry.models import Agency, ApiToken, Operation, User

# The roles are a fixed table (registry/roles.py): groups are not edited by hand.
admin.site.unregister(Group)
admin.site.index_title = _("First page")


# ------------------------------------------------------------------------------- agencies, people


class AgencyForm(CodeForm):
    def _addresses(self) -> int:
        return Operation.objects.filter(service__agency=self.instance).count()


@admin.register(Agency)
class AgencyAdmin(ScopedAdmin):
    form = AgencyForm
    autocomplete_fields = ("parent",)
    list_display = ("code", "name", "parent", "website", "email")
    list_select_related = ("parent",)
    search_fields = ("code", "name")
    fields = ("code", "name", "parent", "website", "email", "legacy_name")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "website":
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        agencies = super().get_queryset(request)
        if tenancy.sees_all_agencies(request.user):
            return agencies
        return agencies.filter(pk=request.user.agency_id)  # type: ignore[union-attr]


def _role_choices() -> list[tuple[str, str]]:
    sentences = ((role, f"{roles.label(role)}: {roles.DESCRIPTIONS[role]}") for role in roles.ROLES)
    return [("", "---------"), *sentences]


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]
    """The part that both user forms add to Django's fields: one role, and the agency that it needs."""

    role = forms.ChoiceField(label=_("Role"), choices=_role_choices, widget=select())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "role" not in self.fields:
            return
        group = self.instance.groups.first() if self.instance.pk else None
        self.initial.setdefault("role", group.name if group else "")

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        role = self.cleaned_data.get("role", "")
        if role and role not in roles.WITHOUT_AGENCY and not self.cleaned_data.get("agency"):
            self.add_error("agency", _("Choose an agency: this role works for one."))
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
    autocomplete_fields = ("agency",)  # type: ignore[misc]
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
        return ", ".join(str(roles.label(group.name)) for group in user.groups.all())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return [
                (title, {**options, "fields": [name for name in options["fields"] if name != "password"]})
                for title, options in self.fieldsets
            ]
        return super().get_fieldsets(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Deleting a user deletes the log of the user's changes too. Deactivate the user instead.
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.is_staff = True
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.groups.set([Group.objects.get(name=form.cleaned_data["role"])])


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new token of the page's user, checked as one of theirs."""

    user: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.user = self.user


@admin.register(ApiToken)
class ApiTokenAdmin(ScopedAdmin):
    """The API tokens of the signed-in user only."""

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

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **{"form": TokenForm, **kwargs})
        form.user = request.user  # type: ignore[attr-defined]  # a class of this request's own
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        issued, obj.plain = ApiToken.issue(request.user, obj.expires_at)  # type: ignore[arg-type]
        obj.pk, obj.user, obj.public = issued.pk, issued.user, issued.public

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self.render_page(
            request,
            "mantra/issued.html",
            _("New API token"),
            issued=obj,
            plain=obj.plain,
            header=f"Authorization: Token {obj.plain}",
            shown_at=str(self.redirect_to(request, obj)["Location"]),
        )
