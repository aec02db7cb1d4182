"""compare_legacy between two real servers: a bus, and a host that responds as the original does."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command

from tests.gateway import original
from tests.gateway.original import failure, rows, written
from tests.legacy_import.fake_old_host import FakeOldHost
from tests.servers.bus import Bus
from tests.servers.process import free_port

GOLDEN = [
    json.loads(line) for line in (Path(__file__).parent.parent / "golden" / "legacy.jsonl").read_text().splitlines()
]
PEOPLE = [
    {"nomor": str(number), "nama": f"Orang Ü{number}", "unit": f"Dinas {number % 3}", "gaji": f"{number}00.50",
     "aktif": "1", "catatan": ""}
    for number in range(1, 31)
]  # fmt: skip
SELECT = "SELECT nomor, nama, unit, gaji, aktif, catatan FROM orang"
#: One operation for each kind of difference: its SQL here.
KINDS = (
    "equal", "equal-xml", "number-form", "boolean-form", "letters", "null-empty", "value", "extra-column",
    "missing-column", "data-key", "refused", "old-failed", "old-silent", "old-unreadable",
)  # fmt: skip
LISTS = ("row-order", "missing-rows", "extra-rows", "truncated")


def key_of(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[:10]


def bundle() -> dict[str, Any]:
    def operation(code: str, sql: str, **more: Any) -> dict[str, Any]:
        parameters = [{"name": "nomor"}] if ":nomor" in sql else []
        return {
            "code": code, "kind": "data", "source": "db", "state": "published", "sql": sql, "parameters": parameters,
            **more,
        }  # fmt: skip

    def proxy(code: str, style: str) -> dict[str, Any]:
        return {"code": code, "kind": "proxy", "backend": "lain", "state": "published", "style": style, "path": "x"}

    operations = [operation(code, f"{SELECT} WHERE nomor = :nomor") for code in KINDS]
    operations += [operation(code, f"{SELECT} ORDER BY rowid") for code in LISTS if code != "truncated"]
    operations += [
        operation("truncated", f"{SELECT} ORDER BY rowid", max_rows=10),
        operation("no-key", SELECT),
        operation("writes", "UPDATE orang SET catatan = catatan WHERE nomor = :nomor", writes=True),
        proxy("tanya", "legacy-get"),
        proxy("kirim", "legacy-post"),
        operation("rumit", f"{SELECT} WHERE nomor = :nomor || ''"),
    ]
    pegawai = "SELECT nip, nama, golongan, unit_kerja, tmt, gaji, aktif, lahir, email, catatan FROM pegawai"
    golden = [
        operation("pegawai_by_nip", f"{pegawai} WHERE nip = :nip", parameters=[{"name": "nip"}]),
        operation(
            "pegawai_by_unit", f"{pegawai} WHERE unit_kerja = :unit_kerja AND gaji >= :gaji ORDER BY nip",
            parameters=[{"name": "unit_kerja"}, {"name": "gaji"}],
        ),
    ]  # fmt: skip
    keys = [
        {"legacy": key_of(each["code"]), "operation": f"prov/data/{each['code']}"}
        for each in operations
        if each["code"] not in ("no-key", "refused")
    ]
    keys += [
        {"legacy": "abcdefghij", "operation": "bkn/simpeg/pegawai_by_nip"},
        {"legacy": "bbbbbbbbbb", "operation": "bkn/simpeg/pegawai_by_unit"},
    ]
    grants = [{"operation": key["operation"], "purpose": "uji"} for key in keys]
    agencies = [{"code": "prov", "name": "Penyedia"}, {"code": "bkn", "name": "BKN"}, {"code": "kons", "name": "K"}]
    return {
        "agencies": agencies,
        "sources": [
            {"agency": "prov", "code": "db", "engine": "sqlite", "database": "${ORANG}"},
            {"agency": "bkn", "code": "db", "engine": "sqlite", "database": "${PEGAWAI}"},
        ],
        "backends": [{"agency": "prov", "code": "lain", "servers": [{"url": "http://127.0.0.1:1/"}]}],
        "services": [
            {"agency": "prov", "code": "data", "title": "Data", "operations": operations},
            {"agency": "bkn", "code": "simpeg", "title": "Simpeg", "operations": golden},
        ],
        "applications": [{"agency": "kons", "code": "app", "title": "A", "keys": keys, "grants": grants}],
    }


def make_people(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as made:
        made.execute(f"CREATE TABLE orang ({', '.join(f'{name} TEXT' for name in PEOPLE[0])})")
        made.executemany("INSERT INTO orang VALUES (?, ?, ?, ?, ?, ?)", [tuple(each.values()) for each in PEOPLE])
    made.close()


def make_employees(path: Path) -> None:
    """The rows of tests/golden that its exchanges have, as README of the recording says, in texts."""
    from tests.formats.test_legacy import COLUMNS, employee

    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as made:
        made.execute(f"CREATE TABLE pegawai ({', '.join(f'{name} TEXT' for name, _type in COLUMNS)})")
        numbers = (*range(1, 60), *range(99_900, 100_001))
        made.executemany(
            f"INSERT INTO pegawai VALUES ({', '.join('?' * len(COLUMNS))})", [employee(n, False) for n in numbers]
        )
    made.close()


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    var = tmp_path_factory.mktemp("bus")
    people, employees = var / "sources" / "prov" / "orang.sqlite3", var / "sources" / "bkn" / "pegawai.sqlite3"
    make_people(people)
    make_employees(employees)
    with Bus(var, bundle(), ORANG=str(people), PEGAWAI=str(employees), WEB_CONCURRENCY="1") as running:
        yield running


@pytest.fixture
def old() -> Iterator[FakeOldHost]:
    with FakeOldHost() as running:
        yield running


def person(values: dict[str, str]) -> dict[str, Any]:
    return next(dict(each) for each in PEOPLE if each["nomor"] == values["nomor"])


def changed(code: str, **values: Any) -> Callable[[dict[str, str]], Any]:
    return lambda sent: rows(code, [person(sent) | values])


def tidied(sent: dict[str, str]) -> Callable[[str], bytes]:
    """White space as tidy leaves it in XML."""

    def write(format: str) -> bytes:
        body = written(rows("equal-xml", [person(sent)]), format)
        return body.replace(b"\n    ", b"\n\n  ") if format == "xml" else body

    return write


def garbled(sent: dict[str, str]) -> Any:
    name = str(person(sent)["nama"]).encode().decode("latin-1")
    return rows("letters", [person(sent) | {"nama": name}])


def without_unit(sent: dict[str, str]) -> Any:
    return rows("extra-column", [{name: value for name, value in person(sent).items() if name != "unit"}])


def fill(old: FakeOldHost) -> None:
    """What the old host has for each operation, to differ in the way that the operation is named by."""
    answers: dict[str, Callable[[dict[str, str]], Any]] = {
        "equal": changed("equal"),
        "equal-xml": tidied,
        "number-form": lambda sent: rows("number-form", [person(sent) | {"gaji": person(sent)["gaji"] + "0"}]),
        "boolean-form": changed("boolean-form", aktif="t"),
        "letters": garbled,
        "null-empty": changed("null-empty", catatan=None),
        "value": changed("value", unit="Rahasia"),
        "extra-column": without_unit,
        "missing-column": changed("missing-column", tambahan="Rahasia"),
        "data-key": changed("data_key_lama"),
        "refused": changed("refused"),
        "old-failed": lambda _sent: failure(1146, "Table 'simpeg.rahasia' doesn't exist"),
        "old-silent": lambda _sent: lambda _format: b"",
        "old-unreadable": lambda _sent: lambda _format: b"<br /><b>Fatal error</b>: rahasia",
        "row-order": lambda _sent: rows("row-order", PEOPLE[::-1]),
        "missing-rows": lambda _sent: rows("missing-rows", [*PEOPLE, person({"nomor": "1"}) | {"nomor": "31"}]),
        "extra-rows": lambda _sent: rows("extra-rows", PEOPLE[:20]),
        "truncated": lambda _sent: rows("truncated", PEOPLE),
        "rumit": changed("rumit"),
        "tanya": lambda _sent: rows("x", PEOPLE[:1]),
    }
    for code, answer in answers.items():
        old.add(f"prov/data/{code}", key_of(code), answer)


def keys_file(folder: Path, *codes: str) -> str:
    path = folder / "keys"
    path.write_text("".join(f"{key_of(code)} prov/data/{code}\n" for code in codes))
    return str(path)


def compare(bus: Bus, old: FakeOldHost, *words: str, new: str = "") -> subprocess.CompletedProcess[str]:
    import sys

    from tests.servers.bus import ROOT

    return subprocess.run(
        [sys.executable, "manage.py", "compare_legacy", old.url, "--new", new or bus.base, "--pace", "1000", *words],
        cwd=ROOT, env=bus.environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_every_kind_of_difference_is_found(bus: Bus, old: FakeOldHost, tmp_path: Path) -> None:
    fill(old)
    keys = keys_file(tmp_path, *KINDS, *LISTS, "writes", "rumit", "tanya", "kirim")
    done = compare(bus, old, "--keys", keys, "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    by_code = {each["operation"].rpartition("/")[2]: each for each in found["operations"]}
    for code in (*KINDS, *LISTS):
        kinds = by_code[code]["kinds"]
        expected = {"equal": set(), "equal-xml": {"white-space"}, "null-empty": {"null-empty"}}.get(code, {code})
        assert set(kinds) == expected, (code, kinds)
        # XML cannot tell null from an empty text; white space differs there only.
        formats = {"null-empty": {"json", "api"}, "equal-xml": {"xml"}}.get(code, {"json", "xml", "api"})
        for kind in kinds.values():
            assert set(kind["formats"]) == formats
    assert by_code["equal"]["equal"] == by_code["equal"]["responses"] == 6  # two rows, three formats
    assert by_code["value"]["kinds"]["value"]["example"] == "unit: text(7) → text(7)"
    assert by_code["refused"]["kinds"]["refused"]["example"] == "200 → 10002"
    assert by_code["truncated"]["kinds"]["truncated"]["example"] == "rows(30) → rows(10)"
    assert {code: by_code[code]["skipped"] for code in ("no-key", "writes", "rumit", "kirim")} == {
        "no-key": "no-key", "writes": "writes", "rumit": "no-condition", "kirim": "may-write",
    }  # fmt: skip
    assert by_code["tanya"]["kinds"]["refused"]["example"] == "200 → 11205"  # its upstream is not there
    # Only GET, only with the operation's own key, and nothing to what writes.
    assert {method for method, _target, _key in old.received} == {"GET"}
    assert not any("/writes" in target for _method, target, _key in old.received)
    for _method, target, key in old.received:
        assert key == key_of(target.split("/")[4])
    # Nothing of requests and responses is in the results.
    for text in (done.stdout, done.stderr):
        assert "ahasia" not in text
        assert not any(key_of(code) in text for code in KINDS)
        assert "Orang" not in text


def test_the_text_says_what_to_do_in_both_languages(bus: Bus, old: FakeOldHost, tmp_path: Path) -> None:
    fill(old)
    keys = keys_file(tmp_path, "equal", "truncated", "refused")
    only = ("--operations", "prov/data/equal", "prov/data/truncated", "PROV/data/refused")
    english = compare(bus, old, "--keys", keys, *only, "--language", "en").stdout
    assert "prov/data/equal: 6 of 6 responses are equal" in english
    assert "✗ prov/data/truncated: the response ends at the row limit: 3 (api 1, json 1, xml 1)" in english
    assert "    Raise the operation's row limit above its largest response." in english
    assert "the key is imported" in english
    assert english.rstrip().endswith("Not clean yet: 6 of 15 responses are equal.")
    indonesian = compare(bus, old, "--keys", keys, *only, "--language", "id").stdout
    assert "prov/data/equal: 6 dari 6 respons sama" in indonesian
    assert "batas baris" in indonesian


def test_clean_once_all_is_equal_or_harmless(bus: Bus, old: FakeOldHost, tmp_path: Path) -> None:
    fill(old)
    only = ("--operations", "prov/data/equal", "prov/data/equal-xml")
    keys = keys_file(tmp_path, "equal", "equal-xml")
    for _ in range(2):  # repeatable
        done = compare(bus, old, "--keys", keys, *only, "--language", "en")
        assert done.returncode == 0, done.stdout
        assert done.stdout.rstrip().endswith("Clean: 10 of 12 responses are equal, the others in effect.")


def test_recorded_answers_of_the_original_from_an_access_log(bus: Bus, old: FakeOldHost, tmp_path: Path) -> None:
    """The old host's log has the requests that were recorded; it answers with the recorded bytes."""
    exchanges = [
        each for each in GOLDEN
        if each["method"] == "GET" and each["headers"]["AccessKey"] in ("abcdefghij", "bbbbbbbbbb")
    ]  # fmt: skip
    log = tmp_path / "access.log"
    lines = [f'10.0.0.9 - - [x] "GET {each["path"]} HTTP/1.1" 200 5 "-" "MANTRA"\n' for each in exchanges]
    log.write_text("".join(lines) + '10.0.0.9 - - [x] "GET /json/bkn/simpeg/lain/nip=1 HTTP/1.1" 200 5\n')
    old.recorded = {each["path"]: each["body"].encode() for each in exchanges}
    keys = tmp_path / "keys"
    keys.write_text("abcdefghij bkn/simpeg/pegawai_by_nip\nbbbbbbbbbb bkn/simpeg/pegawai_by_unit\n")
    only = ("--operations", "bkn/simpeg/pegawai_by_nip", "bkn/simpeg/pegawai_by_unit", "bkn/simpeg/lain")
    done = compare(bus, old, "--keys", str(keys), "--log", str(log), "--limit", "50", "--json", *only)
    found = json.loads(done.stdout)
    assert found["log"] == {
        "lines": len(lines) + 1, "requests": len(lines) + 1, "posts": 0, "not_answered": 0, "other_folders": {},
    }  # fmt: skip
    by_path = {each["operation"]: each for each in found["operations"]}
    assert by_path.pop("bkn/simpeg/lain")["kinds"]["not-here"]["count"] == 1
    assert set(by_path) == set(only[1:3])
    # Each request goes out in all formats, also in those in which it was not recorded: there the fake knows nothing.
    recorded = {target for _method, target, _key in old.received if target in old.recorded}
    assert len(recorded) == len(old.recorded) == 7
    assert sum(each["equal"] for each in by_path.values()) == len(recorded)


