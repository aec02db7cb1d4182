"""Pages of proxy services as a publisher meets them who wants another's secret, session or data."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from proxyservices.address_change import cutover
from proxyservices.models import (
    AddressChange,
    Backend,
    BackendServer,
    ParameterMapping,
    ProxyOperation,
    ServerState,
    ServiceDescription,
)
from registry.models import Agency, Field, Parameter, SampleRequest
from tests.admin.conftest import MARKER, MarkedAgency, SignIn, make_agency
from tests.admin.test_proxy_operations import SERVER, backend_form, form, fresh, page, posted, stored
from tests.proxy.publishing import add_server
from tests.proxy.upstream import Answer, serve_upstream

HOSTILE = "\"'><img src=x onerror=alert(1)>{{7*7}}</script><script>alert(2)</script>"


@pytest.fixture
def operation(marked: MarkedAgency) -> ProxyOperation:
    proxy = marked.proxy
    for rows in (proxy.parameters, proxy.fields, proxy.mappings, proxy.descriptions, proxy.samples):
        rows.all().delete()
    AddressChange.objects.all().delete()
    assert proxy.backend is not None
    proxy.backend.servers.all().delete()
    proxy.backend = None
    proxy.save()
    return proxy


@pytest.fixture
def publisher(sign_in: SignIn, marked: MarkedAgency) -> Client:
    return sign_in("Publisher", marked.agency)


def move(row: BackendServer) -> str:
    return page(row.backend, "change-address")


# ------------------------------------------------------------------------------------------ secrets


def test_a_form_that_leaves_the_secret_mappings_out_brings_no_new_address(
    operation: ProxyOperation, publisher: Client
) -> None:
    """The list of mappings posted as empty: its rows stay, and none of their forms is asked."""
    row = stored(operation)
    mapping = ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="kunci-x", secret=True
    )
    thief = Backend.objects.create(agency=operation.service.agency, code="penyadap", credential_kind="none")
    BackendServer.objects.create(backend=thief, url="https://penyadap.contoh/")
    assert publisher.post(page(operation), form(operation, backend=str(thief.pk))).status_code == 200
    for servers in (
        (posted(row), {**SERVER, "url": "https://penyadap.contoh/"}),
        (posted(row, url="https://penyadap.contoh/"),),
    ):
        data = backend_form(row.backend, *servers, credential="x")
        assert publisher.post(page(row.backend), data).status_code == 200
    operation.refresh_from_db()
    assert (operation.backend, fresh(row).url) == (row.backend, row.url)
    # Without a secret there is nothing to guard.
    mapping.delete()
    assert publisher.post(page(operation), form(operation, backend=str(thief.pk))).status_code == 302


@pytest.mark.parametrize("what", ["mapping", "credential"])
def test_back_takes_no_secret_along_that_came_later(operation: ProxyOperation, publisher: Client, what: str) -> None:
    """The address went from the thief's server to the agency's; then the agency entered its secret."""
    row = add_server(operation, "https://penyadap.contoh/", credential_kind="none")
    publisher.post(move(row), {"action": "switch", "server": row.pk, "url": "https://hulu.contoh.go.id/"})
    assert fresh(row).url == "https://hulu.contoh.go.id/"
    if what == "mapping":
        ParameterMapping.objects.create(
            operation=operation, location="header", name="X-Kunci", value="kunci-x", secret=True
        )
    else:
        backend = row.backend
        backend.credential_kind, backend.credential = "bearer", "rahasia"
        backend.save()
    change = cutover.rollback_target(fresh(row))
    assert change is not None
    publisher.post(move(row), {"action": "roll-back", "change": change.pk})
    assert fresh(row).url == "https://hulu.contoh.go.id/"


def _switched_to_the_thief(publisher: Client, row: BackendServer, secret: str) -> None:
    """The address is switched by someone who does not know the secret: the history keeps it for a roll-back."""
    data = {"action": "switch", "server": row.pk, "url": "https://penyadap.contoh/"}
    publisher.post(move(row), {**data, secret: "asal"})
    assert fresh(row).url == "https://penyadap.contoh/"


def _roll_back(publisher: Client, row: BackendServer) -> None:
    change = cutover.rollback_target(fresh(row))
    assert change is not None
    publisher.post(move(row), {"action": "roll-back", "change": change.pk})


def test_a_roll_back_sends_a_credential_to_no_new_token_server(operation: ProxyOperation, publisher: Client) -> None:
    row = add_server(operation, "https://hulu.contoh.go.id/", credential_kind="oauth2", credential_name="klien",
        token_url="https://token.contoh.go.id/t", credential="rahasia",
    )  # fmt: skip
    _switched_to_the_thief(publisher, row, "secret_credential")
    changed = {"credential_name": "klien", "token_url": "https://penyadap.contoh/t", "credential": "asal"}
    data = backend_form(row.backend, posted(fresh(row)), **changed)
    assert publisher.post(page(row.backend), data).status_code == 302
    assert fresh(row).settings.token_url == "https://penyadap.contoh/t"
    _roll_back(publisher, row)
    assert str(fresh(row).settings.credential) == "asal"
    # Once the token server is the agency's again, the way back is open.
    Backend.objects.filter(pk=row.backend_id).update(token_url="https://token.contoh.go.id/t")
    _roll_back(publisher, row)
    assert (fresh(row).url, str(fresh(row).settings.credential)) == ("https://hulu.contoh.go.id/", "rahasia")


def test_an_edited_address_brings_no_credential_to_a_token_server_of_the_same_form(
    operation: ProxyOperation, publisher: Client
) -> None:
    """The form moves the server and names the thief's token server: the way back must not send the old one there."""
    row = add_server(operation, "https://hulu.contoh.go.id/", credential_kind="oauth2", credential_name="klien",
        token_url="https://token.contoh.go.id/t", credential="rahasia",
    )  # fmt: skip
    changed = {"credential_name": "klien", "token_url": "https://penyadap.contoh/t", "credential": "asal"}
    data = backend_form(row.backend, posted(row, url="https://penyadap.contoh/"), **changed)
    assert publisher.post(page(row.backend), data).status_code == 302
    _roll_back(publisher, row)
    assert str(fresh(row).settings.credential) == "asal"


