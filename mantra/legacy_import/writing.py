"""Writes pieces of a bundle one by one: what breaks a rule changes nothing, and the others are not held up by it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import orjson
from django.conf import settings
from django.db import transaction

from mantra.definitions.bundle_reader import BundleReader
from mantra.definitions.bundle_writer import BundleWriter
from mantra.definitions.reading import Block, Environment, Scalar
from mantra.definitions.report import Report
from registry.lookups import without_lookups
from registry.models.changes import read_again

Stored = TypeVar("Stored")

#: No path of a bundle of ours leads to a file.
_NOWHERE = Path("/nonexistent")


class _Broken(Exception):
    """Ends a transaction whose piece breaks a rule."""


class PieceWriter:
    """Writes pieces of a bundle by the rules of mantra/definitions. ``secrets``: what ``env:NAME`` stands for."""

    def __init__(self, reason: str) -> None:
        self.secrets: dict[str, str] = {}
        self._reason = reason

    def secret(self, text: str) -> str:
        """Return the reference to a secret for a piece; "" for none."""
        if not text:
            return ""
        name = f"OLD_{len(self.secrets)}"
        self.secrets[name] = text
        return f"env:{name}"

    def write(
        self, store: Callable[[BundleWriter, Any], Stored], piece: Mapping[str, Any]
    ) -> tuple[list[str], Stored | None]:
        """Store a piece. Return the rules that it breaks, and what ``store`` returns.

        Nothing is stored if it breaks any.
        """
        report = Report()
        reader = BundleReader(Environment(self.secrets, _NOWHERE), report.problems)
        try:
            with transaction.atomic(), without_lookups():
                row = store(BundleWriter(reader, report, self._reason), as_block(piece))
                if report.problems:
                    raise _Broken
        except _Broken:
            read_again()
            return [str(problem) for problem in report.problems], None
        return [], row


def as_block(value: Any) -> Any:
    """Return a value as a bundle that was read from a file has it."""
    if isinstance(value, Mapping):
        return Block({name: as_block(each) for name, each in value.items() if each is not None})
    if isinstance(value, list | tuple):
        return [as_block(each) for each in value]
    if isinstance(value, bool | int):
        scalar = Scalar(str(value).lower())
        scalar.value = value
        return scalar
    return value


def digests(piece: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """Return a digest of each value of a piece by its name. Secrets are digested, not what refers to them."""
    return {name: _digest(_without_references(each, secrets)) for name, each in piece.items() if each is not None}


def _without_references(value: Any, secrets: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("env:"):
        return ["secret", secrets.get(value.removeprefix("env:"), value)]
    if isinstance(value, Mapping):
        return {name: _without_references(each, secrets) for name, each in value.items()}
    return [_without_references(each, secrets) for each in value] if isinstance(value, list | tuple) else value


def _digest(value: Any) -> str:
    # Keyed: who reads the registry cannot try passwords against it.
    _number, pepper = settings.KEY_PEPPERS[0]
    content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, key=pepper[:64], digest_size=8).hexdigest()
