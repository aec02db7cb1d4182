"""The way from the page of a published operation to the one that proposes its verification (mantra/verification)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from registry.admin.base import ScopedAdmin
from registry.models import Operation

RIGHT = "verification.add_verificationoperation"


class ToVerification(ScopedAdmin):
    """A page of operations with a button for those of which a verification can be made."""

    def row_views(self) -> dict[str, Any]:
        return {**super().row_views(), "verify": self.propose_verification}

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        actions = super().row_actions(request, obj)
        if request.user.has_perm(RIGHT) and self.has_change_permission(request, obj) and can_be_verified(obj):
            actions = [*actions, ("verify", _("Make a verification"), "")]
        return actions

    @method_decorator(require_POST)
    def propose_verification(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to the page that proposes a verification."""
        row = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        return redirect("verification_propose", row.draft_of_id or row.pk)


def can_be_verified(operation: Operation) -> bool:
    """Return True if callers can read records by an operation, and the bus can read them too."""
    return operation.is_callable and operation.limits_fields and not getattr(operation, "writes", False)
