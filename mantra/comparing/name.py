"""Names of people by similarity.

A name is a set of words. Each word of one name is paired with a word of the other: the same as it sounds, a short form,
a variant, a slip, an initial. The similarity begins at 100; each pair that is not equal takes some off, and so does a
word that only one name has. Words left on both sides contradict each other: the names are of two people, whatever else
is equal.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mantra.comparing.comparison import Rule, anything, composed, digest, is_long, text_of
from mantra.comparing.name_words import NameWords, name_words
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


def _name(text: str) -> NameWords:
    name = name_words(text)
    if "abd" not in "".join(name.words):
        return name
    own, father = split_abdul(name.words[: name.father_at]), split_abdul(name.words[name.father_at :])
    return NameWords(own + father, len(own), name.begins_short)


def normalised(value: Any) -> str | None:
    """Return the words as they sound, in the order of the alphabet, those of the father's name apart."""
    text = text_of(value)
    if is_long(text):
        return digest(composed(text))
    words, father_at, _ = _name(text)
    words = folded(words)
    own, father = sorted(words[:father_at]), sorted(words[father_at:])
    return " ".join([*own, "/", *father] if father else own) or None


def similarity(stored: Any, given: str) -> int:
    one, other = text_of(stored), text_of(given)
    if not one or not other:
        return 0
    if is_long(one) or is_long(other):
        return 100 if composed(one) == composed(other) else 0
    first, second = _name(one), _name(other)
    if not first.words or not second.words:
        return 0
    if first.words == second.words and not _both_name_fathers(first, second):
        return 100
    if len(first.words) > MAX_WORDS or len(second.words) > MAX_WORDS:
        return 100 if normalised(one) == normalised(other) else 0
    # The order of the two names has no influence, as there is one.
    if (len(first.words), first) > (len(second.words), second):
        first, second = second, first
    return _compared(first, second)


def _compared(one: NameWords, other: NameWords) -> int:
    left, right = list(range(len(one.words))), list(range(len(other.words)))
    pairs: list[tuple[int, int]] = []
    fathers = _both_name_fathers(one, other)
    for place, word in enumerate(one.words):
        if word in other.words:
            for against in right:
                if other.words[against] == word and not (fathers and _is_exchanged(one, place, other, against)):
                    left.remove(place)
                    right.remove(against)
                    pairs.append((place, against))
                    break
    off = 0
    if left and right:
        off = _pair(one, left, other, right, pairs)
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
        of_fathers = sum(place >= longer.father_at for place in missing)
        others = len(missing) - of_fathers
        off += _FATHER * (of_fathers > 0) + (_MISSING if others == 1 else _MORE_MISSING * others)
        enough = strong and (len(full) > 1 or (others == 0 and len(pairs) == 1))
    if any(earlier[1] > later[1] for earlier, later in pairwise(sorted(pairs))):
        off += _ORDER
    return max(0, 100 - off if enough else min(_TOO_LITTLE, 100 - off))


def _pair(one: NameWords, left: list[int], other: NameWords, right: list[int], pairs: list[tuple[int, int]]) -> int:
    """Pair the words that are left, those that are most alike first; return what that takes off."""
    fathers = _both_name_fathers(one, other)
    # Both at once: most of what it takes to fold words is the same for one and for several.
    heard = folded([one.words[place] for place in left] + [other.words[place] for place in right])
    one_sounds, other_sounds = dict(zip(left, heard, strict=False)), dict(zip(right, heard[len(left) :], strict=True))
    costs = sorted(
        (cost, place, against)
        for place in left
        for against in right
        if not (fathers and _is_exchanged(one, place, other, against))
        and (cost := _cost(one.words[place], one_sounds[place], other.words[against], other_sounds[against]))
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


def _both_name_fathers(one: NameWords, other: NameWords) -> bool:
    return one.father_at < len(one.words) and other.father_at < len(other.words)


def _is_exchanged(one: NameWords, place: int, other: NameWords, against: int) -> bool:
    """Return True for a word of a person's own name and one of a father's."""
    return (place < one.father_at) != (against < other.father_at)


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


def _are_joined(one: NameWords, other: NameWords) -> bool:
    """Return True if two names are the same letters with other blanks."""
    # The last letter of a word and an initial behind it are not one word.
    if min(map(len, one.words[1:] + other.words[1:]), default=0) < 2:
        return False
    return folded(["".join(one.words)]) == folded(["".join(other.words)])


def _join(whole: NameWords, whole_left: list[int], parts: NameWords, parts_left: list[int]) -> int:
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
