"""What the samples of an operation get from its published version and from its draft."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_httpserver import HTTPServer

from proxyservices.models import Backend, BackendServer
from registry import versions
from registry.models import Operation, SampleRequest
from tests.admin.conftest import SignIn
from tests.cast import Cast, recorded
from tests.proxy.publishing import publish_proxy

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider, username="ani")


def address(operation: Operation) -> str:
    return reverse("compare_answers", args=(operation.pk,))


def drafted(operation: Operation, **values: Any) -> Any:
    draft = versions.open_draft(operation, None)
    for name, value in values.items():
        setattr(draft, name, value)
    draft.save()
    return draft


def test_a_sample_is_kept_and_sent_to_both_versions(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    drafted(operation, sql="SELECT id, upper(nama) AS nama, unit, gaji FROM orang WHERE id = :id")
    provider.post(address(operation), {"action": "add", "sample_name": "orang pertama", "p_id": "1"})
    assert json.loads(str(SampleRequest.objects.get(operation=operation).request)) == {"id": "1"}
    assert not any("orang pertama" in str(line) for line in recorded())
    response = provider.post(address(operation), {"action": "send"})
    (pair,) = response.context["pairs"]
    assert [(each.path, each.old, each.new) for each in pair.differences] == [
        ("data.0.nama", '"Orang 1"', '"ORANG 1"'),
    ]  # fmt: skip
    assert "ORANG 1" in response.content.decode()
    begun = [line["op"][-1] for line in recorded() if line["t"] == "begin"]
    assert begun == [1, 2]
    sample = SampleRequest.objects.get()
    provider.post(address(operation), {"action": "forget", "sample": sample.pk})
    assert not SampleRequest.objects.exists()


def test_equal_answers_and_faults_are_told(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    SampleRequest.objects.create(operation=operation, name="satu", request='{"id": "1"}')
    SampleRequest.objects.create(operation=operation, name="tanpa", request="{}")
    drafted(operation, title="Judul")
    same, without = provider.post(address(operation), {"action": "send"}).context["pairs"]
    assert not same.differences
    assert "11101" in without.old.failure and "11101" in without.new.failure


def test_what_writes_is_not_sent(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    drafted(operation, sql="DELETE FROM orang WHERE id = :id", writes=True)
    SampleRequest.objects.create(operation=operation, name="satu", request='{"id": "1"}')
    assert provider.post(address(operation), {"action": "send"}).status_code == 403
    assert "send_samples" not in provider.get(address(operation)).content.decode()


def test_samples_of_a_proxy_go_to_both_addresses(cast: Cast, sign_in: SignIn, httpserver: HTTPServer) -> None:
    publisher = sign_in("Publisher", cast.provider)
    httpserver.expect_request("/lama/cari").respond_with_json({"nama": "Ani", "waktu": 1})
    httpserver.expect_request("/baru/cari").respond_with_json({"nama": "Budi", "waktu": 2})
    proxy = publish_proxy(cast, httpserver.url_for("/lama"), style="rest", path="cari", parameters=("nip",))
    draft = drafted(proxy, ignored_paths="waktu")
    other = Backend.objects.create(agency=cast.provider, code="baru", credential_kind="none")
    BackendServer.objects.create(backend=other, url=httpserver.url_for("/baru"))
    draft.backend = other
    draft.save()
    samples = reverse("admin:proxyservices_proxyoperation_samples", args=(proxy.pk,))
    assert samples in publisher.get(address(proxy)).content.decode()
    assert publisher.post(address(proxy), {"action": "add", "sample_name": "contoh"}).status_code == 404
    publisher.post(samples, {"action": "sample", "name": "contoh", "q_nip": "7"})
    (pair,) = publisher.post(address(proxy), {"action": "send"}).context["pairs"]
    assert [(each.path, each.old, each.new) for each in pair.differences] == [("nama", '"Ani"', '"Budi"')]
    assert pair.ignored_count == 1
    assert {request.args["nip"] for request, _response in httpserver.log} == {"7"}


def test_a_sample_that_the_draft_would_write_with_is_not_sent(cast: Cast, sign_in: SignIn) -> None:
    publisher = sign_in("Publisher", cast.provider)
    proxy = publish_proxy(cast, "http://127.0.0.1:9/", style="rest", path="cari", parameters=("method",))
    drafted(proxy, style="pass-through")
    SampleRequest.objects.create(operation=proxy, name="hapus", request='{"method": "DELETE"}')
    assert publisher.post(address(proxy), {"action": "send"}).status_code == 403


def test_only_those_who_may_change_the_operation_see_its_samples(cast: Cast, provider: Client, sign_in: SignIn) -> None:
    operation = cast.operations["satu"]
    SampleRequest.objects.create(operation=operation, name="contoh", request='{"id": "3171234567890001"}')
    other = SampleRequest.objects.create(operation=cast.operations["cari"], name="lain", request="{}")
    assert "3171234567890001" in provider.get(address(operation)).content.decode()
    assert sign_in("Provider", cast.stranger).get(address(operation)).status_code == 404
    assert sign_in("Supervisor").get(address(operation)).status_code == 403
    assert provider.post(address(operation), {"action": "forget", "sample": other.pk}).status_code == 404
    assert provider.post(address(operation), {"action": "lain"}).status_code == 404
    long = {"action": "add", "sample_name": "x" * 101, "p_id": "1"}
    assert provider.post(address(operation), long).context["form"].errors
    twice = {"action": "add", "sample_name": "contoh", "p_id": "1"}
    assert provider.post(address(operation), twice).context["form"].errors
    assert SampleRequest.objects.count() == 2
