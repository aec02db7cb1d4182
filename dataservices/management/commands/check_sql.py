"""manage.py check_sql: name the sources and operations that the present rules would not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, no_translations

from dataservices.models import DataOperation, DataSource


class Command(BaseCommand):
    help = "Check every stored source and data operation as if it were saved now. Changes nothing."

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for row in self._rows():
            try:
                row.full_clean()
            except ValidationError as error:
                found += 1
                for field, sentences in error.message_dict.items():
                    self.stdout.write(f"{type(row).__name__} {row} {field}: {' '.join(sentences)}")
        if found:
            raise CommandError(f"{found} sources and operations would not be saved again: correct them")
        self.stdout.write("all sources and operations follow the present rules")

    def _rows(self) -> Iterator[DataSource | DataOperation]:
        yield from DataSource.objects.select_related("agency").iterator(100)
        yield from DataOperation.objects.listed().select_related("service__agency", "source__agency").iterator(100)
