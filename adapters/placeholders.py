"""The offsets of a statement before and after its placeholders are replaced."""

from __future__ import annotations

import re
from collections.abc import Callable

#: A placeholder of the style "pyformat", or a doubled percent sign.
PYFORMAT = re.compile(r"%%|%\((\w+)\)s")


def offset_before(sql: str, offset: int, pattern: re.Pattern[str], length: Callable[[re.Match[str]], int]) -> int:
    """Return the offset in ``sql`` of the character at ``offset`` of the text that was sent.

    Each match of ``pattern`` was replaced by a text of ``length`` characters: an offset in that is where it begins.
    """
    shift = 0
    for match in pattern.finditer(sql):
        if offset < match.start() + shift:
            break
        replaced = length(match)
        if offset < match.start() + shift + replaced:
            return match.start()
        shift += replaced - len(match[0])
    return min(max(offset - shift, 0), len(sql))
