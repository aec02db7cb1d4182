"""The search of the catalogue: by words, tag, agency, column, classification and format.

PostgreSQL finds words by its indexes (registry/migrations/0018_catalogue_search.py): whole words, their beginnings and
Indonesian stems. Other databases look for the text within the texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.db import connection, transaction
from django.db.models import (
    BooleanField,
    Case,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat, Lower, Replace
from django.utils.translation import gettext_lazy as _

from mantra.catalogue import formats
from mantra.catalogue.reader import Reader
from registry.models import Agency, Field, Operation, Service

#: Operations on a page, and the most that are found: more are too many to read, so that the search is to be narrowed.
PAGE_SIZE, MOST = 20, 500
#: Words of a search that count.
MAX_WORDS = 5
#: Characters of what is entered into a field.
MAX_TEXT = 100
#: Model → its columns that are searched.
COLUMNS: dict[Any, tuple[str, ...]] = {
    Agency: ("code", "name"),
    Service: ("code", "title", "tags", "description"),
    Operation: ("code", "title", "description"),
    Field: ("name", "description"),
}
_WORD = re.compile(r"[^\W_]+")


class SearchForm(forms.Form):
    """What is searched for. An empty field does not restrict the search."""

    q = forms.CharField(label=_("Search"), max_length=MAX_TEXT, required=False)
    agency = forms.CharField(label=_("agency"), max_length=MAX_TEXT, required=False)
    tag = forms.CharField(label=_("tag"), max_length=MAX_TEXT, required=False)
    column = forms.CharField(label=_("column"), max_length=MAX_TEXT, required=False)
    classification = forms.ChoiceField(
        label=_("data classification"),
        choices=[("", _("all")), *Service.Classification.choices],
        required=False,
    )
    kind = forms.ChoiceField(
        label=_("what it gives"),
        choices=[("", _("all")), ("data", _("data")), ("verification", _("verification, without data"))],
        required=False,
    )
    format = forms.ChoiceField(label=_("format"), choices=[("", _("all")), *formats.NAMES.items()], required=False)
    retired = forms.BooleanField(label=_("retired operations too"), required=False)

    max_text = MAX_TEXT

    def terms(self) -> list[forms.BoundField]:
        """Return the fields beside that of the words."""
        return [field for field in self if field.name != "q"]

    def uses_terms(self) -> bool:
        """Return True if one of the fields beside that of the words is filled."""
        return any(field.data for field in self.terms())

    def ignored_words(self) -> list[str]:
        """Return the words that are not searched for, because there are too many."""
        return _words(self.cleaned_data["q"])[MAX_WORDS:]

    def found(self, reader: Reader) -> QuerySet[Operation]:
        """Return the operations that a reader finds, those first that have the words in their names."""
        terms = self.cleaned_data
        rows = reader.operations()
        if not terms["retired"]:
            rows = rows.exclude(state=Operation.State.RETIRED)
        words = words_of(terms["q"])
        for word in words:
            rows = rows.filter(_about(word))
        for word in words_of(terms["column"]):
            rows = rows.filter(pk__in=_with_column(word))
        if terms["agency"]:
            rows = rows.filter(service__agency__in=_agencies(terms["agency"]))
        if terms["tag"]:
            rows = rows.filter(service__in=_tagged(terms["tag"]))
        if terms["classification"]:
            rows = rows.filter(service__classification=terms["classification"])
        if terms["kind"] == "verification":
            rows = rows.filter(kind=Operation.Kind.VERIFICATION)
        elif terms["kind"]:
            rows = rows.exclude(kind=Operation.Kind.VERIFICATION)
        if terms["format"]:
            rows = rows.filter(formats.answers_in(terms["format"]))
        return rows.order_by(_rank(words), "service__agency__code", "service__code", "code")


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what was found. ``total``: of all pages, at most MOST; ``more``: there are more than that."""

    operations: list[Operation]
    total: int
    more: bool
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_SIZE))

    @property
    def previous(self) -> int | None:
        return self.page - 1 if self.page > 1 else None

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page < self.pages else None


