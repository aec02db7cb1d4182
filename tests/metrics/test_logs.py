"""The log: one line for each record, one form of time, what is known of the call, and nothing that a person sent."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

import mantra.wsgi  # noqa: F401  # sets the log up, and must not do so in the middle of a test
from registry import checks, logs
from tests.cast import Cast, call
from tests.servers.surroundings import ROOT

#: RFC 3339 with milliseconds and the offset of Jakarta.
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+07:00"


@contextmanager
def written(form: str) -> Iterator[Callable[[], list[str]]]:
    """The lines that the root logger writes meanwhile, in a form."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(form, settings.TIME_ZONE))
    logging.getLogger().addHandler(handler)
    try:
        yield lambda: stream.getvalue().splitlines()
    finally:
        logging.getLogger().removeHandler(handler)


def objects(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def fail(*_: object) -> None:
    raise RuntimeError("rahasia 3201019001010001")


def test_a_line_names_the_call(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mantra.gateway.serve.quotas.consume", fail)
    with written("json") as lines:
        reply = cast.get("satu.json", "id=7")
        logging.getLogger("mantra.other").warning("after")
    assert reply.status == 500
    failed, after = objects(lines())
    assert re.fullmatch(TIME, failed.pop("time"))
    assert failed.pop("message").startswith(f"request {reply.headers['x-request-id']} failed: RuntimeError at ")
    assert failed == {
        "level": "ERROR",
        "logger": "mantra.journal",
        "pid": os.getpid(),
        "request_id": reply.headers["x-request-id"],
        "operation": "prov/data/satu",
        "agency": "prov",
        "application": "kons/app",
    }
    assert "request_id" not in after


def test_the_time_is_now() -> None:
    with written("json") as lines:
        logging.getLogger("mantra.x").error("now")
    (line,) = objects(lines())
    age = datetime.now(tz=datetime.fromisoformat(line["time"]).tzinfo) - datetime.fromisoformat(line["time"])
    assert timedelta(0) <= age < timedelta(minutes=1)


@pytest.mark.parametrize("form", logs.FORMS)
def test_no_line_has_what_a_person_sent(cast: Cast, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr("mantra.gateway.serve.parameters.read", fail)
    with written(form) as lines:
        cast.get("satu.json", "id=3201019001010001")
        call("/rest/prov/data/3201019001010001?x=3201019001010001", AccessKey=cast.key)
        try:
            fail()
        except RuntimeError:
            logging.getLogger("mantra.x").exception("it failed")
    text = "\n".join(lines())
    assert len(lines()) == 2
    assert "3201019001010001" not in text
    assert cast.key not in text


@pytest.mark.parametrize("form", logs.FORMS)
def test_an_exception_is_a_type_and_places_on_one_line(form: str) -> None:
    with written(form) as lines:
        try:
            fail()
        except RuntimeError:
            logging.getLogger("mantra.x").exception("two\nlines")
    (line,) = lines()
    assert re.search(r"RuntimeError < tests/metrics/test_logs\.py:\d+ < tests/metrics/test_logs\.py:\d+", line)
    assert "two\\nlines" in line
    if form == "text":
        assert re.match(TIME + " ERROR mantra.x two", line)


@pytest.mark.parametrize("form", logs.FORMS)
def test_a_line_neither_ends_early_nor_commands_a_terminal(form: str) -> None:
    with written(form) as lines:
        logging.getLogger("mantra.x").warning("user %s", "rini\x1b[2J\x85\u2028\u2029\x0b2026-11-29 INFO forged")
    (line,) = lines()  # splitlines() knows all ends of a line
    assert line.isprintable()
    if form == "json":
        assert "rini\x1b[2J\x85" in json.loads(line)["message"]


def test_a_line_is_not_of_the_call_before(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that nginx completes ends in another thread than it begins in."""
    monkeypatch.setattr(logs.current, "call", object(), raising=False)
    assert call("/healthz").status == 200
    assert logs.current.call is None


@pytest.mark.parametrize(("form", "problems"), [("json", 0), ("text", 0), ("xml", 1)])
def test_the_form_is_checked(settings: Any, form: str, problems: int) -> None:
    settings.LOG_FORMAT = form
    assert len(checks.form_of_the_log(None)) == problems


_GUNICORN = """
import runpy
from gunicorn.config import Config
log = runpy.run_path("deploy/gunicorn.conf.py")["logger_class"](Config())
log.info("Listening at: %s", "x")
"""


@pytest.mark.parametrize("form", logs.FORMS)
def test_gunicorn_writes_the_same_form(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GUNICORN],
        cwd=ROOT, env=os.environ | {"MANTRA_LOG_FORMAT": form}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (listening,) = done.stderr.splitlines()
    if form == "json":
        line = json.loads(listening)
        assert re.fullmatch(TIME, line["time"])
        assert (line["level"], line["logger"], line["message"]) == ("INFO", "gunicorn.error", "Listening at: x")
    else:
        assert re.fullmatch(TIME + " INFO gunicorn.error Listening at: x", listening)
