"""The documents that describe an upstream: given, fetched, or stored with an operation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

from django.utils.translation import gettext as _
from lxml import etree

from proxyservices.decoders import xml
from proxyservices.models import Contract
from proxyservices.transport import client, errors, pool


@dataclass(frozen=True, slots=True)
class Stored:
    """A contract's documents: the main one's address, and each document's text by its address."""

    main: str
    texts: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        found = hashlib.blake2b(digest_size=16)
        for url, text in ((self.main, ""), *self.texts):
            found.update(f"{len(url)}:{url}{len(text)}:{text}".encode())
        return found.hexdigest()


def stored(rows: Iterable[Contract]) -> Stored | None:
    """The contracts of one operation as its documents; None where no WSDL is among them."""
    listed = list(rows)
    main = next((row.url for row in listed if row.main and "<" in row.content[:200]), None)
    return Stored(main, tuple((row.url, row.content) for row in listed)) if main is not None else None


#: Of one description: how many documents, and how many bytes in all.
MANY, LARGE = 50, 4_000_000
#: How long fetching may take, in seconds: for each document, and for all of them.
SECONDS, ALL_SECONDS = 10.0, 30.0
#: Where uploaded files are said to lie, so that what they import is found among them.
UPLOADED = "https://upload.invalid/"


class Unusable(ValueError):
    """What cannot be taken over, in words for the clerk."""


Fetch = Callable[[str], bytes]


def fetch(url: str, seconds: float = SECONDS) -> bytes:
    """A document by its address, through the one door out, within ``seconds``. Raises Unusable."""
    seconds = min(seconds, SECONDS)
    parts = urlsplit(url)
    try:
        target = pool.Target.of(f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        raise Unusable(_("%(url)s cannot be asked for: it is no http or https address.") % {"url": url}) from None
    asked = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    limits = client.Limits(connect=min(5.0, seconds), read=seconds, total=seconds, size=LARGE)
    headers = [("Accept", "*/*"), ("User-Agent", "MANTRA")]
    question = client.Question("GET", asked, headers, None, 0)
    try:
        reply = client.ask(target, question, limits, time.monotonic() + seconds)
        try:
            body = reply.read()
        finally:
            reply.close()
    except errors.Failed as failed:
        words = {"url": url, "phase": failed.phase, "reason": failed.reason}
        raise Unusable(_("%(url)s could not be fetched: %(phase)s, %(reason)s.") % words) from None
    if 300 <= reply.status < 400:
        raise Unusable(_("%(url)s sends on to another address: give that one.") % {"url": url})
    if reply.status != 200:
        raise Unusable(_("%(url)s answers with status %(status)d.") % {"url": url, "status": reply.status})
    return body


class Documents:
    """The documents of one description, by address: those given, and those that they ask for."""

    def __init__(self, given: Mapping[str, bytes], fetch: Fetch | None = fetch) -> None:
        self.given = dict(given)
        self.fetch = fetch
        #: address → text, of those that were asked for.
        self.used: dict[str, str] = {}
        self.bytes = 0
        self.began = time.monotonic()

    def text(self, url: str) -> str:
        """A document as text. XML is read by its own encoding and loses its declaration. Raises Unusable."""
        url = urldefrag(url)[0]
        if url not in self.used:
            if len(self.used) >= MANY:
                raise Unusable(_("The description has more than %(many)d documents.") % {"many": MANY})
            raw = self._raw(url)
            self.bytes += len(raw)
            if self.bytes > LARGE:
                raise Unusable(_("The description is larger than %(size)d bytes.") % {"size": LARGE})
            self.used[url] = decoded(raw, url)
        return self.used[url]

    def _raw(self, url: str) -> bytes:
        if url in self.given:
            return self.given[url]
        name = urlsplit(url).path.rpartition("/")[2]
        uploaded = [given for given in self.given if given.startswith(UPLOADED)]
        named = [self.given[given] for given in uploaded if given.endswith("/" + name)]
        if name and named:
            return named[0]
        if url.startswith(UPLOADED) or self.fetch is None:
            raise Unusable(_("%(name)s is missing: upload it together with the others.") % {"name": name or url})
        if time.monotonic() - self.began > ALL_SECONDS:
            raise Unusable(_("Fetching the documents takes too long."))
        return self.fetch(url)


def decoded(raw: bytes, url: str) -> str:
    """Bytes as text. Raises Unusable where they are no text, or XML with a document type."""
    if raw.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"<" or raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return xml_text(raw, url)
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Unusable(_("%(url)s is not UTF-8 text.") % {"url": url}) from None


def xml_text(raw: bytes, url: str) -> str:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        xml.check_xml(raw)
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Unusable(_("%(url)s is not well-formed XML.") % {"url": url}) from None
    if root.getroottree().docinfo.doctype:
        raise Unusable(_("%(url)s has a document type, which is not taken.") % {"url": url})
    return etree.tostring(root, encoding="unicode")


def join(base: str, relative: str) -> str:
    """A relative address made whole. Raises Unusable."""
    try:
        return urljoin(base, relative)
    except ValueError:
        raise Unusable(_("%(url)s is no address.") % {"url": relative}) from None
