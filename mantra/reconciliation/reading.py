"""Reads the rows of a side: by calls of its operation, recorded and counted as all calls are, or from its file.

An operation of another agency is called as the application that was granted it: with its grant's columns, quota and
period. A response that is cut off at the operation's row limit is an error: what it lacks would look as if it were in
the other list only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings

from dataservices.tabular.shapes import ColumnWanted, Layout
from dataservices.uploads import UploadError, process
from mantra.gateway import serve as gateway
from mantra.gateway import stops
from mantra.reconciliation import files
from mantra.reconciliation.models import Side
from mantra.reconciliation.pairs import Column
from mantra.tryout.as_application import vouched
from proxyservices.forwarding.plan import Plan as ProxyPlan
from proxyservices.forwarding.response import records_of
from registry import faults, results
from registry.calls import Call, request_id
from registry.exports import ExportError
from registry.models import Grant, Operation
from registry.results import Document, Fault, Result, Row, Rows
from registry.snapshot import parts
from registry.snapshot.types import Operation as Prepared
from registry.snapshot.types import Snapshot

#: The protocols of the calls, in the history: as an application, and of an own operation.
AS_APPLICATION, AS_OWN = "matching", "own-read"
#: Where the calls come from. A grant for certain networks does not admit them.
_ADDRESS = "127.0.0.1"
#: Rows that are read at once from a file, and from a document.
_BATCH = 500

Batch = tuple[list[Column], list[Row]]


class ReadingError(Exception):
    """A side cannot be read. ``problem``: a key of problems.PROBLEMS; ``fault``: the code of a call's fault."""

    def __init__(self, problem: str, fault: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.fault = problem, fault


def batches(side: Side, user: str, work: Path, progress: Callable[[], None]) -> Generator[Batch, None, None]:
    """Yield the columns of a side with some of its rows, until all are read; at least once. Raises ReadingError.

    ``user``: the name of the user whose rights the run has. ``work``: an empty folder.
    """
    count, found = 0, _of_file(side, work, progress) if side.kind == Side.Kind.FILE else _of_operation(side, user)
    for columns, rows in found:
        count += len(rows)
        if count > settings.MAX_RECONCILED_ROWS:
            raise ReadingError("too-many")
        yield columns, rows


# ------------------------------------------------------------------------------------------ operations


def _of_operation(side: Side, user: str) -> Iterator[Batch]:
    operation = parts.operation(side.operation_id) if side.operation_id is not None else None
    if operation is None or operation.plan is None or operation.state == Operation.State.DRAFT:
        raise ReadingError("operation")
    if not side.as_own and (side.application is None or not side.application.active):
        raise ReadingError("application")
    snapshot = None if side.as_own else _snapshot(side, operation)
    page = 1 if operation.plan.page_size else 0
    while True:
        call = _call(side, operation, snapshot, user, page)
        has_next = yield from _answered(call)
        if not page or not has_next:
            return
        page += 1


def _snapshot(side: Side, operation: Prepared) -> Snapshot:
    """Return a snapshot of the one operation and its grant, as they are now: the worker has no other."""
    rows = Grant.objects.filter(application=side.application_id, operation=side.operation_id)
    read = parts.Grants().read(list(rows.values_list("pk", flat=True)))
    grants: dict[Any, Any] = {grant.place: grant.value for grant in read if grant.value is not None}
    place = operation.agency.lower(), operation.service.lower(), operation.code.lower()
    return Snapshot({place: operation}, {}, grants, {})


def _call(side: Side, operation: Prepared, snapshot: Snapshot | None, user: str, page: int) -> Call:
    pairs = [(name, value) for name, value in side.arguments.items() if value != ""]
    if page:
        pairs.append(("page", str(page)))
    plan = operation.plan
    assert plan is not None
    call = Call(
        protocol=AS_OWN if side.as_own else AS_APPLICATION,
        method="GET" if "GET" in plan.methods else plan.methods[0],
        client_ip=_ADDRESS,
        request_id=request_id(),
        format="json",
        read_input=lambda call: list(pairs),
        agency=operation.agency,
        service=operation.service,
        code=operation.code,
        needs_key=not side.as_own,
        user=user,
        operation=operation if side.as_own else None,
        snapshot=snapshot,
    )
    if side.application is not None and not side.as_own:
        call.vouched = vouched(side.application)
    return call


def _answered(call: Call) -> Generator[Batch, None, bool]:
    """Yield the rows of a call, and end its record. Return True if there is a next page. Raises ReadingError."""
    recorded = gateway.serve(call)
    result = recorded.result
    began = False
    try:
        if isinstance(result, Fault):
            raise result
        recorded.result = rows = _rows(call, result)
        columns = [Column(column.name, column.type or "text") for column in rows.columns]
        began = True
        yield columns, []
        for batch in rows.batches:
            stops.refuse(call)
            yield columns, batch
        if rows.truncated:
            raise ReadingError("truncated")
    except Fault as fault:
        _end(recorded, fault if began else None, broken=began)
        raise ReadingError(_PROBLEMS.get(fault.kind, "source"), fault.code) from None
    except BaseException:
        _end(recorded, None, broken=True)
        raise
    _end(recorded, None, broken=False)
    return rows.has_next


def _end(recorded: Any, fault: Fault | None, broken: bool) -> None:
    """End the record of a call. Its rows stay on the server: no byte was sent. Raises ReadingError."""
    try:
        recorded.end(0, fault, broken)
    except Fault as error:
        raise ReadingError("journal", error.code) from None


def _rows(call: Call, result: Result) -> Rows:
    """Return a result as rows. Raises ReadingError."""
    if isinstance(result, Rows):
        return result
    plan = call.operation.plan if call.operation is not None else None
    if not isinstance(result, Document) or not isinstance(plan, ProxyPlan):
        raise ReadingError("no-rows")
    records = records_of(plan, result.value, result.enveloped, plan.declared)
    if records is None:
        raise ReadingError("no-rows")
    sight = plan.sight(call.rights)
    names = [name for name in plan.declared if not sight.allowed or name in sight.allowed]
    types = {name: "text" if name in sight.kinds else type_ for name, type_ in plan.declared.items()}
    rows = Rows(tuple(results.Column(name, types[name]) for name in names), iter(()))

    def lists() -> Iterator[list[Row]]:
        for start in range(0, len(records), _BATCH):
            batch = [tuple(record.get(name) for name in names) for record in records[start : start + _BATCH]]
            rows.count += len(batch)
            yield batch

    rows.batches = lists()
    return rows


#: What a fault means for a run; others are of the source or the upstream.
_PROBLEMS = {
    **dict.fromkeys(
        (faults.GRANT_MISSING, faults.GRANT_EXPIRED, faults.GRANT_NOT_YET_VALID, faults.GRANT_INCOMPLETE), "grant"
    ),
    **dict.fromkeys((faults.OPERATION_UNKNOWN, faults.OPERATION_RETIRED, faults.DEFINITION_BROKEN), "operation"),
    **dict.fromkeys((faults.SOURCE_TIMEOUT, faults.UPSTREAM_TIMEOUT), "time"),
    **dict.fromkeys(
        (
            faults.PARAMETER_MISSING, faults.PARAMETER_INVALID, faults.PARAMETER_UNKNOWN, faults.PARAMETERS_TOGETHER,
            faults.PARAMETER_REPEATED,
        ),
        "parameters",
    ),
    faults.GRANT_NETWORK: "network",
    faults.STOPPED: "stopped",
    faults.QUOTA_EXCEEDED: "quota",
    faults.JOURNAL_DOWN: "journal",
    faults.INTERNAL: "error",
}  # fmt: skip


# ----------------------------------------------------------------------------------------------- files


def _of_file(side: Side, work: Path, progress: Callable[[], None]) -> Iterator[Batch]:
    """Read an uploaded file. Its plain content is in the private folder of the run for as long as it is read."""
    plain, table = work / "content", work / "table"
    try:
        files.copy(files.folder(files.UPLOADS) / side.stored, str(side.key), plain, progress)
        table.touch(0o600)
        found = side.found["columns"]
        wanted = [ColumnWanted(index, f"c{place}", kind) for place, (index, _name, kind, _type) in enumerate(found)]
        process.build(plain, table, side.found["sheet"], Layout(**side.found["layout"]), wanted)
        plain.unlink()
        with closing(sqlite3.connect(table)) as connection:
            table.unlink()  # it is there as long as it is open
            rows = connection.execute("SELECT * FROM rows")
            columns = [Column(name, type) for _index, name, _kind, type in found]
            yield columns, []
            while batch := rows.fetchmany(_BATCH):
                yield columns, batch
    except (ExportError, KeyError, TypeError):
        raise ReadingError("file-gone") from None
    except (UploadError, sqlite3.Error):
        raise ReadingError("file") from None
    finally:
        plain.unlink(missing_ok=True)
        table.unlink(missing_ok=True)
