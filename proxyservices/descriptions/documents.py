"""The documents of a service description: uploaded, fetched, or stored with an operation."""

from __future__ import annotations

import codecs
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from lxml import etree

from proxyservices.decoders import xml
from proxyservices.decoders.charset import as_utf8, charset_of
from proxyservices.decoders.limits import DecodeError
from proxyservices.models import ServiceDescription
from proxyservices.models.operations import MAX_DESCRIPTION_BYTES as MAX_BYTES
from proxyservices.transport import client, errors, pool


@dataclass(frozen=True, slots=True)
class StoredDescription:
    """The documents of a description: the main one's address, and each document's text by its address."""

    main: str
    texts: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """A key for the parsed service: it changes with each change of a document."""
        digest = hashlib.blake2b(digest_size=16)
        for url, text in ((self.main, ""), *self.texts):
            digest.update(f"{len(url)}:{url}{len(text)}:{text}".encode())
        return digest.hexdigest()


def stored_description(rows: Iterable[ServiceDescription]) -> StoredDescription | None:
    """Return the documents of one operation; None if no WSDL or other XML is the main one."""
    listed = list(rows)
    main = next((row.url for row in listed if row.main and "<" in row.content[:200]), None)
    return StoredDescription(main, tuple((row.url, row.content) for row in listed)) if main is not None else None


#: The longest time in seconds to fetch one document, and all of them.
SECONDS, ALL_SECONDS = 10.0, 30.0
#: The base address of uploaded files, by which relative imports between them resolve.
UPLOADED = "https://upload.invalid/"
#: host and path → schema of the bus: namespaces that WSDLs reference and whose documents no closed network has.
_KNOWN = {
    "schemas.xmlsoap.org/soap/encoding": "soap-encoding.xsd",
    "www.w3.org/2001/xml.xsd": "xml.xsd",
    "www.w3.org/2009/01/xml.xsd": "xml.xsd",
    "www.w3.org/2005/05/xmlmime": "xmlmime.xsd",
}


class DescriptionError(ValueError):
    """A description cannot be used. Its text is for the person who imports it."""


Fetch = Callable[[str], bytes]


def fetch(url: str, seconds: float = SECONDS) -> bytes:
    """Return a document by its address, through the outbound client, within ``seconds``. Raises DescriptionError."""
    seconds = min(seconds, SECONDS)
    parts = urlsplit(url)
    try:
        target = pool.Target.of(f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        raise DescriptionError(_("%(url)s cannot be fetched: use an http or https URL.") % {"url": url}) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    limits = client.Limits(connect=min(5.0, seconds), read=seconds, total=seconds, max_body_bytes=MAX_BYTES)
    headers = [("Accept", "*/*"), ("User-Agent", "MANTRA")]
    request = client.Request("GET", path, headers, None, 0)
    try:
        response = client.send(target, request, limits, time.monotonic() + seconds)
        try:
            body = response.read()
        finally:
            response.close()
    except errors.UpstreamError as error:
        words = {"url": url, "phase": error.phase, "reason": error.reason}
        raise DescriptionError(_("%(url)s could not be fetched: %(phase)s, %(reason)s.") % words) from None
    if 300 <= response.status < 400:
        raise DescriptionError(_("%(url)s redirects to another URL. Enter that URL.") % {"url": url})
    if response.status != 200:
        raise DescriptionError(_("%(url)s responds with status %(status)d.") % {"url": url, "status": response.status})
    return _marked(body, response.header("Content-Type"))


def _marked(body: bytes, content_type: str) -> bytes:
    """Return a document whose text later readers find without its Content-Type: in UTF-8, with a mark that says so."""
    charset = charset_of(content_type)
    try:
        return codecs.BOM_UTF8 + as_utf8(body, charset) if charset else body
    except DecodeError:
        return body


class DocumentSet:
    """The documents of one description by address: the uploaded ones, and those that they import."""

    def __init__(self, available: Mapping[str, bytes], fetch: Fetch | None = fetch) -> None:
        """``fetch`` returns a document that is not available; None: no document is fetched."""
        self.available = dict(available)
        self.fetch = fetch
        #: address → text, of the documents that were read.
        self.used: dict[str, str] = {}
        self.bytes = 0
        self.began = time.monotonic()

    def text(self, url: str) -> str:
        """Return a document as text, XML by its own encoding and without its declaration. Raises DescriptionError."""
        url = urldefrag(url)[0]
        if url not in self.used:
            most = settings.ROW_LIMITS["descriptions"]
            if len(self.used) >= most:
                raise DescriptionError(_("The description has more than %(many)d documents.") % {"many": most})
            raw = self._raw(url)
            self.bytes += len(raw)
            if self.bytes > MAX_BYTES:
                raise DescriptionError(_("The description is larger than %(size)d bytes.") % {"size": MAX_BYTES})
            self.used[url] = decode_text(raw, url)
        return self.used[url]

    def _raw(self, url: str) -> bytes:
        if url in self.available:
            return self.available[url]
        name = urlsplit(url).path.rpartition("/")[2]
        uploaded = [address for address in self.available if address.startswith(UPLOADED)]
        of_this_name = [self.available[address] for address in uploaded if address.endswith("/" + name)]
        if name and of_this_name:
            return of_this_name[0]
        known = _known_schema(url)
        if known is not None:
            return known
        if url.startswith(UPLOADED) or self.fetch is None:
            raise DescriptionError(
                _("%(name)s is missing. Upload it together with the other files.") % {"name": name or url}
            )
        if time.monotonic() - self.began > ALL_SECONDS:
            raise DescriptionError(_("Fetching the documents took too long."))
        return self.fetch(url)


def _known_schema(url: str) -> bytes | None:
    """Return the bus's own schema of a well-known address; None for all other addresses."""
    parts = urlsplit(url)
    name = _KNOWN.get(f"{parts.netloc}{parts.path}".rstrip("/"))
    return None if name is None else (Path(__file__).parent / "schemas" / name).read_bytes()


def decode_text(raw: bytes, url: str) -> str:
    """Return a document as text. Raises DescriptionError if it is no text, or XML with a document type."""
    if raw.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"<" or raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return xml_text(raw, url)
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise DescriptionError(_("%(url)s is not UTF-8 text.") % {"url": url}) from None


def xml_text(raw: bytes, url: str) -> str:
    """Return an XML document as text, without its declaration and document type. Raises DescriptionError."""
    try:
        root = xml.parse(raw, doctype=True)
    except DecodeError as error:
        if str(error) == "doctype-file":
            raise DescriptionError(
                _("The DOCTYPE of %(url)s refers to another file (SYSTEM). Remove it, and upload the file.")
                % {"url": url}
            ) from None
        if str(error) == "doctype":
            raise DescriptionError(
                _("%(url)s contains a DOCTYPE with more than a few short entities. Remove it, and upload the file.")
                % {"url": url}
            ) from None
        raise DescriptionError(_("%(url)s is not well-formed XML.") % {"url": url}) from None
    return etree.tostring(root, encoding="unicode")


def absolute_url(base: str, relative: str) -> str:
    """Return a relative address as an absolute one. Raises DescriptionError."""
    try:
        return urljoin(base, relative)
    except ValueError:
        raise DescriptionError(_("%(url)s is not a URL.") % {"url": relative}) from None
