"""Changes of definitions are in the journal, by every door, or are refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from registry import faults
from registry.actors import Actor, acting
from registry.journal import changes, reader, segments, shipping
from registry.models import AccessKey, ChangeRecord, Grant, GrantTerms, HarvestRule, Operation, Parameter, Service, User
from registry.results import Fault
from tests.admin.conftest import SignIn, make_user, sign_in
from tests.api.conftest import person
from tests.cast import Cast, recorded

__all__ = ["sign_in"]

OnCommit = Callable[..., Any]
LINE = {"change", "changed"}


@pytest.fixture
def journaled(cast: Cast, changes_recorded: None, django_capture_on_commit_callbacks: OnCommit) -> OnCommit:
    """What a test commits: ``with journaled(): …``."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def lines() -> list[dict[str, Any]]:
    return [line for line in recorded() if line["t"] in LINE]


def test_it_works(cast: Cast, journaled: OnCommit) -> None:
    grant = cast.grants["satu"]
    with journaled(), acting(lambda: Actor("tono", "admin", "10.1.2.3")):
        grant.purpose = "Penyaluran bantuan sosial"
        grant.save()
    change, committed = lines()
    assert (change["t"], change["user"], change["by"], change["ip"]) == ("change", "tono", "admin", "10.1.2.3")
    assert (change["what"], change["kind"], change["ref"]) == ("changed", "registry.grant", grant.pk)
    assert (change["fields"], change["of"]) == (["purpose"], ["prov", "kons"])
    assert committed == {"t": "changed", "id": change["id"], "at": committed["at"]}
    shipping.ship()
    row = ChangeRecord.objects.get()
    assert (row.user, row.name, row.fields, row.committed) == ("tono", str(grant), "purpose", True)
    assert (row.agency, row.other_agency, row.client_ip) == ("prov", "kons", "10.1.2.3")


def test_no_value_is_recorded(cast: Cast, journaled: OnCommit) -> None:
    """Not the old one, nor the new one, nor a secret."""
    source = cast.source
    with journaled():
        source.password, source.host = "kata-sandi-baru", "db.rahasia.go.id"
        source.save()
        cast.operation("lagi", "SELECT nama FROM orang WHERE unit = 'Unit 3'")
    written = b"".join(path.read_bytes() for path in reader.segments())
    assert written.count(b"password") == 1
    assert not any(text in written for text in (b"kata-sandi-baru", b"db.rahasia", b"Unit 3", b"uji.sqlite3"))


def test_saving_without_a_change_is_none(cast: Cast, journaled: OnCommit) -> None:
    with journaled():
        Grant.objects.get(pk=cast.grants["satu"].pk).save()
        Operation.objects.get(pk=cast.operations["satu"].pk).save()
        cast.source.__class__.objects.get(pk=cast.source.pk).save()
    assert [(line["kind"], line["fields"]) for line in lines() if line["t"] == "change"] == []


def test_each_way_of_changing_rows_is_recorded(cast: Cast, journaled: OnCommit) -> None:
    parameter = cast.operations["satu"].parameters.get()
    with journaled():
        Parameter.objects.filter(pk=parameter.pk).update(subject=True)
        Parameter.objects.bulk_create([Parameter(operation=cast.operations["satu"], name="baru", position=1)])
        Service.objects.create(agency=cast.provider, code="lain", title="Lain")
        cast.grants["cari"].delete()
        parameter.delete()
    made = [(line["what"], line["kind"], line["fields"]) for line in lines() if line["t"] == "change"]
    assert made == [
        ("changed", "registry.parameter", ["subject"]),
        ("added", "registry.parameter", []),
        ("added", "registry.service", made[2][2]),
        ("deleted", "registry.grant", []),
        ("deleted", "registry.parameter", []),
    ]
    assert {"agency", "code", "title"} <= set(made[2][2])


def test_a_change_that_is_undone_is_not_committed(cast: Cast, journaled: OnCommit) -> None:
    with journaled():
        with transaction.atomic():
            cast.grants["satu"].set_state("revoked")
            transaction.set_rollback(True)
        cast.grants["cari"].set_state("revoked")
    shipping.ship()
    rows = dict(ChangeRecord.objects.values_list("ref", "committed"))
    assert rows == {cast.grants["satu"].pk: False, cast.grants["cari"].pk: True}


# ----------------------------------------------------------------------------------------------- doors


def test_the_admin_names_its_user(cast: Cast, journaled: OnCommit, sign_in: SignIn) -> None:
    client = sign_in("Provider", cast.provider)
    with journaled():
        client.post(reverse("admin:registry_grant_revoke", args=(cast.grants["satu"].pk,)))
    line = next(line for line in lines() if line.get("kind") == "registry.grant")
    assert (line["user"], line["by"], line["ip"]) == ("provider-prov", "admin", "127.0.0.1")
    assert line["fields"] == ["state", "revoked_at"]


def test_the_api_names_the_user_of_the_token(cast: Cast, journaled: OnCommit) -> None:
    provider = person("Provider", cast.provider)
    with journaled():
        assert provider.patch(f"grants/{cast.grants['satu'].pk}/", {"quota": "5/day"}).status_code == 200
    line = next(line for line in lines() if line.get("kind") == "registry.grant")
    assert (line["user"], line["by"], line["fields"]) == ("provider", "api", ["quota"])


