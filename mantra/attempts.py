"""Limits on how often a user may look something up that others could find out by trying.

They are counted where quotas are: in this process, or for all processes in Redis or Valkey.
"""

from __future__ import annotations

import logging

import limits
from django.conf import settings

from mantra.gateway import quotas

log = logging.getLogger("mantra.attempts")

_limiter = quotas.limiter(settings.QUOTA_STORE)


def allowed(name: str, rate: str, user_id: int) -> bool:
    """Count an attempt of a user. Return False if there were too many: ``rate`` is such as 20/minute."""
    try:
        return _limiter.hit(limits.parse(rate), "attempts", name, str(user_id))
    except Exception as error:  # the store's client documents no common base class of its errors
        log.error("the quota store failed: %s", type(error).__name__)
        return bool(settings.QUOTA_STORE_DOWN != "refuse")


def forget() -> None:
    """Forget all attempts. For tests."""
    _limiter.storage.reset()
