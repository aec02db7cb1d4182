"""The pages of data sources."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from adapters import ADAPTERS, adapter_class, missing_driver
from dataservices import copies, schema_browser
from dataservices.admin import source_form
from dataservices.connection_test import Diagnosis, diagnose, is_file, test_unsaved
from dataservices.models import DataOperation, DataSource, engines
from registry import tenancy
from registry.admin.base import Neighbour, ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.theme import ChoicesDropdownFilter, display, password_input, select
from registry.journal import viewing
from registry.models import Field
from registry.results import Fault


def engine_choices() -> list[tuple[str, str]]:
    """Return the engines; those without their driver are marked."""
    return [(engine, marked(engine)) for engine, _label in engines()]


def marked(engine: str) -> str:
    """Return an engine's name, and whether its driver is missing."""
    label = adapter_class(engine).label
    missing = gettext("driver missing")
    return f"{label} – {missing}" if missing_driver(engine) else label


def engine_help() -> Any:
    """Return how to install the drivers that are missing."""
    missing = [(label, missing_driver(engine)) for engine, label in engines() if missing_driver(engine)]
    if not missing:
        return _("The drivers of all these engines are installed.")
    lines = format_html_join("", "<li>{}: <code>{}</code></li>", missing)
    return format_html("{}<ul>{}</ul>", _("Not installed. The operator installs them with:"), lines)


def _record_of(source: DataSource, view: schema_browser.SchemaView) -> viewing.View:
    """Return the record of a page of the schema browser: names that the source has, no text of the user."""
    name = f"{view.schema}.{view.table}" if view.table else view.schema
    rows = None if view.sample is None else len(view.sample)
    return viewing.View("browse", source.agency.code, source.code, name, fields=tuple(view.header), rows=rows)


