"""Which keys a bundle has, what each may hold, and which column of the book it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from mantra.definitions.reading import Scalar, Surroundings, Unreadable, by_reference, escaped, is_null, native
from registry.models import names


class Key:
    """One key of a mapping: text, unless a subclass says otherwise. Its name is the model's too."""

    secret = False

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, value: Any, around: Surroundings) -> Any:
        """The model's value. Raises Unreadable."""
        if is_null(value):
            return ""
        if not isinstance(value, str):
            raise Unreadable(_("Write a text."))
        return str(value)

    def write(self, stored: Any) -> Any:
        """The value as a bundle has it. Browsers send lines that end in CR LF; a file has LF."""
        return stored.replace("\r\n", "\n") if isinstance(stored, str) else stored

    def same(self, old: Any, new: Any) -> bool:
        return bool(self.write(old) == self.write(new))


class Expanded(Key):
    """Text with ${NAME} from the environment."""

    def read(self, value: Any, around: Surroundings) -> Any:
        return around.expand(super().read(value, around))

    def write(self, stored: Any) -> Any:
        return escaped(stored)


class Number(Key):
    def read(self, value: Any, around: Surroundings) -> Any:
        if is_null(value):
            return None
        text = self.text(value, around) if isinstance(value, str) else ""
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 16):
            raise Unreadable(_("Write a whole number."))
        return int(text)

    def text(self, value: str, around: Surroundings) -> str:
        return value


class Port(Number):
    """A number that may come from the environment."""

    def text(self, value: str, around: Surroundings) -> str:
        return around.expand(value)


class Truth(Key):
    def read(self, value: Any, around: Surroundings) -> Any:
        if not isinstance(value, Scalar) or not isinstance(value.value, bool):
            raise Unreadable(_("Write true or false."))
        return value.value


class Day(Key):
    def read(self, value: Any, around: Surroundings) -> Any:
        if is_null(value):
            return None
        try:
            day = parse_date(value) if isinstance(value, str) else None
        except ValueError:
            day = None
        if day is None:
            raise Unreadable(_("Write a date like 2026-01-31."))
        return day

    def write(self, stored: date | None) -> Any:
        return stored


class Words(Key):
    """A list that the model keeps as text, one on a line. In the file it may be text as well."""

    parts: Callable[[str], list[str]] = staticmethod(names)

    def read(self, value: Any, around: Surroundings) -> Any:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return "\n".join(value)
        if is_null(value) or isinstance(value, str):
            return "\n".join(self.parts(super().read(value, around)))
        raise Unreadable(_("Write a list of texts."))

    def write(self, stored: str) -> Any:
        return self.parts(stored)


class Lines(Words):
    """The same for items that may hold spaces."""

    parts = staticmethod(lambda text: [line.strip() for line in text.splitlines() if line.strip()])


class Names(Words):
    """A list that the model keeps on one line, parted by commas."""

    def read(self, value: Any, around: Surroundings) -> Any:
        return ", ".join(self.parts(super().read(value, around)))

    def write(self, stored: str) -> Any:
        return ", ".join(self.parts(stored))


class Mapped(Key):
    """A mapping whose keys are not ours."""

    def read(self, value: Any, around: Surroundings) -> Any:
        if is_null(value):
            return {}
        if not isinstance(value, dict):
            raise Unreadable(_("Write a mapping, as in {sslmode: require}."))
        return native(value)


class Hidden(Key):
    """A secret: env:NAME, file:PATH or ${NAME}, and where ``literal`` allows it the secret itself."""

    secret = True

    def __init__(self, name: str, literal: bool = False) -> None:
        super().__init__(name)
        self.literal = literal

    def read(self, value: Any, around: Surroundings) -> Any:
        text = super().read(value, around)
        if text and not self.literal and not by_reference(text):
            raise Unreadable(_("A secret does not belong into the file: write env:NAME or file:PATH."))
        return around.secret(text)

    def same(self, old: Any, new: Any) -> bool:
        return str(old or "") == str(new or "")


