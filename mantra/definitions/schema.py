"""The keys of a bundle: the values each may have, and the column of the registry it is stored in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from mantra.definitions.reading import BundleSyntaxError, Environment, Scalar, escaped, is_null, is_reference, native
from registry.models import lines_of, names, pairs


class FieldSpec:
    """A key of a mapping, by default with text as its value. The model's attribute has the same name."""

    secret = False

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, value: Any, environment: Environment) -> Any:
        """Return the model's value. Raises BundleSyntaxError."""
        if is_null(value):
            return ""
        if not isinstance(value, str):
            raise BundleSyntaxError(_("Write a text."))
        return str(value)

    def write(self, stored: Any) -> Any:
        """Return the value as a bundle has it. Browsers send lines that end in CR LF; a file has LF."""
        return stored.replace("\r\n", "\n") if isinstance(stored, str) else stored

    def is_same(self, old: Any, new: Any) -> bool:
        """Return True if both values are the same in a bundle."""
        return bool(self.write(old) == self.write(new))


class ExpandedText(FieldSpec):
    """Text in which ${NAME} is a variable of the environment."""

    def read(self, value: Any, environment: Environment) -> Any:
        return environment.expand(super().read(value, environment))

    def write(self, stored: Any) -> Any:
        return escaped(stored)


class Integer(FieldSpec):
    def read(self, value: Any, environment: Environment) -> Any:
        if is_null(value):
            return None
        text = self.text(value, environment) if isinstance(value, str) else ""
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 16):
            raise BundleSyntaxError(_("Write a whole number."))
        return int(text)

    def text(self, value: str, environment: Environment) -> str:
        return value


class Port(Integer):
    """A whole number that may be a variable of the environment."""

    def text(self, value: str, environment: Environment) -> str:
        return environment.expand(value)


class Boolean(FieldSpec):
    def read(self, value: Any, environment: Environment) -> Any:
        if not isinstance(value, Scalar) or not isinstance(value.value, bool):
            raise BundleSyntaxError(_("Write true or false."))
        return value.value


class Date(FieldSpec):
    def read(self, value: Any, environment: Environment) -> Any:
        if is_null(value):
            return None
        try:
            day = parse_date(value) if isinstance(value, str) else None
        except ValueError:
            day = None
        if day is None:
            raise BundleSyntaxError(_("Write a date like 2026-01-31."))
        return day

    def write(self, stored: date | None) -> Any:
        return stored


class NameList(FieldSpec):
    """A list of names that the model stores as text, one per line. In the file it may be text as well."""

    parts: Callable[[str], list[str]] = staticmethod(names)

    def read(self, value: Any, environment: Environment) -> Any:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return "\n".join(value)
        if is_null(value) or isinstance(value, str):
            return "\n".join(self.parts(super().read(value, environment)))
        raise BundleSyntaxError(_("Write a list of texts."))

    def write(self, stored: str) -> Any:
        return self.parts(stored)


class LineList(NameList):
    """A list like NameList with items that may contain spaces."""

    parts = staticmethod(lambda text: [line.strip() for line in text.splitlines() if line.strip()])


class CommaSeparated(NameList):
    """A list that the model stores on one line, separated by commas."""

    def read(self, value: Any, environment: Environment) -> Any:
        return ", ".join(self.parts(super().read(value, environment)))

    def write(self, stored: str) -> Any:
        return ", ".join(self.parts(stored))


class Pairs(FieldSpec):
    """A mapping of names to texts that the model stores as text, one pair per line."""

    def read(self, value: Any, environment: Environment) -> Any:
        if is_null(value):
            return ""
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise BundleSyntaxError(_("Write a mapping of names to texts, for example {nik: partial}."))
        try:
            return lines_of({str(name): str(each) for name, each in value.items()})
        except ValueError:
            raise BundleSyntaxError(_("Write each name and its value on one line, without = in names.")) from None

    def write(self, stored: str) -> Any:
        return pairs(stored)


