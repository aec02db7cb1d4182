"""Many sets of arguments at once: each has the rows of a single call, whatever the engine and the statement."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.base import QueryFailed, TimedOut
from dataservices import runner, sets
from dataservices.plan import Plan
from dataservices.pool import SourcePool
from registry import faults
from registry.results import Fault, Row, Rows
from registry.snapshot.types import Field
from tests import dbf_writer
from tests.adapters import engines, tds_engine
from tests.dataservices.planned import call_of, plan_of, single
from tests.servers import real
from tests.servers.tds import TDSServer

ENGINES = ("sqlite", "dbase", "postgresql", "mariadb", "mysql56", "sqlserver", "sybase")
DAYS = [date(1990, 1, 1 + n) for n in range(5)]
#: nomor (the key), nama, golongan (three of them), gaji, lahir
PEOPLE = [
    (n, f"Orang {n}" if n % 7 else None, "ABC"[n % 3], Decimal(n * 1000) / 8, DAYS[n % 5] if n % 4 else None)
    for n in range(1, 41)
]


@pytest.fixture(scope="module")
def tds_servers() -> Iterator[dict[str, TDSServer | None]]:
    made = {name: None if real.source(name) else TDSServer(name) for name in tds_engine.CLASSES}
    yield made
    for server in made.values():
        if server is not None:
            server.remove()


@pytest.fixture(params=ENGINES)
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourcePool]:
    made = pool_of(request.param, request, tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourcePool]:
    made = pool_of("sqlite", request, tmp_path)
    yield made
    made.dispose()


def pool_of(name: str, request: pytest.FixtureRequest, folder: Path) -> SourcePool:
    if name == "dbase":
        return _dbase(folder)
    if name == "sqlite":
        engine: engines.Engine = engines.sqlite_engine(folder)
    elif name == "postgresql":
        engine = engines.postgresql_engine(request.getfixturevalue(name))
    elif name in ("mariadb", "mysql56"):
        engine = engines.mariadb_engine(request.getfixturevalue(name))
    else:
        engine = tds_engine.engine_of(name, request.getfixturevalue("tds_servers")[name])
    null = " NULL" if name in ("sqlserver", "sybase") else ""
    with suppress(QueryFailed):
        engine.write("DROP TABLE orang")
    engine.write(
        f"CREATE TABLE orang (nomor integer PRIMARY KEY, nama varchar(40){null}, golongan varchar(3){null},"
        f" gaji decimal(12, 2){null}, lahir date{null})"
    )
    names = ("nomor", "nama", "golongan", "gaji", "lahir")
    for row in PEOPLE:
        marks = ", ".join(f":{each}" for each in names)
        engine.write(f"INSERT INTO orang ({', '.join(names)}) VALUES ({marks})", dict(zip(names, row, strict=True)))
    return SourcePool(1, engine.name, engine.source, 2)


def _dbase(folder: Path) -> SourcePool:
    (folder / "tabel").mkdir()
    fields = [
        dbf_writer.F("NOMOR", "N", 6), dbf_writer.F("NAMA", "C", 40), dbf_writer.F("GOLONGAN", "C", 3),
        dbf_writer.F("GAJI", "N", 12, 2), dbf_writer.F("LAHIR", "D", 8),
    ]  # fmt: skip
    records = [
        [
            str(nomor).rjust(6).encode(), (nama or "").encode(), golongan.encode(), f"{gaji:.2f}".rjust(12).encode(),
            lahir.strftime("%Y%m%d").encode() if lahir else b" " * 8,
        ]
        for nomor, nama, golongan, gaji, lahir in PEOPLE
    ]  # fmt: skip
    dbf_writer.write(folder / "tabel" / "ORANG.DBF", fields, records)
    return SourcePool(1, "dbase", {"engine": "dbase", "database": str(folder / "tabel"), "roots": [str(folder)]}, 2)


def together(plan: Plan, arguments: Sequence[dict[str, Any]], **more: Any) -> tuple[list[Any], list[str]]:
    """What single() has for each of the arguments, from sets; and why any was run one by one."""
    answers: list[Any] = []
    reasons = []
    for result in sets.run_sets(call_of(plan, **more), arguments):
        columns = tuple((column.name, column.type) for column in result.columns)
        for index, rows in enumerate(result.rows):
            if isinstance(rows, Fault):
                answers.append(rows.code)
            else:
                answers.append((columns, rows, index in result.truncated))
        reasons.append(result.one_by_one)
    return answers, reasons


def statements(pool: SourcePool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that the source runs from now on."""
    sent: list[str] = []
    run = pool.adapter.run

    def watched(connection: Any, text: str, values: Any, limits: Any) -> Any:
        sent.append(text)
        return run(connection, text, values, limits)

    monkeypatch.setattr(pool.adapter, "run", watched)
    return sent


