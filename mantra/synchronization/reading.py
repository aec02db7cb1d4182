"""Reading the operation of a synchronisation: calls as its application, with admission, quota and journal."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from mantra.gateway import stops
from mantra.gateway.serve import serve
from mantra.synchronization.models import Sync
from mantra.synchronization.problems import Problem
from registry import faults
from registry.calls import Call, request_id
from registry.results import DELETED, Fault, Row, Rows
from registry.snapshot import holder, parts, types

#: The address of these calls: they come from this server.
ADDRESS = "127.0.0.1"
#: The most pages of a read, and rows of a page of changes.
MAX_PAGES, CHANGES_PER_PAGE = 1_000_000, 2_000

_PROBLEMS = {
    **dict.fromkeys((faults.OPERATION_UNKNOWN, faults.OPERATION_RETIRED, faults.DEFINITION_BROKEN), "operation"),
    **dict.fromkeys(
        (
            faults.KEY_UNKNOWN,
            faults.KEY_MISSING,
            faults.GRANT_MISSING,
            faults.GRANT_EXPIRED,
            faults.GRANT_NOT_YET_VALID,
            faults.GRANT_NETWORK,
        ),
        "grant",
    ),
    faults.QUOTA_EXCEEDED: "quota",
    **dict.fromkeys(
        (faults.PARAMETER_MISSING, faults.PARAMETER_INVALID, faults.PARAMETER_UNKNOWN, faults.PARAMETERS_TOGETHER),
        "parameters",
    ),
    faults.FIELD_MISSING: "source-columns",
    faults.METHOD_NOT_ALLOWED: "operation",
    **dict.fromkeys(
        (
            faults.SOURCE_UNREACHABLE,
            faults.SOURCE_TIMEOUT,
            faults.SOURCE_BUSY,
            faults.SOURCE_CIRCUIT_OPEN,
            faults.SOURCE_LOCKED,
            faults.UPSTREAM_UNREACHABLE,
            faults.UPSTREAM_TIMEOUT,
            faults.UPSTREAM_BUSY,
            faults.UPSTREAM_CIRCUIT_OPEN,
            faults.UPSTREAM_BROKE_OFF,
            faults.RESPONSES_BUSY,
            faults.QUOTA_STORE_DOWN,
            faults.NOT_READY,
        ),
        "source-away",
    ),
    faults.JOURNAL_DOWN: "disk",
    faults.STOPPED: "stopped",
}


def problem_of(fault: Fault) -> Problem:
    """Return what a call's fault means for a run."""
    if fault.kind is faults.PARAMETER_INVALID and fault.details.get("parameter") == "since":
        return Problem("cursor", fault.code)
    return Problem(_PROBLEMS.get(fault.kind, "source-error"), fault.code)


@dataclass(slots=True)
class Page:
    """Rows of the operation: the columns of the synchronisation in its order, and whether each is deleted there.

    ``cursor``: where the next read of changes begins, "" for a full read.
    """

    rows: list[Row]
    gone: list[bool]
    cursor: str = ""


