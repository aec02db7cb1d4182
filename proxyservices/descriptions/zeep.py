"""How zeep reads descriptions: from our documents only, and within bounds."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from lxml import etree
from zeep import Settings
from zeep.exceptions import Error as ZeepError
from zeep.transports import Transport

from proxyservices.descriptions.documents import Documents, Unusable

#: How many elements of one request are looked at: types that hold each other would have no end.
STEPS = 5_000
#: How many elements all groups may come to where they are named, and how deep they may name each other.
WRITTEN_OUT, NESTED = 100_000, 50
_XS = "{http://www.w3.org/2001/XMLSchema}"
_GROUPS = (f"{_XS}group", f"{_XS}attributeGroup")

#: What zeep raises on a document that it cannot read, beside errors of its own.
ZEEP_ERRORS: tuple[type[Exception], ...] = (
    ZeepError, etree.LxmlError, RecursionError, ValueError, TypeError, KeyError, AttributeError, LookupError,
)  # fmt: skip


class Door(Transport):  # type: ignore[misc]
    """Every document that zeep asks for comes from ours; it opens no connection and no file."""

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self.documents = documents
        self._groups = _Groups()

    def load(self, url: str) -> bytes:
        text = self.documents.text(url)
        self._groups.read(text)
        return text.encode()


class _Groups:
    """The groups of all schemas, which zeep writes out wherever they are named: of a few bytes, without end."""

    def __init__(self) -> None:
        #: kind and name → how many elements it has of its own, and the groups that it names.
        self._known: dict[tuple[str, str], tuple[int, list[tuple[str, str]]]] = {}
        self._named: list[tuple[str, str]] = []

    def read(self, text: str) -> None:
        """Take a document's in. Raises Unusable."""
        if "roup" not in text:
            return
        try:
            root = etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))
        except (etree.XMLSyntaxError, ValueError):
            return  # which zeep will say
        for schema in root.iter(f"{_XS}schema"):
            for kind in _GROUPS:
                for node in schema.iter(kind):
                    self._group(kind, schema.get("targetNamespace", ""), node)
        sizes: dict[tuple[str, str], int] = {}
        if sum(self._size(each, sizes, ()) for each in self._named) > WRITTEN_OUT:
            raise _endless()

    def _group(self, kind: str, space: str, node: Any) -> None:
        if node.get("ref"):
            if not any(above.tag in _GROUPS for above in node.iterancestors()):
                self._named.append((kind, _qualified(node)))
            return
        inner = [(each.tag, _qualified(each)) for name in _GROUPS for each in node.iter(name) if each.get("ref")]
        self._known[kind, f"{{{space}}}{node.get('name', '')}"] = sum(1 for _each in node.iter()), inner

    def _size(self, key: tuple[str, str], sizes: dict[tuple[str, str], int], above: tuple[Any, ...]) -> int:
        if key in above or len(above) > NESTED:
            raise _endless()
        if key not in sizes:
            own, inner = self._known.get(key, (1, []))
            sizes[key] = own + sum(self._size(each, sizes, (*above, key)) for each in inner)
            if sizes[key] > STEPS:
                raise _endless()
        return sizes[key]


def _endless() -> Unusable:
    return Unusable(_("The document is too large, or its references never end."))


def _qualified(node: Any) -> str:
    prefix, _colon, local = node.get("ref").strip().rpartition(":")
    return f"{{{node.nsmap.get(prefix or None, '')}}}{local}"


def settings() -> Settings:
    """zeep's settings for documents of others: what they import comes through the transport alone."""
    return Settings(forbid_dtd=True, forbid_entities=True, force_https=False)
