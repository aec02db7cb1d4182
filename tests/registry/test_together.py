"""Many changes of a transaction have one version, and what they read of each other is read once, until it changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from registry.models import Agency, Operation, RegistryChange, Service, SnapshotVersion
from registry.models.changes import Change, read_again, read_once, together, undone
from registry.snapshot import holder
from tests.cast import Cast


class Undone(Exception):
    pass


def entries() -> set[tuple[int, str, int | None]]:
    return set(RegistryChange.objects.values_list("version", "kind", "ref"))


def test_many_changes_have_one_version_and_an_entry_for_each_row(cast: Cast) -> None:
    before, known = SnapshotVersion.current(), entries()
    with transaction.atomic(), together():
        agency = Agency.objects.create(code="baru", name="Baru")
        service = Service.objects.create(agency=agency, code="data", title="Data")
        service.title = "Lain"
        service.save()
        Service.objects.filter(pk=service.pk).update(title="Lagi")
        assert SnapshotVersion.current() == before
    assert SnapshotVersion.current() == before + 1
    assert entries() - known == {(before + 1, "agency", agency.pk), (before + 1, "service", service.pk)}


def test_a_reader_sees_all_that_was_changed_together(cast: Cast) -> None:
    holder.refresh()
    assert cast.get("satu", "id=1").status == 200
    with transaction.atomic(), together():
        Operation.objects.filter(code="satu").update(code="dua_kali")
        cast.key_row.revoke()
    holder.refresh()
    assert cast.get("satu", "id=1").status == 404
    assert cast.get("dua_kali", "id=1").status == 401


def test_nothing_changed_raises_no_version(cast: Cast) -> None:
    before, known = SnapshotVersion.current(), entries()
    with transaction.atomic(), together():
        Agency.objects.count()
    with suppress(Undone), transaction.atomic(), together():
        Agency.objects.create(code="baru", name="Baru")
        raise Undone
    assert (SnapshotVersion.current(), entries()) == (before, known)


def test_changes_after_an_undone_savepoint_have_a_version_that_is_committed(cast: Cast) -> None:
    before = SnapshotVersion.current()
    with transaction.atomic(), together():
        with suppress(Undone), transaction.atomic():
            Agency.objects.create(code="baru", name="Baru")
            raise Undone
        agency = Agency.objects.create(code="lain", name="Lain")
    assert SnapshotVersion.current() == before + 1
    assert (before + 1, "agency", agency.pk) in entries()


def test_observers_get_each_change_with_the_one_version(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Change] = []
    monkeypatch.setattr("registry.models.changes.OBSERVERS", [seen.append])
    before = SnapshotVersion.current()
    with transaction.atomic(), together():
        agency = Agency.objects.create(code="baru", name="Baru")
        agency.name = "Lain"
        agency.save()
    assert [(each.action, each.fields, each.version) for each in seen] == [
        ("added", ("code", "name"), before + 1), ("changed", ("name",), before + 1),
    ]  # fmt: skip


def test_what_was_read_once_is_read_again_when_its_kind_changes(cast: Cast) -> None:
    service = Service.objects.first()
    assert service is not None

    def title() -> str:
        found: str = Service.objects.get(pk=service.pk).title
        return found

    with transaction.atomic(), together():
        with CaptureQueriesContext(connection) as asked:
            assert {read_once("service", service.pk, title) for _time in range(3)} == {service.title}
        assert len(asked) == 1
        Service.objects.filter(pk=service.pk).update(title="Lain")
        assert read_once("service", service.pk, title) == "Lain"
        with suppress(Undone), transaction.atomic():
            Service.objects.filter(pk=service.pk).update(title="Dibatalkan")
            assert read_once("service", service.pk, title) == "Dibatalkan"
            raise Undone
        read_again()
        assert read_once("service", service.pk, title) == "Lain"
    Service.objects.filter(pk=service.pk).update_without_bump(title="Di luar")
    assert read_once("service", service.pk, title) == "Di luar"


def _services(cast: Cast, most: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes a service of an agency that may have ``most`` of them."""
    agency = Agency.objects.create(code="baru", name="Baru")
    monkeypatch.setattr(settings, "ROW_LIMITS", {**settings.ROW_LIMITS, "services": most})

    def make(code: str) -> None:
        service = Service(agency=agency, code=code, title=code)
        service.full_clean()
        service.save()

    return make


def test_rows_are_counted_with_those_of_the_block(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    make = _services(cast, 3, monkeypatch)
    with transaction.atomic(), together():
        make("a")
        with CaptureQueriesContext(connection) as asked:
            make("b")
        assert not [each for each in asked if "COUNT(" in each["sql"]]
        make("c")
        with pytest.raises(ValidationError):
            make("d")
        Service.objects.get(code="a", agency__code="baru").delete()
        make("d")
        with pytest.raises(ValidationError):
            make("e")


def test_a_name_that_is_in_use_is_refused_in_the_block(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    make = _services(cast, 9, monkeypatch)
    with transaction.atomic(), together():
        make("a")
        with pytest.raises(ValidationError) as error:
            make("A")
        assert list(error.value.message_dict) == ["code"]


def test_a_reference_to_a_row_that_was_not_read_is_looked_for(cast: Cast) -> None:
    with transaction.atomic(), together(), pytest.raises(ValidationError) as error:
        Service(agency_id=987_654, code="a", title="A").clean_fields()
    assert list(error.value.message_dict) == ["agency"]


def test_what_is_undone_neither_locks_nor_raises_the_version(cast: Cast) -> None:
    before = SnapshotVersion.current()

    def written(queries: Any) -> list[str]:
        return [each["sql"] for each in queries if "snapshotversion" in each["sql"] and "SELECT" not in each["sql"]]

    with CaptureQueriesContext(connection) as asked, suppress(Undone), transaction.atomic(), undone(), together():
        Agency.objects.create(code="baru", name="Baru")
        SnapshotVersion.lock()
        raise Undone
    assert written(asked) == []
    assert SnapshotVersion.current() == before
