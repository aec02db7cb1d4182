"""The snapshot follows every change of the registry, by any way, and prepares only what has changed."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

import mantra.wsgi  # noqa: F401 (it sets up logging, which is too late within a test)
from dataservices import plan as dataservices_plan
from dataservices.models import DataOperation
from proxyservices.forwarding.plan import Plan
from proxyservices.models import ParameterMapping, ProxyOperation
from registry.models import (
    AccessKey,
    Agency,
    Application,
    Field,
    Grant,
    Operation,
    Parameter,
    RegistryChange,
    SnapshotVersion,
)
from registry.snapshot import fingerprints, holder, loader, parts
from registry.snapshot.parts import operation
from registry.snapshot.types import Snapshot
from tests.cast import Cast, call
from tests.proxy.publishing import add_server
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.surroundings import ROOT

SATU, SEMUA = ("prov", "data", "satu"), ("prov", "data", "semua")


def snapshot() -> Snapshot:
    return holder.refresh()


# ------------------------------------------------------------------------------ every way is noticed


def _edit_parameter(cast: Cast) -> None:
    parameter = cast.operations["satu"].parameters.get()
    parameter.description = "Nomor"
    parameter.save()


def _move_parameter(cast: Cast) -> None:
    parameter = cast.operations["cari"].parameters.get(name="unit")
    parameter.operation = cast.operations["satu"]
    parameter.save()


def _bulk_update(cast: Cast) -> None:
    parameter = cast.operations["satu"].parameters.get()
    parameter.description = "Nomor"
    Parameter.objects.bulk_update([parameter], ["description"])


#: What is done → the operations that are prepared anew.
OPERATION_CHANGES: dict[str, tuple[Callable[[Cast], Any], set[str]]] = {
    "a row is saved": (lambda cast: cast.operations["satu"].save(), {"satu"}),
    "a parent's row is saved": (lambda cast: Operation.objects.get(code="satu").save(), {"satu"}),
    "a parameter is saved": (_edit_parameter, {"satu"}),
    "a parameter moves": (_move_parameter, {"satu", "cari"}),
    "parameters are updated": (lambda cast: cast.operations["satu"].parameters.update(description="x"), {"satu"}),
    "parameters are updated in bulk": (_bulk_update, {"satu"}),
    "a field is created": (lambda cast: Field.objects.create(operation=cast.operations["satu"], name="id"), {"satu"}),
    "fields are created in bulk": (
        lambda cast: Field.objects.bulk_create([Field(operation=cast.operations["satu"], name="id")]),
        {"satu"},
    ),
    "a parameter is deleted": (lambda cast: cast.operations["satu"].parameters.all().delete(), {"satu"}),
    "rows are updated": (lambda cast: DataOperation.objects.filter(code="satu").update(title="x"), {"satu"}),
    "a source is saved": (lambda cast: cast.source.save(), {"satu", "semua", "cari", "terbuka", "halaman"}),
    "a service is saved": (lambda cast: cast.service.save(), {"satu", "semua", "cari", "terbuka", "halaman"}),
    "an agency is updated": (
        lambda cast: Agency.objects.filter(code="prov").update(name="x"),
        {"satu", "semua", "cari", "terbuka", "halaman"},
    ),
    "a grant is saved": (lambda cast: cast.grants["satu"].save(), set()),
    "another agency is saved": (lambda cast: cast.stranger.save(), set()),
}


@pytest.mark.parametrize("change", OPERATION_CHANGES)
def test_a_change_prepares_what_depends_on_it_and_nothing_else(cast: Cast, change: str) -> None:
    before = snapshot().operations
    make, expected = OPERATION_CHANGES[change]
    make(cast)
    after = snapshot().operations
    assert {alias[2] for alias in before if after.get(alias) is not before[alias]} == expected


def _deactivate(cast: Cast) -> None:
    cast.application.active = False
    cast.application.save()


REVOCATIONS: dict[str, Callable[[Cast], Any]] = {
    "the key is revoked": lambda cast: cast.key_row.revoke(),
    "the key is deleted": lambda cast: cast.key_row.delete(),
    "the keys are deleted": lambda cast: AccessKey.objects.all().delete(),
    "the keys are updated": lambda cast: AccessKey.objects.update(networks="10.0.0.0/8"),
    "the application is deactivated": _deactivate,
    "the applications are updated": lambda cast: Application.objects.update(active=False),
    "the grant is revoked": lambda cast: Grant.objects.filter(pk=cast.grants["satu"].pk).update(state="revoked"),
    "the grant is deleted": lambda cast: cast.grants["satu"].delete(),
    "the application is deleted with all of its rows": lambda cast: cast.application.delete(),
}


@pytest.mark.parametrize("revocation", REVOCATIONS)
def test_s4_a_revocation_closes_and_prepares_no_operation(
    cast: Cast, revocation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot()
    assert cast.get("satu", "id=1").status == 200
    monkeypatch.setattr(dataservices_plan, "_plan", lambda *_args: pytest.fail("an operation was prepared"))
    REVOCATIONS[revocation](cast)
    after = snapshot()
    assert cast.get("satu", "id=1").status in (401, 403)
    assert after.operations is before.operations
    assert after.documents is before.documents


def test_a_deleted_operation_is_gone_with_its_grants(cast: Cast) -> None:
    cast.operations["satu"].delete()
    found = snapshot()
    assert SATU not in found.operations
    assert len(found.grants) == Grant.objects.count() == len(cast.grants) - 1
    assert SEMUA in found.operations


def test_two_operations_exchange_their_aliases(cast: Cast) -> None:
    one, other = cast.operations["satu"], cast.operations["semua"]
    for row, code in ((one, "sementara"), (other, "satu"), (one, "semua")):
        Operation.objects.filter(pk=row.pk).update(code=code)
    found = snapshot().operations
    assert (found[SATU].id, found[SEMUA].id) == (other.pk, one.pk)
    assert len(found) == 5


def test_an_operation_at_anothers_address_keeps_its_own_access(cast: Cast) -> None:
    """In between, two that exchange their addresses are held at one: the state of the other must not come to it."""
    one, other = cast.operations["satu"], cast.operations["semua"]
    held = parts.Operations()
    held.refresh([one.pk, other.pk])
    for row, code in ((one, "sementara"), (other, "satu"), (one, "semua")):
        Operation.objects.filter(pk=row.pk).update(code=code)
    held.refresh([one.pk])
    Operation.objects.filter(pk=other.pk).update(access="open")
    held.restrict([other.pk])
    assert not held.publish()[SEMUA].open
    Operation.objects.filter(pk=one.pk).update(code="lain")
    held.refresh([one.pk])
    held.restrict([other.pk])  # nobody is at its address now
    held.refresh([other.pk])
    assert {alias: found.open for alias, found in held.publish().items()} == {
        SATU: True, ("prov", "data", "lain"): False,
    }  # fmt: skip


def test_a_server_changes_the_operations_of_its_backend_only(
    cast: Cast, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry in the change log, and the operations are prepared together, however many there are."""
    monkeypatch.setattr("registry.snapshot.loader.STEP_SECONDS", 600.0)  # a slow machine prepares fewer at a time
    made = ProxyOperation.objects.create(service=cast.service, code="terusan0", state="published")
    server = add_server(made, "http://127.0.0.1:9/")
    for number in range(1, 40):
        ProxyOperation.objects.create(
            service=cast.service, code=f"terusan{number}", state="published", backend=server.backend
        )
    other = ProxyOperation.objects.create(service=cast.service, code="lain", state="published")
    add_server(other, "http://127.0.0.1:9/")
    before = snapshot().operations
    count = RegistryChange.objects.count()
    server.url = "http://127.0.0.1:8/"
    server.save()
    assert RegistryChange.objects.count() == count + 1
    with django_assert_max_num_queries(25):
        after = snapshot().operations
    changed = {alias[2] for alias in before if after[alias] is not before[alias]}
    assert changed == {f"terusan{number}" for number in range(40)}
    plans = [after["prov", "data", f"terusan{number}"].plan for number in range(40)]
    assert {plan.endpoints for plan in plans if isinstance(plan, Plan)} == {plans[0].endpoints}  # type: ignore[union-attr]
    assert plans[0].endpoints[0].target.url == "http://127.0.0.1:8/"  # type: ignore[union-attr]


