"""Hides personal data in previews."""

from __future__ import annotations

import re
from typing import Any

_HIDDEN = "•"


def mask(value: Any, kind: str) -> str:
    """Return a value of a kind with most of its characters hidden, for a preview. Empty values stay empty."""
    text = "" if value is None else str(value)
    if kind in ("NIK", "KK", "NPWP", "ID_NUMBER", "PHONE"):
        return text[:2] + _HIDDEN * max(len(text) - 2, 0) if len(text) > 4 else _HIDDEN * len(text)
    if kind == "NAME":
        return " ".join(word[:1] + _HIDDEN * 3 for word in text.split())
    if kind == "EMAIL":
        return f"{text[:1]}{_HIDDEN * 3}@{_HIDDEN * 3}" if text else ""
    if kind == "BIRTH_DATE" and re.match(r"(?:18|19|20)\d\d-", text):
        return f"{text[:4]}-{_HIDDEN * 2}-{_HIDDEN * 2}"
    return _HIDDEN * 3 if text else ""
