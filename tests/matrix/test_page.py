from __future__ import annotations

import re

from adapters import ADAPTERS, adapter_class
from registry.results import VALUE_TYPES
from tests.matrix.page import ENGINES, PATH, page


def test_the_page_is_what_the_tables_say() -> None:
    assert PATH.read_text() == page(), "python -m tests.matrix --write"


def test_every_engine_has_its_section() -> None:
    assert [engine.name for engine in ENGINES if engine.name in ADAPTERS] == [engine.name for engine in ENGINES]
    assert {engine.name for engine in ENGINES} == set(ADAPTERS)
    assert all(engine.label == adapter_class(engine.name).label for engine in ENGINES)


def test_every_type_of_the_bus_comes_from_somewhere() -> None:
    assert {type_.kind for engine in ENGINES for type_ in engine.types} - {""} == set(VALUE_TYPES)


def test_every_cell_stands_in_its_row() -> None:
    for line in page().splitlines():
        if line.startswith("|"):
            assert len(re.split(r"(?<!\\)\|", line)) == 9, line
