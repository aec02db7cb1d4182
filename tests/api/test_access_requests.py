"""Access requests by the management API: the same rules as on the pages."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from registry.models import AccessRequest, Grant, Operation
from tests.api.conftest import ROOT, Person, person
from tests.cast import Cast
from tests.registry.test_agreements import PDF

WANTED: dict[str, Any] = {
    "application": "kons/app", "operations": [{"operation": "prov/data/satu"}], "purpose": "Verifikasi",
    "volume": 100, "networks": ["10.0.0.0/8"],
}  # fmt: skip


@pytest.fixture
def asker(cast: Cast) -> Person:
    Grant.objects.all().delete()
    return person("Requester", cast.consumer)


@pytest.fixture
def provider(cast: Cast) -> Person:
    return person("Provider", cast.provider)


def seen(who: Person, number: int) -> list[dict[str, Any]]:
    operations = who.get(f"access-requests/{number}/").json()["operations"]
    return [{"id": each["id"], "seen": each["seen"]} for each in operations]


def test_it_works(asker: Person, provider: Person) -> None:
    token = str(uuid.uuid4())
    made = asker.post("access-requests/", {**WANTED, "token": token})
    assert made.status_code == 201
    number = made.json()["id"]
    assert asker.post("access-requests/", {**WANTED, "token": token}).json()["id"] == number
    assert asker.post("access-requests/", WANTED).status_code == 409
    assert provider.post(f"access-requests/{number}/review/").json()["state"] == "in_review"
    assert provider.post(f"access-requests/{number}/ask/", {"text": "Untuk apa?"}).json()["state"] == "returned"
    assert asker.post(f"access-requests/{number}/answer/", {"text": "Bantuan"}).json()["state"] == "in_review"
    done = provider.post(f"access-requests/{number}/approve/", {"operations": seen(provider, number)})
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    grant = provider.get(f"grants/{done.json()['operations'][0]['grant']}/").json()
    assert (grant["quota"], grant["networks"], grant["standing"]) == ("100/day", ["10.0.0.0/8"], "in_force")
    assert [step["label"] for step in asker.get(f"access-requests/{number}/").json()["steps"]][-1]
    provider.post(f"grants/{grant['id']}/revoke/")
    assert provider.get(f"grants/{grant['id']}/").json()["standing"] == "revoked"


def test_part_and_what_has_changed(asker: Person, provider: Person) -> None:
    number = asker.post("access-requests/", WANTED).json()["id"]
    (mark,) = seen(provider, number)
    less = {**mark, "grant": True, "quota": "5/day", "networks": ["10.1.0.0/16"]}
    asker.post(f"access-requests/{number}/change/", {**WANTED, "purpose": "Lain"})
    assert provider.post(f"access-requests/{number}/decide/", {"operations": [less]}).status_code == 409
    assert not Grant.objects.exists()
    less |= seen(provider, number)[0]
    more = {**less, "networks": []}
    assert provider.post(f"access-requests/{number}/decide/", {"operations": [more]}).status_code == 400
    done = provider.post(f"access-requests/{number}/decide/", {"operations": [less]})
    assert done.json()["state"] == "partly_approved"
    assert Grant.objects.get().quota == "5/day"


def test_reject_needs_a_reason(asker: Person, provider: Person) -> None:
    number = asker.post("access-requests/", WANTED).json()["id"]
    marks = {"operations": seen(provider, number)}
    assert provider.post(f"access-requests/{number}/reject/", marks).status_code == 400
    done = provider.post(f"access-requests/{number}/reject/", {**marks, "reason": "Tanpa dasar hukum"})
    assert done.json()["state"] == "rejected"
    assert asker.post(f"access-requests/{number}/withdraw/").status_code == 409


def test_an_agreement_is_added(asker: Person, cast: Cast, settings: Any, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path / "files"
    number = asker.post("access-requests/", WANTED).json()["id"]

    def send(content: bytes) -> Any:
        address, header = f"{ROOT}access-requests/{number}/agreement/", {"Authorization": f"Token {asker.token}"}
        return asker.client.post(address, {"file": SimpleUploadedFile("PKS.pdf", content)}, headers=header)

    assert send(b"MZ").status_code == 400
    sent = send(PDF)
    assert (sent.status_code, sent.json()["agreement_file"], sent.json()["revision"]) == (200, "PKS.pdf", 2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"application": "prov/app"}, "application"), ({"operations": []}, "operations"),
        ({"operations": [{"operation": "prov/data/tidak"}]}, "operations"), ({"purpose": ""}, "purpose"),
        ({"operations": [{"operation": "prov/data/satu", "fields": ["x"]}]}, "operations"),
        ({"valid_until": "2020-01-01"}, "valid_until"), ({"networks": ["kantor"]}, "networks"),
    ],
)  # fmt: skip
def test_wrong_bodies_are_refused(asker: Person, change: dict[str, Any], field: str) -> None:
    refused = asker.post("access-requests/", {**WANTED, **change})
    assert refused.status_code == 400
    assert field in refused.json()


def test_others_get_nothing(asker: Person, provider: Person, cast: Cast) -> None:
    number = asker.post("access-requests/", WANTED).json()["id"]
    Operation.objects.filter(code="satu").update(listing="hidden")
    steps = ("change", "agreement", "answer", "withdraw", "review", "ask", "approve", "decide", "reject")
    for role, agency in (("Provider", cast.stranger), ("Requester", cast.stranger), ("Head", cast.stranger)):
        stranger = person(role, agency, f"asing-{role}")
        assert stranger.get("access-requests/").json()["results"] == []
        assert stranger.get(f"access-requests/{number}/").status_code == 404
        bodies = {"change": WANTED, "answer": {"text": "x"}, "ask": {"text": "x"}}
        for step in steps:
            answer = stranger.post(f"access-requests/{number}/{step}/", bodies.get(step, {"operations": []}))
            assert answer.status_code in (400, 403, 404), (step, answer.content)
    assert person("Supervisor", None).post(f"access-requests/{number}/withdraw/").status_code == 403
    assert provider.post(f"access-requests/{number}/withdraw/").status_code == 403
    assert asker.post(f"access-requests/{number}/approve/", {"operations": seen(asker, number)}).status_code == 403
    assert provider.post("access-requests/", WANTED).status_code == 403
    assert AccessRequest.objects.get().state == "submitted"
