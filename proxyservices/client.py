"""The one door out: no call to another system leaves the bus any other way."""

from __future__ import annotations

import time
from collections.abc import Mapping

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as SlowError

CONNECT_SECONDS = 5.0
_CHUNK = 65536

_pools = urllib3.PoolManager(num_pools=200, maxsize=16, retries=False)


class Unreachable(Exception):
    """No whole answer: refused, broken off, or not HTTP."""


class TooSlow(Exception):
    """The time cap was met."""


class Unusable(Exception):
    """An answer that we will not take: over the size cap, or not a success."""


def get(url: str, headers: Mapping[str, str], seconds: float, size_cap: int) -> bytes:
    """Fetch a document within ``seconds`` over all. Redirects are not followed."""
    deadline = time.monotonic() + seconds
    timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), total=seconds)
    try:
        answer = _pools.request(
            "GET", url, headers=dict(headers), timeout=timeout, redirect=False, preload_content=False
        )
    except NewConnectionError:  # which urllib3 counts among the slow ones
        raise Unreachable from None
    except SlowError:
        raise TooSlow from None
    except (HTTPError, OSError, ValueError):
        raise Unreachable from None
    whole = False
    try:
        body = bytearray()
        for chunk in answer.stream(_CHUNK):
            body += chunk
            if len(body) > size_cap:
                raise Unusable
            if time.monotonic() > deadline:
                raise TooSlow
        if answer.status != 200:
            raise Unusable
        whole = True
        return bytes(body)
    except SlowError:
        raise TooSlow from None
    except (HTTPError, OSError):
        raise Unreachable from None
    finally:
        # Half an answer still on the wire would be read as the next one's beginning.
        if whole:
            answer.release_conn()
        else:
            answer.close()
