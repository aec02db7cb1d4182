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

from proxyservices.address_change import cutover
from proxyservices.models import AddressChange, Backend, BackendServer, ProxyOperation
from registry.models import Agency, SampleRequest, Service
from tests.admin.conftest import MARKER, MarkedAgency, SignIn
from tests.cast import recorded
from tests.proxy.publishing import add_server

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
    BackendServer.objects.update(url=httpserver.url_for("/lama"))
    Backend.objects.update(credential_kind="bearer")
    found.refresh_from_db()
    for place, name in (("lama", "Siti"), ("baru", "Siti A")):
        httpserver.expect_request(f"/{place}/pegawai").respond_with_json({"nama": name, "nik": "3171234567890001"})
    return found


@pytest.fixture
def publisher(sign_in: SignIn, marked: MarkedAgency) -> Client:
    return sign_in("Publisher", marked.agency)


def page(operation: ProxyOperation) -> str:
    return reverse("admin:proxyservices_backend_change-address", args=(operation.backend_id,))


def samples_page(operation: ProxyOperation) -> str:
    return reverse("admin:proxyservices_proxyoperation_samples", args=(operation.pk,))


def server(operation: ProxyOperation) -> BackendServer:
    return BackendServer.objects.select_related("backend").get(backend=operation.backend_id)


def with_sample(operation: ProxyOperation, client: Client) -> SampleRequest:
    data = {"action": "sample", "name": "satu", f"q_{MARKER}_masukan": "3171234567890001"}
    assert client.post(samples_page(operation), data).status_code == 302
    return SampleRequest.objects.get(name="satu", operation=operation)


def move(operation: ProxyOperation, url: str, action: str = "rehearse", **more: str) -> dict[str, str]:
    return {"action": action, "server": str(server(operation).pk), "url": url, **more}


def logged() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def test_rehearse_switch_and_back(operation: ProxyOperation, publisher: Client, httpserver: HTTPServer) -> None:
    with_sample(operation, publisher)
    old, new = httpserver.url_for("/lama"), httpserver.url_for("/baru")
    response = publisher.post(page(operation), move(operation, new))
    ((_operation, (pair,)),) = response.context["compared"]
    assert [each.path for each in pair.differences] == ["nama"]
    assert "Siti A" in response.content.decode()
    _open, begin, end = recorded()
    assert (begin["protocol"], begin["op"][3]) == ("rehearsal", operation.pk)
    assert (begin["user"], end["rows"]) == (f"publisher-{MARKER}", 2)  # the sample's responses, of the old and new one
    assert "Siti" not in str([begin, end])
    change = AddressChange.objects.get()
    assert (change.kind, change.samples, change.differences) == ("rehearse", 1, 1)
    assert server(operation).url == old

    publisher.post(page(operation), {"action": "switch", "change": str(change.pk)})
    assert server(operation).url == new
    assert str(server(operation).settings.credential) == f"kunci-{MARKER}"
    switched = AddressChange.objects.first()
    assert switched is not None
    publisher.post(page(operation), {"action": "roll-back", "change": str(switched.pk)})
    assert server(operation).url == old
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
    publisher.post(samples_page(operation), {"action": "ignore", "ignored_paths": "nama"})
    operation.refresh_from_db()
    assert operation.ignored_paths == "nama"
    assert publisher.post(page(operation), move(operation, httpserver.url_for("/baru"))).context["alike"]


