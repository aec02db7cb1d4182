"""What the page of an operation shows. Nothing of it tells where the data comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dataservices.models import DataOperation
from mantra.catalogue.formats import NAMES, formats_of
from mantra.catalogue.reader import Reader
from mantra.client_code.example import base_url, example_of, is_pass_through, sample_value
from mantra.client_code.languages import CURL, code
from mantra.jobs import reading as jobs
from mantra.jobs import service
from mantra.verification.models import VerificationOperation
from registry import requests, sample_responses, tenancy
from registry.models import Field, Grant, Operation, Parameter, User, names
from registry.statistics.reading import Period, Selection, totals

#: Notes about versions, and grants of one's agency, that the page lists.
MOST_NOTES, MOST_GRANTS = 20, 50


@dataclass(frozen=True, slots=True)
class ParameterLine:
    """A parameter with an example of its value, and in words what is accepted."""

    parameter: Parameter
    example: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column. ``granted``: the reader's application gets it; None if it has no grant. ``mask``: in words."""

    field: Field
    granted: bool | None
    mask: str


def context_of(request: HttpRequest, reader: Reader, operation: Any) -> dict[str, Any]:
    """Return the context of an operation's page."""
    prefetch_related_objects([operation], "fields")
    parameters, fields = list(operation.parameters.all()), list(operation.fields.all())
    grants = list(_grants(reader, operation))
    grant = _in_force(reader, grants)
    if grant is not None:
        grant.operation = operation  # whose fields are here already
    formats = formats_of(operation, bool(fields))
    example = example_of(operation, parameters, fields, base_url(request), reader.application)
    return {
        "reader": reader,
        "operation": operation,
        "service": operation.service,
        "parameters": [_parameter_line(each) for each in parameters],
        "columns": list(_columns(operation, fields, grant)),
        "passes": is_pass_through(operation),
        "formats": [(name, NAMES[name]) for name in formats],
        "example": example,
        "curl": code(example, CURL),
        "limits": list(limits_of(operation)),
        "grants": [(each, requests.quota_text(each.quota)) for each in grants],
        "grant": grant,
        "notes": _notes(operation),
        "sample": sample_responses.shown(operation),
        "usage": totals(Selection(operations=(operation.pk,)), Period.of(30)),
        "job_address": _job_address(reader, operation),
        **_for_its_people(reader, operation),
    }


# -------------------------------------------------------------------------- parameters and columns


def _parameter_line(parameter: Parameter) -> ParameterLine:
    return ParameterLine(parameter, sample_value(parameter), tuple(_rules(parameter)))


def _rules(parameter: Parameter) -> Iterator[str]:
    """Yield what a value must be, in words."""
    choices = [line.strip() for line in parameter.choices.splitlines() if line.strip()]
    if choices:
        yield _("one of: %(choices)s") % {"choices": ", ".join(choices)}
    if parameter.min:
        yield _("at least %(bound)s") % {"bound": parameter.min}
    if parameter.max:
        yield _("at most %(bound)s") % {"bound": parameter.max}
    if parameter.pattern:
        yield _("of the pattern %(pattern)s") % {"pattern": parameter.pattern}
    if parameter.default:
        yield _("if absent: %(value)s") % {"value": parameter.default}


def _columns(operation: Operation, fields: list[Field], grant: Grant | None) -> Iterator[Column]:
    allowed = set(names(grant.fields)) if grant is not None else set()
    sent = grant.sent_masks if grant is not None else {field.name: field.mask for field in fields}
    labels = dict(Field.Mask.choices)
    for field in fields:
        of_all = not allowed and not operation.is_named_only(field.name)
        granted = None if grant is None else field.name in sent and (of_all or field.name in allowed)
        kind = sent.get(field.name, "")
        yield Column(field, granted, str(labels.get(kind, kind)) if kind else "")


# ------------------------------------------------------------------------------------------ limits


def limits_of(operation: Any) -> Iterator[str]:
    """Yield the limits of an operation, as sentences."""
    if isinstance(operation, VerificationOperation):
        yield from _limits_of_verification(operation)
        return
    if isinstance(operation, DataOperation):
        yield from _limits_of_data(operation)
    else:
        yield _("Requests and responses have at most %(size)s MB.") % {
            "size": _number(operation.max_body_bytes / 1_000_000)
        }
    seconds = _number(operation.timeout_ms / 1000)
    yield _("A call takes at most %(seconds)s seconds; then it ends with an error.") % {"seconds": seconds}
    if operation.cache_seconds:
        yield _("A response may be used again for %(seconds)s seconds (ETag).") % {
            "seconds": _number(operation.cache_seconds)
        }


