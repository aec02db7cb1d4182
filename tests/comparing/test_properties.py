"""What holds for all rules and all values, and for texts that someone wrote to do harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mantra.comparing import DEFAULT_THRESHOLDS, MAX_TEXT, RULES, Comparison, comparer, is_readable, normalised

COMPARERS = {rule: comparer(rule) for rule in RULES}

#: All characters, with lone surrogates and NUL.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
PIECES = st.sampled_from(
    """
    budi santoso susanto siti aminah muhammad m. h. drs. , s.kom nur hayati nurhayati abdurrahman bin i wayan a. . -
    5 05 rt rw no. blok c/5 jl. melati kel. sukamaju 1990 1.234,5 +62 0812 2 februari rp ( ) / ' é 😀 \u200f \0 oe dj tj
    """.split()  # noqa: SIM905
)
WRITTEN = st.lists(PIECES, max_size=9).map(" ".join)
TEXT = ANY_TEXT | WRITTEN
STORED = st.one_of(
    TEXT, st.none(), st.booleans(), st.integers(), st.integers(10**5000, 10**5001), st.floats(), st.decimals(),
    st.dates(),
    st.datetimes(), st.times(), st.binary(max_size=40), st.uuids(), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1), st.complex_numbers(),
)  # fmt: skip
RULE = st.sampled_from(list(RULES))
MANY = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(RULE, STORED, TEXT)
def test_it_never_raises_and_says_one_thing(rule: str, stored: Any, text: str) -> None:
    found = COMPARERS[rule](stored, text)
    assert isinstance(found, Comparison)
    assert found == COMPARERS[rule](stored, text)
    assert 0 <= found.similarity <= 100
    if rule in DEFAULT_THRESHOLDS:
        assert found.matches == (found.similarity >= DEFAULT_THRESHOLDS[rule])
    else:
        assert found.similarity == 100 * found.matches
    canonical = normalised(rule, stored)
    assert canonical is None or 0 < len(canonical) <= 2 * MAX_TEXT
    assert isinstance(is_readable(rule, text), bool)


@MANY
@given(RULE, TEXT, TEXT)
@example("name", "1", "0:0:0:0:0:10:0")
@example("name", "Rr. Rizki H., M.Kes", "Rizki Y.")
@example("name", "nur hayati siti", "nurhayati hayati")
def test_two_texts_compare_both_ways_alike(rule: str, one: str, other: str) -> None:
    assert COMPARERS[rule](one, other) == COMPARERS[rule](other, one)


@MANY
@given(RULE, TEXT, st.randoms(use_true_random=False))
def test_the_same_canonical_text_matches(rule: str, text: str, chance: Any) -> None:
    words = text.split(" ")
    chance.shuffle(words)
    for other in (text, text.upper(), f" {text} ", " ".join(words)):
        one, two = normalised(rule, text), normalised(rule, other)
        if one is not None and one == two:
            assert COMPARERS[rule](text, other) == (True, 100)
        elif rule not in DEFAULT_THRESHOLDS:
            assert COMPARERS[rule](text, other) == (False, 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "text",
    [
        "Budi\0Santoso", "\ud800Budi", "Budi\udfff", "\u202eidub", "Budi\u200d", "👨‍👩‍👧 Budi", "x" * 1_000_000,
        " " * 1_000_000 + "x",
        "é" * 1_000_000, "e\u0301" * 400, "\ufdfa" * MAX_TEXT, "1." * 250, "a " * 250, ", " * 250, "." * 500,
        "rt " * 160, "(" * 500,
        "Ǆ" * 499, "İ" * 499, "ß" * 500, "#" * 500, "%s{}\\", "'; DROP TABLE penduduk; --",
    ],
)  # fmt: skip
def test_hostile_texts(rule: str, text: str) -> None:
    compare = COMPARERS[rule]
    assert compare(text, text).matches == (normalised(rule, text) is not None)
    assert not compare(text, "Siti Aminah").matches
    assert compare("Siti Aminah", text) == compare(text, "Siti Aminah")
    assert compare(text.encode("utf-8", "surrogatepass"), "Siti Aminah").matches is False


@pytest.mark.parametrize("rule", ["text", "name", "address"])
def test_characters_that_are_not_seen_make_no_difference(rule: str) -> None:
    assert COMPARERS[rule]("Bu\u200bdi Santoso\u200f", "Budi Santoso") == (True, 100)
    assert COMPARERS[rule]("Budi\u00a0Santoso", "Budi Santoso") == (True, 100)
    assert COMPARERS[rule]("Ｂｕｄｉ Santoso", "Budi Santoso") == (True, 100)
