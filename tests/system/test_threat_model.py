"""The threat model: each threat has a control that is described, and a test that is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = (ROOT / "THREAT_MODEL.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in DOCUMENT.splitlines()
    if re.match(r"\| T\d+ \|", line)
]


@cache
def functions(path: str) -> frozenset[str]:
    """The test functions of a module."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_the_threats_are_numbered() -> None:
    assert len(ROWS) >= 40
    assert [row[0] for row in ROWS] == [f"T{number}" for number in range(1, len(ROWS) + 1)]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_threat_has_its_control_and_its_test(row: tuple[str, ...]) -> None:
    _number, actor, threat, control, shown = row
    assert actor
    assert threat
    for link in re.findall(r"\]\(([^)#]+)", control):
        assert (ROOT / link).exists(), link
    assert re.search(r"\]\(docs/", control), "where the control is described"
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", shown)
    assert tests, "what shows it"
    for path, name in tests:
        assert (ROOT / path).exists(), path
        assert not name or name in functions(path), f"{path}::{name}"
