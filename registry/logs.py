"""The lines of the log: one for each record, in one form of time, with what the current call is.

No Django: gunicorn's configuration uses it before the bus is loaded.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import traceback
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

#: The forms of the log.
FORMS = ("text", "json")
#: The frames of an exception that a line has, the innermost first.
FRAMES = 12

#: Control characters, and the further ends of a line of Unicode.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ROOT = Path(__file__).resolve().parent.parent


class _Current(threading.local):
    """The call (registry.calls.Call) that a thread serves, None in between."""

    call: Any = None


current = _Current()


class TextFormatter(logging.Formatter):
    """Time, level, logger and message."""

    def __init__(self, zone: str) -> None:
        super().__init__()
        self._zone = ZoneInfo(zone)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        text = " ".join((self.time(record), record.levelname, record.name, record.getMessage()))
        failure = _failure(record)
        return _on_one_line(f"{text}: {failure}" if failure else text)

    def time(self, record: logging.LogRecord) -> str:
        """Return the time of a record as in RFC 3339."""
        return datetime.fromtimestamp(record.created, self._zone).isoformat(timespec="milliseconds")


class JsonFormatter(TextFormatter):
    """An object with the same, and what is known of the call."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "time": self.time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
            **dict(_of_call(current.call)),
        }
        if failure := _failure(record):
            line["exception"] = failure
        return _CONTROL.sub(_escaped, json.dumps(line, ensure_ascii=False))


def formatter(form: str, zone: str) -> TextFormatter:
    """Return the formatter of a form of the log, in a time zone."""
    return JsonFormatter(zone) if form == "json" else TextFormatter(zone)


def _of_call(call: Any) -> Iterator[tuple[str, str]]:
    """Yield what a line says of the call: names of the registry, nothing that the caller wrote."""
    if call is None:
        return
    yield "request_id", call.request_id
    if call.trace is not None:
        yield "trace_id", call.trace.trace_id
    if call.operation is not None:
        yield "operation", call.operation.path
        yield "agency", call.operation.agency
    if call.application is not None:
        yield "application", f"{call.application.agency}/{call.application.code}"


def _failure(record: logging.LogRecord) -> str:
    """Return the type of a record's exception and where it was raised. Its text may contain data."""
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    frames = reversed(traceback.extract_tb(record.exc_info[2])[-FRAMES:])
    return " < ".join((record.exc_info[0].__name__, *(f"{_path(each.filename)}:{each.lineno}" for each in frames)))


def _path(name: str) -> str:
    path = Path(name)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else "/".join(path.parts[-3:])


def _on_one_line(text: str) -> str:
    """Return a text without what ends a line or commands a terminal, as a name with which somebody signs in may."""
    return _CONTROL.sub(_escaped, text.replace("\r", "\\r").replace("\n", "\\n"))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