BY_KEY = "SELECT nomor, nama, golongan, gaji, lahir FROM orang WHERE nomor = :nomor"


def test_it_works(pool: SourcePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred look-ups are few statements, each with the rows of a single call."""
    plan = plan_of(pool, BY_KEY)
    wanted = [{"nomor": n} for n in [*range(1, 45), *range(40, 0, -1)]]
    expected = [single(plan, each) for each in wanted]
    sent = statements(pool, monkeypatch)
    answers, reasons = together(plan, wanted)
    assert answers == expected
    assert [rows for _, rows, _ in answers][2][0][0] in (3, "3")
    assert set(reasons) == {""}
    assert len(sent) < 2 + 84 // sets.set_size(plan) + 8


#: Statements that differ in what their rows and columns depend on, and the names of their parameters.
STATEMENTS = (
    (BY_KEY, "nomor"),
    ("SELECT nama, nomor FROM orang WHERE golongan = :golongan ORDER BY nomor DESC", "golongan"),
    ("SELECT nama, nomor FROM orang WHERE golongan = :golongan [[ AND nomor >= :nomor ]]", "golongan nomor"),
    ("SELECT o.* FROM orang o WHERE o.nomor > :nomor AND o.golongan = :golongan", "nomor golongan"),
    ("SELECT golongan, count(*) AS jumlah FROM orang WHERE lahir = :lahir GROUP BY golongan", "lahir"),
    ("SELECT count(*) AS jumlah, 'a:b %' AS teks FROM orang WHERE gaji > :gaji -- akhir ) t", "gaji"),
    ("SELECT nomor FROM orang WHERE nama = :nama OR nama LIKE 'Orang 1%' /* x */ ;", "nama"),
    ("SELECT DISTINCT golongan FROM orang WHERE nomor < :nomor", "nomor"),
    ("SELECT nomor, :nama AS diminta FROM orang WHERE nomor = :nomor", "nama nomor"),
    ("SELECT nama AS a FROM orang WHERE nomor = :nomor UNION ALL SELECT nama FROM orang WHERE nomor < :nomor", "nomor"),
)  # fmt: skip
VALUES: dict[str, tuple[Any, ...]] = {
    "nomor": (*range(43), None),
    "golongan": ("A", "B", "C", "tidak ada", "a'b %s :x", "", "\\"),
    "nama": ("Orang 1", "Orang 12", "%", "x" * 300),
    "gaji": (Decimal("125.00"), Decimal("2.5"), Decimal("1E3"), Decimal(0)),
    "lahir": (*DAYS, date(2000, 2, 29)),
}


@pytest.mark.parametrize("number", range(len(STATEMENTS)))
def test_sets_have_the_rows_of_single_calls(pool: SourcePool, number: int) -> None:
    """Generated arguments, in any order and mixture: missing ones drop blocks, others have other types."""
    text, names = STATEMENTS[number]
    random_ = random.Random(number)
    plan = plan_of(pool, text, max_rows=random_.choice((3, 1000)))
    for size in (1, 2, 3, 17, 90):
        wanted = [{name: random_.choice(VALUES[name]) for name in names.split()} for _ in range(size)]
        expected = [single(plan, each) for each in wanted]
        answers, _ = together(plan, wanted)
        assert [_sorted(plan, each) for each in answers] == [_sorted(plan, each) for each in expected]


def _sorted(plan: Plan, answer: Any) -> Any:
    """An answer in an order of its own where the statement has none; of a truncated one the number of rows."""
    if isinstance(answer, int):
        return answer
    columns, rows, truncated = answer
    if "ORDER BY" in plan.template.sql:
        return answer
    return columns, len(rows) if truncated else sorted(map(repr, rows)), truncated


def test_an_order_is_kept(pool: SourcePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each call has one row, ORDER BY costs nothing; where they have more, they are run by themselves."""
    plan = plan_of(pool, "SELECT nomor FROM orang WHERE nomor >= :dari AND nomor <= :sampai ORDER BY nomor DESC")
    ones = [{"dari": n, "sampai": n} for n in range(1, 41)]
    sent = statements(pool, monkeypatch)
    answers, reasons = together(plan, ones)
    assert [int(rows[0][0]) for _, rows, _ in answers] == list(range(1, 41))
    assert set(reasons) == {""} and len(sent) < 12
    several = [{"dari": n, "sampai": n + 3} for n in range(1, 38)]
    answers, reasons = together(plan, several)
    assert [[int(row[0]) for row in rows] for _, rows, _ in answers] == [[n + 3, n + 2, n + 1, n] for n in range(1, 38)]
    assert "order" in reasons


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT nomor, nomor FROM orang WHERE nomor = :nomor", ("columns", "refused", "")),
        ("WITH x AS (SELECT nomor FROM orang) SELECT nomor FROM x WHERE nomor = :nomor", ("with", "")),
        ("SELECT max(nomor) FROM orang WHERE nomor <= :nomor", ("refused", "columns", "")),
        ("SELECT 5 + :nomor FROM orang WHERE nomor = :nomor", ("names", "columns", "refused", "")),
    ],
)
def test_what_cannot_be_put_in_parentheses_is_run_one_by_one(
    pool: SourcePool, text: str, reason: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(pool, text)
    wanted = [{"nomor": n} for n in range(1, 30)]
    expected = [single(plan, each) for each in wanted]
    if (
        len({answer[0] for answer in expected if isinstance(answer, tuple)}) > 1
    ):  # MySQL's names of columns differ by value
        wanted, expected = [wanted[3]] * 29, [expected[3]] * 29
    answers, reasons = together(plan, wanted)
    assert answers == expected
    assert set(reasons) <= set(reason) and set(reasons) <= {"", *sets.REASONS}
    # What was found out is remembered: no further statement fails.
    sent = statements(pool, monkeypatch)
    assert together(plan, wanted)[0] == expected
    assert len(sent) <= len(wanted)


def test_a_fault_is_of_its_own_call_only(pool: SourcePool) -> None:
    """One value is out of the source's range: all other calls have their rows."""
    plan = plan_of(pool, BY_KEY)
    wanted = [{"nomor": n if n != 17 else 10**30} for n in range(1, 41)]
    expected = [single(plan, each) for each in wanted]
    answers, _ = together(plan, wanted)
    assert answers == expected
    assert all(not isinstance(answer, int) for n, answer in enumerate(answers) if n != 16)


def test_grants_and_declared_types_hold(pool: SourcePool) -> None:
    plan = plan_of(pool, BY_KEY, declared={"nomor": "text", "nama": "text", "gaji": "decimal"})
    wanted = [{"nomor": n} for n in range(1, 20)]
    for more in ({}, {"fields": frozenset(("nama",))}, {"protocol": "legacy"}):
        assert together(plan, wanted, **more)[0] == [single(plan, each, **more) for each in wanted]  # type: ignore[arg-type]


def test_a_declared_column_that_is_missing_is_each_calls_fault(sqlite: SourcePool) -> None:
    plan = plan_of(sqlite, BY_KEY, declared={"hilang": "text"})
    answers, _ = together(plan, [{"nomor": n} for n in range(1, 10)])
    assert answers == [faults.FIELD_MISSING.code] * 9


def test_the_row_limit_is_each_calls_own(pool: SourcePool) -> None:
    plan = plan_of(pool, "SELECT nomor FROM orang WHERE nomor <= :nomor", max_rows=5)
    answers, _ = together(plan, [{"nomor": n} for n in (2, 5, 6, 40, 0, 3)])
    assert [(len(rows), truncated) for _, rows, truncated in answers] == [
        (2, False), (5, False), (5, True), (5, True), (0, False), (3, False),
    ]  # fmt: skip


def test_pages_are_first_pages(sqlite: SourcePool) -> None:
    text = "SELECT nomor FROM orang WHERE golongan = :golongan ORDER BY nomor LIMIT :limit OFFSET :offset"
    plan = plan_of(sqlite, text, page_size=4)
    wanted = [{"golongan": each} for each in "ABCX"]
    assert together(plan, wanted)[0] == [single(plan, each) for each in wanted]


def test_a_result_is_bounded_and_goes_on(sqlite: SourcePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rows than the bound are in memory; the others are asked for again."""
    monkeypatch.setattr(sets, "MOST_ROWS", 50)
    plan = plan_of(sqlite, "SELECT nomor FROM orang WHERE nomor <= :nomor")
    wanted = [{"nomor": n} for n in range(1, 41)]
    found = list(sets.run_sets(call_of(plan), wanted))
    assert len(found) > 5
    assert all(sum(len(rows) for rows in result.rows if isinstance(rows, list)) <= 100 for result in found)
    rows = [rows for result in found for rows in result.rows]
    assert [len(each) for each in rows] == list(range(1, 41))  # type: ignore[arg-type]


def test_too_wide_a_result_is_a_fault_of_its_call(sqlite: SourcePool) -> None:
    plan = plan_of(sqlite, "SELECT nomor, :isi AS isi FROM orang WHERE nomor <= 3", width=4000)
    answers, _ = together(plan, [{"isi": "x" * n} for n in (1, 2, 1500, 3)])
    assert [answer if isinstance(answer, int) else len(answer[1]) for answer in answers] == [
        3, 3, faults.ANSWER_TOO_WIDE.code, 3,
    ]  # fmt: skip


def test_a_write_is_run_one_by_one(sqlite: SourcePool) -> None:
    plan = plan_of(sqlite, "UPDATE orang SET nama = :nama WHERE nomor = :nomor", writes=True)
    answers, reasons = together(plan, [{"nama": "x", "nomor": n} for n in (1, 2, 99)])
    assert [rows for _, rows, _ in answers] == [[(1,)], [(1,)], [(0,)]]
    assert reasons == ["writes"]


class _Failing:
    """An adapter's run() that fails for statements with more than ``most`` parts."""

    def __init__(self, run: Any, most: int, error: Exception) -> None:
        self.run, self.most, self.error, self.failed = run, most, error, 0

    def __call__(self, connection: Any, text: str, values: Any, limits: Any) -> Any:
        if text.count("mantra_n") > self.most:
            self.failed += 1
            raise self.error
        return self.run(connection, text, values, limits)


@pytest.mark.parametrize("most", [1, 2, 9, 32])
@pytest.mark.parametrize("error", [QueryFailed("other"), TimedOut()], ids=["refused", "slow"])
def test_what_is_too_much_for_a_source_is_halved_and_remembered(
    sqlite: SourcePool, most: int, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(sqlite, BY_KEY)
    failing = _Failing(sqlite.adapter.run, most, error)
    monkeypatch.setattr(sqlite.adapter, "run", failing)
    wanted = [{"nomor": n % 40 + 1} for n in range(200)]
    answers, reasons = together(plan, wanted)
    assert [rows[0][0] for _, rows, _ in answers] == [each["nomor"] for each in wanted]
    assert failing.failed <= 7
    assert ("refused" in reasons) == (most == 1)
    failing.failed = 0
    together(plan, wanted)
    assert failing.failed == 0
    # Later it is tried again: the source may have been busy.
    moment = sets.time.monotonic() + sets.FORGET_SECONDS + 1
    monkeypatch.setattr(sets.time, "monotonic", lambda: moment)
    together(plan, wanted)
    assert failing.failed > 0


def test_a_source_that_cannot_be_asked_is_nobodys_fault(sqlite: SourcePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered before is kept; the rest is asked for again."""
    plan = plan_of(sqlite, BY_KEY)
    wanted = [{"nomor": n} for n in range(1, 31)]
    run, count = sets.runner.execute, 0

    def busy_later(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count > 2:
            raise Fault(faults.SOURCE_BUSY, retry_after=1)
        return run(*arguments)

    monkeypatch.setattr(sets.runner, "execute", busy_later)
    result = sets.run_set(call_of(plan), wanted)
    assert 1 <= len(result.rows) < 30 and not any(isinstance(rows, Fault) for rows in result.rows)
    with pytest.raises(Fault) as error:
        sets.run_set(call_of(plan), wanted[len(result.rows) :])
    assert error.value.code == faults.SOURCE_BUSY.code and error.value.retry_after == 1


def test_no_text_or_value_can_leave_its_parentheses(sqlite: SourcePool) -> None:
    """The only statements that come so far are checked ones; their ends are cut off."""
    rows: list[Row] = []
    for text in (
        "SELECT nomor FROM orang WHERE nama = :nama -- ) t; DROP TABLE orang",
        "SELECT nomor FROM orang WHERE nama = :nama /* ) t UNION SELECT 1, 2 */",
        "SELECT nomor FROM orang WHERE nama = :nama ; -- x",
        "SELECT nomor FROM orang WHERE nama = ') t --' OR nama = :nama",
    ):
        plan = plan_of(sqlite, text)
        answers, reasons = together(plan, [{"nama": each} for each in ("Orang 1", ") t --", "'", "Orang 2")] * 4)
        assert set(reasons) == {""}
        rows += [row for _, found, _ in answers for row in found]
    assert rows == [(1,), (2,)] * 16


def test_every_engine_selects_by_the_value_of_the_grant_and_masks(pool: SourcePool) -> None:
    """Alone and in sets: the value is bound in each part, wildcards and quotation marks are text, and masks read what
    the engine gives for its types."""
    text = (
        "SELECT nomor AS nomor, nama AS nama, golongan AS golongan, lahir AS lahir FROM orang"
        " WHERE golongan = :grant.gol AND nomor = :nomor"
    )
    masks = {"nomor": "partial", "nama": "initials", "lahir": "year"}
    fields = tuple(
        Field(name, "text" if name == "nama" else "date" if name == "lahir" else "text", "", "internal", mask)
        for name, mask in {**masks, "golongan": ""}.items()
    )
    plan = plan_of(pool, text, declared={field.name: field.type for field in fields}, fields=fields)
    wanted = [{"nomor": n} for n in range(1, 41)]

    def found(value: str) -> tuple[list[Any], list[Any]]:
        alone, call = [], call_of(plan)
        call.tried_values = {"gol": value}
        for each in wanted:
            call.arguments = each
            result = runner.run(call)
            assert isinstance(result, Rows)
            alone += [
                dict(zip([c.name for c in result.columns], row, strict=True)) for b in result.batches for row in b
            ]
            result.close()
        together_ = [
            dict(zip([c.name for c in result.columns], row, strict=True))
            for result in sets.run_sets(call, wanted) for rows in result.rows
            if not isinstance(rows, Fault) for row in rows
        ]  # fmt: skip
        return alone, together_

    alone, in_sets = found("A")
    assert alone == in_sets and len(alone) == 13
    assert {row["golongan"].strip() for row in alone} == {"A"}
    assert {row["lahir"] for row in alone} == {"1990", None}
    assert {row["nama"] for row in alone} <= {"O.", None} and {row["nomor"] for row in alone} == {"•", "••"}
    for value in ("%", "' OR 1=1 --", "A' OR 'A'='A", "_"):
        assert found(value) == ([], [])
    missing = call_of(plan)
    missing.arguments = wanted[0]
    with pytest.raises(Fault) as refused:
        runner.run(missing)
    assert refused.value.code == faults.GRANT_INCOMPLETE.code
