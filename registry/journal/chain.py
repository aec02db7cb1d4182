"""The hash chain that proves a segment's lines, and the keyed hash of a person's identifier."""

from __future__ import annotations

from django.conf import settings

from registry.secrets import authenticate

SUFFIX = ".journal"
#: The name of a thread that writes the ends of calls which others began. Its segments are read behind all others.
ENDS = "ends"
CHAIN = 64


def chain(previous: bytes, body: bytes) -> bytes:
    """The chain of a line, as 64 hex characters."""
    return authenticate(settings.JOURNAL_KEY, previous + body).encode()


def subject_hash(value: str) -> str:
    """What the history keeps of a person's identifier: enough to find the calls about one, no more."""
    return authenticate(settings.JOURNAL_KEY, b"subject:" + value.encode())[:32]
