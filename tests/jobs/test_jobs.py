"""Jobs as callers see them: a file goes in, each row comes out once, in every format, and nobody else sees it."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
import xlsxwriter

from mantra.jobs.models import Job
from tests.cast import Cast
from tests.jobs.conftest import begin, jobs_of, lines, work


def test_it_works(cast: Cast) -> None:
    job = begin(cast, "id\n7\n9999999\n12\nabc\n7\n")
    work()
    job.refresh_from_db()
    assert (job.state, job.problem) == ("done", "")
    assert (job.rows, job.done, job.found, job.not_found, job.invalid, job.faults, job.duplicates) == (
        5, 5, 3, 1, 1, 0, 1,
    )  # fmt: skip
    rows = lines(job)
    assert [(row["baris"], row["status"], row["id"]) for row in rows] == [
        (2, "ok", "7"), (3, "not-found", "9999999"), (4, "ok", "12"), (5, "invalid", "abc"), (6, "ok", "7"),
    ]  # fmt: skip
    assert rows[0]["nama"] == "Orang 7"
    assert rows[0]["gaji"] == "7.50"
    assert rows[1]["nama"] is None
    assert rows[3]["keterangan"] == "id: harus bilangan bulat, misalnya 42"


def workbook(rows: list[list[str]]) -> bytes:
    output = io.BytesIO()
    book = xlsxwriter.Workbook(output)
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        for place, value in enumerate(row):
            sheet.write_string(number, place, value)
    book.close()
    return output.getvalue()


SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES = {
    "comma": ("text/csv", b"id,alamat\r\n3,x\r\n4,y\r\n"),
    "semicolon": ("text/csv; charset=utf-8", b"\xef\xbb\xbfID;Alamat\r\n3;x\r\n4;y\r\n"),
    "utf-16": ("text/csv", "id\talamat\n3\tx\n4\ty\n".encode("utf-16")),
    "windows": ("text/csv", "id,alamat\n3,Caf\xe9\n4,y\n".encode("windows-1252")),
    "ndjson": ("application/x-ndjson", b'{"id": 3, "alamat": "x"}\n\n{"ID": "4"}\n'),
    "json": ("application/json", b'\xef\xbb\xbf [ {"id": 3, "alamat": "],{"} ,\n{"id": "4"} ] '),
    "xlsx": (SHEET, workbook([["id", "alamat"], ["3", "x"], ["4", "y"]])),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_format_are_read(cast: Cast, name: str) -> None:
    content_type, body = FILES[name]
    job = begin(cast, body, content_type=content_type)
    work()
    assert [(row["status"], row["id"], row["nama"]) for row in lines(job)] == [
        ("ok", "3", "Orang 3"), ("ok", "4", "Orang 4"),
    ]  # fmt: skip
    assert job.report["ignored"] == [job.report["ignored"][0]]
    assert job.report["ignored"][0].lower() == "alamat"


@pytest.mark.parametrize(
    ("content_type", "body", "problem"),
    [
        ("text/csv", b"nomor\n3\n", "columns-missing"),
        ("text/csv", b"id,ID\n3,4\n", "columns-repeated"),
        ("text/csv", b"id\n", "no-rows"),
        ("text/csv", b"\0\1\2\xff", "unreadable"),
        ("application/json", b'{"id": 3}', "unreadable"),
        ("application/json", b'[{"id": 3} {"id": 4}]', "unreadable"),
        ("application/json", b'[{"id": 3}', "unreadable"),
        ("application/json", b'[{"id": 3}] x', "unreadable"),
        ("application/json", b"[" * 100_000, "unreadable"),
        ("application/json", b'[{"id": "' + b"x" * 2_000_000 + b'"}]', "unreadable"),
        ("application/x-ndjson", b'{"id": 3}\n[4]\n', "unreadable"),
        (SHEET, b"PK\x03\x04 this is none", "unreadable"),
        (SHEET, workbook([["kosong"]]), "columns-missing"),
    ],
)
def test_a_file_that_is_none_is_refused_before_a_row_is_run(
    cast: Cast, content_type: str, body: bytes, problem: str
) -> None:
    job = begin(cast, body, content_type=content_type)
    work()
    job.refresh_from_db()
    assert (job.state, job.problem, job.done) == ("failed", problem, 0)
    state = jobs_of(cast, below=f"/{job.request_id}").json()
    assert state["problem"]["name"] == problem
    assert state["problem"]["detail"]


def test_there_is_a_most_number_of_rows_and_bytes(cast: Cast, settings: Any) -> None:
    settings.MAX_JOB_ROWS = 3
    for content_type, body in (
        ("text/csv", b"id\n1\n2\n3\n4\n"),
        ("application/x-ndjson", b'{"id":1}\n' * 4),
        (SHEET, workbook([["id"], ["1"], ["2"], ["3"], ["4"]])),
    ):
        job = begin(cast, body, content_type=content_type)
        work()
        job.refresh_from_db()
        assert (job.state, job.problem, job.problem_detail) == ("failed", "too-many-rows", "3")
    settings.MAX_JOB_BYTES = 1000
    for chunked in (False, True):
        changed = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""} if chunked else {}
        reply = jobs_of(cast, method="POST", body=b"id\n" + b"1\n" * 1000, content_type="text/csv", changed=changed)
        assert (reply.status, reply.json()["code"]) == (413, 11106), chunked
    assert not Job.objects.filter(state="waiting").exists()


def test_columns_may_have_other_names_than_parameters(cast: Cast) -> None:
    job = begin(cast, "Nomor Urut,id\n7,x\n", below="?column.id=Nomor%20Urut")
    work()
    (row,) = lines(job)
    assert (row["status"], row["nama"]) == ("ok", "Orang 7")
    reply = jobs_of(cast, below="?column.nik=x", method="POST", body="id\n1\n", content_type="text/csv")
    assert (reply.status, reply.json()["code"]) == (400, 11103), reply.body


@pytest.mark.parametrize(
    ("choice", "state", "problem"), [("stop", "failed", "invalid-rows"), ("ask", "paused", "check")]
)
def test_rows_that_cannot_be_run_stop_the_job_if_that_is_wanted(
    cast: Cast, choice: str, state: str, problem: str
) -> None:
    job = begin(cast, "id\n1\nx\n", below=f"?on_invalid={choice}")
    work()
    job.refresh_from_db()
    assert (job.state, job.problem, job.done) == (state, problem, 0)
    assert job.report["invalid"] == [
        [3, "id", "harus bilangan bulat, misalnya 42", "it must be a whole number such as 42"]
    ]
    if choice == "ask":
        assert jobs_of(cast, below=f"/{job.request_id}/resume", method="POST").status == 200
        work()
        assert [row["status"] for row in lines(job)] == ["ok", "invalid"]


def test_a_row_with_several_answers_has_a_line_for_each(cast: Cast) -> None:
    job = begin(cast, "unit\nUnit 1\nUnit 99\n", "cari")
    work()
    job.refresh_from_db()
    assert (job.found, job.not_found) == (1, 1)
    rows = lines(job)
    assert len(rows) == 101  # the operation's row limit, and the row without any
    assert rows[0]["keterangan"] == "ada baris lain yang tidak dimuat"
    assert [row["baris"] for row in rows] == [2] * 100 + [3]


def test_results_come_in_pages_while_the_job_runs(cast: Cast) -> None:
    job = begin(cast, "id\n" + "".join(f"{number}\n" for number in range(1, 2501)))
    work()
    seen: list[str] = []
    below = f"/{job.request_id}/results?per_page=1000"
    while below:
        reply = jobs_of(cast, below=below, accept="application/x-ndjson")
        assert reply.status == 200, reply.body
        seen += [json.loads(line)["nama"] for line in reply.body.splitlines()]
        link = reply.headers.get("link", "")
        below = link.partition("/jobs")[2].partition(">")[0] if link else ""
    assert seen == [f"Orang {number}" for number in range(1, 2501)]
    page = jobs_of(cast, below=f"/{job.request_id}/results?from=2499").json()
    assert [row["id_2"] for row in page["data"]] == [2499, 2500]


def test_results_are_a_file_in_every_format(cast: Cast) -> None:
    job = begin(cast, "id\n7\n0\n")
    assert jobs_of(cast, below=f"/{job.request_id}/file.csv").json()["code"] == 11307
    work()
    files = jobs_of(cast, below=f"/{job.request_id}").json()["files"]
    assert set(files) == {"csv", "xlsx", "ndjson", "json"}
    got = {format: jobs_of(cast, below=f"/{job.request_id}/file.{format}") for format in files}
    assert all(reply.status == 200 for reply in got.values())
    assert got["csv"].text == (
        "baris,status,keterangan,id,id_2,nama,unit,gaji\r\n2,ok,,7,7,Orang 7,Unit 0,7.50\r\n3,not-found,,0,,,,\r\n"
    )
    assert "attachment" in got["csv"].headers["content-disposition"]
    assert got["json"].json()["count"] == 2
    assert json.loads(got["ndjson"].body.splitlines()[0])["nama"] == "Orang 7"
    assert zipfile.ZipFile(io.BytesIO(got["xlsx"].body)).testzip() is None


def test_only_the_application_that_started_a_job_sees_it(cast: Cast) -> None:
    from registry.models import AccessKey, Application, Grant
    from registry.snapshot import holder

    job = begin(cast, "id\n7\n")
    other = Application.objects.create(agency=cast.consumer, code="lain", title="Lain")
    Grant.objects.create(application=other, operation=cast.operations["satu"], purpose="uji")
    _row, key = AccessKey.issue(other)
    holder.refresh()
    for below, method in (("", "GET"), ("/results", "GET"), ("/file.csv", "GET"), ("/cancel", "POST"), ("", "DELETE")):
        reply = jobs_of(cast, below=f"/{job.request_id}{below}", method=method, accesskey=key)
        assert (reply.status, reply.json()["code"]) == (404, 11301)
        reply = jobs_of(cast, "cari", below=f"/{job.request_id}{below}", method=method)
        assert (reply.status, reply.json()["code"]) == (404, 11301)
    assert jobs_of(cast, below=f"/{job.request_id}", accesskey="").status == 401
    assert Job.objects.get().state == "waiting"


@pytest.mark.parametrize(
    ("below", "method", "status", "code"),
    [
        ("/" + "0" * 32, "GET", 404, 11301),
        ("/x/y/z", "GET", 404, 11301),
        ("", "GET", 405, 11108),
        ("/template.csv", "POST", 405, 11108),
        ("?on_invalid=x", "POST", 400, 11102),
        ("?lain=x", "POST", 400, 11103),
    ],
)
def test_other_addresses_are_refused(cast: Cast, below: str, method: str, status: int, code: int) -> None:
    reply = jobs_of(
        cast, below=below, method=method, body=b"id\n1\n" if method == "POST" else b"", content_type="text/csv"
    )
    assert (reply.status, reply.json()["code"]) == (status, code), reply.body
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


def test_bodies_of_other_formats_are_refused(cast: Cast) -> None:
    for headers in ({"content_type": "image/png"}, {"content_type": "text/csv", "content_encoding": "gzip"}):
        reply = jobs_of(cast, method="POST", body=b"id\n1\n", **headers)
        assert (reply.status, reply.json()["code"]) == (415, 11303)
    reply = jobs_of(cast, method="POST", content_type="text/csv")
    assert (reply.status, reply.json()["code"]) == (400, 11105), reply.body


def test_operations_that_write_and_open_ones_without_a_key_have_no_jobs(cast: Cast) -> None:
    cast.operation("ubah", "UPDATE orang SET nama = :nama WHERE id = 0", writes=True, parameters=({"name": "nama"},))
    reply = jobs_of(cast, "ubah", method="POST", body=b"nama\nx\n", content_type="text/csv")
    assert (reply.status, reply.json()["code"]) == (400, 11302)
    reply = jobs_of(cast, "terbuka", method="POST", body=b"a\nx\n", content_type="text/csv", accesskey="")
    assert (reply.status, reply.json()["code"]) == (401, 10001)


def test_an_application_has_few_jobs_and_an_agency_little_room(cast: Cast, settings: Any) -> None:
    settings.MAX_JOBS = 2
    begin(cast, "id\n1\n")
    begin(cast, "id\n1\n")
    reply = jobs_of(cast, method="POST", body=b"id\n1\n", content_type="text/csv")
    assert (reply.status, reply.json()["code"]) == (429, 11304)
    work()
    settings.AGENCY_JOB_BYTES = 100
    reply = jobs_of(cast, method="POST", body=b"id\n1\n", content_type="text/csv")
    assert (reply.status, reply.json()["code"]) == (429, 11305)
    assert len(list(settings.JOB_DIR.iterdir())) == 2  # what was refused has left nothing


def test_a_template_has_the_parameters_and_an_example(cast: Cast) -> None:
    assert jobs_of(cast, below="/template.csv").body == b"\xef\xbb\xbfid\r\n1\r\n"
    sheet = jobs_of(cast, below="/template.xlsx")
    assert sheet.headers["content-type"] == SHEET
    job = begin(cast, sheet.body, content_type=SHEET)
    work()
    assert [row["nama"] for row in lines(job)] == ["Orang 1"]


def test_values_keep_their_types_and_digits(cast: Cast) -> None:
    cast.operation(
        "nilai",
        "SELECT :id AS n, 12345678901234567 AS besar, 1.5 AS pecahan, NULL AS kosong, x'00ff' AS biner, 'é\"' AS teks",
        parameters=({"name": "id", "type": "integer"},),
    )
    plain = cast.get("nilai", "id=1").json()["data"][0]
    job = begin(cast, "id\n1\n", "nilai")
    work()
    (row,) = lines(job)
    assert {name: row[name] for name in plain} == plain


def test_what_is_stored_says_nothing(cast: Cast, settings: Any) -> None:
    """No byte of the rows or of the answers is on the disk in plain."""
    job = begin(cast, "id,nama_rahasia\n" + "7,Rahasia Sekali\n" * 500)
    stored = b"".join(path.read_bytes() for path in settings.JOB_DIR.rglob("*") if path.is_file())
    assert len(stored) > 5000
    assert b"Rahasia" not in stored
    work()
    stored = b"".join(path.read_bytes() for path in settings.JOB_DIR.rglob("*") if path.is_file())
    assert b"Orang 7" not in stored
    assert b"Rahasia" not in stored
    assert len(lines(job)) == 500


def test_a_verification_is_run_for_each_row(cast: Cast) -> None:
    from tests.verification.people import PEOPLE, verifying

    verifying(cast)
    nik, name = PEOPLE[0][:2]
    job = begin(cast, f"nik,nama,tanggal_lahir\n{nik},{name},1990-01-01\n{nik},Orang Lain,\n1,Siapa,\n", "cek")
    work()
    job.refresh_from_db()
    assert (job.state, job.found, job.not_found, job.faults) == ("done", 2, 1, 0)
    rows = lines(job)
    assert [(row["ditemukan"], row["sesuai"]) for row in rows][:2] == [(True, True), (True, False)]
    assert rows[2]["ditemukan"] is False
    assert "Rahmawati" not in json.dumps([{**row, "nama": ""} for row in rows])
