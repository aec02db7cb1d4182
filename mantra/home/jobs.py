"""The card of a person's jobs: those that run, and those that ended and are still kept."""

from __future__ import annotations

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.home.cards import MOST, Card, Line, Link
from mantra.jobs import reading
from mantra.jobs.models import Job
from mantra.jobs.views import COLOURS, State
from registry.models import User


def own(user: User) -> Card:
    """Return the jobs that the user has started, the newest first."""
    rows = Job.objects.filter(user=user).exclude(state=State.EXPIRED)
    rows = rows.select_related("operation__service__agency")[:MOST]
    advice = Link(_("Send a list"), reverse("job_choice")) if reading.may_start(user) else None
    return Card(
        "jobs", _("Your jobs"), [_line(job) for job in rows],
        _("You can look up or verify a whole list at once: send it as a file."),
        (Link(_("All jobs"), reverse("jobs")),), advice,
    )  # fmt: skip


def _line(job: Job) -> Line:
    done = number_format(job.done, force_grouping=True)
    note = gettext("%(done)s rows done") % {"done": done}
    if job.rows is not None:
        rows = number_format(job.rows, force_grouping=True)
        note = gettext("%(done)s of %(rows)s rows done") % {"done": done, "rows": rows}
    if job.file_name:
        note = f"{job.file_name} · {note}"
    text = job.operation.title or job.operation.address
    address = reverse("job", args=[job.request_id])
    return Line(text, address, note, job.get_state_display(), COLOURS.get(State(job.state), "mute"))
