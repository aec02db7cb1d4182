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

from proxyservices import decoders
from proxyservices.address_change.samples import SampleCall
from proxyservices.decoders import xml
from proxyservices.decoders.charset import charset_of
from proxyservices.decoders.limits import MAX_BYTES, DecodeError
from proxyservices.forwarding.attempts import send_once
from proxyservices.forwarding.plan import Plan
from proxyservices.health import advice
from proxyservices.transport.endpoint import Endpoint
from proxyservices.transport.errors import UpstreamError
from registry.results import Fault

#: The most differences that a comparison lists.
MAX_SHOWN = 100
#: The most characters that are shown of a value, and of a body.
MAX_VALUE, MAX_TEXT = 200, 20_000
#: The headers on which callers rely.
HEADERS = (
    "Content-Type", "Content-Language", "Content-Disposition", "Content-Encoding", "Location", "Cache-Control", "Vary",
    "Link", "WWW-Authenticate",
)  # fmt: skip


@dataclass(slots=True)
class ObservedResponse:
    """The response of one address. ``failure`` is the sentence why there is none."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    value: Any = None
    text: str = ""
    size: int = 0
    milliseconds: int = 0
    failure: str = ""

    @property
    def shown(self) -> str:
        return self.text[:MAX_TEXT]


def observe(plan: Plan, endpoint: Endpoint, sample: SampleCall) -> ObservedResponse:
    """Send one sample to one endpoint. Raises nothing that an upstream or a sample can cause."""
    began = time.monotonic()
    try:
        response = send_once(plan, endpoint, sample.arguments, sample.fresh_request(), sample.method, uuid4().hex)
        try:
            body = response.read(MAX_BYTES)
        finally:
            response.close()
    except UpstreamError as error:
        return ObservedResponse(failure=f"{advice.phase_name(error.phase)}: {advice.advise(error.phase, error.reason)}")
    except Fault as fault:
        return ObservedResponse(failure=f"{fault.code}: {fault.message()}")
    observed = ObservedResponse(response.status, milliseconds=round((time.monotonic() - began) * 1000), size=len(body))
    for name in HEADERS:
        value = next((value for key, value in response.headers if key.lower() == name.lower()), None)
        if value is not None:
            observed.headers[name] = value
    observed.value, observed.text = parsed(observed.headers.get("Content-Type", ""), body)
    return observed


def parsed(media_type: str, body: bytes) -> tuple[Any, str]:
    """Return a body as a value to compare, and as text. JSON and XML become values, all else a list of lines."""
    kind = media_type.lower()
    text = decoders.readable_text(body, media_type)
    start = text.lstrip()[:1]
    if "json" in kind or (start in ("{", "[") and "xml" not in kind):
        try:
            value = orjson.loads(text)
        except ValueError:
            pass
        else:
            return value, json.dumps(value, ensure_ascii=False, indent=2)
    if "xml" in kind or start == "<":
        try:
            root = xml.parse(body, charset_of(media_type))
        except DecodeError:
            pass
        else:
            return {etree.QName(root).localname: _tree(root)}, text
    return text.splitlines(), text


def _tree(element: Any) -> Any:
    """Return an element as its text, or as its attributes, texts and children by name.

    Unlike decoders.xml.decode_xml, which returns what callers read, it keeps all in which two responses may differ.
    """
    children = [child for child in element if isinstance(child.tag, str)]
    if not children and not element.attrib:
        return (element.text or "").strip()
    found: dict[str, Any] = {f"@{etree.QName(name).localname}": value for name, value in element.attrib.items()}
    texts = [text.strip() for text in (element.text, *(child.tail for child in element)) if text and text.strip()]
    if texts:
        found["#text"] = texts[0] if len(texts) == 1 else texts
    for child in children:
        found.setdefault(etree.QName(child).localname, []).append(_tree(child))
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """One path at which two responses differ; None for a response that has nothing there."""

    path: str
    old: str | None
    new: str | None


def compare(old: ObservedResponse, new: ObservedResponse, ignored: Sequence[str]) -> tuple[list[Difference], int]:
    """Return at most MAX_SHOWN differences, and the number of ignored ones."""
    if old.failure or new.failure:
        # With equal failures on both sides too: no differences would look like success.
        return [Difference("", old.failure or str(old.status), new.failure or str(new.status))], 0
    listed: list[Difference] = []
    ignored_count = 0
    for difference in _response_differences(old, new):
        if any(_covers(pattern, difference.path) for pattern in ignored):
            ignored_count += 1
        elif len(listed) < MAX_SHOWN:
            listed.append(difference)
        else:
            break
    return listed, ignored_count


def _response_differences(old: ObservedResponse, new: ObservedResponse) -> Iterator[Difference]:
    if old.status != new.status:
        yield Difference("status", str(old.status), str(new.status))
    for name in HEADERS:
        before, after = old.headers.get(name), new.headers.get(name)
        if before != after:
            yield Difference(f"header:{name}", before, after)
    yield from differences(old.value, new.value)


#: Stands for a value that is not there.
_MISSING = object()


def differences(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """Return the differences of two values, each with its dotted path."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from differences(old.get(name, _MISSING), new.get(name, _MISSING), _below(path, str(name)))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _MISSING
            after = new[index] if index < len(new) else _MISSING
            yield from differences(before, after, _below(path, str(index)))
    elif type(old) is not type(new) or old != new:
        yield Difference(path or "body", _shown(old), _shown(new))


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str | None:
    if value is _MISSING:
        return None
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def _covers(pattern: str, path: str) -> bool:
    """Return True if a line of ``ignored_paths`` matches a path, or one above it."""
    parts = path.split(".")
    return any(fnmatchcase(".".join(parts[:count]), pattern) for count in range(1, len(parts) + 1))