def test_requests_of_a_log_go_out_as_they_were_written(bus: Bus, tmp_path: Path) -> None:
    with FakeOldHost("/mantra") as old:
        fill(old)
        log = tmp_path / "access.log"
        target = f"/mantra/json/Prov/DATA/Equal/nomor={quote('7')}"
        log.write_text(f'10.0.0.9 - - [x] "GET {target} HTTP/1.1" 200 5\n' * 3)
        done = compare(
            bus, old, "--keys", keys_file(tmp_path, "equal"), "--log", str(log), "--operations", "prov/data/equal",
            "--json",
        )  # fmt: skip
        (result,) = json.loads(done.stdout)["operations"]
        # The operation's name under data is the caller's on the new host; the fake old one has its own.
        assert result["requests"] == 1
        assert {(each, key) for _method, each, key in old.received} == {
            (target.replace("/json/", f"/{format}/"), key_of("equal")) for format in original.FORMATS
        }


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_host_that_is_down_ends_it(bus: Bus, old: FakeOldHost, tmp_path: Path, side: str) -> None:
    fill(old)
    dead = f"http://127.0.0.1:{free_port()}"
    keys = keys_file(tmp_path, *KINDS)
    if side == "old":
        old.folder = ""
        with FakeOldHost() as closed:
            pass
        done = compare(bus, closed, "--keys", keys, "--json")
    else:
        done = compare(bus, old, "--keys", keys, "--json", new=dead)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["stopped"] == f"{side}-down"
    assert 10 <= found["responses"] < 20


