"""Both hosts are compared from the browser after an import, and keys in addresses come from an uploaded access log."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mantra.legacy_import import running
from mantra.legacy_import.comparing_hosts import first_rows
from mantra.legacy_import.comparing_hosts.keys import Keys, keys_of_lines
from mantra.legacy_import.models import ComparedOperation, ComparisonInput, HostComparison, ImportInput, LegacyImport
from mantra.legacy_import.old_programs import programs_for
from mantra.legacy_import.pages import compared, comparing, comparisons, inputs, runs
from mantra.legacy_import.pages.worker import ATTEMPTS, Stopped, Task
from registry import processes, roles
from registry.models import AccessKey, Operation
from tests.admin.conftest import make_agency, make_user
from tests.gateway.original import failure, rows
from tests.legacy_import.fake_old_host import FakeOldHost
from tests.legacy_import.rows import small
from tests.legacy_import.test_pages import (  # noqa: F401 (fixtures)
    administrator,
    again,
    client,
    dump,
    dumps,
    folder,
    last,
    upload,
)
from tests.servers.process import free_port

pytestmark = pytest.mark.django_db

KEY, OPERATION = "aaaaaaaaaa", "bkd/simpeg/by_nip"
NIK = "3201234567890001"


def line(target: str, method: str = "GET") -> str:
    return f'10.0.0.9 - - [03/Nov/2017:10:15:00 +0700] "{method} {target} HTTP/1.1" 200 512 "-" "MANTRA"\n'


#: Calls of an operation, one of them with its key in the address, and one of an operation that is not here.
LOG = (
    line(f"/mantra/json/{OPERATION}/nip={NIK}") * 3
    + line(f"/mantra/api/{OPERATION}/bbbbbbbbbb/nip=2")
    + line("/mantra/json/bkd/simpeg/lama/nip=1")
    + line(f"/mantra/json/bkd/simpeg/{NIK}/nip=1")
    + line(f"/mantra/xml/{OPERATION}", "POST")
)


def log(content: bytes | str = LOG, name: str = "access.log") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


def work(task: Task | None = None) -> None:
    """Let the worker do what waits, at a time at which the processes have what was imported."""
    task = task or Task(now=lambda: timezone.now() + timedelta(minutes=1))
    task.round()
    task.leadership.release()


def imported(client: Client, **values: Any) -> LegacyImport:  # noqa: F811
    """Import the small database for good, at once: test_pages.py has the dry run."""
    upload(client, dump(), **values)
    LegacyImport.objects.update(dry=False)
    work(Task())
    assert (last().state, last().dry) == ("done", False)
    return last()


@pytest.fixture
def made(folder: Path) -> LegacyImport:  # noqa: F811
    """A run for good, of which nothing but its keys is here."""
    run = LegacyImport.objects.create(source="lama.sql", state="done", finished_at=timezone.now())
    keys = Keys()
    keys.add(*OPERATION.split("/"), KEY)
    comparisons.keep_keys(run, keys, timezone.now())
    return run


@pytest.fixture
def old() -> Iterator[FakeOldHost]:
    with FakeOldHost("/mantra") as running:
        yield running


@pytest.fixture
def new(settings: Any) -> Iterator[FakeOldHost]:
    """Stands for this MANTRA: the comparison asks it at its own address."""
    with FakeOldHost() as running:
        settings.BASE_URL = running.url
        running.folder = "/mantra"
        yield running


def serve(host: FakeOldHost, **person: str) -> None:
    """Let a host know the operation with all its keys, which take turns."""
    for key in (KEY, "bbbbbbbbbb", "eeeeeeeeee"):
        host.add(OPERATION, key, lambda sent: rows("by_nip", [{"nip": sent["nip"], "nama": "Ani", **person}]))


def compare(client: Client, run: LegacyImport, url: str, **values: Any) -> Any:  # noqa: F811
    chosen = {"old_url": url, "requests": "5", "operations": OPERATION, "use_log": "on", **values}
    return client.post(reverse("moving_in_compare", args=[run.pk]), chosen)


def result() -> HostComparison:
    return HostComparison.objects.order_by("-pk")[0]


def shown(client: Client, one: HostComparison, query: str = "", **more: Any) -> Any:  # noqa: F811
    response = client.get(reverse("moving_in_comparison", args=[one.pk]) + query, **more)
    assert response.status_code == 200
    return response


# ------------------------------------------------------------------------------- keys in addresses


def states_of_keys() -> dict[str, tuple[bool, bool]]:
    return {key.public: (key.in_path, key.wrapped) for key in AccessKey.objects.all()}


def test_keys_that_a_log_has_in_addresses_may_stay_there(client: Client, folder: Path) -> None:  # noqa: F811
    packed = log(gzip.compress(LOG.encode()), "access.log.gz")
    made = imported(client, log=packed, keys_in_path="log")
    assert sorted(states_of_keys().values()) == [(False, False), (True, False)]
    assert " key-in-path " in made.lines.get(table="orders", old_id=2).codes
    # The log is kept for comparing, encrypted; the dump is not.
    kept = made.for_comparing
    assert (kept.log_name, made.input) == ("access.log.gz", None)
    assert sorted(dumps(folder)) == sorted([kept.keys_stored, kept.log_stored])
    assert not any(b"\x1f\x8b" in (folder / "dumps" / name).read_bytes()[:2] for name in dumps(folder))
    assert not any(KEY.encode() in (folder / "dumps" / name).read_bytes() for name in dumps(folder))


def test_all_keys_may_be_in_addresses(client: Client) -> None:  # noqa: F811
    imported(client, keys_in_path="all", wrapped="on")
    assert set(states_of_keys().values()) == {(True, True)}


def test_the_command_and_the_page_choose_keys_by_one_function(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LOG)
    (tmp_path / "keys").write_text(f"{KEY} {OPERATION}\n")
    logs, file = [str(tmp_path / "access.log")], str(tmp_path / "keys")

    def needs(in_path: str, wrapped: str) -> list[dict[str, bool]]:
        programs = programs_for(small(), in_path, wrapped, logs, ["mantra"])
        return [programs.needs(key) for key in (KEY, "bbbbbbbbbb")]

    assert needs("", "") == [{}, {}]
    assert needs("log", file) == [{"wrapped": True}, {"in_path": True}]
    assert needs("all", "all") == [{"in_path": True, "wrapped": True}] * 2
    assert needs(file, "") == [{"in_path": True}, {}]


def test_a_log_is_added_when_the_dry_run_is_read(client: Client, folder: Path) -> None:  # noqa: F811
    upload(client, dump())
    work()
    refused = again(client, last().pk, keys_in_path="log")
    assert (refused.status_code, list(refused.context["form"].errors)) == (400, ["log"])
    assert again(client, last().pk, "0", keys_in_path="log", log=log()).status_code == 302
    work()
    first = ImportInput.objects.get().log_stored
    assert again(client, last().pk, "0", keys_in_path="log", log=log(line("/mantra/json/x"))).status_code == 302
    assert first not in dumps(folder)
    assert len(dumps(folder)) == 2
    work()
    assert not last().lines.filter(codes__contains=" key-in-path ").exists()
    form = client.get(reverse("moving_in_run", args=[last().pk])).context["form"]
    assert form.initial["keys_in_path"] == "log"
    assert "access.log" in form.fields["log"].help_text
    client.post(reverse("moving_in_discard", args=[last().pk]))
    assert dumps(folder) == []


def test_a_log_that_is_cut_off_says_what_to_do(client: Client) -> None:  # noqa: F811
    upload(client, dump(), keys_in_path="log", log=log(gzip.compress(LOG.encode() * 90)[:-30]))
    work()
    assert (last().state, last().problem) == ("failed", "log")
    page = client.get(reverse("moving_in_run", args=[last().pk])).content.decode()
    assert "Log akses tidak dapat dibaca sampai akhir" in page


def test_a_log_that_is_too_large_is_refused(client: Client, settings: Any, folder: Path) -> None:  # noqa: F811
    content = dump()
    settings.MAX_LEGACY_DUMP_BYTES = len(content) + 10
    refused = upload(client, content, log=log(LOG * 100))
    assert (refused.status_code, list(refused.context["form"].errors)) == (400, ["log"])
    assert not folder.exists() or dumps(folder) == []


def test_an_uploaded_log_may_be_as_large_as_a_dump(client: Client, settings: Any) -> None:  # noqa: F811
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.MAX_LEGACY_DUMP_BYTES = 10_000, 1_000_000
    for name in ("moving_in_again", "moving_in_compare"):
        for size, is_read in ((1_010_000, True), (1_010_001, False)):
            response = client.generic("POST", reverse(name, args=[9]), b"", CONTENT_LENGTH=str(size))
            assert (response.status_code != 413) is is_read


# --------------------------------------------------------------------------------------- comparing


def test_keys_are_kept_as_the_command_reads_them() -> None:
    keys = Keys()
    keys.add("BKD", "Data Pegawai", "cari/nip", KEY)
    keys.add("bkd", "simpeg", "é", "bbbbbbbbbb")
    keys.add("bkd", "baris\nbaru", "x", "cccccccccc")
    keys.add("", "simpeg", "x", "dddddddddd")
    found = keys_of_lines(keys.lines())
    assert found.of(("bkd", "data pegawai", "cari/nip")) == [KEY]
    assert found.of(("bkd", "simpeg", "é")) == ["bbbbbbbbbb"]
    assert len(found) == 2


def test_a_difference_is_shown_until_it_is_gone(client: Client, old: FakeOldHost, new: FakeOldHost) -> None:  # noqa: F811
    made = imported(client, log=log())
    serve(old, unit="Rahasia")
    serve(new, unit="Terbuka")
    started = compare(client, made, old.url)
    assert started.headers["Location"] == reverse("moving_in_comparison", args=[result().pk])
    assert result().state == "waiting"
    work()
    first = result()
    assert (first.state, first.problem, first.is_clean, first.stopped) == ("done", "", False, "")
    # One request in three formats, and one with a key in its address in its own.
    assert (first.responses, first.equal) == (4, 0)
    assert {target.split("/")[2] for _method, target, _key in old.received} == {"json", "xml", "api"}
    assert {key for _method, _target, key in old.received} <= {KEY, "bbbbbbbbbb", ""}
    values = first.lines.get(kind="value")
    operation = Operation.objects.get(code="by_nip")
    assert (values.path, values.ref, values.harmless) == (OPERATION, operation.pk, False)
    assert (values.count, values.formats, values.example) == (4, "api 2, json 1, xml 1", "unit: text(7) → text(7)")
    response = shown(client, first)
    assert reverse("admin:registry_operation_change", args=[operation.pk]) in response.content.decode()
    assert [(each.kind, each.number, each.before) for each in response.context["kinds"]] == [("value", 4, None)]
    # Mended, and compared again with one click: beside the former result.
    serve(new, unit="Rahasia")
    client.post(reverse("moving_in_comparison_again", args=[first.pk]))
    work()
    second = result()
    assert (second.pk != first.pk, second.state, second.is_clean) == (True, "done", True)
    assert (second.responses, second.equal) == (4, 4)
    response = shown(client, second)
    assert response.context["former"] == first
    assert [(each.kind, each.number, each.before) for each in response.context["kinds"]] == [("value", 0, 4)]
    page = response.content.decode()
    assert "Bersih: 4 dari 4 respons sama" in page
    assert second.log["lines"] == 7
    assert reverse("moving_in_comparison", args=[second.pk]) in (
        client.get(reverse("moving_in_run", args=[made.pk])).content.decode()
    )


def test_nothing_of_requests_and_responses_is_kept(
    client: Client, old: FakeOldHost, new: FakeOldHost, folder: Path, caplog: Any  # noqa: F811
) -> None:  # fmt: skip
    made = imported(client, log=log())
    serve(old, unit="Rahasia")
    serve(new, unit="Terbuka")
    compare(client, made, old.url, operations="")
    work()
    one = result()
    # Of names that are no operation's, those that may be anything are not told.
    assert dict(one.lines.filter(kind="not-here").values_list("path", "count")) == {
        "bkd/simpeg/lama": 1, "bkd/simpeg/…": 1,
    }  # fmt: skip
    stored = [list(model.objects.values()) for model in (HostComparison, ComparedOperation, ComparisonInput)]
    for text in (json.dumps(stored, default=str), caplog.text, shown(client, one).content.decode()):
        for secret in (NIK, "Rahasia", "Terbuka", "Ani", KEY, "bbbbbbbbbb"):
            assert secret not in text
    assert list((folder / "work").iterdir()) == []


def test_without_a_log_requests_are_made_here(
    client: Client, old: FakeOldHost, new: FakeOldHost, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    made = imported(client)
    monkeypatch.setattr(first_rows, "values_of_rows", lambda _operation, _row, most: [{"nip": "7"}][:most])
    serve(old)
    serve(new)
    compare(client, made, old.url)
    work()
    one = result()
    assert (one.state, one.is_clean, one.log, one.log_name) == ("done", True, None, "")
    assert (one.responses, one.equal) == (3, 3)


def test_what_is_not_compared_has_its_reason(client: Client, old: FakeOldHost, new: FakeOldHost) -> None:  # noqa: F811
    made = imported(client, log=log())
    serve(old)
    serve(new)
    compare(client, made, old.url, operations="", requests="1")
    work()
    one = result()
    response = shown(client, one, "?kind=skipped-no-sample")
    (kind,) = [each for each in response.context["kinds"] if each.kind == "skipped-no-sample"]
    assert (kind.compared, kind.harmless) == (False, False)  # nobody knows what its callers will get
    assert [(row.line.path, row.label) for row in response.context["rows"]] == [
        ("bkd/simpeg/cuaca", compared.label_of("skipped-no-sample"))
    ]
    assert shown(client, one, "?kind=tidak-ada").context["kind"] == ""


def test_the_form_takes_its_values_from_the_last_one(client: Client, old: FakeOldHost, new: FakeOldHost) -> None:  # noqa: F811
    made = imported(client, log=log())
    compare(client, made, old.url, requests="7")
    work()
    form = client.get(reverse("moving_in_compare", args=[made.pk])).context["form"]
    assert {name: form.initial[name] for name in ("old_url", "requests", "operations", "use_log")} == {
        "old_url": old.url, "requests": 7, "operations": OPERATION, "use_log": True,
    }  # fmt: skip
    # Without the log: it is deleted.
    compare(client, made, old.url, use_log="")
    assert (result().log_name, comparisons.input_of(made).log_stored) == ("", "")  # type: ignore[union-attr]
    HostComparison.objects.update(state="done")
    # And with a new one.
    compare(client, made, old.url, log=log(name="baru.log"))
    assert result().log_name == "baru.log"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:rahasia@10.1.1.5/mantra", "kredensial"),
        ("ftp://10.1.1.5", "https://layanan.contoh.go.id/api"),
        ("10.1.1.5", "https://layanan.contoh.go.id/api"),
        ("http://10.1.1.5/gsb", "MANTRA_LEGACY_FOLDERS"),
        ("http://10.1.1.5/mantra?x=1", "10.1.1.5/mantra"),
        ("http://10.1.1.5/" + "x" * 500, ""),
    ],
)
def test_an_address_that_cannot_be_called_is_refused(client: Client, made: LegacyImport, url: str, words: str) -> None:  # noqa: F811
    refused = compare(client, made, url)
    assert (refused.status_code, list(refused.context["form"].errors)) == (400, ["old_url"])
    assert words in str(refused.context["form"].errors)
    assert not HostComparison.objects.exists()


@pytest.mark.parametrize("operations", ["bkd/simpeg", "a/b/c/d", "x" * 20_000, "a/b/" + "c" * 400])
def test_aliases_that_are_none_are_refused(client: Client, made: LegacyImport, operations: str) -> None:  # noqa: F811
    refused = compare(client, made, "http://10.1.1.5/mantra", operations=operations)
    assert (refused.status_code, list(refused.context["form"].errors)) == (400, ["operations"])


def test_the_networks_of_the_operator_hold_for_the_old_host(
    client: Client, old: FakeOldHost, new: FakeOldHost, made: LegacyImport, settings: Any  # noqa: F811
) -> None:  # fmt: skip
    settings.UPSTREAM_NETWORKS = ["10.0.0.0/8"]
    compare(client, made, old.url)
    work()
    assert (result().state, result().problem, old.received) == ("failed", "host-forbidden", [])
    assert "MANTRA_UPSTREAM_NETWORKS" in shown(client, result()).content.decode()


def test_a_host_that_is_down_ends_it(client: Client, new: FakeOldHost) -> None:  # noqa: F811
    many = "".join(line(f"/mantra/json/{OPERATION}/nip={number}") for number in range(9))
    made = imported(client, log=log(many))
    compare(client, made, f"http://127.0.0.1:{free_port()}/mantra", requests="9")
    work()
    one = result()
    assert (one.state, one.stopped, one.is_clean) == ("done", "old-down", False)
    assert "host lama" in shown(client, one).content.decode()


def test_codes_lead_to_what_to_do(client: Client, old: FakeOldHost, new: FakeOldHost) -> None:  # noqa: F811
    made = imported(client, log=log())
    serve(old)
    for key in (KEY, "bbbbbbbbbb"):
        new.add(OPERATION, key, lambda _sent: failure(10012, "kosong"))
    compare(client, made, old.url)
    work()
    (row,) = shown(client, result()).context["rows"]
    assert (row.line.kind, row.line.code, row.line.example) == ("refused", 10012, "200 → 10012")
    assert "SQL" in row.advice


# --------------------------------------------------------------------------------- under way, and its end


def test_the_page_shows_how_far_a_comparison_is(client: Client, made: LegacyImport) -> None:  # noqa: F811
    compare(client, made, "http://10.1.1.5/mantra")
    one = result()
    assert shown(client, one).context["shown"].percent == 0
    HostComparison.objects.filter(pk=one.pk).update(state="running")
    inputs.report(one.mark, inputs.Progress("sending", 30, 120))
    part = shown(client, one, headers={"HX-Request": "true"})
    assert part.context["shown"].percent == 25
    assert b"<html" not in part.content
    # It is no progress of the import with the same number.
    assert inputs.progress_of(one.pk) is None
    HostComparison.objects.filter(pk=one.pk).update(state="done")
    assert shown(client, one, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"


def test_progress_goes_through_the_steps(
    client: Client, old: FakeOldHost, new: FakeOldHost, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    reported: list[inputs.Progress] = []
    made = imported(client, log=log())
    serve(old)
    serve(new)
    compare(client, made, old.url)
    monkeypatch.setattr(inputs, "report", lambda _run, progress: reported.append(progress))
    ticks = iter(range(0, 100_000, 2))
    work(Task(clock=lambda: float(next(ticks)), now=lambda: timezone.now() + timedelta(minutes=1)))
    steps = [each.step for each in reported]
    assert set(steps) == {"log", "sending"}
    assert steps == sorted(steps)
    assert [(each.done, each.total) for each in reported if each.step == "sending"] == [
        (number, 4) for number in range(1, 5)
    ]  # fmt: skip


def test_a_comparison_is_cancelled(client: Client, old: FakeOldHost, new: FakeOldHost, monkeypatch: Any) -> None:  # noqa: F811
    made = imported(client, log=log())
    compare(client, made, old.url)
    client.post(reverse("moving_in_comparison_cancel", args=[result().pk]))
    assert result().state == "cancelled"  # it waited
    compare(client, made, old.url)
    wanted = result().mark
    monkeypatch.setattr(inputs, "is_cancelled", lambda mark: mark == wanted and len(old.received) > 0)
    ticks = iter(range(0, 100_000, 2))
    work(Task(clock=lambda: float(next(ticks)), now=lambda: timezone.now() + timedelta(minutes=1)))
    assert (result().state, result().lines.count()) == ("cancelled", 0)
    assert 0 < len(old.received) < 4


def test_one_at_a_time_also_beside_an_import(client: Client, made: LegacyImport) -> None:  # noqa: F811
    compare(client, made, "http://10.1.1.5/mantra")
    assert compare(client, made, "http://10.1.1.5/mantra").status_code == 400
    assert upload(client, dump()).status_code == 400
    client.post(reverse("moving_in_comparison_again", args=[result().pk]))
    assert (HostComparison.objects.count(), LegacyImport.objects.count()) == (1, 1)
    # What it needs stays meanwhile.
    client.post(reverse("moving_in_forget", args=[made.pk]))
    runs.prune(timezone.now() + timedelta(days=2))
    comparisons.prune(timezone.now() + timedelta(days=2))
    assert comparisons.input_of(made) is not None
    HostComparison.objects.all().delete()
    upload(client, dump())
    assert compare(client, made, "http://10.1.1.5/mantra").status_code == 400


def test_a_comparison_whose_process_died_is_made_again(client: Client, old: FakeOldHost, new: FakeOldHost) -> None:  # noqa: F811
    made = imported(client, log=log())
    serve(old)
    serve(new)
    compare(client, made, old.url)
    HostComparison.objects.update(state="running", worker="elsewhere:1", attempts=1)
    ComparedOperation.objects.create(comparison=result(), path="a/b/c", kind="value", harmless=False, count=1)
    work()
    assert (result().state, result().attempts, result().lines.filter(path="a/b/c").count()) == ("done", 2, 0)
    HostComparison.objects.update(state="running", worker=processes.this_process(), attempts=ATTEMPTS)
    work()
    assert (result().state, result().problem) == ("failed", "interrupted")


def test_a_worker_that_has_to_stop_leaves_it_for_the_next(
    client: Client, old: FakeOldHost, new: FakeOldHost, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    made = imported(client, log=log())

    def stopped(*_args: Any) -> None:
        raise Stopped

    compare(client, made, old.url)
    with monkeypatch.context() as patched:
        patched.setattr(comparing, "compare", stopped)
        task = Task(now=lambda: timezone.now() + timedelta(minutes=1))
        task._do(task._next())  # type: ignore[arg-type]
    assert (result().state, result().attempts) == ("running", 0)
    work()
    assert (result().state, result().attempts) == ("done", 1)


@pytest.mark.parametrize(("ago", "waits"), [(1.0, 5.0), (5.5, 0.5), (60.0, 0.0)])
def test_it_begins_when_the_processes_have_what_was_imported(
    client: Client, made: LegacyImport, settings: Any, monkeypatch: pytest.MonkeyPatch, ago: float, waits: float  # noqa: F811
) -> None:  # fmt: skip
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return False

    settings.SNAPSHOT_SECONDS = 2.0
    monkeypatch.setattr(comparing, "compare", lambda _job, _progress: None)
    compare(client, made, "http://10.1.1.5/mantra")
    finished = LegacyImport.objects.get(pk=made.pk).finished_at
    assert finished is not None
    work(Task(now=lambda: finished + timedelta(seconds=ago), _stop=Stop()))
    assert waited == [pytest.approx(waits)]


def test_an_error_has_no_text_of_data(client: Client, made: LegacyImport, monkeypatch: Any, caplog: Any) -> None:  # noqa: F811
    def broken(*_args: Any) -> None:
        raise RuntimeError(NIK)

    monkeypatch.setattr(comparing, "compare", broken)
    compare(client, made, "http://10.1.1.5/mantra")
    work()
    assert (result().state, result().problem) == ("failed", "error")
    assert "RuntimeError" in caplog.text
    assert NIK not in caplog.text


# ----------------------------------------------------------------------------------- rights, and keeping


def test_what_is_kept_expires_and_can_be_deleted(client: Client, folder: Path) -> None:  # noqa: F811
    made = imported(client, log=log())
    assert len(dumps(folder)) == 2
    now = timezone.now()
    comparisons.prune(now + runs.KEPT - timedelta(minutes=5))
    assert comparisons.input_of(made) is not None
    # A comparison keeps it for longer.
    compare(client, made, "http://10.1.1.5/mantra")
    HostComparison.objects.update(state="done")
    ComparisonInput.objects.update(expires_at=now + timedelta(minutes=1))
    client.post(reverse("moving_in_comparison_again", args=[result().pk]))
    assert comparisons.input_of(made).expires_at > now + timedelta(hours=23)  # type: ignore[union-attr]
    HostComparison.objects.update(state="done")
    comparisons.prune(now + runs.KEPT + timedelta(minutes=5))
    assert (comparisons.input_of(made), dumps(folder)) == (None, [])
    # Then there is nothing to compare with.
    for name, args in (("moving_in_compare", made.pk), ("moving_in_comparison_again", result().pk)):
        response = client.post(reverse(name, args=[args]), {"old_url": "http://10.1.1.5"})
        assert response.headers["Location"] == reverse("moving_in_run", args=[made.pk])
    page = client.get(reverse("moving_in_run", args=[made.pk])).content.decode()
    assert "Kunci pemanggil lama sudah dihapus" in page
    again_made = imported(client)
    client.post(reverse("moving_in_forget", args=[again_made.pk]))
    assert dumps(folder) == []


def test_a_file_of_no_row_is_removed(client: Client, folder: Path, made: LegacyImport) -> None:  # noqa: F811
    for path in (folder / "dumps").iterdir():
        os.utime(path, (0, 0))
    stray, _key = inputs.store([b"x"])
    os.utime(folder / "dumps" / stray, (0, 0))
    runs.prune(timezone.now())
    assert dumps(folder) == [made.for_comparing.keys_stored]


def test_the_oldest_comparisons_are_deleted(made: LegacyImport) -> None:
    for _number in range(comparisons.MOST + 3):
        HostComparison.objects.create(run=made, state="done", old_url="http://a")
    newest = result()
    comparisons.prune(timezone.now())
    assert HostComparison.objects.count() == comparisons.MOST
    assert result() == newest


def test_a_run_that_fails_keeps_no_keys(client: Client, folder: Path, monkeypatch: Any) -> None:  # noqa: F811
    def broken(*_args: Any) -> None:
        raise RuntimeError

    upload(client, dump())
    work()
    monkeypatch.setattr(running._Mover, "move", broken)
    again(client, last().pk)
    work()
    assert (last().state, ComparisonInput.objects.count(), len(dumps(folder))) == ("failed", 0, 1)


@pytest.mark.parametrize("role", [role for role in roles.ROLES if role != roles.ADMINISTRATOR])
def test_only_administrators_compare(role: str, made: LegacyImport) -> None:
    one = HostComparison.objects.create(run=made, state="done", old_url="http://a")
    other = Client()
    agency = None if role in roles.WITHOUT_AGENCY else make_agency("akik").agency
    other.force_login(make_user(role, agency, "orang-lain"))
    for name, pk in (("moving_in_compare", made.pk), ("moving_in_comparison", one.pk)):
        assert other.get(reverse(name, args=[pk])).status_code == 403
    for name, pk in (
        ("moving_in_compare", made.pk), ("moving_in_forget", made.pk), ("moving_in_comparison_again", one.pk),
        ("moving_in_comparison_cancel", one.pk),
    ):  # fmt: skip
        assert other.post(reverse(name, args=[pk])).status_code == 403
    assert made.comparisons.count() == 1
    assert comparisons.input_of(made) is not None


def test_a_run_that_was_no_import_for_good_is_not_compared(client: Client) -> None:  # noqa: F811
    upload(client, dump())
    work()
    assert "comparisons" not in client.get(reverse("moving_in_run", args=[last().pk])).content.decode()
    assert compare(client, last(), "http://10.1.1.5").headers["Location"] == reverse("moving_in_run", args=[last().pk])