class Constant(Hidden):
    """A fixed value: plain text with ${NAME}, or a secret where the key beside it says so."""

    def read(self, value: Any, around: Surroundings) -> Any:
        return Key.read(self, value, around)

    def settle(self, values: dict[str, Any], around: Surroundings) -> None:
        """Read the text of a whole row. A constant that is not given is none; a secret is kept. Raises Unreadable."""
        if not values.get("secret"):
            values[self.name] = around.expand(values.get(self.name, ""))
        elif self.name in values:
            values[self.name] = Hidden.read(self, values[self.name], around)


class Document(Key):
    """A text of its own: as it stands, or file:PATH."""

    def read(self, value: Any, around: Surroundings) -> Any:
        text = super().read(value, around)
        return around.secret(text) if text.startswith("file:") else text.strip()


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of thing: how messages call it, and its keys. ``inside`` are keys with a handling of their own."""

    noun: str
    keys: tuple[Key, ...]
    inside: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [*(key.name for key in self.keys), *self.inside]


def _keys(*items: Key | str) -> tuple[Key, ...]:
    return tuple(Key(item) if isinstance(item, str) else item for item in items)


TOP = ("agencies", "sources", "services", "applications")

AGENCY = Shape("agency", _keys("name", "email", "website"), ("code", "parent"))
SOURCE = Shape(
    "source",
    _keys(
        "engine", Expanded("host"), Port("port"), Expanded("database"), "user", Hidden("password"),
        Hidden("wallet_password"), Mapped("options"), Number("pool_size"),
    ),
    ("agency", "code"),
)  # fmt: skip
SERVICE = Shape(
    "service",
    _keys("title", "description", "tags", "classification", "contact"),
    ("agency", "code", "operations"),
)
_COMMON = _keys("title", "description", "access", "state", Day("sunset"), Number("cache_seconds"))
_PARTS = ("code", "kind", "parameters", "fields")
OPERATIONS: Mapping[str, Shape] = {
    "data": Shape(
        "data operation",
        (*_COMMON, *_keys("sql", Truth("writes"), Number("row_cap"), Number("time_cap_ms"), Number("page_size"))),
        (*_PARTS, "source"),
    ),
    "proxy": Shape(
        "proxy operation",
        (
            *_COMMON,
            *_keys(
                "style",
                "method",
                Names("methods"),
                "path",
                Names("request_headers"),
                Names("response_headers"),
                Truth("pass_credentials"),
                Number("time_cap_ms"),
                Number("connect_cap_ms"),
                Number("read_cap_ms"),
                Number("size_cap"),
                Number("concurrency"),
                Number("retries"),
                Number("stale_seconds"),
                Lines("ignored"),
            ),
        ),
        (*_PARTS, "upstreams", "mappings", "contracts"),
    ),
}
PARAMETER = Shape(
    "parameter",
    _keys(
        "name", "type", Truth("required"), "default", "pattern", "min", "max", Lines("choices"), Truth("subject"),
        "description",
    ),
)  # fmt: skip
FIELD = Shape("field", _keys("name", "type", "description", "classification"))
UPSTREAM = Shape(
    "upstream",
    _keys(
        Expanded("url"), Number("position"), Number("weight"), Truth("active"), "credential_kind", "credential_name",
        Hidden("credential", literal=True), Expanded("token_url"), "scope", Hidden("client_certificate"), "authority",
        Number("probe_seconds"), "probe_method", "probe_path", "probe_statuses", "probe_text",
    ),
)  # fmt: skip
MAPPING = Shape("mapping", _keys("place", "name", "parameter", Constant("value"), Truth("secret")))
CONTRACT = Shape("contract", _keys("url", Truth("main"), Document("content")))
APPLICATION = Shape("application", _keys("title", "contact", Truth("active")), ("agency", "code", "keys", "grants"))
LEGACY_KEY = Shape("legacy key", _keys(Words("networks"), Truth("in_path")), ("legacy", "operation"))
GRANT = Shape(
    "grant",
    _keys(
        "state", "purpose", "legal_basis", "agreement", Day("valid_from"), Day("valid_until"), Words("fields"), "quota",
        Words("networks"),
    ),
    ("operation",),
)  # fmt: skip
