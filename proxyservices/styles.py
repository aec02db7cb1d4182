"""How each style makes the question for the upstream out of a call.

A recipe is made once, when the operation is prepared, and asked at each call. It knows nothing of addresses:
what it makes can be put to any of them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as day_time
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import quote, quote_plus, unquote

import orjson
from django.conf import settings

from proxyservices import patience
from proxyservices.models import Mapping, ProxyOperation, header_names
from registry import faults
from registry.calls import Passage
from registry.faults import Fault

READS = ("GET", "HEAD", "POST")
WRITES = ("POST",)
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))

#: What never goes on because it is about one connection, or because the bus itself says it.
OWN = frozenset((
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "host", "content-length", "expect", "via", "forwarded", "mantra-hops", "x-real-ip",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-request-id", "traceparent",
    "tracestate",
))  # fmt: skip
#: What goes on only where the operation says so.
CREDENTIALS = ("AccessKey", "Authorization", "Cookie")
_CREDENTIALS = frozenset(name.lower() for name in CREDENTIALS)
#: A question under one of these is about what the caller holds already, or about a part.
CONDITIONS = frozenset(
    ("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range")
)  # fmt: skip

_TOKEN = re.compile(r"\{([^{}]*)\}")
_END = re.compile(r"[;\x00-\x1f\x7f]")
#: A cookie of the bus's own, also behind the comma of two headers that a server made one.
_OWN_COOKIE = re.compile(
    rf"(?:^|,)\s*(?:{re.escape(settings.SESSION_COOKIE_NAME)}|{re.escape(settings.CSRF_COOKIE_NAME)})\s*(?:=|$)", re.I
)
_ADDRESS = re.compile(r"[!-\"$-~]*\Z")
_HEADER_VALUE = re.compile(r"[\t -~]*\Z")
_MEDIA_TYPES = {
    "json": "application/json", "xml": "application/xml", "csv": "text/csv", "ndjson": "application/x-ndjson",
    "php": "application/vnd.php.serialized", "phpa": "application/x-php-array",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "legacy_xml": "application/xml",
}  # fmt: skip


class Upload:
    """A caller's body on its way to the upstream: counted, bounded, read once."""

    __slots__ = ("_cut", "_deadline", "_left", "_limit", "_patience", "_stream", "begun")

    def __init__(self, passage: Passage, limit: int, deadline: float) -> None:
        length = passage.length
        if length is not None and length > limit:
            raise Fault(faults.BODY_TOO_LARGE, limit=limit)
        self._stream = passage.body
        self._left = length
        self._cut = passage.cut
        self._patience: int | None = None
        self._limit = limit
        self._deadline = deadline
        self.begun = False

    def read(self, size: int = 65536) -> bytes:
        """At most ``size`` bytes, b"" at the end. Raises Fault where the caller breaks off or sends too much."""
        if not self.begun:
            self.begun = True
            if self._cut is not None:
                self._patience = patience.begin(self._deadline, self._cut)
        if self._left == 0:
            return b""
        if time.monotonic() > self._deadline:
            raise Fault(faults.BODY_INVALID, why_id="terlalu lambat", why_en="it came too slowly")
        try:
            chunk: bytes = self._stream.read(size if self._left is None else min(size, self._left))
        except OSError:
            raise _broken() from None
        if self._left is not None:
            self._left -= len(chunk)
            if not chunk:
                raise _broken()
        else:
            self._limit -= len(chunk)
            if self._limit < 0:
                raise Fault(faults.BODY_TOO_LARGE, limit=self._limit + len(chunk))
        return chunk

    def done(self) -> None:
        """Nothing more of it is wanted."""
        if self._patience is not None:
            patience.end(self._patience)


def _broken() -> Fault:
    return Fault(faults.BODY_INVALID, why_id="sambungan terputus", why_en="the connection broke")


@dataclass(slots=True)
class Task:
    """What a recipe makes a question of."""

    arguments: dict[str, Any] = field(repr=False)
    #: The request as it came, for operations that hand it on; None where the face has none to hand on.
    passage: Passage | None
    method: str
    request_id: str
    #: Monotonic seconds at which the whole call must be over.
    deadline: float
    size_cap: int
    format: str = "json"
    #: The caller's address and key: the one is told to the upstream, the other must not be.
    address: str = ""
    secret: str = field(default="", repr=False)
    hops: int = 0