def test_a_sample_is_kept_encrypted_and_its_value_is_in_no_log(operation: ProxyOperation, publisher: Client) -> None:
    sample = with_sample(operation, publisher)
    assert "3171234567890001" in publisher.get(samples_page(operation)).content.decode()
    assert "3171234567890001" not in publisher.get(page(operation)).content.decode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("registry.secrets.decrypt", lambda token: token)
        assert "3171234567890001" not in str(SampleRequest.objects.get().request)
    assert "3171234567890001" not in "".join(logged())
    assert "3171234567890001" not in repr(sample)
    publisher.post(samples_page(operation), {"action": "forget", "sample": str(sample.pk)})
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
    assert str(server(operation).settings.credential) == "kunci-baru"

    # Gone back, the rehearsal has no secret left: it would send the old server's.
    publisher.post(page(operation), {"action": "roll-back", "change": str(AddressChange.objects.first().pk)})  # type: ignore[union-attr]
    assert str(server(operation).settings.credential) == f"kunci-{MARKER}"
    publisher.post(page(operation), {"action": "switch", "change": str(change.pk)})
    assert server(operation).url == httpserver.url_for("/lama")


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
    [{"url": "ftp://x"}, {"url": "https://a:b@x/"}, {"server": "99999"}, {"url": ""}, {"url": "SAME"}],
    ids=lambda more: next(iter(more.values())),
)
def test_an_address_that_cannot_be(operation: ProxyOperation, publisher: Client, more: dict[str, str]) -> None:
    with_sample(operation, publisher)
    data = move(operation, "https://baru.contoh.go.id/", secret_credential="x") | more
    data["url"] = data["url"].replace("SAME", server(operation).url)
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
    for place, data in (
        (page(operation), move(operation, httpserver.url_for("/baru"))),
        (page(operation), move(operation, httpserver.url_for("/baru"), "switch")),
        (page(operation), {"action": "roll-back", "change": "1"}),
        (samples_page(operation), {"action": "forget", "sample": str(sample.pk)}),
        (samples_page(operation), {"action": "ignore", "ignored_paths": "semua"}),
    ):
        assert client.get(place).status_code in (403, 404)
        assert client.post(place, data).status_code in (403, 404)
    assert SampleRequest.objects.exists()
    assert not AddressChange.objects.exists()


def test_no_change_and_no_sample_of_another_operation(
    operation: ProxyOperation, publisher: Client, marked: MarkedAgency
) -> None:
    other = ProxyOperation.objects.create(service=marked.service, code="lain")
    row = add_server(other, "https://lain.contoh.go.id/")
    change = AddressChange.objects.create(
        server=row,
        backend="x",
        backend_ref=row.backend_id,
        old_url="https://lama/",
        new_url=row.url,
        kind="switch",
        user="x",
    )
    sample = SampleRequest.objects.create(operation=other, name="x", request="{}")
    for place, data in (
        (page(operation), {"action": "roll-back", "change": str(change.pk)}),
        (page(operation), {"action": "switch", "change": str(change.pk)}),
        (samples_page(operation), {"action": "forget", "sample": str(sample.pk)}),
    ):
        assert publisher.post(place, data).status_code == 404
    for place in (page(operation), samples_page(operation)):
        assert publisher.post(place, {"action": "lain"}).status_code == 403


def shared(operation: ProxyOperation, count: int) -> list[ProxyOperation]:
    """Further operations of the same backend, each with a sample."""
    made = []
    for number in range(count):
        each = ProxyOperation.objects.create(
            service=operation.service, code=f"op{number}", style="rest", path="pegawai", backend=operation.backend
        )
        SampleRequest.objects.create(operation=each, name="satu", request="{}")
        made.append(each)
    return made


def test_one_rehearsal_and_one_move_for_all_operations(
    operation: ProxyOperation, publisher: Client, httpserver: HTTPServer
) -> None:
    with_sample(operation, publisher)
    others = shared(operation, 3)
    ProxyOperation.objects.filter(pk=others[0].pk).update(ignored_paths="nama")
    ProxyOperation.objects.filter(pk=others[1].pk).update(path="{rusak}")
    without = ProxyOperation.objects.create(service=operation.service, code="tanpa", backend=operation.backend)
    new = httpserver.url_for("/baru")
    response = publisher.post(page(operation), move(operation, new))
    found = {each.code: pairs for each, pairs in response.context["compared"]}
    assert set(found) == {operation.code, "op0", "op1", "op2"}
    assert [len(found[code][0].differences) for code in (operation.code, "op0", "op2")] == [1, 0, 1]
    assert found["op1"][0].skipped_because  # one that cannot be called harms no other
    assert response.context["without_samples"] == [without]
    change = AddressChange.objects.get()
    assert (change.samples, change.differences, change.backend) == (3, 2, str(operation.backend))
    # Each operation whose responses were shown has its record.
    begun = [line["op"][2] for line in recorded() if line.get("protocol") == "rehearsal"]
    assert set(begun) == {operation.code, "op0", "op1", "op2"}

    response = publisher.post(page(operation), {"action": "switch", "change": str(change.pk)}, follow=True)
    assert "5" in str(next(iter(response.context["messages"])))
    assert BackendServer.objects.get().url == new
    switched = AddressChange.objects.first()
    assert switched is not None
    publisher.post(page(operation), {"action": "roll-back", "change": str(switched.pk)})
    assert BackendServer.objects.get().url == httpserver.url_for("/lama")


