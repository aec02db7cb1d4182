"""Tables from uploaded files: made, called, replaced, brought back, deleted."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction

from adapters import adapter_class
from adapters.base import ConnectFailed, Limits, QueryFailed
from dataservices import pool, schema_browser, uploads
from dataservices.models import DataOperation, DataSource, UploadedTable, UploadVersion
from dataservices.uploads import Choices, ColumnChoice, Preview, UploadError, staging, storage, tables
from registry import deletion
from registry.models import Agency, User
from tests.cast import Cast
from tests.uploads import files

HEADER = ["NIK", "Nama", "Gaji", "Tgl Lahir"]


def people(count: int, mark: str = "Orang") -> bytes:
    rows = [[f"3173{number:012}", f"{mark} {number}", number * 1.5, f"1990-01-{number % 28 + 1:02}"]
            for number in range(1, count + 1)]  # fmt: skip
    return files.xlsx([HEADER, *rows])


Upload = Callable[..., Preview]


@pytest.fixture
def upload(agency: Agency) -> Upload:
    def uploaded(content: bytes, name: str = "pegawai.xlsx") -> Preview:
        return uploads.inspect(agency, name, [content])

    return uploaded


@pytest.fixture
def table(agency: Agency, provider: User, upload: Upload) -> UploadedTable:
    source, name = uploads.create_table(agency, upload(people(3)), Choices("Data Pegawai"), provider)
    return UploadedTable.objects.get(source=source, name=name)


def rows_of(source: DataSource, sql: str) -> list[Any]:
    adapter = adapter_class("sqlite")(source.settings())
    connection = adapter.connect()
    try:
        return [row for batch in adapter.run(connection, sql, {}, Limits(1000, 10)) for row in batch]
    finally:
        connection.close()


def test_it_works(agency: Agency, provider: User, upload: Upload) -> None:
    preview = uploads.reopen(agency, upload(people(30)).token)
    assert [(column.name, column.kind) for column in preview.columns] == [
        ("nik", "text"), ("nama", "text"), ("gaji", "decimal-id"), ("tgl_lahir", "date"),
    ]  # fmt: skip
    assert preview.found.rows == 30
    assert len(preview.found.sample) == 20
    source, name = uploads.create_table(agency, preview, Choices("Data Pegawai", note="awal"), provider)
    assert (str(source), name) == ("prov/unggahan", "data_pegawai")
    assert rows_of(source, "SELECT * FROM data_pegawai ORDER BY nik LIMIT 1") == [
        ("3173000000000001", "Orang 1", 1.5, "1990-01-02")
    ]
    table = source.uploaded_tables.get()
    version = table.current
    assert version is not None
    assert (version.number, version.rows, version.user, version.note) == (1, 30, "provider", "awal")
    with pytest.raises(UploadError):
        uploads.reopen(agency, preview.token)


def test_the_schema_browser_sees_the_types(table: UploadedTable) -> None:
    view = schema_browser.browse(table.source, table="data_pegawai")
    assert [(column.name, column.kind) for column in view.columns] == [
        ("nik", "text"), ("nama", "text"), ("gaji", "decimal"), ("tgl_lahir", "date"),
    ]  # fmt: skip
    assert {key.columns for key in view.keys} == {("nik",), ("nama",), ("gaji",), ("tgl_lahir",)}


def test_choices_are_kept(agency: Agency, provider: User, upload: Upload) -> None:
    columns = {
        0: ColumnChoice("nomor", "text"),
        1: ColumnChoice("nama", "text", left_out=True),
        2: ColumnChoice("gaji", "text"),
    }
    source, name = uploads.create_table(agency, upload(people(2)), Choices("x", "pegawai", columns), provider)
    assert name == "pegawai"
    expected = [("3173000000000001", "1.5", "1990-01-02"), ("3173000000000002", "3", "1990-01-03")]
    assert rows_of(source, "SELECT nomor, gaji, tgl_lahir FROM pegawai") == expected
    with pytest.raises(QueryFailed):
        rows_of(source, "SELECT nama FROM pegawai")


@pytest.mark.parametrize(
    "columns",
    [
        {0: ColumnChoice("nama", "text")},
        {0: ColumnChoice('a" TEXT); --', "text")},
        {0: ColumnChoice("select", "text")},
        {0: ColumnChoice("NIK", "text")},
        {0: ColumnChoice("nik", "uang")},
    ],
)
def test_wrong_choices_are_refused(agency: Agency, provider: User, upload: Upload, columns: Any) -> None:
    with pytest.raises(ValidationError):
        uploads.create_table(agency, upload(people(2)), Choices("x", "", columns), provider)
    assert not UploadedTable.objects.exists()


def test_a_type_that_does_not_fit_is_refused(agency: Agency, provider: User, upload: Upload) -> None:
    preview = upload(people(2))
    with pytest.raises(UploadError, match="Orang 1"):
        uploads.create_table(agency, preview, Choices("x", "", {1: ColumnChoice("nama", "integer")}), provider)
    uploads.create_table(agency, preview, Choices("x"), provider)  # the file is still there


def test_names_are_unique_within_the_source(agency: Agency, provider: User, upload: Upload, table: Any) -> None:
    _source, name = uploads.create_table(agency, upload(people(2)), Choices("Data Pegawai"), provider)
    assert name == "data_pegawai_2"
    for taken in ("DATA_PEGAWAI", "select", "sqlite_x", 'a"b', "a b"):
        with pytest.raises(ValidationError):
            uploads.create_table(agency, upload(people(2)), Choices("x", taken), provider)
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]
    joined = "SELECT count(*) FROM data_pegawai a JOIN data_pegawai_2 b ON a.nik = b.nik"
    assert rows_of(table.source, joined) == [(2,)]


# ------------------------------------------------------------------------------------------ calls


def test_a_call_reads_it_and_none_writes_it(cast: Cast, provider: User) -> None:
    agency = cast.provider
    preview = uploads.inspect(agency, "p.xlsx", [people(3)])
    source, _name = uploads.create_table(agency, preview, Choices("Pegawai"), provider)
    sql = "SELECT nama, gaji FROM pegawai WHERE nik = :nik"
    cast.operation("unggahan", sql, parameters=({"name": "nik"},), source=source)
    reply = cast.get("unggahan", "nik=3173000000000002")
    assert reply.json()["data"] == [{"nama": "Orang 2", "gaji": 3}]
    with pytest.raises(ValidationError) as refused:
        cast.define("tulis", "DELETE FROM pegawai", source=source, writes=True)
    assert "writes" in refused.value.message_dict


def test_a_call_sees_the_old_rows_or_the_new(cast: Cast, provider: User) -> None:
    """Readers go on while the table is replaced: each sees one version as a whole, and the last sees the new one."""
    agency = cast.provider
    source, name = uploads.create_table(
        agency, uploads.inspect(agency, "p.xlsx", [people(50, "v0")]), Choices("Pegawai"), provider
    )
    adapter = adapter_class("sqlite")(source.settings())
    sql = "SELECT min(nama), max(substr(nama, 1, 2)), count(*), min(substr(nama, 1, 2)) FROM pegawai"
    seen: set[Any] = set()
    stop, begun = threading.Event(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            connection = adapter.connect()
            seen.update(row[1:] for batch in adapter.run(connection, sql, {}, Limits(10, 10)) for row in batch)
            connection.close()
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert begun.wait(30)
        table = UploadedTable.objects.get(source=source, name=name)
        for number in (1, 2):
            content = people(50 + number, f"v{number}")
            uploads.replace_table(table, uploads.inspect(agency, "p.xlsx", [content]), provider)
    finally:
        stop.set()
        reader.join()
    assert seen <= {("v0", 50, "v0"), ("v1", 51, "v1"), ("v2", 52, "v2")}
    assert rows_of(source, sql)[0][1:] == ("v2", 52, "v2")


def test_a_streaming_call_ends_with_the_rows_it_began_with(
    agency: Agency, provider: User, table: UploadedTable
) -> None:
    many = uploads.inspect(agency, "p.xlsx", [people(3000, "lama")])
    uploads.replace_table(table, many, provider)
    adapter = adapter_class("sqlite")(table.source.settings())
    connection = adapter.connect()
    stream = adapter.run(connection, "SELECT nama FROM data_pegawai", {}, Limits(10_000, 60))
    batches = iter(stream)
    rows = next(batches)
    uploads.replace_table(table, uploads.inspect(agency, "p.xlsx", [people(2, "baru")]), provider)
    rows += [row for batch in batches for row in batch]
    stream.close()
    connection.close()
    assert len(rows) == 3000
    assert {row[0][:4] for row in rows} == {"lama"}
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(2,)]


def test_a_pool_opens_the_new_file(agency: Agency, provider: User, table: UploadedTable) -> None:
    source = table.source
    source_pool = pool.SourcePool(source.pk, source.engine, source.settings(), 2)

    def count() -> int:
        pooled = source_pool.checkout(False, 10)
        result = source_pool.adapter.run(
            pooled.connection, "SELECT count(*) FROM data_pegawai", {}, Limits(10, 10)
        )  # fmt: skip
        rows = [row for batch in result for row in batch]
        pooled.give_back()
        return int(rows[0][0])

    assert count() == 3
    uploads.replace_table(table, uploads.inspect(agency, "p.xlsx", [people(5)]), provider)
    assert count() == 5
    source_pool.dispose()


# -------------------------------------------------------------------------------------- replacing


def test_a_newer_file_replaces_the_rows(agency: Agency, provider: User, upload: Upload, table: UploadedTable) -> None:
    rows = [["Gaji", "Tgl  lahir", "nama", "NIK", None], [7, "31/12/1999", "Ani", "3173000000000009", None]]
    preview = upload(files.xlsx(rows), "baru.xlsx")
    found = uploads.difference(table, preview)
    assert (found.sentences(), found.rows_before, found.rows_after) == ([], 3, 1)
    version = uploads.replace_table(table, preview, provider, "Desember")
    assert (version.number, version.file_name, version.note) == (2, "baru.xlsx", "Desember")
    assert rows_of(table.source, "SELECT * FROM data_pegawai") == [("3173000000000009", "Ani", 7, "1999-12-31")]


@pytest.mark.parametrize(
    ("rows", "missing", "extra", "other"),
    [
        ([HEADER[:3], ["1", "a", 1]], ["tgl_lahir"], [], []),
        ([[*HEADER, "Unit"], ["1", "a", 1, "1990-01-01", "A"]], [], ["Unit"], []),
        ([HEADER, ["1", "a", "banyak", "1990-01-01"]], [], [], [("gaji", "decimal", 2, "banyak")]),
        ([["NIP", *HEADER[1:]], ["1", "a", 1, "kemarin"]], ["nik"], ["NIP"], [("tgl_lahir", "date", 2, "kemarin")]),
    ],
)
def test_other_columns_are_refused_by_name(
    provider: User, upload: Upload, table: UploadedTable, rows: Any, missing: Any, extra: Any, other: Any
) -> None:
    preview = upload(files.xlsx(rows))
    found = uploads.difference(table, preview)
    assert (found.missing, found.extra, found.other) == (missing, extra, other)
    with pytest.raises(UploadError) as refused:
        uploads.replace_table(table, preview, provider)
    for name in (*missing, *extra, *(each[0] for each in other)):
        assert name in str(refused.value)
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]


def test_columns_that_were_left_out_stay_left_out(agency: Agency, provider: User, upload: Upload) -> None:
    columns = {0: ColumnChoice("nik", "text", left_out=True)}
    source, _name = uploads.create_table(agency, upload(people(2)), Choices("x", "orang", columns), provider)
    table = UploadedTable.objects.get(source=source)
    newer = people(4)
    uploads.replace_table(table, upload(newer), provider)
    assert rows_of(source, "SELECT * FROM orang LIMIT 1") == [("Orang 1", 1.5, "1990-01-02")]
    assert uploads.difference(table, upload(newer)).same_file


def test_versions_are_kept_up_to_a_number_and_brought_back(
    provider: User, upload: Upload, table: UploadedTable, settings: Any
) -> None:
    settings.UPLOAD_VERSIONS = 3
    for count in (4, 5, 6):
        uploads.replace_table(table, upload(people(count)), provider)
    assert [(version.number, version.rows) for version in table.versions.all()] == [(4, 6), (3, 5), (2, 4)]
    folder = table.source.upload_folder / "versions"
    assert {path.stem for path in folder.iterdir()} == set(table.versions.values_list("stored", flat=True))
    uploads.bring_back(table, table.versions.get(number=2), provider)
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(4,)]
    assert UploadedTable.objects.get(pk=table.pk).current == table.versions.get(number=2)
    assert uploads.replace_table(table, upload(people(7)), provider).number == 5
    assert [version.number for version in table.versions.all()] == [5, 4, 3]
    assert LogEntry.objects.filter(object_id=str(table.pk)).count() == 6


def test_a_change_that_the_database_refuses_changes_nothing(
    provider: User, upload: Upload, table: UploadedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = upload(people(9))
    activate = storage.activate

    def fail(source: DataSource, path: Path) -> None:
        activate(source, path)
        monkeypatch.setattr(storage, "activate", activate)
        raise RuntimeError

    monkeypatch.setattr(storage, "activate", fail)
    with pytest.raises(RuntimeError):
        uploads.replace_table(table, preview, provider)
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]
    assert table.versions.count() == 1
    assert len(list((table.source.upload_folder / "versions").iterdir())) == 1


def test_lost_files_are_composed_again(provider: User, upload: Upload, table: UploadedTable) -> None:
    (table.source.upload_folder / "tables.sqlite3").unlink()
    storage.refresh(table.source)
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]


# -------------------------------------------------------------------------------------- deleting


def test_a_table_in_use_is_not_deleted(cast: Cast, provider: User, django_capture_on_commit_callbacks: Any) -> None:
    agency = cast.provider
    for title in ("Pegawai", "Unit"):
        uploads.create_table(agency, uploads.inspect(agency, "p.xlsx", [people(2)]), Choices(title), provider)
    used, unused = UploadedTable.objects.order_by("name")
    operation = cast.define("pakai", "SELECT nama FROM PEGAWAI", source=used.source)
    with pytest.raises(deletion.InUse, match="prov/data/pakai"):
        deletion.delete(provider, used)
    with django_capture_on_commit_callbacks(execute=True):
        deletion.delete(provider, unused)
    assert storage.parts_of(used.source).keys() == {"pegawai"}
    assert rows_of(used.source, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'unit'") == [(0,)]
    assert UploadVersion.objects.count() == 1
    assert len(list((used.source.upload_folder / "versions").iterdir())) == 1
    operation.delete()
    source, folder = used.source, used.source.upload_folder
    with django_capture_on_commit_callbacks(execute=True):
        deletion.delete(provider, used)
    with django_capture_on_commit_callbacks(execute=True):
        deletion.delete(provider, source)
    assert not folder.exists()


# ---------------------------------------------------------------------------------- files, limits


def test_files_are_private(folder: Path, table: UploadedTable, upload: Upload) -> None:
    upload(people(1))
    for path in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_source_of_uploads_stays_one(table: UploadedTable) -> None:
    source = table.source
    source.full_clean()
    source.database = "lain.sqlite3"
    with pytest.raises(ValidationError) as refused:
        source.full_clean()
    assert list(refused.value.message_dict) == ["database"]


def test_other_sources_do_not_reach_the_files(agency: Agency, table: UploadedTable) -> None:
    path = table.source.upload_folder / "tables.sqlite3"
    other = DataSource(agency=agency, code="lain", engine="sqlite", database=str(path))
    with pytest.raises(ConnectFailed, match="file-forbidden"):
        adapter_class("sqlite")(other.settings()).connect()


def test_another_agency_has_no_such_file(upload: Upload) -> None:
    token = upload(people(1)).token
    stranger = Agency.objects.create(code="asing", name="Asing")
    for wrong in (token, "", "../1/" + token, "x" * 22, "\0"):
        with pytest.raises(UploadError):
            uploads.reopen(stranger, wrong)


def test_staged_files_are_few_and_removed_after_a_day(agency: Agency, folder: Path) -> None:
    first = staging.stage(agency, "a.csv", [b"a"])
    os.utime(first.folder, (time.time() - staging.KEPT_SECONDS - 60,) * 2)
    for _ in range(staging.MOST_FILES + 3):
        last = staging.stage(agency, "C:\\Data\\rahasia\x07.csv", [b"a"])
    assert last.name == "rahasia.csv"
    assert not first.folder.exists()
    assert len(list((folder / "staged" / str(agency.pk)).iterdir())) == staging.MOST_FILES


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("MAX_UPLOAD_BYTES", 1000, "too-large"),
        ("MAX_UPLOAD_ROWS", 2, "rows"),
        ("MAX_UPLOAD_COLUMNS", 3, "columns"),
        ("MAX_UNPACKED_BYTES", 1000, "unpacked"),
    ],
)
def test_limits_are_settings(agency: Agency, folder: Path, settings: Any, setting: str, value: int, code: str) -> None:
    setattr(settings, setting, value)
    with pytest.raises(UploadError) as refused:
        uploads.inspect(agency, "p.xlsx", [people(3)])
    assert refused.value.code == code
    assert list((folder / "staged" / str(agency.pk)).iterdir()) == []


def test_the_uploads_of_a_source_have_a_size(
    provider: User, upload: Upload, table: UploadedTable, settings: Any
) -> None:
    used = sum(path.stat().st_size for path in table.source.upload_folder.rglob("*.sqlite3"))
    preview = upload(people(4))
    settings.MAX_UPLOADS_BYTES = used + 4096
    with pytest.raises(UploadError) as refused:
        tables._store(table, preview, "", provider)
    assert refused.value.code in ("full", "folder")
    assert rows_of(table.source, "SELECT count(*) FROM data_pegawai") == [(3,)]


def test_a_sheet_as_large_as_excel_allows_ends_only_its_own_process(upload: Upload) -> None:
    """One cell in the last column of the last row: a reader that makes room for all between needs 400 GB."""
    content = files.xlsx([["a"]], lambda _workbook, sheet: sheet.write(1_048_575, 16_383, 1))
    with pytest.raises(UploadError) as refused:
        upload(content)
    assert refused.value.code in ("memory", "columns")


def test_a_file_that_takes_too_long_is_given_up(upload: Upload, settings: Any) -> None:
    settings.UPLOAD_SECONDS = 1
    lines = "\n".join(["nama;alamat;tgl", *(f"Orang {n};Jalan {n};31/12/{1900 + n % 100}" for n in range(400_000))])
    with pytest.raises(UploadError) as refused:
        upload(lines.encode())
    assert refused.value.code == "time"


def test_uploads_wait_for_a_place(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataservices.uploads.process.WAIT_SECONDS", 0.0)
    monkeypatch.setattr("dataservices.uploads.process.PLACES", 1)
    from dataservices.uploads import process

    with process._place(), pytest.raises(UploadError) as refused:
        upload(people(1))
    assert refused.value.code == "busy"
    upload(people(1))


def test_the_reading_process_has_no_secrets(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    from dataservices.uploads import process

    run = process.subprocess.run

    def watched(*args: Any, **more: Any) -> Any:
        seen.update(more["env"])
        return run(*args, **more)

    monkeypatch.setattr(process.subprocess, "run", watched)
    uploads.inspect(agency, "p.xlsx", [people(1)])
    assert seen
    assert not [name for name in seen if name.startswith("MANTRA")]


def test_a_folder_that_cannot_be_written_is_said(agency: Agency, tmp_path: Path, settings: Any) -> None:
    (tmp_path / "berkas").write_text("")
    settings.UPLOAD_DIR = tmp_path / "berkas" / "uploads"
    with pytest.raises(UploadError) as refused:
        uploads.inspect(agency, "p.xlsx", [people(1)])
    assert refused.value.code == "folder"


@pytest.mark.django_db(transaction=True)
def test_operations_of_another_source_do_not_keep_it(agency: Agency, provider: User, table: UploadedTable) -> None:
    other = DataSource.objects.create(agency=agency, code="lain", engine="sqlite", database="x.sqlite3")
    from registry.models import Service

    service = Service.objects.create(agency=agency, code="s", title="S")
    DataOperation.objects.create(service=service, code="o", source=other, sql="SELECT 1 FROM data_pegawai")
    assert table.kept_because() == ""
    with transaction.atomic():
        deletion.delete(provider, table)
    assert not (table.source.upload_folder / "versions").exists() or not list(
        (table.source.upload_folder / "versions").iterdir()
    )


def table_of(values: list[str]) -> bytes:
    return files.xlsx([["Kolom A", "Unit"], *([value, "x"] for value in values)])


@pytest.mark.parametrize(("query", "refused"), [
    ("SELECT kolom_a FROM data", True), ("SELECT d.kolom_a AS a FROM data d", True), ("SELECT * FROM data", True),
    ("SELECT count(kolom_a) AS n, count(*) AS m FROM data", False), ("SELECT unit FROM data", False),
])  # fmt: skip
def test_a_newer_file_does_not_open_identifiers_to_everybody(
    cast: Cast, agency: Agency, provider: User, upload: Upload, query: str, refused: bool
) -> None:
    source, name = uploads.create_table(agency, upload(table_of(["a1", "b2", "c3"])), Choices("Data"), provider)
    table = UploadedTable.objects.get(source=source, name=name)
    cast.define("unggah", query, source=source, access="open")
    newer = upload(table_of([f"317123{day:02}0190{day:04}" for day in range(1, 29)]))
    if refused:
        with pytest.raises(UploadError, match="unggah"):
            uploads.replace_table(table, newer, provider)
    else:
        uploads.replace_table(table, newer, provider)
    table.refresh_from_db()
    assert table.current is not None
    assert table.current.number == (1 if refused else 2)
    assert len(rows_of(source, "SELECT kolom_a FROM data")) == (3 if refused else 28)
