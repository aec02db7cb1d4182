"""Keeps a snapshot up to date with the registry's tables, by the change log, and compares the two now and then."""

from __future__ import annotations

import logging
import time
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from registry import models
from registry.models import RegistryChange, SnapshotVersion
from registry.snapshot import parts
from registry.snapshot.parts import Grants, Keys, Operations, Part, Services
from registry.snapshot.types import Operation, Snapshot

log = logging.getLogger("mantra.snapshot")

#: Seconds after which a step puts what is prepared into force, and looks for newer changes: a revoked key must not wait
#: for another agency's thousand operations.
STEP_SECONDS = 0.2
#: Batches that are read at once as long as there is no snapshot: no call waits then.
FIRST_BATCHES = 20
_OPERATION_PATHS = {"service": "service", "agency": "service__agency"}

#: Seconds that a change may take until all of it is in force, before the log says so.
ALARM_SECONDS = 0.5


@dataclass(slots=True)
class _Group:
    """Rows of a kind to be prepared again."""

    part: Part
    ids: list[int]
    #: True if only those whose rows differ need it.
    compare: bool = False


class Loader:
    """A snapshot and what it was made of. One thread uses it at a time."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._services, self._keys, self._grants, self._operations = Services(), Keys(), Grants(), Operations()
        self._parts: dict[str, Part] = {
            part.kind: part for part in (self._services, self._keys, self._grants, self._operations)
        }
        #: The version of the registry up to which changes were noted.
        self.version = -1
        #: What is stopped, and the version of the registry in which that was read.
        self._stops: frozenset[tuple[str, int]] = frozenset()
        self._stops_of = -1
        #: Changes that are put into force first: they are cheap, and may close something.
        self._first: defaultdict[str, set[int]] = defaultdict(set)
        self._groups: list[_Group] = []
        self._comparison: Iterator[bool] | None = None
        #: True if operations were replaced since the planners were told.
        self._replaced = False
        #: When the changes under way were noticed, the rows read for them, and the seconds of their longest step.
        self._noticed: float | None = None
        self._rows = 0
        self._longest = 0.0

    # ------------------------------------------------------------------------------ what has changed

    def take_stops(self) -> None:
        """Put stops into force, before all else that has changed. Raises errors of the database.

        They wait neither for a change of thousands of rows nor for one that cannot be prepared, and do not depend on
        the change log: it may have been pruned.
        """
        self._current_version()

    def _current_version(self) -> int:
        """Return the registry's version. The stops are at least as new as it: nginx keeps what has that version."""
        version = SnapshotVersion.current()
        if version != self._stops_of:
            self._read_stops()
            self._stops_of = version
        return version

    def _read_stops(self) -> None:
        stops = models.Stop.stopped()
        if stops != self._stops:
            self._stops = stops
            if self.snapshot is not None:
                self.snapshot = replace(self.snapshot, stops=stops)

    def poll(self) -> None:
        """Note what has changed. Raises errors of the database; nothing is lost then."""
        version = self._current_version()
        if version == self.version:
            return
        if self._noticed is None:
            self._noticed = time.monotonic()
        changes = self._changes_up_to(version)
        if changes is None:
            self._compare_all()
        else:
            for kind, refs in changes.items():
                self._note(kind, refs)
        self.version = version

    def _changes_up_to(self, version: int) -> dict[str, set[int | None]] | None:
        """Return the changed rows by kind. None if the log does not tell: it was pruned, or an older release wrote."""
        if not 0 <= self.version < version:
            return None
        rows = RegistryChange.objects.filter(version__gt=self.version, version__lte=version)
        versions, changes = set(), defaultdict[str, set[int | None]](set)
        for entry_version, kind, ref in rows.values_list("version", "kind", "ref"):
            versions.add(entry_version)
            changes[kind].add(ref)
        return changes if len(versions) == version - self.version else None

    def _compare_all(self) -> None:
        for part in self._parts.values():
            self._compare(part)

    def _compare(self, part: Part) -> None:
        self._later(part, {*part.ids(), *part.held}, compare=True)

    def _note(self, kind: str, refs: set[int | None]) -> None:
        ids = {ref for ref in refs if ref is not None}
        if len(ids) < len(refs):
            if kind in ("key", "grant"):
                self._compare(self._parts[kind])
            elif kind not in (RegistryChange.NOTHING, "stop"):
                self._compare_all()
            return
        if kind in ("key", "grant", "service"):
            self._first[kind] |= ids
        if kind == "application":
            self._first["key"].update(_keys_of(application__in=ids))
        if kind == "agency":
            self._first["service"].update(models.Service.objects.filter(agency__in=ids).values_list("pk", flat=True))
            self._later(self._keys, set(_keys_of(application__agency__in=ids)))
        operations = _operations_of(kind, ids)
        if kind == "operation":
            self._operations.restrict(ids)
            operations |= ids
        self._later(self._operations, operations)

    def _later(self, part: Part, ids: set[int], compare: bool = False) -> None:
        if ids:
            self._groups.append(_Group(part, sorted(ids, reverse=True), compare))

    # ------------------------------------------------------------------------------ putting it into force

    def step(self) -> bool:
        """Put noted changes into force, as many as STEP_SECONDS allow. Return True if some are left.

        The first snapshot is there when all of it is.
        """
        began = time.monotonic()
        self._take_first()
        while self._groups:
            self._take_group()
            if time.monotonic() > began + STEP_SECONDS:
                break
        if self.snapshot is not None or not self._groups:
            self._publish()
        self._longest = max(self._longest, time.monotonic() - began)
        if not self._groups:
            self._retain()
            self._report()
        return bool(self._groups)

    def _take_first(self) -> None:
        for kind, ids in self._first.items():
            part = self._parts[kind]
            while ids:
                batch = set(list(ids)[: part.batch])
                part.refresh(batch)
                ids -= batch
                self._rows += len(batch)

    def _take_group(self) -> None:
        """Prepare a batch of the smallest group: a small change does not wait for a large one."""
        group = min(self._groups, key=lambda each: len(each.ids))
        batch = group.ids[-group.part.batch * (1 if self.snapshot is not None else FIRST_BATCHES) :]
        if group.compare and self.snapshot is not None:
            self._later(group.part, group.part.differing(batch))
        else:
            group.part.refresh(batch)
        self._rows += len(batch)
        del group.ids[-len(batch) :]
        if not group.ids:
            self._groups.remove(group)

    def _publish(self) -> None:
        """Make the snapshot of what is prepared now, if any of it is new."""
        old = self.snapshot
        operations, services = self._operations.publish(), self._services.publish()
        keys, grants = self._keys.publish(), self._grants.publish()
        as_before = old is not None and operations is old.operations and services is old.services
        if old is not None and as_before and keys is old.keys and grants is old.grants:
            return
        documents = old.documents if old is not None and as_before else OrderedDict()
        if old is not None and operations is old.operations:
            legacy, legacy_services = old.legacy_operations, old.legacy_services
        else:
            legacy = _by_legacy_address(operations)
            legacy_services = frozenset(address[:2] for address in legacy)
        self.snapshot = Snapshot(operations, keys, grants, services, legacy, legacy_services, documents, self._stops)
        self._replaced = self._replaced or old is None or operations is not old.operations

    def _retain(self) -> None:
        """Let the planners close what no operation uses any more, once all of a change is in force."""
        if self._replaced and self.snapshot is not None:
            definitions = [each.lazy_plan.definition for each in self.snapshot.operations.values()]
            for planner in parts.PLANNERS.values():
                planner.retain(definition for definition in definitions if definition is not None)
        self._replaced = False

    def _report(self) -> None:
        """Log a change that took long."""
        if self._noticed is not None:
            seconds = time.monotonic() - self._noticed
            if seconds > ALARM_SECONDS:
                log.warning(
                    "a change of the registry was in force %.1f s after it was noticed: %d rows were read, in steps of "
                    "at most %.1f s", seconds, self._rows, self._longest,
                )  # fmt: skip
        self._noticed, self._rows, self._longest = None, 0, 0.0

    # ------------------------------------------------------------------------------ comparing

    @property
    def comparing(self) -> bool:
        return self._comparison is not None

    def compare(self) -> None:
        """Compare the next few rows with the tables, and begin anew after the last ones.

        Only changes that no release of the bus has made are found by this, such as a row that was edited by hand.
        """
        if self._comparison is None:
            self._comparison = self._compared()
        if not next(self._comparison, False):
            self._comparison = None

    def _compared(self) -> Iterator[bool]:
        self._read_stops()
        for part in self._parts.values():
            held, after = sorted(part.held), 0
            while True:
                ids = part.ids(after, part.batch)
                upto = ids[-1] if len(ids) == part.batch else None
                between = held[bisect_right(held, after) : None if upto is None else bisect_right(held, upto)]
                self._put_right(part, part.differing({*ids, *between}))
                yield True
                if upto is None:
                    break
                after = upto

    def _put_right(self, part: Part, differing: set[int]) -> None:
        """Prepare rows again that differ. A change that is newer than the last poll is no surprise."""
        if differing and SnapshotVersion.current() == self.version:
            log.warning("%d rows (%s) had changed without an entry in the change log", len(differing), part.kind)
        self._later(part, differing)


def _by_legacy_address(operations: Mapping[tuple[str, str, str], Operation]) -> dict[tuple[str, str, str], Operation]:
    """Return the operations whose address in 1.99x differs from every alias, by that address."""
    return {each.legacy_address: each for each in operations.values() if each.legacy_address not in operations}


def _keys_of(**condition: Collection[int]) -> list[int]:
    return list(models.AccessKey.objects.filter(revoked_at=None, **condition).values_list("pk", flat=True))


def _operations_of(kind: str, ids: Collection[int]) -> set[int]:
    """Return the ids of the operations whose preparation depends on rows of another kind."""
    found: set[int] = set()
    for model, path in _paths(kind):
        found.update(model.objects.filter(**{f"{path}__in": ids}).values_list("pk", flat=True))
    return found


def _paths(kind: str) -> Iterator[tuple[type[models.Operation], str]]:
    """Yield the models that refer to rows of a kind, each with the path."""
    if kind in _OPERATION_PATHS:
        yield models.Operation, _OPERATION_PATHS[kind]
    for planner in parts.PLANNERS.values():
        if kind in planner.paths:
            yield planner.model, planner.paths[kind]
