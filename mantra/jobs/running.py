"""One job's work: its file is checked, then its rows are run and their results stored in parts.

What is on the disk is the truth. A part is there as a whole or not at all; after a kill the job goes on with the row
after the last one that has a result.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet, Sum
from django.utils import timezone

from mantra.gateway import quotas, row_quotas
from mantra.gateway.row_quotas import Meter
from mantra.jobs import admission, checking, execution, record, results
from mantra.jobs.checking import ColumnsMissing
from mantra.jobs.execution import Answers
from mantra.jobs.files import INPUT, ROWS, JobFolder
from mantra.jobs.models import Job, State
from mantra.jobs.problems import JobError
from mantra.jobs.results import INVALID, NOT_FOUND, OK, Columns, Numbers, Part
from registry import faults
from registry.calls import Call
from registry.journal.chain import subject_hash
from registry.parameter_values import InvalidValue
from registry.results import Column, Fault, Row

log = logging.getLogger("mantra.jobs")

#: Rows, bytes and seconds after which a part is written.
PART_ROWS, PART_BYTES, PART_SECONDS = 5_000, 8 * 1024 * 1024, 5.0
#: Seconds between two reports of progress, and over which the pace is measured.
REPORT, PACE = 1.0, 15.0
#: Seconds for which a source that is away is tried within a run, and a quota that begins anew is waited for.
PATIENCE, SHORT_WAIT = 20.0, 3
#: The first pause before a row is run again, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
#: How often a row is run that alone makes its upstream request a pause.
TRIES = 5
#: Seconds of a turn, if other jobs wait for theirs.
TURN = 15.0
#: The most columns of results.
MAX_COLUMNS = 1_000
#: Problem → seconds after which the job goes on by itself.
RETRIED = {
    "disk": 30, "source": 30, "busy": 10, "journal": 10, "snapshot": 5, "quota-store": 10, "agency-space": 300,
    "stopped": 60,
}  # fmt: skip
#: Problems with which the job waits for its owner.
_ASKED = frozenset(("check", "columns-missing"))


class Stopped(Exception):
    """The job is not to go on here: it was paused or cancelled, it is another's turn, or the process has to end."""


@dataclass(slots=True)
class _Pace:
    """How many rows are done in a second, of late."""

    clock: Callable[[], float]
    marks: deque[tuple[float, int]] = field(default_factory=deque)

    def of(self, done: int) -> float:
        now = self.clock()
        self.marks.append((now, done))
        while len(self.marks) > 2 and now - self.marks[0][0] > PACE:
            self.marks.popleft()
        (_since, before), seconds = self.marks[0], now - self.marks[0][0]
        return max(0, done - before) / seconds if seconds > 0 else 0.0


@dataclass(slots=True)
class _Waiting:
    """A row that waits for its answer: its number, its texts, its arguments, or what is wrong with it."""

    number: int
    texts: list[str | None]
    arguments: dict[str, Any] | None
    wrong: str = ""


