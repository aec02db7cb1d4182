"""The call history on PostgreSQL: a partition for each month, so that an old month is dropped as a whole.

Records of a time for which there is no partition are in the default one. Other databases have a plain table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import connection

from registry.models import CallRecord

TABLE = CallRecord._meta.db_table
_NAME = re.compile(rf"{TABLE}_y(\d{{4}})m(\d\d)")
#: The table from before there were partitions, with the month at whose beginning it ends.
_OLD_NAME = re.compile(rf"{TABLE}_to_y(\d{{4}})m(\d\d)")
#: Months that have a partition before the first record of theirs.
_AHEAD = 2


def month_of(moment: datetime) -> datetime:
    """Return the beginning of a moment's month, in UTC: partitions do not move with the bus's time zone."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(month: datetime) -> datetime:
    """Return the beginning of the month after one."""
    return month_of(month + timedelta(days=32))


def is_partitioned() -> bool:
    """Return True if the call history has partitions here."""
    return connection.vendor == "postgresql"


def _children() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass",
            [TABLE],
        )
        return [name for (name,) in cursor.fetchall()]


def _months(pattern: re.Pattern[str]) -> list[datetime]:
    found = map(pattern.fullmatch, _children())
    return sorted(datetime(int(each[1]), int(each[2]), 1, tzinfo=UTC) for each in found if each)


def months() -> list[datetime]:
    """Return the months that have a partition of their own, in order."""
    return _months(_NAME)


def create(wanted: Iterable[datetime]) -> None:
    """Create the partitions of months that have none.

    A month whose records are in another partition already, the default one or that from before, stays there.
    """
    if not is_partitioned():
        return
    new = sorted(set(wanted) - set(months()))
    if not new:
        return
    first = max(_months(_OLD_NAME), default=datetime.min.replace(tzinfo=UTC))
    for month in new:
        following = next_month(month)
        if month < first or CallRecord.objects.filter(started_at__gte=month, started_at__lt=following).exists():
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {_name(month)} PARTITION OF {TABLE} FOR VALUES FROM (%s) TO (%s)",
                [month, following],
            )


def create_ahead(now: datetime) -> None:
    """Create the partitions of this month and the next ones."""
    wanted = [month_of(now)]
    for _number in range(_AHEAD):
        wanted.append(next_month(wanted[-1]))
    create(wanted)


def prune(before: datetime) -> None:
    """Delete the records from before a moment: on PostgreSQL those of months that are over by then, as a whole."""
    if not is_partitioned():
        CallRecord.objects.filter(started_at__lt=before).delete()
        return
    old = [_name(month) for month in months() if next_month(month) <= before]
    others = [name for name in _children() if not _NAME.fullmatch(name)]
    with connection.cursor() as cursor:
        for name in old:
            cursor.execute(f"DROP TABLE IF EXISTS {name}")  # another host's worker may have
        for name in others:
            cursor.execute(f"DELETE FROM {name} WHERE started_at < %s", [before])  # noqa: S608


def _name(month: datetime) -> str:
    return f"{TABLE}_y{month:%Y}m{month:%m}"
