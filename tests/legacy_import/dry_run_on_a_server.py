"""A dry run, changes by others meanwhile, and the run, on the database of MANTRA_DATABASE_URL, which is empty.

    python -m tests.legacy_import.dry_run_on_a_server

Prints a JSON object: how many lines both runs have, whether they are the same, and what others could not change.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.registry.concurrent_changes import make_tables  # Django is set up by it

from django.contrib.auth.models import Group
from django.db import connection

from mantra.legacy_import.models import LegacyImport
from mantra.legacy_import.people import ROLES
from mantra.legacy_import.running import Options, run
from registry.models import AccessKey, Agency, Application, SnapshotVersion
from tests.legacy_import.rows import small

#: Seconds that another's change may wait. A dry run that it waited for would wait for it, too, and for ever.
PATIENCE = 30


def meanwhile(key: AccessKey, late: list[int]) -> Any:
    """Return what lets others change a key and add an agency, at each step of a dry run."""
    steps = iter(range(1_000))

    def change(step: int) -> None:
        try:
            AccessKey.objects.filter(pk=key.pk).update(networks=f"10.{step}.0.0/16")
            Agency.objects.create(code=f"lain{step}", name="Lain")
        finally:
            connection.close()

    def others(_rows: int) -> None:
        step = next(steps)
        thread = threading.Thread(target=change, args=(step,), daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if thread.is_alive():
            late.append(step)

    return others


def lines(made: LegacyImport) -> list[Any]:
    return list(made.lines.order_by("pk").values_list("table", "old_id", "outcome", "remarks", "name", "code", "parts"))


def main() -> dict[str, Any]:
    make_tables()
    for name in ROLES.values():
        Group.objects.create(name=name)
    agency = Agency.objects.create(code="kons", name="Konsumen")
    key, _plain = AccessKey.issue(Application.objects.create(agency=agency, code="app", title="Aplikasi"))
    before, late = SnapshotVersion.current(), list[int]()
    dry = run(small(), Options(dry=True, progress=meanwhile(key, late)))
    changed = SnapshotVersion.current() - before
    left = Agency.objects.filter(code="bkd").count()
    made = run(small(), Options())
    return {
        "lines": len(lines(made)), "same": lines(dry) == lines(made), "late": late, "left": left,
        "others": changed, "steps": Agency.objects.filter(code__startswith="lain").count(),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main()))
