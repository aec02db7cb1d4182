"""What a call costs is bounded, without a clock: by the functions that it calls."""

from __future__ import annotations

import ast
import inspect
import io
import sys
from typing import Any

import pytest

from mantra.gateway import recording
from mantra.wsgi import application
from registry.journal import lines, segments
from tests.cast import Cast, call

#: Function calls of a REST call by key for one row of SQLite, Python's and C's, from the environment to the body. One
#: takes about a third of a microsecond. Who needs more of them says in docs/performance.md what for.
MOST = 475


def once(cast: Cast) -> int:
    """Return how many functions a call calls, once the bus has its environment."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/rest/prov/data/satu.json",
        "QUERY_STRING": "id=7",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_ACCESSKEY": cast.key,
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    counted = 0
    started: list[str] = []

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    def start(status: str, _headers: Any) -> None:
        started.append(status)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        body = b"".join(application(environ, start))
    finally:
        sys.setprofile(before)
    assert started == ["200 OK"] and b"Orang 7" in body
    return counted


@pytest.mark.usefixtures("transactional_db")
def test_a_call_for_one_row_calls_few_functions(cast: Cast) -> None:
    for _warming in range(20):
        once(cast)
    assert once(cast) <= MOST


def _names(function: Any, variable: str) -> set[str]:
    """Return the names of the members that a function gives to a line of the journal."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(function))):
        match node:
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=member))]):
                found |= {str(member)} if name == variable else set()
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys)) if name == variable:
                found |= {str(key.value) for key in keys if isinstance(key, ast.Constant)}
    return found


@pytest.mark.parametrize("function", [recording.begin, recording.end], ids=["begin", "end"])
def test_what_stays_and_what_can_be_erased_of_a_call(function: Any) -> None:
    facts, content = _names(function, "line"), _names(function, "content")
    assert {"t", "id"} < facts <= lines.FACTS
    assert content and not content & lines.FACTS


def test_the_lines_of_a_call_are_split_as_all_lines_are(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of calls are written in two parts: what can be erased must not be among what stays."""
    written: list[tuple[dict[str, Any], dict[str, Any]]] = []
    write_parts = segments.write_parts

    def noted(facts: dict[str, Any], content: dict[str, Any], kind: str = "") -> None:
        written.append((facts, content))
        write_parts(facts, content, kind)

    monkeypatch.setattr(segments, "write_parts", noted)
    assert cast.get("satu.json", "id=7").status == 200
    assert cast.get("satu.json", "id=x").status == 400
    assert call("/rest/prov/data/tidak-ada.json").status == 404
    assert len(written) == 6
    for facts, content in written:
        assert lines.split({**facts, **content}) == (facts, content)
