"""The persons whom calls and jobs were about, by their keyed hashes.

A call's are in its end line. A job may have a million of them, which are in lines of their own; shipping puts these
into the table SubjectsOfJob too. All are in the table CallSubject, which has an index.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from registry.calls import REQUEST_ID_LENGTH
from registry.journal.chain import subject_hashes
from registry.models import CallRecord, CallSubject, SubjectsOfJob

#: The protocol of the records of jobs, and of requests about them.
PROTOCOL = "job"
#: The method of a job's own record: requests about jobs have those of HTTP.
RUN = "RUN"
#: The most hashes of a line.
SUBJECTS_IN_LINE = 1_000
#: Lines that are written at once.
_CHUNK = 200


def of_line(line: dict[str, Any], segment: str, number: int) -> SubjectsOfJob:
    """Return the row of a line. Raises KeyError, TypeError or ValueError for one of another version."""
    hashes, id = line["hashes"], line["id"]
    if len(id) > REQUEST_ID_LENGTH or len(hashes) > SUBJECTS_IN_LINE:
        raise ValueError
    at = datetime.fromtimestamp(line["at"], UTC)
    return SubjectsOfJob(request_id=id, started_at=at, hashes=" ".join(hashes), segment=segment, line=number)


def store(rows: Sequence[SubjectsOfJob]) -> None:
    """Write rows. One that is there already, as after a segment's row was lost, stays as it is."""
    for start in range(0, len(rows), _CHUNK):
        SubjectsOfJob.objects.bulk_create(rows[start : start + _CHUNK], ignore_conflicts=True)
    _write((hash, row.started_at, row.request_id) for row in rows for hash in row.hashes.split())


def index(records: Iterable[dict[str, Any]]) -> None:
    """Let the records of ended calls be found by the persons whom they are about."""
    _write(
        (hash, record["started_at"], record["request_id"])
        for record in records
        if record["subjects"]
        for hash in dict.fromkeys(record["subjects"].split(", "))
    )


def _write(rows: Iterator[tuple[str, datetime, str]]) -> None:
    """Write rows of CallSubject. Those of a segment that is read again are there twice, which readers allow for."""
    if connection.vendor == "postgresql":
        _copy(rows)
        return
    quote = connection.ops.quote_name
    adapt = CallSubject._meta.get_field("started_at").get_db_prep_save
    columns = ", ".join(map(quote, _COLUMNS))
    statement = f"INSERT INTO {quote(_TABLE)} ({columns}) VALUES (%s, %s, %s)"  # noqa: S608
    found = [(hash, adapt(at, connection), id) for hash, at, id in rows]
    if found:
        with connection.cursor() as cursor:
            cursor.executemany(statement, found)


_TABLE, _COLUMNS = CallSubject._meta.db_table, ("hash", "started_at", "request_id")


def _copy(rows: Iterator[tuple[str, datetime, str]]) -> None:
    text = "".join(f"{hash}\t{at.isoformat()}\t{id}\n" for hash, at, id in rows)  # hex digits and times: no escapes
    if not text:
        return
    statement = f"COPY {_TABLE} ({', '.join(_COLUMNS)}) FROM STDIN"
    with connection.cursor() as cursor, connection.wrap_database_errors:
        # Django takes psycopg 3 where it is installed, beside psycopg2 of requirements.txt.
        if hasattr(cursor.cursor, "copy_expert"):
            cursor.cursor.copy_expert(statement, io.StringIO(text))
        else:
            with cursor.cursor.copy(statement) as copy:
                copy.write(text)


def prune(before: datetime) -> None:
    """Delete the rows of calls and jobs that began before a moment, as their records are."""
    SubjectsOfJob.objects.filter(started_at__lt=before).delete()
    CallSubject.objects.filter(started_at__lt=before).delete()


def records_about(value: str, since: datetime | None = None) -> QuerySet[CallRecord]:
    """Return the records of calls and jobs about a person, by the value of a parameter that identifies one."""
    found = CallSubject.objects.filter(hash__in=subject_hashes(value))
    if since is not None:
        found = found.filter(started_at__gte=since)
    return CallRecord.objects.filter(request_id__in=found.values("request_id"))