@dataclass(slots=True)
class Asked:
    """A question, whichever address it goes to. ``path`` is what follows the address, encoded, with its query."""

    method: str
    path: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes | Upload | None = field(default=None, repr=False)
    #: Of the body; None where its end alone will tell.
    length: int | None = 0

    @property
    def again(self) -> bool:
        """Whether it can be put once more."""
        return not (isinstance(self.body, Upload) and self.body.begun)


class Recipe(Protocol):
    """What an operation's style comes to."""

    @property
    def methods(self) -> tuple[str, ...]:
        """With which callers may call."""
        ...

    @property
    def passes(self) -> bool: ...

    @property
    def legacy(self) -> bool:
        """Whether answers go by the rules of MANTRA 1.99x."""
        ...

    def make(self, task: Task) -> Asked: ...


# ------------------------------------------------------------------------------------------ values


def not_convertible(why_id: str, why_en: str) -> Fault:
    return Fault(faults.NOT_CONVERTIBLE, why_id=why_id, why_en=why_en)


def text_of(value: Any) -> str:
    """A parameter's value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | day_time | datetime):
        return value.isoformat()
    return str(value)


def legacy_text(value: Any) -> str:
    """A parameter's value as 1.99x wrote it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def climbs(path: str) -> bool:
    """Whether a path has a segment that some server reads as "here" or "one up", however it is disguised."""
    if "." not in path and "%" not in path:
        return False
    for _layer in range(4):
        for segment in re.split(r"[/\\]", path):
            # Some servers take what stands before a control letter for the whole.
            if _END.split(segment, 1)[0].strip() in (".", ".."):
                return True
        inner = unquote(path)
        if inner == path:
            return False
        path = inner
    return True


def segment(value: str, name: str) -> str:
    """A value as one segment of a path. Raises Fault for one that would leave it."""
    if not value:
        raise not_convertible(f"parameter {name} tidak boleh kosong", f"the parameter {name} must not be empty")
    if climbs(value):
        raise not_convertible(f"parameter {name} berisi titik saja", f"the parameter {name} would lead elsewhere")
    return quote(value, safe="")


def header_value(value: str, name: str) -> str:
    if not _HEADER_VALUE.match(value):
        raise not_convertible(
            f"parameter {name} hanya boleh berisi huruf ASCII", f"the parameter {name} may hold ASCII letters only"
        )
    return value


