"""How far a dBase source's copies are, on the source's page: whoever makes them, and only for who may see it."""

from __future__ import annotations

import fcntl
import json
import re
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from adapters.base import Limits
from adapters.dbase import DBase, copies
from adapters.dbf import cells, header, memo, records, tables
from dataservices.copies import MAX_WARNINGS, SENTENCES, translated
from dataservices.models import DataSource
from registry.models import Agency
from tests.admin.conftest import MarkedAgency, SignIn
from tests.dbf_writer import F, write

ROOT = Path(__file__).resolve().parent.parent.parent
FIELDS = [F("NIP", "C", 18), F("TGL", "D", 8), F("GAJI", "N", 12, 2)]
LIMITS = Limits(10, 60)

_READER = """
import json, sys
from adapters.base import Limits
from adapters.dbase import DBase
source = json.loads(sys.argv[1])
adapter = DBase(source)
adapter.run(adapter.connect(), "SELECT 1 FROM " + sys.argv[2], {}, Limits(1, 120)).close()
"""


def rows(count: int, bad: int = 0) -> Iterator[list[bytes]]:
    for n in range(count):
        yield [b"%018d" % n, b"20260230" if n < bad else b"20260131", b"%12.2f" % n]


@pytest.fixture
def folder(marked: MarkedAgency) -> Path:
    found = Path(settings.SOURCE_FILE_DIRS[0]) / marked.agency.code / "kepegawaian"
    found.mkdir(parents=True, exist_ok=True)
    for path in found.iterdir():
        path.unlink()
    return found


@pytest.fixture
def source(marked: MarkedAgency, folder: Path) -> DataSource:
    return DataSource.objects.create(agency=marked.agency, code="foxpro", engine="dbase", database="kepegawaian")


def address(source: DataSource) -> str:
    return reverse("admin:dataservices_datasource_copies", args=(source.pk,))


def part(client: Client, source: DataSource) -> str:
    response = client.get(address(source), headers={"HX-Request": "true"})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.content.decode()


def state(text: str, table: str) -> str:
    found = re.search(rf'data-table="{table}" data-state="(\w+)"', text)
    assert found, text
    return found[1]


def ask(source: DataSource, sql: str) -> list[Any]:
    adapter = DBase(source.settings())
    connection = adapter.connect()
    try:
        stream = adapter.run(connection, sql, {}, LIMITS)
        return [row for batch in stream for row in batch]
    finally:
        connection.close()


def test_the_page_of_a_dbase_source_asks_for_its_copies(
    source: DataSource, marked: MarkedAgency, sign_in: SignIn
) -> None:
    client = sign_in("Provider", marked.agency)
    page = client.get(reverse("admin:dataservices_datasource_change", args=(source.pk,))).content.decode()
    assert f'hx-get="{address(source)}"' in page
    page = client.get(reverse("admin:dataservices_datasource_change", args=(marked.source.pk,))).content.decode()
    assert "source_copies" not in page
    assert client.get(address(marked.source)).status_code == 404
    assert "<html" in client.get(address(source)).content.decode()


def test_each_state_has_its_words(source: DataSource, marked: MarkedAgency, folder: Path, sign_in: SignIn) -> None:
    client = sign_in("Provider", marked.agency)
    assert "data-table" not in part(client, source)
    write(folder / "BAIK.DBF", FIELDS, rows(12, bad=2))
    (folder / "rusak.dbf").write_bytes(b"bukan tabel sama sekali")
    text = part(client, source)
    assert state(text, "baik") == "none"
    assert state(text, "rusak") == "refused"
    assert "0x62" in text
    assert ask(source, "SELECT count(*) FROM baik") == [(12,)]
    text = part(client, source)
    assert state(text, "baik") in ("ready", "old")
    assert 'data-warnings="2"' in text
    assert "TGL" in text
    assert "<td>12</td>" in text
    assert "2026" not in re.sub(r'title="[^"]*"', "", text), "a cell's content"


def test_a_long_list_of_warnings_is_cut(
    source: DataSource, marked: MarkedAgency, folder: Path, sign_in: SignIn
) -> None:
    many = [F(f"T{n}", "D", 8) for n in range(10)]
    write(folder / "tanggal.dbf", many, [[b"20260230"] * 10] * 30)
    ask(source, "SELECT count(*) FROM tanggal")
    text = part(sign_in("Provider", marked.agency), source)
    assert text.count("<li>") == MAX_WARNINGS + 1
    assert 'data-warnings="210"' in text


def test_what_another_process_reads_is_shown_as_it_goes(
    source: DataSource, marked: MarkedAgency, folder: Path, sign_in: SignIn
) -> None:
    write(folder / "besar.dbf", FIELDS, rows(120_000))
    client = sign_in("Provider", marked.agency)
    words = [sys.executable, "-c", _READER, _json(source.settings()), "besar"]
    seen: set[tuple[str, bool]] = set()
    with subprocess.Popen(words, cwd=ROOT) as reader:
        while reader.poll() is None:
            text = part(client, source)
            percent = re.search(r"</progress> (\d+)%", text)
            seen.add((state(text, "besar"), percent is not None and 0 < int(percent[1]) < 100))
            if state(text, "besar") == "reading":
                assert 'hx-trigger="every 1s"' in text
            time.sleep(0.01)
    assert reader.returncode == 0
    assert ("reading", True) in seen
    text = part(client, source)
    assert state(text, "besar") in ("ready", "old")
    assert 'hx-trigger="every 10s"' in text
    assert re.search(r"120[.,]?000", text)


