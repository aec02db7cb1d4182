"""The page of the outbox."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from registry import tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.theme import ChoicesDropdownFilter, display
from registry.models import OutboxMessage, User
from registry.notifications import mail_is_configured, outbox
from registry.notifications.problems import sentence

STATES = {"waiting": "warning", "sent": "success", "failed": "danger"}


@admin.register(OutboxMessage)
class OutboxAdmin(ScopedAdmin):
    """E-mails with their state, for administrators and supervisors. Their texts and addresses are shown nowhere."""

    list_display = ("event_label", "recipient", "state_label", "created_at", "sent_at", "attempts", "due", "why")
    list_filter = (("state", ChoicesDropdownFilter), ("event", ChoicesDropdownFilter))
    list_select_related = ("user",)
    search_fields = ("user__username", "address")
    fields = ("event_label", "recipient", "state", ("created_at", "sent_at"), ("attempts", "due"), "why")
    readonly_fields = ("event_label", "recipient", "state", "created_at", "sent_at", "attempts", "due", "why")
    list_before_template = "mantra/notifications/outbox_before.html"
    actions = ("send_again", "send_now")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # An invitation and a link for a new password go to an address. It is a user's, but for one that has changed.
        owners = User.objects.filter(email=OuterRef("address")).exclude(email="").order_by("pk").values("username")
        return super().get_queryset(request).annotate(owner=Subquery(owners[:1]))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return tenancy.sees_all_agencies(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return tenancy.sees_all_agencies(request.user)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        return found if tenancy.is_administrator(request.user) else {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        waiting = OutboxMessage.objects.filter(state=OutboxMessage.State.WAITING).exclude(problem="")
        problem = waiting.order_by("due_at", "id").values_list("problem", flat=True).first()
        administers = tenancy.is_administrator(request.user)
        context = {
            "administers": administers,
            "mail_problem": sentence(problem or "" if mail_is_configured() else "not-configured"),
        }
        response: HttpResponse = super().changelist_view(request, {**context, **(extra_context or {})})
        return response

    @display(description=_("event"), ordering="event")
    def event_label(self, row: OutboxMessage) -> str:
        return str(_("daily digest")) if row.event == OutboxMessage.DIGEST else row.get_event_display()

    @display(description=_("recipient"), ordering="user__username")
    def recipient(self, row: Any) -> str:
        return str(row.user or row.owner or _("nobody's address any more"))

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, row: OutboxMessage) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=_("next attempt"), ordering="due_at")
    def due(self, row: OutboxMessage) -> Any:
        return row.due_at if row.state == OutboxMessage.State.WAITING else None

    @display(description=_("problem"))
    def why(self, row: OutboxMessage) -> str:
        return " ".join(part for part in (sentence(row.problem), f"({row.code})" if row.code else "") if part)

    @admin.action(description=_("Send again what failed"))
    def send_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        number = outbox.retry(queryset, timezone.now())
        text = ngettext("%(number)d e-mail waits again.", "%(number)d e-mails wait again.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS if number else messages.WARNING)

    @admin.action(description=_("Try what waits now"))
    def send_now(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        number = outbox.wake(queryset, timezone.now())
        text = ngettext("%(number)d e-mail is tried now.", "%(number)d e-mails are tried now.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)
