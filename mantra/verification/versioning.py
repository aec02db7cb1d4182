"""What of verification operations is versioned, and what the rules of publishing need to know of them."""

from __future__ import annotations

from collections.abc import Collection

from mantra.verification.models import VerificationOperation, VerifiedField, inconsistencies
from registry.publishing import PublishedKind
from registry.versions import ChildList, Definition, VersionedKind


def _problems(row: VerificationOperation) -> Collection[str]:
    """Return why the stored parameters and fields do not go with what is verified."""
    return inconsistencies(row)


def _origins(definition: Definition) -> frozenset[str]:
    return frozenset({definition["columns"]["base"]["label"]})


def _query(definition: Definition) -> str:
    """Return what is compared, and how."""
    fields = definition["lists"]["verified_fields"]
    return "\n".join(f"{each['name']} {each['column']} {each['rule']} {each['threshold']}" for each in fields)


KIND = VersionedKind(
    model=VerificationOperation,
    lists={"verified_fields": ChildList(VerifiedField, ("name",), "request")},
    sections={"tries": "limits", "tries_of_all": "limits", "lock_minutes": "limits"},
    problems=_problems,
)
PUBLISHED_KIND = PublishedKind(
    limits=("tries", "tries_of_all"),
    origins=_origins,
    query=_query,
)
