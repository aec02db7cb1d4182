"""Names of people by similarity.

A name is a set of words. Each word of one name is paired with a word of the other: the same as it sounds, a short form,
a variant, a slip, an initial. The similarity begins at 100; each pair that is not equal takes some off, and so does a
word that only one name has. Words left on both sides contradict each other: the names are of two people, whatever else
is equal.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from mantra.comparing.comparison import MAX_TEXT, Rule, anything, composed, digest, text_of
from mantra.comparing.name_words import name_words
from mantra.comparing.spelling import are_known, folded, is_slip, is_variant, split_abdul
from mantra.comparing.titles import AMBIGUOUS

DEFAULT_THRESHOLD = 80
#: Names of more words are equal or not: pairing takes the square of their number.
MAX_WORDS = 12

#: What is taken off for each.
_SHORT, _VARIANT, _SLIP, _INITIAL, _ORDER, _JOINED, _FATHER, _MISSING, _MORE_MISSING = 2, 3, 8, 6, 2, 2, 4, 8, 16
#: The most that names have which contradict each other, and the most with too little in common to say.
_CONTRADICTION, _TOO_LITTLE = 70, 75
#: Words that so many people have that they do not tell one from another.
_FRAME = frozenset("""
    muhammad ahmad achmad akhmad abdul siti sitti nur noor sri i ni ida bagus anak agung gusti ayu luh wayan made nyoman
    ketut putu gede kadek komang andi daeng dewi tri dwi eko
