"""The values of a bundle, and the problems in its text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _

from mantra.definitions import reading, schema
from mantra.definitions.reading import Block, BundleSyntaxError, Environment
from mantra.definitions.report import Problem, path_of
from mantra.definitions.schema import ConstantText, FieldSpec, Schema


class BundleReader:
    """Reads parts of a bundle. A part that cannot be read is added to ``problems`` and left out of the result."""

    def __init__(self, environment: Environment, problems: list[Problem]) -> None:
        self.environment = environment
        self.problems = problems

    def problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def document(self, text: str) -> Block | None:
        """Return the bundle in ``text``, None if it is not a mapping or not YAML."""
        try:
            document = reading.load(text)
        except BundleSyntaxError as error:
            self.problem("", str(error))
            return None
        return self.block(document, "", schema.TOP)

    def block(self, value: Any, path: str, known: Sequence[str]) -> Block | None:
        """Return ``value`` if it is a mapping. Repeated keys and keys that are not ``known`` are problems."""
        if not isinstance(value, Block):
            self.problem(path, _("Write a mapping of names to values."))
            return None
        for name in value.repeated:
            self.problem(path_of(path, name), _("This key occurs more than once."))
        for name in value:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1, 0.6)
                hint = _("Did you mean %(name)s?") % {"name": near[0]} if near else ", ".join(known)
                self.problem(path_of(path, name), _("This key is unknown. %(hint)s") % {"hint": hint})
        return value

    def items(self, block: Block, name: str, path: str = "") -> Iterator[tuple[str, Any]]:
        """Yield (path, item) for each item of the list at the key ``name``."""
        value = block.get(name)
        if reading.is_null(value):
            return
        list_path = path_of(path, name)
        if not isinstance(value, list):
            return self.problem(list_path, _("Write a list."))
        for index, item in enumerate(value):
            yield f"{list_path}[{index}]", item

    def values(self, block: Block, path: str, keys: Sequence[FieldSpec]) -> dict[str, Any]:
        """Return the values of the keys that the block has, by name, as the models store them."""
        values = {}
        for key in keys:
            if key.name in block:
                try:
                    values[key.name] = key.read(block[key.name], self.environment)
                except BundleSyntaxError as error:
                    self.problem(path_of(path, key.name), str(error))
        return values

    def resolve_constants(self, values: dict[str, Any], path: str, spec: Schema) -> bool:
        """Read the constants in ``values``: another key decides whether each is a secret. Return True on success."""
        for key in spec.keys:
            if isinstance(key, ConstantText):
                try:
                    key.resolve(values, self.environment)
                except BundleSyntaxError as error:
                    self.problem(path_of(path, key.name), str(error))
                    return False
        return True

    def identifier(self, block: Block, path: str, name: str, required: bool = True) -> str:
        """Return the text of a key that names a row; "" if it is missing, a problem if it is ``required``."""
        value = block.get(name)
        if isinstance(value, str) and not reading.is_null(value) and value:
            return str(value)
        if value is not None and not reading.is_null(value):
            self.problem(path_of(path, name), _("Write a text."))
        elif required:
            self.problem(path_of(path, name), _("This key is required."))
        return ""

    def is_repeated(self, path: str, noun: str, name: str, names: set[str]) -> bool:
        """Return True if ``name`` is in ``names`` (a problem), in any case of letters; add it otherwise."""
        if name.lower() in names:
            self.problem(path, _("The file contains %(noun)s %(name)s more than once.") % {"noun": noun, "name": name})
            return True
        names.add(name.lower())
        return False

    def operation_kind(self, block: Block, path: str, stored: str | None) -> str | None:
        """Return the kind of an operation, ``stored`` if the block names none, None if it names a wrong one."""
        kind = self.identifier(block, path, "kind", required=stored is None)
        if kind and kind not in schema.OPERATIONS:
            self.problem(path_of(path, "kind"), _("Write one of %(words)s.") % {"words": ", ".join(schema.OPERATIONS)})
        elif kind and stored is not None and stored != kind:
            self.problem(path_of(path, "kind"), _("The operation's kind is %(kind)s.") % {"kind": stored})
        else:
            return kind or stored
        return None

    def legacy_key(self, block: Block, path: str) -> str:
        """Return a 1.99x key in plain text; "" if it is missing or unusable, which is a problem."""
        key_path = path_of(path, "legacy")
        text = self.identifier(block, path, "legacy")
        try:
            plain = self.environment.secret(text)
        except BundleSyntaxError as error:
            self.problem(key_path, str(error))
            return ""
        if text and (not plain.isascii() or not plain.isprintable() or " " in plain or len(plain) < 8):
            self.problem(key_path, _("Use at least 8 letters and digits, without spaces."))
            return ""
        return plain
