"""zeep with limits, and without access to anything but the given documents."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from lxml import etree
from zeep import Settings
from zeep.exceptions import Error as ZeepError
from zeep.transports import Transport

from proxyservices.decoders import xml
from proxyservices.decoders.limits import DecodeError
from proxyservices.descriptions.documents import DescriptionError, DocumentSet

#: The most elements of one request: types that contain each other would have no end.
MAX_ELEMENTS = 5_000
#: The most elements of all groups where they are referenced, and the deepest chain of references.
MAX_EXPANDED, MAX_DEPTH = 100_000, 50
XSD = "{http://www.w3.org/2001/XMLSchema}"
_GROUPS = (f"{XSD}group", f"{XSD}attributeGroup")

#: The exceptions that zeep raises for a document that it cannot read: not only its own.
ZEEP_ERRORS: tuple[type[Exception], ...] = (
    ZeepError,
    etree.LxmlError,
    RecursionError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    LookupError,
)


class StoredDocumentsTransport(Transport):  # type: ignore[misc]
    """Returns zeep the documents of a set; it opens no connection and no file."""

    def __init__(self, documents: DocumentSet) -> None:
        super().__init__()
        self.documents = documents
        self._groups = _GroupGuard()

    def load(self, url: str) -> bytes:
        text = self.documents.text(url)
        self._groups.read(text)
        return text.encode()


class _GroupGuard:
    """The size of all schemas' groups once zeep has expanded them: a few bytes could expand without end."""

    def __init__(self) -> None:
        #: (kind, name) → the number of its own elements, and the groups that it references.
        self._defined: dict[tuple[str, str], tuple[int, list[tuple[str, str]]]] = {}
        #: The groups that are referenced from outside a group.
        self._referenced: list[tuple[str, str]] = []

    def read(self, text: str) -> None:
        """Add a document's groups. Raises DescriptionError if all together become too large."""
        if "roup" not in text:
            return
        try:
            root = xml.parse(text.encode())
        except DecodeError:
            return  # zeep reports it
        for schema in root.iter(f"{XSD}schema"):
            for kind in _GROUPS:
                for node in schema.iter(kind):
                    self._add_group(kind, schema.get("targetNamespace", ""), node)
        sizes: dict[tuple[str, str], int] = {}
        if sum(self._expanded_size(each, sizes, ()) for each in self._referenced) > MAX_EXPANDED:
            raise _too_large()

    def _add_group(self, kind: str, space: str, node: Any) -> None:
        if node.get("ref"):
            if not any(above.tag in _GROUPS for above in node.iterancestors()):
                self._referenced.append((kind, _qualified(node)))
            return
        inner = [(each.tag, _qualified(each)) for name in _GROUPS for each in node.iter(name) if each.get("ref")]
        self._defined[kind, f"{{{space}}}{node.get('name', '')}"] = sum(1 for _each in node.iter()), inner

    def _expanded_size(self, key: tuple[str, str], sizes: dict[tuple[str, str], int], above: tuple[Any, ...]) -> int:
        if key in above or len(above) > MAX_DEPTH:
            raise _too_large()
        if key not in sizes:
            own, inner = self._defined.get(key, (1, []))
            sizes[key] = own + sum(self._expanded_size(each, sizes, (*above, key)) for each in inner)
            if sizes[key] > MAX_ELEMENTS:
                raise _too_large()
        return sizes[key]


def _too_large() -> DescriptionError:
    return DescriptionError(_("The document is too large, or its references are endless."))


def _qualified(node: Any) -> str:
    prefix, _colon, local = node.get("ref").strip().rpartition(":")
    return f"{{{node.nsmap.get(prefix or None, '')}}}{local}"


def settings() -> Settings:
    """Return zeep's settings for documents of others. What they import comes through the transport alone."""
    return Settings(forbid_dtd=True, forbid_entities=True, force_https=False)
