"""The formats in which an operation answers."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import Combinable

from mantra.gateway.formats import FORMATS
from proxyservices.models import ProxyOperation
from registry.models import Field, Operation

SOAP = "soap"
#: Name → how people call it, in the order of the pages.
NAMES: dict[str, str] = {
    "json": "JSON", "xml": "XML", "csv": "CSV", "ndjson": "NDJSON", "xlsx": "Excel (XLSX)", "php": "PHP serialize()",
    "phpa": "PHP array", SOAP: "SOAP",
}  # fmt: skip
assert set(NAMES) == {*FORMATS, SOAP}
#: Formats of rows: a document of another system has them where it is known which of its parts are rows.
OF_ROWS = frozenset({"csv", "ndjson", "xlsx"})


def formats_of(operation: Operation, has_fields: bool) -> list[str]:
    """Return the names of an operation's formats, none for a pass-through one: its system decides."""
    if not isinstance(operation, ProxyOperation):
        return list(NAMES)
    if operation.style == ProxyOperation.Style.PASS_THROUGH:
        return []
    rows = bool(operation.records_path) or has_fields
    return [name for name in NAMES if rows or name not in OF_ROWS]


def answers_in(name: str) -> Q | Combinable:
    """Return the condition for operations with a format, as formats_of() has it."""
    translated = ~Q(proxyoperation__style=ProxyOperation.Style.PASS_THROUGH)
    if name not in OF_ROWS:
        return ~Q(kind=Operation.Kind.PROXY) | translated
    rows = ~Q(proxyoperation__records_path="") | Exists(Field.objects.filter(operation=OuterRef("pk")))
    return ~Q(kind=Operation.Kind.PROXY) | (translated & rows)