def test_a_change_that_is_rolled_back_changes_nothing(cast: Cast) -> None:
    before = snapshot()
    with transaction.atomic():
        cast.key_row.revoke()
        transaction.set_rollback(True)
    assert snapshot() is before


# ------------------------------------------------------------------------------ drafts


def test_s4_drafts_are_in_no_snapshot_and_their_author_can_try_them(cast: Cast) -> None:
    cast.define("rancangan", "SELECT 1 AS satu", state="draft")
    assert ("prov", "data", "rancangan") not in snapshot().operations
    assert cast.get("rancangan").status == 404
    found = operation(cast.operations["rancangan"].pk)
    assert found is not None
    assert found.plan is not None
    Operation.objects.filter(code="satu").update(state="draft")
    assert SATU not in snapshot().operations
    Operation.objects.filter(code="satu").update(state="published")
    assert cast.get("satu", "id=1").status == 404  # the bus has not been told yet
    snapshot()
    assert cast.get("satu", "id=1").status == 200


# ------------------------------------------------------------------------------ changes that nobody noted


def _by_hand(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _compare_all() -> None:
    """One whole round of comparing, as the thread does it in steps."""
    held = holder._holder.loader
    held.compare()
    while held.comparing:
        held.compare()


BY_HAND: dict[str, tuple[str, int]] = {
    "a key is revoked": ("UPDATE registry_accesskey SET revoked_at = '2026-01-01'", 401),
    "a key is deleted": ("DELETE FROM registry_accesskey", 401),
    "an application is deactivated": ("UPDATE registry_application SET active = false", 401),
    "a grant is revoked": ("UPDATE registry_grant SET state = 'revoked'", 403),
    "an operation is retired": ("UPDATE registry_operation SET state = 'retired'", 410),
    "an operation becomes a draft": ("UPDATE registry_operation SET state = 'draft'", 404),
    "an operation's SQL changes": (
        "UPDATE dataservices_dataoperation SET sql = 'SELECT id FROM orang WHERE id = :nomor'",
        502,
    ),
    "a parameter is renamed": ("UPDATE registry_parameter SET name = 'nomor' WHERE name = 'id'", 502),
    "a source changes": ("UPDATE dataservices_datasource SET engine = 'tidak-ada'", 502),
}


@pytest.mark.parametrize("change", BY_HAND)
def test_a_change_by_hand_is_found_by_comparing(cast: Cast, change: str, caplog: pytest.LogCaptureFixture) -> None:
    statement, status = BY_HAND[change]
    snapshot()
    _by_hand(statement)
    snapshot()
    assert cast.get("satu", "id=1").status == 200
    _compare_all()
    assert "without an entry in the change log" in caplog.text
    snapshot()
    assert cast.get("satu", "id=1").status == status


def test_a_new_process_does_not_read_twice_what_it_has_just_loaded(
    cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SNAPSHOT_SECONDS = 60
    monkeypatch.setattr(holder._holder, "compared", float("-inf"))
    holder.forget()
    holder.start()
    try:
        assert holder.current() is not None
        assert not holder._holder.loader.comparing
        monkeypatch.setattr(holder._holder, "compared", float("-inf"))
        holder._advance_quietly()
        assert holder._holder.loader.comparing
    finally:
        holder.stop()


def test_a_version_without_entries_makes_the_bus_compare_all(cast: Cast) -> None:
    """So an older release writes, and so a person does who has edited rows by hand."""
    snapshot()
    _by_hand("UPDATE registry_accesskey SET revoked_at = '2026-01-01'")
    _by_hand("UPDATE registry_snapshotversion SET version = version + 1")
    snapshot()
    assert cast.get("satu", "id=1").status == 401


def test_comparing_finds_nothing_where_nothing_changed(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    made = ProxyOperation.objects.create(service=cast.service, code="terusan", state="published")
    add_server(made, "http://127.0.0.1:9/", credential="rahasia")
    cast.define("rancangan", "SELECT 1 AS satu", state="draft")
    before = snapshot()
    AccessKey.objects.update_without_bump(last_used_at=cast.key_row.created_at)
    _compare_all()
    assert snapshot() is before
    assert "change log" not in caplog.text


def test_a_pruned_log_makes_the_bus_compare_all(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot()
    monkeypatch.setattr(RegistryChange, "KEPT", 3)
    monkeypatch.setattr(RegistryChange, "PRUNE_EVERY", 1)
    cast.key_row.revoke()
    for _time in range(5):
        cast.stranger.save()
    assert RegistryChange.objects.count() <= 4
    snapshot()
    assert cast.get("satu", "id=1").status == 401


def test_a_version_that_went_back_makes_the_bus_compare_all(cast: Cast) -> None:
    """As after a backup was restored."""
    snapshot()
    _by_hand("UPDATE registry_accesskey SET revoked_at = '2026-01-01'")
    SnapshotVersion.objects.update(version=1)
    snapshot()
    assert cast.get("satu", "id=1").status == 401


# ------------------------------------------------------------------------------ a large change


def test_s4_a_revocation_overtakes_a_large_change(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step ends when its time is over; a key that was revoked meanwhile is out with the next one."""
    snapshot()
    monkeypatch.setattr(loader, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(parts.Operations, "batch", 1)
    cast.source.save()  # all operations are to be prepared again
    held = holder._holder.loader
    held.poll()
    assert held.step()
    cast.key_row.revoke()
    DataOperation.objects.filter(code="semua").update(state="draft")
    held.poll()
    assert held.step()
    assert held.snapshot is not None
    assert cast.key_row.digest not in held.snapshot.keys
    assert SEMUA not in held.snapshot.operations


# ------------------------------------------------------------------------------ plans on first use


def _is_built(code: str) -> bool:
    return snapshot().operations["prov", "data", code].lazy_plan.is_built


def test_a_plan_of_a_large_registry_is_built_when_it_is_needed(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.Operations, "few", 0)
    holder.forget()
    assert not _is_built("satu")
    assert cast.get("satu", "id=1").status == 200
    assert _is_built("satu")
    before = snapshot().operations[SATU]
    cast.source.save()
    after = snapshot().operations[SATU]
    assert after is not before
    assert after.lazy_plan.is_built  # it was in use: no call waits for it
    assert not _is_built("semua")


def test_a_first_load_by_ranges_is_the_same(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of thousands of rows. Drafts in between are left out."""
    made = ProxyOperation.objects.create(service=cast.service, code="terusan", state="published")
    add_server(made, "http://127.0.0.1:9/")
    ParameterMapping.objects.create(operation=made, location="header", name="X-Uji", value="1")
    Operation.objects.filter(code="semua").update(state="draft")
    by_lists = snapshot()
    monkeypatch.setattr(fingerprints, "_MANY", 1)
    holder.forget()
    by_ranges = snapshot()
    assert (by_ranges.keys, by_ranges.grants) == (by_lists.keys, by_lists.grants)
    told = [
        {alias: (row.id, row.fingerprint) for alias, row in each.operations.items()} for each in (by_lists, by_ranges)
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 5
    assert all(row.plan is not None for row in by_ranges.operations.values())


def test_building_a_plan_takes_no_query(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    made = ProxyOperation.objects.create(service=cast.service, code="terusan", state="published", cache_seconds=7)
    add_server(made, "http://127.0.0.1:9/", credential="rahasia")
    monkeypatch.setattr(parts.Operations, "few", 0)
    holder.forget()
    found = snapshot().operations
    with django_assert_num_queries(0):
        plans = {alias[2]: row.plan for alias, row in found.items()}
    assert None not in plans.values()
    forwarded = plans["terusan"]
    assert isinstance(forwarded, Plan)
    assert forwarded.cache_seconds == 7
    assert forwarded.endpoints[0].credential.headers(0.0) == [("User-Agent", "MANTRA"), ("AccessKey", "rahasia")]


def test_a_broken_definition_is_in_the_log_when_it_is_changed(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    snapshot()
    Parameter.objects.filter(operation=cast.operations["satu"]).update(name="nomor")
    assert snapshot().operations[SATU].plan is None
    assert "cannot be prepared: its SQL has placeholders without a parameter" in caplog.text


def test_plans_that_are_replaced_need_no_garbage_collection(cast: Cast) -> None:
    def plans() -> int:
        # By type(): isinstance() asks the object itself, and a weak proxy whose object is gone raises at that.
        return sum(type(each) is dataservices_plan.Plan for each in gc.get_objects())

    snapshot()
    gc.collect()
    gc.disable()
    try:
        before = plans()
        cast.source.save()
        snapshot()
        assert plans() == before
    finally:
        gc.enable()


def test_each_step_makes_progress(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot().operations
    monkeypatch.setattr(loader, "STEP_SECONDS", -1.0)
    cast.source.save()
    after = snapshot().operations
    assert all(after[alias] is not before[alias] for alias in before)


def test_a_slow_change_is_in_the_log(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot()
    caplog.set_level(logging.WARNING)
    cast.key_row.save()
    snapshot()
    assert "after it was noticed" not in caplog.text
    monkeypatch.setattr(loader, "ALARM_SECONDS", 0.0)
    cast.key_row.save()
    snapshot()
    assert "after it was noticed: 1 rows were read" in caplog.text


def test_an_update_of_many_rows_is_one_entry(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot()
    monkeypatch.setattr(RegistryChange, "MAX_ENTRIES", 2)
    before = RegistryChange.objects.count()
    Grant.objects.update(state="revoked")
    assert RegistryChange.objects.count() == before + 1
    assert not snapshot().grants


def test_nothing_is_lost_when_the_database_fails_in_between(cast: Cast) -> None:
    snapshot()
    cast.key_row.revoke()

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if "registry_accesskey" in sql:
            raise ConnectionError
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse), pytest.raises(ConnectionError):
        snapshot()
    snapshot()
    assert cast.get("satu", "id=1").status == 401


def test_a_call_asks_the_database_nothing(cast: Cast) -> None:
    with connection.execute_wrapper(lambda *_args: pytest.fail("it asked the database")):
        assert call("/rest/prov/data/satu?id=1", accesskey=cast.key).status == 200


# ------------------------------------------------------------------------------ writers at once


def run_concurrently(url: str) -> Any:
    environment = {**os.environ, "MANTRA_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.registry.concurrent_changes"]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


NOTHING_WRONG: dict[str, list[str]] = {"storm": [], "late_commit": [], "issued_at_once": [], "deletion": []}


def test_s4_no_change_is_lost_among_writers_on_postgresql(postgresql: PostgreSQLServer) -> None:
    superuser = postgresql.superuser()
    superuser.cursor().execute("CREATE DATABASE snapshot OWNER mantra")
    superuser.close()
    assert run_concurrently(f"postgres://mantra:mantra@127.0.0.1:{postgresql.port}/snapshot") == NOTHING_WRONG


def test_s4_no_change_is_lost_among_writers_on_mariadb(mariadb: MariaDBServer) -> None:
    superuser = mariadb.superuser()
    cursor = superuser.cursor()
    cursor.execute("CREATE DATABASE snapshot CHARACTER SET utf8mb4")
    cursor.execute("GRANT ALL ON snapshot.* TO mantra@'127.0.0.1'")
    superuser.close()
    assert run_concurrently(f"mysql://mantra:mantra@127.0.0.1:{mariadb.port}/snapshot") == NOTHING_WRONG


def test_s4_no_change_is_lost_among_writers_on_sqlite(tmp_path: Path) -> None:
    assert run_concurrently(f"sqlite:///{tmp_path / 'registry.sqlite3'}") == NOTHING_WRONG
