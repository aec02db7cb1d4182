"""What changed since the last call: nothing is missed, nothing is repeated, on every engine."""

from __future__ import annotations

import base64
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.base import QueryFailed
from dataservices import changes
from dataservices.plan import ChangeMarker, Plan
from dataservices.pool import SourcePool
from registry import faults, secrets
from registry.results import Fault, Row
from tests.adapters import engines, tds_engine
from tests.dataservices.planned import call_of, plan_of
from tests.servers import real
from tests.servers.tds import TDSServer

SQL = "SELECT id, nama, diubah, nomor, dihapus FROM warga"
MOMENT = {"postgresql": "timestamp", "mysql": "datetime(6)", "sqlite": "timestamp", "sqlserver": "datetime2(7)"}


@pytest.fixture(scope="module")
def tds_servers() -> Iterator[dict[str, TDSServer | None]]:
    made = {name: None if real.source(name) else TDSServer(name) for name in tds_engine.CLASSES}
    yield made
    for server in made.values():
        if server is not None:
            server.remove()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "sqlserver", "sybase"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> engines.Engine:
    return engine_of(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def live(request: pytest.FixtureRequest, tmp_path: Path) -> engines.Engine:
    """The engines that are real ones here: they have a clock, and transactions at the same time."""
    return engine_of(request.param, request, tmp_path)


def engine_of(name: str, request: pytest.FixtureRequest, folder: Path) -> engines.Engine:
    if name == "sqlite":
        made: engines.Engine = engines.sqlite_engine(folder)
    elif name in ("postgresql", "mariadb"):
        made = getattr(engines, f"{name}_engine")(request.getfixturevalue(name))
    else:
        made = tds_engine.engine_of(name, request.getfixturevalue("tds_servers")[name])
    with suppress(QueryFailed):
        made.write("DROP TABLE warga")
    null = " NULL" if made.name in ("sqlserver", "sybase") else ""
    moment = MOMENT.get(made.name, "datetime")
    made.write(
        f"CREATE TABLE warga (id integer PRIMARY KEY, nama varchar(40){null}, diubah {moment}{null},"
        f" nomor integer{null}, dihapus integer{null})"
    )
    return made


def insert(engine: engines.Engine, *rows: tuple[Any, ...]) -> None:
    """Rows of id, nama, diubah, nomor, dihapus."""
    for row in rows:
        values = dict(zip(("id", "nama", "diubah", "nomor", "dihapus"), row, strict=True))
        marks = ", ".join("NULL" if value is None else f":{name}" for name, value in values.items())
        given = {name: value for name, value in values.items() if value is not None}
        engine.write(f"INSERT INTO warga (id, nama, diubah, nomor, dihapus) VALUES ({marks})", given)


def plan_on(engine: engines.Engine, sql: str = SQL, pool: SourcePool | None = None, **marker: Any) -> Plan:
    # The tests' SQL Server and Sybase compare a time with a text as texts.
    column = "nomor" if engine.name in ("sqlserver", "sybase") else "diubah"
    given = {"column": column, "key": ("id",), "deleted": "", "lag_seconds": 5, "most": 100} | marker
    more = {"declared": given.pop("declared")} if "declared" in given else {}
    return plan_of(pool or SourcePool(1, engine.name, engine.source, 3), sql, changes=ChangeMarker(**given), **more)


def read(
    plan: Plan, cursor: str, limit: int, fields: frozenset[str] = frozenset(), **arguments: Any
) -> changes.Changes:
    call = call_of(plan, fields)
    call.arguments = arguments
    return changes.read_changes(call, cursor, limit)


def pages(plan: Plan, cursor: str = "", limit: int = 3, **arguments: Any) -> tuple[list[Row], str]:
    """All rows from a cursor on, and the last cursor."""
    rows: list[Row] = []
    while True:
        page = read(plan, cursor, limit, **arguments)
        assert len(page.rows) <= limit and page.cursor
        assert page.has_more is False or len(page.rows) == limit
        rows, cursor = rows + page.rows, page.cursor
        if not page.has_more:
            return rows, cursor


OLD = "2020-01-0{} 08:00:00"


def test_it_works(engine: engines.Engine) -> None:
    """Pages in the order of the marker, then of the key; and later only what changed."""
    insert(engine, *((n, f"Orang {n}", OLD.format(1 + n % 3), 1 + n % 3, None) for n in range(1, 12)))
    plan = plan_on(engine)
    rows, cursor = pages(plan)
    expected = sorted(range(1, 12), key=lambda n: (n % 3, n))
    assert [int(row[0]) for row in rows] == expected
    assert read(plan, cursor, 5).rows == []
    insert(engine, (20, "Baru", OLD.format(3), 3, None), (21, "Baru", OLD.format(9), 9, None))
    change = "UPDATE warga SET diubah = :w, nomor = 5, nama = :n WHERE id = 4"
    engine.write(change, {"w": OLD.format(5), "n": "Berubah"})
    later, cursor = pages(plan, cursor)
    assert [(int(row[0]), row[1]) for row in later] == [(20, "Baru"), (4, "Berubah"), (21, "Baru")]
    assert read(plan, cursor, 5).rows == []


@pytest.mark.parametrize("column", ["diubah", "nomor"])
@pytest.mark.parametrize("seed", range(2))
def test_equal_markers_neither_hide_nor_repeat_a_row(live: engines.Engine, seed: int, column: str) -> None:
    """Whatever the size of a page, in the middle of rows with the same marker."""
    random_ = random.Random(seed)
    rows = [
        (n, None, OLD.format(random_.choice((1, 2))), random_.choice((-5, 7)), None)
        for n in random_.sample(range(99), 23)
    ]
    insert(live, *rows)
    at = {"diubah": 2, "nomor": 3}[column]
    plan = plan_on(live, column=column)
    expected = [row[0] for row in sorted(rows, key=lambda row: (row[at], row[0]))]
    for limit in (1, 2, 5, 22, 23, 24, 100):
        found, _ = pages(plan, limit=limit)
        assert [int(row[0]) for row in found] == expected


def test_a_key_may_have_several_columns(engine: engines.Engine) -> None:
    insert(engine, *((n, "abc"[n % 3], OLD.format(1), n % 2, None) for n in range(1, 20)))
    plan = plan_on(engine, column="nomor", key=("nama", "id"))
    found, _ = pages(plan, limit=2)
    expected = sorted(range(1, 20), key=lambda n: (n % 2, "abc"[n % 3], n))
    assert [int(row[0]) for row in found] == expected


def test_fractions_of_a_second_count(live: engines.Engine) -> None:
    """The cursor holds a time as the source wrote it: rounded, a row would be given again and again."""
    digits = 9 if live.name == "sqlite" else 6
    times = [f"2020-01-01 08:00:00.{n * 3:0{digits}}" for n in range(1, 9)]
    insert(live, *((n, None, moment, n, None) for n, moment in enumerate(times)))
    rows, cursor = pages(plan_on(live), limit=1)
    assert [int(row[0]) for row in rows] == list(range(8))
    assert read(plan_on(live), cursor, 1).rows == []


def test_rows_without_a_marker_or_key_are_never_given(engine: engines.Engine) -> None:
    insert(engine, (1, "a", None, None, None), (2, None, OLD.format(1), 2, None), (3, "c", OLD.format(1), 3, None))
    assert [int(row[0]) for row in pages(plan_on(engine, key=("nama",)))[0]] == [3]


def test_deletions_are_told(engine: engines.Engine) -> None:
    insert(engine, *((n, None, OLD.format(n), n, deleted) for n, deleted in enumerate((None, 0, 1), 1)))
    page = read(plan_on(engine, deleted="dihapus"), "", 10)
    assert page.columns[-1].name == "_deleted" and page.columns[-1].type == "boolean"
    assert [(int(row[0]), row[-1]) for row in page.rows] == [(1, False), (2, False), (3, True)]


@pytest.mark.parametrize(
    ("value", "deleted"),
    [
        (None, False), (True, True), (False, False), (0, False), (1, True), ("", False), (" 0 ", False), ("Y", True),
        ("Tidak", False), ("2026-01-01 00:00:00", True), (b"\x00", False), (b"\x01", True), (0.0, False),
    ],
)  # fmt: skip
def test_what_marks_a_deletion(value: Any, deleted: bool) -> None:
    assert changes._is_deletion(value) is deleted


def test_the_grant_decides_about_columns_only(live: engines.Engine) -> None:
    """Marker and key find the rows, but the caller sees neither: not in the cursor either."""
    insert(live, (1, "Siti", OLD.format(1), 987654321, None), (2, "Budi", OLD.format(1), 987654322, None))
    plan = plan_on(live, key=("nomor",), deleted="dihapus")
    page = read(plan, "", 1, frozenset(("nama",)))
    assert [column.name for column in page.columns] == ["nama", "_deleted"] and page.rows == [("Siti", False)]
    raw = base64.urlsafe_b64decode(page.cursor + "=" * (-len(page.cursor) % 4))
    assert b"987654321" not in raw and "987654321" not in page.cursor and b"2020" not in raw
    assert read(plan, page.cursor, 1, frozenset(("nama",))).rows == [("Budi", False)]


def test_a_cursor_belongs_to_its_operation_marker_and_parameters(live: engines.Engine) -> None:
    insert(live, *((n, "ab"[n % 2], OLD.format(1), n, None) for n in range(1, 9)))
    text = f"{SQL} WHERE nama = :nama"
    plan = plan_on(live, text)
    page = read(plan, "", 2, nama="a")
    assert [int(row[0]) for row in read(plan, page.cursor, 9, nama="a").rows] == [6, 8]
    other = call_of(plan)
    assert other.operation is not None
    foreign = [
        lambda: read(plan, page.cursor, 2, nama="b"),
        lambda: read(plan_on(live, text, column="nomor"), page.cursor, 2, nama="a"),
        lambda: read(plan_on(live, text, key=("nomor",)), page.cursor, 2, nama="a"),
        *(
            (lambda letter=letter: read(plan, page.cursor[:-1] + letter, 2, nama="a"))
            for letter in "ABCDEFGHQgw_"
            if letter != page.cursor[-1]
        ),
        lambda: read(plan, page.cursor + "!", 2, nama="a"),
        lambda: read(plan, page.cursor[:9] + "*" + page.cursor[9:], 2, nama="a"),
        lambda: read(plan, page.cursor[:50], 2, nama="a"),
        lambda: read(plan, "x" * 10_000, 2, nama="a"),
        lambda: read(plan, "é", 2, nama="a"),
        lambda: read(plan, secrets.encrypt("[1, 2, 3]"), 2, nama="a"),
        lambda: read(plan, secrets.seal("[1, 2, 3]", "lain"), 2, nama="a"),
        lambda: read(plan, secrets.seal("[1, 2, 3]", "cursor"), 2, nama="a"),
        lambda: read(plan, secrets.seal("null", "cursor"), 2, nama="a"),
    ]
    for wrong in foreign:
        with pytest.raises(Fault) as error:
            wrong()
        assert error.value.kind is faults.PARAMETER_INVALID and error.value.details["parameter"] == "since"


def test_a_column_that_is_missing_is_the_providers_fault(live: engines.Engine) -> None:
    for marker in ({"column": "hilang"}, {"key": ("id", "hilang")}, {"deleted": "hilang"}):
        with pytest.raises(Fault) as error:
            read(plan_on(live, **marker), "", 2)
        assert error.value.kind is faults.FIELD_MISSING


def test_young_rows_wait(live: engines.Engine) -> None:
    """A transaction that is still open may write an earlier time than rows that are there already."""
    now = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')", "mysql": "NOW(6)", "postgresql": "LOCALTIMESTAMP"}[
        live.name
    ]
    insert(live, (1, "lama", OLD.format(1), 1, None))
    live.write(f"INSERT INTO warga (id, nama, diubah) VALUES (2, 'baru', {now})")
    assert [row[0] for row in pages(plan_on(live, lag_seconds=3600))[0]] == [1]
    assert [row[0] for row in pages(plan_on(live, lag_seconds=0))[0]] == [1, 2]
    # A number has no age.
    live.write("UPDATE warga SET nomor = 2 WHERE id = 2")
    assert [row[0] for row in pages(plan_on(live, column="nomor", lag_seconds=3600))[0]] == [1, 2]


