"""An old database of every trap, from its dump to the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from mantra.legacy_import import reports
from mantra.legacy_import.models import ImportedRow
from mantra.legacy_import.reading import open_database
from mantra.legacy_import.running import Options, run
from tests.legacy_import.old_database import SMALL, make

pytestmark = pytest.mark.django_db


def test_numbers_add_up_to_every_row(tmp_path: Path) -> None:
    installation = make(SMALL)
    path = installation.write(tmp_path / "lama.sql")
    with open_database(str(path)) as database:
        made = run(database, Options())
    found = reports.counts(made)
    assert {table: outcomes.total() for table, outcomes in found.items()} == {
        table: made.counts[table] for table in found
    }
    print("\n".join(reports.summary(made)))
    with open_database(str(path)) as database:
        again = run(database, Options())
    columns = ("table", "old_id", "outcome", "remarks", "ref")
    lines = ImportedRow.objects.order_by("table", "old_id").values_list(*columns)
    assert list(lines.filter(run=again)) == list(lines.filter(run=made))
