"""The page of an operation: its tabs, and the parts that are read when their tab is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from registry import tenancy
from registry.admin.base import ScopedAdmin, listed
from registry.models import CallRecord, Grant, Operation

#: Rows of a part. The links above it lead to all of them.
PART_ROWS = 20


@dataclass
class Tab:
    """A tab, with what of the form is on it, or the template of what is not in the form."""

    word: str
    title: Any
    template: str = ""
    address: str = ""
    count: int | None = None
    errors: int = 0
    fieldsets: list[Any] = field(default_factory=list)
    inlines: list[Any] = field(default_factory=list)

    def add_fieldset(self, fieldset: Any) -> None:
        self.fieldsets.append(fieldset)
        self.errors += sum(bool(not each.is_readonly and each.errors()) for line in fieldset for each in line)

    def add_inline(self, inline: Any) -> None:
        self.inlines.append(inline)
        self.errors += inline.formset.total_error_count()
        if len(self.inlines) == 1 and not self.fieldsets:
            self.count = inline.formset.initial_form_count()


def on_tab(word: str, *classes: str) -> tuple[str, ...]:
    """Return the classes of a fieldset that belongs to a tab. Those of the first tab need none."""
    return (f"mantra-on-{word}", *classes)


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class OperationPage(_Page):
    """The tabs and their parts, for the admins of all kinds of operation."""

    change_form_template = "mantra/operation_form.html"
    change_form_outer_after_template = ""

    def form_tabs(self) -> list[Tab]:
        """Return the tabs that the form is on."""
        return [
            Tab("query", _("Query"), "mantra/operation_query.html"),
            Tab("parameters", _("Parameters")),
            Tab("columns", _("Columns")),
            Tab("access", _("Access")),
        ]

    def tabs(self, request: HttpRequest, context: dict[str, Any], operation: Operation | None) -> list[Tab]:
        """Return the page's tabs. A new operation has those only that its form is on."""
        form_tabs = self.form_tabs()
        by_word = {tab.word: tab for tab in form_tabs}
        for fieldset in context["adminform"]:
            word = next((name[10:] for name in fieldset.classes.split() if name.startswith("mantra-on-")), "query")
            by_word[word].add_fieldset(fieldset)
        for inline in context["inline_admin_formsets"]:
            by_word[getattr(inline.opts, "on_tab", "query")].add_inline(inline)
        return form_tabs if operation is None else [*form_tabs, *self._parts(request, operation)]

    def _parts(self, request: HttpRequest, operation: Operation) -> Iterator[Tab]:
        titles = {"callers": _("Callers"), "calls": _("Calls"), "history": _("History")}
        for word, right in (("callers", "registry.view_grant"), ("calls", "registry.view_callrecord"), ("history", "")):
            if not right or request.user.has_perm(right):
                yield Tab(word, titles[word], "mantra/operation_part.html", self._part_address(word, operation))

    def _part_address(self, word: str, operation: Operation) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{word}", args=(operation.pk,))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["tabs"] = self.tabs(request, context, kwargs.get("obj"))
        return super().render_change_form(request, context, *args, **kwargs)

    # ---------------------------------------------------------------------------------------- parts

    def row_views(self) -> dict[str, Any]:
        return {**super().row_views(), "callers": self.callers, "calls": self.calls}

    @method_decorator(require_safe)
    def callers(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show who may call an operation."""
        operation = self._viewed(request, object_id, "registry.view_grant")
        grants = tenancy.visible(Grant.objects.filter(operation=operation.pk), request.user)
        grants = grants.select_related("application__agency").order_by("application__agency__code", "application__code")
        links = [(_("All grants of this operation"), listed(Grant, operation__id__exact=operation.pk))]
        if request.user.has_perm("registry.add_grant"):
            links.insert(0, (_("Add grant"), f"{reverse('admin:registry_grant_add')}?operation={operation.pk}"))
        rows = [(grant, reverse("admin:registry_grant_change", args=(grant.pk,))) for grant in grants[:PART_ROWS]]
        return self._part(request, operation, "callers", links=links, grants=rows)

    @method_decorator(require_safe)
    def calls(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the last calls of an operation. They are found by an index, and not counted."""
        operation = self._viewed(request, object_id, "registry.view_callrecord")
        records = tenancy.visible(CallRecord.objects.filter(operation_ref=operation.pk), request.user)
        page: Any = self.admin_site.get_model_admin(CallRecord)
        rows = [
            {
                "address": reverse("admin:registry_callrecord_change", args=(record.pk,)),
                "moment": page.moment(record),
                "outcome": page.outcome_text(record),
                "who": page.who(record),
                "rows": record.rows,
                "duration": page.duration(record),
            }
            for record in records.order_by("-started_at", "-id")[:PART_ROWS]
        ]
        links = [
            (_("Statistics"), reverse("statistics_operation", args=(operation.pk,))),
            (_("All calls of this operation"), listed(CallRecord, of_operation=operation.address)),
        ]
        return self._part(request, operation, "calls", links=links, calls=rows)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the last changes for the page's tab, and all of them on a page of their own."""
        if not request.headers.get("HX-Request"):
            return super().history_view(request, object_id, extra_context)
        operation = self._viewed(request, object_id)
        kind = ContentType.objects.get_for_model(self.model)
        entries = LogEntry.objects.filter(content_type=kind, object_id=str(operation.pk)).select_related("user")
        links = [(_("All changes"), request.path)]
        return self._part(
            request, operation, "history", links=links, entries=entries.order_by("-action_time", "-id")[:PART_ROWS]
        )

    def _viewed(self, request: HttpRequest, object_id: str, right: str = "") -> Any:
        operation = self.get_or_404(request, object_id)
        if right and not request.user.has_perm(right):
            raise PermissionDenied
        return operation

    def _part(self, request: HttpRequest, operation: Operation, word: str, **context: Any) -> HttpResponse:
        part = f"mantra/operation_{word}.html"
        template = part if request.headers.get("HX-Request") else "mantra/operation_part_page.html"
        titles = {"callers": _("Callers"), "calls": _("Calls"), "history": _("History")}
        own = str(self.redirect_to(request, operation)["Location"])
        return self.render_page(request, template, titles[word], operation=operation, part=part, own=own, **context)
