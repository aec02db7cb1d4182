"""A text as a literal of each language. Only these functions put texts of the registry into program code.

A reader copies the code into a program or a shell, so no text may end the literal that it is in, and no character may
be there unseen: control characters and those that change the direction of writing are written as escapes.
"""

from __future__ import annotations

import re
import unicodedata

#: Characters of a comment: more would not help its reader.
_COMMENT = 120
#: Ends a comment (PHP, Java), or is read even in one (Java's \\u000a).
_IN_COMMENTS = re.compile(r"[?%]>|\*/|\\|<(?=[!/])")


def _unseen(character: str) -> bool:
    """Return True for control and format characters, line and paragraph separators."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def _utf16(character: str) -> str:
    """Return a character as \\uXXXX: two of them if it needs two units of UTF-16."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def _utf8(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


def _with_backslashes(text: str, escaped: str, ascii_only: bool = False) -> str:
    """Return a text in quotes as most languages write it. ``escaped``: characters with a backslash before them."""
    names = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(
        f"\\{each}" if each in escaped
        else names.get(each) or (_utf16(each) if _unseen(each) or (ascii_only and each > "~") else each)
        for each in text
    )  # fmt: skip


def comment(text: str) -> str:
    """Return a text for a comment of any language: one line that does not end the comment."""
    line = " ".join("".join(" " if _unseen(each) else each for each in text).split())
    return _IN_COMMENTS.sub("-", line if len(line) <= _COMMENT else f"{line[: _COMMENT - 1]}…")


def shell(text: str) -> str:
    """POSIX shells. Bytes as in $'\\033' are in POSIX since 2024; bash, zsh and ksh have long known them."""
    if not any(_unseen(each) for each in text):
        return "'" + text.replace("'", "'\\''") + "'"
    octal = "".join(
        "".join(f"\\{byte:03o}" for byte in each.encode()) if _unseen(each) or each in "\\'" else each for each in text
    )
    return f"$'{octal}'"


def php(text: str) -> str:
    """PHP of any version: a text in double quotes is bytes."""
    escaped = "".join(f"\\{each}" if each in '\\"$' else _utf8(each) if _unseen(each) else each for each in text)
    return f'"{escaped}"'


def python(text: str) -> str:
    """Python 3. Beyond UTF-16's first plane it has \\U only."""
    text = "".join(f"\\U{ord(each):08x}" if _unseen(each) and each > "\uffff" else _python(each) for each in text)
    return f'"{text}"'


def _python(character: str) -> str:
    return _with_backslashes(character, '\\"')


def java(text: str) -> str:
    """Java. javac reads source files in the platform's charset: in ASCII there is none to get wrong."""
    return '"' + _with_backslashes(text, '\\"', ascii_only=True) + '"'


def csharp(text: str) -> str:
    return '"' + _with_backslashes(text, '\\"') + '"'


def javascript(text: str) -> str:
    """JavaScript. A tag in a text would end the script element in which the code may be pasted."""
    return '"' + _with_backslashes(text, '\\"').replace("<", "\\u003c") + '"'


def go(text: str) -> str:
    return python(text)


def r(text: str) -> str:
    return python(text)


def power_query(text: str) -> str:
    """Power Query's M: a quote is doubled, and #( begins an escape."""
    names = {'"': '""', "\n": "#(lf)", "\r": "#(cr)", "\t": "#(tab)"}
    text = text.replace("#(", "#(#)(")
    return '"' + "".join(names.get(each) or (_m(each) if _unseen(each) else each) for each in text) + '"'


def _m(character: str) -> str:
    return f"#({ord(character):08X})" if character > "\uffff" else f"#({ord(character):04X})"
