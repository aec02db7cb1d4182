"""Calls that nginx took over the fast lane: from its lines into the journal, the history and the statistics."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from limits import parse

from mantra.gateway import quota_stores
from mantra.metrics import calls
from registry import worker_metrics
from registry.calls import request_id
from registry.journal import collecting, history, lane_folder, leases, reader, segments, shipping
from registry.journal.collecting import Collector
from registry.journal.lane_folder import Collected
from registry.metrics import merging
from registry.models import AccessKey, CallHour, CallLease, CallRecord
from tests.cast import Cast, call, recorded
from tests.clock import stopped_clock
from tests.count_journal import count as count_journal
from tests.servers.redis import RedisServer

LEASE = "00000000000000aa"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.FAST_LANE_DIR = tmp_path
    lane_folder.log_folder().mkdir()
    return lane_folder.log_folder()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def file_of(folder: Path, name: str = "") -> Path:
    return folder / f"{name or lane_folder.log_name(time.time())}.calls"


def written(
    lease: str = LEASE, status: int = 200, size: int = 8, expected: str = "8", complete: str = "OK", id: str = ""
) -> str:
    """The line of a call as nginx writes it."""
    return f"{lease} {id or request_id()} {time.time():.3f} GET 10.1.2.3 {status} {size} 0.007 {expected} {complete}\n"


def write(folder: Path, *lines: str) -> None:
    with file_of(folder).open("a") as file:
        file.write("".join(lines))


def give(cast: Cast, id: str = LEASE, n: int = 100, at: float | None = None) -> None:
    """Record a lease as the bus does."""
    operation = cast.operations["satu"]
    segments.write({
        "t": "lease", "id": id, "at": at or time.time(), "n": n, "protocol": "rest", "method": "GET", "ip": "10.1.2.3",
        "format": "json", "op": ("prov", "data", "satu", operation.pk, 1),
        "by": ("kons", "app", cast.key_row.public, cast.key_row.pk), "grant": 7, "from": ("backend", 3, "hulu", 5),
        "class": "personal",
    })  # fmt: skip


def test_it_works(cast: Cast, folder: Path, collector: Collector) -> None:
    give(cast)
    id = request_id()
    write(folder, written(id=id), written(status=404), written(size=3), written(size=99, expected="large"))
    assert collector.round() == 4
    shipping.ship()
    record = CallRecord.objects.get(request_id=id)
    assert (record.agency, record.service, record.operation) == ("prov", "data", "satu")
    assert (record.consumer_agency, record.application, record.key) == ("kons", "app", cast.key_row.public)
    assert (record.protocol, record.method, record.format, record.client_ip) == ("rest", "GET", "json", "10.1.2.3")
    assert (record.outcome, record.status, record.bytes, record.duration_us) == (200, 200, 8, 7000)
    assert (record.origin_kind, record.origin_ref, record.origin, record.server_ref) == ("backend", 3, "hulu", 5)
    assert (record.grant_ref, record.classification, record.broken) == (7, "personal", False)
    assert AccessKey.objects.get(pk=cast.key_row.pk).last_used_at
    others = CallRecord.objects.exclude(request_id=id).order_by("id")
    found = [(each.outcome, each.status, each.classification, each.broken) for each in others]
    assert found == [(200, 404, "", False), (200, 200, "personal", True), (11221, 200, "", True)]
    call_command("verify_audit")


def test_a_changed_record_of_a_call_on_the_fast_lane_is_found(
    cast: Cast, folder: Path, collector: Collector, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[str]:
        with suppress(CommandError):
            call_command("verify_audit", "--history", "0")
        lines = capsys.readouterr().out.splitlines()
        return [line.split(": ", 1)[1] for line in lines if line.startswith("BROKEN")]

    give(cast)
    write(folder, *(written() for _ in range(3)), written(status=404), written(size=99, expected="large"))
    collector.round()
    shipping.ship()
    assert broken() == []
    record = CallRecord.objects.order_by("pk")[0]
    for column, value in {"application": "lain", "grant_ref": 8, "client_ip": "10.9.9.9", "status": 500}.items():
        CallRecord.objects.filter(pk=record.pk).update(**{column: value})
        assert broken() == [f"line 2: the history has another {column.replace('_', ' ')}"]
        CallRecord.objects.filter(pk=record.pk).update(**{column: getattr(record, column)})
    # The lease is in a segment that is not read: what the call's own line says remains.
    monkeypatch.setattr(history, "MOST_LEASES", 0)
    assert broken() == []
    CallRecord.objects.filter(pk=record.pk).update(bytes=9)
    assert broken() == ["line 2: the history has another bytes"]
    record.save()
    CallRecord.objects.create(request_id="f" * 32, started_at=timezone.now(), segment=record.segment, outcome=200)
    assert broken() == ["the history has 1 records that the segment has not"]
    record.delete()
    assert broken() == ["line 2: the history has no record of it"]


def test_what_the_statistics_count_is_what_the_journal_has(cast: Cast, folder: Path, collector: Collector) -> None:
    give(cast)
    cast.get("satu.json", "id=7")
    write(folder, *(written() for _ in range(20)))
    collector.round()
    shipping.ship()
    journal = count_journal(Path(django_settings.JOURNAL_DIR), django_settings.TIME_ZONE)
    hours = CallHour.objects.filter(group__kind="call").values_list("group__operation_ref").annotate(
        Sum("calls"), Sum("rows"), Sum("bytes")
    )  # fmt: skip
    assert sum(calls for calls, _rows, _bytes in journal.values()) == 21
    by_operation: dict[int, list[int]] = {}
    for (_day, _hour, operation, *_rest), values in journal.items():
        by_operation[operation] = [a + b for a, b in zip(by_operation.get(operation, [0] * 3), values, strict=True)]
    assert {operation: [*values] for operation, *values in hours} == by_operation


def test_metrics_have_the_calls_of_the_fast_lane(
    cast: Cast, folder: Path, collector: Collector, settings: Any, tmp_path: Path
) -> None:
    settings.METRICS_TOKEN, settings.METRICS_DIR = "x" * 16, tmp_path / "metrics"
    give(cast)
    write(folder, *(written(size=5, expected="5") for _ in range(3)), written(status=503))
    with worker_metrics.published():
        collector.round()
        shipping.ship()
        counts = merging.totals().counts
    operation = "operation", str(cast.operations["satu"].pk), "prov", "data", "satu"
    assert counts["lane",][0] == counts["outcome", "rest", "200"][0] == 4
    cells = counts[operation]
    assert [cells[at] for at, each in enumerate(calls.OUTCOMES) if each in ("answered", "failed")] == [3, 1]
    assert (cells[calls.BYTES], cells[calls.MICROSECONDS]) == (23, 28_000)


def test_a_call_that_came_back_to_the_bus_is_one_of_its_lease(
    cast: Cast, folder: Path, collector: Collector, settings: Any
) -> None:
    settings.NGINX_SECRET = "rahasia-nginx-0123456789"
    ended(used=1)
    handed = f"{LEASE} {'a' * 32} unreachable b1s1"
    call(
        "/rest/prov/data/satu.json?id=7",
        accesskey=cast.key,
        x_mantra_nginx=settings.NGINX_SECRET,
        x_mantra_failed=handed,
    )
    give(cast)
    collector.round()
    shipping.ship()
    assert CallRecord.objects.get().request_id == "a" * 32
    shipping.ship()
    assert closed() == {LEASE: [100, 1, 1, 0]}


def test_half_a_line_is_collected_when_it_is_whole(cast: Cast, folder: Path, collector: Collector) -> None:
    give(cast)
    text = written()
    write(folder, written(), text[:50])
    assert collector.round() == 1
    write(folder, text[50:])
    assert collector.round() == 1
    assert collector.round() == 0


def test_a_line_that_cannot_be_read_stops_nothing(cast: Cast, folder: Path, collector: Collector) -> None:
    give(cast)
    write(folder, "rusak\n", written(), "\n")
    assert collector.round() == 1
    [line] = [line for line in recorded() if line["t"] == "calls"]
    assert line["unreadable"] == 2


def test_a_collector_goes_on_where_the_one_before_was_killed(
    cast: Cast, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before and after each line of the journal: no call is lost, and none is there twice."""
    monkeypatch.setattr(collecting, "CALLS_PER_LINE", 7)
    give(cast, n=1000)
    chance, ids, write_line = random.Random(1), [], segments.write
    killed = 0

    class Killed(BaseException):
        pass

    def sometimes(line: dict[str, Any], kind: str = "") -> None:
        before, after = chance.random() < 0.15, chance.random() < 0.15
        if before:
            raise Killed
        write_line(line, kind)
        if after:
            raise Killed

    monkeypatch.setattr(segments, "write", sometimes)
    for _ in range(40):
        new = [request_id() for _ in range(chance.randrange(1, 40))]
        ids += new
        write(folder, *(written(id=id) for id in new))
        one = Collector()
        try:
            one.round()
        except Killed:
            killed += 1
        one.close()
    monkeypatch.setattr(segments, "write", write_line)
    last = Collector()
    last.round()
    last.close()
    assert killed > 5
    shipping.ship()
    assert sorted(CallRecord.objects.values_list("request_id", flat=True)) == sorted(ids)
    assert CallLease.objects.get().calls == len(ids)


