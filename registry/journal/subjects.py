"""The persons whose rows a job has run: lines of the journal of their own, as a job may have a million of them.

A line has a part of them, by their keyed hashes. Shipping puts it into the table SubjectsOfJob.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet

from registry.calls import REQUEST_ID_LENGTH
from registry.journal.chain import subject_hash
from registry.models import CallRecord, SubjectsOfJob

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


def prune(before: datetime) -> None:
    """Delete the rows of jobs that began before a moment, as their records are."""
    SubjectsOfJob.objects.filter(started_at__lt=before).delete()


def records_about(value: str) -> QuerySet[CallRecord]:
    """Return the records of calls and jobs about a person, by the value of a parameter that identifies one."""
    digest = subject_hash(value)
    jobs = SubjectsOfJob.objects.filter(hashes__contains=digest).values("request_id")
    return CallRecord.objects.filter(Q(subjects__contains=digest) | Q(request_id__in=jobs))
