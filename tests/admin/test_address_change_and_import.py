"""The pages that rehearse a move and that import a description, as a publisher and as others meet them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_httpserver import HTTPServer

from proxyservices.models import AddressChange, ProxyOperation, Upstream
from registry.models import Agency, SampleRequest, Service
from tests.admin.conftest import MARKER, MarkedAgency, SignIn
from tests.cast import recorded

DESCRIPTIONS = Path(__file__).parents[1] / "proxy" / "descriptions"
IMPORT = "admin:proxyservices_proxyoperation_import"


@pytest.fixture
def operation(marked: MarkedAgency, httpserver: HTTPServer) -> ProxyOperation:
    found = marked.proxy
    for rows in (found.mappings, found.descriptions, found.samples):
        rows.all().delete()
    AddressChange.objects.all().delete()
    found.style, found.method, found.path = "rest", "GET", "pegawai"
    found.save()
    found.upstreams.update(url=httpserver.url_for("/lama"), credential_kind="bearer")
    for place, name in (("lama", "Siti"), ("baru", "Siti A")):
        httpserver.expect_request(f"/{place}/pegawai").respond_with_json({"nama": name, "nik": "3171234567890001"})
    return found


@pytest.fixture
def publisher(sign_in: SignIn, marked: MarkedAgency) -> Client:
    return sign_in("Publisher", marked.agency)


def page(operation: ProxyOperation) -> str:
    return reverse("admin:proxyservices_proxyoperation_change-address", args=(operation.pk,))


def with_sample(operation: ProxyOperation, client: Client) -> SampleRequest:
    data = {"action": "sample", "name": "satu", f"q_{MARKER}_masukan": "3171234567890001"}
    assert client.post(page(operation), data).status_code == 302
    return SampleRequest.objects.get(name="satu")


def move(operation: ProxyOperation, url: str, action: str = "rehearse", **more: str) -> dict[str, str]:
    return {"action": action, "upstream": str(operation.upstreams.get().pk), "url": url, "ignored_paths": "", **more}


def logged() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def test_rehearse_switch_and_back(operation: ProxyOperation, publisher: Client, httpserver: HTTPServer) -> None:
    with_sample(operation, publisher)
    old, new = httpserver.url_for("/lama"), httpserver.url_for("/baru")
    response = publisher.post(page(operation), move(operation, new))
    (pair,) = response.context["pairs"]
    assert [each.path for each in pair.differences] == ["nama"]
    assert "Siti A" in response.content.decode()
    _open, begin, end = recorded()
    assert (begin["protocol"], begin["op"][3]) == ("rehearsal", operation.pk)
    assert (begin["user"], end["rows"]) == (f"publisher-{MARKER}", 2)  # the sample's responses, of the old and new one
    assert "Siti" not in str([begin, end])
    change = AddressChange.objects.get()
    assert (change.kind, change.samples, change.differences) == ("rehearse", 1, 1)
    assert operation.upstreams.get().url == old

    publisher.post(page(operation), {"action": "switch", "change": str(change.pk)})
    assert operation.upstreams.get().url == new
    assert str(operation.upstreams.get().credential) == f"kunci-{MARKER}"
    switched = AddressChange.objects.first()
    assert switched is not None
    publisher.post(page(operation), {"action": "roll-back", "change": str(switched.pk)})
    assert operation.upstreams.get().url == old
    assert [each.kind for each in AddressChange.objects.all()] == ["roll-back", "switch", "rehearse"]
    assert {each.user for each in AddressChange.objects.all()} == {f"publisher-{MARKER}"}
    assert len(logged()) == 4
    assert all(old in line and new in line for line in logged()[1:])
    text = publisher.get(page(operation)).content.decode()
    assert text.count('data-kind="') == 3


def test_what_is_not_compared_is_kept_for_the_next_time(
    operation: ProxyOperation, publisher: Client, httpserver: HTTPServer
) -> None:
    with_sample(operation, publisher)
    response = publisher.post(page(operation), move(operation, httpserver.url_for("/baru"), ignored_paths="nama"))
    assert response.context["alike"]
    operation.refresh_from_db()
    assert operation.ignored_paths == "nama"


def test_a_sample_is_kept_encrypted_and_its_value_is_in_no_log(operation: ProxyOperation, publisher: Client) -> None:
    sample = with_sample(operation, publisher)
    assert "3171234567890001" in publisher.get(page(operation)).content.decode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("registry.secrets.decrypt", lambda token: token)
        assert "3171234567890001" not in str(SampleRequest.objects.get().request)
    assert "3171234567890001" not in "".join(logged())
    assert "3171234567890001" not in repr(sample)
    publisher.post(page(operation), {"action": "forget", "sample": str(sample.pk)})
    assert not SampleRequest.objects.exists()


def test_another_server_needs_its_own_secret(
    operation: ProxyOperation, publisher: Client, httpserver: HTTPServer
) -> None:
    with_sample(operation, publisher)
    elsewhere = httpserver.url_for("/baru").replace("localhost", "127.0.0.1")
    for action in ("rehearse", "switch"):
        response = publisher.post(page(operation), move(operation, elsewhere, action))
        assert "secret_credential" in response.context["form"].errors
    assert httpserver.log == []
    publisher.post(page(operation), move(operation, elsewhere, secret_credential="kunci-baru"))
    change = AddressChange.objects.get()
    assert "kunci-baru" not in publisher.get(page(operation)).content.decode()
    publisher.post(page(operation), {"action": "switch", "change": str(change.pk)})
    assert str(operation.upstreams.get().credential) == "kunci-baru"

    # Gone back, the rehearsal has no secret left: it would send the old server's.
    publisher.post(page(operation), {"action": "roll-back", "change": str(AddressChange.objects.first().pk)})  # type: ignore[union-attr]
    assert str(operation.upstreams.get().credential) == f"kunci-{MARKER}"
    publisher.post(page(operation), {"action": "switch", "change": str(change.pk)})
    assert operation.upstreams.get().url == httpserver.url_for("/lama")


def test_what_may_write_is_confirmed_first(
    operation: ProxyOperation, publisher: Client, httpserver: HTTPServer
) -> None:
    operation.method = "POST"
    operation.save()
    with_sample(operation, publisher)
    new = httpserver.url_for("/baru")
    assert "sure" in publisher.post(page(operation), move(operation, new)).context["form"].errors
    assert httpserver.log == []
    publisher.post(page(operation), move(operation, new, sure="on"))
    assert len(httpserver.log) == 2


@pytest.mark.parametrize(
    "more",
    [{"url": "ftp://x"}, {"url": "https://a:b@x/"}, {"upstream": "99999"}, {"url": ""}, {"url": "SAME"}],
    ids=lambda more: next(iter(more.values())),
)
def test_an_address_that_cannot_be(operation: ProxyOperation, publisher: Client, more: dict[str, str]) -> None:
    with_sample(operation, publisher)
    data = move(operation, "https://baru.contoh.go.id/", secret_credential="x") | more
    data["url"] = data["url"].replace("SAME", operation.upstreams.get().url)
    response = publisher.post(page(operation), data)
    assert response.context["form"].errors
    assert not AddressChange.objects.exists()


@pytest.mark.parametrize("role", ["Supervisor", "Provider", "Requester"])
def test_only_who_may_change_it_sees_samples_or_moves_it(
    operation: ProxyOperation,
    publisher: Client,
    sign_in: SignIn,
    marked: MarkedAgency,
    role: str,
    httpserver: HTTPServer,
) -> None:
    sample = with_sample(operation, publisher)
    client = sign_in(role, None if role == "Supervisor" else marked.agency)
    assert client.get(page(operation)).status_code in (403, 404)
    for data in (
        move(operation, httpserver.url_for("/baru")),
        move(operation, httpserver.url_for("/baru"), "switch"),
        {"action": "forget", "sample": str(sample.pk)},
        {"action": "roll-back", "change": "1"},
    ):
        assert client.post(page(operation), data).status_code in (403, 404)
    assert SampleRequest.objects.exists()
    assert not AddressChange.objects.exists()


def test_no_change_and_no_sample_of_another_operation(
    operation: ProxyOperation, publisher: Client, marked: MarkedAgency
) -> None:
    other = ProxyOperation.objects.create(service=marked.service, code="lain")
    row = Upstream.objects.create(operation=other, url="https://lain.contoh.go.id/")
    change = AddressChange.objects.create(
        upstream=row,
        operation="x",
        operation_ref=other.pk,
        old_url="https://lama/",
        new_url=row.url,
        kind="switch",
        user="x",
    )
    sample = SampleRequest.objects.create(operation=other, name="x", request="{}")
    for data in (
        {"action": "roll-back", "change": str(change.pk)},
        {"action": "switch", "change": str(change.pk)},
        {"action": "forget", "sample": str(sample.pk)},
    ):
        assert publisher.post(page(operation), data).status_code == 404
    assert publisher.post(page(operation), {"action": "lain"}).status_code == 403


# ---------------------------------------------------------------------------------------- importing


def look(client: Client, service: Service, *names: str, **more: Any) -> Any:
    files = [SimpleUploadedFile(name, (DESCRIPTIONS / name).read_bytes()) for name in names]
    return client.post(reverse(IMPORT), {"service": service.pk, "uploads": files, "url": "", **more})


def test_a_document_is_looked_at_and_then_made(publisher: Client, marked: MarkedAgency) -> None:
    assert reverse(IMPORT) in publisher.get(reverse("admin:proxyservices_proxyoperation_changelist")).content.decode()
    before = ProxyOperation.objects.count()
    response = look(publisher, marked.service, "pegawai.yaml")
    text = response.content.decode()
    for word in ("ambilPegawai", "POST /unggah", "[A-Z]{2,4}", "filter[nama]"):
        assert word in text
    assert ProxyOperation.objects.count() == before
    packed = re.search(r'name="packed" value="([^"]+)"', text)
    assert packed
    data = {"service": str(marked.service.pk), "packed": packed[1], "draft": ["0", "2"]}
    assert publisher.post(reverse(IMPORT), data).status_code == 302
    assert ProxyOperation.objects.count() == before + 2
    made = ProxyOperation.objects.get(code="ambilPegawai")
    assert made.state == "draft"
    assert made.descriptions.count() == 1
    assert LogEntry.objects.filter(object_id=str(made.pk)).exists()
    text = publisher.get(reverse("admin:proxyservices_proxyoperation_change", args=(made.pk,))).content.decode()
    assert "upload.invalid/pegawai.yaml" in text

    packed_again = packed[1][:-4] + "AAAA"
    publisher.post(reverse(IMPORT), {**data, "packed": packed_again})
    assert ProxyOperation.objects.count() == before + 2


def test_several_files_whichever_comes_first(publisher: Client, marked: MarkedAgency) -> None:
    for names in (("pegawai.wsdl", "tipe.xsd"), ("tipe.xsd", "pegawai.wsdl")):
        assert len(look(publisher, marked.service, *names).context["found"].drafts) == 1


def test_a_document_by_its_address(publisher: Client, marked: MarkedAgency, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a.yaml").respond_with_data((DESCRIPTIONS / "pegawai.yaml").read_bytes())
    found = look(publisher, marked.service, url=httpserver.url_for("/a.yaml")).context["found"]
    assert len(found.drafts) == 3


def test_what_is_no_description_is_told(publisher: Client, marked: MarkedAgency, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_data("bukan")
    for more in ({"url": httpserver.url_for("/a")}, {"url": "file:///etc/passwd"}, {}):
        response = look(publisher, marked.service, **more)
        assert response.context["form"].errors, more


def test_nobody_imports_into_anothers_service(sign_in: SignIn, marked: MarkedAgency, stranger: Agency) -> None:
    client = sign_in("Publisher", stranger)
    own = Service.objects.create(agency=stranger, code="sendiri", title="Sendiri")
    assert look(client, marked.service, "pegawai.yaml").context["form"].errors
    text = look(client, own, "pegawai.yaml").content.decode()
    packed = re.search(r'name="packed" value="([^"]+)"', text)
    assert packed
    data = {"service": str(marked.service.pk), "packed": packed[1], "draft": ["0"]}
    assert client.post(reverse(IMPORT), data).status_code == 403
    assert MARKER not in client.get(reverse(IMPORT)).content.decode()
    for role, agency in (("Supervisor", None), ("Requester", stranger), ("Provider", stranger)):
        assert sign_in(role, agency).get(reverse(IMPORT)).status_code == 403
        assert sign_in(role, agency).post(reverse(IMPORT), data).status_code == 403
    assert not ProxyOperation.objects.filter(service=marked.service, code="ambilPegawai").exists()


def test_samples_for_requests_that_are_handed_on(operation: ProxyOperation, publisher: Client) -> None:
    operation.style = "pass-through"
    operation.save()
    data = {
        "action": "sample",
        "name": "tulis",
        "q_method": "PUT",
        "q_path": "x/1",
        "q_query": "a=b",
        "q_headers": "Content-Type: text/csv\r\nX-A: b",
        "q_body": "a;b",
    }
    assert publisher.post(page(operation), data).status_code == 302
    assert json.loads(str(SampleRequest.objects.get().request)) == {
        "method": "PUT",
        "path": "x/1",
        "query": "a=b",
        "headers": {"Content-Type": "text/csv", "X-A": "b"},
        "body": "a;b",
    }
    assert publisher.post(page(operation), {**data, "name": "lain", "q_headers": "rusak"}).status_code == 200
    assert publisher.post(page(operation), data).context["sample_form"].errors