def test_kill_9_between_reading_and_writing(cast: Cast, folder: Path) -> None:
    """A real process that is killed while it collects."""
    give(cast, n=5000)
    ids = [request_id() for _ in range(3000)]
    write(folder, *(written(id=id) for id in ids))
    script = (
        "import os\n"
        "from registry.journal import segments, collecting\n"
        "write, count = segments.write, [0]\n"
        "def counted(line, kind=''):\n"
        "    write(line, kind)\n"
        "    count[0] += 1\n"
        "    if count[0] == 3: os.kill(os.getpid(), 9)\n"
        "segments.write = counted\n"
        "collecting.Collector().round()\n"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mantra.settings", "MANTRA_FAST_LANE_DIR": str(django_settings.FAST_LANE_DIR),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False, cwd=django_settings.BASE_DIR)
    assert done.returncode == -9
    last = Collector()
    assert last.round() == 1500
    last.close()
    shipping.ship()
    assert set(CallRecord.objects.values_list("request_id", flat=True)) == set(ids)
    call_command("verify_audit")


def test_half_a_line_of_a_killed_collector_is_taken_away(cast: Cast, folder: Path, collector: Collector) -> None:
    give(cast)
    write(folder, written(), written())
    collector.round()
    collector.close()
    segments.close()
    path = next(path for path in reader.segments() if reader.holds_calls(path))
    *whole, calls, _close = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole) + calls[:40])
    assert collector.round() == 2
    shipping.ship()
    assert CallRecord.objects.count() == 2
    call_command("verify_audit")


