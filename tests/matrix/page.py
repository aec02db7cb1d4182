"""docs/types.md, made of the tables."""

from __future__ import annotations

from pathlib import Path

from tests.matrix import dbase, mysql, oracle, postgresql, sqlite, tds
from tests.matrix.shown import NULL, Case, Engine, Shown, Type

PATH = Path(__file__).resolve().parents[2] / "docs" / "types.md"
ENGINES: tuple[Engine, ...] = (
    postgresql.ENGINE, mysql.ENGINE, *tds.ENGINES, oracle.ENGINE, dbase.ENGINE, sqlite.ENGINE,
)  # fmt: skip

_HEAD = """\
# Types

*For providers and callers.* This page shows how each type of each engine appears in a response: in JSON, XML, CSV
and PHP. `python -m tests.matrix --write` generates it from the tables that the tests run through the real drivers,
adapters and formats. A test fails if the page is stale.

NULL is `null` in JSON, an element with `xsi:nil="true"` in XML, an empty field in CSV and `N;` in PHP. NULL was tested
for every type except those marked *no NULL*. `ndjson`, `phpa` and `xlsx` write the same values
([wire-formats.md](wire-formats.md#formats)).

In the tables, *the bus* is the type's name in fields and in the management API. XML and CSV share a column: if they
differ, XML comes first. Long values are shortened (…). ␠ ␉ ␍ ␊ are a blank at an end, a tab, a carriage return and a
line feed; ␀ and ␁ are the bytes 0 and 1. The notes below a table say what a server or driver does to a value.
"""

_SIGNS = str.maketrans({**{number: 0x2400 + number for number in range(32)}, 0x7F: 0x2421})
_LONGEST = 56


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:26]}…{text[-16:]}"


def code(text: str) -> str:
    """A text as it is, in a cell of a table."""
    bare = text.strip(" ")
    left = len(text) - len(text.lstrip(" ")) if bare else len(text)
    right = len(text) - len(text.rstrip(" ")) if bare else 0
    shown = _shortened(f"{'␠' * left}{bare}{'␠' * right}".translate(_SIGNS)).replace("|", "\\|")
    if not shown:
        return "*empty*"
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def _given(engine: Engine, case: Case) -> str:
    """The value as it was put into the source."""
    if engine.name == "dbase" and not case.literal.replace("\r", "").replace("\n", "").isprintable():
        return code("0x" + case.literal.encode("latin-1").hex())
    return code(case.literal)


def _marked_up(shown: Shown) -> str:
    """What XML and CSV show."""
    if shown is NULL:
        return "nil, *empty*"
    assert shown.xml is not None
    return code(shown.xml) if shown.xml == shown.csv else f"{code(shown.xml)}<br>{code(shown.csv)}"


def _rows(engine: Engine, type_: Type) -> list[str]:
    name = code(type_.ddl) + ("" if type_.null else " *no NULL*")
    kind = type_.kind or "each its own"
    lines = []
    for case in type_.cases:
        shown = case.shown
        cells = (name, kind, case.label, _given(engine, case), code(shown.json), _marked_up(shown), code(shown.php))
        lines.append(f"| {' | '.join(cells)} |")
        name = kind = ""
    return lines


def _section(engine: Engine) -> str:
    lines = [f"## {engine.label}", "", f"Engine `{engine.name}`. Tested with: {engine.asked}", ""]
    lines += ["| type | the bus | case | value | JSON | XML, CSV | PHP |", "|---|---|---|---|---|---|---|"]
    for type_ in engine.types:
        lines += _rows(engine, type_)
    notes = [f"* {code(type_.ddl)}: {type_.note}." for type_ in engine.types if type_.note]
    notes += [f"* {name}: {what}." for name, what in engine.without]
    return "\n".join([*lines, "", *notes, ""] if notes else [*lines, ""])


def page() -> str:
    return "\n".join((_HEAD, *map(_section, ENGINES)))