def test_a_roll_back_shows_a_secret_to_nobody_new(operation: ProxyOperation, publisher: Client) -> None:
    row = add_server(operation, "https://hulu.contoh.go.id/", credential_kind="none")
    mapping = ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="rahasia", secret=True
    )
    _switched_to_the_thief(publisher, row, f"secret_{mapping.pk}")
    again = {
        "id": mapping.pk, "position": 0, "location": "header", "name": "X-Kunci", "parameter": "", "value": "asal",
    }  # fmt: skip
    assert publisher.post(page(operation), form(operation, mappings=[again])).status_code == 302
    _roll_back(publisher, row)
    mapping.refresh_from_db()
    assert str(mapping.value) == "asal"


def test_a_roll_back_gives_an_operations_secret_to_no_other_backend(
    operation: ProxyOperation, publisher: Client
) -> None:
    """The operation has gone to the thief's backend since: the old secret stays in the history."""
    row = add_server(operation, "https://hulu.contoh.go.id/", credential_kind="none")
    mapping = ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="rahasia", secret=True
    )
    _switched_to_the_thief(publisher, row, f"secret_{mapping.pk}")
    thief = Backend.objects.create(agency=operation.service.agency, code="penyadap", credential_kind="none")
    BackendServer.objects.create(backend=thief, url="https://penyadap.contoh/dua")
    again = {
        "id": mapping.pk, "position": 0, "location": "header", "name": "X-Kunci", "parameter": "", "value": "asal",
        "secret": "on",
    }  # fmt: skip
    data = form(operation, mappings=[again], backend=str(thief.pk))
    assert publisher.post(page(operation), data).status_code == 302
    _roll_back(publisher, row)
    mapping.refresh_from_db()
    assert str(mapping.value) == "asal"


