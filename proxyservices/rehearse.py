"""A new address tried out before the switch: the saved samples put to the old one and to it, side by side."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from django.db import transaction
from django.utils.translation import gettext as _
from lxml import etree

from proxyservices import check, documents
from proxyservices.client import Failed
from proxyservices.forward import trial
from proxyservices.models import AddressChange, ProxyOperation, Sample, Upstream
from proxyservices.models import Mapping as Placed
from proxyservices.plan import Address, Plan, address, of
from registry.calls import Passage
from registry.faults import Fault
from registry.models import Parameter, User
from registry.values import Reader, Unfit

#: Samples that one rehearsal asks, seconds that it may take, differences that one sample shows.
SAMPLES, SECONDS, SHOWN = 20, 60.0, 100
#: Of a value, and of a body, so many characters are shown.
LONG, WHOLE = 200, 20_000
#: The headers that callers go by.
HEADERS = (
    "Content-Type", "Content-Language", "Content-Disposition", "Content-Encoding", "Location", "Cache-Control", "Vary",
    "Link", "WWW-Authenticate",
)  # fmt: skip
_SAFE = frozenset({"GET", "HEAD"})


# --------------------------------------------------------------------------------------- questions


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sample asks, ready for the styles."""

    arguments: dict[str, Any]
    passage: dict[str, Any] | None
    method: str

    def request(self) -> Passage | None:
        """The request of an as-is operation. Its body can be read once, so that each address gets its own."""
        if self.passage is None:
            return None
        body = str(self.passage.get("body", "")).encode()
        tail = str(self.passage.get("path", ""))
        return Passage(
            tail=f"/{tail.lstrip('/')}" if tail else "",
            query=str(self.passage.get("query", "")),
            headers={str(name): str(value) for name, value in (self.passage.get("headers") or {}).items()},
            body=io.BytesIO(body),
            length=len(body),
        )


def read(operation: ProxyOperation, question: Mapping[str, Any]) -> Asked:
    """A sample's question with its values as the parameters have them. Raises Unfit."""
    if operation.style == ProxyOperation.Style.AS_IS:
        return Asked({}, dict(question), str(question.get("method", "GET")))
    arguments: dict[str, Any] = {}
    for parameter in operation.parameters.all():
        arguments[parameter.name] = _argument(parameter, str(question.get(parameter.name, "")))
    return Asked(arguments, None, operation.method if operation.style == ProxyOperation.Style.REST else "GET")


def _argument(parameter: Parameter, text: str) -> Any:
    text = text or parameter.default
    if not text:
        if parameter.required:
            raise Unfit(f"{parameter.name}: harus diisi", f"{parameter.name}: it must be given")
        return None
    try:
        return Reader.of(parameter)(text)
    except Unfit as unfit:
        raise Unfit(f"{parameter.name}: {unfit.id}", f"{parameter.name}: {unfit.en}") from None


