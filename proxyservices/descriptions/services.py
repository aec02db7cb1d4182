"""Parsed services of upstreams' WSDLs, kept in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from zeep.wsdl import Document

from proxyservices.descriptions.documents import Documents, Stored, Unusable
from proxyservices.descriptions.zeep import ZEEP_ERRORS, Door, settings

#: How many services are kept ready in a process, and for how many seconds those whose documents were fetched.
MOST, FETCHED_SECONDS = 100, 3600.0
#: After a failure to fetch or to read them, the documents are not asked for again for so many seconds.
PAUSE = 10.0


# ---------------------------------------------------------------------------------- services, kept ready


class _Kept:
    """Services made of their documents, by digest or address; the least used go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: key → (service or None after a failure, the monotonic time until which that holds)
        self._found: OrderedDict[str, tuple[Document | None, float]] = OrderedDict()

    def get(self, contract: Stored | None, url: str) -> Document:
        """Raises Unusable. Only one that is not here yet takes time."""
        key = contract.digest if contract is not None else url
        known = self._found.get(key)
        if known is None or time.monotonic() > known[1]:
            known = self._make(contract, url, key)
        if known[0] is None:
            raise Unusable
        return known[0]

    def _make(self, contract: Stored | None, url: str, key: str) -> tuple[Document | None, float]:
        made: Document | None
        try:
            made = _read(contract, url)
            until = time.monotonic() + (FETCHED_SECONDS if contract is None else float("inf"))
        except Unusable:
            made, until = None, time.monotonic() + PAUSE
        with self._lock:
            self._found[key] = made, until
            self._found.move_to_end(key)
            while len(self._found) > MOST:
                self._found.popitem(last=False)
        return made, until

    def clear(self) -> None:
        with self._lock:
            self._found.clear()


services = _Kept()


def _read(contract: Stored | None, url: str) -> Document:
    if contract is None:
        found, main = Documents({}), url
    else:
        found = Documents({name: text.encode() for name, text in contract.texts}, fetch=None)
        main = contract.main
    try:
        return Document(main, Door(found), settings=settings())  # type: ignore[arg-type]
    except Unusable:
        raise
    except ZEEP_ERRORS:
        raise Unusable from None