def test_a_secret_stands_on_no_page_and_in_no_history(operation: ProxyOperation, publisher: Client) -> None:
    secrets = ("sandi-satu", "sandi-dua", "sandi-tiga", "sandi-empat")
    with serve_upstream(Answer(b'{"a":1}')) as old, serve_upstream(Answer(b'{"a":2}')) as new:
        row = add_server(operation, old.url, credential_kind="bearer", credential=secrets[0])
        mapping = ParameterMapping.objects.create(
            operation=operation, location="query", name="k", value=secrets[1], secret=True
        )
        operation.style, operation.path = "rest", ""
        operation.save()
        SampleRequest.objects.create(operation=operation, name="satu", request="{}")
        data = {
            "action": "rehearse",
            "server": row.pk,
            "url": new.url,
            "secret_credential": secrets[2],
            f"secret_{mapping.pk}": secrets[3],
        }
        texts = [publisher.post(move(row), data).content.decode()]
        assert old.last.header("Authorization") == f"Bearer {secrets[0]}"
        assert new.last.header("Authorization") == f"Bearer {secrets[2]}"
        assert secrets[1] in old.last.path
        assert secrets[3] in new.last.path
        change = AddressChange.objects.get()
        texts.append(publisher.post(move(row), {"action": "switch", "change": change.pk}, follow=True).content.decode())
        texts.append(publisher.post(page(row.backend, "test"), follow=True).content.decode())
        for name in ("change-address", "live", "change", "history", "delete"):
            texts.append(publisher.get(page(row.backend, name), follow=True).content.decode())
        for name in ("samples", "change", "history", "delete"):
            texts.append(publisher.get(page(operation, name), follow=True).content.decode())
    assert not any(secret in text for text in texts for secret in secrets)


# --------------------------------------------------------------------------------- whose page it is


@pytest.mark.parametrize("role", ["Publisher", "Provider", "Requester"])
def test_no_page_of_another_agency_opens(sign_in: SignIn, marked: MarkedAgency, stranger: Agency, role: str) -> None:
    client = sign_in(role, stranger)
    sample = SampleRequest.objects.get()
    change = AddressChange.objects.get()
    row = BackendServer.objects.get()
    addresses = [page(marked.proxy, name) for name in ("samples", "change", "history", "delete")]
    views = ("change-address", "live", "test", "publish-drafts", "change", "history", "delete")
    for address in (*addresses, *(page(row.backend, name) for name in views)):
        for response in (
            client.get(address),
            client.post(address, {"action": "forget", "sample": sample.pk}),
            client.post(address, {"action": "roll-back", "change": change.pk}),
            client.post(address, {"action": "switch", "server": row.pk, "url": "https://jahat.contoh/"}),
            client.get(address, headers={"HX-Request": "true"}),
        ):
            assert MARKER not in response.content.decode()
            assert response.status_code in (302, 403, 404, 405)
    assert SampleRequest.objects.count() == 1
    row.refresh_from_db()
    assert "jahat" not in row.url


def test_ids_of_another_agency_do_nothing_on_the_own_page(sign_in: SignIn, marked: MarkedAgency) -> None:
    own = make_agency("safir")
    client = sign_in("Publisher", own.agency)
    assert marked.proxy.backend is not None
    assert own.proxy.backend is not None
    theirs = marked.proxy.backend.servers.get()
    sample, change = SampleRequest.objects.get(operation=marked.proxy), AddressChange.objects.get(server=theirs)
    place = page(own.proxy.backend, "change-address")
    posts: list[tuple[str, dict[str, Any]]] = [
        (page(own.proxy, "samples"), {"action": "forget", "sample": sample.pk}),
        (place, {"action": "roll-back", "change": change.pk}),
        (place, {"action": "switch", "change": change.pk}),
        (place, {"action": "switch", "server": theirs.pk, "url": "https://jahat.contoh/"}),
        (place, {"action": "rehearse", "server": theirs.pk, "url": "https://jahat.contoh/"}),
        (page(own.proxy.backend, "test"), {"server": theirs.pk}),
        (page(own.proxy.backend), backend_form(own.proxy.backend, posted(theirs, url="https://jahat.contoh/"))),
        (page(own.proxy), form(own.proxy, backend=str(theirs.backend_id))),
    ]
    for address, data in posts:
        text = client.post(address, data).content.decode()
        assert f"kunci-{MARKER}" not in text
        assert f"{MARKER}.go.id/api" not in text
    theirs.refresh_from_db()
    assert theirs.url == f"https://{MARKER}.go.id/api"
    own.proxy.refresh_from_db()
    assert own.proxy.backend_id != theirs.backend_id
    assert (theirs.backend_id, str(fresh(theirs).settings.credential)) == (marked.proxy.backend_id, f"kunci-{MARKER}")
    assert SampleRequest.objects.filter(pk=sample.pk).exists()


