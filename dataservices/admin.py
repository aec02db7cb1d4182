"""The pages of data services: sources and the operations over them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from adapters import adapter_class, missing_driver
from dataservices import copies, inside
from dataservices.diagnosis import diagnose, is_file
from dataservices.models import DataOperation, DataSource, engines
from registry.admin.base import ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.secrets_form import SecretsForm
from registry.admin.services import FieldInline, OperationAdmin, ParameterInline
from registry.admin.theme import (
    ChoicesDropdownFilter,
    code_area,
    code_block,
    display,
    password_input,
    select,
    text_area,
)


def engine_choices() -> list[tuple[str, str]]:
    """The engines, those without their driver marked."""
    return [(engine, marked(engine)) for engine, _label in engines()]


def marked(engine: str) -> str:
    """An engine's name, and whether its driver is missing."""
    label = adapter_class(engine).label
    missing = gettext("driver missing")
    return f"{label} – {missing}" if missing_driver(engine) else label


def engine_help() -> Any:
    """How to get what is missing, and the options that each engine takes."""
    missing = [(label, missing_driver(engine)) for engine, label in engines() if missing_driver(engine)]
    if not missing:
        return _("The drivers of all these engines are installed.")
    lines = format_html_join("", "<li>{}: <code>{}</code></li>", missing)
    return format_html("{}<ul>{}</ul>", _("Not installed yet. The bus's operators get them so:"), lines)


def options_help() -> Any:
    """The further options that each engine knows."""
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
        _('Further settings of the engine, as in {"sslmode": "require"}.'),
        format_html_join("", "<li>{}: {}</li>", lines),
    )


class SourceForm(SecretsForm):
    places = ("engine", "host", "port")
    #: Options that lead elsewhere, as a host does.
    leading: ClassVar[tuple[str, ...]] = ("dsn", "instance", "service_name", "sid")

    def moved(self) -> bool:
        before, after = self.initial.get("options") or {}, self.cleaned_data.get("options") or {}
        return super().moved() or any(before.get(name) != after.get(name) for name in self.leading)

    def clean_options(self) -> Any:
        # An empty box is no options; the model's default is not asked when a form has the field.
        value = self.cleaned_data.get("options")
        return {} if value is None else value


@admin.register(DataSource)
class DataSourceAdmin(ScopedAdmin):
    form = SourceForm
    change_form_outer_after_template = "mantra/source_after.html"
    list_display = ("code", "agency", "engine_label", "where", "database", "pool_size")
    list_filter = (("agency", ScopedFilter), ("engine", ChoicesDropdownFilter))
    list_select_related = ("agency",)
    search_fields = ("code", "agency__code", "host", "database")
    fieldsets = (
        (None, {"fields": ("agency", "code", "engine")}),
        (_("Where it is"), {"fields": (("host", "port"), "database")}),
        (_("Login"), {"fields": ("user", "password", "wallet_password")}),
        (_("Further settings"), {"fields": ("options", "pool_size")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("password", "wallet_password"):
            kwargs["widget"] = password_input()
        elif db_field.name == "options":
            kwargs["widget"] = code_area(4)
        elif db_field.name == "engine":
            kwargs["widget"] = select()
        found = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "engine":
            found.choices = [("", "---------"), *engine_choices()]
            found.help_text = engine_help()
        elif db_field.name == "options":
            found.help_text = options_help()
        elif db_field.name == "wallet_password":
            found.strip = False
        elif db_field.name == "password":
            found.strip = False
            found.help_text = _("Kept encrypted and never shown again. A user that may only read is best.")
        return found

    @display(description=_("engine"), ordering="engine")
    def engine_label(self, source: DataSource) -> str:
        return marked(source.engine)

    @display(description=_("host"), ordering="host")
    def where(self, source: DataSource) -> str:
        if is_file(source.engine):
            return ""
        return f"{source.host}:{source.port}" if source.host and source.port else source.host

    def row_views(self) -> dict[str, Any]:
        return {"test": self.test, "copies": self.copies, "inside": self.inside}

    def buttons(self, request: HttpRequest, obj: Any) -> list[tuple[str, Any, Any]]:
        if not self.has_change_permission(request, obj):
            return []
        return [("inside", _("Look inside"), ""), ("test", _("Test the connection"), "")]

    @method_decorator(require_POST)
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Connect with what is saved, and say how it went."""
        source = self.one(request, object_id)
        if not self.has_change_permission(request, source):
            raise PermissionDenied
        found = diagnose(source)
        self.message_user(request, found.text, messages.SUCCESS if found.fine else messages.ERROR)
        return self.back(request, source)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        source = kwargs.get("obj")
        if source is not None and source.engine == copies.ENGINE:
            context["copies_address"] = reverse("admin:dataservices_datasource_copies", args=(source.pk,))
        return super().render_change_form(request, context, *args, **kwargs)

    @method_decorator(require_safe)
    def copies(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How far the copies of a dBase source's tables are; the source's page asks for it over and over."""
        source = self.one(request, object_id)
        if source.engine != copies.ENGINE:
            raise Http404
        template = "source_copies.html" if request.headers.get("HX-Request") else "source_copies_page.html"
        context = {"source": source, "address": request.path, **copies.copies(source)}
        return self.page(request, f"mantra/{template}", _("Copies of the tables"), **context)

    def inside(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the source's account sees there. Rows are shown by POST only, and who looked at them is noted."""
        source = self.one(request, object_id)
        if not self.has_change_permission(request, source):
            raise PermissionDenied
        asked = request.POST if request.method == "POST" else request.GET
        context: dict[str, Any] = {"source": source, "own": str(self.back(request, source)["Location"])}
        try:
            found = inside.look(source, asked.get("schema", ""), asked.get("table", ""), "sample" in request.POST)
            context |= {"inside": found, "keys": [(key, inside.KINDS[key.kind]) for key in found.keys]}
            if found.sample is not None:
                name = f"{found.schema}.{found.table}"
                self.log_change(request, source, gettext("Looked at the first rows of %s.") % name)
        except inside.Unseen as why:
            context["trouble"] = str(why)
        return self.page(request, "mantra/inside.html", _("Look inside"), **context)


@admin.register(DataOperation)
class DataOperationAdmin(OperationAdmin):
    list_display = ("address", "title", "state_label", "access", "source", "writes", "updated_at")
    list_filter = (*OperationAdmin.list_filter, ("source", ScopedFilter), "writes")
    list_select_related = ("service__agency", "source__agency")
    inlines = (ParameterInline, FieldInline)
    #: For who only reads: SQL keeps its lines.
    readonly_preprocess_fields: ClassVar[dict[str, Any]] = {"sql": code_block}
    fieldsets = (
        (None, {"fields": (("service", "code"), "title", "description")}),
        (_("Query"), {"fields": ("source", "sql", ("row_cap", "time_cap_ms"), "page_size", "writes")}),
        OperationAdmin.publication,
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "sql":
            kwargs["widget"] = code_area()
        elif db_field.name == "description":
            kwargs["widget"] = text_area()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def choices(self, field: str, rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        return rows.select_related("agency")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """With a parameter for each mark that has none, as the text alone cannot be run."""
        super().save_related(request, form, formsets, change)
        missing = form.instance.declare_missing()
        if missing:
            self.message_user(
                request,
                gettext("Parameters were added for %(names)s: check their types.") % {"names": ", ".join(missing)},
                messages.WARNING,
            )
