"""What MANTRA 1.99x made of a request and how it wrote an answer, from the rules of its program.

A model, for tests: it uses none of the bus's code. `test_exchanges` proves its decoding against PHP's own functions.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes
from xml.sax.saxutils import escape

Row = dict[str, str | None]
FORMATS = ("json", "xml", "api")


# ------------------------------------------------------------------------------------------ decoding


def urldecode(text: bytes) -> bytes:
    """PHP's urldecode()."""
    return unquote_to_bytes(text.replace(b"+", b" "))


def urlencode(text: str) -> str:
    """PHP's urlencode()."""
    return quote_plus(text, safe="-_.").replace("~", "%7E")


def parse_str(query: bytes) -> dict[bytes, bytes]:
    """PHP's parse_str(), without arrays: split first, then decoded; the last value of a name counts."""
    found: dict[bytes, bytes] = {}
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        name = sent_name(urldecode(name).decode("latin-1")).encode("latin-1")
        if name:
            found[name] = urldecode(value)
    return found


def sent_name(name: str) -> str:
    """A name as a variable of PHP."""
    return re.sub(r"[ .\[]", "_", name.lstrip(" "))


def twice(sent: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The second decoding of REST and POST; a value that is no text then is kept, which the original did not do."""
    return {name: again if is_text(again := urldecode(value)) else value for name, value in sent.items()}


def is_text(value: bytes) -> bool:
    try:
        return bool(value.decode() or True)
    except UnicodeDecodeError:
        return False


def bound(sent: dict[bytes, bytes], declared: tuple[str, ...]) -> dict[str, str] | None:
    """The values of the declared parameters; None if one is missing."""
    values: dict[str, str] = {}
    for name in declared:
        for key, value in sent.items():
            if key.lower() == name.replace(" ", "_").lower().encode() and value != b"":
                values[name] = value.decode()
    return values if len(values) == len(declared) else None


# ------------------------------------------------------------------------------------------- writing


def key_of(operation: str) -> str:
    return re.sub(r"[ .:-]", "_", operation)


def rows(operation: str, found: list[Row]) -> dict[str, Any]:
    return {"status": 1, "code": 200, "message": "OK", "data": {key_of(operation): found}}


def failure(code: int, message: str) -> dict[str, Any]:
    return {"status": 0, "code": code, "message": message, "data": ""}


def written(response: dict[str, Any], format: str) -> bytes:
    """The body of an answer."""
    if format == "json":
        return _json({"response": response}, "").encode()
    if format == "api":
        return _serialized({"response": response}).encode()
    lines = ['<?xml version="1.0" encoding="utf-8"?>', *_xml("response", response, "")]
    return "\n".join(lines).encode()


def _json(value: Any, indent: str) -> str:
    """json_encode() with JSON_PRETTY_PRINT and JSON_FORCE_OBJECT."""
    if isinstance(value, str):  # PHP escapes the slash, and leaves the letter DEL
        return '"' + "\x7f".join(json.dumps(part)[1:-1] for part in value.split("\x7f")).replace("/", "\\/") + '"'
    if not isinstance(value, (dict, list)):
        return json.dumps(value)
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    deeper = indent + "    "
    lines = [f"{deeper}{_json(str(name), '')}: {_json(each, deeper)}" for name, each in pairs]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _serialized(value: Any) -> str:
    if value is None:
        return "N;"
    if isinstance(value, bool):
        return f"b:{value:d};"
    if isinstance(value, float):
        return f"d:{value!r};"
    if isinstance(value, int):
        return f"i:{value};"
    if isinstance(value, str):
        return f's:{len(value.encode())}:"{value}";'
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    body = "".join(_serialized(name) + _serialized(each) for name, each in pairs)
    return f"a:{len(value)}:{{{body}}}"


def _xml(name: str, value: Any, indent: str) -> list[str]:
    name = name.replace(" ", "_")
    if isinstance(value, list):
        return [line for each in value for line in _xml(name, each, indent)]
    if isinstance(value, dict):
        inner = [line for member, each in value.items() for line in _xml(member, each, indent + "  ")]
        return [f"{indent}<{name}>", *inner, f"{indent}</{name}>"]
    value = str(value).lower() if isinstance(value, bool) else value
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", "" if value is None else str(value))
    return [f"{indent}<{name}>{escape(text, {chr(13): '&#13;'})}</{name}>"]
