"""Why a job was refused, stands still or failed: the keys that rows store, with their sentences."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.jobs.models import Job

#: Problem → what is wrong and what to do. ``{detail}``: names or a number, never a value of a row.
PROBLEMS: dict[str, Any] = {
    # Refusals: no job was made.
    "denied": _("You may not start this job. The application needs a grant for the operation."),
    "kind": _("This operation cannot be run as a job: jobs are for operations that read rows or verify them."),
    "format": _("Send the rows as CSV, XLSX, NDJSON or JSON."),
    "too-large": _("The file is larger than {detail} MiB. Divide it, or ask an administrator to raise the limit."),
    "empty": _("The file is empty. Choose the file that has the rows."),
    "interrupted-upload": _("The file did not arrive completely. Send it again."),
    "too-many": _("The application has {detail} unfinished jobs already. Wait until one has ended, or cancel one."),
    "agency-space": _("The files of your agency's jobs take more than {detail} MiB. Delete jobs that are done."),
    "mapping": _("There is no parameter {detail}. Check which column goes to which parameter."),
    "state": _("The job is no longer in a state in which this can be done. Reload the page."),
    "not-ready": _("The job has no results yet. Wait until rows are done."),
    "expired": _("The files of the job were deleted when their time was over. Run the job again."),
    # Of the file.
    "unreadable": _("The file cannot be read ({detail}). Save it again as CSV or XLSX, and start a new job."),
    "header": _("No row with names of columns was found. The first row must have the names of the parameters."),
    "columns-missing": _("The file has no column for {detail}. Name the columns like the parameters."),
    "columns-repeated": _("The file has the column {detail} twice. Keep one of them."),
    "too-many-rows": _("The file has more than {detail} rows. Divide it into several files."),
    "no-rows": _("The file has no rows below the names of its columns."),
    "invalid-rows": _("{detail} rows cannot be run. Correct them and start a new job, or let the job skip them."),
    "check": _("{detail} rows cannot be run. Look at the report, then resume the job without them, or cancel it."),
    # While it runs.
    "disk": _("The server has no room for the job's files. It goes on by itself when there is room."),
    "source": _("The data source or upstream cannot be reached. The job goes on by itself when it can."),
    "busy": _("The data source or upstream is busy. The job goes on by itself."),
    "journal": _("The journal cannot be written. The job goes on by itself when it can."),
    "snapshot": _("The server cannot read its settings for the moment. The job goes on by itself."),
    "quota-store": _("Quotas cannot be counted for the moment. The job goes on by itself when they can."),
    "stopped": _("The access is stopped to protect data. The job goes on by itself when the stop is released."),
    "key": _("The access key of the job was revoked or has expired. Start a new job with another key."),
    "grant": _("The application no longer has a grant for the operation. Request access, then start a new job."),
    "application": _("The application or its agency is no longer active."),
    "operation": _("The operation is no longer offered, or can no longer be run. Ask its provider."),
    "changed": _("The operation was changed while the job ran: its columns are others now. Start a new job."),
    "files": _("The job's files are missing or damaged. Start a new job."),
    "interrupted": _("The server stopped several times at the same rows. Ask its administrator."),
    "error": _("The job failed because of an error in MANTRA. Ask the administrator of the server."),
}


class JobError(Exception):
    """Something cannot be done with a job. ``problem``: a key of PROBLEMS."""

    def __init__(self, problem: str, detail: object = "") -> None:
        super().__init__(problem)
        self.problem, self.detail = problem, str(detail)[:200]

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in the reader's language."""
        return _sentence(self.problem, self.detail)


def _sentence(problem: str, detail: str) -> str:
    if problem == "unreadable":
        detail = _why_unreadable(detail)
    return str(PROBLEMS.get(problem, PROBLEMS["error"])).format(detail=detail)


#: Why a file cannot be read, by the codes of dataservices.uploads.messages and "json".
_UNREADABLE = {
    "password": _("it is protected by a password"),
    "damaged": _("it is damaged"),
    "not-a-table": _("it is no table"),
    "web-page": _("it is a web page"),
    "memory": _("it needs too much memory"),
    "time": _("reading it takes too long"),
    "unpacked": _("it is too large when it is unpacked"),
    "encoding": _("its letters are in more than one encoding"),
    "quote": _("a quotation mark is not closed"),
    "json": _("it is not the JSON of rows"),
    "cell": _("a value is too long"),
    "columns": _("it has too many columns"),
}


def _why_unreadable(detail: str) -> str:
    """Return why a file cannot be read, by a code and perhaps the number of a row."""
    code, _colon, number = detail.partition(":")
    why = str(_UNREADABLE.get(code, _("its format is unknown")))
    return gettext("%(why)s, row %(number)s") % {"why": why, "number": number} if number else why


def sentence(job: Job) -> str:
    """Return what is wrong with a job and what to do about it, in the reader's language; "" if nothing is."""
    return _sentence(job.problem, job.problem_detail) if job.problem else ""