def test_an_order_limit_or_comment_of_the_query_does_no_harm(engine: engines.Engine) -> None:
    insert(engine, *((n, f"100%{n}", OLD.format(1), n, None) for n in range(1, 6)))
    for text in (
        f"{SQL} ORDER BY nama DESC",
        f"{SQL} WHERE nama LIKE '100%' -- akhir",
        f"{SQL} WHERE nama LIKE :nama OR nama = ':nama';",
        f"{SQL} WHERE nama LIKE :nama [[ AND nomor > :nomor ]] /* ) t */",
    ):
        arguments = {"nama": "100%"} if ":nama" in text else {}
        arguments |= {"nomor": None} if "[[" in text else {}
        found, _ = pages(plan_on(engine, text), limit=2, **arguments)
        assert [int(row[0]) for row in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["sqlserver", "sybase"])
def test_times_are_written_so_that_no_setting_of_a_server_changes_them(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """T-SQL reads 2026-02-01 as January in some languages: text without dashes is read in one way only."""
    engine = engine_of(name, request, tmp_path)
    insert(engine, *((n, None, "2026-02-01 08:00:00.123", n, None) for n in (1, 2)))
    pool = SourcePool(1, engine.name, engine.source, 3)
    plan = plan_on(engine, pool=pool, column="diubah", lag_seconds=7)
    page = read(plan, "", 1)
    sent: list[tuple[str, Any]] = []
    run = pool.adapter.run
    pool.adapter.run = lambda *given: sent.append(given[1:3]) or run(*given)  # type: ignore[method-assign,func-returns-value]
    read(plan, page.cursor, 1)
    (text, values), *_ = sent
    assert text.startswith("SELECT TOP 2 t.* FROM (") and "DATEADD(second, -7, GETDATE())" in text
    assert values["c0"] == "20260201 08:00:00.123" and int(values["c1"]) == 1


STEPS, LAG = 220, 3
#: The source's clock of the test: a table, so that a second passes when the writer says so.
CLOCKS = {
    "postgresql": "(SELECT w FROM jam) - INTERVAL '{seconds} second'",
    "mysql": "(SELECT w FROM jam) - INTERVAL {seconds} SECOND",
    "sqlite": "(SELECT datetime(w, '-{seconds} seconds') FROM jam)",
}


class Writer(threading.Thread):
    """Inserts and updates with the time of the source's clock, many in one second and with keys in any order, while
    some transactions stay open for a while: each ends before its time is LAG seconds old, as the setting demands."""

    def __init__(self, engine: engines.Engine, seed: int) -> None:
        super().__init__()
        self.engine, self.random = engine, random.Random(seed)
        self.second, self.problem, self.done = 0, None, threading.Event()
        #: The connection of a transaction that is open, and the second of its row.
        self.open: tuple[Any, int] | None = None
        self.versions = 0

    def run(self) -> None:
        try:
            with self.engine.connection(writes=True) as (adapter, connection):
                for _ in range(STEPS):
                    self.step(adapter, connection)
                self.commit()
                self.pass_seconds(adapter, connection, LAG + 1)
        except Exception as error:
            self.problem = error
        finally:
            self.done.set()

    def step(self, adapter: Any, connection: Any) -> None:
        """One change, or a second that passes."""
        kind = self.random.random()
        if kind < 0.2:
            if self.open is not None and self.second + 1 - self.open[1] >= LAG - 1:
                self.commit()
            self.pass_seconds(adapter, connection, 1)
        elif kind < 0.3 and self.engine.name != "sqlite":
            self.commit()
            held = self.engine.adapter().connect(writes=True)
            cursor = held.cursor()
            cursor.execute("BEGIN")
            values = self.values(self.random.randrange(10_000, 20_000))
            cursor.execute(self.engine.mark(INSERT), values)
            self.open = held, self.second
        else:
            values = self.values(self.random.randrange(40))
            changed = adapter.run(connection, self.engine.mark(UPDATE), values, engines.WRITES).affected
            if not changed:
                adapter.run(connection, self.engine.mark(INSERT), values, engines.WRITES)

    def values(self, id: int) -> dict[str, Any]:
        self.versions += 1
        return {"id": id, "nama": f"versi {self.versions}", "diubah": self.moment()}

    def moment(self) -> str:
        return f"2020-01-01 08:{self.second // 60:02}:{self.second % 60:02}"

    def pass_seconds(self, adapter: Any, connection: Any, seconds: int) -> None:
        self.second += seconds
        adapter.run(connection, self.engine.mark("UPDATE jam SET w = :w"), {"w": self.moment()}, engines.WRITES)

    def commit(self) -> None:
        if self.open is not None:
            self.open[0].cursor().execute("COMMIT")
            self.open[0].close()
            self.open = None


INSERT = "INSERT INTO warga (id, nama, diubah) VALUES (:id, :nama, :diubah)"
UPDATE = "UPDATE warga SET nama = :nama, diubah = :diubah WHERE id = :id"


@pytest.mark.parametrize("seed", range(3))
def test_a_reader_follows_a_writer(live: engines.Engine, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the end the reader's table is the source's, and no version of a row came twice."""
    with suppress(QueryFailed):
        live.write("DROP TABLE jam")
    live.write(f"CREATE TABLE jam (w {MOMENT[live.name]})")
    live.write("INSERT INTO jam (w) VALUES (:w)", {"w": "2020-01-01 08:00:00"})
    plan = plan_on(live, lag_seconds=LAG)
    monkeypatch.setitem(changes._CLOCKS, plan.pool.adapter.dialect, CLOCKS[live.name])
    random_, writer = random.Random(seed), Writer(live, seed)
    seen: list[Row] = []
    cursor, ended = "", False
    writer.start()
    while not ended:
        ended = writer.done.is_set()  # before the read: one more follows the last change
        page = read(plan, cursor, random_.choice((1, 3, 10)))
        seen, cursor = seen + page.rows, page.cursor
        ended = ended and not page.has_more
    writer.join()
    assert writer.problem is None
    assert len({(row[0], row[1]) for row in seen}) == len(seen)
    source = {row[0]: row[1] for row in live.query("SELECT id, nama FROM warga")}
    assert {row[0]: row[1] for row in seen} == source
    assert len(seen) > 20


@pytest.mark.parametrize("seed", range(2))
def test_numbers_in_the_order_of_commits(live: engines.Engine, seed: int) -> None:
    """A number that grows with each change needs no age."""
    random_, plan = random.Random(seed), plan_on(live, column="nomor", lag_seconds=3600)
    done = threading.Event()

    def write() -> None:
        try:
            with live.connection(writes=True) as (adapter, connection):
                for number in range(150):
                    values = {"id": random_.randrange(30), "nama": f"versi {number}", "nomor": number}
                    update = "UPDATE warga SET nama = :nama, nomor = :nomor WHERE id = :id"
                    if not adapter.run(connection, live.mark(update), values, engines.WRITES).affected:
                        insert = "INSERT INTO warga (id, nama, nomor) VALUES (:id, :nama, :nomor)"
                        adapter.run(connection, live.mark(insert), values, engines.WRITES)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[Row] = []
    cursor, ended = "", False
    while not ended:
        ended = done.is_set()
        page = read(plan, cursor, 4)
        seen, cursor = seen + page.rows, page.cursor
        ended = ended and not page.has_more
    writer.join()
    assert [row[3] for row in seen] == sorted({row[3] for row in seen})
    assert {row[0]: row[1] for row in seen} == dict(live.query("SELECT id, nama FROM warga"))
