"""What an approver looks at: differences from the present grant, warnings, other grants, and calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_lazy

from registry.models import AccessRequest, Field, Grant, RequestedOperation, names, pairs
from registry.models.requests import records
from registry.moments import day
from registry.requests.terms import Terms, proposed, specific_columns, terms_of
from registry.requests.trail import items_of

#: A period of a quota → how people call it.
PERIODS = {"second": gettext_lazy("per second"), **dict(AccessRequest.Period.choices)}
#: Days of calls that an approver is shown, and grants that are listed.
USAGE_DAYS, MAX_LISTED = 30, 20


@dataclass(frozen=True, slots=True)
class Difference:
    """A line of the comparison: what the application has now, and what it would have."""

    label: str
    now: str
    then: str

    @property
    def changed(self) -> bool:
        return self.now != self.then


@dataclass(frozen=True, slots=True)
class Usage:
    """An application's calls of the offering agency's operations, and how many of them failed.

    There may be more: only the latest RECORDS_READ calls of the application's agency are read.
    """

    calls: int
    failed: int


def compare(item: RequestedOperation) -> list[Difference]:
    """Return what the present grant allows, beside what is proposed."""
    grant = item.present_grant
    now = terms_of(grant) if grant is not None and grant.standing != Grant.Standing.REVOKED else None
    old, new = _shown(item, now), _shown(item, proposed(item))
    return [Difference(label, old[label] if now is not None else "", new[label]) for label in new]


def _shown(item: RequestedOperation, terms: Terms | None) -> dict[str, str]:
    """Return terms as text, by their labels."""
    terms = terms or Terms()
    order = [column.name for column in item.operation.fields.all()]
    return {
        gettext("columns"): ", ".join(name for name in order if name in terms.fields) or gettext("all"),
        gettext("quota"): quota_text(terms.quota) or gettext("no limit"),
        gettext("valid from"): day(terms.valid_from) or gettext("at once"),
        gettext("valid until"): day(terms.valid_until) or gettext("no end"),
        gettext("networks"): ", ".join(names(terms.networks)) or gettext("any address"),
        **_masks_and_values(terms),
    }


def _masks_and_values(terms: Terms) -> dict[str, str]:
    labels = dict(Field.Mask.choices)
    masks = ", ".join(f"{name}: {labels.get(kind, kind)}" for name, kind in pairs(terms.masks).items())
    values = ", ".join(f"{name} = {value}" for name, value in pairs(terms.values).items())
    return {gettext("masks"): masks or gettext("none"), gettext("values of the grant"): values or gettext("none")}


def quota_text(quota: str) -> str:
    """Return a quota in words, "1.000 per day", or as it is stored where there are no words for it."""
    parts = [part.strip().partition("/") for part in quota.split(";")]
    return "; ".join(
        f"{number_format(int(calls), force_grouping=True)} {PERIODS[unit]}" if unit in PERIODS and calls.isdecimal()
        else f"{calls}{slash}{unit}" for calls, slash, unit in parts
    )  # fmt: skip


def warnings(item: RequestedOperation) -> list[str]:
    """Return sentences about what an approver should think of."""
    request, terms = item.request, proposed(item)
    found = []
    if columns := specific_columns(item.operation, terms.fields):
        found.append(gettext("Specific personal data: %(names)s.") % {"names": ", ".join(columns)})
    is_named_only = item.operation.of_its_kind.is_named_only
    if similarities := sorted(filter(is_named_only, terms.fields)):
        text = gettext("Similarities: %(names)s. They tell how near a wrong value is: grant them only if needed.")
        found.append(text % {"names": ", ".join(similarities)})
    if not request.legal_basis:
        found.append(gettext("No legal basis is stated."))
    if not terms.networks:
        found.append(gettext("The grant would hold from any address. Limit it to the application's networks."))
    if terms.valid_until is None:
        found.append(gettext("The grant would have no end."))
    sunset = item.operation.sunset
    if sunset is not None and (terms.valid_until is None or terms.valid_until > sunset):
        found.append(gettext("The operation will be retired on %(day)s.") % {"day": day(sunset)})
    grant = Grant(
        application=request.application, operation=item.operation, fields="\n".join(sorted(terms.fields)),
        masks=terms.masks, values=terms.values, legal_basis=request.legal_basis,
    )  # fmt: skip
    return found + grant.warnings


def other_grants(request: AccessRequest) -> list[Grant]:
    """Return the application's other grants for operations of the offering agency, at most MAX_LISTED."""
    requested = [item.operation_id for item in items_of(request)]
    rows = Grant.objects.filter(
        application=request.application_id, operation__service__agency=request.service.agency_id
    )
    rows = rows.exclude(operation__in=requested).select_related("operation__service__agency", "application__agency")
    return list(rows.order_by("operation__service__code", "operation__code")[:MAX_LISTED])


def usage(request: AccessRequest) -> Usage:
    """Return what the application has called of the offering agency in the last USAGE_DAYS days."""
    until = timezone.now()
    calls = records(request.application, until - timedelta(days=USAGE_DAYS), until, "-started_at")
    found = list(calls.filter(agency=request.service.agency.code).values_list("outcome", flat=True))
    return Usage(len(found), sum(outcome not in (0, 200) for outcome in found))
