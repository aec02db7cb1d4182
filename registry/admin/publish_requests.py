"""Pages of publish requests: what waits for a second person, and what was decided."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from registry import approvals, publishing, versions
from registry.admin.base import ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.theme import ChoicesDropdownFilter, capitalise_labels, display, text_area
from registry.lookups import with_lookups
from registry.models import PublishRequest, bounds

STATES = {"waiting": "warning", "approved": "success", "rejected": "danger", "withdrawn": "info"}


class DecisionForm(forms.Form):
    """A decision: its reason, which a rejection needs."""

    reason = forms.CharField(
        label=_("reason"),
        required=False,
        max_length=bounds.REASON,
        widget=text_area(2),
        help_text=_("Required if you reject. The history keeps it."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)


@admin.register(PublishRequest)
class PublishRequestAdmin(ScopedAdmin):
    list_display = ("address", "state_label", "requested_by", "requested_at", "decided_by", "decided_at")
    list_filter = (("state", ChoicesDropdownFilter), ("operation__service__agency", ScopedFilter))
    list_select_related = ("operation__service__agency", "requested_by", "decided_by")
    search_fields = ("operation__code", "operation__service__code", "operation__service__agency__code")
    fields = (
        "state", ("author", "requested_at"), "reason", "change_note", ("decider", "decided_at"), "decision_reason",
    )  # fmt: skip
    readonly_fields = (
        "state", "author", "requested_at", "reason", "change_note", "decider", "decided_at", "decision_reason",
    )  # fmt: skip
    change_form_outer_before_template = "mantra/publish_request_before.html"
    change_form_outer_after_template = "mantra/publish_request.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the requests about the kinds of operation that the user may view, those that wait first."""
        kinds = approvals.viewed_kinds(request.user)
        return super().get_queryset(request).filter(operation__kind__in=kinds)

    @display(description=_("operation"), ordering="operation__code")
    def address(self, request: PublishRequest) -> str:
        return request.operation.address

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, request: PublishRequest) -> tuple[str, str]:
        return request.state, request.get_state_display()

    # As text: the pages of users are the administrators'.

    @display(description=_("requested by"))
    def author(self, request: PublishRequest) -> str:
        return str(request.requested_by)

    @display(description=_("decided by"))
    def decider(self, request: PublishRequest) -> str:
        return str(request.decided_by or "–")

    # ------------------------------------------------------------------------------------ the page

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context.update(self._shown(request, kwargs["obj"]))
        return super().render_change_form(request, context, *args, **kwargs)

    def _shown(self, request: HttpRequest, asked: PublishRequest) -> dict[str, Any]:
        """Return what the template shows of a request."""
        operation = asked.operation.of_its_kind
        shown: dict[str, Any] = {
            "operation_address": reverse(
                f"admin:{operation._meta.app_label}_{operation._meta.model_name}_change", args=(operation.pk,)
            ),
            "request_operation": operation,
            "is_waiting": asked.is_waiting,
            "is_current": approvals.is_current(asked),
            "may_decide": asked.is_waiting and approvals.may_decide(request.user, asked),
            "may_withdraw": approvals.may_withdraw(request.user, asked),
            "decision_form": DecisionForm(),
            "decide_address": reverse("admin:registry_publishrequest_decide", args=(asked.pk,)),
        }
        return shown | self._differences(asked) if shown["is_current"] else shown

    def _differences(self, asked: PublishRequest) -> dict[str, Any]:
        """Return what callers get now and what they would get."""
        row = approvals.row_of(asked)
        published = asked.operation.of_its_kind
        old = versions.definition(published) if row.pk != published.pk else None
        new = versions.definition(row)
        before = publishing.publication(row.kind, old) if old is not None else None
        after = publishing.publication(row.kind, new)
        return {
            "sections": versions.compare(versions.kind_of(row), old, new),
            "personal": after.labels(after.personal),
            "widenings": publishing.widenings(before, after) if before is not None else [],
            "is_first": before is None,
        }

    # ------------------------------------------------------------------------------------ decisions

    def row_views(self) -> dict[str, Any]:
        return {"decide": self.decide}

    @method_decorator(require_POST)
    def decide(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the step that the pressed button names, and return to the request's page with its outcome."""
        asked = self.get_or_404(request, object_id)
        step = {"approve": self._approve, "reject": self._reject, "withdraw": self._withdraw}.get(
            request.POST.get("decision", "")
        )
        if step is None:
            raise PermissionDenied
        form = DecisionForm(request.POST)
        try:
            if not form.is_valid():
                raise ValidationError(list(form.errors["reason"]))
            level, text = with_lookups(lambda: step(request.user, asked, form.cleaned_data["reason"]))
        except ValidationError as error:
            level, text = messages.ERROR, " ".join(error.messages)
        self.message_user(request, text, level)
        return self.redirect_to(request, asked)

    def _approve(self, user: Any, asked: PublishRequest, reason: str) -> tuple[int, Any]:
        version = approvals.approve(asked, user, reason)
        if version is None:
            return messages.ERROR, _("The draft has changed: the request no longer counts. Nothing was published.")
        return messages.SUCCESS, _("Published as v%(number)d.") % {"number": version.number}

    def _reject(self, user: Any, asked: PublishRequest, reason: str) -> tuple[int, Any]:
        approvals.reject(asked, user, reason)
        return messages.SUCCESS, _("Rejected. The draft stays as it is.")

    def _withdraw(self, user: Any, asked: PublishRequest, _reason: str) -> tuple[int, Any]:
        approvals.withdraw(asked, user)
        return messages.SUCCESS, _("The request is withdrawn.")
