"""What a grant allows: as it is, as it is requested, and as it is decided."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from registry import publishing
from registry.models import Field, Grant, Operation, RequestedOperation, lines_of, names, pairs
from registry.models.requests import choosable

SPECIFIC = Field.Classification.SPECIFIC


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant allows. No fields: all of them. ``networks``: one per line; masks and values as the grant has them.

    An applicant requests no masks and no values: those of the present grant are kept, if it has some.
    """

    fields: frozenset[str] = frozenset()
    quota: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    networks: str = ""
    masks: str = ""
    values: str = ""

    def as_list(self) -> list[object]:
        """Return the terms in an order that is the same in each process."""
        return [sorted(self.fields), self.quota, str(self.valid_from), str(self.valid_until), self.networks,
                self.masks, self.values]  # fmt: skip


def requested(item: RequestedOperation) -> Terms:
    request, grant = item.request, item.present_grant
    chosen = frozenset(names(item.fields))
    masks = {name: kind for name, kind in grant.chosen_masks.items() if name in chosen} if grant is not None else {}
    return Terms(
        chosen, request.quota, request.valid_from, request.valid_until, "\n".join(names(request.networks)),
        lines_of(masks), lines_of(grant.chosen_values) if grant is not None else "",
    )  # fmt: skip


def granted(item: RequestedOperation) -> Terms:
    return Terms(
        frozenset(names(item.granted_fields)), item.granted_quota, item.granted_from, item.granted_until,
        "\n".join(names(item.granted_networks)), lines_of(pairs(item.granted_masks)),
        lines_of(pairs(item.granted_values)),
    )  # fmt: skip


def terms_of(grant: Grant) -> Terms:
    return Terms(
        frozenset(names(grant.fields)), grant.quota, grant.valid_from, grant.valid_until,
        "\n".join(names(grant.networks)), lines_of(grant.chosen_masks), lines_of(grant.chosen_values),
    )  # fmt: skip


def proposed(item: RequestedOperation) -> Terms:
    """Return the terms of the decision, if a person has approved, else as requested."""
    decided = item.is_approved or item.state == RequestedOperation.State.CONFIRMING
    return granted(item) if decided else requested(item)


def specific_columns(operation: Operation, chosen: Collection[str]) -> list[str]:
    """Return the columns of specific personal data that a grant for the chosen columns gives.

    Where no columns can be chosen, those that the operation is known or suspected to return.
    """
    declared = [column.name for column in operation.fields.all() if column.classification == SPECIFIC]
    if choosable(operation):
        return [name for name in declared if name in chosen]
    published = publishing.stored(operation.of_its_kind)
    return list(dict.fromkeys([*declared, *published.identifiers, *sorted(published.suspected)]))


def proposed_columns(operation: Operation) -> list[str]:
    """Return the columns that a request has at first: all but those of specific personal data, and similarities."""
    named_only = operation.of_its_kind.is_named_only
    return [each.name for each in choosable(operation) if each.classification != SPECIFIC and not named_only(each.name)]