@pytest.mark.parametrize("role", ["Supervisor", "Provider", "Requester"])
def test_viewer_cannot_change_a_proxy_operation(sign_in: SignIn, marked: MarkedAgency, role: str) -> None:
    client = sign_in(role, None if role == "Supervisor" else marked.agency)
    row, sample = BackendServer.objects.get(), SampleRequest.objects.get()
    samples = page(marked.proxy, "samples")
    for place, data in (
        (samples, {"action": "forget", "sample": sample.pk}),
        (samples, {"action": "sample", "name": "x"}),
        (move(row), {"action": "switch", "server": row.pk, "url": f"https://{MARKER}.go.id/lain"}),
    ):
        assert client.post(place, data).status_code in (302, 403, 404)
        assert client.get(place).status_code in (302, 403, 404)
    for name in ("test", "publish-drafts"):
        assert client.post(page(row.backend, name)).status_code in (302, 403, 404)
    importing = reverse("admin:proxyservices_proxyoperation_import")
    assert client.get(importing).status_code in (302, 403)
    assert client.post(importing, {"service": marked.service.pk, "packed": "x"}).status_code in (302, 403)
    row.refresh_from_db()
    assert row.url == f"https://{MARKER}.go.id/api"
    assert SampleRequest.objects.count() == 1


def test_an_import_goes_into_no_other_agencys_service(sign_in: SignIn, marked: MarkedAgency, stranger: Agency) -> None:
    own = make_agency("safir")
    client = sign_in("Publisher", own.agency)
    document = json.dumps({"openapi": "3.0.0", "servers": [{"url": "https://h.go.id"}], "paths": {"/a": {"get": {}}}})
    address = reverse("admin:proxyservices_proxyoperation_import")
    file = SimpleUploadedFile("a.json", document.encode())
    packed = client.post(address, {"service": own.service.pk, "uploads": [file]}).context["packed"]
    count = ProxyOperation.objects.count()
    assert client.post(address, {"service": marked.service.pk, "packed": packed, "draft": "0"}).status_code == 403
    assert client.post(address, {"service": own.service.pk, "packed": packed + "x", "draft": "0"}).status_code == 302
    assert ProxyOperation.objects.count() == count


# ------------------------------------------------------------------------------------------ scripts