BUNDLE = "agencies:\n  - code: prov\n    name: Penyedia Data\n"


def test_bundles_are_recorded_and_their_dry_runs_are_not(cast: Cast, journaled: OnCommit) -> None:
    environment = Environment({}, Path("."))
    with journaled(), acting(lambda: Actor("", "command apply_definitions")):
        assert not apply(BUNDLE, environment, dry_run=True).problems
        assert lines() == []
        assert not apply(BUNDLE, environment).problems
    change, _committed = lines()
    assert (change["by"], change["kind"], change["fields"]) == (
        "command apply_definitions",
        "registry.agency",
        ["name"],
    )


def test_a_command_is_recorded_with_its_name(cast: Cast, journaled: OnCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["manage.py", "issue_key", "kons/app"])
    with journaled():
        call_command("issue_key", "kons/app", stdout=StringIO(), stderr=StringIO())
    change = lines()[0]
    assert (change["by"], change["user"], change["kind"]) == ("command issue_key", "", "registry.accesskey")


def test_roles_and_passwords_of_users_are_recorded(cast: Cast, journaled: OnCommit) -> None:
    with journaled():
        user = make_user("Requester", cast.provider, "siti")
        user.set_password("panjang-sekali-1")
        user.save()
        user.groups.clear()
        user.last_login = None
        user.save(update_fields=["last_login"])
        user.delete()
    made = [(line["what"], line["name"], line["fields"]) for line in lines() if line["t"] == "change"]
    assert made[0][:2] == ("added", "siti")
    assert made[2:] == [
        ("changed", "siti", ["password"]), ("changed", "siti", ["groups"]), ("deleted", "siti", []),
    ]  # fmt: skip


def test_an_alarm_rule_is_not_switched_off_unrecorded(cast: Cast, journaled: OnCommit) -> None:
    rule = HarvestRule.objects.get(kind="sequence", agency=None)
    administrator, provider = person("Administrator", None), person("Provider", cast.provider)
    with journaled():
        assert administrator.patch(f"alarm-rules/{rule.pk}/", {"mode": "off"}).status_code == 200
        assert administrator.patch(f"alarm-rules/{rule.pk}/", {"mode": "off"}).status_code == 200
        made = provider.post("alarm-rules/", {"agency": "prov", "kind": "rows", "least": 1000}).json()
        assert provider.delete(f"alarm-rules/{made['id']}/").status_code == 204
    found = [line for line in lines() if line.get("kind") == "registry.harvestrule"]
    assert [(line["what"], line["user"], line["by"], line["of"]) for line in found] == [
        ("changed", "administrator", "api", []),
        ("added", "provider", "api", ["prov"]),
        ("deleted", "provider", "api", ["prov"]),
    ]
    assert found[0]["fields"] == ["mode"]


def test_a_stop_by_the_api_is_recorded_with_its_user(cast: Cast, journaled: OnCommit) -> None:
    provider = person("Provider", cast.provider)
    with journaled():
        made = provider.post("stops/", {"kind": "operation", "target": "prov/data/satu", "reason": "Kunci bocor"})
        provider.post(f"stops/{made.json()['id']}/release/", {"reason": "Sudah aman"})
    found = [line for line in lines() if line.get("kind") == "registry.stop"]
    assert [(line["what"], line["user"], line["by"]) for line in found] == [
        ("added", "provider", "api"), ("changed", "provider", "api"),
    ]  # fmt: skip
    written = b"".join(path.read_bytes() for path in reader.segments())
    assert not any(text in written for text in (b"Kunci bocor", b"Sudah aman"))


# -------------------------------------------------------------------------------------------- refusals


@pytest.fixture
def broken(cast: Cast, changes_recorded: None, settings: Any, tmp_path: Path) -> None:
    """The journal cannot be written any more."""
    segments.close()
    settings.JOURNAL_DIR = tmp_path / "tidak-ada"


def test_what_cannot_be_recorded_is_not_changed(cast: Cast, broken: None, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Fault) as refused, caplog.at_level(logging.ERROR):
        cast.grants["satu"].set_state("revoked")
    assert refused.value.kind is faults.JOURNAL_DOWN
    assert Grant.objects.get(pk=cast.grants["satu"].pk).state == "approved"
    with pytest.raises(Fault):
        Grant.objects.filter(pk=cast.grants["satu"].pk).update(state="revoked")
    with pytest.raises(Fault), transaction.atomic():
        cast.grants["satu"].delete()
    with pytest.raises(Fault):
        AccessKey.issue(cast.application)
    assert Grant.objects.get(pk=cast.grants["satu"].pk).state == "approved"
    assert AccessKey.objects.count() == 1


def test_people_are_not_changed_unrecorded_either(cast: Cast, broken: None) -> None:
    with pytest.raises(Fault), transaction.atomic():
        make_user("Provider", cast.provider, "penyusup")
    assert not User.objects.filter(username="penyusup").exists()


