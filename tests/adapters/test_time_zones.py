"""B03: the time zone of a source, where its columns have a zone of their own or the option names none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from adapters.base import ValueRefused, local_time, time_zone
from adapters.dbase import DBase
from adapters.mysql import _zone_name
from adapters.oracle.connecting import session_zone
from adapters.sybase import written
from tests import dbf_writer
from tests.adapters.engines import LIMITS, Engine, everything, mariadb_engine, postgresql_engine
from tests.adapters.test_contract import MOMENT
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

EIGHT = datetime(2026, 1, 31, 8)


@pytest.fixture
def postgres(postgresql: PostgreSQLServer) -> Engine:
    return postgresql_engine(postgresql)


@pytest.fixture
def maria(mariadb: MariaDBServer) -> Engine:
    return mariadb_engine(mariadb)


def test_a_column_with_a_zone_gets_the_moment_on_postgresql(postgres: Engine) -> None:
    sql = "SELECT make_timestamptz(2026, 1, 31, 0, 0, 0, 'UTC') = :s, make_timestamp(2026, 1, 31, 8, 0, 0) = :s"
    postgres.source = {**postgres.source, "timezone": "Asia/Makassar"}
    for moment in MOMENT:
        assert postgres.query(sql, {"s": moment}) == [(True, True)]


def test_a_timestamp_column_gets_the_moment_on_mariadb(maria: Engine) -> None:
    maria.source = {**maria.source, "timezone": "Asia/Makassar"}
    for moment in MOMENT:
        assert maria.query("SELECT FROM_UNIXTIME(1769817600) = :s", {"s": moment}) == [(1,)]


def test_the_sessions_own_zone_counts_where_the_source_names_none(postgres: Engine, maria: Engine) -> None:
    with _zone_of_postgresql(postgres, "Asia/Jayapura"), _zone_of_mariadb(maria, "+09:00"):
        nine = {"s": EIGHT.replace(hour=9, tzinfo=timezone(timedelta(hours=9)))}
        assert postgres.query("SELECT make_timestamp(2026, 1, 31, 9, 0, 0) = :s", nine) == [(True,)]
        sql = "SELECT FROM_UNIXTIME(1769817600) = :s, :s"
        for moment in (nine, {"s": MOMENT[1]}):
            assert maria.query(sql, moment) == [(1, "2026-01-31 09:00:00")]


@contextmanager
def _zone_of_postgresql(engine: Engine, zone: str) -> Iterator[None]:
    with engine.connection(writes=True) as (_, connection):
        connection.cursor().execute(f"ALTER ROLE CURRENT_USER SET TimeZone = '{zone}'")
        yield
        connection.cursor().execute("ALTER ROLE CURRENT_USER RESET TimeZone")


@contextmanager
def _zone_of_mariadb(engine: Engine, zone: str) -> Iterator[None]:
    assert isinstance(engine.server, MariaDBServer)
    cursor = engine.server.superuser().cursor()
    cursor.execute(f"SET GLOBAL time_zone = '{zone}'")
    yield
    cursor.execute("SET GLOBAL time_zone = 'SYSTEM'")


def test_a_dbase_file_has_the_local_time_of_the_source(tmp_path: Path) -> None:
    field = dbf_writer.F("WAKTU", "T", 8)
    julian_day = datetime(2026, 1, 31).toordinal() + 1721425
    cell = julian_day.to_bytes(4, "little") + (8 * 3_600_000).to_bytes(4, "little")
    dbf_writer.write(tmp_path / "hadir.dbf", [field], [[cell]], version=0x30)
    source = {"database": "hadir.dbf", "roots": [str(tmp_path)], "cache_dir": str(tmp_path / "c")}
    adapter = DBase({**source, "timezone": "Asia/Makassar"})
    connection = adapter.connect()
    for moment in MOMENT:
        stream = adapter.run(connection, "SELECT waktu FROM hadir WHERE waktu = :s", {"s": moment}, LIMITS)
        assert everything(stream) == [("2026-01-31 08:00:00",)]
    connection.close()


def test_sybase_has_no_offsets_and_gets_the_local_time() -> None:
    for moment in MOMENT:
        text = written("SELECT %(s)s", {"s": moment}, time_zone("Asia/Makassar"))
        assert text == "SELECT convert(datetime, '20260131 08:00:00.000')"


@pytest.mark.parametrize(
    ("session", "offset"),
    [("TIME_ZONE=+08:00", 8), ("NLS_SORT=BINARY; time_zone = Asia/Makassar", 8), ("TIME_ZONE=-3:30", -3.5)],
)
def test_oracles_session_names_the_zone(session: str, offset: float) -> None:
    zone = session_zone({"session": session})
    assert zone is not None
    assert EIGHT.replace(tzinfo=zone).utcoffset() == timedelta(hours=offset)


@pytest.mark.parametrize("session", ["", "NLS_SORT=BINARY", "TIME_ZONE=DBTIMEZONE", "x"])
def test_a_zone_that_only_oracle_knows_is_none(session: str) -> None:
    assert session_zone({"session": session}) is None


def test_local_time() -> None:
    assert local_time(EIGHT, UTC) is EIGHT
    assert local_time(MOMENT[0], time_zone("Asia/Jakarta")) == EIGHT.replace(hour=7)
    # The process's own zone, which is MANTRA_TIME_ZONE.
    assert local_time(MOMENT[0], None) == MOMENT[0].astimezone().replace(tzinfo=None)


@pytest.mark.parametrize("name", ["Asia/Atlantis", "Asia", "../etc/passwd", "/etc/passwd", "+07:00", 7])
def test_an_unknown_zone_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        time_zone(name)


def test_mysql_gets_a_zone_by_its_offset_if_that_never_changes() -> None:
    names = ["Asia/Jakarta", "Asia/Kathmandu", "America/Caracas", "Europe/Berlin", "Etc/GMT+5"]
    zones = [_zone_name(zone) for name in names if (zone := time_zone(name))]
    assert zones == ["+07:00", "+05:45", "America/Caracas", "Europe/Berlin", "-05:00"]


def test_a_moment_outside_of_the_calendar_is_the_callers_fault(maria: Engine) -> None:
    first = {"s": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))}
    with pytest.raises(ValueRefused) as error:
        maria.query("SELECT :s", first)
    assert error.value.parameter == "s"