@admin.register(DataSource)
class DataSourceAdmin(ScopedAdmin):
    change_form_after_template = "mantra/source_test.html"
    change_form_outer_after_template = "mantra/source_after.html"
    list_display = ("code", "agency", "engine_label", "where", "database_label", "pool_size")
    statistics_page = "statistics_source"
    list_filter = (("agency", ScopedFilter), ("engine", ChoicesDropdownFilter))
    list_select_related = ("agency",)
    autocomplete_fields = ("agency",)
    search_fields = ("code", "agency__code", "host", "database")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("password", "wallet_password"):
            kwargs["widget"] = password_input()
        elif db_field.name == "engine":
            kwargs["widget"] = select()
        form_field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "wallet_password":
            form_field.strip = False
        elif db_field.name == "password":
            form_field.strip = False
            form_field.help_text = _(
                "Stored encrypted and never shown again. Use a user with read-only rights if you can."
            )
        return form_field

    # ------------------------------------------------------------------------------- by engine

    @staticmethod
    def _engine(request: HttpRequest, source: DataSource | None) -> str:
        """Return the engine of the form: as posted, as chosen, or as stored. "" if none was chosen yet."""
        chosen = request.POST.get("engine", "") or request.GET.get("engine", "") or (source.engine if source else "")
        return chosen if chosen in ADAPTERS else ""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        engine = self._engine(request, obj)
        if not engine or not (self.has_change_permission(request, obj) or self.has_add_permission(request)):
            return source_form.viewed_fieldsets()
        return source_form.fieldsets(engine)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        engine = self._engine(request, obj)
        form = super().get_form(request, obj, change, **{"form": source_form.form_class(engine), **kwargs})
        form.outcome = getattr(request, "connection_test", None)  # type: ignore[attr-defined]  # a class of its own
        if engine and "engine" in form.base_fields:
            form.base_fields["engine"].choices = [(engine, marked(engine))]  # type: ignore[attr-defined]
            form.base_fields["engine"].initial = engine
            form.base_fields["engine"].help_text = format_html('<a href="?engine=">{}</a>', _("Choose another engine"))
        return form

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        choosing = object_id is None or (request.method == "GET" and "engine" in request.GET)
        if choosing and not self._engine(request, None) and self.has_add_permission(request):
            context = {"engines": engine_choices(), "help": engine_help()}
            return self.render_page(request, "mantra/source_engines.html", _("Choose the engine"), **context)
        if request.method == "POST":
            # Before the transaction, in which all other changes of the registry would wait for the source.
            request.connection_test = self._test_posted(request, object_id)  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, *args, **kwargs)

    def _posted_form(self, request: HttpRequest, object_id: str | None) -> source_form.SourceForm | None:
        """Return the form that was posted, None for users who may not save it."""
        source = self.get_object(request, object_id) if object_id else None
        if object_id and (source is None or not self.has_change_permission(request, source)):
            return None
        if (not object_id and not self.has_add_permission(request)) or not self._engine(request, None):
            return None
        form: source_form.SourceForm = self.get_form(request, source, change=bool(object_id))(
            request.POST, instance=source
        )
        return form

    def _test_posted(self, request: HttpRequest, object_id: str | None) -> Diagnosis | None:
        """Test the connection of a form that can be saved. Return None if it is the one that is stored."""
        form = self._posted_form(request, object_id)
        if form is None or not form.is_valid() or not form.connection_changed:
            return None
        return test_unsaved(form.instance) if tenancy.may_change(request.user, form.instance) else None

    @display(description=_("engine"), ordering="engine")
    def engine_label(self, source: DataSource) -> str:
        return gettext("Uploaded tables") if source.holds_uploads else marked(source.engine)

    @display(description=_("database"), ordering="database")
    def database_label(self, source: DataSource) -> str:
        return "" if source.holds_uploads else source.database

    @display(description=_("host"), ordering="host")
    def where(self, source: DataSource) -> str:
        if is_file(source.engine):
            return ""
        return f"{source.host}:{source.port}" if source.host and source.port else source.host

    def neighbours(self, request: HttpRequest, obj: Any) -> list[Neighbour]:
        return [Neighbour(_("Operations"), DataOperation, {"source__id__exact": obj.pk}, obj.data_operations.listed())]

    def row_views(self) -> dict[str, Any]:
        return {"test": self.test, "copies": self.copies, "inside": self.browse_schema}

    def row_actions(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if not self.has_change_permission(request, obj):
            return []
        return [("inside", _("Browse schema"), ""), ("test", _("Test connection"), "")]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test_unsaved)
        own = [path("test-unsaved/", view, name="dataservices_datasource_test-unsaved")]
        return own + super().get_urls()

    @method_decorator(require_POST)
    def test_unsaved(self, request: HttpRequest) -> HttpResponse:
        """Connect with the values of the form, and show the outcome. Nothing is saved."""
        form = self._posted_form(request, request.POST.get("_source") or None)
        if form is None:
            raise PermissionDenied
        context: dict[str, Any] = {"form": form}
        if form.is_valid():
            if not tenancy.may_change(request.user, form.instance):
                raise PermissionDenied
            context["outcome"] = test_unsaved(form.instance)
        alone = not request.headers.get("HX-Request")
        template = "mantra/source_test_page.html" if alone else "mantra/source_test_result.html"
        return self.render_page(request, template, _("Test connection"), **context)

    @method_decorator(require_POST)
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Connect with the saved settings, and show the outcome."""
        source = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, source):
            raise PermissionDenied
        outcome = diagnose(source)
        self.message_user(request, outcome.text, messages.SUCCESS if outcome.succeeded else messages.ERROR)
        return self.redirect_to(request, source)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        source = kwargs.get("obj")
        if source is not None and source.engine == copies.ENGINE:
            context["copies_address"] = reverse("admin:dataservices_datasource_copies", args=(source.pk,))
        return super().render_change_form(request, context, *args, **kwargs)

    @method_decorator(require_safe)
    def copies(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the state of the copies of a dBase source's tables; the source's page polls it."""
        source = self.get_or_404(request, object_id)
        if source.engine != copies.ENGINE:
            raise Http404
        template = "source_copies.html" if request.headers.get("HX-Request") else "source_copies_page.html"
        context = {"source": source, "address": request.path, **copies.copies(source)}
        return self.render_page(request, f"mantra/{template}", _("Table copies"), **context)

    @viewing.shows("browse")
    def browse_schema(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the source's account sees there, if the journal can record it. Rows are shown by POST only."""
        source = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, source):
            raise PermissionDenied
        data = request.POST if request.method == "POST" else request.GET
        context: dict[str, Any] = {"source": source, "back_url": str(self.redirect_to(request, source)["Location"])}
        try:
            view = schema_browser.browse(
                source, data.get("schema", ""), data.get("table", ""), "sample" in request.POST
            )
            viewing.record(request, _record_of(source, view))
            context |= {"view": view, "keys": [(key, schema_browser.KINDS[key.kind]) for key in view.keys]}
            types = dict(Field.Type.choices)
            context["columns"] = [(column, types.get(column.kind or "", "")) for column in view.columns]
            if view.sample is not None:
                name = f"{view.schema}.{view.table}"
                self.log_change(request, source, gettext("Viewed the first rows of %s.") % name)
        except schema_browser.BrowseError as error:
            context["error"] = str(error)
        except Fault as fault:
            context["error"] = fault.message(get_language() or "id")
        return self.render_page(request, "mantra/schema_browser.html", _("Browse schema"), **context)
