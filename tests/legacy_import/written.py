"""Definitions of MANTRA 1.99x for the tests, written as PHP wrote them. All are invented."""

from __future__ import annotations

import json
from typing import Any

from mantra.legacy_import.old import OldOperation
from mantra.legacy_import.translating import DataDefinition, ProgramDefinition, ProxyDefinition, translate

_DATA = {
    "dbtype": "mysql", "hostname": "10.1.1.5", "port": "3306", "dbuser": "baca", "dbpassword": "a&b",
    "dbname": "simpeg", "tbname": "`pegawai`", "columns": "`nip`,`nama`", "conditions": "", "orders": "",
    "limrows": "", "limoffset": "",
}  # fmt: skip
_QUOTES = {"mysql": "``", "mysqli": "``", "postgres": '""', "mssql": "[]", "oci8": '""'}


def php_json(texts: dict[str, Any]) -> str:
    """Return an object as PHP's json_encode() writes it: slashes as \\/, other letters as \\uXXXX."""
    return json.dumps(texts).replace("/", "\\/")


def operation(kind: str, source: str, code: str = "uji") -> OldOperation:
    return OldOperation(id=1, service_id=1, code=code, kind=kind, listed=True, source=source, description="Uji")


def data(hosts: dict[str, str] | None = None, **texts: Any) -> DataDefinition:
    """Translate a data operation. The columns and the table are quoted for its database unless they are given."""
    opening, closing = _QUOTES.get(texts.get("dbtype", "mysql"), "``")
    own = {"tbname": f"{opening}pegawai{closing}", "columns": f"{opening}nip{closing},{opening}nama{closing}"}
    found = translate(operation("database", php_json(_DATA | own | texts)), hosts or {})
    assert isinstance(found, DataDefinition)
    return found


def proxy(hosts: dict[str, str] | None = None, **texts: Any) -> ProxyDefinition:
    base = {"wstype": "get", "endpoint": "http://10.9.9.9/cuaca", "method": "kota.php", "accesskey": "", "request": ""}
    found = translate(operation("services", php_json(base | texts)), hosts or {})
    assert isinstance(found, ProxyDefinition)
    return found


def program(code: str, request: str = "", kind: str = "program") -> ProgramDefinition:
    found = translate(operation(kind, php_json({"code": code, "request": request})))
    assert isinstance(found, ProgramDefinition)
    return found


def kinds(definition: DataDefinition | ProxyDefinition | ProgramDefinition) -> set[str]:
    """The codes of a definition's remarks, but for those on limits, which most have."""
    return {each.kind.value for each in definition.all_remarks} - {"limits", "time-limit"}
