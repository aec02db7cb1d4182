"""The contract of every adapter, asked of SQL Server and Sybase."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from adapters.base import ConnectFailed, Limits, TimedOut
from adapters.streaming import BATCH
from tests.adapters import tds_engine, test_contract
from tests.adapters.engines import LIMITS, everything
from tests.adapters.tds_engine import TDSEngine, engine_of
from tests.adapters.test_authoring import *  # noqa: F403
from tests.adapters.test_contract import *  # noqa: F403
from tests.bounds import assert_within
from tests.servers import real
from tests.servers.process import wait_until
from tests.servers.tds import TDSServer


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, TDSServer | None]]:
    made = {name: None if real.source(name) else TDSServer(name) for name in tds_engine.CLASSES}
    yield made
    for server in made.values():
        if server is not None:
            server.remove()


@pytest.fixture(params=["sqlserver", "sybase"])
def engine(request: pytest.FixtureRequest, servers: dict[str, TDSServer | None]) -> TDSEngine:
    return engine_of(request.param, servers[request.param])


@pytest.fixture
def networked(engine: TDSEngine) -> TDSEngine:
    return engine


@pytest.fixture
def stoppable(engine: TDSEngine) -> TDSEngine:
    if engine.real:
        pytest.skip("a server of somebody else's is not stopped")
    return engine


def test_the_row_cap_holds_against_a_limit_of_the_statement(engine: TDSEngine) -> None:
    if engine.name == "sybase":
        sql = "SELECT TOP 90000 n FROM deret"
    else:
        sql = tds_engine._NUMBERS.format(last="100000") + " SELECT TOP 90000 n FROM s OPTION (MAXRECURSION 0)"
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, sql, {}, Limits(700, 10))
        assert len(everything(stream)) == 701
        assert stream.reusable
        assert everything(adapter.run(connection, "SELECT 1", {}, LIMITS)) == [(1,)]


def test_returning_gives_rows(engine: TDSEngine) -> None:
    if engine.name == "sybase":
        pytest.skip("Sybase has no OUTPUT")
    stream = engine.write("INSERT INTO counter (id, nama) OUTPUT inserted.id, inserted.nama VALUES (1, 'a'), (2, 'b')")
    assert [name for name, _ in stream.columns] == ["id", "nama"]
    assert everything(stream) == [(1, "a"), (2, "b")]
    assert engine.query("SELECT count(*) FROM counter") == [(2,)]


def test_column_types_are_told(engine: TDSEngine) -> None:
    with engine.connection() as (adapter, connection):
        stream = adapter.run(connection, "SELECT * FROM exact", {}, LIMITS)
        assert dict(stream.columns) == {
            "id": "integer", "angka": "decimal", "teks": "text", "kosong": "text", "besar": "integer",
            "kecil": "integer", "nip": "text", "isi": "bytes", "tgl": "date", "waktu": "datetime",
            "benar": "boolean" if engine.name == "sqlserver" else "integer", "pecahan": "float",
        }  # fmt: skip
        assert everything(stream) == []


def test_values_are_exact(engine: TDSEngine) -> None:
    if engine.name == "sqlserver":
        test_contract.test_values_are_exact(engine)
        return
    row = {
        "id": 1, "angka": test_contract.ANGKA, "teks": "😀 é\n\t\r'\"\\", "besar": test_contract.BESAR,
        "kecil": test_contract.KECIL, "nip": "000000000000000042", "isi": bytes(range(256)), "benar": 1,
        "pecahan": 0.1 + 0.2, "kosong": "", "tgl": date(1, 1, 1), "waktu": datetime(9999, 12, 31, 23, 59, 59),
    }  # fmt: skip
    engine.write(f"INSERT INTO exact ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})", row)
    engine.write("INSERT INTO exact (id) VALUES (2)")
    first, second = engine.query(f"SELECT {', '.join(row)} FROM exact ORDER BY id")
    # A text without characters is one blank to Sybase.
    told = {"angka": str(test_contract.ANGKA), "kosong": " ", "tgl": "0001-01-01", "waktu": "9999-12-31 23:59:59"}
    assert dict(zip(row, first, strict=True)) == {**row, **told}
    assert second[1:] == (None,) * (len(row) - 1)


def test_encryption_that_the_server_does_not_offer(engine: TDSEngine) -> None:
    if engine.name == "sybase":
        pytest.skip("TDS 5.0 has no such negotiation")
    if engine.real:
        pytest.skip("a real server offers it")
    test_contract.test_encryption_that_the_server_does_not_offer(engine)


def test_a_server_that_never_answers(engine: TDSEngine, silent_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(ConnectFailed) as error:
        engine.adapter(port=silent_port).connect(seconds=3)
    assert_within(4.5, began)
    test_contract.refusal(ConnectFailed, "unreachable", error)


def test_a_restart_breaks_the_old_connection_only(stoppable: TDSEngine) -> None:
    test_contract.test_a_restart_breaks_the_old_connection_only(stoppable)


def test_a_server_that_hangs_is_cut_off(stoppable: TDSEngine) -> None:
    """The caller has its answer within the cap and a second, when nobody answers the driver's attention."""
    assert stoppable.server is not None and stoppable.server.process is not None
    process = stoppable.server.process.pid
    for cap in (0.5, 1.0):
        with stoppable.connection() as (adapter, connection):
            os.kill(process, signal.SIGSTOP)
            wait_until(lambda: _state(process) == "T", 5, "the end of the server's motion")
            try:
                began = time.monotonic()
                with pytest.raises(TimedOut) as error:
                    adapter.run(connection, "SELECT 1", {}, Limits(10, cap))
                assert time.monotonic() - began >= cap
                assert_within(cap + 1, began)
                test_contract.refusal(TimedOut, "timeout", error)
            finally:
                os.kill(process, signal.SIGCONT)


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_batch_is_a_batch(engine: TDSEngine) -> None:
    with engine.connection() as (adapter, connection):
        sizes = [
            len(batch) for batch in adapter.run(connection, engine.mark(engine.sql["series"]), {"last": 1234}, LIMITS)
        ]
        assert sizes == [BATCH, BATCH, 234]
