"""Finds what identifies people in a text: NIK, KK, NPWP, NIP, mobile numbers and e-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from mantra.egress import text as texts
from registry.personal_data.numbers import (
    PROVINCES,
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
_MOST_DIGITS = 96
_RUN = re.compile(rf"[0-9](?:[ .\-/_()\0]{{0,3}}[0-9]){{9,{_MOST_DIGITS - 1}}}")
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
_LETTER = re.compile(r"[A-Za-z]")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}\Z")
_WRITTEN_NPWP = re.compile(r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}\.[0-9][-.][0-9]{3}\.[0-9]{3}\Z")
_REVERSED_NAME = re.compile(r"[\w.%+\-]{1,64}")
_DOMAIN = re.compile(r"(?:[\w\-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w\-]*@)")
#: Addresses of offices: the first word of their names.
_OFFICES = frozenset((
    "info", "admin", "humas", "kontak", "contact", "cs", "sekretariat", "office", "noreply", "no-reply", "ppid",
    "layanan", "helpdesk", "support", "pengaduan", "webmaster", "postmaster",
))  # fmt: skip
_FIRST_WORD = re.compile(r"[a-z]+(?:-reply)?")
#: The digits of the shortest number, of a telephone, and of the longest, a NIP.
SHORTEST, _LONGEST = 11, 18
#: In a run of more groups no number begins with one digit alone but at its beginning: each would be tried as one.
_MOST_GROUPS = 24
#: The first two digits of a number → the numbers of digits that it may have, the most first; an NPWP begins with any.
_OTHERS = (15,)
_BY_START = {
    **dict.fromkeys(PROVINCES, (16, 15)),
    "19": (18, 16, 15),
    "20": (18, 15),
    **{f"0{digit}": (16, 15, 14, 13, 12, 11) for digit in range(10)},
    "62": (16, 15, 14, 13, 12, 11),
}


def scan(text: str, label: str = "", base64: bool = True) -> list[Found]:
    """Return what identifies people in a text, in its order; nothing is found twice.

    ``label``: the name of the column or member that the text is the value of. ``base64``: look into it too.
    """
    if len(text) <= _MOST_DIGITS and text.isdigit() and text.isascii():
        return _in_digits(text, label)
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
    pieces: list[str] = []
    upto = 0
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
            if kind := _of_digits(digits):
                yield Found(kind, number.start(), number.end())


def _in_digits(digits: str, label: str) -> list[Found]:
    """Return what _plain() finds in digits without anything else, which most numbers in tables are."""
    size = len(digits)
    if size > _LONGEST:
        return list(_found(kind, digits, 0, size)) if (kind := _joined(digits)) else []
    if size not in _sizes(digits[:2]) or not (kind := _of_digits(digits)):
        return []
    return (
        [Found(_family_card(kind, digits, 0, label), 0, size)]
        if _is_sure(kind, digits, [(0, size)], 0, 0, label)
        else []
    )


def _addresses(text: str) -> Iterator[Found]:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        # Read backwards: the name ends at the sign.
        name = _REVERSED_NAME.match(text[max(0, at - 64) : at][::-1]) if domain is not None else None
        if name is not None and domain is not None:
            written = name.group()[::-1]
            word = _FIRST_WORD.match(written.lower())
            if word is None or word.group() not in _OFFICES:
                yield Found("EMAIL", at - len(written), domain.end())
        at = text.find("@", at + 1)


def _numbers(text: str, begin: int, end: int, label: str) -> Iterator[Found]:
    """Yield the numbers in digits with separators: of one or more groups of digits that belong together."""
    groups = [match.span() for match in _GROUP.finditer(text, begin, end)]
    if begin and text[begin - 1].isdigit():
        groups = groups[1:]  # the end of a number that is too long
    elif groups and end < len(text) and text[end].isdigit():
        groups = groups[:-1]
    digits = "".join([text[start:stop] for start, stop in groups])
    #: The place of each group in the digits, and that behind the last one.
    places = [0, *accumulate(stop - start for start, stop in groups)]
    at = {place: number for number, place in enumerate(places)}
    first = 0
    while first < len(groups):
        if len(groups) > _MOST_GROUPS and first and groups[first][1] - groups[first][0] == 1:
            first += 1
            continue
        taken = 1
        place = places[first]
        alone = digits[place : places[first + 1]]
        if len(alone) > _LONGEST:
            if (kind := _joined(alone)) and not _is_fraction(text, groups, first):
                yield from _found(kind, alone, *groups[first])
        else:
            for size in _sizes(digits[place : place + 2]):
                last = at.get(place + size, 0) - 1
                if last < first:
                    continue
                is_written = size == 15 and _WRITTEN_NPWP.match(text, groups[first][0], groups[last][1])
                if not (kind := "NPWP" if is_written else _of_digits(digits[place : place + size])):
                    continue
                if _is_one(text, groups, first, last) and _is_sure(kind, text, groups, first, last, label):
                    yield Found(_family_card(kind, text, groups[first][0], label), groups[first][0], groups[last][1])
                    taken = last - first + 1
                    break
        first += taken


def _sizes(start: str) -> tuple[int, ...]:
    """Return the numbers of digits, the most first, that a number which begins so may have."""
    return _BY_START.get(start, _OTHERS)


def _of_digits(digits: str) -> str:
    """Return what digits may be, if what is beside them says so; "" for nothing. It is cheap: most are nothing."""
    size = len(digits)
    if size == 18:
        return "NIP" if is_civil_servant_number(digits) else ""
    if size == 16 and is_citizen_number(digits, labelled=True):
        return "NIK"
    if size in (15, 16) and is_tax_number(digits, labelled=True):
        return "NPWP"
    return "PHONE" if is_mobile_number(digits, international=True) else ""


def _is_one(text: str, groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Return True if groups of digits are written as those of one number are."""
    if first == last:
        return not _is_fraction(text, groups, first)
    between = {text[groups[number][1] : groups[number + 1][0]] for number in range(first, last)}
    if len(between) > 1:
        # An NPWP, and a telephone number with its brackets, have several.
        written = text[groups[first][0] : groups[last][1]]
        return _WRITTEN_NPWP.match(written) is not None or (written[0] in "06" and not between & {"/", "_"})
    lengths = [end - begin for begin, end in groups[first : last + 1]]
    is_money = between == {"."} and lengths[0] <= 3 and set(lengths[1:]) == {3}
    return not is_money


