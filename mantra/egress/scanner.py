"""Finds what identifies people in a text: NIK, KK, NPWP, NIP, mobile numbers and e-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from mantra.egress import text as texts
from registry.personal_data.numbers import (
    is_citizen_number,
    is_civil_servant_number,
    is_mobile_number,
    is_tax_number,
)

#: Characters before a number in which a word may say what it is.
LABEL = 24
#: Rounds in which escapes are taken off: one may be written by another.
_ROUNDS = 2


class Found(NamedTuple):
    """Something that identifies a person, and its place in the text."""

    kind: str
    begin: int
    end: int


#: Digits with few separators between them. Longer ones are no number of a person.
_RUN = re.compile(r"[0-9](?:[ .\-/_()\0]{0,3}[0-9]){9,95}")
_GROUP = re.compile(r"[0-9]+")
_SCIENTIFIC = re.compile(r"(?<![0-9.])[0-9](?:\.[0-9]{9,20})[eE]\+?1[0-9](?![0-9])")
_LABELS = {
    "NIK": re.compile(r"(?<![a-z])(?:nik|ktp|kependudukan)(?![a-z])", re.I),
    "KK": re.compile(r"(?<![a-z])(?:kk|nkk|kartu.keluarga)(?![a-z])", re.I),
    "NPWP": re.compile(r"(?<![a-z])(?:npwp|pajak)(?![a-z])", re.I),
    "PHONE": re.compile(
        r"(?<![a-z])(?:hp|wa|telp|telepon|telpon|ponsel|phone|handphone|mobile|whatsapp)(?![a-z])", re.I
    ),
}
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}\Z")
_WRITTEN_NPWP = re.compile(r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}\.[0-9][-.][0-9]{3}\.[0-9]{3}\Z")
_NAME_OF_ADDRESS = re.compile(r"[\w.%+\-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:[\w\-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w\-]*@)")
#: Addresses of offices: the first word of their names.
_OFFICES = frozenset((
    "info", "admin", "humas", "kontak", "contact", "cs", "sekretariat", "office", "noreply", "no-reply", "ppid",
    "layanan", "helpdesk", "support", "pengaduan", "webmaster", "postmaster",
))  # fmt: skip
_FIRST_WORD = re.compile(r"[a-z]+(?:-reply)?")
#: The digits of the shortest number, of a telephone, and of the longest, a NIP.
SHORTEST, _LONGEST = 11, 18


def scan(text: str, label: str = "", base64: bool = True) -> list[Found]:
    """Return what identifies people in a text, in its order; nothing is found twice.

    ``label``: the name of the column or member that the text is the value of. ``base64``: look into it too.
    """
    found = list(_plain(texts.folded(text), label))
    seen: texts.View | None = None
    written = text
    chain: list[texts.View] = []
    for _round in range(_ROUNDS):
        seen = texts.unescaped(written)
        if seen is None:
            break
        chain.append(seen)
        written = seen.text
        found += [_in_written(each, chain) for each in _plain(texts.folded(written), label)]
    if base64:
        for begin, end, inner in texts.in_base64(text):
            found += [Found(each.kind, begin, end) for each in _plain(texts.folded(inner), label)]
    return _each_once(found) if len(found) > 1 else found


def _in_written(found: Found, chain: list[texts.View]) -> Found:
    """Return a find in a view with its place in the text that the first view was made of."""
    begin, end = found.begin, found.end
    for view in reversed(chain):
        begin, end = view.origin(begin, end)
    return Found(found.kind, begin, end)


def _each_once(found: Iterable[Found]) -> list[Found]:
    """Return the finds without those that overlap another one, the longer of which counts.

    Several in one text in base64 have one place: they stay.
    """
    kept: list[Found] = []
    for each in sorted(set(found), key=lambda each: (each.begin, -each.end)):
        if not kept or each.begin >= kept[-1].end:
            kept.append(each)
    return kept


def covered(text: str, found: Iterable[Found], sign: str = "•") -> str:
    """Return a text of the same length in which what was found is covered."""
    pieces, upto = [], 0
    for each in found:
        pieces += (text[upto : each.begin], sign * (each.end - each.begin))
        upto = each.end
    return "".join((*pieces, text[upto:]))


# ------------------------------------------------------------------------------------------ a text


def _plain(text: str, label: str) -> Iterator[Found]:
    yield from _addresses(text)
    for run in _RUN.finditer(text):
        yield from _numbers(text, run.start(), run.end(), label)
    if "e" in text or "E" in text:
        for number in _SCIENTIFIC.finditer(text):
            digits = str(int(Decimal(number.group())))
            if kind := _kind_of(digits, text[max(0, number.start() - LABEL) : number.start()], label, digits):
                yield Found(kind, number.start(), number.end())


def _addresses(text: str) -> Iterator[Found]:
    at = text.find("@")
    while at >= 0:
        name = _NAME_OF_ADDRESS.search(text[max(0, at - 64) : at])
        domain = _DOMAIN.match(text, at + 1)
        if name is not None and domain is not None:
            word = _FIRST_WORD.match(name.group().lower())
            if word is None or word.group() not in _OFFICES:
                yield Found("EMAIL", at - len(name.group()), domain.end())
        at = text.find("@", at + 1)


def _numbers(text: str, begin: int, end: int, label: str) -> Iterator[Found]:
    """Yield the numbers in digits with separators: of one or more groups of digits that belong together."""
    groups = [match.span() for match in _GROUP.finditer(text, begin, end)]
    if begin and text[begin - 1].isdigit():
        groups = groups[1:]  # the end of a number that is too long
    elif groups and end < len(text) and text[end].isdigit():
        groups = groups[:-1]
    first = 0
    while first < len(groups):
        taken = 1
        for number, last in _windows(text, groups, first):
            kind = _window_kind(text, groups, first, last, number, label)
            if kind:
                taken = last - first + 1
                yield from _found(kind, number, groups[first][0], groups[last][1])
                break
        first += taken


def _found(kind: str, digits: str, begin: int, end: int) -> Iterator[Found]:
    if len(digits) == end - begin and len(digits) > _LONGEST and not _hexadecimal(digits):
        for at in range(begin, end, 16):  # several, without anything between them
            yield Found(kind, at, at + 16)
    else:
        yield Found(kind, begin, end)


def _windows(text: str, groups: list[tuple[int, int]], first: int) -> list[tuple[str, int]]:
    """Return the digits of the groups from the first one on, the most first, each with its last group."""
    digits, found = "", []
    for last in range(first, len(groups)):
        digits += text[slice(*groups[last])]
        if len(digits) > _LONGEST and last > first:
            break
        if len(digits) >= SHORTEST:
            found.append((digits, last))
    return found[::-1]


def _window_kind(text: str, groups: list[tuple[int, int]], first: int, last: int, digits: str, label: str) -> str:
    """Return what the digits of some groups are; "" for nothing."""
    begin, end = groups[first][0], groups[last][1]
    between = [text[groups[at][1] : groups[at + 1][0]] for at in range(first, last)]
    if first == last:
        if _is_fraction(text, groups, first):
            return ""
        if len(digits) > _LONGEST:
            return _joined(digits)
    elif not _belong_together(text, groups[first : last + 1], between):
        return ""
    return _kind_of(digits, text[max(0, begin - LABEL) : begin], label, text[begin:end], text[end : end + 1])


def _is_fraction(text: str, groups: list[tuple[int, int]], at: int) -> bool:
    """Return True for digits that are a part of a number with a fraction, unless that is nothing but zeros."""
    begin, end = groups[at]
    if begin > 1 and text[begin - 1] == "." and text[begin - 2].isdigit():
        return True
    fraction = _GROUP.match(text, end + 1) if text[end : end + 1] == "." else None
    return fraction is not None and bool(fraction.group().strip("0"))


def _joined(digits: str) -> str:
    """Return what long digits are made of: several NIK without anything between them, or one in hexadecimal."""
    if inner := _hexadecimal(digits):
        return _kind_of(inner, "", "", inner)
    if len(digits) % 16 == 0 and all(is_citizen_number(digits[at : at + 16]) for at in range(0, len(digits), 16)):
        return "NIK"
    return ""


def _hexadecimal(digits: str) -> str:
    """Return the digits that others stand for by their codes, as 33 for 3; "" if they do not."""
    return digits[1::2] if len(digits) % 2 == 0 and set(digits[::2]) == {"3"} else ""


def _belong_together(text: str, groups: list[tuple[int, int]], between: list[str]) -> bool:
    """Return True if groups of digits are written as those of one number are."""
    kinds = set(between)
    if len(kinds) > 1:
        # An NPWP, and a telephone number with its brackets, have several.
        written = text[groups[0][0] : groups[-1][1]]
        return _WRITTEN_NPWP.match(written) is not None or (written[0] in "06" and not kinds & {"/", "_"})
    lengths = [end - begin for begin, end in groups]
    is_money = kinds == {"."} and lengths[0] <= 3 and set(lengths[1:]) == {3}
    return not is_money


def _kind_of(digits: str, before: str, label: str, written: str, after: str = "") -> str:
    """Return what a number is; "" for none of a person."""
    size = len(digits)
    if size == 18:
        return "NIP" if is_civil_servant_number(digits) else ""
    if size == 16:
        card = _says("KK", before, label)
        if is_citizen_number(digits, labelled=card or _says("NIK", before, label)):
            return "KK" if card and not _says("NIK", before, "") else "NIK"
    if size in (15, 16):
        if _WRITTEN_NPWP.match(written):
            return "NPWP"
        return "NPWP" if is_tax_number(digits, _says("NPWP", before, label)) else ""
    if size <= 15 and digits[0] in "06":
        touches = before[-1:].isalnum() or after.isalnum()
        surely = before[-1:] == "+" or digits[:2] == "00" or _says("PHONE", before, label)
        if not touches and not _UUID.search(before) and is_mobile_number(digits, surely):
            return "PHONE"
    return ""


def _says(kind: str, before: str, label: str) -> bool:
    """Return True if the words before a number, or the name of its column, say that it is of a kind."""
    pattern = _LABELS[kind]
    return pattern.search(before) is not None or (bool(label) and pattern.search(label) is not None)
