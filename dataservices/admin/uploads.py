"""The pages of uploaded tables: upload, preview, make, replace, bring back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from dataservices import uploads
from dataservices.admin.wizard import TableToWizard
from dataservices.models import DataSource, UploadedTable
from dataservices.uploads import Choices, ColumnChoice, Layout, Preview, UploadError
from registry import tenancy
from registry.admin.filters import ScopedFilter
from registry.admin.theme import capitalise_labels, display, file_input, select, text_input
from registry.journal import viewing
from registry.models import Agency, User

_ACCEPT = ".xlsx,.xlsb,.xls,.ods,.csv,.tsv,.txt"
#: Values of a column that the preview shows beside its type.
_EXAMPLES = 3


class FileForm(forms.Form):
    """A file."""

    file = forms.FileField(label=_("Excel or CSV file"), widget=file_input(_ACCEPT, many=False))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)


class UploadForm(FileForm):
    """A file, and the agency to which its table will belong."""

    agency: Any = forms.ModelChoiceField(None, label=_("agency"))
    field_order = ("agency", "file")

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agency"] = forms.ModelChoiceField(agencies(user), label=_("agency"), widget=select())
        if not tenancy.sees_all_agencies(user):
            # There is one only: nothing to choose.
            self.fields["agency"].widget = forms.HiddenInput()
            self.fields["agency"].initial = user.agency_id
        capitalise_labels(self)


class TableForm(forms.Form):
    """How a table is called."""

    title = forms.CharField(label=_("title"), max_length=200, widget=text_input())
    name = forms.CharField(
        label=_("name in SQL"),
        max_length=63,
        required=False,
        widget=text_input(),
        help_text=_("Keep empty: it is made from the title."),
    )
    note = forms.CharField(label=_("note"), max_length=500, required=False, widget=text_input())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)


class LayoutForm(forms.Form):
    """Which sheet, and which of its rows are what."""

    sheet: Any = forms.ChoiceField(label=_("sheet"), required=False)
    header_row = forms.IntegerField(
        label=_("header row"), min_value=0, max_value=1000, widget=text_input(inputmode="numeric"),
        help_text=_("The row with the names of the columns; 0 if there is none."),
    )  # fmt: skip
    header_lines = forms.IntegerField(
        label=_("lines of the header"), min_value=1, max_value=4, widget=text_input(inputmode="numeric")
    )
    skip_last = forms.IntegerField(
        label=_("rows left out at the end"), min_value=0, max_value=1000, widget=text_input(inputmode="numeric"),
        help_text=_("Totals and remarks below the data."),
    )  # fmt: skip

    def __init__(self, preview: Preview, data: Any = None) -> None:
        found = preview.found
        initial = {
            "sheet": found.sheet,
            "header_row": found.layout.header_row,
            "header_lines": max(found.layout.header_lines, 1),
            "skip_last": found.layout.skip_last,
        }
        super().__init__(data, initial=initial)
        hidden = gettext("hidden")
        names = [(each.name, f"{each.name} ({hidden})" if each.hidden else each.name) for each in found.sheets]
        if len(names) > 1:
            self.fields["sheet"] = forms.ChoiceField(label=_("sheet"), choices=names, widget=select(names))
        else:
            del self.fields["sheet"]
        capitalise_labels(self)

    def again(self, preview: Preview) -> Preview:
        """Return the preview of what was chosen. Another sheet gets the layout that it seems to have."""
        values = self.cleaned_data
        sheet = values.get("sheet", "")
        if sheet and sheet != preview.found.sheet:
            return uploads.look_again(preview, sheet)
        lines = values["header_lines"] if values["header_row"] else 0
        return uploads.look_again(preview, layout=Layout(values["header_row"], lines, values["skip_last"]))


def _record(request: HttpRequest, agency: Agency, preview: Preview) -> None:
    """Record that the user sees the first rows of a file, without its name, which may be a person's. Raises Fault."""
    columns = tuple(column.name for column in preview.columns)
    rows = len(preview.found.sample)
    viewing.record(request, viewing.View("upload", agency.code, "", fields=columns, rows=rows))


def agencies(user: Any) -> Any:
    """Return the agencies for which a user may upload."""
    rows = tenancy.referable(DataSource, "agency", user)
    return rows if tenancy.is_administrator(user) else rows.filter(pk=user.agency_id)


