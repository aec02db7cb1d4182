"""Actions on several operations: publish, retire, move to another service. One that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable
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

from registry import tenancy, versions
from registry.admin.base import ScopedAdmin
from registry.admin.theme import select
from registry.models import Operation, Service, SnapshotVersion, User

#: Errors that are shown of an action.
SHOWN_ERRORS = 10


def publish(operation: Operation, user: User) -> None:
    """Publish an operation, or take back its deprecation or retirement. Raises ValidationError."""
    if operation.state == Operation.State.DRAFT:
        versions.publish(operation, user)
    else:
        _change(operation, state=Operation.State.PUBLISHED)
        versions.record(operation, user)


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


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class BulkActions(_Page):
    """The actions, for the admins of both kinds of operation."""

    actions = ("publish_selected", "retire_selected", "move_selected")

    @admin.action(description=_("Publish selected operations"), permissions=["change"])
    def publish_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        done = self._each(request, queryset, publish, "state", skip=Operation.State.PUBLISHED)
        self.message_user(request, ngettext("%d operation published.", "%d operations published.", done) % done)

    @admin.action(description=_("Retire selected operations"), permissions=["change"])
    def retire_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        done = self._each(request, queryset, retire, "state", skip=Operation.State.RETIRED)
        self.message_user(request, ngettext("%d operation retired.", "%d operations retired.", done) % done)

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
        done = self._each(request, queryset, lambda operation, _user: move(operation, service), "service")
        self.message_user(request, ngettext("%d operation moved.", "%d operations moved.", done) % done)
        return None

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        act: Callable[[Operation, User], None],
        field: str,
        skip: str = "",
    ) -> int:
        """Do something with each operation that the user may change, and log it. Return the number of successes."""
        done, problems = 0, []
        for operation in self.changeable(request, queryset):
            if skip and operation.state == skip:
                continue
            try:
                with transaction.atomic():
                    SnapshotVersion.lock()
                    act(operation, request.user)  # type: ignore[arg-type]
                    label = str(self.model._meta.get_field(field).verbose_name)  # type: ignore[union-attr]
                    self.log_change(request, operation, [{"changed": {"fields": [label]}}])
            except ValidationError as error:
                problems.append(f"{operation}: {' '.join(error.messages)}")
            else:
                done += 1
        for problem in problems[:SHOWN_ERRORS]:
            self.message_user(request, problem, messages.ERROR)
        return done