def may_write(operation: ProxyOperation, samples: Sequence[Sample]) -> bool:
    """Whether asking could change something at the upstream, which a rehearsal would do twice."""
    if operation.style == ProxyOperation.Style.AS_IS:
        return any(json.loads(str(sample.question)).get("method", "GET") not in _SAFE for sample in samples)
    return operation.writes or operation.style in (
        ProxyOperation.Style.SOAP, ProxyOperation.Style.LEGACY_POST, ProxyOperation.Style.LEGACY_SOAP,
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
        return Answer(failure=f"{check.phase_name(failed.phase)}: {check.advise(failed.phase, failed.reason)}")
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
            documents.check_xml(body)
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


# ------------------------------------------------------------------------------------- the rehearsal


@dataclass(slots=True)
class Pair:
    """One sample, as the old and the new address answer it."""

    name: str
    old: Answer
    new: Answer
    differences: list[Difference]
    #: Differences in places that are not compared.
    ignored: int = 0
    #: Why the sample was not asked at all.
    unasked: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """Where an upstream is to go, and the secrets that the new place gets."""

    upstream: Upstream
    url: str
    #: "credential" → secret, and a secret mapping's id → its value. What is not named stays as it is.
    secrets: Mapping[str, str] = field(default_factory=dict)

    def moved(self) -> Upstream:
        """The row as it would be, not saved."""
        row = Upstream.objects.get(pk=self.upstream.pk)
        row.url = self.url
        row.credential = self.secrets.get("credential", row.credential)
        return row

    def mappings(self) -> list[Placed]:
        rows = list(self.upstream.operation.mappings.all())
        for row in rows:
            row.value = self.secrets.get(str(row.pk), row.value)
        return rows


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what tells one server from another. Raises ValueError."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or usual


def same_place(one: str, other: str) -> bool:
    """Whether two addresses lie on one server, so that a secret which one has may go to the other."""
    try:
        return origin(one) == origin(other)
    except ValueError:
        return False


def needed(upstream: Upstream, url: str) -> dict[str, str]:
    """The secrets that must be given anew before anything is sent to ``url``, each with its name for people.

    Whoever may change an operation may not know its secrets, and could have them sent to a server of theirs.
    """
    if same_place(upstream.url, url):
        return {}
    found = {}
    if upstream.credential and upstream.credential_kind != Upstream.Credential.NONE:
        found["credential"] = upstream.get_credential_kind_display()
    for mapping in upstream.operation.mappings.all():
        if mapping.secret and mapping.value:
            found[str(mapping.pk)] = str(mapping)
    return found


def rehearse(move: Move) -> list[Pair]:
    """Put the operation's samples to both addresses. Raises ValueError with a word where one cannot be asked."""
    operation = move.upstream.operation
    old_plan, new_plan = of(operation), of(operation, move.mappings())
    old, new = address(move.upstream), address(move.moved())
    ignored = [line.strip() for line in operation.ignored.splitlines() if line.strip()]
    began, pairs = time.monotonic(), []
    for sample in operation.samples.all()[:SAMPLES]:
        if time.monotonic() - began > SECONDS:
            pairs.append(_unasked(sample, _("The rehearsal has taken long enough.")))
            continue
        try:
            asked = read(operation, json.loads(str(sample.question)))
        except Unfit as unfit:
            pairs.append(_unasked(sample, unfit.id))
            continue
        before, after = ask(old_plan, old, asked), ask(new_plan, new, asked)
        found, left = compare(before, after, ignored)
        pairs.append(Pair(sample.name, before, after, found, left))
    return pairs


def _unasked(sample: Sample, why: str) -> Pair:
    return Pair(sample.name, Answer(), Answer(), [], unasked=why)


# -------------------------------------------------------------------------------------- the history


def record(move: Move, kind: str, user: User, old_url: str, secrets: Mapping[str, str], **more: Any) -> AddressChange:
    """Write a move down. ``secrets``: those that whoever goes on, or back, from here will need."""
    return AddressChange.objects.create(
        upstream=move.upstream,
        operation=str(move.upstream.operation),
        operation_ref=move.upstream.operation_id,
        old_url=old_url,
        new_url=move.url,
        kind=kind,
        secrets=json.dumps(dict(secrets)) if secrets else "",
        user=user.get_username(),
        **more,
    )


def rehearsed(move: Move, pairs: Sequence[Pair], user: User) -> AddressChange:
    """Write a rehearsal down, with what the switch will need."""
    asked = [pair for pair in pairs if not pair.unasked]
    return record(
        move, "rehearse", user, move.upstream.url, move.secrets,
        samples=len(asked), differences=sum(bool(pair.differences) for pair in asked),
    )  # fmt: skip


def secrets_of(change: AddressChange) -> dict[str, str]:
    found: dict[str, str] = json.loads(str(change.secrets)) if change.secrets else {}
    return found


@transaction.atomic
def switch(move: Move, user: User, kind: str = "switch") -> AddressChange:
    """Let the upstream be at the new address from now on, and keep what leads back."""
    row, old_url = move.upstream, move.upstream.url
    before: dict[str, str] = {}
    if "credential" in move.secrets:
        before["credential"] = str(row.credential or "")
        row.credential = move.secrets["credential"]
    for mapping in row.operation.mappings.all():
        if str(mapping.pk) in move.secrets:
            before[str(mapping.pk)] = str(mapping.value or "")
            mapping.value = move.secrets[str(mapping.pk)]
            mapping.save()
    row.url = move.url
    row.save()
    row.operation.save()  # which raises its revision
    # What rehearsals of this upstream kept for a switch has had its use.
    AddressChange.objects.filter(upstream=row, kind="rehearse").update(secrets="")
    return record(move, kind, user, old_url, before)


def way_back(upstream: Upstream) -> AddressChange | None:
    """The change that "back" would undo: the last one, if the upstream is still where it led."""
    last = AddressChange.objects.filter(upstream=upstream, kind__in=("switch", "back")).first()
    return last if last is not None and last.new_url == upstream.url else None


def back(change: AddressChange, user: User) -> AddressChange:
    """Undo a change: the address and the secrets that stood before it."""
    assert change.upstream is not None
    return switch(Move(change.upstream, change.old_url, secrets_of(change)), user, kind="back")
