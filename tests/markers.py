"""Marks each test by what it needs: ``server``, ``browser``, ``system``. ``./test quick`` leaves all three out.

Nobody marks by hand. A test needs what its own code, its fixtures and the helpers that they call refer to: a class of
tests/servers has an attribute ``marker``. Should a test start a process unseen, ``permit`` refuses to.
"""

from __future__ import annotations

import types
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.servers import process

MARKERS = {
    "server": "starts a database or another server",
    "browser": "drives a browser",
    "system": "starts the bus itself, or one of its commands",
}
#: A fixture that asks for another by its name: for that of a server, unless a parameter of the test is sqlite.
_BY_NAME = "getfixturevalue"
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs: dict[Path, set[str]] = defaultdict(set)
    for item in items:
        found = _needs(item)
        needs[item.path] |= found
        for name in sorted(found):
            item.add_marker(name)
    # Files that take long come first, or one worker would have the last of them when the others are done. Those with a
    # browser come one after another, and share it.
    items.sort(
        key=lambda item: ("browser" not in needs[item.path], "system" not in needs[item.path], not needs[item.path])
    )


def _needs(item: pytest.Item) -> set[str]:
    if "browser" in item.path.parts:
        return {"browser"}
    if not isinstance(item, pytest.Function):
        return set()
    parameters = list(item.callspec.params.values()) if hasattr(item, "callspec") else []
    fixtures = [definitions[-1].func for definitions in item._fixtureinfo.name2fixturedefs.values()]
    code = (types.FunctionType, type)
    found: set[str] = set()
    for subject in (item.function, *fixtures, *(value for value in parameters if isinstance(value, code))):
        found |= _referred(subject)
    if _BY_NAME in found and "sqlite" not in parameters:
        found.add("server")
    return found - {_BY_NAME}


@cache
def _referred(subject: Any) -> frozenset[str]:
    """The markers of all that a function or class of the tests refers to, through however many helpers."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting = [subject]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, type) and getattr(one, "marker", ""):
            found.add(one.marker)
        elif one is process.permit:
            found.add("system")
        elif (getattr(one, "__module__", None) or "").startswith("tests."):
            for code, names in _codes(one):
                found |= {_BY_NAME} & set(_names(code))
                waiting += [names[name] for name in _names(code) if name in names]
    return frozenset(found)


def _codes(subject: Any) -> Iterator[tuple[types.CodeType, dict[str, Any]]]:
    """The code of a function, or of all functions of a class, and what its global names stand for."""
    members = vars(subject).values() if isinstance(subject, type) else [subject]
    for member in members:
        function = getattr(member, "__func__", getattr(member, "fget", member))
        function = getattr(function, "__wrapped__", function)
        if isinstance(function, types.FunctionType):
            yield function.__code__, function.__globals__


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    process.permitted = any(item.get_closest_marker(name) for name in MARKERS)


# ------------------------------------------------------------------------------------------- the summary


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        item.config.stash[_LEFT_OUT].update(name for name in MARKERS if item.get_closest_marker(name))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash[_LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # Each worker has collected all tests.
    node.config.stash[_LEFT_OUT] |= Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.option.markexpr:
        left_out = config.stash[_LEFT_OUT]
        told = ", ".join(f"{name} ({left_out[name]})" for name in MARKERS if left_out[name]) or "no marker"
        terminalreporter.section(f"left out by -m {config.option.markexpr!r}")
        terminalreporter.line(f"{told}. ./test runs them too.")
