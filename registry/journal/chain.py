"""The HMAC chain that proves a segment's lines, and the keyed hash of a person's identifier."""

from __future__ import annotations

import re
import unicodedata

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
    """Return the keyed hash of a person's identifier, by which the call history finds the calls about that person.

    One identifier has one hash, however callers write it: see canonical_identifier().
    """
    return _subject_hash(canonical_identifier(value))


def _subject_hash(text: str) -> str:
    return authenticate(settings.JOURNAL_KEY, b"subject:" + text.encode())[:32]


#: What people write between the characters of an identifier: blanks, dashes, dots, slashes, and what nobody sees.
_BETWEEN = re.compile(r"[\s\-‐-―−._/\u00ad\u200b-\u200f\u2060\ufeff]+")


def canonical_identifier(value: str) -> str:
    """Return an identifier without what callers write differently.

    ``3201 0101.0101-0001`` is ``3201010101010001``, and ``a 123`` is ``A123``.
    """
    if value.isascii() and value.isdigit():  # nearly all
        return value
    folded = unicodedata.normalize("NFKC", value)
    return _BETWEEN.sub("", folded).upper() or value


def subject_hashes(value: str) -> list[str]:
    """Return the hashes that records about a person may have, by the identifier as somebody wrote it.

    A parameter that is a number has lost the zeros at its begin. Records from before identifiers were made canonical
    have the hash of what was sent: only the value as it is written here is found of those.
    """
    canonical = canonical_identifier(value)
    texts = [canonical, value.strip(), value]
    if canonical.isascii() and canonical.isdigit():
        texts.append(str(int(canonical[:40])))
    return [_subject_hash(text) for text in dict.fromkeys(texts)]
