"""The monthly reports of agencies: who may read them, and those that the bus makes on the first of each month."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from registry import tenancy
from registry.exports import start
from registry.models import Agency, Event, ExportJob, NotifiedOnce, User
from registry.notifications import Month, first_time, notify, wanting
from registry.notifications.recipients import members
from registry.statistics.reading import Period, Selection, totals

RIGHT = "registry.view_callrecord"
#: Days of a month on which the reports of the month before are made, if that could not be done on the first.
DAYS = 7
#: The months before this one of which a report can be made on demand.
MONTHS = 24


def may_read(user: Any, agency: str) -> bool:
    """Return True if a user may read the report of an agency."""
    if not isinstance(user, User) or not user.has_perm(RIGHT):
        return False
    own = user.agency.code if user.agency else ""
    return tenancy.sees_all_agencies(user) or (bool(agency) and agency == own)


def month_before(day: date) -> date:
    """Return the first day of the month before a day's."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def period_of(month: date) -> Period:
    """Return the days of a month."""
    following = (month + timedelta(days=32)).replace(day=1)
    return Period(month, following - timedelta(days=1))


def months(today: date) -> list[date]:
    """Return the months of which there can be a report, the latest first: this one is not complete yet."""
    found = [today.replace(day=1)]
    while len(found) <= MONTHS:
        found.append(month_before(found[-1]))
    return found


def begin(user: User, agency: str, month: date, *, language: str, scheduled: bool = False) -> ExportJob:
    """Let the worker make a report. Raises ValidationError."""
    parameters = {"agency": agency, "month": f"{month:%Y-%m}"}
    return start(user, "report", parameters, format="pdf", language=language, scheduled=scheduled)


def start_due(now: datetime) -> int:
    """Start the reports of the month before, once, for those who want them. Return their number.

    They are made from the digest's hour of the first on, when the calls of the month's last evening are counted.
    """
    local = timezone.localtime(now)
    hour = time(settings.DIGEST_HOUR % 24)
    if local.day > DAYS or (local.day == 1 and local.time() < hour):
        return 0
    month = month_before(local.date())
    done = f"monthly_reports:{month:%Y-%m}"
    if NotifiedOnce.objects.filter(name=done).exists():
        return 0
    number = sum(_start(agency, month) for agency in Agency.objects.order_by("pk").iterator(500))
    first_time(done)
    return number


@transaction.atomic
def _start(agency: Agency, month: date) -> int:
    """Start the reports of an agency, unless that was done. An agency without calls gets none."""
    if not first_time(f"monthly_report:{month:%Y-%m}:{agency.pk}"):
        return 0
    people = wanting(Event.MONTHLY_REPORT, members(agency, RIGHT))
    if not people or not totals(Selection(agency=agency.code), period_of(month)).calls:
        return 0
    for user in people:
        begin(user, agency.code, month, language=user.language, scheduled=True)
    return len(people)


def announce(job: ExportJob) -> None:
    """Notify a person that a report is ready: by a link, without anything of what is in it."""
    year, month = map(int, job.parameters["month"].split("-"))
    agency = Agency.objects.filter(code=job.parameters["agency"]).first()
    notify(
        Event.MONTHLY_REPORT,
        [job.user],
        url=reverse("export", args=[job.pk]),
        agency=str(agency or job.parameters["agency"]),
        month=Month(year, month),
    )
