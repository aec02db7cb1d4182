"""Pages of agencies, users and their API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from registry import roles, tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.confirming import CodeForm
from registry.admin.filters import ScopedFilter
from registry.admin.theme import AdminPasswordChangeForm, UserChangeForm, display, select
from registry.models import Agency, ApiToken, Invitation, Operation, RoleRule, User
from registry.moments import moment
from registry.notifications import smtp
from registry.people import invitations, links, lockout, second_factor, sessions

# The roles are a fixed table (registry/roles.py): groups are not edited by hand.
admin.site.unregister(Group)
# Secrets and sessions of people have pages of their own, which show less.
admin.site.unregister([Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession])
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

    def statistics_address(self, request: HttpRequest, obj: Any) -> str:
        return reverse("statistics_agency", args=(obj.code,))


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


def _after_saving() -> Any:
    if smtp.is_configured():
        return _("It is also the user name. The user gets an e-mail with a link for setting a password.")
    return _("It is also the user name. Saving shows a link for setting a password, which you give to the user.")


class UserAddForm(RoleForm):
    """A new user, who is invited and sets the password alone. The e-mail address is the user name."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "email", "agency")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True
        self.fields["email"].help_text = _after_saving()

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].strip().lower()
        if User.objects.filter(username__iexact=email).exists():
            raise ValidationError(_("Another user has this e-mail address."))
        return email


class UserEditForm(RoleForm, UserChangeForm):
    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "agency", "is_active")


class PasswordByHandForm(AdminPasswordChangeForm):  # type: ignore[misc]
    """A password that an administrator sets. Its user must change it when signing in."""

    def save(self, commit: bool = True) -> User:
        invitations.set_password(self.user, self.cleaned_data["password1"])
        self.user.must_change_password = True
        self.user.save(update_fields=["must_change_password"])
        user: User = self.user
        return user