def _is_fraction(text: str, groups: list[tuple[int, int]], at: int) -> bool:
    """Return True for digits that are a part of a number with a fraction, unless that is nothing but zeros."""
    begin, end = groups[at]
    if begin > 1 and text[begin - 1] == "." and text[begin - 2].isdigit():
        return True
    fraction = _GROUP.match(text, end + 1) if text[end : end + 1] == "." else None
    return fraction is not None and bool(fraction.group().strip("0"))


def _joined(digits: str) -> str:
    """Return what long digits are made of: several NIK without anything between them, or one by its codes."""
    if inner := _decoded(digits):
        return _of_digits(inner)
    if len(digits) % 16 == 0 and all(is_citizen_number(digits[at : at + 16]) for at in range(0, len(digits), 16)):
        return "NIK"
    return ""


def _decoded(digits: str) -> str:
    """Return the digits that others stand for by their codes, as 33 for 3; "" if they do not."""
    return digits[1::2] if len(digits) % 2 == 0 and set(digits[::2]) == {"3"} else ""


def _found(kind: str, digits: str, begin: int, end: int) -> Iterator[Found]:
    if _decoded(digits):
        yield Found(kind, begin, end)
    else:
        for at in range(begin, end, 16):
            yield Found(kind, at, at + 16)


def _is_sure(kind: str, text: str, groups: list[tuple[int, int]], first: int, last: int, label: str) -> bool:
    """Return True if digits that may be a number of a kind are one, by themselves or by what is beside them."""
    begin, end = groups[first][0], groups[last][1]
    digits = "".join([text[start:stop] for start, stop in groups[first : last + 1]])
    before = text[max(0, begin - LABEL) : begin]
    if kind == "NIK":
        return is_citizen_number(digits) or _says("NIK", before, label) or _says("KK", before, label)
    if kind == "NPWP":
        written = _WRITTEN_NPWP.match(text[begin:end]) is not None
        return written or is_tax_number(digits) or _says("NPWP", before, label)
    if kind == "PHONE":
        if before[-1:].isalnum() or text[end : end + 1].isalnum() or _UUID.search(before):
            return False
        surely = before[-1:] == "+" or digits[:2] == "00"
        return surely or is_mobile_number(digits) or _says("PHONE", before, label)
    return True


def _family_card(kind: str, text: str, begin: int, label: str) -> str:
    """Return the kind of a number; of one like a NIK, that of a family card if something says so."""
    before = text[max(0, begin - LABEL) : begin]
    return "KK" if kind == "NIK" and _says("KK", before, label) and not _says("NIK", before, "") else kind


def _says(kind: str, before: str, label: str) -> bool:
    """Return True if the words before a number, or the name of its column, say that it is of a kind."""
    pattern = _LABELS[kind]
    before = before if _LETTER.search(before) else ""
    return pattern.search(before) is not None or (bool(label) and pattern.search(label) is not None)
