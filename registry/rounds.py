"""A round of work in a thread that has to survive every error."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger

from django.db import DatabaseError, InterfaceError, connection


def survive(work: Callable[[], object], failing: bool, log: Logger, message: str) -> bool:
    """Do a round. Return True if it failed; only the first failure in a row is logged, as ``message`` and its type.

    ``failing``: what the round before has returned. After an error of the database its connection is closed.
    """
    try:
        work()
    except Exception as error:  # whatever it is, the next round may succeed
        if not failing:
            log.error("%s (%s)", message, type(error).__name__)
        if isinstance(error, DatabaseError | InterfaceError):
            connection.close()
        return True
    return False
