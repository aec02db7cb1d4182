"""The call history, and the segments of the journal that were shipped into it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from registry.models.bounds import BoundedTextField

#: Calls that failed at the provider or in the bus. One fault of providers, fields-inseparable, has the status 403.
FAILED_OR_BUS = Q(status__gte=500) | Q(outcome=11214)


class CallRecord(models.Model):
    """The record of one call, from the journal. Names are copied: a record outlives the rows that it names."""

    #: Begins with the time in milliseconds as 12 hex digits.
    request_id = models.CharField(_("request id"), max_length=32)
    started_at = models.DateTimeField(_("time"))
    protocol = models.CharField(_("protocol"), max_length=10)
    method = models.CharField(_("method"), max_length=10)
    agency = models.CharField(_("agency"), max_length=63, blank=True)
    service = models.CharField(_("service"), max_length=63, blank=True)
    operation = models.CharField(_("operation"), max_length=127, blank=True)
    operation_ref = models.BigIntegerField(null=True, blank=True)
    revision = models.IntegerField(_("revision"), null=True, blank=True)
    consumer_agency = models.CharField(_("caller's agency"), max_length=63, blank=True)
    application = models.CharField(_("application"), max_length=63, blank=True)
    key = models.CharField(_("key"), max_length=20, blank=True)
    user = models.CharField(_("user"), max_length=150, blank=True)
    client_ip = models.GenericIPAddressField(_("address"), null=True, blank=True)
    format = models.CharField(_("format"), max_length=20, blank=True)
    parameters = models.TextField(_("parameters (names)"), blank=True)
    subjects = models.TextField(_("subjects (keyed hashes)"), blank=True)
    fields = models.TextField(_("fields"), blank=True)
    outcome = models.IntegerField(_("outcome"), default=0, help_text=_("200 or the fault's code. 0: in progress."))
    status = models.IntegerField(_("HTTP status"), null=True, blank=True)
    rows = models.BigIntegerField(_("rows"), null=True, blank=True)
    bytes = models.BigIntegerField(_("bytes"), null=True, blank=True)
    duration_us = models.BigIntegerField(_("duration (µs)"), null=True, blank=True)
    broken = models.BooleanField(_("aborted"), default=False)
    key_ref = models.BigIntegerField(null=True, blank=True)
    grant_ref = models.BigIntegerField(null=True, blank=True)
    #: Where the response came from: "source" or "backend", its id and its code, and the backend's server.
    origin_kind = models.CharField(max_length=7, blank=True)
    origin_ref = models.BigIntegerField(null=True, blank=True)
    origin = models.CharField(_("source or backend"), max_length=127, blank=True)
    server_ref = models.BigIntegerField(null=True, blank=True)
    #: The highest classification of what left.
    classification = models.CharField(_("classification"), max_length=10, blank=True)
    segment = models.CharField(max_length=120, blank=True)

    class Meta:
        verbose_name = _("call")
        verbose_name_plural = _("call history")
        ordering = ("-started_at", "-id")
        default_permissions = ("view",)
        # On PostgreSQL the table has a partition for each month of started_at (registry/journal/partitions.py): what is
        # unique there contains that column.
        constraints = [models.UniqueConstraint(fields=["request_id", "started_at"], name="call_once")]
        indexes = [
            models.Index(fields=["-started_at"], name="call_time"),
            models.Index(fields=["agency", "-started_at"], name="call_agency"),
            models.Index(fields=["consumer_agency", "-started_at"], name="call_consumer"),
            models.Index(fields=["outcome", "-started_at"], name="call_outcome"),
            models.Index(fields=["-duration_us"], name="call_duration"),
            models.Index(fields=["operation_ref", "-started_at"], name="call_operation"),
            models.Index(fields=["application", "-started_at"], name="call_application"),
            models.Index(fields=["key_ref", "-started_at"], name="call_key"),
            # What is rare and looked for: among many records it would be found last.
            models.Index(fields=["-started_at"], name="call_broken", condition=Q(broken=True)),
            models.Index(fields=["-started_at"], name="call_failed", condition=FAILED_OR_BUS),
            models.Index(fields=["-started_at"], name="call_specific", condition=Q(classification="specific")),
            # Calls without an end, which are closed after their worker process has ended.
            models.Index(fields=["segment"], name="call_open", condition=Q(outcome=0)),
        ]

    def __str__(self) -> str:
        return self.request_id


class CallSubject(models.Model):
    """A person whom a call or a job was about, by which its record is found: a row for each.

    The record itself has all of its subjects in one column, which no index serves.
    """

    hash = models.CharField(max_length=32)
    #: Those of the record.
    started_at = models.DateTimeField()
    request_id = models.CharField(max_length=32)

    class Meta:
        verbose_name = _("subject of a call")
        verbose_name_plural = _("subjects of calls")
        default_permissions = ()
        indexes = [
            models.Index(fields=["hash", "-started_at"], name="call_subject"),
            models.Index(fields=["started_at"], name="call_subject_time"),
        ]

    def __str__(self) -> str:
        return self.request_id


class SubjectsOfJob(models.Model):
    """A part of the persons whose rows a job has run, from a line of the journal (registry/journal/subjects.py)."""

    request_id = models.CharField(max_length=32)
    #: That of the job's record, with which it is deleted.
    started_at = models.DateTimeField()
    #: Keyed hashes, separated by blanks.
    hashes = models.TextField()
    segment = models.CharField(max_length=120)
    line = models.BigIntegerField()

    class Meta:
        verbose_name = _("subjects of a job")
        verbose_name_plural = _("subjects of jobs")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["segment", "line"], name="subjects_once")]
        indexes = [
            models.Index(fields=["request_id"], name="subjects_job"),
            models.Index(fields=["started_at"], name="subjects_time"),
        ]

    def __str__(self) -> str:
        return self.request_id


class CallLease(models.Model):
    """Calls that were counted in advance for the fast lane, from the journal: a lease, and what became of it.

    It is kept until its calls are in the call history, and a while longer.
    """

    id = models.CharField(primary_key=True, max_length=16)
    #: When it was given, and for how many calls.
    at = models.DateTimeField()
    count = models.IntegerField(default=0)
    #: The calls that nginx took from it; None until nginx says so.
    used = models.IntegerField(null=True)
    #: Those of them that are in the call history.
    calls = models.IntegerField(default=0)
    #: Those of which nothing is known; None while they may still come.
    unexplained = models.IntegerField(null=True)
    #: What its calls have in common: its line in the journal.
    common = models.TextField(blank=True)

    class Meta:
        verbose_name = _("lease of calls")
        verbose_name_plural = _("leases of calls")
        default_permissions = ()
        indexes = [
            models.Index(fields=["at"], name="lease_time"),
            models.Index(fields=["at"], name="lease_open", condition=Q(unexplained=None)),
        ]

    def __str__(self) -> str:
        return self.id


class JournalSegment(models.Model):
    """The progress of shipping a segment into the call history, and the chain of its last shipped line.

    All columns are sealed (registry/journal/sealing.py).
    """

    name = models.CharField(max_length=120, unique=True)
    #: Its place in the order of shipping, from 1 on.
    serial = models.BigIntegerField(unique=True, null=True)
    offset = models.BigIntegerField(default=0)
    lines = models.BigIntegerField(default=0)
    last_hash = models.CharField(max_length=64, blank=True)
    closed = models.BooleanField(default=False)
    closed_at = models.DateTimeField(null=True)
    #: True for a row from before rows were sealed.
    adopted = models.BooleanField(default=False)
    #: True if the bus deleted the file because of its age.
    pruned = models.BooleanField(default=False)
    #: True if all rows before this one were deleted, as their files were.
    first = models.BooleanField(default=False)
    #: The public digest of the last shipped line; "" for a segment of format 1.
    digest = models.CharField(max_length=64, blank=True)
    #: The serial of the signed head that has the row as it is; 0: none has.
    headed = models.BigIntegerField(default=0)
    #: True if all content of the file was erased because of its age.
    erased = models.BooleanField(default=False)
    seal = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = _("journal segment")
        verbose_name_plural = _("journal segments")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class JournalHead(models.Model):
    """A signed head of the journal, as everybody may have it (registry/journal/heads.py)."""

    #: Most characters of a document.
    LENGTH = 1_000_000

    serial = models.BigIntegerField(_("number"), unique=True)
    at = models.DateTimeField(_("time"))
    #: SHA-256 of the document, which the next head names.
    digest = models.CharField(_("digest"), max_length=64)
    document = BoundedTextField(max_length=LENGTH)
    #: The segments that were proven when it was made, and how many of them are not as they were written.
    proven = models.IntegerField(default=0)
    broken = models.IntegerField(default=0)

    class Meta:
        verbose_name = _("head of the journal")
        verbose_name_plural = _("heads of the journal")
        ordering = ("-serial",)
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.serial)
