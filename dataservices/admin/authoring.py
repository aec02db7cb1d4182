"""What the editor on a data operation's page asks for: a source's tables, and a run of the SQL in the form."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, JsonResponse, QueryDict
from django.template.loader import render_to_string
from django.utils.translation import get_language, gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from adapters import adapter_class
from adapters.base import TableInfo
from dataservices import authoring
from dataservices.models import MAX_PAGE_SIZE, MAX_SQL, DataSource
from dataservices.unsaved import AuthoringError, Finding, UnsavedQuery
from registry import tenancy
from registry.admin.numbers import number_of
from registry.journal import viewing
from registry.models import Parameter
from registry.results import Fault

#: What a run needs of a parameter, as its rows in the form are named.
_DECLARED = ("name", "type", "default", "pattern", "min", "max", "choices")


@viewing.shows("browse")
@never_cache
@require_safe
def schema(request: HttpRequest) -> JsonResponse:
    """Return the tables that a source's account may read, in one schema. The journal records that they were viewed."""
    source = source_or_404(request, request.GET)
    try:
        listing = authoring.schema(source, request.GET.get("schema", ""))
        viewing.record(request, viewing.View("browse", source.agency.code, source.code, listing.schema))
    except AuthoringError as error:
        return _failed(*error.findings)
    except Fault as fault:
        return _failed(_of_fault(fault))
    return JsonResponse(
        {
            "dialect": adapter_class(source.engine).dialect,
            "quotes": _quotes(source),
            "schemas": listing.schemas,
            "schema": listing.schema,
            "complete": listing.catalogue.complete,
            "tables": [_table(table) for table in listing.catalogue.tables],
        }
    )


@viewing.shows("unsaved")
@never_cache
@require_POST
def run(request: HttpRequest) -> JsonResponse:
    """Run the SQL of the form with its values, unsaved. Return the result as HTML, with findings for the editor.

    The journal records who has seen which columns, and how many rows.
    """
    source = source_or_404(request, request.POST)
    try:
        outcome = authoring.run(_query(source, request.POST), _values(request.POST))
        names = tuple(column.name for column in outcome.columns)
        view = viewing.View("unsaved", source.agency.code, source.code, fields=names, rows=len(outcome.rows))
        viewing.record(request, view)
    except AuthoringError as error:
        return _failed(*error.findings)
    except Fault as fault:
        return _failed(_of_fault(fault))
    html = render_to_string("mantra/editor_result.html", {"outcome": outcome}, request)
    return JsonResponse({"html": html, "findings": []})


def source_or_404(request: HttpRequest, data: QueryDict) -> DataSource:
    """Return the source that a form names. Raises Http404, or PermissionDenied for who may only read it."""
    sources = tenancy.visible(DataSource.objects.select_related("agency"), request.user)
    source = sources.filter(pk=number_of(data.get("source", ""))).first()
    if source is None:
        raise Http404
    if not authoring.may_author(request.user, source):
        raise PermissionDenied
    return source


def _query(source: DataSource, data: QueryDict) -> UnsavedQuery:
    """Return the query of the form. Raises AuthoringError."""
    sql = data.get("sql", "").replace("\r\n", "\n")
    if data.get("writes"):
        raise AuthoringError(Finding("check", gettext("SQL that changes data runs in the try-out, after it is saved.")))
    if len(sql) > MAX_SQL:
        raise AuthoringError(Finding("check", gettext("The SQL is too long: at most %d characters.") % MAX_SQL))
    pages = min(number_of(data.get("page_size", "")), MAX_PAGE_SIZE)
    return UnsavedQuery(source, sql, _parameters(data, sql), pages)


def _parameters(data: QueryDict, sql: str) -> list[Parameter]:
    """Return the parameters that the form declares for the SQL's placeholders. Raises AuthoringError."""
    rows = []
    for number in range(min(number_of(data.get("parameters-TOTAL_FORMS", "")), settings.ROW_LIMITS["parameters"])):
        prefix = f"parameters-{number}-"
        row = Parameter(
            required=bool(data.get(prefix + "required")),
            **{name: data.get(prefix + name, "") for name in _DECLARED if prefix + name in data},
        )
        if f":{row.name}" in sql and row.name and not data.get(prefix + "DELETE"):
            rows.append(_checked(row))
    return rows


def _checked(row: Parameter) -> Parameter:
    """Return the parameter if it is one. Raises AuthoringError."""
    try:
        row.clean_fields(exclude=("operation",))
        row.clean()
    except ValidationError as error:
        raise AuthoringError(Finding("value", f"{row.name}: {' '.join(error.messages)}", name=row.name)) from None
    return row


def _values(data: QueryDict) -> dict[str, str]:
    """Return the values of placeholders that the editor's own fields have."""
    prefix = "value_"
    return {name.removeprefix(prefix): str(text) for name, text in data.items() if name.startswith(prefix)}


def _quotes(source: DataSource) -> list[str]:
    """Return the marks around a name that is no plain one."""
    quoted = adapter_class(source.engine)(source.settings()).quoted("x")
    return [quoted[0], quoted[-1]]


def _table(table: TableInfo) -> dict[str, Any]:
    columns = [
        {"name": column.name, "type": column.type, "comment": column.comment, "key": column.key}
        for column in table.columns
    ]
    return {"name": table.name, "kind": table.kind, "comment": table.comment, "rows": table.rows, "columns": columns}


def _of_fault(fault: Fault) -> Finding:
    return Finding("source", fault.message(get_language() or "id"))


def _failed(*findings: Finding) -> JsonResponse:
    """Return the findings, as HTML and for the editor. The status is 200: the request itself was in order."""
    html = render_to_string("mantra/editor_findings.html", {"findings": findings})
    fields = ("kind", "text", "line", "column", "name")
    rows = [{name: getattr(finding, name) for name in fields} for finding in findings]
    return JsonResponse({"html": html, "findings": rows})
