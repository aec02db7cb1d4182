"""The documents that describe an upstream, and the words for what they come to: drafts, and what is left out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from lxml import etree

from proxyservices import client, documents
from proxyservices.models import Mapping as Placed
from proxyservices.models import ProxyOperation, Upstream
from registry.models import Parameter

#: Of one description: how many documents, and how many bytes in all.
MANY, LARGE = 50, 4_000_000
#: How long fetching may take, in seconds: for each document, and for all of them.
SECONDS, ALL_SECONDS = 10.0, 30.0
#: How many operations one document may bring.
MOST = 300
#: How many parameters one operation may get.
VALUES = 200
#: Where uploaded files are said to lie, so that what they import is found among them.
UPLOADED = "https://upload.invalid/"

#: Names of parameters that stand for a person.
PERSONS = frozenset({"nik", "npwp", "nip", "no_kk", "nokk", "no_ktp"})
_TAIL = re.compile(r"[^A-Za-z0-9_]+")


class Unusable(ValueError):
    """What cannot be taken over, in words for the clerk."""


Fetch = Callable[[str], bytes]


def fetch(url: str, seconds: float = SECONDS) -> bytes:
    """A document by its address, through the one door out, within ``seconds``. Raises Unusable."""
    seconds = min(seconds, SECONDS)
    parts = urlsplit(url)
    try:
        target = client.Target.of(f"{parts.scheme}://{parts.netloc}")
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
    except client.Failed as failed:
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
        documents.check_xml(raw)
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Unusable(_("%(url)s is not well-formed XML.") % {"url": url}) from None
    if root.getroottree().docinfo.doctype:
        raise Unusable(_("%(url)s has a document type, which is not taken.") % {"url": url})
    return etree.tostring(root, encoding="unicode")


# ------------------------------------------------------------------------------------ what is made


@dataclass(slots=True)
class Draft:
    """An operation that can be made: values for the models, and what of it is not taken over."""

    code: str
    title: str = ""
    description: str = ""
    style: str = ProxyOperation.Style.REST
    method: str = "GET"
    path: str = ""
    address: str = ""
    credential_kind: str = Upstream.Credential.NONE
    credential_name: str = ""
    parameters: list[dict[str, Any]] = field(default_factory=list)
    mappings: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def room(self) -> None:
        """Raises Unusable where no further parameter may be declared."""
        if len(self.parameters) >= VALUES:
            raise Unusable(_("An operation may have %(most)d parameters at most.") % {"most": VALUES})

    def places(self) -> dict[str, str]:
        """Where each parameter's value goes, in words."""
        labels = dict(Placed.Place.choices)
        found = {each["parameter"]: f"{labels[each['place']]}: {each['name']}" for each in self.mappings}
        return {each["name"]: found.get(each["name"], self._own_place(each["name"])) for each in self.parameters}

    def _own_place(self, name: str) -> str:
        if f"{{{name}}}" in self.path:
            return _("path") + f": {{{name}}}"
        return name

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The parameters with their places, for a page."""
        labels, places = dict(Parameter.Type.choices), self.places()
        return [
            {
                **each,
                "label": labels[each.get("type", "text")],
                "place": places[each["name"]],
                "words": ", ".join(each.get("choices", "").splitlines()),
            }
            for each in self.parameters
        ]


@dataclass(slots=True)
class Found:
    """What a description holds: its operations, and what could not be taken over, with reasons."""

    kind: str
    title: str
    drafts: list[Draft] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


class Names:
    """Makes names fit, each once, whatever its capital letters."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {name.lower() for name in taken}

    def once(self, name: str, longest: int = 63) -> str:
        found, number = name[:longest], 1
        while found.lower() in self.taken:
            number += 1
            end = f"_{number}"
            found = name[: longest - len(end)] + end
        self.taken.add(found.lower())
        return found

    def parameter(self, *parts: str) -> str:
        """A parameter's name: the last part, or as many as it takes to tell it from the others."""
        fit = [_TAIL.sub("_", part).strip("_") for part in parts]
        for count in range(1, len(fit) + 1):
            name = _begun("_".join(part for part in fit[-count:] if part))
            if name.lower() not in self.taken:
                break
        return self.once(name)

    def code(self, *parts: str) -> str:
        name = re.sub(r"[^A-Za-z0-9\-]+", "_", "_".join(part for part in parts if part)).strip("_-")
        return self.once(name or "operasi", 100)


def _begun(name: str) -> str:
    return name if name and not name[0].isdigit() else f"p_{name}"


def parameter(values: dict[str, Any], label: str, notes: list[str]) -> dict[str, Any]:
    """The values that the model takes; what it does not take is noted and left out. Raises Unusable."""
    # A description is shown to people: its mark-up and line ends are of no use there.
    values = {**values, "description": " ".join(str(values.get("description", "")).split())[:300]}
    if values["name"].lower() in PERSONS:
        values["subject"] = True
    for _attempt in range(4):
        try:
            Parameter(**values).full_clean(exclude=["operation"], validate_unique=False, validate_constraints=False)
        except ValidationError as error:
            dropped = [name for name in error.message_dict if name in ("default", "pattern", "min", "max")]
            if "choices" in error.message_dict:
                values["type"] = Parameter.Type.TEXT
                dropped.append("choices")
            if not dropped:
                raise Unusable("; ".join(error.messages)) from None
            for name in dropped:
                why = " ".join(error.message_dict[name])
                notes.append(_("%(label)s: %(what)s is left out. %(why)s") % {"label": label, "what": name, "why": why})
                values.pop(name, None)
        else:
            return values
    raise Unusable(_("its rules contradict each other"))


def join(base: str, relative: str) -> str:
    """A relative address made whole. Raises Unusable."""
    try:
        return urljoin(base, relative)
    except ValueError:
        raise Unusable(_("%(url)s is no address.") % {"url": relative}) from None