def test_lines_that_are_read_again_are_there_once(cast: Cast, folder: Path, collector: Collector) -> None:
    """As when the file was removed from the folder of the journal, or its last lines."""
    give(cast)
    write(folder, *(written() for _ in range(5)))
    collector.round()
    shipping.ship()
    collector.close()
    for path in reader.segments():
        if reader.holds_calls(path):
            path.unlink()
    segments.close()
    collector.round()
    shipping.ship()
    assert CallRecord.objects.count() == CallLease.objects.get().calls == 5


def test_an_old_file_is_renamed_and_then_removed(cast: Cast, folder: Path) -> None:
    now = time.time()
    one = Collector(lambda: now)
    give(cast)
    write(folder, written())
    one.round()
    now += 601
    one.round()
    [renamed] = folder.iterdir()
    assert renamed.suffix == ".closing"
    with renamed.open("a") as file:  # nginx had it open
        file.write(written())
    assert one.round() == 1
    one.close()
    again = Collector(lambda: now)
    assert again.round() == 0
    now += 61
    again.round()
    assert list(folder.iterdir()) == []
    write(folder, written())  # a straggler creates it anew
    assert again.round() == 1
    again.close()
    shipping.ship()
    assert CallRecord.objects.count() == 3


def ended(id: str = LEASE, used: int = 3) -> None:
    segments.write({"t": "used", "at": time.time(), "leases": [(id, used)]})


def closed() -> dict[str, list[Any]]:
    """What the journal says last about each lease: n, used, calls, unexplained."""
    return {id: rest for line in recorded() if line["t"] == "leased" for id, *rest in line["leases"]}


def test_a_lease_is_closed_when_its_calls_are_there(cast: Cast, folder: Path, collector: Collector) -> None:
    ended()  # another process may write before the one that gave it
    give(cast)
    write(folder, written(), written())
    collector.round()
    shipping.ship()
    assert closed() == {}
    write(folder, written())
    collector.round()
    shipping.ship()
    assert closed() == {LEASE: [100, 3, 3, 0]}
    shipping.ship()
    assert len([line for line in recorded() if line["t"] == "leased"]) == 1


def test_a_killed_nginx_leaves_calls_unexplained(cast: Cast, folder: Path, collector: Collector) -> None:
    give(cast, n=50, at=time.time() - 121)
    write(folder, *(written() for _ in range(20)))
    collector.round()
    shipping.ship()
    assert closed() == {LEASE: [50, None, 20, 30]}
    assert CallLease.objects.get().unexplained == 30
    # It was not: the last word counts.
    ended(used=22)
    write(folder, written(), written())
    collector.round()
    shipping.ship()
    assert closed() == {LEASE: [50, 22, 22, 0]}
    assert CallLease.objects.get().unexplained == 0


def test_calls_that_were_used_and_never_ended_are_unexplained(cast: Cast, collector: Collector) -> None:
    give(cast, at=time.time() - 3700)
    ended(used=3)
    collector.round()
    shipping.ship()
    assert closed() == {LEASE: [100, 3, 0, 3]}


