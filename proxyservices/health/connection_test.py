"""Whether an upstream can be reached, and if not, in which phase it failed and what its keeper can do about it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson
from django.utils.translation import gettext
from lxml import etree

from proxyservices.endpoints import address
from proxyservices.health import probe
from proxyservices.health.advice import FAILING, MOVED, STATUS_ADVICE, advise, phase_name
from proxyservices.models import Upstream
from proxyservices.transport import client
from proxyservices.transport.errors import Failed

#: How long a test may take at most, in seconds, whatever the operation allows, and how much of an answer it takes.
SECONDS, SIZE = 15.0, 10_000_000


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How a test went. ``phase`` is where it failed, "" where an answer came whole."""

    fine: bool
    phase: str
    text: str


def diagnose(upstream: Upstream) -> Diagnosis:
    """Ask an upstream as its probe does, or for its bare address, and look at what comes."""
    began = time.monotonic()
    try:
        status, size = _ask(upstream, began)
    except ValueError as error:
        return _failed("address", str(error))
    except Failed as failure:
        return _failed(failure.phase, failure.reason)
    words = {"status": status, "milliseconds": round((time.monotonic() - began) * 1000), "size": size}
    text = gettext("Answered in %(milliseconds)d ms with status %(status)d and %(size)d bytes.") % words
    advice = STATUS_ADVICE.get(status) or (FAILING if status >= 500 else MOVED if 300 <= status < 400 else "")
    fine = status < 300 or status in (304, 404, 405)
    return Diagnosis(fine, "", f"{text} {advice}".strip())


def _failed(phase: str, reason: str) -> Diagnosis:
    text = gettext("It failed in the phase “%(phase)s”. %(advice)s")
    return Diagnosis(False, phase, text % {"phase": phase_name(phase), "advice": advise(phase, reason)})


def _ask(upstream: Upstream, began: float) -> tuple[int, int]:
    """The answer's status and size. Raises Failed, or ValueError with a word."""
    made = address(upstream)
    operation = upstream.operation
    total = min(SECONDS, operation.time_cap_ms / 1000)
    limits = client.Limits(
        min(total, operation.connect_cap_ms / 1000), min(total, operation.read_cap_ms / 1000), total,
        min(SIZE, operation.size_cap),
    )  # fmt: skip
    headers = made.credential.headers(began + total)
    if not any(name.lower() == "user-agent" for name, _value in headers):
        headers = [*headers, ("User-Agent", "MANTRA")]
    path = probe.path_of(made.target, upstream.probe_path)
    reply = client.ask(
        made.target, client.Question(upstream.probe_method, path, headers, None, 0), limits, began + total
    )
    try:
        body = reply.read()
    finally:
        reply.close()
    if 200 <= reply.status < 300 and body and not reply.header("Content-Encoding"):
        _parse(reply.header("Content-Type"), body)
    return reply.status, len(body)


def _parse(media_type: str, body: bytes) -> None:
    """Raises Failed where an answer is not what it says it is."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        try:
            orjson.loads(body)
        except ValueError:
            raise Failed("parse", "json", sent=True) from None
    elif kind.endswith(("/xml", "+xml")) and "html" not in kind:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            doctype = etree.fromstring(body, parser).getroottree().docinfo.doctype
        except (etree.XMLSyntaxError, ValueError):
            raise Failed("parse", "xml", sent=True) from None
        if doctype:
            raise Failed("parse", "xml", sent=True)