def pairs_text(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def joined(path: str, query: str) -> str:
    """A path with a query behind what it may have already."""
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"


def below(path: str) -> str:
    """What stands below an address: "" or /…, with nothing in it that a request line cannot hold."""
    path = quote(path.strip(), safe="/:@!$&'()*+,;=~-._?%{}")
    return "/" + path.lstrip("/") if path else ""


# ------------------------------------------------------------------------------------------- as-is


class AsIs:
    """Hands requests on as they come; on a face that has none, asks with the declared parameters."""

    passes = True
    legacy = False

    def __init__(self, operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> None:
        self.methods = tuple(header_names(operation.methods))
        self._path = below(operation.path).rstrip("/")
        listed = [name for name in header_names(operation.request_headers) if name.lower() not in OWN]
        names = [name for name in listed if name.lower() not in _CREDENTIALS]
        if operation.pass_credentials:
            names += CREDENTIALS
        #: The names to go on, and as a passage has them.
        self._names = [(name, name.lower(), name.title()) for name in names]
        self._agent = any(name.lower() == "user-agent" for name in names)
        self._credentials = operation.pass_credentials
        self._otherwise = Rest(operation, mappings, parameters)

    def make(self, task: Task) -> Asked:
        passage = task.passage
        if passage is None:
            return self._otherwise.make(task)
        path = self._address(passage, "" if self._credentials else task.secret)
        asked = Asked(task.method, path, self._headers(passage, task.secret))
        if passage.length != 0:
            asked.body = Upload(passage, task.size_cap, task.deadline)
            asked.length = passage.length
        elif task.method not in SAFE and task.method != "DELETE":
            asked.body = b""
        return asked

    def _address(self, passage: Passage, secret: str) -> str:
        tail, query = passage.tail, passage.query
        if not _ADDRESS.match(tail) or not _ADDRESS.match(query) or "?" in tail or climbs(tail):
            raise Fault(faults.ADDRESS_INVALID)
        if secret and (secret in unquote(tail) or secret in unquote(query)):
            raise not_convertible(
                "kunci akses tidak boleh ditulis di alamat", "the access key may not stand in the address"
            )
        path, mark, constant = self._path.partition("?")
        return joined(path + tail + mark + constant, query)

    def _headers(self, passage: Passage, secret: str) -> list[tuple[str, str]]:
        there = passage.headers
        named = there.get("Connection", "").lower()
        dropped = {name.strip() for name in named.split(",")} if named else ()
        found = [] if self._agent and "User-Agent" in there else [("User-Agent", "MANTRA")]
        for name, lower, title in self._names:
            value = there.get(title)
            if value is None or lower in dropped:
                continue
            if secret and not self._credentials and secret in value:
                continue
            if lower == "cookie" and not (value := _others(value)):
                continue
            found.append((name, value))
        return found


def _others(cookies: str) -> str:
    """The cookies but the bus's own: a browser that is signed in here would hand its session to an upstream."""
    pairs = (pair.strip() for pair in cookies.split(";"))
    return "; ".join(pair for pair in pairs if pair and not _OWN_COOKIE.search(pair))


# -------------------------------------------------------------------------------------------- rest


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from: a parameter, or fixed."""

    name: str
    parameter: str
    value: str = field(default="", repr=False)

    def of(self, arguments: dict[str, Any]) -> Any:
        """The value; None where an optional parameter was not given."""
        return arguments.get(self.parameter) if self.parameter else self.value


class Rest:
    """Declared parameters become path, query, header, form or JSON body; constants and secrets are added."""

    passes = False
    legacy = False

    def __init__(self, operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> None:
        #: As-is operations on a face without a passage ask with the caller's own method.
        self._method = operation.method if operation.style == ProxyOperation.Style.REST else ""
        self.methods = READS if self._method in ("", "GET") else WRITES
        declared = {name.lower(): name for name in parameters}
        places = self._places(mappings, declared)
        self._pieces = self._template(below(operation.path), places.pop("path", []), declared)
        taken = {each.parameter for _, each in self._pieces if each is not None}
        taken |= {declared[mapping.parameter.lower()] for mapping in mappings if mapping.parameter}
        body = "json" if "json" in places else "form"
        rest = places.setdefault(body if self._method in ("POST", "PUT", "PATCH") else "query", [])
        rest += [Source(name, name) for name in parameters if name not in taken]
        self._query, self._form = places.get("query", []), places.get("form", [])
        self._headers, self._json = places.get("header", []), places.get("json", [])
        if self._form and self._json:
            raise ValueError("form and JSON")
        if any(each.name.lower() in OWN for each in self._headers):
            raise ValueError("header")
        self._fixed = [("User-Agent", "MANTRA")]

    @staticmethod
    def _places(mappings: Sequence[Mapping], declared: dict[str, str]) -> dict[str, list[Source]]:
        places: dict[str, list[Source]] = {}
        for mapping in mappings:
            parameter = declared.get(mapping.parameter.lower(), "") if mapping.parameter else ""
            if mapping.parameter and not parameter:
                raise ValueError("parameter")
            places.setdefault(mapping.place, []).append(Source(mapping.name, parameter, str(mapping.value or "")))
        return places

    @staticmethod
    def _template(path: str, mapped: list[Source], declared: dict[str, str]) -> list[tuple[str, Source | None]]:
        """The path as fixed text, each piece followed by a value (None after the last)."""
        by_name = {each.name.strip("{}").lower(): each for each in mapped}
        pieces: list[tuple[str, Source | None]] = []
        end = 0
        for found in _TOKEN.finditer(path):
            name = found[1].lower()
            source = by_name.pop(name, None) or (Source(found[1], declared[name]) if name in declared else None)
            if source is None:
                raise ValueError("path")
            pieces.append((path[end : found.start()], source))
            end = found.end()
        if by_name:
            raise ValueError("path")
        return [*pieces, (path[end:], None)]

    def make(self, task: Task) -> Asked:
        given = task.arguments
        path = "".join(
            fixed if source is None else fixed + segment(_text(source.of(given)), source.name)
            for fixed, source in self._pieces
        )
        headers = [*self._fixed, ("Accept", accept(task.format))]
        headers += [
            (each.name, header_value(text_of(value), each.name))
            for each in self._headers
            if (value := each.of(given)) is not None
        ]
        # The bus's HEAD is a GET there: what stands above an answer may come of its body.
        method = self._method or ("GET" if task.method == "HEAD" else task.method)
        asked = Asked(method, joined(path, pairs_text(texts(self._query, given))), headers)
        if self._json:
            asked.body = orjson.dumps(nested(self._json, given), default=_exact)
            headers.append(("Content-Type", "application/json"))
        elif self._form or method in ("POST", "PUT", "PATCH"):
            asked.body = pairs_text(texts(self._form, given)).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        asked.length = len(asked.body) if isinstance(asked.body, bytes) else 0
        return asked


def _text(value: Any) -> str:
    return "" if value is None else text_of(value)


def texts(sources: Sequence[Source], given: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.name, text_of(value)) for each in sources if (value := each.of(given)) is not None]


def nested(sources: Sequence[Source], given: dict[str, Any]) -> dict[str, Any]:
    """A JSON object of the values, a dot in a name going one level down. Raises Fault where two names collide."""
    document: dict[str, Any] = {}
    for each in sources:
        value = each.of(given)
        if value is None:
            continue
        *outer, last = each.name.split(".")
        place = document
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise not_convertible(f"{each.name} berbenturan", f"{each.name} collides with another name")
        place[last] = value
    return document


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError


def accept(format: str) -> str:
    """What is asked of an upstream: best the caller's own format, which then need not be converted."""
    best = _MEDIA_TYPES.get(format, "application/json")
    others = [each for each in ("application/json", "application/xml") if each != best]
    return ", ".join([best, *(f"{each};q=0.{8 - place}" for place, each in enumerate(others)), "*/*;q=0.1"])


# ------------------------------------------------------------------------------------------ legacy


class Legacy:
    """The caller styles of MANTRA 1.99x, as its stock client writes them."""

    passes = False
    legacy = True
    methods = READS

    def __init__(self, operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> None:
        self._style = str(operation.style).removeprefix("legacy-")
        self._path = below(operation.path).rstrip("/")
        declared = {name.lower(): name for name in parameters}
        #: In the order of the mappings; what has none follows in the declared order.
        self._sources: list[Source] = []
        for mapping in mappings:
            parameter = declared.pop(mapping.parameter.lower(), "") if mapping.parameter else ""
            if mapping.parameter and not parameter:
                raise ValueError("parameter")
            self._sources.append(Source(mapping.name, parameter, str(mapping.value or "")))
        self._sources += [Source(name, name) for name in declared.values()]
        self._headers = [("User-Agent", "MANTRA")]

    def make(self, task: Task) -> Asked:
        values = [(each.name, each.of(task.arguments)) for each in self._sources]
        given = [(name, legacy_text(value)) for name, value in values if value is not None]
        headers = list(self._headers)
        if self._style == "get":
            return Asked("GET", joined(self._path, pairs_text(given)), headers)
        if self._style == "post":
            body = pairs_text(given).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
            return Asked("POST", self._path, headers, body, len(body))
        return Asked("GET", self._path + self._tail(values, given), headers)

    def _tail(self, values: list[tuple[str, Any]], given: list[tuple[str, str]]) -> str:
        """The parameters in the path, every value encoded twice: the other side decodes twice."""
        if not given:
            return ""
        if self._style == "rest":
            return "/" + "&".join(f"{twice(name)}={twice(value)}" for name, value in given)
        if self._style == "restfull":
            # Values only: one left out would make each that follows another parameter's.
            for name, value in values[: len(given)]:
                if value is None:
                    raise not_convertible(f"parameter {name} wajib diisi", f"the parameter {name} must be given")
            return "".join("/" + in_path(value, name) for name, value in given)
        return "".join(f"/{twice(name)}/{in_path(value, name)}" for name, value in given)


def twice(text: str) -> str:
    return quote_plus(quote_plus(text))


def in_path(value: str, name: str) -> str:
    segment(value, name)  # refuses what a path cannot hold
    return twice(value)


RECIPES: dict[str, Callable[[ProxyOperation, Sequence[Mapping], Sequence[str]], Recipe]] = {
    "as-is": AsIs,
    "rest": Rest,
    **{f"legacy-{style}": Legacy for style in ("rest", "restfull", "restfullpar", "get", "post")},
}
