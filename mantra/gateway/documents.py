"""Documents that are written from the operations of a snapshot, and stored with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from registry.snapshot.types import Operation, Snapshot

#: The most documents stored with a snapshot, and their bytes. A WSDL with 200 operations has about 400 KB.
MAX_DOCUMENTS, MAX_BYTES = 64, 64_000_000
_LISTED_STATES = frozenset(("published", "deprecated"))

_lock = threading.Lock()


def stored(snapshot: Snapshot, key: Hashable, build: Callable[[], bytes]) -> bytes:
    """Return a stored document, or build and store it. A snapshot with changed operations begins with none."""
    documents = snapshot.documents
    with _lock:
        if key in documents:
            documents.move_to_end(key)
            return documents[key]
    content = build()
    with _lock:
        documents[key] = content
        while len(documents) > MAX_DOCUMENTS or (len(documents) > 1 and sum(map(len, documents.values())) > MAX_BYTES):
            documents.popitem(last=False)
    return content


def operations_of(snapshot: Snapshot, agency: str, service: str) -> list[Operation]:
    """Return the operations of a service that callers can call, by their codes."""
    place = agency.lower(), service.lower()
    found = [operation for alias, operation in snapshot.operations.items() if alias[:2] == place]
    return sorted((each for each in found if each.state in _LISTED_STATES), key=lambda each: each.code)
