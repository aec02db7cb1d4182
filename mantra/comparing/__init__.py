"""Rules by which two values of a field are compared: names, dates, numbers and so on. No Django, no I/O.

A rule compares in bounded time: texts up to ``MAX_TEXT`` characters are read, longer ones are equal or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mantra.comparing import address, date, exact, name, number, phone, text
from mantra.comparing.comparison import EQUAL, MAX_TEXT, UNEQUAL, Comparison, Rule, digest, text_of

__all__ = ("DEFAULT_THRESHOLDS", "MAX_TEXT", "RULES", "Comparison", "Rule", "comparer", "is_readable", "normalised")

RULES: Mapping[str, Rule] = MappingProxyType(
    {module.RULE.code: module.RULE for module in (exact, text, name, date, number, phone, address)}
)
#: The similarity from which two values match, for each rule that has degrees.
DEFAULT_THRESHOLDS: Mapping[str, int] = MappingProxyType(
    {code: rule.default_threshold for code, rule in RULES.items() if rule.default_threshold is not None}
)


def comparer(rule: str, threshold: int | None = None) -> Callable[[Any, str], Comparison]:
    """Return the function that compares a stored value with a given text.

    It never raises, whatever is stored. A value that is empty, or is none, matches nothing. Raises ValueError for an
    unknown rule, and for a threshold that is not 1–100 or that the rule does not have.
    """
    found = _rule(rule)
    if threshold is not None and (found.default_threshold is None or not 1 <= threshold <= 100):
        raise ValueError(f"threshold {threshold} of rule {rule}")
    if found.similarity is not None and found.default_threshold is not None:
        return _by_degrees(found.similarity, found.default_threshold if threshold is None else threshold)
    if found.equal is not None:
        equal = found.equal
        return lambda stored, given: EQUAL if equal(stored, given) else UNEQUAL
    return _by_canonical_text(found.normalised)


def _by_degrees(similarity: Callable[[Any, str], int], threshold: int) -> Callable[[Any, str], Comparison]:
    def compare(stored: Any, given: str) -> Comparison:
        degree = similarity(stored, given)
        return Comparison(degree >= threshold, degree)

    return compare


def _by_canonical_text(canonical: Callable[[Any], str | None]) -> Callable[[Any, str], Comparison]:
    def compare(stored: Any, given: str) -> Comparison:
        one = canonical(stored)
        return EQUAL if one is not None and one == canonical(given) else UNEQUAL

    return compare


def normalised(rule: str, value: Any) -> str | None:
    """Return the canonical text of a value, by which values are joined; None if it is empty or is no value.

    It has at most twice ``MAX_TEXT`` characters. Values with the same one match.
    """
    canonical = _rule(rule).normalised(value)
    return canonical if canonical is None or len(canonical) <= 2 * MAX_TEXT else digest(canonical)


def is_readable(rule: str, given: str) -> bool:
    """Return False if a given text has not the form that a rule reads: no date, no number. Empty texts have none."""
    return text_of(given) != "" and _rule(rule).readable(given)


def _rule(code: str) -> Rule:
    try:
        return RULES[code]
    except KeyError:
        raise ValueError(f"rule {code}") from None
