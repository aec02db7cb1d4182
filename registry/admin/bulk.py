"""Actions on several operations: publish, retire, move to another service. One that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from registry import approvals, tenancy, versions
from registry.admin.base import ScopedAdmin
from registry.admin.theme import select
from registry.admin.versions import warn_of_state
from registry.approvals import ReasonNeeded
from registry.lookups import with_lookups
from registry.models import Operation, OperationVersion, PublishRequest, Service, SnapshotVersion, User

#: Errors that are shown of an action.
SHOWN_ERRORS = 10
#: What an action made of an operation and has logged, None if it has logged nothing yet.
Made = OperationVersion | PublishRequest | None


@dataclass(slots=True)
class Done:
    """What an action has done."""

    #: What each success made.
    made: list[Made] = field(default_factory=list)
    #: Operation → what its author must explain before it can be published.
    questions: dict[int, str] = field(default_factory=dict)


def publish(operation: Operation, user: User, reason: str = "") -> Made:
    """Publish an operation, or take back its deprecation or retirement. Return the version or the publish request.

    Raises ReasonNeeded if it can be published with a reason only, ValidationError if it cannot be.
    """
    if operation.state == Operation.State.DRAFT:
        return approvals.submit(operation, user, reason)
    had_callers = operation.is_callable
    _change(operation, state=Operation.State.PUBLISHED)
    versions.record(operation, user, reason, was_draft=not had_callers)
    return None


def retire(operation: Operation, _user: User) -> None:
    """Retire an operation: callers are refused. Raises ValidationError."""
    _change(operation, state=Operation.State.RETIRED)


def move(operation: Operation, service: Service) -> None:
    """Move an operation to another service of its agency, and so to another address. Raises ValidationError."""
    if operation.service.agency_id != service.agency_id:
        raise ValidationError(_("The service belongs to another agency."))
    _change(operation, service=service)


def _change(operation: Operation, **values: Any) -> None:
    for name, value in values.items():
        setattr(operation, name, value)
    operation.full_clean()
    operation.save()


class MoveForm(forms.Form):
    """The service to which operations are moved."""

    service = forms.ModelChoiceField(queryset=Service.objects.none(), label=_("Target service"), widget=select())

    def __init__(self, services: QuerySet[Service], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["service"].queryset = services  # type: ignore[attr-defined]


def say_published(request: HttpRequest, made: Sequence[Made]) -> None:
    """Tell the user how many operations were published, and how many wait for a second person."""
    requested = sum(isinstance(each, PublishRequest) for each in made)
    published = len(made) - requested
    if requested:
        text = ngettext(
            "%d operation waits for the approval of a second person.",
            "%d operations wait for the approval of a second person.",
            requested,
        )
        messages.warning(request, text % requested)
    if published or not requested:
        text = ngettext("%d operation published.", "%d operations published.", published) % published
        messages.add_message(request, messages.SUCCESS if published else messages.WARNING, text)


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class ReasonPage(_Page):
    """The page that asks for the reason without which operations cannot be published."""

    def ask_reason(self, request: HttpRequest, questions: Sequence[str], **hidden: Any) -> HttpResponse:
        """Return the page. It posts ``reason`` to its own address, with the ``hidden`` lists of values."""
        return self.render_page(
            request, "mantra/publish_reason.html", _("Why are they published?"), questions=questions,
            hidden=[(name, value) for name, values in hidden.items() for value in values],
            max_reason=OperationVersion._meta.get_field("reason").max_length,
        )  # fmt: skip


class BulkActions(ReasonPage):
    """The actions, for the admins of all kinds of operation."""

    actions = ("publish_selected", "retire_selected", "move_selected")

    @admin.action(description=_("Publish selected operations"), permissions=["change"])
    def publish_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Publish operations, or request it where a second person must approve. Ask for reasons that are needed."""
        reason = request.POST.get("reason", "").strip()
        done = self._each(
            request, queryset, lambda row, user: publish(row, user, reason), "state", skip=Operation.State.PUBLISHED
        )
        if done.made or not done.questions:
            say_published(request, done.made)
        if not done.questions:
            return None
        selected = {ACTION_CHECKBOX_NAME: [str(pk) for pk in done.questions]}
        return self.ask_reason(request, list(done.questions.values()), action=["publish_selected"], **selected)

    @admin.action(description=_("Retire selected operations"), permissions=["change"])
    def retire_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        done = len(self._each(request, queryset, retire, "state", skip=Operation.State.RETIRED).made)
        self.message_user(request, ngettext("%d operation retired.", "%d operations retired.", done) % done)
        for operation in queryset.all():
            warn_of_state(request, operation)

    @admin.action(description=_("Move selected operations to a service"), permissions=["change"])
    def move_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask for the service, and then move the operations. Their addresses change."""
        services = tenancy.referable(self.model, "service", request.user).select_related("agency")
        agencies = {operation.service.agency_id for operation in queryset}
        form = MoveForm(services.filter(agency__in=agencies), request.POST if "service" in request.POST else None)
        if not form.is_valid():
            return self.render_page(
                request, "mantra/move_operations.html", _("Move selected operations to a service"), form=form,
                operations=queryset, checkbox=ACTION_CHECKBOX_NAME,
            )  # fmt: skip
        service = form.cleaned_data["service"]
        done = len(self._each(request, queryset, lambda operation, _user: move(operation, service), "service").made)
        self.message_user(request, ngettext("%d operation moved.", "%d operations moved.", done) % done)
        return None

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        act: Callable[[Operation, User], Made],
        column: str,
        skip: str = "",
    ) -> Done:
        """Do something with each operation that the user may change, log it, and show what failed."""
        done, problems = Done(), []
        for operation in self.changeable(request, queryset):
            if skip and operation.state == skip:
                continue
            try:
                done.made.append(with_lookups(lambda row=operation: self._one(request, row, act, column)))  # type: ignore[misc]
            except ReasonNeeded as needed:
                done.questions[operation.pk] = f"{operation}: {' '.join(needed.messages)}"
            except ValidationError as error:
                problems.append(f"{operation}: {' '.join(error.messages)}")
        for problem in problems[:SHOWN_ERRORS]:
            self.message_user(request, problem, messages.ERROR)
        return done

    @transaction.atomic
    def _one(self, request: HttpRequest, operation: Any, act: Callable[[Operation, User], Made], column: str) -> Made:
        """Do something with an operation, and log it. What it needs of a source is looked up outside, then repeated."""
        SnapshotVersion.lock()
        operation.refresh_from_db()
        made = act(operation, request.user)  # type: ignore[arg-type]
        if made is None:
            label = str(self.model._meta.get_field(column).verbose_name)  # type: ignore[union-attr]
            self.log_change(request, operation, [{"changed": {"fields": [label]}}])
        return made
