"""The public heads of the journal: every hour what has changed of its segments, signed, each naming the one before.

A head is one line: a JSON object, a space, and its Ed25519 signature in hex with the first of settings.HEAD_KEYS. It
has the segments that got lines, were closed or were deleted because of their age since the head before it; so all heads
together have all segments. It names the digest of the head before it, and the public keys with which the next ones may
be signed. Whoever has the digest of one head can prove all before it, without any secret: deploy/verify_journal.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import islice, pairwise
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.db import transaction
from django.db.models import Max

from registry.journal import sealing
from registry.journal.head import HeadError
from registry.models import JournalHead, JournalSegment

FORMAT = 2
#: Segments of a head; heads that are made at once; and rows that are looked at for them.
MOST, AT_ONCE, LOOKED_AT = 2_000, 100, 20_000
#: What a segment was when a head was made.
OPEN, CLOSED, PRUNED = "open", "closed", "pruned"
_PURPOSE = b"mantra-head:"


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment of a head: its name, lines, chain and public digest, when it was closed or "", and what it was."""

    name: str
    lines: int
    chain: str
    digest: str
    closed_at: str
    state: str


@dataclass(frozen=True, slots=True)
class PublicHead:
    """A head whose signature is right. ``digest``: of its document; ``keys``: with which the next may be signed."""

    serial: int
    at: datetime
    previous: str
    key: str
    keys: tuple[str, ...]
    days: int
    entries: tuple[Entry, ...]
    digest: str


# -------------------------------------------------------------------------------------------- keys


@lru_cache(maxsize=4)
def _signers(keys: tuple[str, ...]) -> tuple[Ed25519PrivateKey, ...]:
    return tuple(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)) for key in keys)


def signers() -> tuple[Ed25519PrivateKey, ...]:
    """Return the keys of settings.HEAD_KEYS, the newest first. Raises ValueError for what is none."""
    return _signers(tuple(settings.HEAD_KEYS))


def public_keys() -> list[str]:
    """Return their public keys, as 64 hex characters."""
    return [key.public_key().public_bytes_raw().hex() for key in signers()]


def key_id(public: str) -> str:
    """Return the 16 hex characters by which a public key is named."""
    return sha256(bytes.fromhex(public)).hexdigest()[:16]


# ------------------------------------------------------------------------------------------ making


def make_due(now: datetime) -> list[JournalHead]:
    """Make the heads of all that has changed: one at least, and one more for each MOST segments. Return them.

    What changes meanwhile comes into those of the next time: a busy bus would never be done.
    """
    made: list[JournalHead] = []
    count = MOST
    while count == MOST and len(made) < AT_ONCE:
        head, count = _make(now)
        made.append(head)
    return made


@transaction.atomic
def _make(now: datetime) -> tuple[JournalHead, int]:
    """Make a head of the first segments that changed, at most MOST. Return it, and their number."""
    changed = JournalSegment.objects.filter(headed=0).order_by("serial")[:LOOKED_AT].iterator(MOST)
    rows = list(islice((row for row in changed if sealing.is_genuine(row)), MOST))
    last = JournalHead.objects.order_by("-serial").first()
    # A row names the head that has it: if the last heads were removed, their numbers are not given again.
    named = JournalSegment.objects.aggregate(last=Max("headed"))["last"] or 0
    serial = max(last.serial if last else 0, named) + 1
    document = dump(serial, now, last.digest if last else "", rows)
    head = JournalHead(serial=serial, at=now, document=document, digest=digest_of(document))
    head.save(force_insert=True)
    for row in rows:
        seal, row.headed = row.seal, serial
        # A row that was shipped meanwhile comes into the next head.
        JournalSegment.objects.filter(pk=row.pk, seal=seal).update(headed=serial, seal=sealing.seal(row))
    return head, len(rows)


def dump(serial: int, now: datetime, previous: str, rows: Iterable[JournalSegment]) -> str:
    """Return the document of a head."""
    public = public_keys()
    body = orjson.dumps(
        {
            "v": FORMAT, "serial": serial, "at": _text(now), "previous": previous, "key": key_id(public[0]),
            "keys": public, "days": settings.JOURNAL_DAYS, "segments": [_columns(row) for row in rows],
        }
    )  # fmt: skip
    return f"{body.decode()} {signers()[0].sign(_PURPOSE + body).hex()}\n"


