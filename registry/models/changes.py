"""The snapshot's version, and the change log: what each version has changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import models, transaction

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


_undone: ContextVar[bool] = ContextVar("undone", default=False)


@contextmanager
def undone() -> Iterator[None]:
    """Record no change in a block whose changes are undone in any case, such as those of a dry run.

    Within together() the version is neither locked nor raised: nobody waits for what never comes into force.
    """
    token = _undone.set(True)
    try:
        yield
    finally:
        _undone.reset(token)


def are_undone() -> bool:
    """Return True within undone()."""
    return _undone.get()


@dataclass(slots=True)
class _Together:
    """The changes of a block that have one version."""

    version: int
    raised: bool = False
    #: Kind of row → the ids of changed rows, None for any of them.
    noted: dict[str, set[int | None]] = field(default_factory=dict)
    #: Kind of row → what was asked of such rows, with the answers.
    read: dict[str, dict[Hashable, Any]] = field(default_factory=dict)
    #: What bounds are checked by, such as the number of an agency's operations.
    totals: dict[Hashable, int] = field(default_factory=dict)

    def note(self, kind: str, refs: Collection[int | None]) -> None:
        self.noted.setdefault(kind, set()).update(refs)
        if kind == "agency":  # its code is in the names of all that it has
            self.read.clear()
        self.read.pop(kind, None)


_together: ContextVar[_Together | None] = ContextVar("together", default=None)
Found = TypeVar("Found")


@contextmanager
def together() -> Iterator[None]:
    """Give all changes of a block one version, for many definitions at once.

    No other transaction changes the registry meanwhile.
    The block is all that its transaction does: an error that leaves it undoes the transaction. Within it a row is saved
    without a savepoint of its own, so whoever catches an error of the database opens one.
    """
    if _together.get() is not None:
        yield
        return
    changes = _Together((SnapshotVersion.current() if are_undone() else SnapshotVersion.locked()) + 1)
    token = _together.set(changes)
    try:
        yield
    finally:
        _together.reset(token)
    if changes.raised and not are_undone():
        SnapshotVersion.raise_to(changes.version, changes.noted)


def are_together() -> bool:
    """Return True within together()."""
    return _together.get() is not None


def atomic() -> AbstractContextManager[None]:
    """Return a transaction for a change; within together() nothing, because its transaction is undone as a whole."""
    return nullcontext() if are_together() else transaction.atomic()


def read_once(kind: str, question: Hashable, read: Callable[[], Found]) -> Found:
    """Return what ``read`` returns of rows of a kind. Within together() it is read once, until one of them changes."""
    changes = _together.get()
    if changes is None:
        return read()
    answers = changes.read.setdefault(kind, {})
    if question not in answers:
        answers[question] = read()
    found: Found = answers[question]
    return found


def keep(kind: str, question: Hashable, answer: Any) -> None:
    """Keep what was read of rows of a kind for read_once()."""
    changes = _together.get()
    if changes is not None:
        changes.read.setdefault(kind, {})[question] = answer


def total(key: Hashable, read: Callable[[], int]) -> int:
    """Return a total of rows that ``read`` returns. Within together() it is read once, and added to by add_to_total().

    Whoever changes rows in another way calls forget_totals().
    """
    changes = _together.get()
    if changes is None:
        return read()
    if key not in changes.totals:
        changes.totals[key] = read()
    return changes.totals[key]


def add_to_total(key: Hashable, number: int) -> None:
    """Add to a total that was read in this block: a row was stored that it had not."""
    changes = _together.get()
    if changes is not None and key in changes.totals:
        changes.totals[key] += number


def forget_totals() -> None:
    changes = _together.get()
    if changes is not None:
        changes.totals.clear()


def read_again() -> None:
    """Forget what read_once() and total() have read: a savepoint was undone."""
    changes = _together.get()
    if changes is not None:
        changes.read.clear()
        changes.totals.clear()


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
        changes = _together.get()
        if changes is not None:
            changes.raised = True
            return changes.version
        rows = cls.objects.filter(pk=1)
        while not rows.update(version=models.F("version") + 1):
            cls.objects.get_or_create(pk=1)
        version: int = rows.values_list("version", flat=True).get()
        RegistryChange.prune_at(version)
        return version

    @classmethod
    def raise_to(cls, version: int, noted: dict[str, set[int | None]]) -> None:
        """Raise the version, which is locked, and write the entries of it: kind of row → ids of changed rows."""
        cls.objects.filter(pk=1).update(version=version)
        RegistryChange.objects.bulk_create(
            (RegistryChange(version=version, kind=kind, ref=ref) for kind, refs in noted.items() for ref in refs),
            batch_size=RegistryChange.MAX_ENTRIES,
        )
        RegistryChange.prune_at(version)

    @classmethod
    def lock(cls) -> None:
        """Let no other transaction change the registry until this one ends.

        Each change locks this row. A transaction that locks other rows must lock it first: in another order, two would
        wait for each other.
        """
        if not are_together():
            list(cls.objects.select_for_update().filter(pk=1))

    @classmethod
    def locked(cls) -> int:
        """Let no other transaction change the registry until this one ends, and return the version."""
        rows = cls.objects.select_for_update().filter(pk=1).values_list("version", flat=True)
        while (version := rows.first()) is None:
            cls.objects.get_or_create(pk=1)
        return int(version)

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
        changes = _together.get()
        if changes is not None:
            changes.note(*((kind, refs) if refs else (cls.NOTHING, (None,))))
            return
        entries = [RegistryChange(version=version, kind=kind, ref=ref) for ref in refs]
        RegistryChange.objects.bulk_create(entries or [RegistryChange(version=version, kind=cls.NOTHING)])

    @classmethod
    def prune_at(cls, version: int) -> None:
        """Delete old entries, at each PRUNE_EVERY-th version."""
        if version % cls.PRUNE_EVERY == 0:
            cls.prune(version)

    @classmethod
    def prune(cls, version: int) -> None:
        cls.objects.filter(version__lte=version - cls.KEPT).delete()