def test_no_word_of_a_publisher_or_an_upstream_becomes_markup(
    operation: ProxyOperation, publisher: Client, sign_in: SignIn
) -> None:
    body = json.dumps({"a": HOSTILE, HOSTILE: [HOSTILE]}).encode()
    answers = [
        Answer(body, "application/json", 200, [("Link", HOSTILE), ("Location", HOSTILE)]),
        Answer(f"<a>{HOSTILE}".encode(), f"text/html; {HOSTILE}", 500),
    ]
    with serve_upstream(answers[0]) as old, serve_upstream(answers[1]) as new:
        operation.style, operation.path, operation.title = "rest", "", HOSTILE[:190]
        operation.description = operation.ignored_paths = HOSTILE
        operation.save()
        url = old.url + "/\"'><img/src=x/onerror=alert(1)>"
        row = add_server(operation, url, credential_kind="header", credential_name=HOSTILE, credential="x")
        ParameterMapping.objects.create(operation=operation, location="query", name=HOSTILE, value=HOSTILE)
        ParameterMapping.objects.create(
            operation=operation, location="query", name=HOSTILE + "2", value=HOSTILE, secret=True
        )
        Parameter.objects.create(operation=operation, name="p", description=HOSTILE, required=False, default=HOSTILE)
        Field.objects.create(operation=operation, name="f", description=HOSTILE)
        ServiceDescription.objects.create(operation=operation, url=f"http://a/{HOSTILE}", main=True, content=HOSTILE)
        SampleRequest.objects.create(operation=operation, name=HOSTILE[:90], request=json.dumps({"p": HOSTILE}))
        ServerState.objects.create(server=row, observer=HOSTILE[:90], phase="connect", reason=HOSTILE[:30])
        AddressChange.objects.create(
            server=row,
            backend=HOSTILE,
            operation=HOSTILE,
            backend_ref=row.backend_id,
            old_url=HOSTILE,
            new_url=row.url,
            kind="switch",
            user=HOSTILE[:100],
        )
        admin = sign_in("Administrator")
        pages = []
        for client in (publisher, admin):
            for name in ("change-address", "live", "change", "history", "delete"):
                pages.append(client.get(page(row.backend, name), follow=True))
            for name in ("samples", "change", "history", "delete"):
                pages.append(client.get(page(operation, name), follow=True))
            planned = {"action": "rehearse", "server": row.pk, "secret_credential": "y"}
            for mapping in operation.mappings.filter(secret=True):
                planned[f"secret_{mapping.pk}"] = "z"
            for target in (new.url + "/", old.url + "/x", f"http://{'<b>' * 3}/"):
                pages.append(client.post(move(row), {**planned, "url": target}))
            pages.append(client.post(page(row.backend, "test"), follow=True))
            for kind in ("proxyoperation", "backend"):
                pages.append(client.get(reverse(f"admin:proxyservices_{kind}_changelist")))
            trying = reverse("try_operation", args=(operation.pk,))
            pages.append(client.get(trying))
            pages.append(client.post(trying, {"p_p": HOSTILE}))
    assert sum("&lt;img src=x" in response.content.decode() for response in pages) > len(pages) // 2
    for response in pages:
        text = response.content.decode()
        assert response.status_code in (200, 302), response.request["PATH_INFO"]
        for bad in ("<img", "<img/src", "<script>alert", "{{7*7}}</script>"):
            place = text.find(bad)
            assert place < 0, (response.request["PATH_INFO"], text[max(0, place - 200) : place + 100])
        assert not re.search(r"""=\s*"[^"<>]*"'>""", text)


def test_no_word_of_a_document_becomes_markup(marked: MarkedAgency, publisher: Client) -> None:
    get = {
        "operationId": HOSTILE,
        "summary": HOSTILE,
        "description": HOSTILE,
        "parameters": [
            {"in": "query", "name": HOSTILE, "description": HOSTILE, "schema": {"type": "string", "enum": [HOSTILE]}},
            {"in": "header", "name": HOSTILE, "schema": {"type": HOSTILE}},
            {"in": HOSTILE, "name": HOSTILE, "schema": {"type": "string", "pattern": HOSTILE, "default": HOSTILE}},
        ],
    }
    document = {
        "openapi": "3.0.0",
        "info": {"title": HOSTILE},
        "servers": [{"url": f"https://h.go.id/{HOSTILE}"}],
        "paths": {f"/{HOSTILE}": {"get": get}, "/b": {HOSTILE: get, "post": HOSTILE}},
        HOSTILE: HOSTILE,
    }
    file = SimpleUploadedFile(f"{HOSTILE}.json", json.dumps(document).encode())
    address = reverse("admin:proxyservices_proxyoperation_import")
    response = publisher.post(address, {"service": marked.service.pk, "uploads": [file]})
    text = response.content.decode()
    assert response.status_code == 200
    assert "&lt;img src=x" in text
    assert "<img" not in text
    assert "<script>alert" not in text
