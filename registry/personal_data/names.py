"""What the name of a column, and that of its table, say about its values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from django.utils.translation import gettext as _

from registry.personal_data.kinds import LIKELY, NOTHING, POSSIBLE, Guess
from registry.personal_data.rules import RULES, Rule
from registry.personal_data.values import NAMES_SHARE, is_person_name, share
from registry.personal_data.vocabulary import (
    ABOUT,
    ALIASES,
    CODING,
    LISTS,
    NAME_PARTS,
    NOT_NAMES,
    PAIRS,
    PEOPLE,
    THINGS,
)

#: Characters of a name that are read.
MAX_NAME = 128
#: Letters of the longest word that is split.
_LONGEST = 40

_VOCABULARY = (
    frozenset(ALIASES) | frozenset(ALIASES.values()) | PEOPLE | THINGS | ABOUT | NAME_PARTS | {"nik", "id"}
    | frozenset(word for rule in RULES for words in rule.words for word in words)
)  # fmt: skip
#: Words of attributes that people share, such as a religion: tables of these list the attributes.
_ATTRIBUTES = frozenset(word for rule in RULES if rule.attribute for words in rule.words for word in words)


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a table's or column's name in their usual spelling: "tglLhr_2" is tanggal, lahir."""
    return _words_of(name[:MAX_NAME])


@lru_cache(10_000)
def _words_of(plain: str) -> tuple[str, ...]:
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    parts = re.findall(r"[a-z]+", parted.lower())
    return tuple(word for part in parts for word in _split(part))


@lru_cache(10_000)
def _split(part: str) -> tuple[str, ...]:
    """Return a word, or the known words that it is joined from, as in "tgllahir"."""
    if part in _VOCABULARY or not 4 <= len(part) <= _LONGEST:
        return (ALIASES.get(part, part),)
    pieces = _pieces(part)
    return tuple(ALIASES.get(piece, piece) for piece in pieces) if pieces else (part,)


@lru_cache(10_000)
def _pieces(part: str) -> tuple[str, ...]:
    """Return the known words that a word is joined from, the longest first; () if it is not."""
    if not part:
        return ()
    for end in range(len(part), 1, -1):
        if part[:end] in _VOCABULARY:
            rest = _pieces(part[end:])
            if rest or end == len(part):
                return (part[:end], *rest)
    return ()


def guess_by_name(words: frozenset[str], table: frozenset[str], samples: Sequence[str]) -> Guess:
    """Return what a column's words say."""
    people = bool((words | table) & PEOPLE)
    for rule in RULES:
        matched = max((each for each in rule.words if each <= words), key=len, default=None)
        if matched is None or words & rule.but or (rule.of_people and not people):
            continue
        if rule.attribute and table and table <= matched | LISTS:
            return NOTHING
        if rule.anywhere or not _is_about_another(words - matched, words, table, rule):
            return rule.kind, rule.certainty, _("The column's name says so.")
    return _person_name(words, table, samples)


def _is_about_another(others: frozenset[str], words: frozenset[str], table: frozenset[str], rule: Rule) -> bool:
    """Return True if other words make the column one about data, or about a thing and no person."""
    if others & (ABOUT - CODING if rule.attribute else ABOUT):
        return True
    if words & PEOPLE:
        return False
    if others & (THINGS - CODING if rule.attribute else THINGS):
        return True
    # Contacts and accounts of an office are not personal data; a person's number in a table of offices still is.
    return rule.kind in ("ADDRESS", "PHONE", "EMAIL", "FINANCE") and bool(table & THINGS) and not table & PEOPLE


def _person_name(words: frozenset[str], table: frozenset[str], samples: Sequence[str]) -> Guess:
    """Return what a column with the word nama is, or one that is called as a person: pemohon, suami."""
    others = words - {"nama"}
    if others & NOT_NAMES or any(pair <= words for pair in PAIRS):
        return NOTHING
    if "nama" not in words:
        called = words & PEOPLE and not words & (THINGS | ABOUT)
        named = called and share(samples, is_person_name) >= NAMES_SHARE
        return ("NAME", LIKELY, _("The values look like names of people.")) if named else NOTHING
    if others & PEOPLE:
        return "NAME", LIKELY, _("The column's name says so.")
    if others & THINGS or others & ABOUT:
        return NOTHING
    if others & NAME_PARTS:
        return "NAME", LIKELY, _("The column's name says so.")
    found = share(samples, is_person_name)
    if not others and table & PEOPLE and not table & NOT_NAMES:
        return "NAME", LIKELY, _("The column's name and that of its table say so.")
    if samples and found < NAMES_SHARE:
        return NOTHING
    if samples:
        return "NAME", LIKELY, _("The column's name says so, and the values look like names of people.")
    return (
        NOTHING
        if others or table & (THINGS | _ATTRIBUTES)
        else ("NAME", POSSIBLE, _("The column's name may mean people."))
    )
