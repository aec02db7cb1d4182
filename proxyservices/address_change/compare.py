"""Sends one sample to two addresses and compares the responses by structure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from uuid import uuid4

import orjson
from lxml import etree

from proxyservices.address_change.samples import Asked
from proxyservices.decoders import xml
from proxyservices.forwarding.attempts import trial
from proxyservices.forwarding.plan import Plan
from proxyservices.health import advice
from proxyservices.transport.endpoint import Address
from proxyservices.transport.errors import Failed
from registry.results import Fault

SHOWN = 100
#: Of a value, and of a body, so many characters are shown.
LONG, WHOLE = 200, 20_000
#: The headers that callers go by.
HEADERS = (
    "Content-Type", "Content-Language", "Content-Disposition", "Content-Encoding", "Location", "Cache-Control", "Vary",
    "Link", "WWW-Authenticate",
)  # fmt: skip


# ----------------------------------------------------------------------------------------- answers


@dataclass(slots=True)
class Answer:
    """What one address said. ``failure`` says in words why it said nothing."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    value: Any = None
    text: str = ""
    size: int = 0
    milliseconds: int = 0
    failure: str = ""

    @property
    def shown(self) -> str:
        return self.text[:WHOLE]


def ask(plan: Plan, made: Address, asked: Asked) -> Answer:
    """One sample put to one address. Raises nothing that an upstream or a sample can cause."""
    began = time.monotonic()
    try:
        reply = trial(plan, made, asked.arguments, asked.request(), asked.method, uuid4().hex)
        try:
            body = reply.read()
        finally:
            reply.close()
    except Failed as failed:
        return Answer(failure=f"{advice.phase_name(failed.phase)}: {advice.advise(failed.phase, failed.reason)}")
    except Fault as fault:
        return Answer(failure=f"{fault.code}: {fault.message()}")
    answer = Answer(reply.status, milliseconds=round((time.monotonic() - began) * 1000), size=len(body))
    for name in HEADERS:
        value = next((value for key, value in reply.headers if key.lower() == name.lower()), None)
        if value is not None:
            answer.headers[name] = value
    answer.value, answer.text = parsed(answer.headers.get("Content-Type", ""), body)
    return answer


def parsed(media_type: str, body: bytes) -> tuple[Any, str]:
    """A body as something to compare, and as text: JSON and XML by their structure, all else by its lines."""
    kind = media_type.lower()
    text = body.decode("utf-8", "replace")
    start = text.lstrip("\ufeff \r\n\t")[:1]
    if "json" in kind or (start in ("{", "[") and "xml" not in kind):
        try:
            value = orjson.loads(body)
        except ValueError:
            pass
        else:
            return value, json.dumps(value, ensure_ascii=False, indent=2)
    if "xml" in kind or start == "<":
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            xml.check_xml(body)
            root = etree.fromstring(body, parser)
        except (etree.XMLSyntaxError, ValueError):
            pass
        else:
            return {etree.QName(root).localname: _tree(root)}, text
    return text.splitlines(), text


def _tree(element: Any) -> Any:
    """An element as its text, or as its attributes and children by name."""
    children = [child for child in element if isinstance(child.tag, str)]
    if not children and not element.attrib:
        return (element.text or "").strip()
    found: dict[str, Any] = {f"@{etree.QName(name).localname}": value for name, value in element.attrib.items()}
    if (element.text or "").strip():
        found["#text"] = element.text.strip()
    for child in children:
        found.setdefault(etree.QName(child).localname, []).append(_tree(child))
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in found.items()}


# -------------------------------------------------------------------------------------- comparing


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two answers differ; None stands for nothing there."""

    path: str
    old: str | None
    new: str | None


def compare(old: Answer, new: Answer, ignored: Sequence[str]) -> tuple[list[Difference], int]:
    """The differences that count, at most SHOWN, and how many were left out as not compared."""
    if old.failure or new.failure:
        # One word for both sides would hide that neither could be asked.
        return [Difference("", old.failure or str(old.status), new.failure or str(new.status))], 0
    found: list[Difference] = []
    left = 0
    for each in _answers(old, new):
        if any(_covers(pattern, each.path) for pattern in ignored):
            left += 1
        elif len(found) < SHOWN:
            found.append(each)
        else:
            break
    return found, left


def _answers(old: Answer, new: Answer) -> Iterator[Difference]:
    if old.status != new.status:
        yield Difference("status", str(old.status), str(new.status))
    for name in HEADERS:
        before, after = old.headers.get(name), new.headers.get(name)
        if before != after:
            yield Difference(f"header:{name}", before, after)
    yield from differences(old.value, new.value)


_NOTHING = object()


def differences(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """Where two values differ, by the dotted path of each place."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from differences(old.get(name, _NOTHING), new.get(name, _NOTHING), _below(path, str(name)))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _NOTHING
            after = new[index] if index < len(new) else _NOTHING
            yield from differences(before, after, _below(path, str(index)))
    elif type(old) is not type(new) or old != new:
        yield Difference(path or "body", _shown(old), _shown(new))


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str | None:
    if value is _NOTHING:
        return None
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONG else text[:LONG] + "…"


def _covers(pattern: str, path: str) -> bool:
    """Whether a line of ``ignored`` means a place, or something above it."""
    parts = path.split(".")
    return any(fnmatchcase(".".join(parts[:count]), pattern) for count in range(1, len(parts) + 1))
