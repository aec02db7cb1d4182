"""Limits on trials: one at a time for each user, and so many a minute.

They are counted where quotas are: in this process, or for all processes in Redis or Valkey.
"""

from __future__ import annotations

import logging

import limits
from django.conf import settings

from mantra.gateway import quotas

log = logging.getLogger("mantra.tryout")

#: The most trials of a user.
RATE = limits.parse("20/minute")
#: A trial that is running; it is over by then, whatever happened to its process.
RUNNING = limits.parse("1/2minute")

_limiter = quotas.limiter(settings.QUOTA_STORE)


class Busy(Exception):
    """The user's previous trial is still running."""


class TooMany(Exception):
    """The user has made all trials of this minute."""


def take(user_id: int) -> None:
    """Begin a trial of a user; release() ends it. Raises Busy or TooMany."""
    if not _counted(RUNNING, "running", user_id):
        raise Busy
    if not _counted(RATE, "rate", user_id):
        release(user_id)
        raise TooMany


def release(user_id: int) -> None:
    """End the trial of a user."""
    try:
        _limiter.clear(RUNNING, "trial", "running", str(user_id))
    except Exception as error:  # the store's client documents no common base class of its errors
        log.error("the quota store failed: %s", type(error).__name__)


def _counted(item: limits.RateLimitItem, name: str, user_id: int) -> bool:
    try:
        return _limiter.hit(item, "trial", name, str(user_id))
    except Exception as error:  # as above
        log.error("the quota store failed: %s", type(error).__name__)
        return bool(settings.QUOTA_STORE_DOWN != "refuse")


def forget() -> None:
    """Forget all trials. For tests."""
    _limiter.storage.reset()
