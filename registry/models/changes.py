"""The snapshot's version, and the change log: what each version has changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

ADDED, CHANGED, DELETED = "added", "changed", "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of definitions: what became of which rows, and the names of the columns that changed.

    ``count``: the number of rows, of which ``rows`` may be the first ones only.
    """

    action: str
    model: type[models.Model]
    rows: Sequence[Any]
    fields: tuple[str, ...] = ()
    version: int = 0
    count: int = 1


#: Those who record changes. They are called in the transaction of the change, which an error of theirs refuses.
OBSERVERS: list[Callable[[Change], None]] = []
#: The rows of one statement that are recorded by their names.
NAMED_ROWS = 100


def observe(change: Change) -> None:
    """Let a change be recorded."""
    for observer in OBSERVERS:
        observer(change)


class SnapshotVersion(models.Model):
    """One row with a number that every change of a definition raises. Worker processes poll it."""

    version = models.BigIntegerField(default=1)

    class Meta:
        verbose_name = "snapshot version"

    def __str__(self) -> str:
        return str(self.version)

    @classmethod
    def bump(cls) -> int:
        """Raise the version and return it. Called within a transaction.

        The row stays locked until the transaction ends. So versions are committed in their order and without gaps:
        whoever reads a version can read the change log up to it.
        """
        rows = cls.objects.filter(pk=1)
        while not rows.update(version=models.F("version") + 1):
            cls.objects.get_or_create(pk=1)
        version: int = rows.values_list("version", flat=True).get()
        if version % RegistryChange.PRUNE_EVERY == 0:
            RegistryChange.prune(version)
        return version

    @classmethod
    def lock(cls) -> None:
        """Let no other transaction change the registry until this one ends.

        Each change locks this row. A transaction that locks other rows must lock it first: in another order, two would
        wait for each other.
        """
        list(cls.objects.select_for_update().filter(pk=1))

    @classmethod
    def current(cls) -> int:
        """Return the version in the database, 0 if nothing was ever changed."""
        return cls.objects.filter(pk=1).values_list("version", flat=True).first() or 0


class RegistryChange(models.Model):
    """An entry of the change log, written in the transaction of the change."""

    version = models.BigIntegerField(db_index=True)
    #: The kind of row, see RegistryModel.snapshot_unit; "": anything may have changed.
    kind = models.CharField(max_length=20, blank=True)
    #: The row's id; None: any row of the kind may have changed.
    ref = models.BigIntegerField(null=True)

    #: More rows than this are noted as one entry without an id.
    MAX_ENTRIES = 1000
    #: Versions for which entries are kept. A process that is further behind compares the whole registry.
    KEPT = 20_000
    PRUNE_EVERY = 500
    #: The kind of an entry that tells of no row.
    NOTHING = "none"

    class Meta:
        verbose_name = "registry change"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.version}: {self.kind} {self.ref}"

    @classmethod
    def note(cls, version: int, kind: str, ids: Collection[int] | None) -> None:
        """Write entries for the rows with these ids; None: any row of the kind may have changed."""
        refs: Collection[int | None] = (None,) if ids is None or len(ids) > cls.MAX_ENTRIES else ids
        # Without an entry, readers would take the version for one of an older release, and compare everything.
        entries = [RegistryChange(version=version, kind=kind, ref=ref) for ref in refs]
        RegistryChange.objects.bulk_create(entries or [RegistryChange(version=version, kind=cls.NOTHING)])

    @classmethod
    def prune(cls, version: int) -> None:
        cls.objects.filter(version__lte=version - cls.KEPT).delete()