@admin.register(User)
class UserAdmin(ScopedAdmin, DjangoUserAdmin):  # type: ignore[misc, type-arg]
    form = UserEditForm
    add_form = UserAddForm
    change_password_form = PasswordByHandForm
    add_form_template = None
    change_form_after_template = "people/sessions_of_user.html"
    list_display = ("person", "email", "role", "agency", "factor_mark", "is_active", "last_login")
    list_display_links = ("person",)
    list_filter = (("agency", ScopedFilter), "is_active")
    list_select_related = ("agency",)  # type: ignore[misc]
    search_fields = ("username", "first_name", "last_name", "email")
    filter_horizontal = ()
    autocomplete_fields = ("agency",)  # type: ignore[misc]
    readonly_fields = ("last_login", "password_state", "factor_state", "locked_for")
    fieldsets = (
        (_("Person"), {"fields": (("first_name", "last_name"), "email")}),
        (_("Role"), {"fields": ("role", "agency", "is_active")}),
        (_("Signing in"), {"fields": ("username", "password_state", "factor_state", "locked_for", "last_login")}),
    )
    add_fieldsets = (
        (_("Person"), {"fields": (("first_name", "last_name"), "email")}),
        (_("Role"), {"fields": ("role", "agency")}),
    )
    next_step = "invite"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        having = Authenticator.objects.filter(user=OuterRef("pk"), type__in=second_factor.FACTORS)
        return super().get_queryset(request).prefetch_related("groups").annotate(has_factor=Exists(having))

    @display(description=_("person"), ordering="first_name")
    def person(self, user: User) -> str:
        return user.get_full_name() or user.username

    @display(description=_("role"))
    def role(self, user: User) -> str:
        return ", ".join(str(roles.label(group.name)) for group in user.groups.all())

    @display(description=_("second factor"), boolean=True)
    def factor_mark(self, user: Any) -> bool:
        return bool(user.has_factor)

    @display(description=_("second factor"))
    def factor_state(self, user: User) -> str:
        names = [str(each) if each.type == each.Type.WEBAUTHN else _("app") for each in second_factor.factors(user)]
        if names:
            return ", ".join(map(str, names))
        return gettext("required, not set up yet") if second_factor.required(user) else gettext("none")

    @display(description=_("password"))
    def password_state(self, user: User) -> str:
        invitation = Invitation.objects.filter(user=user).first()
        if invitation is not None:
            until = moment(invitation.expires_at)
            return gettext("invited, until %(until)s") % {"until": until}
        if user.must_change_password:
            return gettext("must be changed at the next sign-in")
        return gettext("set by the user") if user.has_usable_password() else gettext("not set")

    @display(description=_("locked for"))
    def locked_for(self, user: User) -> str:
        return ", ".join(lockout.locked_addresses(user)) or gettext("no address")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Deleting a user deletes the log of the user's changes too. Deactivate the user instead.
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.is_staff = True
        if not change:
            obj.username = obj.email
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if {"is_active", "role", "agency"} & set(form.changed_data) and obj.pk != request.user.pk:
            sessions.end_all(obj)  # what the user may do now holds from the next sign-in on

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.groups.set([Group.objects.get(name=form.cleaned_data["role"])])

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._invite(request, obj)

    # ---------------------------------------------------------------------------------- actions

    def row_views(self) -> dict[str, Any]:
        return {
            "invite": self.invite_view,
            "new-password": self.invite_view,
            "unlock": self.unlock_view,
            "reset-factor": self.reset_factor_view,
            "end-sessions": self.end_sessions_view,
        }

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if not obj.is_active or not self.has_change_permission(request, obj):
            return []
        invited = Invitation.objects.filter(user=obj).exists()
        actions: list[tuple[str, Any, Any]] = [("invite", _("Invite again") if invited else _("Invite"), "")]
        if obj.has_usable_password():
            actions = [
                ("new-password", _("Link for a new password"), _("Make a link for a new password? It is valid once."))
            ]
        if lockout.locked_addresses(obj):
            actions.append(("unlock", _("Unlock"), ""))
        if second_factor.factors(obj).exists():
            actions.append(
                ("reset-factor", _("Remove the second factor"), _("Remove it? Do so only if you know who asks for it."))
            )
        return [*actions, ("end-sessions", _("End all sessions"), "")]

    def _changed(self, request: HttpRequest, object_id: str) -> User:
        """Return the user of an action. Raises Http404 and PermissionDenied."""
        user: User = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, user) or not user.is_active:
            raise PermissionDenied
        return user

    def _done(self, request: HttpRequest, user: User, what: Any) -> HttpResponse:
        self.log_change(request, user, str(what))
        self.message_user(request, what, messages.SUCCESS)
        return self.redirect_to(request, user)

    def _invite(self, request: HttpRequest, user: User) -> HttpResponse:
        invitation, token = invitations.issue(user, request.user)  # type: ignore[arg-type]
        link = links.invitation(request, token)
        if smtp.is_configured() and user.email:
            invitations.send(user, link)
            text = _("A link is on its way to %(address)s.") % {"address": user.email}
            self.message_user(request, text, messages.SUCCESS)
            return self.redirect_to(request, user)
        return self.render_page(
            request,
            "people/invited.html",
            _("Invitation"),
            invited=user,
            plain=link,
            until=invitation.expires_at,
            shown_at=str(self.redirect_to(request, user)["Location"]),
        )

    @method_decorator(require_POST)
    def invite_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self._changed(request, object_id)
        self.log_change(request, user, gettext("invited"))
        return self._invite(request, user)

    @method_decorator(require_POST)
    def unlock_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self._changed(request, object_id)
        lockout.unlock(user)
        return self._done(request, user, _("The user can sign in again."))

    @method_decorator(require_POST)
    def reset_factor_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self._changed(request, object_id)
        second_factor.reset(user)
        return self._done(request, user, _("The second factor is removed."))

    @method_decorator(require_POST)
    def end_sessions_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self._changed(request, object_id)
        sessions.end_all(user)
        return self._done(request, user, _("All sessions of the user have ended."))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        user = self.get_object(request, object_id) if request.method == "GET" else None
        lines = [sessions.line(row, None) for row in sessions.of(user)] if user else []
        by_hand = user and self.has_change_permission(request, user)
        address = reverse("admin:auth_user_password_change", args=(user.pk,)) if by_hand and user else ""
        context = {**(extra_context or {}), "lines": lines, "by_hand": address}
        return super().change_view(request, object_id, form_url, context)


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A line of the list of rules. Its switch is named by the role: the heading of its column is no label."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["second_factor"]
        field.widget.attrs["aria-label"] = f"{self.instance}: {field.label}"


@admin.register(RoleRule)
class RoleRuleAdmin(ScopedAdmin):
    """What is asked of each role when its users sign in."""

    list_display = ("label", "may", "second_factor", "without_factor")
    list_display_links = ("label",)
    list_editable = ("second_factor",)
    fields = ("label", "may", "second_factor")
    readonly_fields = ("label", "may")
    list_per_page = 20

    @display(description=_("role"))
    def label(self, rule: RoleRule) -> Any:
        return roles.label(rule.role)

    @display(description=_("may"))
    def may(self, rule: RoleRule) -> Any:
        return roles.DESCRIPTIONS[rule.role]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return second_factor.with_numbers(super().get_queryset(request))

    @display(description=_("users without one"))
    def without_factor(self, rule: Any) -> int:
        return int(rule.users_without)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": RuleForm, **kwargs})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not obj.second_factor:
            return
        for user in second_factor.without(obj.role):
            sessions.end_all(user, but=request.session.session_key)
        assert isinstance(request.user, User)
        second_factor.note(request.session, request.user)


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