def _json(values: dict[str, Any]) -> str:
    return json.dumps({name: values[name] for name in ("database", "roots")})


def test_progress_is_what_lies_in_the_lock_file(
    source: DataSource, marked: MarkedAgency, folder: Path, sign_in: SignIn
) -> None:
    write(folder / "p.dbf", FIELDS, rows(3))
    ask(source, "SELECT count(*) FROM p")
    (lock,) = folder.glob(".mantra-p-*.lock")
    client = sign_in("Provider", marked.agency)
    with lock.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(struct.pack("<QQ", 1, 4))
        file.flush()
        text = part(client, source)
        assert state(text, "p") == "reading"
        assert "25%" in text
        # The copy that there is already, and that calls are answered from meanwhile.
        assert "title=" in text
    assert state(part(client, source), "p") in ("ready", "old")


def test_a_reading_that_failed_says_why(
    source: DataSource, marked: MarkedAgency, folder: Path, sign_in: SignIn
) -> None:
    write(folder / "p.dbf", FIELDS, rows(3))
    ask(source, "SELECT count(*) FROM p")
    (lock,) = folder.glob(".mantra-p-*.lock")
    client = sign_in("Provider", marked.agency)
    lock.write_bytes(struct.pack("<QQ", 1, 4) + b"file-busy")
    write(folder / "p.dbf", FIELDS, rows(5))
    text = part(client, source)
    assert state(text, "p") == "failed"
    with override("id"):
        assert "Program lain sedang menulis" in text
    assert ask(source, "SELECT count(*) FROM p") in ([(3,)], [(5,)])
    until = time.monotonic() + 10
    while time.monotonic() < until and ask(source, "SELECT count(*) FROM p") != [(5,)]:
        time.sleep(0.05)
    assert state(part(client, source), "p") in ("ready", "old")


def test_a_source_that_is_not_there_says_so(source: DataSource, marked: MarkedAgency, sign_in: SignIn) -> None:
    source.database = "hilang"
    source.save()
    text = part(sign_in("Provider", marked.agency), source)
    assert "mantra-fault" in text
    assert str(settings.SOURCE_FILE_DIRS[0]) not in text


def test_strangers_see_nothing_of_it(source: DataSource, folder: Path, stranger: Agency, sign_in: SignIn) -> None:
    write(folder / "p.dbf", FIELDS, rows(3))
    for role in ("Provider", "Publisher", "Requester"):
        assert sign_in(role, stranger).get(address(source)).status_code in (403, 404)
    assert Client().get(address(source)).status_code == 302
    assert "data-table" in part(sign_in("Supervisor"), source)


_SAID = r'(?:BadCell|BadMemo|Refused|warnings\.append|lines\.append|problems\.append)\(\s*f?"([^"]+)"'


def test_every_sentence_of_the_readers_is_known_here() -> None:
    """Whoever words a new warning in adapters/dbf enters it into SENTENCES."""
    said: list[str] = []
    for module in (cells, header, memo, records, tables):
        source = Path(str(module.__file__)).read_text()
        source = re.sub(r'"\s*\n\s*f?"', "", source)  # adjacent parts of one text
        said += re.findall(_SAID, source)
    said = [re.sub(r"\{[^}]*\}", "7", text) for text in said]
    assert len(said) > 30
    unknown = [text for text in said if translated(text) == text and not _verbatim(text)]
    assert unknown == []
    with override("id"):
        assert translated("record 5, field TGL: the date does not exist; returned as NULL") != (
            "record 5, field TGL: the date does not exist; returned as NULL"
        )
        assert "TGL" in translated("record 5, field TGL: the date does not exist; returned as NULL")
    assert translated("unknown words") == "unknown words"


def _verbatim(text: str) -> bool:
    return any(re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(sentence)), text) for sentence in SENTENCES)


# -------------------------------------------------------------------- whose copy is whose


def test_copies_of_different_tables_never_share_a_file(tmp_path: Path) -> None:
    """Two agencies with the same folder names, names that differ in capital letters only, two code pages."""
    common = tmp_path / "bersama"
    found = {}
    for agency in ("satu", "dua"):
        for name, count in (("Pegawai.dbf", 1), ("PEGAWAI.DBF", 2), ("pegawai.v2.dbf", 3)):
            place = tmp_path / agency / "data"
            place.mkdir(parents=True, exist_ok=True)
            write(place / name, FIELDS, rows(count + 10 * (agency == "dua")))
            for encoding in ("cp850", "cp1252"):
                given = {
                    "database": f"data/{name}", "roots": [str(tmp_path / agency)], "encoding": encoding,
                    "cache_dir": str(common),
                }  # fmt: skip
                (table,) = tables.tables(given)[0].values()
                key = table.cache.name.rsplit("-", 1)[1].casefold()
                assert key not in found, "as a file system would have it that takes capital letters for small ones"
                found[key] = given
                adapter = DBase(given)
                named = f'"{table.name}"'
                stream = adapter.run(adapter.connect(), f"SELECT count(*) FROM {named}", {}, LIMITS)
                assert [row for batch in stream for row in batch] == [(count + 10 * (agency == "dua"),)]
    assert len(found) == 12
    assert len(list(tmp_path.glob("*/data/.mantra-*.sqlite3"))) == 12
    assert all([each.state for each in copies(given)[0]] != ["none"] for given in found.values())