def digest_of(document: str) -> str:
    """Return the digest by which the next head names a document."""
    return sha256(document.encode()).hexdigest()


def _columns(row: JournalSegment) -> tuple[Any, ...]:
    state = PRUNED if row.pruned else CLOSED if row.closed else OPEN
    return row.name, row.lines, row.last_hash, row.digest, _text(row.closed_at) if row.closed_at else "", state


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


# ----------------------------------------------------------------------------------------- checking


def load(document: str, trusted: Iterable[str]) -> PublicHead:
    """Return a head that one of the trusted public keys has signed. Raises HeadError."""
    body, _space, signature = document.strip().rpartition(" ")
    try:
        content = orjson.loads(body)
        public = next(key for key in trusted if key_id(key) == content["key"])
    except StopIteration:
        raise HeadError("it is signed with a key that is not known") from None
    except (ValueError, KeyError, TypeError):
        raise HeadError("it is no head") from None
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            bytes.fromhex(signature), _PURPOSE + body.encode()
        )
    except (InvalidSignature, ValueError):
        raise HeadError("it was changed after it was signed") from None
    try:
        return _head(content, digest_of(body + " " + signature + "\n"))
    except (ValueError, KeyError, TypeError):
        raise HeadError("it has a format that this version does not know") from None


def _head(content: dict[str, Any], digest: str) -> PublicHead:
    if content["v"] != FORMAT:
        raise ValueError
    entries = tuple(Entry(*columns) for columns in content["segments"])
    at, keys = datetime.fromisoformat(content["at"]), tuple(content["keys"])
    return PublicHead(
        content["serial"], at, content["previous"], content["key"], keys, content["days"], entries, digest
    )


def load_all(documents: Iterable[tuple[str, str]], trusted: Sequence[str]) -> tuple[list[PublicHead], dict[str, str]]:
    """Return heads in the order of their serials, and what is wrong by what names them.

    ``documents``: names and documents, in that order. A key that an earlier head names is trusted from then on.
    """
    known, heads, faults = list(trusted), [], {}
    for name, document in documents:
        try:
            head = load(document, known)
        except HeadError as error:
            faults[name] = f"the head cannot be used: {error}"
            continue
        heads.append(head)
        known += [key for key in head.keys if key not in known]
    heads.sort(key=lambda head: head.serial)
    faults.update(_breaks(heads))
    return heads, faults


def _breaks(heads: Sequence[PublicHead]) -> Iterator[tuple[str, str]]:
    """Yield where heads do not follow on each other."""
    if heads and not heads[0].previous and heads[0].serial != 1:
        yield named(heads[0].serial), "it continues no head, and is not the first one"
    for before, head in pairwise(heads):
        if head.serial == before.serial:
            if head.digest != before.digest:
                yield named(head.serial), "there are two heads of this number"
        elif head.serial != before.serial + 1:
            yield named(before.serial + 1), f"the head is missing: the next one is {head.serial}"
        elif head.previous != before.digest:
            yield named(head.serial), "it continues another head than the one before it"


def named(serial: int) -> str:
    """Return what a head is called where it is reported."""
    return f"head {serial}"


def stored(since: datetime | None = None) -> Iterator[tuple[str, str]]:
    """Yield the names and documents of the stored heads, all or those since a moment, in order."""
    rows = JournalHead.objects.order_by("serial")
    if since is not None:
        rows = rows.filter(at__gte=since)
    for row in rows.iterator(100):
        yield named(row.serial), row.document


def missing(rows: Iterable[JournalSegment]) -> int:
    """Return the number of the last head that a row names, if it is not stored; else 0."""
    last = max((row.headed for row in rows), default=0)
    return last if last and not JournalHead.objects.filter(serial__gte=last).exists() else 0


def prune(now: datetime) -> None:
    """Delete heads of segments that are in no archive any more."""
    days = settings.JOURNAL_DAYS + settings.ARCHIVE_DAYS
    JournalHead.objects.filter(at__lt=now - timedelta(days=days)).delete()