@dataclass(slots=True)
class Reader:
    """Reads the operation of a synchronisation. Its methods raise Problem, and keep the request id of the last call."""

    sync: Sync
    request_id: str = field(default="", init=False)

    def operation(self) -> types.Operation:
        """Return the operation from the snapshot."""
        row = self.sync.operation
        snapshot = holder.refresh()
        found = None
        if row is not None:
            found = snapshot.operation(row.service.agency.code, row.service.code, row.code)
        if found is None or found.plan is None or (row is not None and found.id != row.pk):
            raise Problem("operation")
        return found

    def full(self) -> Iterator[Page]:
        """Yield all rows."""
        operation = self.operation()
        page_size = operation.plan.page_size if operation.plan is not None else 0
        if not page_size:
            yield from self._one_call(operation, [])
            return
        for page in range(1, MAX_PAGES + 1):
            more = yield from self._one_call(operation, [("page", str(page)), ("per_page", str(page_size))])
            if not more:
                return

    def changes(self, cursor: str) -> Iterator[Page]:
        """Yield what has changed after ``cursor``; "" is the beginning."""
        operation = self.operation()
        most = getattr(operation.plan, "change_size", 0)
        if not most:
            raise Problem("cursor")
        for _ in range(MAX_PAGES):
            paging = [("since", cursor), ("per_page", str(min(CHANGES_PER_PAGE, most)))]
            calls = self._one_call(operation, paging)
            more = False
            while True:
                try:
                    page = next(calls)
                except StopIteration as end:
                    more = end.value
                    break
                cursor = page.cursor or cursor
                yield page
            if not more:
                return

    # --------------------------------------------------------------------------------------- calls

    def _call(self, operation: types.Operation, paging: list[tuple[str, Any]]) -> Call:
        sync, application = self.sync, self.sync.application
        if application is None or not application.active:
            raise Problem("grant")
        owner = parts.application_of(application)
        # No row has its id: it shares nothing with a real key.
        key = types.Key(-application.pk, "", owner, float("inf"), (), None, in_path=False)
        pairs = [*sync.arguments.items(), *paging]
        assert operation.plan is not None
        call = Call(
            protocol="rest",
            method="GET" if "GET" in operation.plan.methods else "POST",
            client_ip=ADDRESS,
            request_id=request_id(),
            # Of the formats that hold rows and nothing else, the one that upstreams use least.
            format="ndjson",
            read_input=lambda _call: pairs,
            agency=operation.agency,
            service=operation.service,
            code=operation.code,
            vouched=key,
        )
        if self._is_own(operation) and not self._is_granted(operation):
            # What an agency may change it may read as well: no grant is needed.
            call.needs_key, call.operation, call.key, call.application = False, operation, key, owner
        self.request_id = call.request_id
        return call

    def _is_own(self, operation: types.Operation) -> bool:
        return operation.agency == self.sync.agency.code

    def _is_granted(self, operation: types.Operation) -> bool:
        snapshot = holder.current()
        return snapshot is not None and (self.sync.application_id, operation.id) in snapshot.grants

    def _one_call(self, operation: types.Operation, paging: list[tuple[str, Any]]) -> Generator[Page, None, bool]:
        """Call the operation once, and yield its rows. Return whether there is a next page."""
        call = self._call(operation, paging)
        recorded = serve(call)
        size, result = 0, recorded.result
        try:
            if isinstance(result, Fault):
                raise result
            if not isinstance(result, Rows):
                raise Problem("not-rows")
            names = [column.name for column in result.columns]
            places, gone_at = self._places(names), _place_of_deletions(operation, names)
            for batch in result.batches:
                stops.refuse(call)
                size += sum(len(str(value)) for row in batch for value in row)
                gone = [gone_at is not None and is_deletion(row[gone_at]) for row in batch]
                yield Page([tuple(row[at] for at in places) for row in batch], gone)
            if result.truncated:
                raise Problem("truncated")
            if result.cursor:
                yield Page([], [], result.cursor)
            has_next = result.has_next
        except Fault as fault:
            problem = problem_of(fault)
            self._end(recorded, size, fault)
            raise problem from None
        except BaseException:
            self._end(recorded, size, None, broken=not isinstance(recorded.result, Fault))
            raise
        self._end(recorded, size, None)
        return has_next

    def _end(self, recorded: Any, size: int, fault: Fault | None, broken: bool = False) -> None:
        try:
            recorded.end(size, fault.without_traceback() if fault is not None else None, broken=broken)
        except Fault as error:
            # Rows that the journal could not record are not used.
            raise problem_of(error) from None

    def _places(self, names: list[str]) -> list[int]:
        """Return where the columns of the synchronisation are in a row of the response."""
        places = []
        for pair in self.sync.pairs:
            if pair.source not in names:
                raise Problem("source-columns", column=pair.source)
            places.append(names.index(pair.source))
        return places


def _place_of_deletions(operation: types.Operation, names: list[str]) -> int | None:
    """Return where a row of the response says whether it is deleted; None if it does not."""
    own = str(getattr(getattr(operation.plan, "changes", None), "deleted", "") or "").lower()
    wanted = (DELETED.name, own) if own else (DELETED.name,)
    return next((at for at, name in enumerate(names) if name.lower() in wanted), None)


def is_deletion(value: Any) -> bool:
    """Return True if the value of an operation's deleted column marks a row as deleted."""
    return value is not None and str(value).strip().lower() not in ("", "0", "false", "f", "n", "no", "tidak")