class FreeMapping(FieldSpec):
    """A mapping with any keys: the options of a driver."""

    def read(self, value: Any, environment: Environment) -> Any:
        if is_null(value):
            return {}
        if not isinstance(value, dict):
            raise BundleSyntaxError(_("Write a mapping, for example {sslmode: require}."))
        return native(value)


class SecretText(FieldSpec):
    """A secret: env:NAME, file:PATH or ${NAME}, and if ``literal`` is true the secret itself."""

    secret = True

    def __init__(self, name: str, literal: bool = False) -> None:
        super().__init__(name)
        self.literal = literal

    def read(self, value: Any, environment: Environment) -> Any:
        text = super().read(value, environment)
        if text and not self.literal and not is_reference(text):
            raise BundleSyntaxError(_("Do not write a secret into the file. Write env:NAME or file:PATH."))
        return environment.secret(text)

    def is_same(self, old: Any, new: Any) -> bool:
        return str(old or "") == str(new or "")


class ConstantText(SecretText):
    """A fixed value: text with ${NAME}, or a secret if the mapping's key ``secret`` is true.

    read() checks only that it is text; resolve() reads it, when the values of the whole mapping are known.
    """

    def read(self, value: Any, environment: Environment) -> Any:
        return FieldSpec.read(self, value, environment)

    def resolve(self, values: dict[str, Any], environment: Environment) -> None:
        """Read the constant in ``values``. An absent constant becomes "", an absent secret stays absent: it is kept.

        Raises BundleSyntaxError.
        """
        if not values.get("secret"):
            values[self.name] = environment.expand(values.get(self.name, ""))
        elif self.name in values:
            values[self.name] = SecretText.read(self, values[self.name], environment)


class DocumentText(FieldSpec):
    """A document: its text, or file:PATH."""

    def read(self, value: Any, environment: Environment) -> Any:
        text = super().read(value, environment)
        return environment.secret(text) if text.startswith("file:") else text.strip()


@dataclass(frozen=True, slots=True)
class Schema:
    """The keys of one kind of definition."""

    #: Its name in messages.
    noun: str
    keys: tuple[FieldSpec, ...]
    #: Keys that BundleWriter handles by itself: identifiers, references and lists.
    other_keys: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [*(key.name for key in self.keys), *self.other_keys]


def _keys(*items: FieldSpec | str) -> tuple[FieldSpec, ...]:
    return tuple(FieldSpec(item) if isinstance(item, str) else item for item in items)


TOP = ("agencies", "sources", "backends", "services", "applications")