def test_the_admin_and_the_api_answer_503(
    cast: Cast, changes_recorded: None, sign_in: SignIn, settings: Any, tmp_path: Path
) -> None:
    client, provider = sign_in("Provider", cast.provider), person("Provider", cast.provider)
    segments.close()
    settings.JOURNAL_DIR = tmp_path / "tidak-ada"
    page = client.post(reverse("admin:registry_grant_revoke", args=(cast.grants["satu"].pk,)))
    answer = provider.patch(f"grants/{cast.grants['satu'].pk}/", {"quota": "5/day"})
    assert (page.status_code, answer.status_code) == (503, 503)
    assert "jurnal" in page.content.decode()
    grant = Grant.objects.get(pk=cast.grants["satu"].pk)
    assert (grant.state, grant.quota) == ("approved", "")


# ---------------------------------------------------------------------------------------- terms of grants


def test_the_terms_of_a_grant_are_kept(cast: Cast) -> None:
    grant = cast.grants["satu"]
    grant.purpose, grant.legal_basis = "Bantuan sosial", "Perpres 63/2017"
    grant.save()
    grant.quota = "5/day"
    grant.save()
    kept = list(GrantTerms.objects.filter(grant_ref=grant.pk).order_by("pk").values_list("purpose", "legal_basis"))
    assert kept == [("uji", ""), ("Bantuan sosial", "Perpres 63/2017")]
    number = grant.pk
    grant.delete()
    assert GrantTerms.objects.filter(grant_ref=number).count() == 2


def test_terms_that_no_recorded_call_had_are_forgotten(cast: Cast) -> None:
    grant, now = cast.grants["satu"], timezone.now()
    GrantTerms.objects.filter(grant_ref=grant.pk).delete()
    for days in (900, 800, 700, 10):
        GrantTerms.objects.create(grant_ref=grant.pk, since=now - timedelta(days=days), purpose=f"{days} hari")
    changes.prune(now - timedelta(days=750))
    kept = GrantTerms.objects.filter(grant_ref=grant.pk).order_by("since").values_list("purpose", flat=True)
    assert list(kept) == ["800 hari", "700 hari", "10 hari"]


# ---------------------------------------------------------------------------------------------- pages


@pytest.fixture
def three(cast: Cast) -> None:
    """Changes of two agencies, of the bus alone, and one that was undone."""
    for number, (agency, other, committed) in enumerate(
        (("prov", "kons", True), ("asing", "", True), ("", "", True), ("prov", "", False))
    ):
        line = {
            "t": changes.CHANGE, "id": f"{number:032x}", "at": 1_700_000_000 + number, "user": f"orang{number}",
            "by": "admin", "ip": "10.0.0.1", "what": "changed", "kind": "registry.grant", "ref": number + 1,
            "name": f"izin-{number}", "of": [code for code in (agency, other) if code], "fields": ["quota"],
        }  # fmt: skip
        changes.store([changes.of_line(line, "s")], [line["id"]] if committed else [])


LIST = "/admin/registry/changerecord/"


def listed(client: Client, query: str = "") -> set[str]:
    response = client.get(LIST + query)
    assert response.status_code == 200
    return {row.name for row in response.context["cl"].result_list}


def test_each_agency_sees_its_own_changes(cast: Cast, three: None, sign_in: SignIn) -> None:
    assert listed(sign_in("Provider", cast.provider)) == {"izin-0"}
    assert listed(sign_in("Head", cast.consumer)) == {"izin-0"}
    assert listed(sign_in("Publisher", cast.stranger)) == {"izin-1"}
    assert listed(sign_in("Supervisor")) == listed(sign_in("Administrator")) == {"izin-0", "izin-1", "izin-2"}
    assert sign_in("Requester", cast.provider).get(LIST).status_code == 403


def test_changes_are_found_by_agency_user_row_and_kind(cast: Cast, three: None, sign_in: SignIn) -> None:
    client = sign_in("Supervisor")
    assert listed(client, "?of_agency=kons") == {"izin-0"}
    assert listed(client, "?by_user=orang1") == {"izin-1"}
    assert listed(client, "?of_row=registry.grant:3") == {"izin-2"}
    assert listed(client, "?kind_is=registry.service") == set()
    assert listed(client, "?undone=with") == {"izin-0", "izin-1", "izin-2", "izin-3"}
    assert listed(client, "?at__gte=2024-01-01") in (set(), {"izin-0", "izin-1", "izin-2"})


def test_a_strangers_page_of_a_change_is_not_there(cast: Cast, three: None, sign_in: SignIn) -> None:
    of_another = ChangeRecord.objects.get(name="izin-1")
    client = sign_in("Provider", cast.provider)
    assert client.get(f"{LIST}{of_another.pk}/change/").status_code in (302, 404)
    own = ChangeRecord.objects.get(name="izin-0")
    assert client.get(f"{LIST}{own.pk}/change/").status_code == 200
    assert client.post(f"{LIST}{own.pk}/change/", {"name": "x"}).status_code == 403
    assert client.post(f"{LIST}{own.pk}/delete/", {"post": "yes"}).status_code == 403