def column_rows(preview: Preview, posted: QueryDict | None = None) -> list[dict[str, Any]]:
    """Return the columns for the preview's table, with what the user has chosen so far."""
    personal, sample = preview.personal(), preview.masked(preview.found.sample)
    rows = []
    for place, column in enumerate(preview.columns):
        finding = personal.get(column.index)
        values = [row[place] for row in sample if row[place]]
        rows.append({
            "index": column.index, "header": column.header, "filled": column.filled,
            "kinds": uploads.fitting_kinds(column), "examples": list(dict.fromkeys(values))[:_EXAMPLES],
            "notes": uploads.column_notes(column, finding), "personal": finding,
            "name": posted.get(f"name-{column.index}", column.name) if posted else column.name,
            "kind": posted.get(f"kind-{column.index}", column.kind) if posted else column.kind,
            "included": f"include-{column.index}" in posted if posted else True,
        })  # fmt: skip
    return rows


def choices_of(preview: Preview, form: TableForm, posted: QueryDict) -> Choices:
    columns = {
        column.index: ColumnChoice(
            posted.get(f"name-{column.index}", "").strip(),
            posted.get(f"kind-{column.index}", ""),
            left_out=f"include-{column.index}" not in posted,
        )
        for column in preview.columns
    }
    values = form.cleaned_data
    return Choices(values["title"], values["name"], columns, values["note"])


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """Show a model's errors at the form's fields, others above them."""
    details = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    for name, texts in details.items():
        for text in texts:
            form.add_error(name if name in form.fields else None, text)