def test_the_limit_of_a_rehearsal_leaves_no_operation_out(
    operation: ProxyOperation, publisher: Client, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutover, "SENT", 3)
    for each in shared(operation, 3):
        SampleRequest.objects.create(operation=each, name="dua", request="{}")
    response = publisher.post(page(operation), move(operation, httpserver.url_for("/baru")))
    sent = {
        each.code: [pair.name for pair in pairs if not pair.skipped_because]
        for each, pairs in response.context["compared"]
    }
    assert sent == {"op0": ["dua"], "op1": ["dua"], "op2": ["dua"]}


def test_a_server_that_moves_alone_takes_a_credential_of_its_own(
    operation: ProxyOperation, publisher: Client, httpserver: HTTPServer
) -> None:
    moved = server(operation)
    stays = BackendServer.objects.create(backend=moved.backend, url=moved.url + "/dua", priority=1)
    elsewhere = httpserver.url_for("/baru").replace("localhost", "127.0.0.1")
    data = {"action": "switch", "server": str(moved.pk), "url": elsewhere, "secret_credential": "kunci-baru"}
    publisher.post(page(operation), data)
    rows = BackendServer.objects.select_related("backend").in_bulk([moved.pk, stays.pk])
    found = [(rows[pk].url, str(rows[pk].settings.credential)) for pk in (moved.pk, stays.pk)]
    assert found == [(elsewhere, "kunci-baru"), (stays.url, f"kunci-{MARKER}")]


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
    response = publisher.post(reverse(IMPORT), data)
    assert ProxyOperation.objects.count() == before + 2
    made = ProxyOperation.objects.get(code="ambilPegawai")
    # The backend's page is next: the credential, a test, and all drafts published by one button.
    backend = made.backend
    assert backend is not None
    assert response["Location"] == reverse("admin:proxyservices_backend_change", args=(backend.pk,))
    assert (backend.operations.count(), backend.servers.count(), backend.credential_kind) == (2, 1, "header")
    publish = reverse("admin:proxyservices_backend_publish-drafts", args=(backend.pk,))
    assert publish in publisher.get(response["Location"]).content.decode()
    ProxyOperation.objects.filter(code="post_pegawai").update(path="{rusak}")
    told = [str(each) for each in publisher.post(publish, follow=True).context["messages"]]
    assert [each.partition(":")[0] for each in told] == ["post_pegawai"]
    assert set(backend.operations.values_list("state", flat=True)) == {"draft"}
    ProxyOperation.objects.filter(code="post_pegawai").update(path="pegawai")
    publisher.post(publish)
    assert set(backend.operations.values_list("state", flat=True)) == {"published"}
    ProxyOperation.objects.filter(code="ambilPegawai").update(state="draft")
    made.refresh_from_db()
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
    assert publisher.post(samples_page(operation), data).status_code == 302
    assert json.loads(str(SampleRequest.objects.get().request)) == {
        "method": "PUT",
        "path": "x/1",
        "query": "a=b",
        "headers": {"Content-Type": "text/csv", "X-A": "b"},
        "body": "a;b",
    }
    assert publisher.post(samples_page(operation), {**data, "name": "lain", "q_headers": "rusak"}).status_code == 200
    assert publisher.post(samples_page(operation), data).context["sample_form"].errors
