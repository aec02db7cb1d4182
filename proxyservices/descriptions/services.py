"""Parsed services of upstreams' WSDLs, stored in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from zeep.wsdl import Document

from proxyservices.descriptions.documents import DescriptionError, DocumentSet, StoredDescription
from proxyservices.descriptions.zeep import ZEEP_ERRORS, StoredDocumentsTransport, settings

#: The number of services that a process stores, and the seconds for which one with fetched documents is valid.
MAX_SERVICES, FETCHED_SECONDS = 100, 3600.0
#: Seconds after a failure to fetch or to parse a description until the next attempt.
RETRY_SECONDS = 10.0


class ServiceCache:
    """Parsed services by their description's digest or address; the oldest are dropped first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: key → (service, or None after a failure; the monotonic time until which the entry is valid)
        self._entries: OrderedDict[str, tuple[Document | None, float]] = OrderedDict()

    def get(self, description: StoredDescription | None, url: str) -> Document:
        """Return the service of a stored description, else of the one at ``url``. Raises DescriptionError.

        A service that is not stored yet, or no longer valid, is fetched and parsed first.
        """
        key = description.digest if description is not None else url
        entry = self._entries.get(key)
        if entry is None or time.monotonic() > entry[1]:
            entry = self._load(description, url, key)
        if entry[0] is None:
            raise DescriptionError
        return entry[0]

    def _load(self, description: StoredDescription | None, url: str, key: str) -> tuple[Document | None, float]:
        service: Document | None
        try:
            service = _parse(description, url)
            until = time.monotonic() + (FETCHED_SECONDS if description is None else float("inf"))
        except DescriptionError:
            service, until = None, time.monotonic() + RETRY_SECONDS
        with self._lock:
            self._entries[key] = service, until
            self._entries.move_to_end(key)
            while len(self._entries) > MAX_SERVICES:
                self._entries.popitem(last=False)
        return service, until

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


services = ServiceCache()


def reset() -> None:
    """Forget all services. For tests."""
    services.clear()


def _parse(description: StoredDescription | None, url: str) -> Document:
    if description is None:
        documents, main = DocumentSet({}), url
    else:
        documents = DocumentSet({name: text.encode() for name, text in description.texts}, fetch=None)
        main = description.main
    try:
        return Document(main, StoredDocumentsTransport(documents), settings=settings())  # type: ignore[arg-type]
    except DescriptionError:
        raise
    except ZEEP_ERRORS:
        raise DescriptionError from None
