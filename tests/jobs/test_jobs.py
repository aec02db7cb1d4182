"""Jobs as callers see them: a file goes in, each row comes out once, in every format, and nobody else sees it."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
import xlsxwriter

from mantra.jobs.models import Job
from tests.cast import Cast
from tests.jobs.conftest import begin, jobs_of, lines, work


def test_it_works(cast: Cast) -> None:
    job = begin(cast, "id\n7\n9999999\n12\nabc\n7\n")
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("done", "")
    assert (job.rows, job.done, job.found, job.not_found, job.invalid, job.faults, job.duplicates) == (
        5, 5, 3, 1, 1, 0, 1,
    )  # fmt: skip
    rows = lines(job)
    assert [(row["baris"], row["status"], row["id"]) for row in rows] == [
        (2, "ok", "7"), (3, "not-found", "9999999"), (4, "ok", "12"), (5, "invalid", "abc"), (6, "ok", "7"),
    ]  # fmt: skip
    assert rows[0]["nama"] == "Orang 7"
    assert rows[0]["gaji"] == "7.50"
    assert rows[1]["nama"] is None
    assert rows[3]["keterangan"] == "id: harus bilangan bulat, misalnya 42"