def test_nothing_is_closed_while_calls_are_not_collected(cast: Cast) -> None:
    give(cast, at=time.time() - 3700)
    lane_folder.write("collected.json", Collected(time.time() - 3700, 0))
    shipping.ship()
    assert closed() == {}


def test_old_leases_are_forgotten(cast: Cast) -> None:
    give(cast, at=time.time() - 8 * 86400)
    shipping.ship()
    leases.prune(timezone.now())
    assert CallLease.objects.count() == 0


def test_a_call_of_a_lost_lease_is_in_the_history(cast: Cast, folder: Path, collector: Collector) -> None:
    write(folder, written())
    collector.round()
    shipping.ship()
    record = CallRecord.objects.get()
    assert (record.status, record.operation, record.application) == (200, "", "")


def test_lines_of_another_version_stop_nothing(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    for line in ({"t": "lease", "id": "x"}, {"t": "used"}, {"t": "calls", "calls": []}, {"t": "leased"}):
        segments.write(line)
    cast.get("satu.json", "id=7")
    shipping.ship()
    assert CallRecord.objects.get().outcome == 200
    assert caplog.text.count("is not a line of this version") == 3


# ------------------------------------------------------------------------------------- quotas in blocks


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def lessor(kind: str, store: RedisServer) -> Any:
    return quota_stores.RedisCounter(store.url) if kind == "redis" else quota_stores.Memory()


#: What callers and nginx do, one after the other: call, take a lease, report one.
STEPS = st.lists(
    st.one_of(
        st.just(("call",)), st.tuples(st.just("lease"), st.integers(1, 60)), st.tuples(st.just("end"), st.floats(0, 1))
    ),
    max_size=40,
)


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_never_more_than_the_quota_and_what_is_given_back_can_be_used(kind: str, store: RedisServer) -> None:
    counter, tried = lessor(kind, store), iter(range(10_000))

    @hypothesis_settings(max_examples=40)
    @given(STEPS, st.integers(1, 200), st.integers(1, 400))
    def check(steps: list[tuple[Any, ...]], first: int, second: int) -> None:
        grant, items = f"{kind}-{next(tried)}", [parse(f"{first}/hour"), parse(f"{second}/day")]
        used, given_out = 0, {}
        for number, (step, *more) in enumerate(steps):
            if step == "lease":
                lease = counter.lease(items, grant, f"{grant}-{number}", more[0])
                left = min(first, second) - used - sum(given_out.values())
                assert (0 if lease is None else lease.count) == min(more[0], left // 10)
                if lease is not None:
                    given_out[f"{grant}-{number}"] = lease.count
                    assert lease.remaining == left - lease.count
            elif step == "end" and given_out:
                id, count = given_out.popitem()
                taken = int(count * more[0])
                used += taken
                assert counter.give_back([(id, taken), ("tidak ada", 0)]) == count - taken
                assert counter.give_back([(id, 0)]) == 0
            elif step == "call":
                fine = all(hit(counter, item, grant) for item in items)
                assert fine == (used + sum(given_out.values()) < min(first, second))
                used += fine
                if not fine:
                    return  # a refused call is counted in the windows before the one that refuses it
        assert used + sum(given_out.values()) <= min(first, second)

    check()


def hit(counter: Any, item: Any, grant: str) -> bool:
    if isinstance(counter, quota_stores.RedisCounter):
        return counter.hit(item, grant)[0]
    return bool(counter.incr(item.key_for("grant", grant), item.get_expiry()) <= item.amount)


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_leases_of_many_at_once_are_never_more_than_the_quota(kind: str, store: RedisServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    counter, item = lessor(kind, store), parse("5000/day")

    def one(number: int) -> int:
        lease = counter.lease([item], "ramai", f"ramai-{number}", 40)
        if lease is None:
            return 0
        used = number % (lease.count + 1)
        counter.give_back([(f"ramai-{number}", used)])
        return used

    with ThreadPoolExecutor(8) as pool:
        used = sum(pool.map(one, range(400)))
        single = sum(pool.map(lambda _: hit(counter, item, "ramai"), range(6000)))
    assert used + single == 5000


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_what_is_given_back_late_does_not_fill_the_next_window(
    kind: str, store: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, item = lessor(kind, store), parse("100/2 second")
    clock = stopped_clock(monkeypatch, quota_stores)
    assert counter.lease([item], "lambat", "lambat-1", 10).count == 10
    if kind == "redis":
        time.sleep(2.1)  # its own clock
    clock.move(2)
    assert hit(counter, item, "lambat")
    counter.give_back([("lambat-1", 0)])
    assert counter.take([item], "lambat", 150)[0] == 99
