"""Brings the values of a type from a real table through the adapter and the renderers, and compares whole answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.base import Adapter, Limits
from mantra.gateway.formats import FORMATS
from registry.results import Column, Rows
from tests.matrix.shown import NULL, Case, Shown, Type

LIMITS = Limits(rows=1000, seconds=20)
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<response xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'


def _json(name: str, cells: Sequence[Shown]) -> str:
    rows = ",".join(f'{{"{name}":{cell.json}}}' for cell in cells)
    return f'{{"data":[{rows}],"count":{len(cells)},"truncated":false}}'


def _xml(name: str, cells: Sequence[Shown]) -> str:
    nil = f'<{name} xsi:nil="true"/>'
    rows = "".join(f"<row>{nil if cell.xml is None else f'<{name}>{cell.xml}</{name}>'}</row>" for cell in cells)
    return f"{_HEAD}<data>{rows}</data><count>{len(cells)}</count><truncated>false</truncated></response>"


def _csv(name: str, cells: Sequence[Shown]) -> str:
    return "".join(f"{line}\r\n" for line in (name, *(cell.csv for cell in cells)))


def _php(name: str, cells: Sequence[Shown]) -> str:
    rows = "".join(f'i:{place};a:1:{{s:{len(name)}:"{name}";{cell.php}}}' for place, cell in enumerate(cells))
    return f'a:3:{{s:4:"data";a:{len(cells)}:{{{rows}}}s:5:"count";i:{len(cells)};s:9:"truncated";b:0;}}'


_BODIES: dict[str, Callable[[str, Sequence[Shown]], str]] = {"json": _json, "xml": _xml, "csv": _csv, "php": _php}


@dataclass
class Asked:
    """An engine whose tables are filled: a type's values lie in column v of a table of its own, numbered by n."""

    adapter: Adapter
    connection: Any
    types: Sequence[Type]
    #: The column's name as the engine tells it.
    column: str = "v"

    def table(self, type_: Type) -> str:
        return f"m{self.types.index(type_)}"

    def check(self, type_: Type, cases: Sequence[Case]) -> None:
        """That an answer of just these values reads as the table says, in each format."""
        if type_ not in self.types:
            pytest.skip("the server makes such values by itself")
        places = [type_.rows.index(case) for case in cases]
        sql = f"SELECT v FROM {self.table(type_)} WHERE n IN ({', '.join(map(str, places))}) ORDER BY n"
        stream = self.adapter.run(self.connection, sql, {}, LIMITS)
        rows = [row for batch in stream for row in batch]
        stream.close()
        assert len(rows) == len(cases)
        if any(case.shown is not NULL for case in cases):
            assert stream.columns == ((self.column, type_.kind or None),)
        for name, body in _BODIES.items():
            told = tuple(Column(each, kind) for each, kind in stream.columns)
            written = b"".join(FORMATS[name].render(Rows(told, iter([rows])), "nilai")).decode()
            assert written == body(self.column, [case.shown for case in cases]), f"{name}: {rows!r:.300}"


def statements(types: Sequence[Type], number: str = "integer", nullable: str = "") -> Iterator[str]:
    """What makes the tables and fills them, in SQL that most engines share."""
    for place, type_ in enumerate(types):
        null = nullable if type_.null else ""
        yield f"CREATE TABLE m{place} (n {number} PRIMARY KEY, v {type_.ddl}{type_.more}{null})"
        for row, case in enumerate(type_.rows):
            yield f"INSERT INTO m{place} (n, v) VALUES ({row}, {case.literal})"


def each(types: Sequence[Type]) -> pytest.MarkDecorator:
    """Every value of every type, as parameters."""
    return pytest.mark.parametrize(
        ("type_", "case"),
        [pytest.param(type_, case, id=f"{type_.ddl}-{case.label}") for type_ in types for case in type_.rows],
    )


def every(types: Sequence[Type]) -> pytest.MarkDecorator:
    """Every type, as a parameter."""
    return pytest.mark.parametrize("type_", types, ids=[type_.ddl for type_ in types])