def _number(value: float) -> str:
    """Return a number as the reader's language writes it, with a fraction only where there is one."""
    return number_format(value, decimal_pos=0 if float(value).is_integer() else 1, force_grouping=True)


def _limits_of_verification(operation: VerificationOperation) -> Iterator[str]:
    if operation.min_fields > 1:
        yield _("Send at least %(least)s fields beside the key.") % {"least": _number(operation.min_fields)}
    yield _(
        "After %(tries)s tries that do not agree, a key is locked for your application; after %(all)s of all "
        "applications, for everybody. Tries are counted for %(hours)s hours."
    ) % {
        "tries": _number(operation.tries),
        "all": _number(operation.tries_of_all),
        "hours": _number(operation.lock_minutes / 60),
    }


def _limits_of_data(operation: DataOperation) -> Iterator[str]:
    if operation.page_size:
        yield _("A page has %(rows)s rows; the parameter page selects another one.") % {
            "rows": _number(operation.page_size)
        }
    elif not operation.writes:
        if operation.change_marker:
            yield _("With the parameter since, a response has only what changed since an earlier one.")
        yield ngettext(
            "A response has at most %(rows)s row.", "A response has at most %(rows)s rows.", operation.max_rows
        ) % {"rows": _number(operation.max_rows)}


# ------------------------------------------------------------------------------------------ grants


def _grants(reader: Reader, operation: Operation) -> QuerySet[Grant]:
    """Return the grants of the reader's own agency for an operation."""
    if not isinstance(reader.user, User) or reader.user.agency_id is None:
        return Grant.objects.none()
    rows = Grant.objects.filter(operation=operation.pk, application__agency=reader.user.agency_id)
    found: QuerySet[Grant] = rows.select_related("application__agency").order_by("application__code")[:MOST_GRANTS]
    return found


def _in_force(reader: Reader, grants: list[Grant]) -> Grant | None:
    """Return the grant of the reader's application that is valid today."""
    chosen = reader.application.pk if reader.application is not None else None
    own = (each for each in grants if each.application_id == chosen)
    return next((each for each in own if each.standing == Grant.Standing.IN_FORCE), None)


def _job_address(reader: Reader, operation: Operation) -> str:
    """Return the page on which the reader starts a job on an operation, "" if they may not start one."""
    if not jobs.may_start(reader.user) or not service.runnable(operation):
        return ""
    return reverse("job_new", args=(operation.pk,)) if jobs.applications(reader.user, operation) else ""


# ----------------------------------------------------------------------------------------- history


def _notes(operation: Operation) -> list[Any]:
    """Return the notes for callers about the newest versions: neither their reasons nor their authors."""
    rows = operation.versions.exclude(change_note="").order_by("-number")
    return list(rows.values("number", "published_at", "change_note")[:MOST_NOTES])


# -------------------------------------------------------------------------------- for its own people


def _for_its_people(reader: Reader, operation: Operation) -> dict[str, Any]:
    """Return what those who may open an operation's own page see of it here."""
    user, opts = reader.user, operation._meta
    if not user.has_perm(f"{opts.app_label}.view_{opts.model_name}"):
        return {}
    own = isinstance(user, User) and user.agency_id == operation.service.agency_id
    if not own and not tenancy.sees_all_agencies(user):
        return {}
    address = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=(operation.pk,))
    return {"own_page": address, "may_change": may_change(reader, operation)}


def may_change(reader: Reader, operation: Operation) -> bool:
    """Return True if the reader may change an operation, and so what the catalogue shows of it."""
    label = f"{operation._meta.app_label}.change_{operation._meta.model_name}"
    return reader.user.has_perm(label) and tenancy.may_change(reader.user, operation)


def own_address(operation: Operation) -> str:
    """Return the address of an operation's page in the catalogue."""
    agency, service, code = operation.service.agency.code, operation.service.code, operation.code
    return reverse("catalogue_operation", args=(agency, service, code))
