"""Records of the call history, made from the journal's lines and written to the database.

On PostgreSQL records are written by COPY. They are made without models: a busy bus ships thousands a second.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from operator import itemgetter
from typing import Any

from django.db import IntegrityError, connection, transaction

from registry.calls import began_at
from registry.journal import findings
from registry.models import CallRecord
from registry.statistics.rollups import EndedCall

#: Lines from before the migration 0002_plain_names have "face" for "protocol", and may be shipped after it.
_OLD_PROTOCOLS = {"console": "tryout"}

#: A record: its columns but for the id; and the lease of a call on the fast lane, which is no column.
Record = dict[str, Any]

BEGIN_COLUMNS = (
    "request_id", "started_at", "protocol", "method", "client_ip", "user", "segment",
    "agency", "service", "operation", "operation_ref", "revision",
)  # fmt: skip
END_COLUMNS = (
    "consumer_agency", "application", "key", "key_ref", "grant_ref", "origin_kind", "origin_ref", "origin",
    "server_ref", "classification", "format", "parameters", "subjects", "fields", "outcome", "status", "rows", "bytes",
    "duration_us", "broken",
)  # fmt: skip
COLUMNS = (*BEGIN_COLUMNS, *END_COLUMNS)
#: What a call without an end has in the columns of its end.
_OPEN: Record = {
    "consumer_agency": "", "application": "", "key": "", "key_ref": None, "grant_ref": None, "origin_kind": "",
    "origin_ref": None, "origin": "", "server_ref": None, "classification": "", "format": "", "parameters": "",
    "subjects": "", "fields": "", "outcome": 0, "status": None, "rows": None, "bytes": None, "duration_us": None,
    "broken": False,
}  # fmt: skip
#: What roll-ups count of a record, in the order of EndedCall, but for the subjects.
_COUNTED = EndedCall._fields[:-1]

#: The records of one statement, where they are not written by COPY.
_CHUNK = 500
#: How far the time of a call's record may be from that in its id.
_CLOCK = timedelta(hours=1)


def of_begin(line: dict[str, Any], segment: str) -> Record:
    """Return the record of a begin line, in progress. Raises KeyError, TypeError or ValueError for another line."""
    agency, service, operation, operation_ref, revision = line.get("op", ("", "", "", None, None))
    return {
        "request_id": line["id"],
        "started_at": datetime.fromtimestamp(line["at"], UTC),
        "protocol": line["protocol"] if "protocol" in line else _OLD_PROTOCOLS.get(line["face"], line["face"]),
        "method": line["method"][:10],
        "client_ip": _client_ip(line.get("ip", "")),
        "user": line.get("user", ""),
        "segment": segment,
        "agency": agency,
        "service": service,
        "operation": operation,
        "operation_ref": operation_ref,
        "revision": revision,
        "lease": line.get("lease", ""),
        **_OPEN,
    }


def of_end(line: dict[str, Any]) -> Record:
    """Return the columns that an end line sets. Raises KeyError or ValueError for another line."""
    agency, application, key, key_ref = line.get("by", ("", "", "", None))
    origin_kind, origin_ref, origin, server_ref = line.get("from", ("", None, "", None))
    return {
        "outcome": line["code"],
        "status": line["status"],
        "bytes": line["bytes"],
        "duration_us": line["us"],
        "format": line["format"],
        "rows": line.get("rows"),
        "broken": line.get("broken", False),
        "consumer_agency": agency,
        "application": application,
        "key": key,
        "key_ref": key_ref,
        "grant_ref": line.get("grant"),
        "origin_kind": origin_kind,
        "origin_ref": origin_ref,
        "origin": origin,
        "server_ref": server_ref,
        "classification": line.get("class", ""),
        "parameters": ", ".join(line.get("params", ())),
        "subjects": ", ".join(line.get("subjects", ())),
        "fields": ", ".join(line.get("fields", ())),
        # No columns: the hours of callers count them (registry/harvest).
        "near": line.get("near", 0),
        "miss": line.get("miss", 0),
        # No column: the access key has it.
        "in_path": line.get("in_path", 0),
        # What the egress guard has found, which is no column.
        **({"guarded": findings.of_line(line)} if line.get("guard") else {}),
    }


@lru_cache(maxsize=10_000)
def _client_ip(text: str) -> str | None:
    """Return an IP address as every database accepts it: without a zone (fe80::1%eth0). None if it is invalid."""
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def counted(record: Record) -> EndedCall:
    """Return what roll-ups count of an ended call."""
    subjects = record["subjects"]
    return EndedCall._make([*map(record.__getitem__, _COUNTED), tuple(subjects.split(", ")) if subjects else ()])


def store(new: Sequence[Record]) -> list[Record]:
    """Write new records. Return those that were new: one that is there already stays as it is."""
    write = _copy if connection.vendor == "postgresql" else _insert
    try:
        with transaction.atomic():
            write(new)
    except IntegrityError:  # a segment that is read again, as after its row was lost
        ids = [record["request_id"] for record in new]
        present = set(CallRecord.objects.filter(request_id__in=ids).values_list("request_id", flat=True))
        new = list({each["request_id"]: each for each in new if each["request_id"] not in present}.values())
        write(new)
    return list(new)


def complete(ends: dict[str, Record]) -> list[Record]:
    """Set the ends of stored records that are in progress. Return these records."""
    found: list[Record] = []
    ids = list(ends)
    for start in range(0, len(ids), _CHUNK):
        found += _in_progress(ids[start : start + _CHUNK])
    for record in found:
        record.update(ends[record["request_id"]])
    _update(found)
    return found


def _in_progress(ids: list[str]) -> list[Record]:
    """Return the stored records of calls in progress. The times in their ids spare most partitions a look."""
    rows = CallRecord.objects.filter(request_id__in=ids, outcome=0)
    times = [time for id in ids if (time := began_at(id)) is not None]
    if not times:
        return list(rows.values("id", *BEGIN_COLUMNS))
    near = rows.filter(started_at__gte=min(times) - _CLOCK, started_at__lte=max(times) + _CLOCK)
    found = list(near.values("id", *BEGIN_COLUMNS))
    missing = set(ids) - {record["request_id"] for record in found}
    return found + list(rows.filter(request_id__in=missing).values("id", *BEGIN_COLUMNS)) if missing else found


def _update(rows: Sequence[Record]) -> None:
    if connection.vendor == "postgresql":
        for start in range(0, len(rows), _CHUNK):
            _update_together(rows[start : start + _CHUNK])
    elif rows:
        quote = connection.ops.quote_name
        sets = ", ".join(f"{quote(name)} = %s" for name in END_COLUMNS)
        adapt = _adapter()
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {quote(CallRecord._meta.db_table)} SET {sets} WHERE id = %s",  # noqa: S608
                [adapt(row, (*END_COLUMNS, "id")) for row in rows],
            )


def _update_together(rows: Sequence[Record]) -> None:
    """Update records by one statement: many of their own take twenty times as long."""
    columns = (*END_COLUMNS, "id", "started_at")
    types = [CallRecord._meta.get_field(name).db_type(connection) for name in columns]
    place = f"({', '.join(f'%s::{type}' for type in types)})"
    names = ", ".join(map(connection.ops.quote_name, columns))
    sets = ", ".join(f'"{name}" = new."{name}"' for name in END_COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {CallRecord._meta.db_table} AS record SET {sets}"  # noqa: S608
            f" FROM (VALUES {', '.join([place] * len(rows))}) AS new ({names})"
            " WHERE record.id = new.id AND record.started_at = new.started_at",
            [row[name] for row in rows for name in columns],
        )


def _adapter() -> Callable[[Record, Sequence[str]], list[Any]]:
    """Return a function from a record and names of columns to the values as the database takes them."""
    fields: dict[str, Any] = {name: CallRecord._meta.get_field(name) for name in ("started_at", "client_ip")}

    def adapt(record: Record, columns: Sequence[str]) -> list[Any]:
        return [
            fields[name].get_db_prep_save(record[name], connection) if name in fields else record[name]
            for name in columns
        ]

    return adapt


def _insert(new: Sequence[Record]) -> None:
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, COLUMNS))
    places = ", ".join(["%s"] * len(COLUMNS))
    adapt = _adapter()
    statement = f"INSERT INTO {quote(CallRecord._meta.db_table)} ({columns}) VALUES ({places})"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.executemany(statement, [adapt(record, COLUMNS) for record in new])


# ------------------------------------------------------------------------------------------ COPY

#: What has a meaning of its own in the text form of COPY.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})
_SPECIAL = re.compile(r"[\n\r\0]")
_NULL = "\\N"
_values_of = itemgetter(*COLUMNS)


def _copy(new: Iterable[Record]) -> None:
    text = "".join(map(_line, new))
    columns = ", ".join(map(connection.ops.quote_name, COLUMNS))
    statement = f"COPY {CallRecord._meta.db_table} ({columns}) FROM STDIN"
    with connection.cursor() as cursor, connection.wrap_database_errors:
        # Django takes psycopg 3 where it is installed, beside psycopg2 of requirements.txt.
        if hasattr(cursor.cursor, "copy_expert"):
            cursor.cursor.copy_expert(statement, io.StringIO(text))
        else:
            with cursor.cursor.copy(statement) as copy:
                copy.write(text)


def _line(record: Record) -> str:
    values = _values_of(record)
    line = "\t".join([value if value.__class__ is str else _NULL if value is None else str(value) for value in values])
    # Nearly all records have nothing to escape, which is found out for the whole line at once.
    plain = line.count("\t") == len(COLUMNS) - 1 and line.count("\\") == values.count(None)
    if not plain or _SPECIAL.search(line):
        line = "\t".join(map(_escaped, values))
    return line + "\n"


def _escaped(value: Any) -> str:
    return _NULL if value is None else str(value).translate(_ESCAPES)
