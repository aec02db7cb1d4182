"""Step 2: which data. Tables, columns, joins, filters, order and size, with a preview."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dataservices.builder import OPERATOR_LABELS, OPERATORS, SpecError, operators_for, to_sql
from dataservices.builder.spec import MAX_PAIRS
from dataservices.models import WizardDraft
from dataservices.unsaved import AuthoringError
from mantra.wizard import catalogue, drafts, joins, pages, preview, query_form
from mantra.wizard.catalogue import Listing
from mantra.wizard.query import ALL, FIXED, LIMIT, OPTIONAL, PAGES, REQUIRED, ChosenTable, Condition, Query
from registry.models import User

#: Tables that the page lists, the others are found by its search; that the join by hand offers; and joins offered.
MAX_TABLES, MAX_LISTED, MAX_OFFERS = 60, 500, 12

#: How the values of a filter are given, and how rows are returned: value → words.
MODES = (
    (REQUIRED, _("callers must give it")),
    (OPTIONAL, _("callers may give it")),
    (FIXED, _("always this value")),
)
DELIVERIES = (
    (ALL, _("all that match, up to the operation's row limit")),
    (LIMIT, _("at most this number of rows")),
    (PAGES, _("in pages of this number of rows")),
)


def show(request: HttpRequest, user: User, draft: WizardDraft) -> HttpResponse:
    """Return the page, or do what one of its buttons says."""
    if draft.source is None:
        return pages.go_to(request, draft, 1)
    listing, trouble = _listing(request, draft)
    if request.method != "POST":
        return _page(request, draft, listing, trouble)
    button = request.POST.get("do", "")
    with drafts.saving(draft) as stored:
        query = Query.load(stored.data.get("query", {}))
        stale = bool(query.tables) and request.POST.get("shape") != query.shape
        if not stale:
            query_form.apply(query, request.POST)
            query_form.press(query, button, request.POST, listing)
        stored.data = {**stored.data, "query": query.dump()}
        ready = button == "next" and not stale and problem(query, draft) is None
        stored.step = max(stored.step, 3) if ready else stored.step
    if ready:
        return pages.go_to(request, draft, 3)
    if stale:
        trouble = gettext("The tables or filters were changed in another window. This is how they are now.")
    if query.tables and (pages.is_part(request) or button == "next" or stale):
        return _page(request, draft, listing, trouble, checked=button == "next")
    return pages.go_to(request, draft, 2)


def problem(query: Query, draft: WizardDraft) -> SpecError | None:
    """Return why there is no SQL yet."""
    assert draft.source is not None
    try:
        to_sql(query.spec(), draft.source.engine)
    except SpecError as error:
        return error
    return None


def _listing(request: HttpRequest, draft: WizardDraft) -> tuple[Listing, str]:
    """Return the source's tables, or none and why not."""
    assert draft.source is not None
    query = draft.data.get("query", {})
    first = query["tables"][0]["schema"] if query.get("tables") else ""
    data = request.POST if request.method == "POST" else request.GET
    schema = data.get("schema", "") or first
    try:
        return catalogue.listing(draft.source, schema), ""
    except AuthoringError as error:
        return Listing(), preview.message_of(error)


def _page(
    request: HttpRequest, draft: WizardDraft, listing: Listing, trouble: str, checked: bool = False
) -> HttpResponse:
    query = Query.load(draft.data.get("query", {}))
    error = problem(query, draft) if checked else None
    context: dict[str, Any] = {
        "query": query, "trouble": trouble, "source_down": not listing.schema, "error": error,
        "listing": listing, "focus": request.POST.get("do", "").partition(":")[0], "source": draft.source,
    }  # fmt: skip
    if not query.tables:
        context |= _tables(request, listing)
    else:
        context |= _chosen(query, listing, error)
        context |= {f"picked_{word}": request.POST.get(f"new-{word}", "") for word in ("filter", "order", "table")}
    if "preview" in request.GET:
        context |= preview.context(request, draft)
    return pages.render(request, "query", draft, 2, **context)


def _tables(request: HttpRequest, listing: Listing) -> dict[str, Any]:
    """Return the context of the list from which the main table is chosen."""
    term = request.GET.get("q", "").strip().lower()
    found = [table for table in listing.tables if term in f"{table.name} {table.comment}".lower()]
    return {"tables": found[:MAX_TABLES], "more": len(found) > MAX_TABLES or not listing.complete, "term": term}


def _chosen(query: Query, listing: Listing, error: SpecError | None) -> dict[str, Any]:
    """Return the context of the form for the chosen tables."""
    options = [
        (table.alias, [(query_form.column_key(table.alias, column.name), column.name) for column in table.columns])
        for table in query.tables
    ]
    return {
        "cards": [_card(query, index, table) for index, table in enumerate(query.tables)],
        "offers": joins.offers(query, listing)[:MAX_OFFERS],
        "others": listing.tables[:MAX_LISTED],
        "options": options,
        "filters": [_filter(query, index, each, error) for index, each in enumerate(query.conditions)],
        "orders": [(index, each) for index, each in enumerate(query.sortings)],
        "deliveries": DELIVERIES,
    }


def _card(query: Query, index: int, table: ChosenTable) -> dict[str, Any]:
    """Return a table as the page shows it: its columns with their boxes, and for a joined one by what it is joined."""
    earlier = [
        (each.alias, [(query_form.column_key(each.alias, column.name), column.name) for column in each.columns])
        for each in query.tables[:index]
    ]
    pairs = [(query_form.column_key(alias, column) if column else "", own) for alias, column, own in table.on]
    return {
        "index": index,
        "table": table,
        "columns": [(column, query.is_chosen(table.alias, column.name)) for column in table.columns],
        "count": sum(each.table == table.alias for each in query.columns),
        "earlier": earlier,
        "pairs": list(enumerate([*pairs, ("", "")][:MAX_PAIRS])) if table.manual else [],
    }


def _filter(query: Query, index: int, condition: Condition, error: SpecError | None) -> dict[str, Any]:
    """Return a filter as the page shows it: its operators, and the inputs that its operator needs."""
    column = query.column(condition.table, condition.column)
    kind = column.kind if column else None
    listed = OPERATORS.get(condition.operator) is None
    values = [*condition.values, "", ""][: condition.count]
    return {
        "index": index,
        "condition": condition,
        "comment": column.comment if column else "",
        "operators": [(each, OPERATOR_LABELS[each]) for each in operators_for(kind)],
        "modes": MODES,
        "takes_values": condition.count > 0,
        "fixed": condition.mode == FIXED and condition.count > 0,
        "listed": listed,
        "wrong": error.message if error and error.path == f"conditions[{index}]" else "",
        "inputs": list(enumerate(values)),
        "input_type": "date" if kind == "date" and not listed else "text",
    }
