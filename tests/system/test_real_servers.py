"""T1: a run that is pointed at a real server reaches that one, and fails where none answers."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.servers import faulty, real
from tests.servers.process import permit
from tests.servers.surroundings import ROOT, clean

#: One test of each file that a variable points at a real server.
TESTS = [
    "tests/adapters/test_tds_contract.py::test_it_works",
    "tests/adapters/test_tds_values.py::test_a_variant_is_refused_whole",
    "tests/matrix/test_tds.py::test_an_unsigned_int_of_sybase_is_right_when_it_is_converted",
    "tests/adapters/test_oracle.py::test_it_works",
    "tests/matrix/test_oracle.py::test_a_column_of_values_reads_as_they_do_one_by_one",
]


def addresses(ports: dict[str, int]) -> dict[str, str]:
    tds = "127.0.0.1:{}/mantra?user=mantra&password=mantra"
    shapes = {"sqlserver": tds, "sybase": tds, "oracle": "mantra/mantra@127.0.0.1:{}/mantra"}
    return {real.VARIABLES[engine]: shapes[engine].format(port) for engine, port in ports.items()}


def run(tests: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    permit("pytest")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT, env=clean() | environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@contextmanager
def counting_listener() -> Iterator[tuple[int, list[object]]]:
    """A port that accepts connections and closes them, and a list with one item for each."""
    listener, accepted = socket.create_server(("127.0.0.1", 0)), []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, peer = listener.accept()
                accepted.append(peer)
                connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], accepted
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_t1_each_documented_variable_leads_to_its_server() -> None:
    with counting_listener() as sqlserver, counting_listener() as sybase, counting_listener() as oracle:
        heard = {"sqlserver": sqlserver, "sybase": sybase, "oracle": oracle}
        done = run(TESTS, **addresses({engine: port for engine, (port, _) in heard.items()}))
        assert all(accepted for _, accepted in heard.values()), done.stdout
    assert done.returncode == 1
    assert " passed" not in done.stdout.splitlines()[-1], done.stdout
    for path in {test.partition("::")[0] for test in TESTS}:
        assert f"ERROR {path}" in done.stdout


def test_t1_a_run_fails_where_no_server_answers() -> None:
    tests = [test for test in TESTS if test.endswith("::test_it_works")]
    with faulty.refusing_port() as port:
        done = run(tests, **addresses(dict.fromkeys(real.VARIABLES, port)))
    assert done.returncode == 1
    # Of the contract's file, SQL Server and Sybase.
    assert done.stdout.splitlines()[-1].startswith("3 errors in"), done.stdout


def test_t1_a_mistyped_variable_ends_the_run() -> None:
    done = run(TESTS[:1], MANTRA_TEST_SQLSERVR="127.0.0.1:1/x?user=x")
    assert done.returncode
    assert "no test reads MANTRA_TEST_SQLSERVR" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("engine", "value"),
    [("sqlserver", "127.0.0.1"), ("sybase", "127.0.0.1:5000/x"), ("oracle", "127.0.0.1:1521/x"), ("oracle", "ya")],
)
def test_t1_a_malformed_value_is_refused(engine: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(real.VARIABLES[engine], value)
    with pytest.raises(ValueError, match=real.VARIABLES[engine]):
        real.source(engine)
    monkeypatch.setenv(real.VARIABLES[engine], "")
    assert real.source(engine) is None


def test_t1_a_value_is_read_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANTRA_TEST_SQLSERVER", "db.contoh.id:1434/uji?user=u&password=p%26q&encryption=require")
    assert real.source("sqlserver") == {
        "engine": "sqlserver", "host": "db.contoh.id", "port": 1434, "database": "uji",
        "user": "u", "password": "p&q", "encryption": "require",
    }  # fmt: skip
    monkeypatch.setenv("MANTRA_TEST_ORACLE", "u/p@q@db.contoh.id:1521/layanan")
    assert real.source("oracle") == {
        "engine": "oracle", "host": "db.contoh.id", "port": 1521, "service_name": "layanan",
        "user": "u", "password": "p@q",
    }  # fmt: skip


def test_t1_every_variable_that_a_document_names_is_read() -> None:
    places = [*ROOT.glob("docs/*.md"), ROOT / "tests" / "servers" / "README.md", ROOT / "CONTRIBUTING.md"]
    named = {name for path in places for name in re.findall(r"MANTRA_TEST_\w+", path.read_text())}
    assert named == set(real.VARIABLES.values())
