"""Versions of operations: drafts beside published ones, publishing, going back, and what each path records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.management import call_command

from dataservices.models import DataOperation
from mantra.definitions.apply import apply
from mantra.definitions.export import export
from mantra.definitions.reading import Environment
from proxyservices.models import Upstream, UpstreamState
from registry import tenancy, versions
from registry.models import Grant, Operation, OperationVersion, Parameter, VersionText
from registry.snapshot import holder
from registry.versions import publishing
from tests.admin.conftest import make_user
from tests.api.conftest import person
from tests.cast import Cast, recorded
from tests.proxy.publishing import publish_proxy

Origin = OperationVersion.Origin


@pytest.fixture
def provider(cast: Cast) -> Any:
    return make_user("Provider", cast.provider)


def edited(cast: Cast, user: Any, sql: str, code: str = "semua") -> Any:
    """Return a saved draft of an operation with this SQL."""
    draft = versions.open_draft(cast.operations[code], user)
    draft.sql = sql
    draft.full_clean()
    draft.save()
    return draft


def numbers(operation: Operation) -> list[tuple[int, str]]:
    return list(operation.versions.order_by("number").values_list("number", "origin"))


# ------------------------------------------------------------------------------------------ drafts


def test_callers_get_the_published_version_until_the_draft_is_published(cast: Cast, provider: Any) -> None:
    draft = edited(cast, provider, "SELECT id FROM orang ORDER BY id LIMIT 1")
    holder.refresh()
    assert set(cast.get("semua").json()["data"][0]) == {"id", "nama", "unit"}
    versions.publish(draft, provider, "satu kolom saja")
    holder.refresh()
    assert cast.get("semua").json()["data"] == [{"id": 1}]
    operation = Operation.objects.get(pk=cast.operations["semua"].pk)
    assert numbers(operation) == [(1, "existing"), (2, "admin")]
    assert not Operation.objects.filter(draft_of=operation).exists()


def test_the_journal_has_the_number_of_the_version(cast: Cast, provider: Any) -> None:
    version = versions.publish(edited(cast, provider, "SELECT 1 AS satu"), provider)
    holder.refresh()
    cast.get("semua")
    begun = [line for line in recorded() if line["t"] == "begin"][-1]
    assert begun["op"][-1] == version.number == 2


def test_a_draft_is_in_no_snapshot_even_with_another_state(cast: Cast, provider: Any) -> None:
    draft = edited(cast, provider, "SELECT 1 AS rahasia")
    DataOperation.objects.filter(pk=draft.pk).update(state="published")
    holder.refresh()
    assert "rahasia" not in cast.get("semua").text
    holder.forget()
    holder.refresh()
    assert "rahasia" not in cast.get("semua").text


def test_there_is_one_draft_beside_an_operation(cast: Cast, provider: Any) -> None:
    draft = edited(cast, provider, "SELECT 2 AS dua")
    assert versions.open_draft(cast.operations["semua"], provider) == draft
    versions.discard(draft)
    assert versions.draft_of(cast.operations["semua"]) is None
    assert DataOperation.objects.get(pk=cast.operations["semua"].pk).sql.startswith("SELECT id, nama")


def test_an_operation_that_was_never_published_is_its_own_draft(cast: Cast, provider: Any) -> None:
    new = cast.define("baru", "SELECT 1 AS satu", state="draft")
    assert versions.open_draft(new, provider).pk == new.pk
    version = versions.publish(new, provider, "pertama")
    assert (version.number, version.reason, version.user) == (1, "pertama", provider.username)
    assert Operation.objects.get(pk=new.pk).state == "published"


def test_a_draft_is_in_no_list_no_choice_and_no_export(cast: Cast, provider: Any) -> None:
    cast.operations["semua"].title = "Terbit"
    cast.operations["semua"].save()
    draft = edited(cast, provider, "SELECT 3 AS tiga")
    draft.title = "Konsep"
    draft.save()
    assert draft.pk not in Operation.objects.listed().values_list("pk", flat=True)
    assert draft.pk not in tenancy.referable(Grant, "operation", provider).values_list("pk", flat=True)
    grant = Grant(application=cast.application, operation=Operation.objects.get(pk=draft.pk), purpose="uji")
    with pytest.raises(ValidationError, match=r"draf"):
        grant.full_clean()
    assert "Konsep" not in export() and "SELECT 3" not in export()
    api = person("Provider", cast.provider, "api")
    listed = api.get("operations/?code=semua").json()["results"]
    assert [each["title"] for each in listed] == ["Terbit"]
    assert api.get(f"operations/{draft.pk}/").status_code == 404
    body = {"application": "kons/app", "operation": "prov/data/semua", "purpose": "uji lagi"}
    cast.grants["semua"].delete()
    assert api.post("grants/", body).json()["operation"] == "prov/data/semua"
    assert Grant.objects.get(purpose="uji lagi").operation_id == cast.operations["semua"].pk


def test_drafts_do_not_count_against_the_limits(cast: Cast, provider: Any, settings: Any) -> None:
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "operations": 6}
    edited(cast, provider, "SELECT 3 AS tiga").full_clean()
    cast.define("keenam", "SELECT 6 AS enam")
    with pytest.raises(ValidationError):
        cast.define("ketujuh", "SELECT 7 AS tujuh")


def test_a_draft_follows_the_code_of_its_operation(cast: Cast, provider: Any) -> None:
    draft = edited(cast, provider, "SELECT 3 AS tiga")
    operation = DataOperation.objects.get(pk=cast.operations["semua"].pk)
    operation.code = "semuanya"
    operation.full_clean()
    operation.save()
    assert DataOperation.objects.get(pk=draft.pk).address == "prov/data/semuanya"


# -------------------------------------------------------------------------------------- publishing


def test_a_draft_that_breaks_a_rule_is_not_published(cast: Cast, provider: Any) -> None:
    draft = edited(cast, provider, "SELECT id FROM orang WHERE id = :nomor")
    with pytest.raises(ValidationError, match="nomor"):
        versions.publish(draft, provider)
    assert versions.draft_of(cast.operations["semua"]) == draft


def test_a_check_can_refuse_what_is_published_by_any_path(cast: Cast, monkeypatch: Any) -> None:
    asked: list[versions.Change] = []

    def refuse(change: versions.Change) -> None:
        asked.append(change)
        raise ValidationError("tidak boleh")

    monkeypatch.setattr(publishing, "CHECKS", [refuse])
    user = make_user("Provider", cast.provider, "penyedia")
    with pytest.raises(ValidationError, match="tidak boleh"):
        versions.publish(edited(cast, user, "SELECT 1 AS satu"), user, "alasan")
    api = person("Provider", cast.provider, "api")
    refused = api.patch(f"operations/{cast.operations['satu'].pk}/", {"title": "Lain", "reason": "alasan"})
    assert (refused.status_code, refused.json()) == (400, {"non_field_errors": ["tidak boleh"]})
    bundle = export().replace("SELECT id, nama, unit FROM orang ORDER BY id", "SELECT nama FROM orang")
    report = apply(bundle, Environment({}, Path("/")))
    assert [problem.message for problem in report.problems] == ["tidak boleh"] * len(report.problems) != []
    assert DataOperation.objects.get(code="satu").title == ""
    assert [change.reason for change in asked[:2]] == ["alasan", "alasan"]
    assert asked[0].old is not None and asked[0].old["columns"]["sql"].startswith("SELECT id, nama")
    assert asked[0].new["columns"]["sql"] == "SELECT 1 AS satu"


def test_publishing_keeps_rows_that_match(cast: Cast, provider: Any) -> None:
    proxy = publish_proxy(cast, "http://satu.contoh/a", "http://dua.contoh/b")
    first, second = proxy.upstreams.all()
    UpstreamState.objects.create(upstream=first, observer="prober")
    draft = versions.open_draft(proxy, provider)
    row = draft.upstreams.get(url=first.url)
    row.url, row.weight = "http://satu.contoh/baru", 7
    row.save()
    draft.upstreams.get(url=second.url).delete()
    versions.publish(draft, provider)
    (kept,) = proxy.upstreams.all()
    assert (kept.pk, kept.url, kept.weight, kept.states.count()) == (first.pk, "http://satu.contoh/baru", 7, 1)


def test_the_log_says_what_changed(cast: Cast, provider: Any) -> None:
    versions.publish(edited(cast, provider, "SELECT nama FROM orang"), provider, "kolom lain")
    entry = LogEntry.objects.filter(user=provider).latest("pk")
    assert entry.object_id == str(cast.operations["semua"].pk)
    assert "kolom lain" in entry.change_message
    assert "SELECT id, nama, unit FROM orang ORDER BY id → SELECT nama FROM orang" in entry.change_message


def test_only_so_many_versions_are_kept(cast: Cast, provider: Any, settings: Any) -> None:
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "versions": 2}
    for number in range(4):
        versions.publish(edited(cast, provider, f"SELECT {number} AS n"), provider)
    assert [number for number, _origin in numbers(cast.operations["semua"])] == [4, 5]


# ------------------------------------------------------------------------------------- other paths


def test_the_management_api_makes_versions(cast: Cast) -> None:
    api = person("Provider", cast.provider, "api")
    address = f"operations/{cast.operations['satu'].pk}/"
    first = api.patch(address, {"title": "Satu orang", "reason": "judul"}).json()
    assert first["revision"] == 1 and "reason" not in first
    assert api.patch(address, {"title": "Satu orang"}).json()["revision"] == 1
    assert api.patch(address, {"state": "deprecated"}).json()["revision"] == 1
    version = OperationVersion.objects.get()
    assert (version.origin, version.reason, version.user) == ("api", "judul", "api")
    assert api.patch(address, {"title": "Lain", "reason": "x" * 501}).status_code == 400


def test_bundles_make_versions(cast: Cast) -> None:
    text = export()
    assert not apply(text, Environment({}, Path("/"))).problems
    assert not apply(text.replace("gaji FROM", "lahir FROM"), Environment({}, Path("/")), reason="kolom").problems
    found = OperationVersion.objects.filter(operation=cast.operations["satu"])
    assert [(each.number, each.origin, each.reason, each.user) for each in found] == [
        (2, "bundle", "kolom", ""),
        (1, "bundle", "", ""),
    ]


# ---------------------------------------------------------------------------------------- going back


def test_an_earlier_version_becomes_the_new_one(cast: Cast, provider: Any) -> None:
    operation = cast.operations["satu"]
    draft = versions.open_draft(operation, provider)
    draft.sql = "SELECT id FROM orang WHERE id = :kode"
    draft.save()
    draft.parameters.all().delete()
    Parameter.objects.create(operation=draft, name="kode", type="integer")
    versions.publish(draft, provider)
    first = OperationVersion.objects.get(operation=operation, number=1)
    assert versions.revert(first, provider, "salah").number == 3
    holder.refresh()
    assert cast.get("satu", "id=1").json()["data"][0]["nama"] == "Orang 1"
    assert numbers(operation)[-1] == (3, "revert")


def test_a_draft_is_not_lost_by_going_back(cast: Cast, provider: Any) -> None:
    versions.publish(edited(cast, provider, "SELECT 1 AS satu"), provider)
    draft = edited(cast, provider, "SELECT 2 AS dua")
    with pytest.raises(versions.DraftExists):
        versions.revert(OperationVersion.objects.get(number=1), provider, "")
    assert DataOperation.objects.get(pk=draft.pk).sql == "SELECT 2 AS dua"


def test_large_texts_are_stored_once_and_come_back(cast: Cast, provider: Any) -> None:
    proxy = publish_proxy(cast, "http://satu.contoh/a")
    proxy.descriptions.create(url="http://satu.contoh/?wsdl", main=True, content="<a>" + "x" * 5000 + "</a>")
    versions.record(proxy, provider)
    draft = versions.open_draft(proxy, provider)
    draft.title = "Lain"
    draft.save()
    assert draft.descriptions.get().content.startswith("<a>xxx")
    versions.publish(draft, provider)
    assert VersionText.objects.filter(operation=proxy).count() == 1
    proxy.descriptions.all().delete()
    versions.record(proxy, provider)
    versions.revert(OperationVersion.objects.get(operation=proxy, number=1), provider, "")
    assert proxy.descriptions.get().content.endswith("x</a>")


# ------------------------------------------------------------------------------------------ secrets


def secret_proxy(cast: Cast) -> Any:
    return publish_proxy(
        cast, "http://satu.contoh/a", upstream={"credential_kind": "bearer", "credential": "kata-rahasia"}
    )


def test_secrets_are_kept_encrypted_and_shown_to_nobody(cast: Cast, provider: Any) -> None:
    proxy = secret_proxy(cast)
    versions.record(proxy, provider)
    first = OperationVersion.objects.get()
    assert "kata-rahasia" not in str(first.definition)
    Upstream.objects.filter(operation=proxy).update(credential="rahasia-baru")
    versions.record(proxy, provider)
    second = OperationVersion.objects.get(number=2)
    sections = versions.compare(versions.kind_of(proxy), first.definition, second.definition)
    assert [section.key for section in sections] == ["upstreams"]
    text = versions.summary(sections)
    assert "rahasia-baru" not in text and "kata-rahasia" not in text
    assert "rahasia" not in LogEntry.objects.latest("pk").change_message.replace("(rahasia)", "")
    versions.revert(first, provider, "")
    assert str(proxy.upstreams.get().credential) == "kata-rahasia"


def test_a_secret_comes_back_only_where_it_was_entered_for(cast: Cast, provider: Any) -> None:
    proxy = secret_proxy(cast)
    versions.record(proxy, provider)
    versions.record(_renamed(proxy), provider)
    first = OperationVersion.objects.get(number=1)
    value = first.definition["lists"]["upstreams"][0]
    value["url"] = "http://lain.contoh/a"
    first.save()
    with pytest.raises(versions.SecretsToReenter, match=r"lain\.contoh"):
        versions.revert(first, provider, "")
    draft = versions.open_draft(proxy, provider, first)
    assert not draft.upstreams.get().credential


def _renamed(proxy: Any) -> Any:
    proxy.title = "Nama lain"
    proxy.save()
    return proxy


def test_a_secret_in_a_draft_goes_to_no_other_server(cast: Cast, provider: Any) -> None:
    draft = versions.open_draft(secret_proxy(cast), provider)
    row = draft.upstreams.get()
    row.url = "http://penyerang.contoh/"
    with pytest.raises(ValidationError, match="credential"):
        row.full_clean()


def test_secrets_of_versions_are_rotated(cast: Cast, provider: Any, settings: Any) -> None:
    proxy = secret_proxy(cast)
    versions.record(proxy, provider)
    versions.record(_renamed(proxy), provider)
    (old,) = settings.FIELD_KEYS
    new = Fernet.generate_key().decode()
    settings.FIELD_KEYS = [new, old]
    call_command("rotate_secrets")
    settings.FIELD_KEYS = [new]
    versions.revert(OperationVersion.objects.get(number=1), provider, "")
    assert str(proxy.upstreams.get().credential) == "kata-rahasia"
