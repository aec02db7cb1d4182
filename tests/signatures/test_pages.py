"""Signing keys on pages, in the management API, in commands and bundles; and trials of applications that must sign."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from mantra import stored_secrets
from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from registry import secrets
from registry.journal import segments, shipping
from registry.models import AccessKey, Application, CallRecord
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.admin.conftest import sign_in as sign_in
from tests.admin.test_keys import everything_stored
from tests.api.conftest import Person
from tests.api.conftest import requester as requester
from tests.api.conftest import stranger as stranger
from tests.cast import Cast, call, ends_of
from tests.signing import Signer, signing_key
from tests.tryout.conftest import attempt

ADD, LIST = reverse("admin:registry_accesskey_add"), reverse("admin:registry_accesskey_changelist")
PLAIN = re.compile(r"mts_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}")
ONE = "/rest/prov/data/satu.json?id=7"


def require_signing(cast: Cast) -> None:
    Application.objects.filter(pk=cast.application.pk).update(signing_required=True)
    holder.refresh()


def issued(client: Client, cast: Cast) -> str:
    page = client.post(ADD, {"application": cast.application.pk, "kind": "signing"})
    (plain,) = set(PLAIN.findall(page.content.decode()))
    assert "no-store" in page["Cache-Control"]
    holder.refresh()
    return plain


def test_it_works(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    plain = issued(client, cast)
    key = AccessKey.objects.get(public=plain[:12])
    assert (key.kind, str(key.secret)) == ("signing", plain)
    assert secrets.well_formed(plain)
    assert Signer(plain).call(ONE).status == 200
    for page in (LIST, reverse("admin:registry_accesskey_change", args=(key.pk,)), "/admin/"):
        text = client.get(page).content.decode()
        assert not PLAIN.search(text)
    assert "menandatangani permintaan" in client.get(LIST).content.decode()
    assert plain not in everything_stored()


def test_the_page_of_a_new_key_says_how_it_is_used(cast: Cast, sign_in: SignIn) -> None:
    page = sign_in("Requester", cast.consumer).post(ADD, {"application": cast.application.pk, "kind": "signing"})
    text = page.content.decode()
    assert "AccessKey: " not in text
    assert "tidak pernah mengirimnya" in text
    link = f"{reverse('help_guide', args=['pemanfaat'])}#tandatangani-permintaan"
    assert link in text
    guide = sign_in("Requester", cast.consumer).get(link.partition("#")[0]).content.decode()
    assert 'id="tandatangani-permintaan"' in guide


def test_a_revoked_key_signs_no_more(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    plain = issued(client, cast)
    row = AccessKey.objects.get(public=plain[:12])
    client.post(reverse("admin:registry_accesskey_revoke", args=(row.pk,)))
    holder.refresh()
    assert Signer(plain).call(ONE).json()["code"] == 11001


def test_signed_requests_only_is_set_on_the_applications_page(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    address = reverse("admin:registry_application_change", args=(cast.application.pk,))
    assert "Hanya permintaan bertanda tangan" in client.get(address).content.decode()
    form = {
        "title": "Aplikasi uji",
        "code": "app",
        "agency": cast.consumer.pk,
        "active": "on",
        "signing_required": "on",
    }
    assert client.post(address, form).status_code == 302
    holder.refresh()
    assert cast.get("satu.json", "id=7").json()["code"] == 11411
    strange = sign_in("Requester", cast.stranger)
    assert strange.post(address, {**form, "signing_required": ""}).status_code in (302, 403, 404)
    assert Application.objects.get(pk=cast.application.pk).signing_required


def test_the_management_api_issues_and_rotates(cast: Cast, requester: Person, stranger: Person) -> None:
    first = requester.post("keys/", {"application": "kons/app", "kind": "signing"})
    assert first.status_code == 201, first.content
    plain, row = first.json()["key"], f"keys/{first.json()['id']}/"
    assert PLAIN.fullmatch(plain)
    shown = requester.get(row).json()
    assert (shown["kind"], shown["public"]) == ("signing", plain[:12])
    assert not {"key", "secret", "digest"} & set(shown)
    assert requester.patch(row, {"kind": "access"}).status_code == 400
    second = requester.post("keys/", {"application": "kons/app", "kind": "signing"}).json()
    assert requester.post("keys/", {"application": "kons/app", "kind": "signing"}).status_code == 400
    holder.refresh()
    assert {Signer(each).call(ONE).status for each in (plain, second["key"])} == {200}
    assert stranger.post(f"{row}revoke/").status_code in (403, 404)
    assert requester.post(f"{row}revoke/").status_code == 200
    holder.refresh()
    assert (Signer(plain).call(ONE).status, Signer(second["key"]).call(ONE).status) == (401, 200)
    application = f"applications/{cast.application.pk}/"
    assert requester.patch(application, {"signing_required": True}).json()["signing_required"] is True
    assert stranger.patch(application, {"signing_required": False}).status_code in (403, 404)


def test_the_command_issues_a_signing_key(cast: Cast) -> None:
    out = io.StringIO()
    call_command("issue_key", "kons/app", "--signing", "--days", "30", stdout=out, stderr=io.StringIO())
    holder.refresh()
    assert Signer(out.getvalue().strip()).call(ONE).status == 200


def test_a_bundle_requires_signing_and_its_export_says_so(cast: Cast) -> None:
    bundle = {"applications": [{"agency": "kons", "code": "app", "signing_required": True}]}
    apply(yaml.safe_dump(bundle), Environment({}, Path.cwd()))
    assert Application.objects.get(pk=cast.application.pk).signing_required
    out = io.StringIO()
    signing_key(cast.application)
    call_command("export_definitions", stdout=out)
    (exported,) = yaml.safe_load(out.getvalue())["applications"]
    assert exported["signing_required"] is True
    assert "mts_" not in out.getvalue()


def test_a_trial_works_for_an_application_that_must_sign(cast: Cast, sign_in: SignIn) -> None:
    require_signing(cast)
    shown = attempt(sign_in("Requester", cast.consumer), "satu", {"id": "7"})
    assert "Orang 7" in shown.body
    assert cast.get("satu.json", "id=7").json()["code"] == 11411


def test_the_page_about_a_refusal_says_what_to_do(cast: Cast, sign_in: SignIn) -> None:
    signer = Signer(signing_key(cast.application)[1])
    require_signing(cast)
    replies = [
        cast.get("satu.json", "id=7"),
        call(ONE, **signer.headers(ONE, secret="x" * 40)),
        call(ONE, **signer.headers(ONE, created=1)),
    ]
    segments.close()
    shipping.ship()
    own, provider = sign_in("Requester", cast.consumer), sign_in("Provider", cast.provider)
    # Of a signature that does not fit nobody knows whose it is: the caller's agency has no record.
    for client, reply, words in (
        (own, replies[0], "hanya boleh mengirim permintaan bertanda tangan"),
        (provider, replies[1], "Bandingkan yang ditandatangani"),
        (own, replies[2], "Cocokkan jam"),
    ):
        text = client.get(reverse("why_refused"), {"id": reply.headers["x-request-id"]}).content.decode()
        assert words in text


def test_the_history_links_a_call_to_its_signing_key_and_notes_its_use(cast: Cast) -> None:
    row, plain = signing_key(cast.application)
    reply = Signer(plain).call(ONE)
    segments.close()
    shipping.ship()
    record = CallRecord.objects.get(request_id=reply.headers["x-request-id"])
    assert (record.key_ref, record.key) == (row.pk, plain[:12])
    row.refresh_from_db()
    assert row.last_used_at is not None


def test_a_secret_is_encrypted_anew_when_keys_are_rotated(cast: Cast, settings: Any) -> None:
    from cryptography.fernet import Fernet

    _row, plain = signing_key(cast.application)
    before = dict(stored_secrets.tokens())["registry_accesskey"]
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    call_command("rotate_secrets", stdout=io.StringIO())
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert dict(stored_secrets.tokens())["registry_accesskey"] != before
    holder.refresh()
    assert Signer(plain).call(ONE).status == 200


def test_a_key_that_signs_needs_no_pepper(cast: Cast) -> None:
    before = stored_secrets.peppers()
    signing_key(cast.application)
    assert stored_secrets.peppers() == before


def test_a_signed_call_goes_on_counting_in_the_quota(cast: Cast) -> None:
    grant = cast.grants["satu"]
    grant.quota = "1/day"
    grant.save()
    signer = Signer(signing_key(cast.application)[1])
    assert signer.call(ONE).headers["ratelimit"]
    assert signer.call(ONE).json()["code"] == 11011
    (end,) = ends_of(signer.call(ONE).headers["x-request-id"])
    assert end["by"][2] == signer.keyid
