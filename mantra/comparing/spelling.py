"""Spellings of one name: what sounds the same becomes the same, what is a variant or a slip is recognised."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from rapidfuzz.distance import OSA

from mantra.comparing.known_names import KNOWN_NAMES

# fmt: off
#: Old spelling and Arabic letters, in this order.
_SOUNDS = (
    ("dj", "j"), ("tj", "c"), ("sj", "s"), ("sy", "s"), ("sh", "s"), ("nj", "ny"), ("oe", "u"), ("oo", "u"),
    ("kh", "h"), ("dh", "d"),
    ("th", "t"), ("bh", "b"), ("gh", "g"), ("ph", "f"), ("dz", "z"), ("ts", "s"), ("q", "k"), ("v", "f"), ("x", "ks"),
    ("ae", "ai"), ("ei", "ai"), ("ie", "i"), ("au", "o"), ("uw", "u"),
)
#: ch is c, and h where Arabic names have it: Chairul, Chusnul, Achmad.
_CH = re.compile(r"(?<=[a-z])ch|ch(?=ai|oi|us|um|ur|ud|ul|ol|ot|od|adi|al|am|as|af|ab)")
_DOUBLED = re.compile(r"([^\W\d_])\1+")
#: Abdurrahman and Abdulrahman are Abdul Rahman.
_ABDUL = re.compile(
    r"abd[uo](?:l|r(?=r)|s(?=s)|t(?=t)|d(?=d)|n(?=n)|z(?=z))(?!l[ao]h?\Z)(.{3,})\Z"
)
#: Other vowels of the same name, as folded.
_SAME = {
    "rohman": "rahman", "rohim": "rahim", "rohmat": "rahmat", "rahmad": "rahmat", "romadon": "ramadan",
    "ahmat": "ahmad",
    "hodija": "hadija", "hotija": "hadija", "sole": "sale", "ibrohim": "ibrahim", "muhtar": "mohtar", "sity": "siti",
    "hoirul": "hairul", "hoirudin": "hairudin", "muhamat": "muhamad", "husen": "husain",
}
#: Letters that people write for one another, folded once more, and how different two letters of one group may be.
_COARSE = str.maketrans("fjyzoeubd", "piisaaapt")
_VOWELS = frozenset("aiueo")
_VOWEL_VARIANTS = frozenset(frozenset(pair) for pair in ("ao", "uo", "ae"))
_CONSONANT_VARIANTS = frozenset(frozenset(pair) for pair in ("fp", "jy", "ji", "jz", "iy", "sz"))
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# fmt: on


def folded(words: list[str]) -> list[str]:
    """Return the words as they sound, as many as there are. Equal words are spellings of one name."""
    text = f" {' '.join(words)} "
    for old, new in _SOUNDS:
        if old in text:
            text = text.replace(old, new)
    if "ch" in text:
        text = _CH.sub("h", text).replace("chr", "kr").replace("ch", "c")
    if "y" in text:
        text = text.replace(" y", " \1").replace("y", "i").replace("\1", "y")
    words = _DOUBLED.sub(r"\1", text).split()
    return [_SAME.get(word, word) for word in (w[:-1] if w[-1] == "h" and len(w) > 2 else w for w in words)]


def split_abdul(words: list[str]) -> list[str]:
    """Return the words, Abdurrahman and Abdulrahman as Abdul and Rahman."""
    result: list[str] = []
    for word in words:
        match = _ABDUL.match(word) if word.startswith("abd") else None
        result += ("abdul", match[1]) if match else (word,)
    return result


def _neighbours() -> frozenset[tuple[str, str]]:
    pairs: set[tuple[str, str]] = set()
    for row, keys in enumerate(_KEYS):
        pairs |= set(pairwise(keys))
        if row:
            above = _KEYS[row - 1]
            pairs |= {(key, above[place + shift]) for place, key in enumerate(keys) for shift in (0, 1)
                      if place + shift < len(above)}  # fmt: skip
    return frozenset(pairs | {(other, key) for key, other in pairs})


_NEIGHBOURS = _neighbours()


@cache
def _known() -> frozenset[str]:
    return frozenset(folded([name])[0] for name in KNOWN_NAMES)


def are_known(one: str, other: str) -> bool:
    """Return True if two folded words are names that different people are known to bear."""
    known = _known()
    return one in known and other in known


def is_variant(one: str, other: str) -> bool:
    """Return True if one of two folded words is how people also write the other: f and p, z and j, one o for an a.

    Words of different length are none, and two different names that people are known to bear.
    """
    if len(one) != len(other) or len(one) < 4 or one.translate(_COARSE) != other.translate(_COARSE):
        return False
    vowels = others = 0
    last = len(one) - 1
    for place, (letter, written) in enumerate(zip(one, other, strict=True)):
        if letter == written:
            continue
        pair = frozenset((letter, written))
        if pair in _VOWEL_VARIANTS:
            vowels += 1
        elif pair in _CONSONANT_VARIANTS or (place == last and letter in "dt"):
            others += 1
        else:
            return False
    if vowels > 1 or others > 2 or (vowels and len(one) < 6):
        return False
    return not (vowels and are_known(one, other))


def is_slip(one: str, other: str) -> bool:
    """Return True if two folded words differ by one slip of a finger: a letter left out, swapped, or of the next key.

    The first letter is right, and the last is not missing: Ilham and Ilhami are two names. So are two words that are
    both known as names, whatever they differ by.
    """
    if len(one) > len(other):
        one, other = other, one
    length = len(one)
    if length < 4 or len(other) - length > 1 or len(other) < 5 or one[0] != other[0]:
        return False
    if OSA.distance(one, other, score_cutoff=1) != 1:
        return False
    if are_known(one, other):
        return False
    place = 1
    while place < length and one[place] == other[place]:
        place += 1
    if len(other) > length:
        return _may_be_left_out(one, other, place)
    if place + 1 < length and one[place] == other[place + 1] and one[place + 1] == other[place]:
        return one[place] not in _VOWELS or one[place + 1] not in _VOWELS or length > 5
    letters = one[place], other[place]
    if letters not in _NEIGHBOURS or place == length - 1:
        return False
    # One vowel for another makes another name more often than not: Nining, Nuning.
    return letters[0] not in _VOWELS or letters[1] not in _VOWELS or length >= 7


def _may_be_left_out(shorter: str, longer: str, place: int) -> bool:
    if place == len(shorter):
        # At the end: only what no name ends with, such as Sulastr and Harton.
        return longer[-1] == "o" or (
            longer[-1] in _VOWELS and shorter[-2] not in _VOWELS and shorter[-1] not in _VOWELS
        )
    return len(longer) >= 6 or longer[place] in _VOWELS
