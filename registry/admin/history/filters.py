"""The filters of the call history. Each becomes a condition that an index serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from registry import faults, outcome_words
from registry.admin.history import names
from registry.admin.theme import DropdownFilter, TextFilter
from registry.models import Field
from registry.models.history import FAILED_OR_BUS
from registry.outcomes import COUNTED


class SuggestingFilter(TextFilter):
    """A filter by codes or a name as text, with suggestions while it is typed. Without scripts it is the text."""

    #: A key of names.KINDS.
    kind = ""
    placeholder: Any = ""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            choice["form"].fields[self.parameter_name].widget.attrs.update(
                {
                    "placeholder": self.placeholder,
                    "maxlength": 300,
                    "autocomplete": "off",
                    "spellcheck": "false",
                    "data-suggest": reverse("admin:registry_callrecord_suggest", args=(self.kind,)),
                }
            )
            yield choice

    @property
    def text(self) -> str:
        # PostgreSQL takes no text with a NUL.
        return (self.value() or "").replace("\0", "").strip()

    @property
    def in_words(self) -> str:
        """What the list is filtered by, "" if by nothing."""
        return self.text

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(self.condition(request.user)) if self.text else queryset

    def condition(self, user: Any) -> Q:
        """Return the condition for the records that the text means."""
        raise NotImplementedError


class AgencyFilter(SuggestingFilter):
    title = _("agency")
    parameter_name = "of_agency"
    kind = "agency"
    placeholder = _("name or code")

    def condition(self, user: Any) -> Q:
        codes = names.agency_codes(self.text.strip("/ "))
        return Q(agency__in=codes) | Q(consumer_agency__in=codes)


class OperationFilter(SuggestingFilter):
    """By operation, service/operation, agency/service/operation, or a name.

    agency/ and agency/service/ are all operations below.
    """

    title = _("operation")
    parameter_name = "of_operation"
    kind = "operation"
    placeholder = _("agency/service/operation")

    def condition(self, user: Any) -> Q:
        codes = names.parts(self.text)
        if len(codes) == 1 and self.text.endswith("/"):
            return Q(agency__in=names.agency_codes(codes[0]))
        if len(codes) == 2 and self.text.endswith("/"):
            return Q(agency__in=names.agency_codes(codes[0]), service__in=names.service_codes(*codes))
        operations = names.operations(user, self.text)
        return Q(operation_ref__in=[row.pk for row in operations]) if operations else _by_text(codes)


def _by_text(codes: list[str]) -> Q:
    """Return the condition for operations that the registry does not have, such as deleted ones."""
    if not 0 < len(codes) <= 3:
        return Q(pk__in=())
    columns = dict(zip(("operation", "service", "agency"), reversed(codes), strict=False))
    lookups = {f"{column}__in": names.spellings(code) for column, code in columns.items()}
    known = names.called_operations(**lookups) if len(codes) < 3 else None
    return Q(**lookups) if known is None else Q(operation_ref__in=known)


class ApplicationFilter(SuggestingFilter):
    """By application, agency/application, or a name; agency/ is all applications of an agency."""

    title = _("application")
    parameter_name = "of_application"
    kind = "application"
    placeholder = _("agency/application")

    def condition(self, user: Any) -> Q:
        codes = names.parts(self.text)
        if not 0 < len(codes) <= 2:
            return Q(pk__in=())
        if len(codes) == 1 and self.text.endswith("/"):
            return Q(consumer_agency__in=names.agency_codes(codes[0]))
        found = names.applications(user, self.text)
        pairs = {(row.agency.code, row.code) for row in found}
        if not pairs:
            return _deleted_application(codes)
        return Q(
            application__in=sorted({code for _agency, code in pairs}),
            consumer_agency__in=sorted({agency for agency, _code in pairs}),
        )


def _deleted_application(codes: list[str]) -> Q:
    """Return the condition for applications that the registry does not have."""
    agency = {"consumer_agency__in": names.agency_codes(codes[0])} if len(codes) == 2 else {}
    lookups = {"application__in": names.spellings(codes[-1]), **agency}
    known = names.called(**lookups)
    return Q(**lookups) if known is None or known.exists() else Q(pk__in=())


class OriginFilter(SuggestingFilter):
    """By source:agency/code or backend:agency/code. Only the providing agency knows where its responses come from."""

    title = _("source or backend")
    parameter_name = "of_origin"
    kind = "origin"
    placeholder = _("agency/code")

    def condition(self, user: Any) -> Q:
        found = Q(pk__in=())
        for kind, ids in names.origins(user, self.text).items():
            origin = {"origin_kind": kind, "origin_ref__in": ids}
            operations = names.called_operations(**origin)
            found |= Q(**origin) if operations is None else Q(**origin, operation_ref__in=operations)
        return found


class ClassificationFilter(DropdownFilter):
    """By the highest classification of the columns that left."""

    title = _("classification")
    parameter_name = "classification_is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Field.Classification.choices)

    @property
    def in_words(self) -> str:
        """What the list is filtered by, "" if by nothing."""
        return str(dict(Field.Classification.choices).get(self.value() or "", ""))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(classification=self.value()) if self.value() else queryset


class CountedFilter(DropdownFilter):
    """Only calls of applications, which the statistics count."""

    title = _("try-outs")
    parameter_name = "trials"
    _WITHOUT = "without"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(self._WITHOUT, _("left out"))]

    @property
    def in_words(self) -> str:
        """What the list is filtered by, "" if by nothing."""
        return str(_("left out")) if self.value() == self._WITHOUT else ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(protocol__in=sorted(COUNTED)) if self.value() == self._WITHOUT else queryset


#: Word → its name, and its records. They are those of the statistics (registry/statistics).
SUMMARY: dict[str, tuple[Any, Q]] = {
    "ok": (_("Succeeded"), Q(outcome=200, broken=False) & ~Q(status__gte=500)),
    "refused": (_("Refused: the caller must act"), Q(outcome__in=outcome_words.codes_of("caller"))),
    "failed": (
        _("Failed: the providing agency must act"),
        # The first part is what an index has in the order of time.
        FAILED_OR_BUS & Q(outcome__in=(200, *outcome_words.codes_of("provider"))),
    ),
    "bus": (_("Failed in MANTRA: the operator must act"), Q(outcome__in=outcome_words.codes_of("bus"))),
    "broken": (_("Aborted"), Q(outcome=200, broken=True) & ~Q(status__gte=500)),
    "open": (_("In progress"), Q(outcome=0)),
}


class OutcomeFilter(DropdownFilter):
    """By how calls ended: in summary, or by one fault's sentence, in the groups of the parties that must act."""

    title = _("outcome")
    parameter_name = "outcome_is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        summary = [(word, label) for word, (label, _condition) in SUMMARY.items()]
        groups = [(title, self._faults(party)) for party, title in outcome_words.PARTIES.items()]
        return [(_("Summary"), summary), *groups]

    @staticmethod
    def _faults(party: str) -> list[tuple[str, str]]:
        labels = ((str(code), f"{outcome_words.title(code)} ({code})") for code in outcome_words.codes_of(party))
        return sorted(labels, key=lambda each: each[1])

    @property
    def in_words(self) -> str:
        """What the list is filtered by, "" if by nothing."""
        value = self.value() or ""
        if value in SUMMARY:
            return str(SUMMARY[value][0])
        return outcome_words.title(int(value)) if value in _CODES else value

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if value in SUMMARY:
            return queryset.filter(SUMMARY[value][1])
        if not value:
            return queryset
        return queryset.filter(outcome=int(value)) if value in _CODES else queryset.none()


#: The single outcomes that can be chosen.
_CODES = {str(code) for code in (outcome_words.SUCCEEDED, *faults.TABLE)}
