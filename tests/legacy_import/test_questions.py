"""Requests of old callers: those of access logs, in bounded memory, and those that are made from first rows."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

import pytest

from dataservices.models import DataOperation
from dataservices.sql.template import parse
from mantra.legacy_import.comparing_hosts import first_rows, questions
from mantra.legacy_import.comparing_hosts.access_logs import LogCounts, LogUnreadable, folders_of, read_logs
from mantra.legacy_import.comparing_hosts.asking import Host, HostInvalid, Pace
from mantra.legacy_import.comparing_hosts.first_rows import NotMade, lookup_of
from mantra.legacy_import.comparing_hosts.keys import Keys, KeysUnreadable, keys_of_database, keys_of_lines
from mantra.legacy_import.comparing_hosts.questions import LogFindings, Question, from_logs, made
from mantra.legacy_import.old import OldAgency, OldOperation, OldOrder, OldService
from registry.models import SampleRequest
from registry.snapshot import holder
from tests.cast import Cast

KEY = "abcdefghij"
COMMON = '10.0.0.9 - - [01/Nov/2026:08:00:00 +0700] "{request} HTTP/1.1" {status} 512'
COMBINED = COMMON + ' "-" "MANTRA"'
VHOST = "gsb.contoh.go.id:80 " + COMBINED
NGINX = COMBINED + ' "10.1.1.1" rt=0.004'


def line(target: str, format: str = COMBINED, method: str = "GET", status: int = 200) -> str:
    return format.format(request=f"{method} {target}", status=status) + "\n"


def write(path: Path, *lines: str) -> str:
    path.write_text("".join(lines))
    return str(path)


def logged(name: str, *folders: str) -> tuple[list[Any], LogCounts]:
    counts = LogCounts()
    return list(read_logs([name], folders_of(folders), counts)), counts


@pytest.mark.parametrize("format", [COMMON, COMBINED, VHOST, NGINX])
@pytest.mark.parametrize("packed", [False, True])
def test_formats_of_logs(tmp_path: Path, format: str, packed: bool) -> None:
    text = line("/mantra/json/bkn/simpeg/cari/nama=Dinas%2B3", format) + line("/favicon.ico", format)
    path = tmp_path / "access.log"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    (request,), counts = logged(str(path), "mantra")
    assert (request.folder, request.format, request.segments) == (
        "/mantra/", "json", ("bkn", "simpeg", "cari", "nama=Dinas%2B3"),
    )  # fmt: skip
    assert (counts.lines, counts.requests, counts.posts) == (2, 1, 0)


@pytest.mark.parametrize(
    ("target", "folder", "segments", "query"),
    [
        ("/json/a/b/c", "/", ("a", "b", "c"), ""),
        ("//XML/a/b/c/", "/", ("a", "b", "c", ""), ""),
        ("/api/a/b/c?nip=1&x=%26", "/", ("a", "b", "c"), "?nip=1&x=%26"),
        ("/layanan/gsb/json/a/b/c/1/2", "/layanan/gsb/", ("a", "b", "c", "1", "2"), ""),
        ("http://gsb.contoh.go.id/json/a/b/c", "/", ("a", "b", "c"), ""),
        (r"/json/a/b/c/nama=\xc3\xbc\"x", "/", ("a", "b", "c", 'nama=%C3%BC"x'), ""),
    ],
)
def test_addresses(tmp_path: Path, target: str, folder: str, segments: tuple[str, ...], query: str) -> None:
    (request,), _counts = logged(write(tmp_path / "log", line(target)), "mantra", "layanan/gsb")
    assert (request.folder, request.segments, request.query) == (folder, segments, query)


def test_what_is_not_repeated_is_counted(tmp_path: Path) -> None:
    name = write(
        tmp_path / "log",
        line("/json/a/b/c", method="POST"),
        line("/json/a/b/c", status=500),
        line("/json/a/b/c", method="DELETE"),
        line("/gsb/json/a/b/c/nik=1"),
        line("/" + "x" * 9000),
        "no line of a web server\n",
    )
    requests, counts = logged(name)
    assert requests == []
    assert (counts.requests, counts.posts, counts.not_answered, counts.other_folders) == (1, 1, 2, {"gsb": 1})
    assert counts.lines == 6


def test_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LogUnreadable, match="No such file"):
        logged(str(tmp_path / "missing"))
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(line("/json/a/b/c").encode() * 5000)[:-20])
    with pytest.raises(LogUnreadable, match="cannot be read"):
        logged(str(damaged))


def test_a_long_log_takes_no_memory(tmp_path: Path, cast: Cast) -> None:
    """The least hashes of each operation stay: what is held does not grow with the log, nor with a line."""
    path = tmp_path / "access.log.gz"
    with gzip.open(path, "wt") as file:
        for number in range(6_000):
            file.write(line(f"/json/prov/data/satu/id={number}"))
        file.write("x" * 10_000_000 + "\n")
    findings = LogFindings()
    tracemalloc.start()
    found = from_logs(read_logs([str(path)], folders_of([]), findings.counts), holder.refresh(), Keys(), findings, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 5
    assert findings.counts.lines == 6_001
    assert peak < 4_000_000


def from_log(tmp_path: Path, cast: Cast, keys: Keys, most: int, *lines: str) -> tuple[list[Question], LogFindings]:
    findings = LogFindings()
    requests = read_logs([write(tmp_path / "log", *lines)], folders_of(["mantra"]), findings.counts)
    return from_logs(requests, holder.refresh(), keys, findings, most), findings


def test_requests_are_sampled_evenly_and_once(tmp_path: Path, cast: Cast) -> None:
    often = [line(f"/json/prov/data/satu/id={number % 40}") for number in range(400)]
    rare = [line("/xml/Prov/Data/cari/nama=x"), line("/xml/Prov/Data/cari/nama=x")]
    found, findings = from_log(tmp_path, cast, Keys(), 5, *often, *rare, line("/json/prov/data/lain/x=1"))
    by_operation: dict[str, list[str]] = {}
    for question in found:
        by_operation.setdefault(question.operation.code, []).append(question.target("json"))
    assert len(set(by_operation["satu"])) == 5
    assert by_operation["cari"] == ["/json/Prov/Data/cari/nama=x"]
    assert findings.unknown == {"prov/data/lain": 1}
    again, _findings = from_log(tmp_path, cast, Keys(), 5, *reversed(often), *rare)
    assert sorted(each.target("json") for each in again) == sorted(each.target("json") for each in found)


def test_every_request_has_the_same_chance(cast: Cast) -> None:
    """Of 1,000 requests, 100 are taken: as many of the first half as of the second, but for chance."""
    operation = cast_operation(cast, "satu")
    sample = questions.Sample(100)
    for number in range(1000):
        sample.add(Question(operation, "/", f"prov/data/satu/id={number:04}"))
    halves = [question.rest[-4:] < "0500" for question in sample]
    assert len(halves) == 100
    assert 30 < sum(halves) < 70


def cast_operation(cast: Cast, code: str) -> Any:
    operation = holder.refresh().operation("prov", "data", code)
    assert operation is not None
    return operation


def test_keys_take_turns(tmp_path: Path, cast: Cast) -> None:
    keys = Keys()
    for key in ("aaaaaaaaaa", "bbbbbbbbbb"):
        keys.add("PROV", "data", "Satu", key)
    found, _findings = from_log(
        tmp_path, cast, keys, 4, *(line(f"/json/prov/data/satu/id={number}") for number in range(4))
    )
    assert [each.key for each in found] == ["aaaaaaaaaa", "bbbbbbbbbb"] * 2
    assert "aaaaaaaaaa" not in repr((found, keys))


@pytest.mark.parametrize("target", [f"/api/{KEY}/prov/data/satu/id=1", f"/api/prov/data/satu/{KEY}/id=1"])
def test_a_key_in_the_address_stays_there(tmp_path: Path, cast: Cast, target: str) -> None:
    keys = Keys()
    keys.add("prov", "data", "satu", KEY)
    (question,), _findings = from_log(tmp_path, cast, keys, 5, line(target))
    assert (question.operation.code, question.key, question.formats) == ("satu", "", ("api",))
    assert question.target("api") == target
    assert KEY not in repr(question)


# -------------------------------------------------------------------------------------------- keys


class OldRows:
    """An old database with two orders that count."""

    def agencies(self) -> Iterator[OldAgency]:
        yield OldAgency(7, "BKN", "", "", "", "")

    def services(self) -> Iterator[OldService]:
        yield OldService(3, 7, "simpeg", "provider", "")

    def operations(self) -> Iterator[OldOperation]:
        yield OldOperation(5, 3, "Cari Orang", "database", False, "", "")

    def orders(self) -> Iterator[OldOrder]:
        yield OldOrder(1, "a", " abcdefghij ", 5, True)
        yield OldOrder(2, "b", "closedclosed", 5, False)
        yield OldOrder(3, "c", "orphanorphan", 99, True)
        yield OldOrder(4, "d", "not\r\nsendable", 5, True)


def test_keys_of_the_old_database() -> None:
    keys = keys_of_database(OldRows())  # type: ignore[arg-type]
    assert keys.of(("bkn", "simpeg", "cari orang")) == ["abcdefghij"]
    assert len(keys) == 1


def test_keys_of_a_file() -> None:
    keys = keys_of_lines(["# kunci\n", "\n", "abcdefghij bkn/simpeg/cari orang\n", "bbbbbbbbbb\tbkn/simpeg/lain\n"])
    assert keys.of(("x", "y", "z"), ("bkn", "simpeg", "cari orang")) == ["abcdefghij"]
    assert keys.of(("bkn", "simpeg", "lain")) == ["bbbbbbbbbb"]
    with pytest.raises(KeysUnreadable) as refused:
        keys_of_lines(["abcdefghij bkn/simpeg\n"])
    assert "abcdefghij" not in str(refused.value)


# -------------------------------------------------------------------------------------- first rows


@pytest.mark.parametrize(
    ("dialect", "text", "names", "expected"),
    [
        ("mysql", "SELECT `nip` FROM `pegawai` WHERE `nip` = :nip LIMIT 1", ["nip"],
         "SELECT `nip` AS p0 FROM `pegawai` WHERE NOT `nip` IS NULL LIMIT 50"),
        ("mysql", "SELECT a FROM t WHERE `tahun` = 2017 AND `status` = 'AKTIF' AND `kode` = :kode ORDER BY a", ["kode"],
         "SELECT `kode` AS p0 FROM t WHERE `tahun` = 2017 AND `status` = 'AKTIF' AND NOT `kode` IS NULL LIMIT 50"),
        ("postgres", 'SELECT "n" FROM "v" WHERE "npwp"::text = :npwp OR "x" = :x LIMIT 50 OFFSET 10', ["npwp", "x"],
         'SELECT CAST("npwp" AS TEXT) AS p0, "x" AS p1 FROM "v" WHERE NOT CAST("npwp" AS TEXT) IS NULL OR '
         'NOT "x" IS NULL LIMIT 50'),
        ("tsql", "SELECT [nilai] FROM [realisasi] WHERE [tahun] = :tahun AND [nilai] >= 0", ["tahun"],
         "SELECT TOP 50 [tahun] AS p0 FROM [realisasi] WHERE NOT [tahun] IS NULL AND [nilai] >= 0"),
        ("oracle", 'SELECT * FROM "KENDARAAN" WHERE "NO_POLISI" = :NO_POLISI', ["NO_POLISI"],
         'SELECT "NO_POLISI" AS p0 FROM "KENDARAAN" WHERE NOT "NO_POLISI" IS NULL'),
    ],
)  # fmt: skip
def test_the_query_for_first_rows(dialect: str, text: str, names: list[str], expected: str) -> None:
    lookup = lookup_of(parse(text, dialect), dialect, names)
    assert lookup is not None
    assert (lookup.text, lookup.names) == (expected, tuple(names))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a FROM t WHERE upper(a) = upper(:a)",
        "SELECT a FROM t WHERE a IN (SELECT b FROM u WHERE b = :a)",
        "SELECT :a AS a",
        "SELECT a FROM t WHERE a BETWEEN :a AND 9",
    ],
)
def test_no_query_where_columns_cannot_be_told(text: str) -> None:
    assert lookup_of(parse(text, "sqlite"), "sqlite", ["a"]) is None


def values(cast: Cast, code: str) -> list[dict[str, str]]:
    row = DataOperation.objects.select_related("source__agency").get(pk=cast.operations[code].pk)
    return first_rows.values_of_rows(cast_operation(cast, code), row, 2)


def test_values_of_first_rows(cast: Cast) -> None:
    assert values(cast, "satu") == [{"id": "1"}, {"id": "2"}]
    assert values(cast, "semua") == [{}]
    cast.operation("mirip", "SELECT id FROM orang WHERE unit LIKE :unit AND id > 4", parameters=({"name": "unit"},))
    assert values(cast, "mirip") == [{"unit": "Unit 6%"}, {"unit": "Unit 0%"}]  # row 5 has no unit
    cast.operation("kosong", "SELECT id FROM orang WHERE id < 0 AND nama = :nama", parameters=({"name": "nama"},))
    with pytest.raises(NotMade, match="no-rows"):
        values(cast, "kosong")
    cast.operation("rumit", "SELECT id FROM orang WHERE upper(nama) = :nama || ''", parameters=({"name": "nama"},))
    with pytest.raises(NotMade, match="no-condition"):
        values(cast, "rumit")


def test_values_of_samples(cast: Cast) -> None:
    operation = cast_operation(cast, "satu")
    with pytest.raises(NotMade, match="no-sample"):
        first_rows.values_of_samples(operation, 5)
    SampleRequest.objects.create(operation=cast.operations["satu"], name="a", request='{"id": 3, "lain": "x"}')
    SampleRequest.objects.create(operation=cast.operations["satu"], name="b", request='{"lain": "x"}')
    assert first_rows.values_of_samples(operation, 5) == [{"id": "3"}]


def test_a_made_request_is_the_stock_client_s(cast: Cast) -> None:
    operation = cast.operation(
        "cari-a",
        "SELECT id FROM orang WHERE nama = :kode_wil",
        parameters=({"name": "kode_wil", "legacy_name": "kode-wil"},),
        legacy_name="_Cari Ünï",
    )
    prepared = holder.refresh().operation("prov", "data", operation.code)
    assert prepared is not None
    question = made(prepared, "/mantra/", {"kode_wil": "Dinas 3 & 4"})
    assert question.target("xml") == "/mantra/xml/prov/data/_cari%20%C3%BCn%C3%AF/kode-wil=Dinas%2B3%2B%2526%2B4"
    value = question.rest.partition("=")[2]
    assert unquote_plus(unquote_plus(value)) == "Dinas 3 & 4"


# ------------------------------------------------------------------------------------------- hosts


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://user:pass@a", "http://a/?x=1", "a", "http://a b"])
def test_addresses_that_are_no_host(url: str) -> None:
    with pytest.raises(HostInvalid):
        Host.of(url)


def test_only_permitted_addresses_unless_an_operator_says_so(settings: Any) -> None:
    settings.UPSTREAM_NETWORKS = ["10.0.0.0/8"]
    question = Question(SimpleNamespace(id=1), "/", "a/b/c")  # type: ignore[arg-type]
    assert Host.of("http://127.0.0.1:1").get(question, "json").failure == "address forbidden"
    assert Host.of("http://127.0.0.1:1", any_address=True).get(question, "json").failure == "connect refused"


def test_the_pace() -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        now[0] += seconds

    pace = Pace(4.0, lambda: now[0], sleep)
    for _ in range(5):
        pace.wait()
    now[0] += 10
    pace.wait()
    assert slept == [0.25] * 4
