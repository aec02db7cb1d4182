"""manage.py check_publishing: name the operations that callers can call and that the rules would not publish, and the
grants that lack a legal basis or a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db.models import Q
from django.utils import timezone

from registry import publishing, versions
from registry.models import Grant, Operation

_CALLABLE = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)


class Command(BaseCommand):
    help = "Check every callable operation by the rules of publishing, and every grant in force. Changes nothing."

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for operation in self._operations():
            for problem in publishing.problems(publishing.stored(operation)):
                found += 1
                self.stdout.write(f"{operation.address}: {problem}")
        for grant in self._grants():
            if names := grant.unlawful_fields:
                found += 1
                self.stdout.write(f"{grant}: no legal basis is stated, so these do not go out: {', '.join(names)}")
            if names := grant.missing_values:
                found += 1
                self.stdout.write(f"{grant}: calls are refused, as it has no value for {', '.join(names)}")
        if found:
            raise CommandError(f"{found} problems: correct these operations and grants. Until then they run on.")
        self.stdout.write("all callable operations and grants follow the rules of publishing")

    def _grants(self) -> Iterator[Grant]:
        """Yield the approved grants of callable operations that have not ended."""
        rows = Grant.objects.filter(state=Grant.State.APPROVED, operation__state__in=_CALLABLE)
        rows = rows.filter(Q(valid_until=None) | Q(valid_until__gte=timezone.localdate())).order_by("pk")
        rows = rows.select_related("application__agency", "operation__service__agency")
        yield from rows.prefetch_related("operation__fields").iterator(100)

    def _operations(self) -> Iterator[Operation]:
        """Yield the callable operations with open access: no rule refuses others."""
        rows = Operation.objects.filter(state__in=_CALLABLE, access=Operation.Access.OPEN)
        for row in rows.select_related("service__agency").iterator(100):
            yield versions.kind_of(row).model._default_manager.get(pk=row.pk)
