"""The export: whole, readable, without secrets, and good to apply again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from django.db.models import Model

from dataservices.models import DataOperation, DataSource
from mantra.definitions import shape
from mantra.definitions.export import export
from proxyservices.models import ProxyOperation, Upstream
from registry.models import AccessKey, Agency, Application, Field, Grant, Operation, Parameter, Service
from tests.definitions.test_apply import BUNDLE, fine

pytestmark = pytest.mark.django_db


def body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def wipe() -> None:
    for model in (Grant, AccessKey, Application, Operation, Service, DataSource):
        model.objects.all().delete()
    Agency.objects.filter(parent__isnull=False).delete()
    Agency.objects.all().delete()


def test_an_export_applied_to_an_empty_book_gives_the_same_export() -> None:
    fine(BUNDLE)
    before = export()
    wipe()
    fine(before)
    assert body(export()) == body(before)


def test_an_export_applied_at_once_changes_nothing() -> None:
    fine(BUNDLE)
    assert not fine(export()).changes


def test_an_export_takes_back_what_was_set_since() -> None:
    fine(BUNDLE)
    before = export()
    Service.objects.update(contact="seseorang")
    Grant.objects.update(networks="", legal_basis="UU")
    report = fine(before)
    assert len(report.changes) == 2
    assert export() == before


def test_an_export_holds_no_secret_and_says_so() -> None:
    fine(BUNDLE)
    text = export()
    key = AccessKey.objects.get()
    for secret in ("kata-sandi", "rahasia-hulu", "kunci12345", key.digest, key.public):
        assert secret not in text
    assert text.startswith("#")
    assert "# 1 access keys are left out" in text


def test_sql_is_written_as_a_block_as_its_author_wrote_it() -> None:
    fine(BUNDLE)
    DataOperation.objects.filter(code="satu").update(sql="SELECT id,\r\n\tnama FROM orang WHERE id = :id")
    text = export()
    assert "sql: |-\n      SELECT id,\n      \tnama FROM orang WHERE id = :id\n" in text
    assert not fine(text).changes


def test_words_that_yaml_takes_for_something_else_come_back_as_they_were() -> None:
    fine(BUNDLE)
    odd = ["0123", "no", "2026-01-31", "~", "1e3", " spasi ", "a: b", "${HOME}", "$$", "'", "é – ü", ""]
    for word in odd:
        Service.objects.update(description=word)
        DataSource.objects.update(database=word or "d")
        fine(export())
        assert Service.objects.get().description == word
        assert DataSource.objects.first().database == (word or "d")


def test_an_agencys_export_holds_what_that_agency_keeps() -> None:
    fine(BUNDLE)
    found = yaml.safe_load(export(Agency.objects.get(code="anak")))
    assert [agency["code"] for agency in found["agencies"]] == ["anak"]
    assert found["services"] == found["sources"] == []
    assert found["applications"][0]["grants"][0]["operation"] == "prov/data/satu"


#: What a bundle leaves out, and why.
LEFT_OUT = {
    "id", "agency", "service", "operation", "application", "source", "code", "kind", "position",  # where a row stands
    "parent", "revision", "updated_at", "created_at", "operation_ptr",
    "public", "digest", "expires_at", "revoked_at", "last_used_at",  # a key's
}  # fmt: skip


@pytest.mark.parametrize(
    "model,of",
    [
        (Agency, shape.AGENCY), (DataSource, shape.SOURCE), (Service, shape.SERVICE), (Parameter, shape.PARAMETER),
        (DataOperation, shape.OPERATIONS["data"]), (ProxyOperation, shape.OPERATIONS["proxy"]), (Field, shape.FIELD),
        (Upstream, shape.UPSTREAM), (Application, shape.APPLICATION), (AccessKey, shape.LEGACY_KEY),
        (Grant, shape.GRANT),
    ],
)  # fmt: skip
def test_every_column_of_the_book_has_its_key(model: type[Model], of: shape.Shape) -> None:
    columns = {field.name for field in model._meta.concrete_fields}
    assert columns - LEFT_OUT == {key.name for key in of.keys}


def test_the_demos_bundle_applies_and_comes_back() -> None:
    text = (Path(__file__).parents[2] / "demo" / "demo.yaml").read_text()
    fine(text, PORT="8123")
    assert Upstream.objects.get().url == "http://127.0.0.1:8123/json/bkn/simpeg"
    assert not fine(text, PORT="8123").changes
    assert not fine(export()).changes