def page_of(rows: QuerySet[Operation], number: int) -> Found:
    """Return a page of operations, the last one if there are fewer. Two queries, whatever is found."""
    ids = _first_ids(rows)
    total = min(len(ids), MOST)
    page = min(max(1, number), max(1, -(-total // PAGE_SIZE)))
    shown = ids[:total][(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    by_id = Operation.objects.select_related("service__agency").in_bulk(shown)
    return Found([by_id[pk] for pk in shown if pk in by_id], total, len(ids) > MOST, page)


def _first_ids(rows: QuerySet[Operation]) -> list[int]:
    """Return the ids of the first MOST + 1 rows."""
    ids = rows.values_list("pk", flat=True)[: MOST + 1]
    if connection.vendor != "postgresql":
        return list(ids)
    with transaction.atomic(), connection.cursor() as cursor:
        # It expects more rows than there are, and would spend most of its time on compiling and on starting workers.
        cursor.execute("SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0")
        return list(ids)


def words_of(text: str) -> list[str]:
    """Return the words of a text that are searched for, at most MAX_WORDS."""
    return _words(text)[:MAX_WORDS]


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORD.findall(text.lower())))


def _about(word: str) -> Q | Combinable:
    """Return the condition for operations with a word in their own texts or those of what they belong to."""
    above = Q(service__in=_holding(Service, word).values("pk")) | Q(
        service__agency__in=_holding(Agency, word).values("pk")
    )
    columns = _holding(Field, word)
    if connection.vendor == "postgresql":
        return Q(pk__in=_holding(Operation, word).values("pk")) | above | Q(pk__in=columns.values("operation"))
    # Without an index of words it is the columns of few operations that are read: of those that nothing else decides.
    return _containing(Operation, word) | above | Exists(columns.filter(operation=OuterRef("pk")))


def _holding(model: Any, word: str) -> QuerySet[Any]:
    """Return the rows with a word in their columns."""
    rows = model._default_manager.order_by()
    if connection.vendor == "postgresql":
        return rows.filter(_Holds(_text(COLUMNS[model]), Value(word)))
    return rows.filter(_containing(model, word))


def _containing(model: Any, word: str) -> Q:
    return reduce(or_, (Q(**{f"{column}__icontains": word}) for column in COLUMNS[model]))


class _Holds(Func):
    """True if a text has a word, as the indexes of the texts do."""

    template = "catalogue_words(%(expressions)s)"
    arg_joiner = ") @@ catalogue_query("
    output_field = BooleanField()


class _Joined(Func):
    """Texts with a blank between them, in the words of the indexes. None of the columns is null."""

    template = "%(expressions)s"
    arg_joiner = " || ' ' || "
    output_field = TextField()


def _text(columns: Sequence[str]) -> _Joined:
    return _Joined(*(F(column) for column in columns))


def _with_column(word: str) -> QuerySet[Any]:
    """Return the ids of operations with a word in the name of a column."""
    return _holding(Field, word).filter(name__icontains=word).values("operation")


def _agencies(text: str) -> QuerySet[Any]:
    """Return the agencies with a code, or with a text in their names."""
    return Agency.objects.order_by().filter(Q(code__iexact=text) | Q(name__icontains=text)).values("pk")


def _tagged(tag: str) -> QuerySet[Any]:
    """Return the services with a tag among theirs, which are separated by commas."""
    tags = Replace(Lower("tags"), Value(", "), Value(","))
    rows = Service.objects.order_by().alias(every=Concat(Value(","), tags, Value(",")))
    return rows.filter(every__contains=f",{tag.strip().lower()},").values("pk")


def _rank(words: Sequence[str]) -> Any:
    """Return the order of what was found: names with all words come before other texts with them."""
    if not words:
        return Value(0, IntegerField())
    named = Q()
    for word in words:
        named &= Q(title__icontains=word) | Q(code__icontains=word)
    return Case(When(named, then=Value(0)), default=Value(1), output_field=IntegerField())
