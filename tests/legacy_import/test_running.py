"""A database of 1.99x is taken over: each row is accounted for, and a second run changes what has changed there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dataservices.models import DataOperation, DataSource
from mantra.legacy_import import reports
from mantra.legacy_import.models import ImportedRow, LegacyImport
from mantra.legacy_import.old import OldOrder
from mantra.legacy_import.old_programs import EVERY, OldPrograms
from mantra.legacy_import.running import Options, run
from proxyservices.models import ProxyOperation
from registry import secrets
from registry.models import AccessKey, Agency, Application, Grant, Operation, Service, User
from tests.legacy_import.rows import HASHED, Rows, data_source, small

pytestmark = pytest.mark.django_db


def moved(rows: Rows, **options: Any) -> LegacyImport:
    return run(rows, Options(**options))


def said(made: LegacyImport, table: str, old_id: int) -> tuple[str, list[str]]:
    """Return the outcome of a row and the kinds of its remarks."""
    line = made.lines.get(table=table, old_id=old_id)
    return line.outcome, [kind for kind, _arguments in line.remarks]


def test_each_row_is_accounted_for() -> None:
    rows = small()
    made = moved(rows)
    found = reports.counts(made)
    assert {table: found[table].total() for table in found} == {
        table: number for table, number in rows.counts().items() if table in found
    }
    assert made.state == "done"


def test_agencies_and_services() -> None:
    made = moved(small())
    bkd, dinsos = Agency.objects.order_by("code")
    assert (bkd.code, bkd.name, bkd.website, bkd.email) == (
        "bkd", "Badan Kepegawaian", "http://bkd.contoh.go.id", "a@contoh.go.id",
    )  # fmt: skip
    assert (dinsos.code, dinsos.legacy_name) == ("dinsos", "_dinsos")
    assert said(made, "instances", 0) == ("omitted", ["system-agency"])
    assert said(made, "instances", 2) == ("changed", ["name-changed"])
    assert Service.objects.get().title == "Data pegawai"
    assert said(made, "services", 2) == ("refused", ["without-agency"])


def test_users_and_their_passwords() -> None:
    made = moved(small())
    ani, budi, cici, admin = (User.objects.get(username=name) for name in ("ani", "budi.s", "cici", "admin"))
    assert ani.password == f"bcrypt${HASHED.replace('$2y$', '$2b$')}"
    assert ani.agency is not None
    assert (ani.agency.code, [group.name for group in ani.groups.all()], ani.is_active) == ("bkd", ["Provider"], True)
    assert (budi.has_usable_password(), budi.is_active) == (False, True)
    assert (cici.is_active, list(cici.groups.all())) == (False, [])
    assert (admin.is_active, admin.is_superuser) == (False, False)
    assert said(made, "users", 1) == ("person", ["administrator-inactive"])
    assert said(made, "users", 3) == ("person", ["password-reset"])


def test_operations_are_never_open() -> None:
    made = moved(small())
    data = DataOperation.objects.get(code="by_nip")
    assert data.sql == "SELECT `nip`,`nama` FROM `pegawai` WHERE `nip` = :nip LIMIT 1"
    assert (data.access, data.state, data.listing) == ("restricted", "published", "members")
    assert (data.source.host, data.source.database, str(data.source.password)) == ("10.1.1.5", "simpeg", "rahasia")
    proxy = ProxyOperation.objects.get(code="cuaca")
    assert (proxy.style, proxy.path, proxy.access, proxy.listing) == (
        "legacy-get", "kota.php", "restricted", "hidden",
    )  # fmt: skip
    assert [(each.name, str(each.value or ""), each.secret) for each in proxy.mappings.order_by("pk")] == [
        ("id", "501", False), ("kunci", "'rahasia'", True), ("tgl", "", False),
    ]  # fmt: skip
    assert Operation.objects.get(code="hitung").state == "draft"
    assert said(made, "methods", 4) == ("refused", ["unreadable"])
    assert said(made, "methods", 5) == ("refused", ["without-service"])


def test_keys_and_grants() -> None:
    made = moved(small())
    own = Application.objects.get(code="budi_s")
    by_nip, weather = Operation.objects.get(code="by_nip"), Operation.objects.get(code="cuaca")
    key = AccessKey.objects.get(digest__in=secrets.key_digests("aaaaaaaaaa"))
    assert (key.application, key.operation) == (own, by_nip)
    shared = AccessKey.objects.get(digest__in=secrets.key_digests("bbbbbbbbbb"))
    assert (shared.operation, shared.application.agency.code) == (None, "dinsos")
    assert shared.application != own
    assert set(shared.application.grants.values_list("operation", flat=True)) == {by_nip.pk, weather.pk}
    assert AccessKey.objects.filter(digest__in=secrets.key_digests("cccccccccc")).count() == 0
    assert [said(made, "orders", number) for number in range(1, 9)] == [
        ("taken", []), ("changed", ["key-shared"]), ("changed", ["key-shared"]), ("omitted", ["order-closed"]),
        ("refused", ["order-orphaned"]), ("merged", ["order-repeated"]), ("person", ["key-unusable"]),
        ("person", ["user-without-agency"]),
    ]  # fmt: skip


def test_a_dry_run_changes_nothing_but_reports_the_same() -> None:
    dry = moved(small(), dry=True)
    assert not Agency.objects.exists()
    assert not AccessKey.objects.exists()
    made = moved(small())
    columns = ("table", "old_id", "outcome", "remarks", "name")
    assert list(dry.lines.values_list(*columns)) == list(made.lines.values_list(*columns))


def test_a_second_run_changes_what_has_changed_there() -> None:
    rows = small()
    moved(rows)
    Agency.objects.filter(code="bkd").update(name="Nama dari sini", email="kami@contoh.go.id")
    Application.objects.get(code="budi_s").access_keys.get().revoke()
    DataOperation.objects.filter(code="by_nip").update(title="Judul dari sini")
    rows.agency_rows[1] = replace(rows.agency_rows[1], email="baru@contoh.go.id")
    rows.operation_rows[0] = replace(rows.operation_rows[0], source=data_source(limrows="2"))
    rows.order_rows[2] = replace(rows.order_rows[2], active=False)
    moved(rows)
    agency = Agency.objects.get(code="bkd")
    assert (agency.name, agency.email) == ("Nama dari sini", "baru@contoh.go.id")
    operation = DataOperation.objects.get(code="by_nip")
    assert operation.sql.endswith("LIMIT 2")
    assert operation.title == "Judul dari sini"
    assert AccessKey.objects.get(digest__in=secrets.key_digests("aaaaaaaaaa")).revoked_at is not None
    assert Grant.objects.get(operation__code="cuaca").state == "revoked"


def test_a_second_run_of_the_same_changes_nothing() -> None:
    moved(small())
    keep = (DataSource, DataOperation, ProxyOperation, AccessKey, Grant, Application, User)
    before = {model: list(model._default_manager.order_by("pk").values()) for model in keep}
    made = moved(small())
    assert {model: list(model._default_manager.order_by("pk").values()) for model in keep} == before
    assert ImportedRow.objects.filter(run=made).count() == sum(
        number for table, number in small().counts().items() if table != "tracks"
    )


def test_what_was_missing_is_looked_at_again() -> None:
    """An operation that was refused is mended in the old database: the keys of its orders come with it."""
    rows = small()
    good, rows.operation_rows[0] = rows.operation_rows[0], replace(rows.operation_rows[0], source="rusak")
    first = moved(rows)
    assert said(first, "orders", 1) == ("refused", ["order-orphaned"])
    rows.operation_rows[0] = good
    second = moved(rows)
    assert said(second, "orders", 1) == ("taken", [])
    assert AccessKey.objects.get(digest__in=secrets.key_digests("aaaaaaaaaa")).operation == Operation.objects.get(
        code="by_nip"
    )


def test_a_user_without_an_agency_gets_one_here() -> None:
    rows = small()
    assert said(moved(rows), "orders", 8)[1] == ["user-without-agency"]
    User.objects.filter(username="admin").update(agency=Agency.objects.get(code="bkd"))
    assert said(moved(rows), "orders", 8)[0] == "taken"
    assert AccessKey.objects.filter(digest__in=secrets.key_digests("eeeeeeeeee")).exists()


def test_a_user_whose_name_is_not_allowed_keeps_the_keys() -> None:
    rows = small()
    for at, user in enumerate(rows.user_rows):
        if user.username == "budi.s":
            rows.user_rows[at] = replace(user, username="budi / s")
    rows.order_rows = [
        replace(order, username="budi / s") if order.username == "budi.s" else order for order in rows.order_rows
    ]
    made = moved(rows)
    budi = User.objects.get(username="budi_s")
    number = next(user.id for user in rows.user_rows if user.username == "budi / s")
    assert "username-changed" in said(made, "users", number)[1]
    assert AccessKey.objects.filter(digest__in=secrets.key_digests("aaaaaaaaaa")).exists()
    # A second run finds the user by what the first one made.
    rows.order_rows.append(OldOrder(99, "budi / s", "ffffffffff", 1, True))
    assert said(moved(rows), "orders", 99) == ("taken", [])
    assert User.objects.filter(username__startswith="budi").get() == budi


def test_keys_of_old_programs() -> None:
    rows = small()
    moved(rows, programs=OldPrograms(in_path={"aaaaaaaaaa"}))
    key = AccessKey.objects.get(digest__in=secrets.key_digests("aaaaaaaaaa"))
    assert (key.in_path, key.wrapped) == (True, False)
    assert AccessKey.objects.filter(in_path=True).count() == 1
    # Somebody retires it here, and a later run learns that responses are wrapped.
    key.in_path = False
    key.save()
    programs = OldPrograms(in_path={"aaaaaaaaaa"}, wrapped=EVERY)
    made = moved(rows, programs=programs)
    key.refresh_from_db()
    assert (key.in_path, key.wrapped) == (False, True)
    assert said(made, "orders", 1) == ("changed", ["key-in-path", "key-wrapped"])
    assert said(made, "orders", 4) == ("omitted", ["order-closed"])
    assert not AccessKey.objects.filter(wrapped=False).exists()
    key.wrapped = False
    key.save()
    again = moved(rows, programs=programs)
    key.refresh_from_db()
    assert not key.wrapped
    assert said(again, "orders", 1) == said(made, "orders", 1)


def test_a_run_of_some_parts_forgets_nothing_of_the_others() -> None:
    rows = small()
    moved(rows)
    moved(rows, only=["agencies"])
    rows.operation_rows[0] = replace(rows.operation_rows[0], source=data_source(limrows="2"))
    made = moved(rows)
    assert DataOperation.objects.get(code="by_nip").sql.endswith("LIMIT 2")
    assert said(made, "orders", 1) == ("taken", [])
    assert made.lines.get(table="services", old_id=1).outcome == "taken"


def test_what_was_deleted_here_is_not_made_again_and_gets_no_keys() -> None:
    rows = small()
    moved(rows)
    Grant.objects.filter(operation__code="cuaca").delete()
    Operation.objects.get(code="cuaca").delete()
    rows.order_rows.append(replace(rows.order_rows[0], id=99, key="ffffffffff", operation_id=2))
    made = moved(rows)
    assert not Operation.objects.filter(code="cuaca").exists()
    assert said(made, "orders", 99) == ("refused", ["order-orphaned"])
    assert made.state == "done"
