"""Quotas of rows and of persons: never more leaves than they say, by whatever way it is called for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from mantra.gateway import quotas, row_quotas
from mantra.gateway.row_quota_stores import PERSONS_IN_STEP, Memory, Redis, Store, StoreFull, Window
from registry import faults
from registry.circuit_breaker import CircuitBreaker
from registry.models import Application, Grant, periods
from registry.models.base import validate_person_quota, validate_row_quota
from registry.results import Fault
from registry.snapshot import holder
from tests.cast import ROWS, Cast, Reply, call, ends_of
from tests.jobs.conftest import Time, begin, folder, take_turn, time
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.servers.redis import RedisServer
from tests.servers.stopping import stopped
from tests.verification.people import SITI, verifying

__all__ = ("folder", "time")

PERSONS_SQL = """
SELECT '32010101' || printf('%08d', id) AS nik, nama FROM orang WHERE id BETWEEN :dari AND :sampai ORDER BY id
"""
RANGE = ({"name": "dari", "type": "integer"}, {"name": "sampai", "type": "integer"})


def limit(cast: Cast, operation: str, **limits: str) -> None:
    """Limit the grant for an operation; ``application`` limits the application instead."""
    Grant.objects.filter(operation__code=operation).update(**limits)
    holder.refresh()


def limit_application(cast: Cast, **limits: str) -> None:
    Application.objects.filter(pk=cast.application.pk).update(**limits)
    holder.refresh()


def is_refused(reply: Reply, kind: Any) -> bool:
    return (reply.status, reply.json()["code"]) == (429, kind.code) and int(reply.headers["retry-after"]) > 0


# ------------------------------------------------------------------------------------------ the rules


def test_it_works(cast: Cast) -> None:
    limit(cast, "satu", row_limit="2/hour")
    assert [cast.get("satu", f"id={each}").status for each in (1, 2)] == [200, 200]
    reply = cast.get("satu", "id=3")
    assert is_refused(reply, faults.ROWS_EXCEEDED)
    assert "2 baris per jam untuk izin ini" in reply.json()["detail"]
    assert ends_of(reply.headers["x-request-id"])[0]["code"] == faults.ROWS_EXCEEDED.code
    # A row that is not there counts nothing.
    assert cast.get("satu", "id=999999").json()["count"] == 0


def test_what_is_left_is_in_the_headers(cast: Cast) -> None:
    limit(cast, "satu", quota="10/day", row_limit="5/hour; 100/day")
    headers = cast.get("satu", "id=1").headers
    assert headers["ratelimit-policy"] == '"quota";q=10;w=86400, "rows";q=5;w=3600'
    assert headers["ratelimit"].startswith('"quota";r=9;')
    assert ', "rows";r=4;t=3600' in headers["ratelimit"].replace("t=3601", "t=3600")


def test_a_streamed_response_ends_where_the_rows_end(cast: Cast) -> None:
    cast.operation("lebar", "SELECT id, printf('%0500d', id) AS isi FROM orang ORDER BY id", max_rows=10_000)
    limit(cast, "lebar", row_limit="2000/day")
    reply = cast.get("lebar.ndjson")
    assert reply.status == 200
    assert isinstance(reply.broke, Fault)
    assert 1000 < reply.body.count(b"\n") <= 2000
    end = ends_of(reply.headers["x-request-id"])[0]
    assert (end["code"], end["broken"]) == (faults.ROWS_EXCEEDED.code, True)


def test_what_was_not_sent_is_given_back(cast: Cast) -> None:
    limit(cast, "semua", row_limit=f"{ROWS - 1}/day")
    limit_application(cast, row_limit=f"{ROWS}/day")
    # All rows are needed before the first byte of these formats: a clean fault, and nothing is used up.
    for _attempt in range(3):
        assert is_refused(cast.get("semua.xlsx"), faults.ROWS_EXCEEDED)
    assert cast.get("semua.csv", method="HEAD").status == 200
    limit(cast, "semua", row_limit=f"{ROWS}/day")
    assert cast.get("semua.xlsx").status == 200
    assert is_refused(cast.get("satu", "id=1"), faults.ROWS_EXCEEDED)


def test_a_response_that_has_not_changed_counts_nothing(cast: Cast) -> None:
    cast.operation("tembolok", "SELECT id FROM orang WHERE id < 4", cache_seconds=60)
    limit(cast, "tembolok", row_limit="6/hour")
    tag = cast.get("tembolok").headers["etag"]
    assert [cast.get("tembolok", if_none_match=tag).status for _ in range(3)] == [304, 304, 304]
    assert [cast.get("tembolok").status for _ in range(2)] == [200, 429]


def test_the_application_s_quota_is_for_all_of_its_operations(cast: Cast) -> None:
    limit_application(cast, row_limit="3/hour")
    assert cast.get("satu", "id=1").status == 200
    assert cast.get("cari", "nama=Orang+1").json()["count"] == 1
    assert cast.get("satu", "id=2").status == 200
    reply = cast.get("cari", "nama=Orang+2")
    assert is_refused(reply, faults.ROWS_EXCEEDED)
    assert "aplikasi ini" in reply.json()["detail"]


def test_a_larger_quota_goes_on_where_the_smaller_one_was(cast: Cast) -> None:
    limit(cast, "satu", row_limit="2/hour")
    assert [cast.get("satu", f"id={each}").status for each in (1, 2, 3)] == [200, 200, 429]
    limit(cast, "satu", row_limit="3/hour")
    assert [cast.get("satu", f"id={each}").status for each in (3, 4)] == [200, 429]


def test_an_open_operation_counts_nothing(cast: Cast) -> None:
    limit_application(cast, row_limit="1/day", subject_limit="1/day")
    assert [cast.get("terbuka").status for _ in range(3)] == [200] * 3


# -------------------------------------------------------------------------------------------- persons


def test_persons_that_are_named_count_once(cast: Cast) -> None:
    cast.operation("orang", "SELECT nama FROM orang WHERE id = :id", parameters=({"name": "id", "subject": True},))
    limit(cast, "orang", subject_limit="2/day")
    assert [cast.get("orang", f"id={each}").status for each in (1, 2, 1, 2, 1)] == [200] * 5
    assert is_refused(cast.get("orang", "id=3"), faults.PERSONS_EXCEEDED)
    # A person whom nobody knows is one more that was tried.
    assert is_refused(cast.get("orang", "id=888888"), faults.PERSONS_EXCEEDED)
    assert cast.get("orang", "id=1").status == 200


def test_a_refused_person_is_not_looked_up(cast: Cast) -> None:
    cast.operation("orang", "SELECT nama FROM orang WHERE id = :id", parameters=({"name": "id", "subject": True},))
    limit(cast, "orang", subject_limit="1/day")
    cast.get("orang", "id=1")
    reply = cast.get("orang", "id=2")
    assert is_refused(reply, faults.PERSONS_EXCEEDED)
    assert "from" not in ends_of(reply.headers["x-request-id"])[0]  # its source was not asked


class Steps(Memory):
    """A store that tells its steps. ``away``: of how many it fails."""

    def __init__(self, away: int = 0) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.away = away

    def take(self, windows: Any, rows: int, persons: Any) -> Any:
        self.steps.append(len(persons))
        if len(self.steps) <= self.away:
            raise StoreFull
        return super().take(windows, rows, persons)


@pytest.mark.parametrize(("away", "steps"), [(0, [1]), (1, [1, 1])])
def test_a_person_who_is_named_and_comes_is_counted_in_one_step(
    cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch, away: int, steps: list[int]
) -> None:
    """Each step is a way to the shared store and back. A step that failed has counted nobody."""
    settings.QUOTA_STORE_DOWN = "allow"
    store = Steps(away)
    monkeypatch.setattr(row_quotas, "store", store)
    columns = "SELECT id, nama FROM orang WHERE id = :id"
    cast.operation("orang", columns, parameters=({"name": "id", "subject": True},))
    limit(cast, "orang", subject_limit="1/day")
    assert cast.get("orang", "id=1").status == 200
    assert store.steps == steps
    assert is_refused(cast.get("orang", "id=2"), faults.PERSONS_EXCEEDED)


def test_persons_in_rows_count_by_their_number(cast: Cast) -> None:
    cast.operation("warga", PERSONS_SQL, parameters=RANGE)
    limit(cast, "warga", subject_limit="10/hour")
    assert cast.get("warga", "dari=1&sampai=8").json()["count"] == 8
    # Five of these are known, two are new; then one too many.
    assert cast.get("warga", "dari=4&sampai=10").json()["count"] == 7
    assert is_refused(cast.get("warga", "dari=10&sampai=11"), faults.PERSONS_EXCEEDED)
    assert cast.get("warga", "dari=1&sampai=10").json()["count"] == 10


def test_a_column_that_the_grant_hides_names_nobody(cast: Cast) -> None:
    operation = cast.operation("warga", PERSONS_SQL, parameters=RANGE)
    operation.fields.create(name="nik", position=0, classification="personal")
    operation.fields.create(name="nama", position=1, classification="personal")
    limit(cast, "warga", subject_limit="3/hour", fields="nama")
    assert cast.get("warga", "dari=1&sampai=9").json()["count"] == 9


def test_masked_persons_count_as_many_as_there_may_be(cast: Cast) -> None:
    """Eight numbers of one family look alike when they are masked: they are eight persons all the same."""
    operation = cast.operation("warga", PERSONS_SQL, parameters=RANGE)
    operation.fields.create(name="nik", position=0, classification="personal")
    operation.fields.create(name="nama", position=1, classification="personal")
    limit(cast, "warga", subject_limit="10/hour", masks="nik=partial")
    assert len({row["nik"] for row in cast.get("warga", "dari=1&sampai=8").json()["data"]}) == 8
    assert is_refused(cast.get("warga", "dari=1&sampai=8"), faults.PERSONS_EXCEEDED)


@pytest.mark.parametrize("spelling", ["1", " 1", "1 "])
def test_blanks_make_nobody_another(cast: Cast, spelling: str) -> None:
    assert row_quotas._digest(spelling) == row_quotas._digest(1)


# ---------------------------------------------------------------------------------- each way of calling


def test_the_legacy_wire(cast: Cast) -> None:
    limit(cast, "satu", row_limit="1/hour")
    assert '"nama": "Orang 1"' in call("/mantra/json/prov/data/satu/id/1", accesskey=cast.key).text
    refused = call("/mantra/json/prov/data/satu/id/2", accesskey=cast.key)
    assert refused.status == 200
    assert str(faults.ROWS_EXCEEDED.code) in refused.text


def soap(cast: Cast, id: int) -> Reply:
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<satu xmlns="urn:mantra:prov:data"><id>{id}</id></satu></s:Body></s:Envelope>'
    )
    return call("/soap/prov/data", method="POST", body=body, accesskey=cast.key, content_type="text/xml")


def test_soap(cast: Cast) -> None:
    limit(cast, "satu", row_limit="1/hour")
    assert soap(cast, 1).status == 200
    refused = soap(cast, 2)
    assert refused.status == 500
    assert str(faults.ROWS_EXCEEDED.code) in refused.text


@pytest.mark.parametrize("format", ["json", "xml", "csv", "ndjson", "xlsx", "php"])
def test_every_format(cast: Cast, format: str) -> None:
    limit(cast, "cari", row_limit="150/hour")
    assert cast.get(f"cari.{format}").status == 200  # its 100 rows
    assert cast.get(f"cari.{format}").status == 429
    assert cast.get(f"cari.{format}", "nama=Orang+1").status == 200


@pytest.mark.parametrize(
    ("body", "operation", "count"),
    [
        ([{"id": 1}, {"id": 2}], {}, 2),
        ({"status": "ok", "data": [{"id": 1}, {"id": 2}, {"id": 3}], "kode": [{"k": 1}]}, {"records_path": "data"}, 3),
        ({"kode": [{"k": 1}], "isi": {"daftar": [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]}}, {}, 4),
        ({"id": 1}, {}, 1),
        ({"data": []}, {"records_path": "data"}, 0),
    ],
    ids=["list", "path", "longest", "object", "none"],
)
def test_records_of_an_upstream(cast: Cast, body: Any, operation: dict[str, Any], count: int) -> None:
    with serve_upstream(Answer(json.dumps(body).encode(), "application/json")) as upstream:
        publish_proxy(cast, upstream.url, style="rest", **operation)
        plain = cast.get("alias.json").json()
        limit(cast, "alias", row_limit=f"{2 * count + 1}/hour")
        for used in (1, 2):
            reply = cast.get("alias.json")
            assert reply.json() == plain
            assert f'"rows";r={2 * count + 1 - used * count}' in reply.headers.get("ratelimit", '"rows";r=1')
        assert (cast.get("alias.json").status == 429) == (count > 1)


def test_persons_of_an_upstream(cast: Cast) -> None:
    people = [{"nik": f"32010101{each:08}", "nama": "x"} for each in range(4)]
    with serve_upstream(Answer(json.dumps(people).encode(), "application/json")) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        limit(cast, "alias", subject_limit="4/day")
        assert [cast.get("alias.json").status for _ in range(3)] == [200] * 3
        limit(cast, "alias", subject_limit="3/day")
        assert is_refused(cast.get("alias.json"), faults.PERSONS_EXCEEDED)


def test_a_verification_counts_whom_it_names(cast: Cast) -> None:
    made = verifying(cast)
    made.operation.parameters.filter(name="nik").update(subject=True)
    limit(cast, "cek", subject_limit="1/day")
    assert cast.get("cek", f"nik={SITI}&nama=Siti").status == 200
    assert is_refused(cast.get("cek", "nik=3201010202850002&nama=Muhammad"), faults.PERSONS_EXCEEDED)
    assert cast.get("cek", f"nik={SITI}&nama=Siti").status == 200


def test_a_job_waits_for_rows(cast: Cast, time: Time) -> None:
    limit(cast, "satu", row_limit="150/hour")
    job = take_turn(begin(cast, "id\n" + "".join(f"{each}\n" for each in range(1, 401))), clock=time, sleep=time.sleep)
    assert (job.state, job.done, job.problem) == ("quota", 150, "")
    assert job.retry_at is not None
    assert is_refused(cast.get("satu", "id=1"), faults.ROWS_EXCEEDED)
    row_quotas.store = Memory()
    job.state = "waiting"
    job.save()
    assert take_turn(job, clock=time, sleep=time.sleep).done == 300


def test_a_job_waits_for_persons(cast: Cast, time: Time) -> None:
    cast.operation("orang", "SELECT nama FROM orang WHERE id = :id", parameters=({"name": "id", "subject": True},))
    limit(cast, "orang", subject_limit="30/day")
    rows = "id\n" + "".join(f"{each}\n" for each in [*range(1, 31), *range(1, 31), *range(1, 61)])
    job = take_turn(begin(cast, rows, "orang"), clock=time, sleep=time.sleep)
    assert (job.state, job.done) == ("quota", 90)


# ------------------------------------------------------------------------------------------ the stores


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, server: RedisServer) -> Store:
    return Memory() if request.param == "memory" else Redis(server.url)


_NAMES = iter(range(1, 10_000))


def window(most: int, persons: bool = False, seconds: int = 3600, owner: int = 0) -> Window:
    return Window(owner or next(_NAMES), f"g{next(_NAMES)}:{seconds}", persons, most, seconds)


def persons_of(*numbers: int) -> set[bytes]:
    return {number.to_bytes(8, "big") for number in numbers}


def test_exactly_the_quota_with_sixteen_callers(store: Store) -> None:
    rows = window(1000)
    day = rows._replace(name="a:86400", most=5000, seconds=86_400)

    def take(number: int) -> int:
        passed = 0
        for _ in range(100):
            passed += 3 * (store.take((rows, day), 3, ()).refused < 0)
        return passed

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(take, range(16))) == 999
    assert store.take((rows, day), 1, ()).left == (0, 4000)
    assert store.take((rows, day), 1, ()).refused == 0


def test_exactly_the_persons_with_sixteen_callers(store: Store) -> None:
    people = window(700, persons=True)

    def take(number: int) -> set[int]:
        return {each for each in range(1000) if store.take((people,), 0, persons_of(each)).refused < 0}

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(take, range(16)))
    assert len(set().union(*found)) == 700
    assert all(each <= set().union(*found) for each in found)


_PROCESS = """
import sys
from mantra.gateway.row_quota_stores import Redis, Window
store, window = Redis(sys.argv[1]), Window(77, "g77:3600", False, 1000, 3600)
people = Window(77, "g77:3600", True, 200, 3600)
passed = sum(store.take((window,), 1, ()).refused < 0 for _ in range(400))
named = [each for each in range(300) if store.take((people,), 0, {each.to_bytes(8, "big")}).refused < 0]
print(passed, *named)
"""


def test_exactly_the_quota_over_processes(server: RedisServer) -> None:
    started = [subprocess.Popen([sys.executable, "-c", _PROCESS, server.url], stdout=subprocess.PIPE) for _ in range(4)]
    found = [list(map(int, each.communicate()[0].split())) for each in started]
    assert sum(each[0] for each in found) == 1000
    assert len({person for each in found for person in each[1:]}) == 200


def test_all_windows_or_none(store: Store) -> None:
    small = window(5)
    large, people = small._replace(name="a:3600", most=100), small._replace(persons=True, most=1)
    assert store.take((small, large, people), 2, persons_of(1, 2)).refused == 2
    assert store.take((small, large), 6, ()).refused == 0
    assert store.take((small, large, people), 5, persons_of(1)).left == (0, 95, 0)


def test_rows_go_back_into_their_window_only(store: Store) -> None:
    rows = window(10, seconds=60)
    taken = store.take((rows,), 8, ())
    store.give_back([(rows, taken.ends[0] - 60)], 5)  # one that has ended by now
    assert store.take((rows,), 3, ()).refused == 0
    store.give_back([(rows, taken.ends[0])], 5)
    assert store.take((rows,), 3, ()).left == (4,)


def test_a_window_ends_and_forgets_its_persons() -> None:
    clock = Time()
    store, people = Memory(clock), window(2, persons=True)
    assert store.take((people,), 0, persons_of(1, 2)).refused < 0
    refused = store.take((people,), 0, persons_of(3))
    assert (refused.refused, refused.seconds) == (0, 3601)
    clock.now += 3600
    assert store.take((people,), 0, persons_of(3)).left == (1,)


def test_a_process_remembers_a_bounded_number_of_persons() -> None:
    clock = Time()
    store = Memory(clock, most_persons=3)
    first, second = window(10, persons=True), window(10, persons=True)
    store.take((first,), 0, persons_of(1, 2))
    with pytest.raises(StoreFull):
        store.take((second,), 0, persons_of(3, 4))
    assert store.take((second,), 0, persons_of(3)).refused < 0
    clock.now += 3601
    assert store.take((second,), 0, persons_of(3, 4, 5)).refused < 0
    assert sum(len(found) for _lock, found in store._owners.values()) == 1


def test_many_persons_of_one_response(server: RedisServer) -> None:
    store, people = Redis(server.url), window(2 * PERSONS_IN_STEP + 1, persons=True)
    everybody = persons_of(*range(2 * PERSONS_IN_STEP + 1))
    assert store.take((people,), 0, everybody).left == (0,)
    assert store.take((people,), 0, everybody).refused < 0
    assert store.take((people,), 0, persons_of(10**6)).refused == 0


def test_without_its_store_the_setting_decides(cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer() as started:
        monkeypatch.setattr(row_quotas, "store", Redis(started.url))
        monkeypatch.setattr(quotas, "breaker", CircuitBreaker(reset_timeout=0.0))
        monkeypatch.setattr(row_quotas, "breaker", quotas.breaker)
        limit(cast, "satu", row_limit="1/hour")
        with stopped(started):
            settings.QUOTA_STORE_DOWN = "refuse"
            assert cast.get("satu", "id=1").json()["code"] == faults.QUOTA_STORE_DOWN.code
            settings.QUOTA_STORE_DOWN = "allow"
            assert cast.get("satu", "id=1").status == 200


# ------------------------------------------------------------------------------------- what is entered


@pytest.mark.parametrize("text", ["", "100/hour", "1000/hour; 5000/day", "10/minute"])
def test_what_can_be_entered(text: str) -> None:
    validate_row_quota(text)
    validate_person_quota(text)


@pytest.mark.parametrize(
    "text", ["100", "100/fortnight", "1/second", "5/month", "1/hour;1/day;1/minute;1/2 hour", "-1/day"]
)
def test_what_cannot_be_entered(text: str) -> None:
    with pytest.raises(ValidationError):
        validate_row_quota(text)


def test_persons_are_bounded() -> None:
    validate_person_quota("100000/day")
    with pytest.raises(ValidationError):
        validate_person_quota("100001/day")
    assert periods("5/day; 3/hour; 4/24 hour") == ((3, 3600), (4, 86_400))


def test_the_form_of_a_grant_has_boxes(cast: Cast, admin_client: Client) -> None:
    grant = Grant.objects.get(operation__code="satu")
    address = reverse("admin:registry_grant_change", args=[grant.pk])
    page = admin_client.get(address).content.decode()
    assert 'name="row_limit_0"' in page
    assert 'name="subject_limit_3"' in page
    sent = {
        "purpose": "uji", "row_limit_0": "100", "row_limit_1": "hour", "row_limit_2": "500", "row_limit_3": "day",
        "subject_limit_0": "9", "subject_limit_1": "day",
    }  # fmt: skip
    assert admin_client.post(address, sent).status_code == 302
    grant.refresh_from_db()
    assert (grant.row_limit, grant.subject_limit) == ("100/hour; 500/day", "9/day")
    assert 'value="500"' in admin_client.get(address).content.decode()
