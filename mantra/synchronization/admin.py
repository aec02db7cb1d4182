"""The pages of synchronisations: the list, the two steps of the form, a synchronisation with its runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from mantra.synchronization import choices, runs, schedule
from mantra.synchronization.forms import ChoiceForm, SyncForm, table_value
from mantra.synchronization.models import Sync, SyncRun
from mantra.synchronization.problems import sentence
from registry import notifications, tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.theme import ChoicesDropdownFilter, display

COLOURS = {"done": "success", "failed": "danger", "cancelled": "warning", "waiting": "info", "running": "info"}
_DOTS = {"done": "yes", "failed": "no", "cancelled": "mute", "waiting": "mute", "running": "warn"}
#: Runs on a page, runs of the trend, and seconds between two looks while one is active.
RUNS, TREND, SECONDS = 50, 30, 2
#: The size of the trend's picture, and the width of a run in it.
HEIGHT, WIDTH = 48, 12

_WHAT = {"inserted": _("new"), "updated": _("changed"), "deleted": _("deleted")}


@admin.register(Sync)
class SyncAdmin(ScopedAdmin):
    list_display = ("title", "operation_address", "target_table", "times", "last_run", "next_at")
    list_filter = (("schedule", ChoicesDropdownFilter), "enabled", ("agency", ScopedFilter))
    list_select_related = ("agency", "operation__service__agency", "source")
    search_fields = ("title", "code", "table", "operation__code", "operation__service__code")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        last = SyncRun.objects.filter(sync=OuterRef("pk")).order_by("-created_at", "-id")
        rows = super().get_queryset(request).annotate(last_state=Subquery(last.values("state")[:1]))
        return rows.select_related("agency", "application__agency", "operation__service__agency", "source__agency")

    # ------------------------------------------------------------------------------------- the list

    @display(description=_("operation"), ordering="operation__code")
    def operation_address(self, sync: Sync) -> str:
        return sync.operation.address if sync.operation is not None else "–"

    @display(description=_("table"), ordering="table")
    def target_table(self, sync: Sync) -> str:
        return sync.target

    @display(description=_("when"))
    def times(self, sync: Sync) -> str:
        return times_of(sync)

    @display(description=_("last run"), label=COLOURS)
    def last_run(self, sync: Any) -> tuple[str, Any]:
        state = sync.last_state
        return (state, SyncRun.State(state).label) if state else ("", _("none yet"))

    # ------------------------------------------------------------------------------------- the form

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._edit(request, None)

    def row_views(self) -> dict[str, Any]:
        return {"edit": self.edit, "run": self.run, "dry": self.dry, "full": self.full, "cancel": self.cancel,
                "switch": self.switch}  # fmt: skip

    def edit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the form of a synchronisation, with what is stored."""
        return self._edit(request, self._changeable(request, object_id))

    def _changeable(self, request: HttpRequest, object_id: str) -> Sync:
        sync: Sync = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, sync):
            raise PermissionDenied
        return sync

    def _edit(self, request: HttpRequest, sync: Sync | None) -> HttpResponse:
        initial: dict[str, Any] = {}
        kept = None
        if sync is not None:
            kept = sync.operation
            initial = {
                "agency": str(sync.agency_id), "operation": str(sync.operation_id or ""),
                "application": str(sync.application_id or ""), "source": str(sync.source_id),
                "table": table_value(sync),
            }  # fmt: skip
        # What was chosen is in the address: a reload loses nothing, and nothing is stored before the second step.
        chosen = ChoiceForm(request.user, request.GET if "agency" in request.GET else None, initial, kept)
        title = _("Change synchronisation") if sync is not None else _("New synchronisation")
        # A person sees what there is to choose, also where there is one of each only.
        is_chosen = chosen.is_complete and (sync is not None or "agency" in request.GET)
        if not is_chosen or "again" in request.GET:
            return self.render_page(request, "synchronization/choose.html", title, form=chosen, sync=sync)
        return self._columns(request, chosen, sync, title)

    def _columns(self, request: HttpRequest, chosen: ChoiceForm, sync: Sync | None, title: Any) -> HttpResponse:
        row = self._row(chosen, sync)
        assert row.operation is not None
        assert row.application is not None
        names = choices.fields(row.operation, row.application)
        context: dict[str, Any] = {"sync": sync, "row": row, "chosen": chosen}
        try:
            table = choices.table_columns(row.source, row.schema, row.table)
        except choices.BrowseError as error:
            context["trouble"] = str(error)
            return self.render_page(request, "synchronization/columns.html", title, **context)
        data = request.POST if request.method == "POST" else None
        form = SyncForm(row, names, table, data, runs.gives_changes(row))
        if data is not None and form.is_valid():
            return self._save(request, form, sync)
        context |= {"form": form, "names": names, "key_found": any(line["key"].initial for line in form.lines())}
        response = self.render_page(request, "synchronization/columns.html", title, **context)
        response.status_code = 400 if data is not None else 200
        return response

    def _row(self, chosen: ChoiceForm, sync: Sync | None) -> Sync:
        """Return the row as it will be: nothing is stored yet."""
        row = Sync() if sync is None else Sync.objects.get(pk=sync.pk)
        schema, table = chosen.place
        moved = sync is not None and (
            (sync.operation_id, sync.application_id, sync.source_id, sync.schema, sync.table)
            != (chosen.operation.pk, chosen.application.pk, chosen.source.pk, schema, table)  # type: ignore[union-attr]
        )
        row.agency, row.operation, row.application = chosen.agency, chosen.operation, chosen.application
        row.source, row.schema, row.table = chosen.source, schema, table
        if moved:
            row.cursor, row.last_full_at = "", None
            row.columns = []
        if sync is None:
            assert chosen.operation is not None
            row.title = chosen.operation.title or chosen.operation.code
        return row

    @transaction.atomic
    def _save(self, request: HttpRequest, form: SyncForm, sync: Sync | None) -> HttpResponse:
        row = form.instance
        if sync is not None and (sync.columns, sync.arguments, sync.deletions) != (
            row.columns, row.arguments, row.deletions,
        ):  # fmt: skip
            row.cursor, row.last_full_at = "", None  # the table is to be compared as a whole again
        row.next_at = schedule.next_time(row, timezone.now())
        if not tenancy.may_change(request.user, row):
            raise PermissionDenied
        row.save()
        if sync is None:
            self.log_addition(request, row, [{"added": {}}])
        else:
            self.log_change(request, row, [{"changed": {"fields": []}}])
        self.message_user(request, _("The synchronisation is saved. Try it with a dry run first."), messages.SUCCESS)
        return self.redirect_to(request, row)

    # ------------------------------------------------------------------------------- its page and runs

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        sync: Sync = self.get_or_404(request, object_id)
        context = self._shown(request, sync)
        if request.headers.get("HX-Request"):
            return self.render_page(request, "synchronization/runs.html", sync.title, **context)
        notifications.seen(request.user, request.path)  # type: ignore[arg-type]
        return self.render_page(request, "synchronization/page.html", sync.title, **context)

    def _shown(self, request: HttpRequest, sync: Sync) -> dict[str, Any]:
        found = list(sync.runs.all()[:RUNS])
        active = next((run for run in found if run.is_active), None)
        return {
            "sync": sync,
            "original": sync,
            "lines": [line_of(run) for run in found],
            "active": active,
            "seconds": SECONDS if active else 0,
            "address": request.path,
            "times": times_of(sync),
            "may_change": self.has_change_permission(request, sync),
            "may_delete": self.has_delete_permission(request, sync),
            "trend": trend_of(found),
            "gives_changes": runs.gives_changes(sync),
            "first": not any(run.state == SyncRun.State.DONE and not run.dry for run in found),
        }

    @method_decorator(require_POST)
    def run(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._start(request, object_id, unlimited=bool(request.POST.get("unlimited")))

    @method_decorator(require_POST)
    def dry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._start(request, object_id, dry=True)

    @method_decorator(require_POST)
    def full(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._start(request, object_id, full=True, unlimited=bool(request.POST.get("unlimited")))

    def _start(self, request: HttpRequest, object_id: str, **how: bool) -> HttpResponse:
        sync = self._changeable(request, object_id)
        try:
            runs.start(sync, timezone.now(), user=request.user.get_username(), **how)
        except runs.Busy:
            self.message_user(request, _("A run is active already. Wait until it has ended."), messages.WARNING)
        else:
            self.message_user(request, _("The run begins in a moment."), messages.SUCCESS)
        return self.redirect_to(request, sync)

    @method_decorator(require_POST)
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        sync = self._changeable(request, object_id)
        cancelled = [run for run in sync.runs.filter(state__in=runs.ACTIVE) if runs.cancel(run)]
        if cancelled:
            self.message_user(request, _("The run is cancelled. What it has written stays."), messages.SUCCESS)
        return self.redirect_to(request, sync)

    @method_decorator(require_POST)
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Turn the schedule on or off."""
        sync = self._changeable(request, object_id)
        sync.enabled = not sync.enabled
        sync.next_at = schedule.next_time(sync, timezone.now())
        sync.save(update_fields=["enabled", "next_at", "changed_at"])
        self.log_change(request, sync, [{"changed": {"fields": ["enabled"]}}])
        return self.redirect_to(request, sync)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        if not object_id.isdigit():
            raise Http404
        return super().get_object(request, object_id, from_field)


def times_of(sync: Sync) -> str:
    """Return when a synchronisation runs, as a phrase."""
    if sync.schedule == Sync.Schedule.HAND:
        return gettext("by hand")
    if sync.schedule == Sync.Schedule.MINUTES:
        phrase = ngettext("every minute", "every %(number)d minutes", sync.every_minutes) % {
            "number": sync.every_minutes
        }
    else:
        phrase = gettext("every day at %(hour)02d:00") % {"hour": sync.at_hour}
    return phrase if sync.enabled else gettext("%(times)s (off)") % {"times": phrase}


def line_of(run: SyncRun) -> dict[str, Any]:
    """Return a run as its page shows it."""
    return {
        "run": run,
        "colour": _DOTS[run.state],
        "problem": sentence(run.problem) if run.problem else "",
        "samples": [(_WHAT.get(what, what), key) for what, key in run.samples],
        "history": f"{reverse('admin:registry_callrecord_changelist')}?q={run.request_id}" if run.request_id else "",
        "share": min(100, 100 * run.written // run.changes) if run.changes else 0,
    }


def trend_of(found: list[SyncRun]) -> dict[str, Any] | None:
    """Return a picture of the changes of the last runs, the oldest first; None for fewer than two."""
    ended = [run for run in reversed(found) if run.state == SyncRun.State.DONE and not run.dry][-TREND:]
    if len(ended) < 2:
        return None
    top = max(run.changes for run in ended) or 1
    bars = []
    for place, run in enumerate(ended):
        height = max(1, round(HEIGHT * run.changes / top))
        bars.append({"x": place * WIDTH, "y": HEIGHT - height, "height": height, "changes": run.changes})
    return {"bars": bars, "width": len(ended) * WIDTH, "height": HEIGHT, "bar": WIDTH - 3, "top": top,
            "number": len(ended)}  # fmt: skip
