"""Apply a bundle: all of it or nothing, with the changes, and every problem by its place in the file."""

from __future__ import annotations

from contextlib import nullcontext

from django.db import transaction

from mantra.definitions.bundle_reader import BundleReader
from mantra.definitions.bundle_writer import BundleWriter
from mantra.definitions.reading import Environment
from mantra.definitions.report import Report
from registry.lookups import with_lookups
from registry.models.changes import together, undone


class _Rollback(Exception):
    """Ends the transaction."""


def apply(text: str, environment: Environment, dry_run: bool = False, reason: str = "") -> Report:
    """Apply a bundle and return the report. With problems, or as a dry run, the registry stays unchanged.

    ``reason``: of the versions of operations that this makes.
    """
    return with_lookups(lambda: _apply(text, environment, dry_run, reason))


def _apply(text: str, environment: Environment, dry_run: bool, reason: str) -> Report:
    report = Report()
    reader = BundleReader(environment, report.problems)
    try:
        # Rows are counted: nobody else adds one meanwhile.
        with transaction.atomic(), undone() if dry_run else nullcontext(), together():
            bundle = reader.document(text)
            if bundle is not None:
                BundleWriter(reader, report, reason).write(bundle)
            if dry_run or report.problems:
                raise _Rollback
    except _Rollback:
        pass
    return report
