"""The try-out: the same way as every call, for who may see the operation."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_httpserver import HTTPServer

from mantra.tryout import rendering
from proxyservices.models import ProxyOperation
from registry.journal import segments
from registry.models import Operation
from tests.admin.conftest import SignIn, make_user
from tests.cast import Cast, call, ends_of, recorded
from tests.proxy.publishing import add_server, publish_proxy


def where(operation: Operation) -> str:
    return reverse("try_operation", args=(operation.pk,))


def run(client: Client, operation: Operation, **values: str) -> Any:
    """Press the button, as htmx does."""
    data = {f"p_{name}": value for name, value in values.items() if name not in ("page", "confirm")}
    data |= {name: value for name, value in values.items() if name in ("page", "confirm")}
    return client.post(where(operation), data, headers={"HX-Request": "true"})


def request_id(text: str) -> str:
    found = re.search(r"<code>([0-9a-f]{32})</code>", text)
    assert found
    return found.group(1)


@pytest.fixture
def provider(cast: Cast, sign_in: SignIn) -> Client:
    return sign_in("Provider", cast.provider)


def test_the_operations_page_fetches_the_form(cast: Cast, provider: Client) -> None:
    operation = cast.operations["cari"]
    page = provider.get(reverse("admin:dataservices_dataoperation_change", args=(operation.pk,))).content.decode()
    assert f'hx-get="{where(operation)}"' in page
    form = provider.get(where(operation), headers={"HX-Request": "true"}).content.decode()
    assert 'name="p_nama"' in form
    assert 'name="p_unit"' in form
    assert "<html" not in form


def test_console_shows_table_json_and_xml(cast: Cast, provider: Client) -> None:
    text = run(provider, cast.operations["satu"], id="5").content.decode()
    assert "<td>Orang 5</td>" in text
    assert "<em>NULL</em>" in text
    assert "{&quot;id&quot;:5,&quot;nama&quot;:&quot;Orang 5&quot;,&quot;unit&quot;:null" in text
    assert "&lt;nama&gt;Orang 5&lt;/nama&gt;" in text
    assert "&lt;unit xsi:nil=&quot;true&quot;/&gt;" in text


def test_a_run_is_on_record_with_its_user(cast: Cast, provider: Client) -> None:
    id = request_id(run(provider, cast.operations["satu"], id="5").content.decode())
    (end,) = ends_of(id)
    begin = next(line for line in recorded() if line.get("id") == id and line["t"] == "begin")
    assert (begin["protocol"], begin["user"]) == ("tryout", "provider-prov")
    assert (end["code"], end["rows"], end["params"]) == (200, 1, ["id"])
    assert "broken" not in end


def test_what_is_left_empty_is_not_given(cast: Cast, provider: Client) -> None:
    text = run(provider, cast.operations["cari"], nama="", unit="Unit 3").content.decode()
    assert "<td>Orang 3</td>" in text
    text = run(provider, cast.operations["satu"], id="").content.decode()
    assert "11101" in text


def test_a_long_answer_is_cut_without_breaking_the_record(cast: Cast, provider: Client) -> None:
    text = run(provider, cast.operations["semua"]).content.decode()
    assert text.count("<tr>") == rendering.MAX_ROWS + 1
    assert '<dd id="try_rows">100</dd>' in text
    (end,) = ends_of(request_id(text))
    assert "broken" not in end
    assert end["code"] == 200


def test_pages(cast: Cast, provider: Client) -> None:
    assert "<td>11</td>" in run(provider, cast.operations["halaman"], page="2").content.decode()


def test_a_fault_is_told_in_the_users_language(cast: Cast, provider: Client) -> None:
    text = run(provider, cast.operations["satu"], id="abc").content.decode()
    assert "11102" in text
    assert "Nilai parameter id tidak sesuai" in text
    provider.cookies["django_language"] = "en"
    assert "The value of parameter id is invalid" in run(provider, cast.operations["satu"], id="abc").content.decode()
    (end,) = ends_of(request_id(text))
    assert end["code"] == 11102


def test_the_databases_words_are_shown_beside_what_callers_get(cast: Cast, provider: Client) -> None:
    operation = cast.operation("rusak", "SELECT nama FROM tabel_yang_tidak_ada")
    text = run(provider, operation).content.decode()
    assert "11202" in text
    assert "Periksa namanya dalam SQL dan pada sumber data" in text
    assert text.count("tabel_yang_tidak_ada") == text.count("<code>no such table: tabel_yang_tidak_ada</code>") == 1


def test_the_address_is_told_with_a_line_to_copy(cast: Cast, provider: Client, settings: Any) -> None:
    operation = cast.operations["satu"]
    text = unescape(provider.get(where(operation)).content.decode())
    curl = text[text.index("curl --silent") : text.index("$curl")]
    assert '--header "AccessKey: ${MANTRA_ACCESS_KEY:?}"' in curl
    assert "--get" in curl and "--data-urlencode 'id=1'" in curl
    assert "'http://testserver/rest/prov/data/satu.json'" in curl
    assert "<code>.ndjson</code>" in text
    assert "Setelah diterbitkan" not in text
    settings.BASE_URL = "https://bus.contoh.go.id"
    Operation.objects.filter(pk=operation.pk).update(state="draft", access="open")
    text = unescape(provider.get(where(operation)).content.decode())
    assert "'https://bus.contoh.go.id/rest/prov/data/satu.json'" in text
    assert "AccessKey" not in text[text.index("curl --silent") : text.index("$curl")]
    assert "Setelah diterbitkan" in text


def test_a_writing_operation_is_posted_to(cast: Cast, provider: Client) -> None:
    operation = cast.operation(
        "hapus", "DELETE FROM orang WHERE id = :id AND nama = :nama", writes=True,
        parameters=({"name": "id", "type": "integer"}, {"name": "nama", "default": "O'ong"}),
    )  # fmt: skip
    text = unescape(provider.get(where(operation)).content.decode())
    assert "--request 'POST'" in text and "--data-urlencode 'nama=O'\\''ong'" in text


def test_drafts_and_what_was_saved_just_now_are_tried(cast: Cast, provider: Client) -> None:
    operation = cast.operations["satu"]
    operation.state, operation.sql = "draft", "SELECT 'baru' AS kata"
    operation.parameters.all().delete()
    operation.save()
    assert "<td>baru</td>" in run(provider, operation).content.decode()


def test_writing_asks_first(cast: Cast, provider: Client, sign_in: SignIn) -> None:
    operation = cast.operation(
        "hapus", "DELETE FROM orang WHERE id = :id", parameters=({"name": "id", "type": "integer"},), writes=True
    )
    count = len(recorded())
    assert "Konfirmasikan dulu" in run(provider, operation, id="-1").content.decode()
    assert len(recorded()) == count
    text = run(provider, operation, id="-1", confirm="on").content.decode()
    assert "<dd>0</dd>" in text
    supervisor = sign_in("Supervisor")
    assert supervisor.get(where(operation)).status_code == 200
    assert run(supervisor, operation, id="-1", confirm="on").status_code == 403
    assert run(supervisor, cast.operations["satu"], id="1").status_code == 403


def test_only_who_may_see_the_operation_may_try_it(cast: Cast, sign_in: SignIn) -> None:
    operation = cast.operations["terbuka"]
    for client in (sign_in("Provider", cast.consumer), sign_in("Requester", cast.provider),
                   sign_in("Publisher", cast.provider)):  # fmt: skip
        assert client.get(where(operation)).status_code == 404
        assert run(client, operation).status_code == 404
    assert Client().get(where(operation)).status_code == 302


def test_a_run_needs_the_sites_own_form(cast: Cast) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("Administrator"))
    assert strict.post(where(cast.operations["terbuka"])).status_code == 403


def test_what_cannot_be_recorded_is_not_shown(cast: Cast, provider: Client, tmp_path: Path, settings: Any) -> None:
    segments.close()
    settings.JOURNAL_DIR = tmp_path / "tidak-ada"
    text = run(provider, cast.operations["satu"], id="5").content.decode()
    assert "11901" in text
    assert "Orang 5" not in text


def test_a_proxys_answer(cast: Cast, sign_in: SignIn, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/orang/id=5").respond_with_json({"data": [{"nama": "Siti", "umur": 40}]})
    proxy = ProxyOperation.objects.create(service=cast.service, code="proksi", path="orang", style="legacy-rest")
    proxy.parameters.create(name="id")
    add_server(proxy, httpserver.url_for("/api"))
    text = run(sign_in("Publisher", cast.provider), proxy, id="5").content.decode()
    assert "<td>Siti</td><td>40</td>" in text
    assert "&lt;nama&gt;Siti&lt;/nama&gt;" in text


def test_nothing_around_a_nested_object_is_lost_from_the_table(
    cast: Cast, sign_in: SignIn, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/orang").respond_with_json({"nama": "Siti", "alamat": {"kota": "Bandung"}})
    proxy = ProxyOperation.objects.create(service=cast.service, code="satu-orang", path="orang", style="rest")
    add_server(proxy, httpserver.url_for("/"))
    text = run(sign_in("Publisher", cast.provider), proxy).content.decode()
    assert "<th>nama</th><th>alamat</th>" in text
    assert "<td>Siti</td><td>{&quot;kota&quot;:&quot;Bandung&quot;}</td>" in text


def test_the_table_has_the_records_that_callers_get_as_rows(
    cast: Cast, sign_in: SignIn, httpserver: HTTPServer
) -> None:
    # PHP writes a list as an object with the names 0, 1, …
    people = {"0": {"nama": "Siti"}, "1": {"nama": "Budi"}}
    httpserver.expect_request("/orang").respond_with_json({"status": 1, "data": people})
    proxy = ProxyOperation.objects.create(service=cast.service, code="orang", path="orang", style="rest")
    add_server(proxy, httpserver.url_for("/"))
    text = run(sign_in("Publisher", cast.provider), proxy).content.decode()
    assert "<th>nama</th>" in text
    assert "<td>Siti</td>" in text and "<td>Budi</td>" in text
    assert "<th>status</th>" not in text


def test_b02_a_records_path_is_proposed_until_one_is_set(cast: Cast, sign_in: SignIn, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/orang").respond_with_data(
        "<warga><orang><nama>Siti</nama></orang></warga>", content_type="text/xml"
    )
    proxy = ProxyOperation.objects.create(service=cast.service, code="warga", path="orang", style="rest")
    add_server(proxy, httpserver.url_for("/"))
    client = sign_in("Publisher", cast.provider)
    assert "<code>warga.orang</code>" in (text := run(client, proxy).content.decode())
    assert "<td>Siti</td>" in text
    ProxyOperation.objects.filter(pk=proxy.pk).update(records_path="warga.orang")
    assert "<code>warga.orang</code>" not in (text := run(client, proxy).content.decode())
    assert "<td>Siti</td>" in text


def test_a_passage_is_not_offered_in_formats_or_by_soap(cast: Cast, sign_in: SignIn, httpserver: HTTPServer) -> None:
    proxy = ProxyOperation.objects.create(service=cast.service, code="terusan", style="pass-through")
    add_server(proxy, httpserver.url_for("/"))
    text = sign_in("Publisher", cast.provider).get(where(proxy)).content.decode()
    assert 'id="call_url">http://testserver/rest/prov/data/terusan<' in text
    assert "call_wsdl" not in text and "<code>.xlsx</code>" not in text


def test_without_a_script_it_is_a_page(cast: Cast, provider: Client) -> None:
    page = provider.post(where(cast.operations["satu"]), {"p_id": "5"}).content.decode()
    assert "<html" in page
    assert "Orang 5" in page


# ------------------------------------------------------------------------------------------- soap


def envelopes(text: str) -> tuple[str, str]:
    """The request and the answer in the SOAP tab."""
    request, answer = (
        re.search(rf'data-format="{name}">(.*?)</pre>', text, re.S) for name in ("soap-request", "soap")
    )  # fmt: skip
    assert request and answer
    return unescape(request[1]), unescape(answer[1])


def test_the_soap_tab_shows_what_a_caller_sends_and_gets(cast: Cast, provider: Client) -> None:
    text = run(provider, cast.operations["cari"], unit="Unit 3", nama="Orang 3<").content.decode()
    request, answer = envelopes(text)
    assert "<m:nama>Orang 3&lt;</m:nama>\n      <m:unit>Unit 3</m:unit>" in request
    assert "<m:cariResponse" in answer
    given = envelopes(run(provider, cast.operations["satu"], id="5").content.decode())
    # What the tab shows can be sent as it is, and gets what the tab shows.
    sent = call("/soap/prov/data", "POST", given[0], accesskey=cast.key, content_type="text/xml")
    assert sent.text == given[1]


def test_the_soap_tab_shows_a_fault(cast: Cast, provider: Client) -> None:
    text = run(provider, cast.operations["satu"], id="lima").content.decode()
    request, answer = envelopes(text)
    assert "<m:id>lima</m:id>" in request
    assert "<faultcode>soap:Client</faultcode>" in answer
    assert f"<m:request_id>{request_id(text)}</m:request_id>" in answer


def test_the_soap_tab_shows_where_soap_alone_fails(cast: Cast, provider: Client) -> None:
    operation = cast.operation("nol", "SELECT '0000-00-00' AS hari")
    operation.fields.create(name="hari", type="date")
    text = run(provider, operation).content.decode()
    assert "<td>0000-00-00</td>" in text
    assert "<m:code>11117</m:code>" in envelopes(text)[1]


def test_the_form_tells_the_wsdl(cast: Cast, provider: Client) -> None:
    text = provider.get(where(cast.operations["satu"]), headers={"HX-Request": "true"}).content.decode()
    assert re.search(r'id="call_wsdl">http://testserver/soap/prov/data\?wsdl<', text)


def test_large_responses_hold_no_places_and_are_recorded(cast: Cast, sign_in: SignIn, httpserver: HTTPServer) -> None:
    """The try-out shows a response and sends none: its call ends with the page."""
    httpserver.expect_request("/besar").respond_with_json({"isi": ["x" * 1000] * 400})
    operation = publish_proxy(cast, httpserver.url_for("/"), style="rest", path="besar", code="besar")
    publisher = sign_in("Publisher", cast.provider)
    for _time in range(10):
        text = run(publisher, operation).content.decode()
        (end,) = ends_of(request_id(text))
        assert end["code"] == 200
