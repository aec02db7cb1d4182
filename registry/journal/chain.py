"""The HMAC chain that proves a segment's lines, and the keyed hash of a person's identifier."""

from __future__ import annotations

from django.conf import settings

from registry.secrets import authenticate

SUFFIX = ".journal"
#: The kind of segments with the ends of calls that began in other segments. They are read after all others.
COMPLETIONS = "completions"
#: The kind of segments with calls of the fast lane, which began with a lease in another segment: read last, too.
CALLS = "calls"
CHAIN_LENGTH = 64


def link(key: bytes, previous: bytes, body: bytes) -> bytes:
    """Return the chain of a line: the HMAC of the previous chain and the line's body, as 64 hex characters.

    ``body``: its public digest (registry/journal/lines.py); of a line of format 1 its JSON.

    ``key`` is settings.JOURNAL_KEY. Writers hand it over, as reading a setting takes a fifth of the digest's time.
    """
    return authenticate(key, previous + body).encode()


def subject_hash(value: str) -> str:
    """Return the keyed hash of a person's identifier, by which the call history finds the calls about that person."""
    return authenticate(settings.JOURNAL_KEY, b"subject:" + value.encode())[:32]
