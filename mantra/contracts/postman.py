"""A Postman collection (format 2.1) of a service: a request by GET and one by POST for each operation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import orjson
from django.utils.translation import gettext as _

from mantra.contracts import openapi, schemas
from mantra.contracts.openapi import Readable
from registry import models
from registry.snapshot.types import Operation

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(service: models.Service, listed: Iterable[Readable], base: str) -> bytes:
    """Return the collection. The key is a variable that its user fills in; none is ever written into the file."""
    document = {
        "info": {
            "name": f"{service.title} ({service.agency.code}/{service.code})",
            "description": service.description,
            "schema": FORMAT,
        },
        "auth": {
            "type": "apikey",
            "apikey": [_entry("key", "AccessKey"), _entry("value", "{{access_key}}"), _entry("in", "header")],
        },
        "variable": [
            {"key": "base_url", "value": base, "type": "string"},
            {"key": "access_key", "value": "", "type": "string", "description": _("Your access key.")},
        ],
        "item": [_folder(readable.operation) for readable in listed],
    }
    return orjson.dumps(document)


def _entry(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value, "type": "string"}


def _folder(operation: Operation) -> dict[str, Any]:
    return {
        "name": operation.title or operation.code,
        "description": operation.description,
        "item": [_item(operation, method) for method in openapi.methods(operation)],
    }


def _item(operation: Operation, method: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": method,
        "header": [{"key": "Accept", "value": "application/json"}],
        "url": _url(operation, method),
    }
    if operation.open:
        request["auth"] = {"type": "noauth"}
    if method != "GET" and (values := _values(operation)):
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {
            "mode": "raw",
            "raw": orjson.dumps(values, option=orjson.OPT_INDENT_2).decode(),
            "options": {"raw": {"language": "json"}},
        }
    return {"name": f"{method} {operation.code}", "request": request}


def _url(operation: Operation, method: str) -> dict[str, Any]:
    path = openapi.address(operation)
    query = _query(operation) if method == "GET" else []
    given = "&".join(f"{each['key']}={quote(each['value'])}" for each in query if "disabled" not in each)
    url = {"raw": f"{{{{base_url}}}}{path}" + (f"?{given}" if given else ""), "host": ["{{base_url}}"]}
    return url | {"path": path.strip("/").split("/"), **({"query": query} if query else {})}


def _query(operation: Operation) -> list[dict[str, Any]]:
    """Return the parameters with their examples. Optional ones are switched off: their users choose."""
    if openapi.is_as_is(operation):
        return []
    needed, found = schemas.required(operation), []
    for name, schema in schemas.arguments(operation).items():
        entry: dict[str, Any] = {"key": name, "value": _text(_example(schema))}
        if description := schema.get("description"):
            entry["description"] = description
        found.append(entry if name in needed else entry | {"disabled": True})
    return found


def _values(operation: Operation) -> dict[str, Any]:
    """Return the members of a JSON body: the examples of the required parameters."""
    if openapi.is_as_is(operation):
        return {}
    given = schemas.arguments(operation)
    return {name: _example(given[name]) for name in schemas.required(operation)}


def _example(schema: dict[str, Any]) -> Any:
    return schema.get("examples", [schema.get("default", "")])[0]


def _text(value: Any) -> str:
    """Return a value as a query string has it."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
