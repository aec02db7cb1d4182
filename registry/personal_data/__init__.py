"""Recognises columns with personal data, by their names and by sample values, and masks such values.

What is found is a proposal to the person who publishes the column. The classes are those of the law on personal data
(UU 27/2022, article 4): health, biometric and genetic data, criminal records, children and personal finances are
specific personal data, everything else about a person is general personal data.
"""

from __future__ import annotations

from registry.personal_data.kinds import (
    CERTAIN,
    IDENTIFIERS,
    KINDS,
    LIKELY,
    PERSONAL,
    POSSIBLE,
    SPECIFIC,
    Finding,
)
from registry.personal_data.masking import mask
from registry.personal_data.names import words_of
from registry.personal_data.recognizer import recognize
from registry.personal_data.values import is_nik

__all__ = (
    "CERTAIN",
    "IDENTIFIERS",
    "KINDS",
    "LIKELY",
    "PERSONAL",
    "POSSIBLE",
    "SPECIFIC",
    "Finding",
    "is_nik",
    "mask",
    "recognize",
    "words_of",
)
