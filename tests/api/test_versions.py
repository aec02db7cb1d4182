"""Versions in the management API: the list, one, publishing a draft, going back."""

from __future__ import annotations

import json

import pytest

from dataservices.models import DataOperation
from registry import versions
from registry.models import OperationVersion
from tests.api.conftest import Person, person
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy


@pytest.fixture
def owner(cast: Cast) -> Person:
    return person("Provider", cast.provider, "pemilik")


def address(cast: Cast, more: str = "") -> str:
    return f"operations/{cast.operations['satu'].pk}/{more}"


def with_draft(cast: Cast, owner: Person, title: str) -> None:
    draft = versions.open_draft(cast.operations["satu"], owner.user)
    draft.title = title
    draft.save()


def test_a_draft_is_published_with_a_reason(cast: Cast, owner: Person) -> None:
    with_draft(cast, owner, "Dari draf")
    assert owner.get(address(cast)).json()["title"] == ""
    published = owner.post(address(cast, "publish/"), {"reason": "siap", "change_note": "Judul baru"})
    assert (published.status_code, published.json()["title"], published.json()["revision"]) == (200, "Dari draf", 2)
    listed = owner.get(address(cast, "versions/")).json()["results"]
    assert [(each["number"], each["origin"], each["reason"], each["change_note"]) for each in listed] == [
        (2, "api", "siap", "Judul baru"), (1, "existing", "", ""),
    ]  # fmt: skip
    assert "definition" not in listed[0] and listed[0]["user"] == "pemilik"
    assert owner.post(address(cast, "publish/"), {"reason": "x" * 501}).status_code == 400
    assert owner.post(address(cast, "publish/"), {"change_note": "x" * 1001}).status_code == 400


def test_an_earlier_version_is_read_and_published_again(cast: Cast, owner: Person) -> None:
    owner.patch(address(cast), {"title": "Pertama"})
    owner.patch(address(cast), {"title": "Kedua", "change_note": "Judul kedua"})
    assert OperationVersion.objects.get(number=2).change_note == "Judul kedua"
    first = owner.get(address(cast, "versions/1/")).json()
    assert first["definition"]["columns"]["title"] == "Pertama"
    again = owner.post(address(cast, "versions/1/revert/"), {"reason": "salah"}).json()
    assert (again["title"], again["revision"]) == ("Pertama", 3)
    assert OperationVersion.objects.get(number=3).reason == "salah"
    assert owner.get(address(cast, "versions/77/")).status_code == 404
    with_draft(cast, owner, "Draf")
    refused = owner.post(address(cast, "versions/2/revert/"))
    assert refused.status_code == 400 and "non_field_errors" in refused.json()
    assert versions.draft_of(cast.operations["satu"]).title == "Draf"


def test_versions_have_no_secrets(cast: Cast) -> None:
    publisher = person("Publisher", cast.provider, "penerbit")
    secret = {"location": "header", "name": "X-Kunci", "value": "kata-rahasia", "secret": True}
    proxy = publish_proxy(cast, "http://a.contoh/", style="rest", mappings=(secret,))
    versions.record(proxy, None)
    found = publisher.get(f"operations/{proxy.pk}/versions/1/").json()["definition"]["lists"]["mappings"][0]
    assert found["value"] == {"secret": True}
    token = OperationVersion.objects.get().definition["lists"]["mappings"][0]["value"]["secret"]
    assert token not in json.dumps(found)


def test_a_stranger_finds_no_version_and_a_supervisor_changes_none(cast: Cast, owner: Person) -> None:
    with_draft(cast, owner, "Draf")
    stranger, supervisor = person("Provider", cast.stranger, "asing"), person("Supervisor", None)
    for path in ("versions/", "versions/1/"):
        assert stranger.get(address(cast, path)).status_code == 404
        assert supervisor.get(address(cast, path)).status_code == 200
    for path in ("publish/", "versions/1/revert/"):
        assert stranger.post(address(cast, path)).status_code == 404
        assert supervisor.post(address(cast, path)).status_code == 403
    assert DataOperation.objects.get(pk=cast.operations["satu"].pk).title == ""