""".split())  # fmt: skip # noqa: SIM905
#: The first letters of words, as folded, that an initial stands for.
_SAME_INITIAL = {
    "j": "jyz",
    "y": "yj",
    "z": "zj",
    "f": "fp",
    "p": "pf",
    "k": "kh",
    "c": "ch",
    "d": "dj",
    "t": "tc",
    "o": "ou",
}


class _Name(NamedTuple):
    words: list[str]
    #: Where the father's name begins.
    father_at: int


def _name(text: str) -> _Name:
    words, father_at, _ = name_words(text)
    if any(word[:3] == "abd" for word in words):
        father_at -= len(words)
        words = split_abdul(words)
        father_at += len(words)
    return _Name(words, father_at)


def normalised(value: Any) -> str | None:
    """Return the words as they sound, in the order of the alphabet."""
    text = text_of(value)
    if len(text) > MAX_TEXT:
        return digest(composed(text))
    return " ".join(sorted(folded(_name(text).words))) or None


def similarity(stored: Any, given: str) -> int:
    one, other = text_of(stored), text_of(given)
    if not one or not other:
        return 0
    if len(one) > MAX_TEXT or len(other) > MAX_TEXT:
        return 100 if composed(one) == composed(other) else 0
    first, second = _name(one), _name(other)
    if not first.words or not second.words:
        return 0
    if first.words == second.words:
        return 100
    if len(first.words) > MAX_WORDS or len(second.words) > MAX_WORDS:
        return 100 if sorted(folded(first.words)) == sorted(folded(second.words)) else 0
    # The order of the two names has no influence, as there is one.
    if (len(first.words), first.words) > (len(second.words), second.words):
        first, second = second, first
    return _compared(first, second)


def _compared(one: _Name, other: _Name) -> int:
    left, right = list(range(len(one.words))), list(range(len(other.words)))
    pairs: list[tuple[int, int]] = []
    for place, word in enumerate(one.words):
        if word in other.words:
            for against in right:
                if other.words[against] == word:
                    left.remove(place)
                    right.remove(against)
                    pairs.append((place, against))
                    break
    off = 0
    sounds: dict[tuple[bool, int], str] = {}
    if left and right:
        heard = folded([*(one.words[place] for place in left), *(other.words[place] for place in right)])
        sounds = dict(
            zip([*((False, place) for place in left), *((True, place) for place in right)], heard, strict=True)
        )
        off = _pair(one, left, other, right, sounds, pairs)
    if not left and not right and not off:
        # The same words in another order are the same to joins, too.
        return 100
    if left and right and len(one.words) != len(other.words):
        if _are_joined(one, other):
            return 100 - _JOINED
        joined = _join(one, left, other, right) + _join(other, right, one, left)
        if joined and not left and not right:
            return 100 - off - _JOINED * joined
    if left and right:
        return min(_CONTRADICTION, round(100 * len(pairs) / max(len(one.words), len(other.words))))
    full = [pair for pair in pairs if len(one.words[pair[0]]) > 1 and len(other.words[pair[1]]) > 1]
    strong = any(one.words[place] not in _FRAME and other.words[against] not in _FRAME for place, against in full)
    enough = strong
    if missing := left or right:
        longer = one if left else other
        fathers = sum(place >= longer.father_at for place in missing)
        others = len(missing) - fathers
        off += _FATHER * (fathers > 0) + (_MISSING if others == 1 else _MORE_MISSING * others)
        enough = strong and (len(full) > 1 or (others == 0 and len(pairs) == 1))
    if any(earlier[1] > later[1] for earlier, later in pairwise(sorted(pairs))):
        off += _ORDER
    return max(0, 100 - off if enough else min(_TOO_LITTLE, 100 - off))


def _pair(
    one: _Name, left: list[int], other: _Name, right: list[int], sounds: dict[tuple[bool, int], str],
    pairs: list[tuple[int, int]],
) -> int:  # fmt: skip
    """Pair the words that are left, those that are most alike first; return what that takes off."""
    costs = sorted(
        (cost, place, against)
        for place in left
        for against in right
        if (cost := _cost(one.words[place], sounds[False, place], other.words[against], sounds[True, against]))
        is not None
    )
    off = 0
    for cost, place, against in costs:
        if place in left and against in right:
            left.remove(place)
            right.remove(against)
            pairs.append((place, against))
            off += cost
    return off


def _cost(one: str, one_sound: str, other: str, other_sound: str) -> int | None:
    """Return what a pair of words takes off the similarity; None if they are two words."""
    if one_sound == other_sound:
        return 0
    if len(one) == 1 or len(other) == 1:
        initial, initial_sound, word, sound = (
            (one, one_sound, other, other_sound) if len(one) == 1 else (other, other_sound, one, one_sound)
        )
        if len(word) == 1:
            return None
        if initial == "m" and word == "muhammad":
            return _SHORT
        return _INITIAL if initial == word[0] or sound[0] in _SAME_INITIAL.get(initial_sound, initial_sound) else None
    if other in AMBIGUOUS.get(one, ()) or one in AMBIGUOUS.get(other, ()):
        return _SHORT
    if abs(len(one) - len(other)) > 3:
        return None
    if is_variant(one_sound, other_sound):
        return _VARIANT
    # As written, too: q and x are next to other keys than k.
    if is_slip(one_sound, other_sound) or (not are_known(one_sound, other_sound) and is_slip(one, other)):
        return _SLIP
    return None


def _are_joined(one: _Name, other: _Name) -> bool:
    """Return True if two names are the same letters with other blanks."""
    # The last letter of a word and an initial behind it are not one word.
    if min(map(len, one.words[1:] + other.words[1:]), default=0) < 2:
        return False
    return folded(["".join(one.words)]) == folded(["".join(other.words)])


def _join(whole: _Name, whole_left: list[int], parts: _Name, parts_left: list[int]) -> int:
    """Pair a word of one name with two neighbours of the other that are its parts; return how many."""
    found = 0
    for first in tuple(parts_left):
        pair = parts.words[first : first + 2]
        if first not in parts_left or first + 1 not in parts_left or min(map(len, pair)) < 2:
            continue
        sound = folded(["".join(pair)])
        for place in tuple(whole_left):
            if folded([whole.words[place]]) == sound:
                whole_left.remove(place)
                parts_left.remove(first)
                parts_left.remove(first + 1)
                found += 1
                break
    return found


RULE = Rule("name", normalised, anything, similarity=similarity, default_threshold=DEFAULT_THRESHOLD)
