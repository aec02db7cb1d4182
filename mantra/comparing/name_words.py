"""The words of a person's name, without titles, degrees and what connects them."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import NamedTuple

from mantra.comparing.comparison import plain
from mantra.comparing.titles import AT_FRONT, BEHIND, BEHIND_WITH_DOTS, FRONT, FRONT_LETTERS, FRONT_WITH_DOT, OF, SHORT

#: What separates words; a dot belongs to its word until titles are known.
_SEPARATORS = re.compile(r"[^\w.,]+|_+")
#: Behind a comma: a degree as it is written, whether it is in the list or not.
_LOOKS_LIKE_DEGREE = re.compile(r"(?:[smdab]|sp|lc|dipl|s\.?st|s\.?tr|m\.?tr|a\.?md|ph)\.[a-z.]{1,9}\Z")


_NO_DOTS: frozenset[int] = frozenset()


class NameWords(NamedTuple):
    words: list[str]
    #: Where the words after ``bin``, ``binti`` or ``alias`` begin; the number of words if there are none.
    father_at: int
    #: Whether the first word is one letter with a dot: ``M.`` stands for Muhammad there.
    begins_short: bool


def name_words(text: str) -> NameWords:
    """Return the words of a name, in small letters without diacritics, with short forms written out.

    A title is removed only where it is written as one: in front of other words, or behind at least one word (without
    dots or comma: behind two). ``H`` at the end is an initial.
    """
    text = plain(text)
    if not text.isascii() or not text.replace(" ", "").isalnum():
        text = _SEPARATORS.sub(" ", text)
    if "," in text:
        first, *others = text.split(",")
        chunks = first.split()
        for other in others:
            chunks += _without_degrees(other.split())
    else:
        chunks = text.split()
    if len(chunks) > 1:
        _drop_degrees(chunks)
    pieces = chunks
    dotted: Set[int] = _NO_DOTS
    if "." in text:
        pieces, dotted = _pieces(chunks)
    begin = 0
    last = len(pieces) - 1
    while begin < last:
        piece = pieces[begin]
        if begin in dotted and begin + 1 in dotted and "".join(pieces[begin : begin + 2]) in FRONT_LETTERS:
            begin = min(begin + 2, last)
        elif piece in FRONT or (begin in dotted and piece in FRONT_WITH_DOT):
            begin += 1
        else:
            break
    if pieces[begin : begin + 2] == ["a", "a"] and begin + 1 < last:
        # A.A. Gede Putra: Anak Agung.
        pieces[begin : begin + 2] = ["anak", "agung"]
    begins_short = begin < last and begin in dotted and len(pieces[begin]) == 1
    words = [SHORT.get(word, word) for word in pieces[begin:]]
    if begin < last and words[0] in AT_FRONT:
        words[:1] = AT_FRONT[words[0]]
    if OF.isdisjoint(words):
        return NameWords(words, len(words), begins_short)
    father_at, kept = 0, words[:1]
    for word in words[1:-1]:
        if word in OF:
            father_at = father_at or len(kept)
        else:
            kept.append(word)
    kept += words[1:][-1:]
    return NameWords(kept, father_at or len(kept), begins_short)


def _pieces(chunks: list[str]) -> tuple[list[str], set[int]]:
    """Return the words of chunks such as ``Drs.H.Budi``, and the places of those that end with a dot."""
    pieces: list[str] = []
    dotted: set[int] = set()
    for chunk in chunks:
        parts = chunk.split(".")
        for place, part in enumerate(parts):
            if part:
                if place < len(parts) - 1:
                    dotted.add(len(pieces))
                pieces.append(part)
    return pieces, dotted


def _is_degree(chunk: str) -> bool:
    key = chunk.replace(".", "")
    return key in BEHIND or key in BEHIND_WITH_DOTS


def _without_degrees(chunks: list[str]) -> list[str]:
    """Return what is not a degree of a part behind a comma."""
    if not chunks or _is_degree("".join(chunks)):
        return []
    kept: list[str] = []
    after_degree = False
    for chunk in chunks:
        degree = _is_degree(chunk) or _LOOKS_LIKE_DEGREE.match(chunk) is not None
        # The K of Sp.A(K).
        if not degree and not (after_degree and len(chunk.replace(".", "")) == 1):
            kept.append(chunk)
        after_degree = degree
    return kept


def _drop_degrees(chunks: list[str]) -> None:
    while len(chunks) > 1:
        chunk = chunks[-1]
        key = chunk.replace(".", "")
        with_dots = "." in chunk[:-1]
        if (with_dots and (key in BEHIND or key in BEHIND_WITH_DOTS)) or (len(chunks) > 2 and key in BEHIND):
            chunks.pop()
        else:
            return
