"""The kinds of exports. The packages above this one register theirs when their apps are ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from django.utils.module_loading import import_string

from registry.models import ExportJob, User

Parameters = Mapping[str, Any]

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}


class ExportError(Exception):
    """An export cannot be made. ``problem``: a key of registry.exports.problems."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Output(Protocol):
    """Where the bytes of a file go."""

    @property
    def size(self) -> int: ...
    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Work:
    """What a maker gets: whose export it is, of what, where the file goes, and how to report progress.

    ``folder``: an empty folder for temporary files; it is removed afterwards. ``progress(rows, percent)`` is called
    often; it ends the making by an exception if the export was cancelled or the process has to stop.
    """

    user: User
    parameters: Parameters
    format: str
    output: Output
    folder: Path
    progress: Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of exports. ``make`` is imported on first use: the libraries that it needs are for the worker only."""

    #: The right without which nobody starts, makes or downloads it.
    right: str
    formats: tuple[str, ...]
    #: The dotted path of a function of a Work. It raises ExportError.
    make: str
    #: Return what the export is of, in the reader's language; and its file's name without the suffix.
    title: Callable[[Parameters], str]
    file_name: Callable[[Parameters], str]
    #: Return True if a user may see what the parameters name. The maker itself selects the rows of the user.
    may: Callable[[User, Parameters], bool] = lambda user, parameters: True
    #: How long the file is kept; None: settings.EXPORT_HOURS.
    kept: timedelta | None = None
    #: Called in the transaction in which an export that the bus began by itself is ready.
    announce: Callable[[ExportJob], None] = lambda job: None
    #: Starts what the bus makes by itself. It is called every ten minutes.
    start_due: Callable[[datetime], object] = lambda now: None


#: The name of a kind → the dotted path of the Kind, which is imported on first use: pages of the admin are part of it.
KINDS: dict[str, str] = {}


def kind_of(name: str) -> Kind | None:
    """Return a kind by its name; None if this version has none of that name."""
    path = KINDS.get(name)
    kind: Kind | None = import_string(path) if path else None
    return kind


def all_kinds() -> list[Kind]:
    return [kind for kind in map(kind_of, KINDS) if kind is not None]
