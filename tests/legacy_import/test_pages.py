"""An old database is imported from the browser: a dry run, its report, the run for good, and what may go wrong."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mantra.legacy_import import running
from mantra.legacy_import.models import ImportedRow, ImportInput, LegacyImport, OldCallsOfDay
from mantra.legacy_import.pages import inputs, runs, tasks
from mantra.legacy_import.pages.worker import ATTEMPTS, Task
from mantra.legacy_import.running import Options, run
from mantra.legacy_import.translating.remarks import Kind, Severity
from registry import processes, roles
from registry.exports.worker import Worker
from registry.models import AccessKey, Agency, ExportJob, User
from tests.admin.conftest import make_agency, make_user
from tests.admin.visible import texts
from tests.legacy_import.old_database import OldInstallation, Sizes
from tests.legacy_import.old_server import PASSWORD, load
from tests.legacy_import.rows import Rows, data_source, small
from tests.servers.mariadb import MariaDBServer

pytestmark = pytest.mark.django_db

PARTS = list(running.PARTS)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EXPORT_DIR = tmp_path / "exports"
    return Path(settings.EXPORT_DIR) / "legacy-import"


@pytest.fixture
def administrator() -> User:
    return make_user("Administrator", username="pengelola")


@pytest.fixture
def client(administrator: User) -> Client:
    found = Client()
    found.force_login(administrator)
    return found


def installation(rows: Rows, tracks: int = 60) -> OldInstallation:
    sizes = Sizes(0, 0, 0, 0, 0, tracks=tracks, track_bytes=200)
    return OldInstallation(
        sizes, 7, rows.agency_rows, rows.user_rows, rows.service_rows, rows.operation_rows, rows.order_rows
    )


def dump(rows: Rows | None = None) -> bytes:
    file = BytesIO()
    installation(rows or small()).write_to(file)
    return file.getvalue()


def upload(client: Client, content: bytes, name: str = "lama.sql", **values: Any) -> Any:
    file = SimpleUploadedFile(name, content)
    return client.post(reverse("moving_in_new"), {"dump": file, "localhost": "", "hosts": "", "parts": PARTS, **values})


def again(client: Client, pk: int, for_good: str = "1", **values: Any) -> Any:
    chosen = {"localhost": "", "hosts": "", "parts": PARTS, "for_good": for_good, **values}
    return client.post(reverse("moving_in_again", args=[pk]), chosen)


def work(task: Task | None = None) -> None:
    """Let the worker do what waits."""
    task = task or Task()
    task.round()
    task.leadership.release()


def last() -> LegacyImport:
    return LegacyImport.objects.order_by("-pk")[0]


def dumps(folder: Path) -> list[str]:
    return [path.name for path in (folder / "dumps").iterdir()]


def shown(client: Client, run: LegacyImport, query: str = "") -> str:
    response = client.get(reverse("moving_in_run", args=[run.pk]) + query)
    assert response.status_code == 200
    return "\n".join(texts(response.content.decode()))


# -------------------------------------------------------------------------------------- the journey


def test_a_dump_is_tried_and_then_imported(client: Client, administrator: User, folder: Path) -> None:
    response = upload(client, gzip.compress(dump()), "lama.sql.gz")
    tried = last()
    assert response.headers["Location"] == reverse("moving_in_run", args=[tried.pk])
    assert (tried.state, tried.dry, tried.user, tried.source) == ("waiting", True, administrator, "lama.sql.gz")
    ((stored,), content) = dumps(folder), (folder / "dumps" / dumps(folder)[0]).read_bytes()
    assert b"INSERT" not in content  # encrypted, and not only packed
    assert b"\x1f\x8b" not in content[:2]
    work()
    tried = last()
    assert (tried.state, tried.rows) == ("done", 22)
    assert not Agency.objects.exists()
    page = shown(client, tried)
    assert "Uji coba: tidak ada yang diubah" in page
    assert dumps(folder) == [stored]
    assert again(client, tried.pk).status_code == 302
    work()
    made = last()
    assert (made.state, made.dry, made.attempts) == ("done", False, 1)
    assert sorted(Agency.objects.values_list("code", flat=True)) == ["bkd", "dinsos"]
    columns = ("table", "old_id", "outcome", "remarks", "codes", "name")
    assert list(tried.lines.values_list(*columns)) == list(made.lines.values_list(*columns))
    # The dump holds passwords: it is gone as soon as nobody needs it. What is left is the keys, for comparing.
    assert (made.input, ImportInput.objects.count()) == (None, 0)
    assert dumps(folder) == [made.for_comparing.keys_stored]
    assert stored not in dumps(folder)
    assert list((folder / "work").iterdir()) == []


def test_numbers_of_the_report_add_up_and_lead_to_the_rows(client: Client) -> None:
    upload(client, dump())
    work()
    made = last()
    response = client.get(reverse("moving_in_run", args=[made.pk]))
    for line in response.context["tables"]:
        assert sum(cell.number for cell in line.cells) + line.others == made.counts[line.table]
        for cell in line.cells:
            query = f"?table={line.table}&outcome={cell.outcome}"
            assert client.get(reverse("moving_in_run", args=[made.pk]) + query).context["page"].paginator.count == (
                cell.number
            )
    for group, number, _page in response.context["tasks"]:
        found = client.get(reverse("moving_in_run", args=[made.pk]) + f"?task={group.name}").context["page"]
        assert found.paginator.count == number


def test_rows_are_found_by_name_and_old_id_and_lead_to_ours(client: Client) -> None:
    made = run(small(), Options())
    page = client.get(reverse("moving_in_run", args=[made.pk]) + "?q=BY_NIP").context
    assert {row.line.table for row in page["rows"]} == {"methods", "orders"}  # and the grants for it
    assert all("by_nip" in row.line.name for row in page["rows"])
    found = client.get(reverse("moving_in_run", args=[made.pk]) + "?q=4&table=methods").context["rows"]
    assert [(row.line.old_id, row.line.outcome, row.url) for row in found] == [(4, "refused", "")]
    assert found[0].sentences
    every = client.get(reverse("moving_in_run", args=[made.pk])).context["rows"]
    pages = [row.url for row in every if row.url]
    assert len(pages) > 10
    for address in pages:
        assert client.get(address, follow=True).status_code == 200, address


def test_a_dry_run_leads_nowhere(client: Client) -> None:
    run(small(), Options())  # so that the ids of a dry run could be those of other rows
    made = run(small(), Options(dry=True))
    assert all(not row.url for row in client.get(reverse("moving_in_run", args=[made.pk])).context["rows"])


def test_the_address_of_the_old_server_is_asked_for(client: Client) -> None:
    rows = small()
    rows.operation_rows[0] = rows.operation_rows[0].__class__(
        1, 1, "by_nip", "database", True, data_source(hostname="localhost"), ""
    )
    rows.operation_rows.append(rows.operation_rows[0].__class__(
        9, 1, "by_nama", "database", True, data_source(hostname="127.0.0.1"), ""
    ))  # fmt: skip
    upload(client, dump(rows))
    work()
    made = last()
    assert made.missing_hosts == {"localhost": 1, "127.0.0.1": 1}
    assert made.found_hosts["localhost"] == 1
    page = shown(client, made)
    assert "localhost, 127.0.0.1" in page
    again(client, made.pk, for_good="0", localhost="10.9.8.7")
    work()
    made = last()
    assert (made.dry, made.hosts, made.missing_hosts) == (True, {"localhost": "10.9.8.7"}, {})
    assert made.found_hosts["10.9.8.7"] == 2


def test_a_running_server_is_read_and_its_password_forgotten(client: Client, mariadb: MariaDBServer) -> None:
    load(installation(small()), mariadb, "lama_halaman")
    connection = {
        "host": "127.0.0.1", "port": str(mariadb.port), "database": "lama_halaman", "user": "pembaca",
        "password": PASSWORD, "localhost": "", "hosts": "", "parts": PARTS,
    }  # fmt: skip
    assert client.post(reverse("moving_in_new") + "?from=server", connection).status_code == 302
    stored = ImportInput.objects.get()
    assert str(stored.password) == PASSWORD
    work()
    made = last()
    assert (made.state, made.rows, made.source) == ("done", 22, "127.0.0.1/lama_halaman")
    stored.refresh_from_db()
    assert stored.password == ""
    # For good it is asked for again.
    form = client.get(reverse("moving_in_run", args=[made.pk])).context["form"]
    assert "password" in form.fields
    assert again(client, made.pk, password=PASSWORD).status_code == 302
    work()
    assert (last().state, last().dry) == ("done", False)
    assert Agency.objects.count() == 2
    assert not ImportInput.objects.exists()


def test_what_was_not_read_as_it_is_stored_is_in_the_report(client: Client) -> None:
    content = dump().replace(b"Badan Kepegawaian", b"Badan Kepegawai\xe9n")
    upload(client, content)
    work()
    line = last().lines.get(table="instances", old_id=1)
    assert (line.outcome, "other-encoding" in line.codes.split()) == ("changed", True)
    assert "organization" in shown(client, last(), "?table=instances")


def test_responses_to_all_keys_are_wrapped_if_it_is_said(client: Client) -> None:
    upload(client, dump(), wrapped="on")
    work()
    assert client.get(reverse("moving_in_run", args=[last().pk])).context["form"].initial["wrapped"] is True
    again(client, last().pk, wrapped="on")
    work()
    assert set(AccessKey.objects.values_list("wrapped", "in_path")) == {(True, False)}
    assert last().lines.get(table="orders", old_id=1).codes == " key-wrapped "


def test_only_some_parts(client: Client) -> None:
    upload(client, dump(), parts=["agencies"])
    work()
    made = last()
    assert (made.state, made.parts, made.rows) == ("done", ["agencies"], 3)
    lines = {line.table: line.others for line in client.get(reverse("moving_in_run", args=[made.pk])).context["tables"]}
    assert lines == {"instances": 0, "users": 4, "services": 2, "methods": 5, "orders": 8}


# ---------------------------------------------------------------------------------------- under way


def test_the_page_shows_how_far_a_run_is(client: Client) -> None:
    upload(client, dump())
    made = last()
    page = client.get(reverse("moving_in_run", args=[made.pk]))
    assert page.context["shown"].percent == 0
    LegacyImport.objects.filter(pk=made.pk).update(state="running", counts=small().counts())
    inputs.report(made.pk, inputs.Progress(inputs.READING, 30, 120))
    assert client.get(reverse("moving_in_run", args=[made.pk])).context["shown"].percent == 25
    inputs.report(made.pk, inputs.Progress(inputs.TAKING, 8, 22))
    part = client.get(reverse("moving_in_run", args=[made.pk]), headers={"HX-Request": "true"})
    assert [(step.done, step.total) for step in part.context["shown"].tables] == [
        (3, 3), (4, 4), (1, 2), (0, 5), (0, 8),
    ]  # fmt: skip
    assert b"<html" not in part.content
    LegacyImport.objects.filter(pk=made.pk).update(state="done")
    ended = client.get(reverse("moving_in_run", args=[made.pk]), headers={"HX-Request": "true"})
    assert ended.headers["HX-Refresh"] == "true"


def test_progress_is_reported_while_rows_are_read_and_taken(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[inputs.Progress] = []
    monkeypatch.setattr(inputs, "report", lambda _run, progress: reported.append(progress))
    ticks = iter(range(0, 10_000, 2))
    upload(client, dump())
    work(Task(clock=lambda: float(next(ticks))))
    steps = [each.step for each in reported]
    assert steps == sorted(steps)  # reading, then taking
    taken = [each.done for each in reported if each.step == inputs.TAKING]
    assert (taken[0], taken[-1]) == (0, 22)
    assert taken == sorted(taken)
    assert {each.total for each in reported if each.step == inputs.TAKING} == {22}


def test_a_run_is_cancelled_and_goes_on_from_there(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(client, dump())
    work()
    again(client, last().pk)
    made = last()

    def cancelled(pk: int) -> bool:
        return ImportedRow.objects.filter(run=pk, table="users").exists()

    monkeypatch.setattr(inputs, "is_cancelled", cancelled)
    ticks = iter(range(0, 10_000, 2))
    work(Task(clock=lambda: float(next(ticks))))
    made.refresh_from_db()
    assert (made.state, made.problem) == ("cancelled", "")
    assert set(made.lines.values_list("table", flat=True)) == {"instances", "users"}
    assert Agency.objects.count() == 2
    page = shown(client, made)
    assert "Yang sudah diimpor sebelum itu tetap ada" in page
    monkeypatch.undo()
    again(client, made.pk)
    work()
    # The rows that the first run took say what they said then, and not that they were here already.
    assert last().state == "done"
    assert last().lines.get(table="users", old_id=3).outcome == "person"
    assert last().lines.get(table="instances", old_id=2).outcome == "changed"
    assert last().rows == 22


def test_a_waiting_run_is_cancelled_at_once(client: Client, folder: Path) -> None:
    upload(client, dump())
    assert client.post(reverse("moving_in_cancel", args=[last().pk])).status_code == 302
    assert last().state == "cancelled"
    work()
    assert last().state == "cancelled"
    assert client.post(reverse("moving_in_discard", args=[last().pk])).status_code == 302
    assert (dumps(folder), ImportInput.objects.count()) == ([], 0)


def test_a_running_run_is_cancelled_by_a_mark_for_the_worker(client: Client) -> None:
    upload(client, dump())
    made = last()
    LegacyImport.objects.filter(pk=made.pk).update(state="running", worker=processes.this_process(), attempts=1)
    client.post(reverse("moving_in_cancel", args=[made.pk]))
    assert inputs.is_cancelled(made.pk)
    work()  # its process has died, and the next one finds the mark
    made.refresh_from_db()
    assert made.state == "cancelled"
    assert not inputs.is_cancelled(made.pk)


def test_a_dry_run_whose_process_died_is_made_again(client: Client) -> None:
    upload(client, dump())
    LegacyImport.objects.update(state="running", worker="elsewhere:1", attempts=1)
    work()
    assert (last().state, last().attempts) == ("done", 2)
    assert LegacyImport.objects.count() == 1


def test_a_run_for_good_whose_process_died_goes_on_as_a_new_one(client: Client) -> None:
    upload(client, dump())
    work()
    again(client, last().pk)
    died = last()
    LegacyImport.objects.filter(pk=died.pk).update(state="running", worker="elsewhere:1", attempts=1)
    work()
    died.refresh_from_db()
    assert (died.state, died.problem) == ("failed", "restarted")
    assert last().pk != died.pk
    assert (last().state, last().dry, last().attempts, last().rows) == ("done", False, 2, 22)


def test_a_run_that_takes_the_process_down_each_time_is_given_up(client: Client) -> None:
    upload(client, dump())
    LegacyImport.objects.update(state="running", worker="elsewhere:1", attempts=ATTEMPTS)
    work()
    assert (last().state, last().problem) == ("failed", "interrupted")
    assert "berhenti beberapa kali" in shown(client, last())


def test_a_run_of_the_command_is_not_the_workers() -> None:
    made = LegacyImport.objects.create(source="perintah", state="running")
    work()
    made.refresh_from_db()
    assert made.state == "running"
    assert runs.current() is None


def test_there_is_one_run_at_a_time(client: Client, folder: Path) -> None:
    upload(client, dump())
    first = last()
    refused = upload(client, dump())
    assert refused.status_code == 400
    assert "Sebuah proses impor sedang berjalan" in "\n".join(texts(refused.content.decode()))
    assert (LegacyImport.objects.count(), len(dumps(folder))) == (1, 1)
    assert again(client, first.pk).status_code == 302
    assert LegacyImport.objects.count() == 1
    client.post(reverse("moving_in_discard", args=[first.pk]))
    assert len(dumps(folder)) == 1  # not while the run needs it


# ----------------------------------------------------------------------------------- what may go wrong


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"CREATE TABLE providers (id int, providername text);CREATE TABLE tokens (token text, tokenstatus int);"
         b"CREATE TABLE users (id int, userlog text, userpass text, userlevel int);-- Dump completed\n",
         "versi"),
        (b"bukan SQL", "tidak berisi SQL"),
        (gzip.compress(dump())[:-200], "terlalu awal"),
    ],
    ids=["older", "no dump", "cut"],
)  # fmt: skip
def test_an_unreadable_dump_says_what_to_do(client: Client, content: bytes, words: str) -> None:
    upload(client, content)
    work()
    assert (last().state, last().problem) == ("failed", "unreadable")
    assert words in last().detail
    assert last().detail in shown(client, last())


def test_a_server_that_cannot_be_reached_says_what_to_do(client: Client, refusing_port: int) -> None:
    connection = {
        "host": "127.0.0.1", "port": str(refusing_port), "database": "mantra", "user": "x", "password": "rahasia-1",
        "localhost": "", "hosts": "", "parts": PARTS,
    }  # fmt: skip
    client.post(reverse("moving_in_new") + "?from=server", connection)
    work()
    assert (last().state, last().problem) == ("failed", "unreadable")
    assert "port" in last().detail
    assert "rahasia-1" not in last().detail
    assert ImportInput.objects.get().password == ""


def test_an_error_has_no_text_of_data(client: Client, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("3201234567890001")

    monkeypatch.setattr(running._Mover, "move", broken)
    upload(client, dump())
    work()
    assert (last().state, last().problem) == ("failed", "error")
    assert "RuntimeError" in caplog.text
    assert "3201234567890001" not in caplog.text


def test_a_dump_that_is_too_large_is_refused(client: Client, settings: Any, folder: Path) -> None:
    settings.MAX_LEGACY_DUMP_BYTES = 1_000
    refused = upload(client, dump())
    assert refused.status_code == 400
    assert "--ignore-table" in "\n".join(texts(refused.content.decode()))
    assert not LegacyImport.objects.exists()
    assert not folder.exists() or dumps(folder) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hosts", "tanpa-tanda"),
        ("hosts", "a=b=c d"),
        ("hosts", "\n".join(f"h{number}=10.0.0.1" for number in range(101))),
        ("localhost", "10.1.1.5/x"),
        ("localhost", "user@host"),
        ("parts", []),
    ],
)
def test_wrong_values_are_refused(client: Client, name: str, value: Any) -> None:
    refused = upload(client, b"x", **{name: value})
    assert refused.status_code == 400
    assert list(refused.context["form"].errors) == [name]


@pytest.mark.parametrize("host", ["10.1.1.5:3306/x", "a b", "user@host", "x?ssl_mode=DISABLED", ""])
def test_a_connection_has_a_host_and_nothing_else(client: Client, host: str) -> None:
    values = {"host": host, "port": "3306", "database": "d", "user": "u", "password": "p", "parts": PARTS}
    refused = client.post(reverse("moving_in_new") + "?from=server", {**values, "localhost": "", "hosts": ""})
    assert refused.status_code == 400
    assert "host" in refused.context["form"].errors


# ---------------------------------------------------------------------------------- rights, and keeping


@pytest.mark.parametrize("role", [role for role in roles.ROLES if role != roles.ADMINISTRATOR])
def test_only_administrators_import(role: str, client: Client) -> None:
    upload(client, dump())
    pk = last().pk
    agency = None if role in roles.WITHOUT_AGENCY else make_agency("akik").agency
    other = Client()
    other.force_login(make_user(role, agency, "orang-lain"))
    for name in ("moving_in", "moving_in_new", "moving_in_calls"):
        assert other.get(reverse(name)).status_code == 403
    assert other.get(reverse("moving_in_run", args=[pk])).status_code == 403
    for name in ("moving_in_again", "moving_in_cancel", "moving_in_discard", "moving_in_export"):
        assert other.post(reverse(name, args=[pk]), {"format": "csv"}).status_code == 403
    uploaded = LegacyImport.objects.get(pk=pk)
    assert uploaded.state == "waiting"
    assert uploaded.input is not None
    assert reverse("moving_in") not in other.get("/admin/").content.decode()


def test_what_expires_is_deleted_and_the_last_run_kept(client: Client, folder: Path) -> None:
    for_good = run(small(), Options())
    for number in range(runs.MOST_RUNS + 2):
        LegacyImport.objects.create(source=f"coba {number}", dry=True, state="done")
    upload(client, dump())
    runs.cancel(last(), timezone.now())
    runs.prune(timezone.now() + runs.KEPT - timedelta(minutes=5))
    assert len(dumps(folder)) == 1
    runs.prune(timezone.now() + runs.KEPT + timedelta(minutes=5))
    assert (dumps(folder), ImportInput.objects.count(), last().input) == ([], 0, None)
    assert LegacyImport.objects.filter(dry=True).count() == runs.MOST_RUNS
    assert for_good.lines.count() == 22
    again(client, last().pk)
    assert last().state == "cancelled"  # there is nothing to repeat


def test_each_kind_for_a_person_is_in_one_group() -> None:
    wanted = {kind for kind in Kind if kind.severity in (Severity.PERSON, Severity.REFUSED)}
    grouped = [kind for group in tasks.GROUPS for kind in group.kinds]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == wanted


# ------------------------------------------------------------------------------- the report as a file


def test_the_report_is_a_file(client: Client, administrator: User) -> None:
    rows = small()
    rows.agency_rows[1] = rows.agency_rows[1].__class__(1, "bkd", "=HYPERLINK(1)", "", "", "")
    made = run(rows, Options())
    assert client.post(reverse("moving_in_export", args=[made.pk]), {"format": "csv"}).status_code == 302
    Worker().round()
    job = ExportJob.objects.get()
    assert (job.state, job.user) == ("done", administrator)
    content = b"".join(client.get(reverse("export_download", args=[job.pk])).streaming_content)  # type: ignore[attr-defined]
    lines = content.decode("utf-8-sig").splitlines()
    assert len(lines) == 1 + 22
    assert lines[0].startswith("tabel,id lama,hasil")
    assert "'=HYPERLINK(1)" in content.decode()
    assert client.post(reverse("moving_in_export", args=[made.pk]), {"format": "exe"}).status_code == 404


def test_calls_of_a_month_are_shown(client: Client) -> None:
    assert client.get(reverse("moving_in_calls")).status_code == 200
    for day, agency, calls in (("2017-01-31", "bkd", 5), ("2017-03-01", "bkd", 7), ("2017-03-31", "dinsos", 11)):
        OldCallsOfDay.objects.create(day=day, agency=agency, username="ani", status="SUCCESS", calls=calls)
    page = client.get(reverse("moving_in_calls"))
    by_day = page.context["shown"][0].table.rows
    assert (len(by_day), by_day[0][1], by_day[30][1], sum(row[1] for row in by_day)) == (31, 7, 11, 18)
    assert list(page.context["shown"][1].table.rows) == [("dinsos", 11), ("bkd", 7)]
    assert (page.context["earlier"], page.context["later"]) == ("2017-02", "")
    january = client.get(reverse("moving_in_calls") + "?month=2017-01")
    assert (january.context["earlier"], january.context["later"]) == ("", "2017-02")
    for month in ("9999-12", "1000-01", "x", "2017-13"):
        assert client.get(reverse("moving_in_calls") + f"?month={month}").status_code == 200


def test_a_stored_row_has_no_password(client: Client, mariadb: MariaDBServer) -> None:
    upload(client, dump())
    work()
    again(client, last().pk)
    work()
    columns = json.dumps([list(LegacyImport.objects.values()), list(ImportedRow.objects.values())], default=str)
    assert "rahasia" not in columns


def test_a_large_body_is_read_where_a_dump_is_uploaded_only(client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.MAX_LEGACY_DUMP_BYTES = 10_000, 1_000_000

    def status(address: str, size: int, by: Client) -> int:
        return by.generic("POST", address, b"", CONTENT_LENGTH=str(size)).status_code

    new, listing = reverse("moving_in_new"), reverse("moving_in")
    assert status(new, 1_010_000, client) != 413
    assert status(new, 1_010_001, client) == 413
    assert status(listing, 10_001, client) == 413
    assert status(new, 10_001, Client()) == 413  # before anybody knows who it is


def test_an_upload_is_never_readable_and_needs_a_token(
    administrator: User, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tidak-ada"))  # where Django's own handlers would write
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(administrator)
    content = dump() + b"-- " + b"x" * 4_000_000
    assert upload(strict, content).status_code == 403
    token = str(strict.get(reverse("moving_in_new")).context["csrf_token"])
    assert upload(strict, content, csrfmiddlewaretoken=token).status_code == 302
    assert (inputs._folder("dumps") / last().input.stored).stat().st_size > 4_000_000  # type: ignore[union-attr]
    monkeypatch.undo()
    work()
    assert (last().state, last().rows) == ("done", 22)
