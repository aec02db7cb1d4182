"""The pages of data sources."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from adapters import adapter_class, missing_driver
from dataservices import copies, schema_browser
from dataservices.connection_test import diagnose, is_file
from dataservices.models import DataOperation, DataSource, engines
from registry.admin.base import Neighbour, ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.secrets_form import SecretsForm
from registry.admin.theme import ChoicesDropdownFilter, code_area, display, password_input, select
from registry.journal import viewing
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


def options_help() -> Any:
    """Return the further options of each engine."""
    base = {field.name for field in DataSource._meta.get_fields()}
    lines = []
    for engine, label in engines():
        known = [(each.name, gettext(each.help)) for each in adapter_class(engine).settings if each.name not in base]
        if known:
            words = [
                format_html("<code>{}</code> ({})" if text else "<code>{}</code>", name, text) for name, text in known
            ]
            lines.append((label, format_html_join("; ", "{}", ((each,) for each in words))))
    return format_html(
        "{}<ul>{}</ul>",
        _('More settings of the engine, for example {"sslmode": "require"}.'),
        format_html_join("", "<li>{}: {}</li>", lines),
    )


def _record_of(source: DataSource, view: schema_browser.SchemaView) -> viewing.View:
    """Return the record of a page of the schema browser: names that the source has, no text of the user."""
    name = f"{view.schema}.{view.table}" if view.table else view.schema
    rows = None if view.sample is None else len(view.sample)
    return viewing.View("browse", source.agency.code, source.code, name, fields=tuple(view.header), rows=rows)


class SourceForm(SecretsForm):
    def clean_options(self) -> Any:
        # An empty field means no options; a form does not use the model's default.
        value = self.cleaned_data.get("options")
        return {} if value is None else value


@admin.register(DataSource)
class DataSourceAdmin(ScopedAdmin):
    form = SourceForm
    change_form_outer_after_template = "mantra/source_after.html"
    list_display = ("code", "agency", "engine_label", "where", "database", "pool_size")
    list_filter = (("agency", ScopedFilter), ("engine", ChoicesDropdownFilter))
    list_select_related = ("agency",)
    autocomplete_fields = ("agency",)
    search_fields = ("code", "agency__code", "host", "database")
    fieldsets = (
        (None, {"fields": ("agency", "code", "engine")}),
        (_("Connection"), {"fields": (("host", "port"), "database")}),
        (_("Login"), {"fields": ("user", "password", "wallet_password")}),
        (_("More settings"), {"fields": ("options", "pool_size")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("password", "wallet_password"):
            kwargs["widget"] = password_input()
        elif db_field.name == "options":
            kwargs["widget"] = code_area(4)
        elif db_field.name == "engine":
            kwargs["widget"] = select()
        form_field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "engine":
            form_field.choices = [("", "---------"), *engine_choices()]
            form_field.help_text = engine_help()
        elif db_field.name == "options":
            form_field.help_text = options_help()
        elif db_field.name == "wallet_password":
            form_field.strip = False
        elif db_field.name == "password":
            form_field.strip = False
            form_field.help_text = _(
                "Stored encrypted and never shown again. Use a user with read-only rights if you can."
            )
        return form_field

    @display(description=_("engine"), ordering="engine")
    def engine_label(self, source: DataSource) -> str:
        return marked(source.engine)

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
            if view.sample is not None:
                name = f"{view.schema}.{view.table}"
                self.log_change(request, source, gettext("Viewed the first rows of %s.") % name)
        except schema_browser.BrowseError as error:
            context["error"] = str(error)
        except Fault as fault:
            context["error"] = fault.message(get_language() or "id")
        return self.render_page(request, "mantra/schema_browser.html", _("Browse schema"), **context)
