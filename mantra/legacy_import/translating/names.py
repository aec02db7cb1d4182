"""Names of MANTRA 1.99x as codes and parameter names that the registry allows.

The rules are those of registry/models/base.py, which a test compares: this package needs no models.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from registry.legacy_names import parameter_key


@dataclass(frozen=True, slots=True)
class Rule:
    """The codes of one kind of row: what one matches, what it must not contain, and its length."""

    pattern: re.Pattern[str]
    other: re.Pattern[str]
    length: int


#: Codes of agencies, services, applications, sources and backends.
CODE = Rule(re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,62}"), re.compile(r"[^A-Za-z0-9_\-]+"), 63)
#: Codes of operations.
OPERATION = Rule(re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.: ]{0,126}"), re.compile(r"[^A-Za-z0-9_\-.: ]+"), 127)
#: Names of users. They are compared as codes are.
USERNAME = Rule(re.compile(r"[\w.@+-]{1,150}"), re.compile(r"[^\w.@+-]+"), 150)
#: Names of parameters.
PARAMETER = Rule(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}"), re.compile(r"[^A-Za-z0-9_]+"), 63)

#: What an address of 1.99x may have as a part.
_LEGACY = re.compile(r"(?!\.{1,2}\Z)[^\x00-\x1f\x7f-\x9f/\\%?#\u200b-\u200f\u2028-\u202e\u2060\ufeff]+")
#: Characters of a name of 1.99x.
MAX_LEGACY = 128
#: How no parameter's name begins: so do the values of grants.
_GRANT = "grant__"


def code_of(old: str, taken: Collection[str] = (), rule: Rule = CODE) -> str:
    """Return a code for a name of 1.99x that is none of the ``taken`` ones, regardless of case.

    ``taken`` are the codes and names of 1.99x of the rows in the same place.
    """
    return Names(taken, rule).code(old)


def codes_of(names: Iterable[str], rule: Rule = CODE, taken: Iterable[str] = ()) -> list[str]:
    """Return a code for each name of the same place. Names that are allowed as they are keep themselves.

    ``taken``: codes in that place which other rows have.
    """
    olds = list(names)
    allocated = Names(taken, rule)
    kept = {index: allocated.code(old) for index, old in enumerate(olds) if _is_allowed(old, rule)}
    # An old name leads to its row, so it is no other row's code.
    allocated.taken.update(old.lower() for old in olds)
    return [kept[index] if index in kept else allocated.code(old) for index, old in enumerate(olds)]


def username_of(old: str, taken: Collection[str] = ()) -> str:
    """Return a name for a user that is none of the ``taken`` ones, regardless of case; the old one if it is allowed."""
    name = old.strip()
    if USERNAME.pattern.fullmatch(name):
        return name
    plain = USERNAME.other.sub("_", name)[: USERNAME.length]
    return Names(taken, USERNAME).unique(plain if re.search("[^_]", plain) else "pengguna")


def legacy_name_of(old: str, code: str) -> str | None:
    """Return what goes beside a code into ``legacy_name``: "" if the code does; None if nothing can."""
    if old.lower() == code.lower():
        return ""
    return old if len(old) <= MAX_LEGACY and _LEGACY.fullmatch(old) and old.strip() else None


class Names:
    """Allocates codes, each once. Capital letters make no difference."""

    def __init__(self, taken: Iterable[str] = (), rule: Rule = CODE) -> None:
        self.taken = {name.lower() for name in taken}
        self.rule = rule

    def code(self, old: str) -> str:
        """Return a code that was not taken, and take it."""
        code = self.unique(_allowed(old, self.rule))
        self.taken.add(code.lower())
        return code

    def unique(self, name: str) -> str:
        """Return a name with a number behind it if it is taken."""
        unique, number = name, 1
        while unique.lower() in self.taken:
            number += 1
            suffix = f"_{number}"
            unique = name[: self.rule.length - len(suffix)] + suffix
        return unique


class ParameterNames(Names):
    """Allocates the names of an operation's parameters, which the legacy wire must tell apart."""

    def __init__(self) -> None:
        super().__init__((), PARAMETER)

    def code(self, old: str) -> str:
        name = _allowed(old, PARAMETER)
        if name.lower().startswith(_GRANT):
            name = f"p_{name}"[: PARAMETER.length]
        name = self.unique(name)
        # Both are known there, under the keys by which it compares.
        self.taken.update((parameter_key(name), parameter_key(old)))
        return name

    def knows(self, old: str) -> bool:
        """Return True if the legacy wire would take ``old`` for a parameter that is there already."""
        return parameter_key(old) in self.taken


def legacy_parameter_of(old: str, name: str) -> str | None:
    """Return what goes beside a parameter's name into ``legacy_name``: "" if nothing, None if it does not fit."""
    if parameter_key(old) == parameter_key(name):
        return ""
    return old if 0 < len(old) <= MAX_LEGACY and "\x00" not in old else None


def _is_allowed(name: str, rule: Rule) -> bool:
    return rule.pattern.fullmatch(name) is not None and name == name.rstrip(" ") and not name.endswith("Response")


def _allowed(old: str, rule: Rule) -> str:
    """Return the name itself if it is allowed, else one made of its letters without accents."""
    if _is_allowed(old, rule):
        return old
    # Case does not count in addresses, and .NET takes …Response for another operation's response.
    head = old.removesuffix("Response")
    plain = unicodedata.normalize("NFKD", head if head == old else f"{head}response")
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    name = rule.other.sub("_", letters.strip())[: rule.length].strip(" ")
    if rule is PARAMETER:
        name = name if name[:1].isalpha() or name[:1] == "_" else f"p_{name}"[: rule.length]
    else:
        name = name.lstrip("_-.: ")
    if not re.search("[A-Za-z0-9]", name) or not rule.pattern.fullmatch(name):
        name = f"x{hashlib.sha256(old.encode(errors='surrogatepass')).hexdigest()[:10]}"
    return name
