"""The form of a line of the journal, and the public digest over a segment's lines.

A line of format 2 has five fields, with tabs between them, which no JSON has in it:

=========  ===========================================================================================================
facts      JSON: what stays as long as the segment
content    JSON: what can be erased, such as persons' hashes and addresses; empty if there is none, or it was erased
seal       the content's salt, 32 hex characters; of erased content its commitment, 64; empty without content
mark       the first 16 characters of the public digest
chain      the HMAC of the previous line's chain and this line's public digest, with settings.JOURNAL_KEY
=========  ===========================================================================================================

The commitment is SHA-256 over salt, tab, content. The public digest is SHA-256 over the previous line's digest, the
facts, a tab and the commitment; before the first line it is the segment's name. So everybody can compute it, also after
the content was erased, and nobody can guess the content without its salt.

A line of format 1 has a JSON object, a space, and the HMAC of the previous chain and that JSON.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

FORMAT = 2
SALT_LENGTH, COMMITMENT_LENGTH, MARK_LENGTH = 32, 64, 16

#: What stays. Everything else is content: a new member can be erased unless it is listed here.
FACTS = frozenset(
    {
        "t", "id", "at", "protocol", "method", "op", "code", "status", "bytes", "us", "format", "rows", "broken",
        "by", "grant", "from", "class", "kind", "ref", "what", "of", "version", "revision",
        "lease", "n", "leases", "calls", "file", "to", "unreadable", "segment", "line",
    }
)  # fmt: skip
#: Lines without content: those that prove something.
WHOLE = frozenset({"open", "close", "erase"})


def split(line: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts and the content of a line."""
    if line["t"] in WHOLE:
        return line, {}
    facts: dict[str, Any] = {}
    content: dict[str, Any] = {}
    for name, value in line.items():
        if name in FACTS:
            facts[name] = value
        else:
            content[name] = value
    return facts, content


def commitment(salt: bytes, content: bytes) -> bytes:
    """Return what stands for a content when it is erased, as 64 hex characters."""
    return _sha256(b"%b\t%b" % (salt, content))


def next_digest(previous: bytes, facts: bytes, committed: bytes) -> bytes:
    """Return the public digest of a line, 64 hex characters. ``committed``: its commitment, empty without content."""
    return _sha256(b"%b%b\t%b" % (previous, facts, committed))


_EMPTY = sha256()


def _sha256(message: bytes) -> bytes:
    """Return the SHA-256 of a message, in hex. To copy a digest costs less than to have OpenSSL look for a new one."""
    digest = _EMPTY.copy()
    digest.update(message)
    return digest.hexdigest().encode()
