"""Client certificates: an application whose key is worth nothing without the certificate of its connection."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.core.exceptions import ValidationError

from registry.models import Application, ClientCertificate
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.gateway.test_access_tokens import FORM, SOAP, code_of
from tests.servers.certificates import Authority

SECRET = "rahasia-nginx-0123456789"


@pytest.fixture(autouse=True)
def _nginx(settings: Any) -> None:
    settings.NGINX_SECRET = SECRET


@pytest.fixture
def own(tmp_path: Path) -> str:
    return Authority(tmp_path).certificate("aplikasi.example")[0].read_text()


@pytest.fixture
def foreign(tmp_path: Path) -> str:
    return Authority(tmp_path).certificate("lain.example")[0].read_text()


@pytest.fixture
def bound(cast: Cast, own: str) -> Cast:
    """The application must show its certificate."""
    add(cast.application, own)
    cast.application.certificate_required = True
    cast.application.full_clean()
    cast.application.save()
    holder.refresh()
    return cast


def add(application: Application, pem: str) -> ClientCertificate:
    row = ClientCertificate(application=application, pem=pem)
    row.full_clean()
    row.save()
    holder.refresh()
    return row


def by_nginx(pem: str) -> dict[str, str]:
    """What nginx says of a connection that was opened with a certificate."""
    return {"x_mantra_nginx": SECRET, "x_mantra_certificate": quote(pem)}


def requests(cast: Cast, **headers: str) -> dict[str, Reply]:
    key = {"accesskey": cast.key, **headers}
    return {
        "rest": call("/rest/prov/data/satu?id=7", **key),
        "legacy": call("/json/prov/data/satu/id/7", **key),
        "soap": call("/soap/prov/data", "POST", SOAP, content_type="text/xml", **key),
    }


def test_a_key_alone_opens_nothing_on_any_protocol(bound: Cast, own: str) -> None:
    for protocol, reply in requests(bound).items():
        assert "Orang" not in reply.text, protocol
        assert "11423" in reply.text, protocol
    for protocol, reply in requests(bound, **by_nginx(own)).items():
        assert "Orang 7" in reply.text, protocol


def test_another_certificate_is_not_the_applications(bound: Cast, foreign: str) -> None:
    for protocol, reply in requests(bound, **by_nginx(foreign)).items():
        assert "11424" in reply.text, protocol
    add(Application.objects.create(agency=bound.stranger, code="lain", title="Lain"), foreign)
    assert all("11424" in reply.text for reply in requests(bound, **by_nginx(foreign)).values())


@pytest.mark.parametrize("secret", ["", "salah-0123456789abcdef"])
def test_only_nginx_says_which_certificate_a_caller_has_shown(bound: Cast, own: str, secret: str) -> None:
    for name in ("x_mantra_certificate", "client_cert", "x_client_cert", "x_ssl_client_cert"):
        said = {name: quote(own)} | ({"x_mantra_nginx": secret} if secret else {})
        for protocol, reply in requests(bound, **said).items():
            assert "11423" in reply.text, (name, protocol)


def test_nginx_is_known_while_its_secret_is_changed(bound: Cast, own: str, settings: Any) -> None:
    settings.NGINX_SECRET, settings.NGINX_SECRET_FALLBACK = "rahasia-baru-0123456789", SECRET
    assert "Orang 7" in requests(bound, **by_nginx(own))["rest"].text
    settings.NGINX_SECRET_FALLBACK = ""
    assert "11423" in requests(bound, **by_nginx(own))["rest"].text


@pytest.mark.parametrize("text", ["", "-", "x" * 100_000, quote("-----BEGIN CERTIFICATE-----\nAAAA\n"), "%ff%fe"])
def test_what_is_no_certificate_is_none(bound: Cast, text: str) -> None:
    reply = call("/rest/prov/data/satu?id=7", accesskey=bound.key, x_mantra_nginx=SECRET, x_mantra_certificate=text)
    assert code_of(reply) == 11423


def test_a_certificate_ends_when_it_is_revoked_and_when_its_time_is_over(
    bound: Cast, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ClientCertificate.objects.get()
    with monkeypatch.context() as patch:
        patch.setattr("mantra.gateway.admission.time.time", lambda: row.not_after.timestamp())
        assert code_of(requests(bound, **by_nginx(own))["rest"]) == 11424
    row.revoke()
    holder.refresh()
    assert code_of(requests(bound, **by_nginx(own))["rest"]) == 11424


def test_a_token_is_bound_to_the_certificate_with_which_it_was_requested(cast: Cast, own: str, foreign: str) -> None:
    add(cast.application, own)
    add(cast.application, foreign)
    body = urlencode({"grant_type": "client_credentials", "client_id": "kons/app", "client_secret": cast.key})
    said = call("/oauth2/token", "POST", body, content_type=FORM, **by_nginx(own)).json()
    token = {"authorization": f"Bearer {said['access_token']}"}
    assert code_of(call("/rest/prov/data/satu?id=7", **token)) == 11423
    assert code_of(call("/rest/prov/data/satu?id=7", **token, **by_nginx(foreign))) == 11424
    assert call("/rest/prov/data/satu?id=7", **token, **by_nginx(own)).status == 200
    basic = {"authorization": "Basic " + base64.b64encode(f"kons/app:{cast.key}".encode()).decode()}
    form = urlencode({"token": said["access_token"]})
    found = call("/oauth2/introspect", "POST", form, content_type=FORM, **basic).json()
    assert found["cnf"]["x5t#S256"]
    assert found["exp"] > time.time()


def test_no_token_without_the_certificate_that_the_application_needs(bound: Cast, own: str) -> None:
    body = urlencode({"grant_type": "client_credentials", "client_id": "kons/app", "client_secret": bound.key})
    refused = call("/oauth2/token", "POST", body, content_type=FORM)
    assert (refused.status, refused.json()["error"]) == (401, "invalid_client")
    assert call("/oauth2/token", "POST", body, content_type=FORM, **by_nginx(own)).status == 200


def test_an_upstream_gets_nothing_of_what_nginx_says(cast: Cast, own: str) -> None:
    from mantra.gateway.fast_lane import wire

    environ = {"HTTP_X_MANTRA_NGINX": SECRET, "HTTP_X_MANTRA_CERTIFICATE": quote(own)}
    wire.read(environ)
    assert not [name for name in environ if name.startswith("HTTP_")]


def test_what_may_be_added(cast: Cast, own: str, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path, "dua").certificate("kunci.example")
    ended = Authority(tmp_path, "tiga").certificate("lama.example", days=(-9, -1))[0]
    for wrong in ("bukan", certificate.read_text() + key.read_text(), ended.read_text()):
        with pytest.raises(ValidationError):
            ClientCertificate(application=cast.application, pem=wrong).full_clean()
    add(cast.application, own)
    with pytest.raises(ValidationError):
        ClientCertificate(application=cast.application, pem=own).full_clean()
