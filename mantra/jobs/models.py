"""Jobs: an operation that the worker runs for each row of a file."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.calls import request_id
from registry.models import Application, Operation, User
from registry.models.bounds import MaxJsonLength
from registry.secrets import EncryptedField

#: Characters of the mapping of columns, of what the check reports, and of the columns of the results, each as JSON.
MAPPING, REPORT, COLUMNS = 60_000, 100_000, 100_000
#: Characters of the name of a column of a file.
HEADER = 200


class Job(models.Model):
    """A job: a file with a row for each call, and what has become of the rows so far.

    Its files are below settings.JOB_DIR (mantra/jobs/files.py). What is there is the truth: the counts of this row
    follow it.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CHECKING = "checking", _("being checked")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        QUOTA = "quota", _("waiting for the quota")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")
        EXPIRED = "expired", _("expired")

    class OnInvalid(models.TextChoices):
        """What is done if the check finds rows that cannot be run."""

        SKIP = "skip", _("run the others")
        ASK = "ask", _("pause after the check")
        STOP = "stop", _("run none")

    #: Its name in addresses, and its request id in the call history.
    request_id = models.CharField(_("request id"), max_length=32, unique=True, default=request_id, editable=False)
    application = models.ForeignKey(
        Application, models.CASCADE, verbose_name=_("application"), related_name="jobs", editable=False
    )
    operation = models.ForeignKey(
        Operation, models.CASCADE, verbose_name=_("operation"), related_name="jobs", editable=False
    )
    #: Who started it on a page; None for a job by access key.
    user = models.ForeignKey(
        User, models.CASCADE, verbose_name=_("user"), null=True, blank=True, related_name="jobs", editable=False
    )
    #: The public part of the access key; "" for a job of a page.
    key_public = models.CharField(_("access key"), max_length=20, blank=True, editable=False)
    client_ip = models.GenericIPAddressField(_("address"), null=True, blank=True, editable=False)
    language = models.CharField(_("language"), max_length=5, choices=settings.LANGUAGES, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING, editable=False)
    #: A key of mantra.jobs.problems, and the row or the names that it is about.
    problem = models.CharField(_("problem"), max_length=30, blank=True, editable=False)
    problem_detail = models.CharField(max_length=200, blank=True, editable=False)
    #: When a job that is paused or waits for its quota goes on by itself; None: its owner resumes it.
    retry_at = models.DateTimeField(_("goes on at"), null=True, blank=True, editable=False)
    on_invalid = models.CharField(
        _("rows that cannot be run"), max_length=5, choices=OnInvalid.choices, default=OnInvalid.SKIP, editable=False
    )
    #: csv, xlsx, ndjson or json; the name of the file that was sent, without folders.
    input_format = models.CharField(_("format"), max_length=6, editable=False)
    file_name = models.CharField(_("file"), max_length=150, blank=True, editable=False)
    input_bytes = models.BigIntegerField(_("size"), default=0, editable=False)
    #: Parameter → column of the file; parameters that are not in it have columns of their own names.
    mapping = models.JSONField(default=dict, validators=[MaxJsonLength(MAPPING)], editable=False)
    #: What the check found (mantra/jobs/checking.py: Report).
    report = models.JSONField(default=dict, validators=[MaxJsonLength(REPORT)], editable=False)
    #: The columns of the operation's rows, (name, type) each; empty until the first of them.
    columns = models.JSONField(default=list, validators=[MaxJsonLength(COLUMNS)], editable=False)
    #: Rows of the file; None until all were checked. Rows that were checked, and that have a result.
    rows = models.PositiveIntegerField(_("rows"), null=True, blank=True, editable=False)
    checked = models.PositiveIntegerField(_("checked"), default=0, editable=False)
    done = models.PositiveIntegerField(_("done"), default=0, editable=False)
    #: Of the rows with a result: those with rows of the operation, without any, with a fault, that cannot be run.
    found = models.PositiveIntegerField(_("found"), default=0, editable=False)
    not_found = models.PositiveIntegerField(_("not found"), default=0, editable=False)
    faults = models.PositiveIntegerField(_("faults"), default=0, editable=False)
    invalid = models.PositiveIntegerField(_("cannot be run"), default=0, editable=False)
    #: Rows of the file that another row repeats.
    duplicates = models.PositiveIntegerField(_("repeated"), default=0, editable=False)
    #: Rows and bytes of the results, and the bytes of all files of the job.
    result_rows = models.BigIntegerField(_("rows of results"), default=0, editable=False)
    result_bytes = models.BigIntegerField(default=0, editable=False)
    stored_bytes = models.BigIntegerField(_("bytes"), default=0, editable=False)
    #: Rows a second of late, and when the job will have ended at this pace.
    rate = models.FloatField(_("rows per second"), default=0.0, editable=False)
    estimated_end = models.DateTimeField(_("estimated end"), null=True, blank=True, editable=False)
    #: Rows that the quota has counted, of which the last ones may not be run yet.
    counted = models.PositiveIntegerField(default=0, editable=False)
    #: True when the journal has the begin line; and when the job has ended, and has its end line and its message.
    recorded = models.BooleanField(default=False, editable=False)
    concluded = models.BooleanField(default=False, editable=False)
    #: What the record says of it: "source" or "backend", its id and its code; the highest classification.
    origin = models.JSONField(default=list, validators=[MaxJsonLength(300)], editable=False)
    classification = models.CharField(max_length=10, blank=True, editable=False)
    #: The process that runs it, and how often one began without having got any further than the last.
    worker = models.CharField(max_length=100, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    #: When it is a job's turn: that with the oldest time is next.
    turn_at = models.DateTimeField(default=timezone.now, editable=False)
    #: The name of its folder below settings.JOB_DIR, and the key from which those of its files are made.
    stored = models.CharField(max_length=40, blank=True, editable=False)
    key = EncryptedField(max_length=100, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ("-created_at", "-id")
        default_permissions = ()
        indexes = [
            models.Index(fields=["application", "-created_at", "-id"], name="job_application"),
            models.Index(fields=["user", "-created_at", "-id"], name="job_user"),
            models.Index(fields=["state", "turn_at", "id"], name="job_turn"),
            models.Index(fields=["expires_at"], name="job_expiry"),
        ]

    def __str__(self) -> str:
        return self.request_id

    @property
    def ended(self) -> bool:
        """True if nothing more will be run."""
        return self.state in ENDED


State = Job.State
#: States in which nothing more is run, and those in which the worker has something to do.
ENDED = (State.DONE, State.FAILED, State.CANCELLED, State.EXPIRED)
ACTIVE = (State.WAITING, State.CHECKING, State.RUNNING)
#: States of which the results can be read: all that are not expired and have run.
UNFINISHED = (*ACTIVE, State.PAUSED, State.QUOTA)