@admin.register(UploadedTable)
class UploadedTableAdmin(TableToWizard):
    list_before_template = "mantra/upload_list.html"
    change_form_outer_after_template = "mantra/upload_after.html"
    list_display = ("title", "name", "agency", "rows", "version", "since")
    list_filter = (("source__agency", ScopedFilter),)
    list_select_related = ("source__agency", "current")
    search_fields = ("title", "name", "source__agency__code")
    fieldsets = ((None, {"fields": ("title", "name", "source")}),)
    readonly_fields = ("name", "source")

    @display(description=_("agency"), ordering="source__agency__code")
    def agency(self, table: UploadedTable) -> str:
        return table.source.agency.code

    @display(description=_("rows"), ordering="current__rows")
    def rows(self, table: UploadedTable) -> Any:
        return table.current.rows if table.current else ""

    @display(description=_("version"), ordering="current__number")
    def version(self, table: UploadedTable) -> Any:
        return table.current.number if table.current else ""

    @display(description=_("uploaded"), ordering="current__created_at")
    def since(self, table: UploadedTable) -> Any:
        return table.current.created_at if table.current else None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        name = "dataservices_uploadedtable_preview"
        return [path("preview/<int:agency>/<str:token>/", view, name=name), *super().get_urls()]

    def row_views(self) -> dict[str, Any]:
        return {**super().row_views(), "replace": self.replace_view, "bring-back": self.bring_back_view}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        uploads.sweep()
        more = {"may_upload": self.has_add_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    # ------------------------------------------------------------------------------------ making

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """GET: the form. POST: store the file and go to its preview."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.user, request.POST or None, request.FILES or None)
        if form.is_valid():
            agency, file = form.cleaned_data["agency"], form.cleaned_data["file"]
            self._check_agency(request, agency)
            try:
                preview = uploads.inspect(agency, file.name, file.chunks())
            except UploadError as error:
                form.add_error("file", str(error))
            else:
                return redirect("admin:dataservices_uploadedtable_preview", agency.pk, preview.token)
        return self.render_page(request, "mantra/upload.html", _("Upload a file"), form=form)

    def _check_agency(self, request: HttpRequest, agency: Agency) -> None:
        if not tenancy.may_change(request.user, DataSource(agency=agency)):
            raise PermissionDenied

    @viewing.shows("upload")
    def preview_view(self, request: HttpRequest, agency: int, token: str) -> HttpResponse:
        """GET: what the file has. POST: look again at another sheet or header, or make the table."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        owner = agencies(request.user).filter(pk=agency).first()
        if owner is None:
            raise Http404
        self._check_agency(request, owner)
        try:
            preview = uploads.reopen(owner, token)
        except UploadError as error:
            self.message_user(request, str(error), messages.ERROR)
            return redirect("admin:dataservices_uploadedtable_add")
        return self._previewed(request, owner, preview)

    def _previewed(self, request: HttpRequest, agency: Agency, preview: Preview) -> HttpResponse:
        looks = "look" in request.POST
        layout = LayoutForm(preview, request.POST if looks else None)
        if looks and layout.is_valid():
            try:
                layout = LayoutForm(preview := layout.again(preview))
            except UploadError as error:
                layout.add_error(None, str(error))
        stem = preview.file.name.rpartition(".")[0] or preview.file.name
        form = TableForm(request.POST if request.method == "POST" else None, initial={"title": stem[:200]})
        if request.method == "POST" and not looks and form.is_valid():
            made = self._make(request, agency, preview, form)
            if made is not None:
                return made
        if looks:
            form = TableForm(initial={name: request.POST.get(name, "") for name in ("title", "name", "note")})
        _record(request, agency, preview)
        context = {"layout": layout, "form": form, **self._preview_context(preview)}
        context["columns"] = column_rows(preview, request.POST if request.method == "POST" and not looks else None)
        return self.render_page(request, "mantra/upload_preview.html", _("Check the table"), **context)

    def _preview_context(self, preview: Preview) -> dict[str, Any]:
        found = preview.found
        return {
            "preview": preview, "found": found, "notes": preview.notes(), "sample": preview.masked(found.sample),
            "last_lines": preview.masked(found.last_lines), "is_masked": bool(preview.personal()),
        }  # fmt: skip

    def _make(self, request: HttpRequest, agency: Agency, preview: Preview, form: TableForm) -> HttpResponse | None:
        """Make the table and go to its page. None if it is refused: the form has the errors then."""
        assert isinstance(request.user, User)
        try:
            source, name = uploads.create_table(
                agency, preview, choices_of(preview, form, request.POST), request.user
            )  # fmt: skip
        except UploadError as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            add_errors(form, error)
        else:
            table = UploadedTable.objects.get(source=source, name=name)
            self._say_rows(request, gettext("The table was made."), table)
            return self.redirect_to(request, table)
        return None

    def _say_rows(self, request: HttpRequest, text: str, table: UploadedTable) -> None:
        rows = table.current.rows if table.current else 0
        counted = ngettext("It has %d row.", "It has %d rows.", rows) % rows
        self.message_user(request, f"{text} {counted}", messages.SUCCESS)

    # --------------------------------------------------------------------------------- replacing

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        table = kwargs.get("obj")
        if table is not None:
            may_change = self.has_change_permission(request, table)
            context |= {
                "table": table,
                "table_columns": uploads.columns_of(table),
                "left_out": [column["header"] for column in table.columns if column["left_out"]],
                "table_versions": table.versions.all(),
                "file_form": FileForm() if may_change else None,
                "operations": table.used_by(),
                "replace_address": reverse("admin:dataservices_uploadedtable_replace", args=(table.pk,)),
                "bring_back_address": reverse("admin:dataservices_uploadedtable_bring-back", args=(table.pk,)),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def _changeable(self, request: HttpRequest, object_id: str) -> UploadedTable:
        table = self.get_or_404(request, object_id)
        if not self.has_change_permission(request, table):
            raise PermissionDenied
        assert isinstance(table, UploadedTable)
        return table

    @viewing.shows("upload")
    def replace_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST with a file: store it. GET with its token: what would change. POST with the token: replace."""
        table = self._changeable(request, object_id)
        agency = table.source.agency
        if request.FILES:
            return self._staged(request, table)
        try:
            preview = uploads.reopen(agency, request.POST.get("token") or request.GET.get("file", ""))
            if request.method == "POST":
                return self._replaced(request, table, preview)
        except UploadError as error:
            return self._refused(request, table, str(error))
        found = uploads.difference(table, preview)
        _record(request, agency, preview)
        context = {"table": table, "difference": found, "problems": found.sentences(), **self._preview_context(preview)}
        return self.render_page(request, "mantra/upload_replace.html", _("Replace with a newer file"), **context)

    def _staged(self, request: HttpRequest, table: UploadedTable) -> HttpResponse:
        form = FileForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._refused(request, table, " ".join(map(str, form.errors.get("file", []))))
        file = form.cleaned_data["file"]
        try:
            preview = uploads.inspect(table.source.agency, file.name, file.chunks())
        except UploadError as error:
            return self._refused(request, table, str(error))
        address = reverse("admin:dataservices_uploadedtable_replace", args=(table.pk,))
        return redirect(f"{address}?file={preview.token}")

    def _replaced(self, request: HttpRequest, table: UploadedTable, preview: Preview) -> HttpResponse:
        assert isinstance(request.user, User)
        uploads.replace_table(table, preview, request.user, request.POST.get("note", ""))
        self._say_rows(request, gettext("The table was replaced."), table)
        return self.redirect_to(request, table)

    def _refused(self, request: HttpRequest, table: UploadedTable, text: str) -> HttpResponse:
        self.message_user(request, text, messages.ERROR)
        return self.redirect_to(request, table)

    @method_decorator(require_POST)
    def bring_back_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make an older version the current one."""
        table = self._changeable(request, object_id)
        number = request.POST.get("version", "")
        version = table.versions.filter(number=number if number.isdecimal() and len(number) < 10 else 0).first()
        if version is None:
            raise Http404
        assert isinstance(request.user, User)
        try:
            uploads.bring_back(table, version, request.user)
        except UploadError as error:
            return self._refused(request, table, str(error))
        self._say_rows(request, gettext("Version %d is in use again.") % version.number, table)
        return self.redirect_to(request, table)
