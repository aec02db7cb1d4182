"""The ways from the pages of data operations and uploaded tables to the wizard "Publish data" (mantra/wizard)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from dataservices.builder import from_sql
from registry.admin.base import ScopedAdmin


class _ToWizard(ScopedAdmin):
    """A page with a button that opens its row in the wizard."""

    #: Name of the wizard's address that takes the row, and the button's text.
    wizard_address: ClassVar[str]
    wizard_label: ClassVar[Any]

    def row_views(self) -> dict[str, Any]:
        return {**super().row_views(), "wizard": self.open_in_wizard}

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        actions = super().row_actions(request, obj)
        if self.has_change_permission(request, obj) and self.is_for_wizard(obj):
            actions = [*actions, ("wizard", self.wizard_label, "")]
        return actions

    def is_for_wizard(self, row: Any) -> bool:
        """Return True if the wizard can begin with a row."""
        return True

    @method_decorator(require_POST)
    def open_in_wizard(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send the same request to the wizard."""
        row = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        # 307: the browser repeats the POST there.
        return HttpResponse(status=307, headers={"Location": reverse(self.wizard_address, args=(row.pk,))})


class OperationToWizard(_ToWizard):
    """The page of data operations. The wizard opens those of which it can read the SQL."""

    list_before_template = "mantra/data_list.html"
    wizard_address = "wizard_operation"
    wizard_label = _("Open in the wizard")

    def is_for_wizard(self, row: Any) -> bool:
        return from_sql(row.sql, row.source.engine, row.page_size) is not None


class TableToWizard(_ToWizard):
    """The page of uploaded tables."""

    wizard_address = "wizard_table"
    wizard_label = _("Publish this table")
    next_step = "wizard"
