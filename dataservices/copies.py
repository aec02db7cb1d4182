"""How far the copies of a dBase source's tables are, in the words of its page in the admin."""

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
from adapters.dbf.keeper import Status
from dataservices.diagnosis import advise
from dataservices.models import DataSource

ENGINE = dbase.DBase.engine

#: Tables, and warnings of each, that one page shows.
MAX_TABLES = 200
MAX_WARNINGS = 50

#: Seconds between two looks at the copies, while one is made and otherwise.
BUSY_SECONDS, IDLE_SECONDS = 1, 10

STATES: dict[str, Any] = {
    "none": _("not read yet: the first call begins it"),
    "reading": _("being read…"),
    "ready": _("ready"),
    "old": _("the file has changed: the next call has it read again"),
    "failed": _("the last reading failed"),
    "refused": _("refused"),
}

#: What comes first: what wants to be looked at.
_ORDER = ("reading", "failed", "refused", "old", "none", "ready")

#: What the readers of DBF files say, which know no gettext. What stands for {…} is looked for here too.
SENTENCES: tuple[str, ...] = (
    gettext_noop("record {record}, field {field}: {what}; it is given as NULL"),
    gettext_noop("field {field}: {count} more cells are given as NULL"),
    gettext_noop("the number was too long for its field and is lost"),
    gettext_noop("it holds no number"),
    gettext_noop("it holds no date"),
    gettext_noop("there is no such date"),
    gettext_noop("there is no such time of day"),
    gettext_noop("it is neither true nor false"),
    gettext_noop("it is no {encoding} text"),
    gettext_noop("it holds a NUL where its text should be"),
    gettext_noop("its length is more than its field holds"),
    gettext_noop("it holds no place in the memo file"),
    gettext_noop("its memo lies behind the end of the memo file"),
    gettext_noop("its memo does not begin where it should"),
    gettext_noop("its memo goes on behind the end of the memo file"),
    gettext_noop("its memo is longer than {count} bytes"),
    gettext_noop("its memo holds no text, and this kind of memo file does not tell where such data ends"),
    gettext_noop("this kind of memo file does not tell where binary data ends"),
    gettext_noop("the memo file is missing: field {field} is given as NULL"),
    gettext_noop("field {field} holds binary data besides text: it is given as bytes"),
    gettext_noop("field {field} has the unknown type {type}: its bytes are given as is"),
    gettext_noop("the name {name} occurs again: the later field is called {other}"),
    gettext_noop("the text looks like UTF-8, but was read as {encoding}; set the source's encoding"),
    gettext_noop(
        "nobody says which code page the file is in: it was read as {encoding}; set the source's encoding if that is "
        "wrong"
    ),
    gettext_noop("the {what} is not known: text was read as {encoding}; set the source's encoding if that is wrong"),
    gettext_noop("language driver {name}"),
    gettext_noop("code page byte {byte}"),
    gettext_noop("the file says that a transaction on it was never finished"),
    gettext_noop("the file ends after {count} records, though its header tells of {total}"),
    gettext_noop("there is more behind the {count} records that the header tells of: it is left out"),
    gettext_noop("record {record} is marked neither as deleted nor as not deleted: it is given"),
    gettext_noop("the file ends within its header"),
    gettext_noop("the memo format of HiPer-Six (SMT) is not read"),
    gettext_noop("no DBF version has the first byte {byte}"),
    gettext_noop("the file is encrypted"),
    gettext_noop("the file has no field"),
    gettext_noop("the fields take {count} bytes, but a record has {width}"),
    gettext_noop("a dBase II file has fields of the types C, N and L only"),
    gettext_noop("the record has no null flags, which its Varchar fields need"),
    gettext_noop("field {field} of type {type} cannot be {width} bytes wide"),
    gettext_noop("there is no code page {name} that a DBF file could be in"),
    gettext_noop("it has more fields than a table may have"),
    gettext_noop("the memo file is a link to another folder"),
    gettext_noop("it cannot be opened"),
    gettext_noop("{file}: its name is not UTF-8"),
    gettext_noop("{file}: it is a link to a file outside the source's folder"),
    gettext_noop("{file}: another file of the folder has this name in other capital letters"),
)


def _pattern(msgid: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(msgid)), re.DOTALL)


_PATTERNS = [(_pattern(msgid), msgid) for msgid in SENTENCES]


def told(line: str) -> str:
    """What a reader of DBF files says, in the language of who reads it now."""
    for pattern, msgid in _PATTERNS:
        if found := pattern.fullmatch(line):
            return gettext(msgid).format_map({name: told(text) for name, text in found.groupdict().items()})
    return line


@dataclass(frozen=True, slots=True)
class Copy:
    """A table's copy as the page shows it: at most MAX_WARNINGS of ``count`` warnings."""

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
        """Tells the warnings of this reading from those of the next, so that an opened list stays open."""
        return hashlib.sha256(f"{self.name}\0{self.as_of}\0{self.warnings}".encode()).hexdigest()[:16]

    @property
    def further(self) -> int:
        return self.count - len(self.warnings)


def _copy(found: Status, source: DataSource) -> Copy:
    lines = list(found.warnings)
    why = advise(found.reason, source) if found.reason else ""
    if found.state == "refused" and lines:
        why = told(lines.pop(0))
    as_of = None if found.as_of is None else datetime.fromtimestamp(found.as_of, UTC)
    shown = [told(line) for line in lines[:MAX_WARNINGS]]
    return Copy(
        found.name, found.state, STATES[found.state], found.done, found.total, as_of, why, shown, len(lines)
    )  # fmt: skip


def copies(source: DataSource) -> dict[str, Any]:
    """The context of the template: at most MAX_TABLES copies, those first that want to be looked at."""
    try:
        found, problems = dbase.copies(source.settings())
    except SourceError as error:
        return {"trouble": advise(error.reason, source), "seconds": IDLE_SECONDS}
    found.sort(key=lambda each: (_ORDER.index(each.state), each.name))
    return {
        "copies": [_copy(each, source) for each in found[:MAX_TABLES]],
        "further": max(len(found) - MAX_TABLES, 0),
        "problems": [told(line) for line in problems[:MAX_TABLES]],
        "seconds": BUSY_SECONDS if any(each.state == "reading" for each in found) else IDLE_SECONDS,
    }
