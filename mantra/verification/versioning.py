"""What of verification operations is versioned, and what the rules of publishing need to know of them."""

from __future__ import annotations

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from mantra.verification.models import VerificationOperation, VerifiedField, inconsistencies
from registry.models import Operation
from registry.publishing import PublishedKind
from registry.versions import Change, ChildList, Definition, VersionedKind


def _problems(row: VerificationOperation) -> Collection[str]:
    """Return why the stored parameters and fields do not go with what is verified."""
    return inconsistencies(row)


def _origins(definition: Definition) -> frozenset[str]:
    return frozenset({definition["columns"]["base"]["label"]})


def _query(definition: Definition) -> str:
    """Return what is compared, and how."""
    fields = definition["lists"]["verified_fields"]
    return "\n".join(f"{each['name']} {each['column']} {each['rule']} {each['threshold']}" for each in fields)


_CALLABLE = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)


def check_base(change: Change) -> None:
    """Refuse a new version of an operation that lacks what a published verification of it needs.

    Raises ValidationError. Without declared fields nobody knows the columns: calls fail if one is missing.
    """
    if change.old is None:
        return
    lists = change.new["lists"]
    columns = {each["name"] for each in lists["fields"]}
    key = {(each["name"], each["type"]) for each in lists["parameters"] if each["required"] and not each["default"]}
    for each in of_base(change.operation):
        verified = list(each.verified_fields.all())
        missing = sorted({field.compared for field in verified} - columns) if columns else []
        if missing:
            text = _("%(operation)s compares these columns: %(names)s. Keep them, or change that operation first.")
            raise ValidationError(text % {"operation": each, "names": ", ".join(missing)})
        names = {field.name for field in verified}
        declared = set(each.parameters.exclude(name__in=names).values_list("name", "type"))
        if declared != key:
            text = _("%(operation)s needs the same required parameters. Keep them, or change that operation first.")
            raise ValidationError(text % {"operation": each})


def of_base(operation: Operation) -> list[VerificationOperation]:
    """Return the published verifications of an operation."""
    rows = VerificationOperation.objects.listed().filter(base=operation.pk, state__in=_CALLABLE)
    return list(rows.select_related("service__agency"))


def warnings(operation: Operation) -> list[str]:
    """Return what else stops working with an operation that callers can no longer call, as sentences."""
    if operation.is_callable or operation.kind == Operation.Kind.VERIFICATION:
        return []
    rows = of_base(operation)
    if not rows:
        return []
    text = _("Verifications of this operation fail now: %(names)s. Publish it again, or retire them.")
    return [text % {"names": ", ".join(map(str, rows[:20]))}]


KIND = VersionedKind(
    model=VerificationOperation,
    lists={"verified_fields": ChildList(VerifiedField, ("name",), "request")},
    sections={"tries": "limits", "tries_of_all": "limits", "lock_minutes": "limits"},
    related=("base__service__agency",),
    problems=_problems,
)
PUBLISHED_KIND = PublishedKind(
    limits=("tries", "tries_of_all"),
    origins=_origins,
    query=_query,
)
