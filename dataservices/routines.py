"""The functions and procedures that were made in a source: the SQL check lets an operation call these."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from adapters import adapter_class
from adapters.base import SourceError

#: The most routines of one operation.
MAX_ROUTINES = 50

Outcome = TypeVar("Outcome")
#: A source, and names that may be routines of it.
_Question = tuple[str, tuple[str, ...]]
#: What the sources of the change that is being made have answered; None outside of answered().
_answers: ContextVar[dict[_Question, frozenset[str] | SourceError] | None] = ContextVar("answers", default=None)


class Unanswered(Exception):
    """A change depends on what a source says, and must not wait for it: answered() asks, and repeats the change."""

    def __init__(self, question: _Question, ask: Callable[[], frozenset[str]]) -> None:
        super().__init__()
        self.question = question
        self.ask = ask


def own_routines(engine: str, settings: Mapping[str, Any], names: Collection[str]) -> frozenset[str]:
    """Return those of ``names`` ("name" or "schema.name") that were made in the source. Raises SourceError.

    The source is connected to as its operations are, within the adapter's time limits, unless its engine knows none.
    Raises Unanswered within answered().
    """
    if not names or not adapter_class(engine).has_own_routines:
        return frozenset()
    asked = tuple(sorted(names)[:MAX_ROUTINES])
    answers = _answers.get()
    if answers is None:
        return _ask(engine, settings, asked)
    source = json.dumps([engine, settings], sort_keys=True, default=str)
    answer = answers.get((source, asked), answers.get((source, ())))
    if answer is None:
        raise Unanswered((source, asked), lambda: _ask(engine, settings, asked))
    if isinstance(answer, SourceError):
        raise answer
    return answer


def answered(change: Callable[[], Outcome]) -> Outcome:
    """Make a change of the registry, and repeat it with what its sources have answered meanwhile.

    A change is a transaction for whose end all other changes wait, revocations too: within it no source is waited for.
    """
    answers: dict[_Question, frozenset[str] | SourceError] = {}
    token = _answers.set(answers)
    try:
        while True:
            try:
                return change()
            except Unanswered as unanswered:
                source, asked = unanswered.question
                try:
                    answers[source, asked] = unanswered.ask()
                except SourceError as error:
                    answers[source, ()] = error  # it is not asked again in this change
    finally:
        _answers.reset(token)


def _ask(engine: str, settings: Mapping[str, Any], names: tuple[str, ...]) -> frozenset[str]:
    adapter = adapter_class(engine)(settings)
    connection = adapter.connect()
    try:
        return adapter.own_routines(connection, names)
    finally:
        with suppress(Exception):  # an error when closing does not matter here
            connection.close()
