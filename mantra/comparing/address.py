"""Addresses by similarity: parts in any order, abbreviated or not. Numbers that both have must agree."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from mantra.comparing.comparison import Rule, anything, composed, digest, is_long, plain, text_of
from mantra.comparing.spelling import folded, is_slip, is_variant

DEFAULT_THRESHOLD = 80
#: Addresses of more words are equal or not: pairing takes the square of their number.
MAX_WORDS = 40
_CONTRADICTION, _TOO_LITTLE = 60, 70
_MISSING, _SLIP, _VARIANT = 4, 4, 2
#: What takes off a number that only one address has: a house that is not named says less than an RT.
_MISSING_NUMBER = {"number": 18, "block": 18, "rt": 2, "rw": 2, "postcode": 2}

_RT_RW = re.compile(r"\brt\s*[./]*\s*rw\b[\s.:]*0*([0-9]{1,3})\s*[/\-\s]\s*0*([0-9]{1,3})\b")
_RT_SLASH_RW = re.compile(r"\brt\b[\s.:]*0*([0-9]{1,3})\s*/\s*0*([0-9]{1,3})\b|\b0([0-9]{2})\s*/\s*0([0-9]{2})\b")
_RT = re.compile(r"\brt[\s.:]*0*([0-9]{1,3})\b")
_RW = re.compile(r"\brw[\s.:]*0*([0-9]{1,3})\b")
_POSTCODE = re.compile(r"\b(?:kode pos[\s.:]*)?([1-9][0-9]{4})\b")
_NUMBER = re.compile(
    r"\b(?:no|nomor|nomer|number|nmr)\b[\s.:]*0*([0-9]{1,5})\s?([a-z]\b)?|#\s*0*([0-9]{1,5})\s?([a-z]\b)?"
)
_BLOCK = re.compile(r"\b(?:blok|blk|block)\b[\s.:]*(?:([a-z]{1,3})\s?[-/.]?\s?0*([0-9]{1,4})?\b|([0-9]{1,4})\b)")
_BARE_NUMBER = re.compile(r"(?<![\w/])0*([0-9]{1,4})([a-z]?)(?![\w/])")
_JOINED = re.compile(
    r"\b(rt|rw|no|blok|gg|jl|jln|kel|kec|kab|ds|dsn|perum)(?=[0-9])|\b(jl|jln|gg|kel|kec|kab|ds|dsn|no)\.(?=[a-z])"
)
_SEPARATORS = re.compile(r"[^\w/#\-]+|_+")
_WORDS = re.compile(r"[^\W_]+")

# fmt: off
#: Words that say what kind of part follows, each with its level; those of level "" only name the kind of street.
_LEVELS = {
    **dict.fromkeys(("kel", "kelurahan", "ds", "desa", "nagari", "gampong"), "village"),
    **dict.fromkeys(("kec", "kecamatan", "distrik"), "district"),
    **dict.fromkeys(("kab", "kabupaten", "kota", "kotamadya", "kodya", "kab/kota"), "regency"),
    **dict.fromkeys(("prov", "prop", "provinsi", "propinsi"), "province"),
    **dict.fromkeys(("dsn", "dusun", "kp", "kamp", "kampung", "lingkungan", "ling", "lk", "banjar"), "hamlet"),
    **dict.fromkeys(("komplek", "kompleks", "komp", "kompl", "perum", "perumahan", "perumnas"), "estate"),
    **dict.fromkeys(("jl", "jln", "jalan", "jlan", "gg", "gang", "lr", "lorong", "street"), "street"),
}
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9",
          "x": "10", "xi": "11", "xii": "12"}
_SHORT = {
    "jend": "jenderal", "jendral": "jenderal", "gen": "jenderal", "dr": "dokter", "prof": "profesor",
    "kh": "kiai", "ry": "raya", "utr": "utara", "sel": "selatan", "slt": "selatan", "tim": "timur",
    "tmr": "timur", "brt": "barat", "bar": "barat", "tgh": "tengah", "let": "letnan", "a": "ahmad",
    "moh": "muhammad", "muh": "muhammad", "m": "muhammad", "dki": "", "indonesia": "", "jkt": "jakarta",
    "sby": "surabaya", "bdg": "bandung", "smg": "semarang", "jogja": "yogyakarta", "yogya": "yogyakarta",
    "jogjakarta": "yogyakarta",
    "kav": "kavling", "kapling": "kavling", "lt": "lantai", "gd": "gedung",
}
# fmt: on


class _Address(NamedTuple):
    #: Numbers that must agree if both addresses have them: rt, rw, number, block, postcode.
    numbers: dict[str, str]
    #: All words that are names, as they sound, in their order.
    words: list[str]
    #: The words behind a kel., kec., kab. and so on.
    levels: dict[str, tuple[str, ...]]


def _address(text: str) -> _Address:
    parts = plain(text).split(",")
    text = " , ".join(
        _SEPARATORS.sub(" ", _JOINED.sub(lambda match: f"{match[1] or match[2]} ", part)) for part in parts
    )
    numbers: dict[str, str] = {}

    def take(pattern: re.Pattern[str], *names: str) -> None:
        nonlocal text
        match = pattern.search(text)
        if match is None:
            return
        found = [group for group in match.groups() if group is not None]
        for name, value in zip(names, found, strict=False):
            numbers.setdefault(name, value)
        text = f"{text[: match.start()]} , {text[match.end() :]}"

    take(_RT_RW, "rt", "rw")
    take(_RT_SLASH_RW, "rt", "rw")
    take(_RT, "rt")
    take(_RW, "rw")
    take(_POSTCODE, "postcode")
    for name, pattern in (("block", _BLOCK), ("number", _NUMBER), ("number", _BARE_NUMBER)):
        if name not in numbers and (match := pattern.search(text)):
            groups = [group for group in match.groups() if group]
            if name == "block" and len(groups) > 1:
                numbers["block"] = groups[0]
                numbers["number"] = groups[1]
            else:
                numbers[name] = "".join(groups)
            text = f"{text[: match.start()]} , {text[match.end() :]}"
    words: list[str] = []
    levels: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        level = ""
        for word in folded_words(part):
            if word in _LEVELS:
                level = _LEVELS[word]
                continue
            words.append(word)
            if level:
                levels[level] = (*levels.get(level, ()), word)
    return _Address({name: value.lstrip("0") or "0" for name, value in numbers.items()}, words, levels)


def folded_words(part: str) -> list[str]:
    """Return the words of a part of an address as they sound; the words of levels as they are."""
    result: list[str] = []
    for word in _WORDS.findall(part):
        if word in _LEVELS:
            result.append(word)
        elif word := _SHORT.get(word, word):
            word = _ROMAN.get(word, word)
            result += folded([word]) or [word]
    return result


def normalised(value: Any) -> str | None:
    """Return the words as they sound and the numbers, each with its kind, in the order of the alphabet."""
    text = text_of(value)
    if is_long(text):
        return digest(composed(text))
    address = _address(text)
    numbers = [f"{name}={value}" for name, value in address.numbers.items()]
    return " ".join((*sorted(address.words), *sorted(numbers))) or None


def similarity(stored: Any, given: str) -> int:
    one, other = text_of(stored), text_of(given)
    if not one or not other:
        return 0
    if is_long(one) or is_long(other):
        return 100 if composed(one) == composed(other) else 0
    first, second = _address(one), _address(other)
    if not (first.words or first.numbers) or not (second.words or second.numbers):
        return 0
    if first.numbers == second.numbers and sorted(first.words) == sorted(second.words):
        return 100
    if max(len(first.words), len(second.words)) > MAX_WORDS:
        return 0
    if (len(first.words), first.words) > (len(second.words), second.words):
        first, second = second, first
    return _compared(first, second)


def _compared(one: _Address, other: _Address) -> int:
    left, right = list(one.words), list(other.words)
    for word in one.words:
        if word in right:
            left.remove(word)
            right.remove(word)
    off = 0
    for cost, alike in ((_VARIANT, is_variant), (_SLIP, is_slip)):
        for word in tuple(left):
            for against in right:
                if alike(word, against):
                    left.remove(word)
                    right.remove(against)
                    off += cost
                    break
    matched = len(one.words) - len(left)
    agree = all(other.numbers.get(name, value) == value for name, value in one.numbers.items())
    share = round(100 * matched / max(len(one.words), len(other.words), 1))
    if not agree or (left and right) or _levels_differ(one, other, left, right):
        return min(_CONTRADICTION, share)
    only_one = sum(_MISSING_NUMBER[name] for name in set(one.numbers) ^ set(other.numbers))
    degree = max(0, 100 - off - _MISSING * len(left or right) - only_one)
    # An address that is only a part of the other one, such as its town, says too little.
    in_both = matched + len(set(one.numbers) & set(other.numbers) - {"postcode"})
    return degree if matched and in_both > 1 and share >= 50 else min(_TOO_LITTLE, degree)


def _levels_differ(one: _Address, other: _Address, left: list[str], right: list[str]) -> bool:
    """Return True if both name a level, and one names it by a word that the other has nowhere."""
    unmatched = {*left, *right}
    return any(
        level in other.levels
        and words != other.levels[level]
        and unmatched.intersection((*words, *other.levels[level]))
        for level, words in one.levels.items()
        if level in ("village", "district", "regency")
    )


RULE = Rule("address", normalised, anything, similarity=similarity, default_threshold=DEFAULT_THRESHOLD)