def test_a_redirect_is_not_followed(bus: Bus, old: FakeOldHost, tmp_path: Path) -> None:
    fill(old)
    old.status = 302
    done = compare(bus, old, "--keys", keys_file(tmp_path, "equal"), "--operations", "prov/data/equal", "--json")
    (result,) = json.loads(done.stdout)["operations"]
    assert result["kinds"]["http-status"]["example"] == "302 → 200"
    assert result["kinds"]["http-status"]["count"] == 6


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["http://user:secret@127.0.0.1"], "no address of a host"),
        (["http://127.0.0.1/gsb"], "to MANTRA_LEGACY_FOLDERS first"),
        (["http://127.0.0.1", "--new", "http://127.0.0.1/mantra"], "without a folder"),
        (["http://127.0.0.1", "--keys", "/missing"], "cannot be read"),
        (["http://127.0.0.1", "--database", "/missing.sql"], "."),
        (["http://127.0.0.1", "--log", "/missing"], "No such file"),
        (["http://127.0.0.1", "--pace", "0"], "write a number from 0.01 to 1000"),
        (["http://127.0.0.1", "--limit", "101"], "write a number from 1 to 100"),
    ],
)
def test_what_cannot_be_compared(db: None, words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("compare_legacy", *words)
    assert "secret" not in str(refused.value)
