"""The state of the copies of a dBase source's tables, for its page in the admin."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from adapters import dbase
from adapters.base import SourceError
from adapters.dbf.copy_manager import Status
from dataservices.connection_test import advise
from dataservices.models import DataSource

ENGINE = dbase.DBase.engine

#: Tables, and warnings for each of them, that one page shows.
MAX_TABLES = 200
MAX_WARNINGS = 50

#: Seconds between two polls of the page, while a copy is built and otherwise.
BUSY_SECONDS, IDLE_SECONDS = 1, 10

STATES: dict[str, Any] = {
    "none": _("not read yet: the first call starts it"),
    "reading": _("reading…"),
    "ready": _("ready"),
    "old": _("the file has changed: the next call reads it again"),
    "failed": _("the last reading failed"),
    "refused": _("refused"),
}

#: The order of the states: first those that need attention.
_ORDER = ("reading", "failed", "refused", "old", "none", "ready")

#: The messages of adapters.dbf, which does not use gettext. The text for a {…} is translated by this list too.
SENTENCES: tuple[str, ...] = (
    gettext_noop("record {record}, field {field}: {what}; returned as NULL"),
    gettext_noop("field {field}: {count} more cells are returned as NULL"),
    gettext_noop("the number did not fit into its field and is lost"),
    gettext_noop("not a number"),
    gettext_noop("not a date"),
    gettext_noop("the date does not exist"),
    gettext_noop("the time of day does not exist"),
    gettext_noop("neither true nor false"),
    gettext_noop("not valid {encoding} text"),
    gettext_noop("the text contains a NUL"),
    gettext_noop("the length exceeds the field"),
    gettext_noop("it does not point into the memo file"),
    gettext_noop("its memo starts after the end of the memo file"),
    gettext_noop("its memo does not start at the expected position"),
    gettext_noop("its memo continues after the end of the memo file"),
    gettext_noop("its memo is longer than {count} bytes"),
    gettext_noop("its memo is not text, and this type of memo file does not state where such data ends"),
    gettext_noop("this type of memo file does not state where binary data ends"),
    gettext_noop("the memo file is missing: field {field} is returned as NULL"),
    gettext_noop("field {field} has binary data besides text: returned as bytes"),
    gettext_noop("field {field} has the unknown type {type}: its bytes are returned unchanged"),
    gettext_noop("the name {name} occurs twice: the later field is named {other}"),
    gettext_noop("the text looks like UTF-8, but was read as {encoding}: set the source's encoding"),
    gettext_noop("the file states no code page: it was read as {encoding}; set the source's encoding if that is wrong"),
    gettext_noop("the {what} is unknown: text was read as {encoding}; set the source's encoding if that is wrong"),
    gettext_noop("language driver {name}"),
    gettext_noop("code page byte {byte}"),
    gettext_noop("the file states that a transaction was never finished"),
    gettext_noop("the file ends after {count} records, but its header states {total}"),
    gettext_noop("the file has more data after the {count} records that its header states: ignored"),
    gettext_noop("record {record} is marked neither as deleted nor as not deleted: returned"),
    gettext_noop("the file ends in its header"),
    gettext_noop("the memo format of HiPer-Six (SMT) is not supported"),
    gettext_noop("no DBF version has the first byte {byte}"),
    gettext_noop("the file is encrypted"),
    gettext_noop("the file has no field"),
    gettext_noop("the fields take {count} bytes, but a record has {width}"),
    gettext_noop("a dBase II file can have fields of the types C, N and L only"),
    gettext_noop("the record has no null flags, which its Varchar fields need"),
    gettext_noop("field {field} of type {type} cannot be {width} bytes wide"),
    gettext_noop("{name} is not a code page of DBF files"),
    gettext_noop("it has more fields than a table can have"),
    gettext_noop("the memo file is a link to another folder"),
    gettext_noop("the file cannot be opened"),
    gettext_noop("{file}: the name is not UTF-8"),
    gettext_noop("{file}: a link to a file outside the source's folder"),
    gettext_noop("{file}: the .cpg file beside it names no known code page: ignored"),
    gettext_noop("{file}: another file in the folder has the same name with different capital letters"),
)


def _pattern(msgid: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(msgid)), re.DOTALL)


_PATTERNS = [(_pattern(msgid), msgid) for msgid in SENTENCES]


def translated(line: str) -> str:
    """Return a message of adapters.dbf in the current language."""
    for pattern, msgid in _PATTERNS:
        if match := pattern.fullmatch(line):
            return gettext(msgid).format_map({name: translated(text) for name, text in match.groupdict().items()})
    return line


@dataclass(frozen=True, slots=True)
class CopyState:
    """The state of a table's copy, with at most MAX_WARNINGS of ``count`` warnings."""

    name: str
    state: str
    label: Any
    done: int
    total: int
    as_of: datetime | None
    why: str
    warnings: list[str]
    count: int

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0

    @property
    def key(self) -> str:
        """Identifies the warnings of one reading, so that an opened list stays open until the next one."""
        return hashlib.sha256(f"{self.name}\0{self.as_of}\0{self.warnings}".encode()).hexdigest()[:16]

    @property
    def further(self) -> int:
        return self.count - len(self.warnings)


def _copy_state(status: Status, source: DataSource) -> CopyState:
    lines = list(status.warnings)
    why = advise(status.reason, source) if status.reason else ""
    if status.state == "refused" and lines:
        why = translated(lines.pop(0))
    as_of = None if status.as_of is None else datetime.fromtimestamp(status.as_of, UTC)
    shown = [translated(line) for line in lines[:MAX_WARNINGS]]
    return CopyState(
        status.name, status.state, STATES[status.state], status.done, status.total, as_of, why, shown, len(lines)
    )  # fmt: skip


def copies(source: DataSource) -> dict[str, Any]:
    """Return the context of the template: at most MAX_TABLES copies, first those that need attention."""
    try:
        statuses, problems = dbase.copies(source.settings())
    except SourceError as error:
        return {"trouble": advise(error.reason, source), "seconds": IDLE_SECONDS}
    statuses.sort(key=lambda each: (_ORDER.index(each.state), each.name))
    return {
        "copies": [_copy_state(each, source) for each in statuses[:MAX_TABLES]],
        "further": max(len(statuses) - MAX_TABLES, 0),
        "problems": [translated(line) for line in problems[:MAX_TABLES]],
        "seconds": BUSY_SECONDS if any(each.state == "reading" for each in statuses) else IDLE_SECONDS,
    }
