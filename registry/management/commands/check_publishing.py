"""manage.py check_publishing: name the operations that callers can call and that the rules would not publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations

from registry import publishing, versions
from registry.models import Operation


class Command(BaseCommand):
    help = "Check every callable operation by the rules of publishing. Changes nothing."

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for operation in self._operations():
            for problem in publishing.problems(publishing.stored(operation)):
                found += 1
                self.stdout.write(f"{operation.address}: {problem}")
        if found:
            raise CommandError(f"{found} problems: correct these operations. Until then they run on.")
        self.stdout.write("all callable operations follow the rules of publishing")

    def _operations(self) -> Iterator[Operation]:
        """Yield the callable operations with open access: no rule refuses others."""
        callable_states = (Operation.State.PUBLISHED, Operation.State.DEPRECATED)
        rows = Operation.objects.filter(state__in=callable_states, access=Operation.Access.OPEN)
        for row in rows.select_related("service__agency").iterator(100):
            yield versions.kind_of(row).model._default_manager.get(pk=row.pk)