AGENCY = Schema("agency", _keys("name", "email", "website", "legacy_name"), ("code", "parent"))
SOURCE = Schema(
    "source",
    _keys(
        "engine",
        ExpandedText("host"),
        Port("port"),
        ExpandedText("database"),
        "user",
        SecretText("password"),
        SecretText("wallet_password"),
        FreeMapping("options"),
        Integer("pool_size"),
    ),
    ("agency", "code"),
)
#: The settings of a backend, and of a server that has its own.
SETTINGS = _keys(
    "credential_kind",
    "credential_name",
    SecretText("credential", literal=True),
    ExpandedText("token_url"),
    "scope",
    SecretText("client_certificate"),
    "ca_certificate",
    Integer("probe_interval_seconds"),
    "probe_method",
    "probe_path",
    "probe_expected_statuses",
    "probe_expected_text",
)
BACKEND = Schema(
    "backend", (*_keys("title", "contact", Integer("max_concurrent_calls")), *SETTINGS), ("agency", "code", "servers")
)
_SERVER = _keys(ExpandedText("url"), Integer("priority"), Integer("weight"), Boolean("active"))
SERVER = Schema("server", (*_SERVER, Boolean("own_settings"), *SETTINGS))
#: A server as operations of releases before 2.0.0 had it, each with its settings.
UPSTREAM = Schema("upstream", (*_SERVER, *SETTINGS))
SERVICE = Schema(
    "service",
    _keys("title", "description", "tags", "classification", "contact", "legacy_name"),
    ("agency", "code", "operations"),
)
_COMMON = _keys(
    "title", "description", "access", "state", "listing", Date("sunset"), Integer("cache_seconds"), "guard",
    CommaSeparated("guard_expected"), "legacy_name",
)  # fmt: skip
_PARTS = ("code", "kind", "parameters", "fields")
OPERATIONS: Mapping[str, Schema] = {
    "data": Schema(
        "data operation",
        (
            *_COMMON,
            *_keys("sql", Boolean("writes"), Integer("max_rows"), Integer("timeout_ms"), Integer("page_size")),
            *_keys("change_marker", "change_key", "deleted_column", Integer("change_lag_seconds")),
        ),
        (*_PARTS, "source"),
    ),
    "proxy": Schema(
        "proxy operation",
        (
            *_COMMON,
            *_keys(
                "style",
                "method",
                CommaSeparated("allowed_methods"),
                "path",
                CommaSeparated("forwarded_request_headers"),
                CommaSeparated("returned_response_headers"),
                Boolean("forward_credentials"),
                Integer("timeout_ms"),
                Integer("connect_timeout_ms"),
                Integer("read_timeout_ms"),
                Integer("max_body_bytes"),
                Integer("max_concurrent_calls"),
                Integer("retries"),
                Integer("stale_if_error_seconds"),
                "records_path",
                LineList("ignored_paths"),
            ),
        ),
        (*_PARTS, "backend", "upstreams", "mappings", "descriptions"),
    ),
    # Its parameters and fields follow from its base and its verified fields. It is never open and never cached.
    "verification": Schema(
        "verification operation",
        (
            *(key for key in _COMMON if key.name not in ("access", "cache_seconds", "guard", "guard_expected")),
            *_keys(
                Integer("min_fields"),
                Boolean("hides_existence"),
                Integer("tries"),
                Integer("tries_of_all"),
                Integer("lock_minutes"),
            ),
        ),
        ("code", "kind", "base", "verified_fields"),
    ),
}
VERIFIED_FIELD = Schema("verified field", _keys("name", "column", "rule", Integer("threshold"), "description"))
PARAMETER = Schema(
    "parameter",
    _keys(
        "name",
        "type",
        Boolean("required"),
        "default",
        "pattern",
        "min",
        "max",
        LineList("choices"),
        Boolean("subject"),
        "description",
        "legacy_name",
    ),
)
FIELD = Schema("field", _keys("name", "type", "description", "classification", "mask"))
MAPPING = Schema("mapping", _keys("location", "name", "parameter", ConstantText("value"), Boolean("secret")))
DESCRIPTION = Schema("description", _keys("url", Boolean("main"), DocumentText("content")))
APPLICATION = Schema(
    "application",
    (
        *_keys("title", "contact", Boolean("active"), "row_limit", "subject_limit"),
        *_keys(Boolean("certificate_required"), Boolean("signing_required")),
    ),
    ("agency", "code", "keys", "certificates", "grants"),
)
#: Public data: nothing of a certificate is secret but its key, which the model refuses.
CERTIFICATE = Schema("client certificate", _keys(DocumentText("pem")))
#: The value of a legacy key's ``operation`` if 1.99x had the key for several: all that its application is granted.
ALL_GRANTED = "*"
LEGACY_KEY = Schema(
    "legacy key", _keys(NameList("networks"), Boolean("in_path"), Boolean("wrapped")), ("legacy", "operation")
)
GRANT = Schema(
    "grant",
    _keys(
        "state",
        "purpose",
        "legal_basis",
        "agreement",
        Date("valid_from"),
        Date("valid_until"),
        NameList("fields"),
        Pairs("masks"),
        Pairs("values"),
        "quota",
        "row_limit",
        "subject_limit",
        NameList("networks"),
    ),
    ("operation",),
)