class Run:
    """Works on a job until it ends, pauses or has to stop.

    ``must_stop`` says that the process ends or that another one leads; ``others_wait``, that another job has no place.
    """

    def __init__(
        self,
        job: Job,
        must_stop: Callable[[], bool] = lambda: False,
        others_wait: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.job = job
        self._must_stop, self._others_wait, self._clock, self._sleep = must_stop, others_wait, clock, sleep
        self._folder = JobFolder(job.stored, str(job.key))
        self._began, self._reported, self._flushed = clock(), float("-inf"), clock()
        self._pace = _Pace(clock)
        self._numbers = Numbers()
        self._columns: Columns = []
        self._part = Part(Numbers(), self._columns)
        self._subjects: set[str] = set()
        self._call: Call | None = None

    # ------------------------------------------------------------------------------------ the job

    def go(self) -> None:
        """Work on the job. Raises errors of the database: the job is then taken up again."""
        try:
            self._folder.remove_unfinished()
            if self.job.rows is None:
                self._check()
            if self.job.state == State.RUNNING:
                self._run()
        except Stopped:
            self._leave()
        except JobError as error:
            self._stand_still(error)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as error:
            # Its text could have data in it.
            log.error("job %s failed: %s", self.job.request_id, type(error).__name__, exc_info=True)
            self._stand_still(JobError("error"))

    def _of(self) -> QuerySet[Job]:
        """Return the row of the job, if it is still this process's."""
        return Job.objects.filter(pk=self.job.pk, worker=self.job.worker)

    def _set(self, **columns: Any) -> None:
        """Store columns of a job that still runs here. Raises Stopped if it was paused or cancelled meanwhile."""
        if not self._of().filter(state=self.job.state).update(**columns):
            raise Stopped
        for name, value in columns.items():
            setattr(self.job, name, value)

    def _leave(self) -> None:
        """Let the job wait for its next turn, unless it was paused or cancelled."""
        self._of().filter(state__in=(State.CHECKING, State.RUNNING)).update(
            state=State.WAITING, turn_at=timezone.now(), worker="", attempts=0
        )

    def _stand_still(self, error: JobError) -> None:
        """Store why the job does not go on, and what becomes of it."""
        now = timezone.now()
        columns: dict[str, Any] = {"problem": error.problem, "problem_detail": error.detail, "worker": ""}
        if isinstance(error, _NothingLeft):
            columns |= {"state": State.QUOTA, "problem": "", "retry_at": now + timedelta(seconds=error.seconds)}
        elif error.problem in RETRIED:
            asked_for = error.seconds if isinstance(error, _Away) else 0.0
            wait = timedelta(seconds=max(RETRIED[error.problem], asked_for))
            # Not for ever: what never comes back ends the job, as an owner does who never resumes it.
            expires = self.job.expires_at or now + timedelta(hours=settings.JOB_HOURS)
            columns |= {"state": State.PAUSED, "retry_at": now + wait, "expires_at": expires}
        elif error.problem in _ASKED and (error.problem == "check" or self.job.user_id):
            kept = timedelta(hours=settings.JOB_HOURS)
            columns |= {"state": State.PAUSED, "retry_at": None, "expires_at": now + kept}
        else:
            kept = timedelta(hours=settings.JOB_HOURS)
            columns |= {"state": State.FAILED, "finished_at": now, "expires_at": now + kept}
        if isinstance(error, ColumnsMissing):
            columns["report"] = {**asdict(error.report), "header": error.header}
        self._of().filter(state__in=(State.CHECKING, State.RUNNING)).update(**columns)

    # ----------------------------------------------------------------------------------- checking

    def _check(self) -> None:
        """Check the file, and let the job run unless its owner has to be asked."""
        if self.job.state != State.CHECKING:
            self._set(state=State.CHECKING)
        operation = admission.operation_of(self.job, admission.snapshot())
        self._folder.remove(ROWS)
        limit = 4 * settings.MAX_JOB_BYTES + (64 << 20)
        found = checking.check(self.job, operation, self._folder, limit, self._report_checked)
        wrong = found.report.invalid_rows
        stops = wrong and self.job.on_invalid != Job.OnInvalid.SKIP
        self._set(
            rows=found.rows,
            checked=found.rows,
            duplicates=found.duplicates,
            report=asdict(found.report),
            stored_bytes=self._folder.size(),
        )
        self._folder.remove(INPUT)
        if stops and self.job.on_invalid == Job.OnInvalid.STOP:
            raise JobError("invalid-rows", wrong)
        if stops:
            raise JobError("check", wrong)
        self._set(state=State.RUNNING)

    def _report_checked(self, rows: int) -> None:
        if self._must_stop():
            raise Stopped
        if self._clock() - self._reported >= REPORT:
            self._reported = self._clock()
            self._set(checked=rows)

    # ------------------------------------------------------------------------------------ running

    def _run(self) -> None:
        """Run the rows that have no result yet."""
        job = self.job
        self._numbers, self._columns = results.total(self._folder)
        self._begin_part()
        call = self._admitted()
        assert call.operation is not None
        if not job.recorded:
            record.begin(job, call)
            self._set(recorded=True, started_at=job.started_at or timezone.now())
        self._report(force=True)
        try:
            rows = islice(self._folder.file(ROWS).lines(), self._numbers.rows, None)
            size = execution.size_of(call.operation)
            while batch := list(islice(rows, size)):
                self._answer(batch)
                if self._is_part():
                    self._flush()
                self._report()
        finally:
            # Also what was done before the job was paused, or before the source went away.
            self._flush()
        if self._numbers.rows != job.rows:
            raise JobError("files")
        now = timezone.now()
        self._set(
            **self._counts(), state=State.DONE, finished_at=now, expires_at=now + timedelta(hours=settings.JOB_HOURS),
            problem="", problem_detail="", retry_at=None, estimated_end=None,
        )  # fmt: skip

    def _admitted(self) -> Call:
        """Return the call of the rows, admitted anew once a second. Raises JobError."""
        origin = self._call.origin if self._call is not None else None
        found = self._call.guarded if self._call is not None else {}
        self._call = admission.call_of(self.job)
        self._call.origin, self._call.guarded = origin, found
        return self._call

    def _report(self, force: bool = False) -> None:
        """Store the progress and look whether the job may go on, once a second. Raises Stopped, JobError."""
        if self._must_stop():
            raise Stopped
        now = self._clock()
        if not force and now - self._reported < REPORT:
            return
        self._reported = now
        rate = self._pace.of(self._together().rows)
        left = (self.job.rows or 0) - self._together().rows
        ends = timezone.now() + timedelta(seconds=min(left / rate, 366 * 86_400)) if rate > 0 else None
        self._set(**self._counts(), rate=round(rate, 1), estimated_end=ends, problem="", problem_detail="")
        self._admitted()
        if now - self._began > TURN and self._others_wait():
            raise Stopped

    def _together(self) -> Numbers:
        numbers = Numbers()
        numbers.add(self._numbers)
        numbers.add(self._part.numbers)
        return numbers

    def _counts(self) -> dict[str, Any]:
        numbers = self._together()
        return {
            "done": numbers.rows, "found": numbers.found, "not_found": numbers.not_found, "faults": numbers.faults,
            "invalid": numbers.invalid, "result_rows": numbers.lines, "result_bytes": numbers.bytes,
        }  # fmt: skip

    # -------------------------------------------------------------------------------------- parts

    def _begin_part(self) -> None:
        self._part = Part(Numbers(first=self._numbers.next), self._columns)
        self._subjects = set()
        self._flushed = self._clock()

    def _is_part(self) -> bool:
        numbers = self._part.numbers
        late = self._clock() - self._flushed > PART_SECONDS
        return numbers.rows >= PART_ROWS or numbers.bytes >= PART_BYTES or late

    def _flush(self) -> None:
        """Store the part as a file, then its numbers in the row. Raises JobError; Stopped if another process did."""
        part, call = self._part, self._call
        if not part.numbers.rows:
            return
        record.subjects(self.job, self._subjects)
        if call is not None:
            record.guarded(self.job, call)
        try:
            self._folder.write_part(part.numbers.first, part.content())
        except FileExistsError:
            raise Stopped from None
        self._numbers.add(part.numbers)
        self._begin_part()
        columns = {"columns": self._columns, "stored_bytes": self._folder.size(), "attempts": 0, "expires_at": None}
        if call is not None and call.operation is not None:
            columns["classification"] = call.operation.classification(call.rights)
            columns["origin"] = list(call.origin or ())
        # Also if the job was paused meanwhile: it is done.
        self._of().update(**self._counts(), **columns)
        for name, value in columns.items():
            setattr(self.job, name, value)
        self._check_space()

    def _check_space(self) -> None:
        jobs = Job.objects.filter(application__agency=self.job.application.agency_id)
        if (jobs.aggregate(all=Sum("stored_bytes"))["all"] or 0) > settings.AGENCY_JOB_BYTES:
            raise JobError("agency-space", settings.AGENCY_JOB_BYTES >> 20)

    # --------------------------------------------------------------------------------------- rows

    def _answer(self, lines: Sequence[bytes]) -> None:
        """Run rows, and add the results of all that were answered before anything stopped it."""
        waiting = list(map(self._waiting, lines))
        to_run = [row.arguments for row in waiting if row.arguments is not None]
        answers: list[Answers] = []
        try:
            for answer in self._answers(to_run):
                answers.append(answer)
        finally:
            self._add(waiting, answers)

    def _waiting(self, line: bytes) -> _Waiting:
        number, texts, wrong = orjson.loads(line)
        parameters = self._call.operation.parameters  # type: ignore[union-attr]
        language = self.job.language
        if wrong is not None:
            place, reason_id, reason_en = wrong
            name = f"{parameters[place].name}: " if 0 <= place < len(parameters) else ""
            return _Waiting(number, texts, None, name + (reason_en if language == "en" else reason_id))
        try:
            return _Waiting(number, texts, checking.arguments(texts, parameters))
        except InvalidValue as error:
            return _Waiting(number, texts, None, error.en if language == "en" else error.id)
        except ValueError:  # another number of parameters
            raise JobError("changed") from None

    def _answers(self, arguments: Sequence[dict[str, Any]]) -> Iterator[Answers]:
        """Yield the answers of rows, in order. Raises JobError and Stopped: what was yielded before is done."""
        at, ran = 0, self._together().run
        while at < len(arguments):
            self._report()
            self._keep_pace()
            number = self._named(arguments[at : at + self._counted(len(arguments) - at, ran + at)])
            answers = self._fitting(self._asked(arguments[at : at + number]))
            at += len(answers.rows)
            yield answers

    def _keep_pace(self) -> None:
        """Let the job wait while its key is slowed down. Raises JobError."""
        key = self._call.key  # type: ignore[union-attr]
        if key is not None and key.slow_seconds and (left := key.slowed_until - time.time()) > 0:
            raise _NothingLeft(int(left) + 1)

    def _meter(self) -> Meter | None:
        """Return what counts the rows and persons of the job, by its grant as it is now; None without limits."""
        assert self._call is not None
        return row_quotas.meter_of(self._call)

    def _named(self, arguments: Sequence[dict[str, Any]]) -> int:
        """Return how many rows the quota of persons lets run: those persons are counted. Raises JobError."""
        meter = self._meter()
        if meter is None:
            return len(arguments)
        return self._fits(meter, [(0, meter.named(each)) for each in arguments])

    def _fitting(self, answers: Answers) -> Answers:
        """Return the first answers, as many as the quotas of rows and persons let pass. Raises JobError for none."""
        meter = self._meter()
        if meter is None:
            return answers
        meter.columns(answers.columns)
        groups = [(0, set[bytes]()) if isinstance(rows, Fault) else execution.counted(meter, answers.columns, rows)
                  for rows in answers.rows]  # fmt: skip
        number = self._fits(meter, groups)
        return Answers(answers.columns, answers.rows[:number], answers.cut) if number < len(groups) else answers

    def _fits(self, meter: Meter, groups: Sequence[tuple[int, set[bytes]]]) -> int:
        try:
            number, seconds = meter.fitting(groups)
        except Fault:
            raise JobError("quota-store") from None
        if not number:
            raise _NothingLeft(seconds)
        return number

    def _counted(self, wanted: int, ran: int) -> int:
        """Return how many of the wanted rows the quota lets pass now. Raises JobError if it lets none."""
        grant = self._call.grant  # type: ignore[union-attr]
        if grant is None or not grant.quota:
            return wanted
        while self.job.counted <= ran:
            left = (self.job.rows or 0) - self.job.report["invalid_rows"] - ran
            try:
                granted, seconds = quotas.count(grant, max(1, min(PART_ROWS, left)))
            except Fault:
                raise JobError("quota-store") from None
            if granted:
                # Before a row is run: after a kill these are counted, and are not counted again.
                self._set(counted=max(self.job.counted, ran) + granted)
            elif seconds > SHORT_WAIT:
                raise _NothingLeft(seconds)
            else:
                self._wait(seconds)
        return min(wanted, self.job.counted - ran)

    def _asked(self, arguments: Sequence[dict[str, Any]]) -> Answers:
        """Return the answers of the first of these rows. While nobody is there to answer, it is tried again."""
        waited, pause, tries = 0.0, FIRST_PAUSE, 0
        while True:
            call = self._call
            assert call is not None
            answers, fault = _tried(call, arguments)
            if fault is None:
                assert answers is not None
                return answers
            tries += 1
            if answers is not None and tries >= TRIES and execution.is_answer(fault):
                return Answers(answers.columns, answers.rows[:1], answers.cut)
            pause = max(execution.pause_of(fault), pause)
            if waited + pause > PATIENCE:
                raise _Away(execution.waits(fault), execution.pause_of(fault))
            self._wait(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)

    def _wait(self, seconds: float) -> None:
        """Wait, as long as the job may go on. Raises Stopped, JobError."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self._sleep(min(left, 0.2))
            self._report()

    def _add(self, waiting: Sequence[_Waiting], answers: Sequence[Answers]) -> None:
        """Add the results of the rows that were answered, up to the first that was not."""
        answered = iter([(answer, place) for answer in answers for place in range(len(answer.rows))])
        stored = {id(answer): self._stored(answer) for answer in answers}
        for row in waiting:
            if row.arguments is None:
                self._part.numbers.rows += 1
                self._part.numbers.invalid += 1
                self._part.add_line(row.number, INVALID, row.wrong, row.texts, None)
                continue
            answer, place = next(answered, (None, 0))
            if answer is None:
                return
            self._part.numbers.rows += 1
            self._add_answer(row, answer.rows[place], stored[id(answer)], place in answer.cut)
            self._add_subjects(row)

    def _add_answer(self, row: _Waiting, answer: list[Row] | Fault, stored: Iterator[Sequence[Any]], cut: bool) -> None:
        part, numbers = self._part, self._part.numbers
        if isinstance(answer, Fault):
            numbers.faults += 1
            part.add_line(row.number, str(answer.code), answer.message(self.job.language), row.texts, None)
            return
        if not answer:
            numbers.not_found += 1
            part.add_line(row.number, NOT_FOUND, "", row.texts, None)
            return
        message = _CUT[self.job.language == "en"] if cut else ""
        lines = list(islice(stored, len(answer)))
        if self._says_no(lines[0]):
            numbers.not_found += 1
        else:
            numbers.found += 1
        for values in lines:
            part.add_line(row.number, OK, message, row.texts, values)

    def _says_no(self, values: Sequence[Any]) -> bool:
        """Return True for the row of a verification that found nobody: its first column says so."""
        kind = self._call.operation.kind  # type: ignore[union-attr]
        return kind == "verification" and self._columns[0][0] == "ditemukan" and values[0] == "false"

    def _stored(self, answers: Answers) -> Iterator[Sequence[Any]]:
        """Return all rows of answers as they are stored, in the order of the job's columns."""
        rows = [row for answer in answers.rows if not isinstance(answer, Fault) for row in answer]
        stored = results.stored_rows(answers.columns, rows)
        places = self._places(answers.columns)
        if places == list(range(len(self._columns))):
            return iter(stored)
        width = len(self._columns)
        return (_arranged(values, places, width) for values in stored)

    def _places(self, columns: Sequence[Column]) -> list[int]:
        """Return the places of columns among those of the job; new ones are added. Raises JobError for too many."""
        known = {name: place for place, (name, _type) in enumerate(self._columns)}
        names = results.unique_names(columns)
        for name, column in zip(names, columns, strict=True):
            if name not in known:
                known[name] = len(self._columns)
                # A list of its own: that of the part before stays as it is.
                self._columns = self._part.columns = [*self._columns, [name, column.type]]
            elif self._columns[known[name]][1] != column.type:
                self._columns[known[name]] = [name, "text"]
        if len(self._columns) > MAX_COLUMNS:
            raise JobError("changed")
        return [known[name] for name in names]

    def _add_subjects(self, row: _Waiting) -> None:
        assert row.arguments is not None
        for parameter in self._call.operation.parameters:  # type: ignore[union-attr]
            if parameter.subject and (value := row.arguments.get(parameter.name)) is not None:
                self._subjects.add(subject_hash(str(value)))


_CUT = ("ada baris lain yang tidak dimuat", "there are more rows than are shown")


class _NothingLeft(JobError):
    """Nothing is left of the quota."""

    def __init__(self, seconds: int) -> None:
        super().__init__("quota")
        self.seconds = seconds


class _Away(JobError):
    """Nobody is there to answer a row. ``seconds``: how long a source or upstream has asked to be left alone."""

    def __init__(self, problem: str, seconds: float) -> None:
        super().__init__(problem)
        self.seconds = seconds


def _tried(call: Call, arguments: Sequence[dict[str, Any]]) -> tuple[Answers | None, Fault | None]:
    """Return the answers of the first rows, and the fault for which the first of all has to wait.

    Raises JobError for a fault that is not a row's own.
    """
    try:
        answers = execution.answers_of(call, arguments)
    except Fault as fault:
        if not execution.waits(fault):
            raise JobError("stopped" if fault.kind is faults.STOPPED else "operation") from None
        return None, fault.without_traceback()
    admission.refuse_stopped(call)  # what was read before a stop is not stored after it
    for place, answer in enumerate(answers.rows):
        if isinstance(answer, Fault) and execution.waits(answer):
            if place:
                return Answers(answers.columns, answers.rows[:place], answers.cut), None
            return answers, answer
    return answers, None


def _arranged(values: Sequence[Any], places: Sequence[int], width: int) -> list[Any]:
    arranged: list[Any] = [None] * width
    for place, value in zip(places, values, strict=True):
        arranged[place] = value
    return arranged
