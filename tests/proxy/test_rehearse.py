"""An address rehearsed: the same questions to both, the differences that count, the switch, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from proxyservices.address_change import cutover, samples
from proxyservices.address_change.compare import MAX_SHOWN, ObservedResponse, compare, differences, parsed
from proxyservices.address_change.cutover import Cutover
from proxyservices.models import AddressChange, BackendServer, ParameterMapping, ProxyOperation
from registry.models import Parameter, SampleRequest, User
from registry.secrets import Secret
from tests.cast import Cast
from tests.proxy.publishing import publish_proxy

pytestmark = pytest.mark.django_db


def user() -> User:
    return User.objects.get_or_create(username="penerbit")[0]


def sample(operation: ProxyOperation, name: str = "satu", **question: Any) -> SampleRequest:
    return SampleRequest.objects.create(operation=operation, name=name, request=json.dumps(question))


@pytest.fixture
def operation(cast: Cast, httpserver: HTTPServer) -> ProxyOperation:
    made = publish_proxy(
        cast,
        httpserver.url_for("/lama"),
        style="rest",
        method="GET",
        path="pegawai/{nip}",
        parameters=("nip", {"name": "aktif", "type": "boolean", "required": False}),
    )
    return ProxyOperation.objects.get(pk=made.pk)


def row(operation: ProxyOperation) -> BackendServer:
    return BackendServer.objects.select_related("backend").get(backend__operations=operation)


def test_it_works(operation: ProxyOperation, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/lama/pegawai/007", query_string="aktif=true").respond_with_json({"nama": "Siti"})
    httpserver.expect_request("/baru/pegawai/007", query_string="aktif=true").respond_with_json({"nama": "Siti A"})
    sample(operation, nip="007", aktif="ya")
    (pair,) = cutover.rehearse(Cutover(row(operation), httpserver.url_for("/baru")))
    assert (pair.old.status, pair.new.status) == (200, 200)
    assert [(each.path, each.old, each.new) for each in pair.differences] == [("nama", '"Siti"', '"Siti A"')]
    assert row(operation).url.endswith("/lama")


def test_answers_that_are_alike(operation: ProxyOperation, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/lama/pegawai/1").respond_with_data('{"a": 1, "b": 2}', content_type="application/json")
    httpserver.expect_request("/baru/pegawai/1").respond_with_data('{"b":2,"a":1}', content_type="application/json")
    sample(operation, nip="1")
    (pair,) = cutover.rehearse(Cutover(row(operation), httpserver.url_for("/baru")))
    assert pair.differences == []


def test_what_is_not_compared_is_counted(operation: ProxyOperation, httpserver: HTTPServer) -> None:
    for place, moment in (("lama", 1), ("baru", 2)):
        data = {"meta": {"waktu": moment, "id": moment}, "data": [{"k": 1, "cap": moment}]}
        httpserver.expect_request(f"/{place}/pegawai/1").respond_with_json(data, headers={"Vary": place})
    operation.ignored_paths = "meta\n data.*.cap \nheader:Vary"
    operation.save()
    sample(operation, nip="1")
    (pair,) = cutover.rehearse(Cutover(row(operation), httpserver.url_for("/baru")))
    assert (pair.differences, pair.ignored_count) == ([], 4)


def test_an_address_that_is_dead_says_in_which_phase(
    operation: ProxyOperation, httpserver: HTTPServer, refusing_port: int
) -> None:
    httpserver.expect_request("/lama/pegawai/1").respond_with_json({})
    sample(operation, nip="1")
    (pair,) = cutover.rehearse(Cutover(row(operation), f"http://127.0.0.1:{refusing_port}/baru"))
    assert pair.old.status == 200
    assert pair.new.failure
    assert len(pair.differences) == 1


def test_a_sample_that_no_longer_fits_is_not_asked(operation: ProxyOperation, httpserver: HTTPServer) -> None:
    sample(operation, nip="1", aktif="mungkin")
    sample(operation, "kosong")
    pairs = cutover.rehearse(Cutover(row(operation), httpserver.url_for("/baru")))
    assert all(pair.skipped_because for pair in pairs)
    assert httpserver.log == []
    change = cutover.record_rehearsal(Cutover(row(operation), httpserver.url_for("/baru")), pairs, user())
    assert (change.samples, change.differences) == (0, 0)


def test_a_request_that_is_handed_on(cast: Cast, httpserver: HTTPServer) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return Response(request.get_data(), content_type="text/plain")

    httpserver.expect_request("").respond_with_handler(answer)
    made = publish_proxy(cast, httpserver.url_for("/lama"), style="pass-through")
    made = ProxyOperation.objects.get(pk=made.pk)
    sample(made, method="PUT", path="x/1", query="a=b%20c", headers={"Content-Type": "text/csv"}, body="a;b")
    assert samples.may_write(made, list(made.samples.all()))
    (pair,) = cutover.rehearse(Cutover(row(made), httpserver.url_for("/baru")))
    assert pair.differences == []
    assert [(each.method, each.path, each.query_string) for each in asked] == [
        ("PUT", "/lama/x/1", b"a=b%20c"),
        ("PUT", "/baru/x/1", b"a=b%20c"),
    ]
    assert pair.new.text == "a;b"


def test_secrets_go_to_the_new_server_only_when_they_are_given(
    operation: ProxyOperation, httpserver: HTTPServer
) -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    def answer(request: Request) -> Response:
        seen.append((request.path, request.headers.get("Authorization"), request.headers.get("X-Kunci")))
        return Response("{}")

    httpserver.expect_request("").respond_with_handler(answer)
    server = row(operation)
    server.backend.credential_kind, server.backend.credential = "bearer", "lama"
    server.backend.save()
    mapping = ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="kx", secret=True
    )
    sample(operation, nip="1")
    elsewhere = httpserver.url_for("/baru").replace("localhost", "127.0.0.1")
    assert set(cutover.secrets_to_reenter(server, elsewhere)) == {"credential", str(mapping.pk)}
    assert cutover.secrets_to_reenter(server, httpserver.url_for("/baru")) == {}
    cutover.rehearse(Cutover(server, elsewhere, {"credential": "baru", str(mapping.pk): "ky"}))
    assert seen == [("/lama/pegawai/1", "Bearer lama", "kx"), ("/baru/pegawai/1", "Bearer baru", "ky")]


def test_the_switch_and_the_way_back_carry_their_secrets(operation: ProxyOperation) -> None:
    server = row(operation)
    server.backend.credential_kind, server.backend.credential = "bearer", "lama"
    server.backend.save()
    mapping = ParameterMapping.objects.create(
        operation=operation, location="header", name="X-Kunci", value="kx", secret=True
    )
    old_url = server.url
    planned = Cutover(row(operation), "https://baru.contoh.go.id/api", {"credential": "baru", str(mapping.pk): "ky"})
    rehearsal = cutover.record_rehearsal(planned, [], user())
    change = cutover.switch(planned, user())

    def state() -> tuple[str, str, str]:
        mapping.refresh_from_db()
        return row(operation).url, str(row(operation).backend.credential), str(mapping.value)

    assert state() == ("https://baru.contoh.go.id/api", "baru", "ky")
    rehearsal.refresh_from_db()
    assert rehearsal.secrets == ""
    assert cutover.rollback_target(row(operation)) == change
    back = cutover.roll_back(change, user())
    assert state() == (old_url, "lama", "kx")
    assert [each.kind for each in AddressChange.objects.all()] == ["roll-back", "switch", "rehearse"]
    assert (back.old_url, back.new_url) == ("https://baru.contoh.go.id/api", old_url)


def test_there_is_no_way_back_past_another_change(operation: ProxyOperation) -> None:
    cutover.switch(Cutover(row(operation), "https://baru.contoh.go.id/"), user())
    BackendServer.objects.update(url="https://ketiga.contoh.go.id/")
    assert cutover.rollback_target(row(operation)) is None


def test_the_history_outlives_the_backend_and_keeps_no_secret_readable(operation: ProxyOperation) -> None:
    cutover.switch(Cutover(row(operation), "https://baru.contoh.go.id/", {"credential": "sangat-rahasia"}), user())
    backend = operation.backend
    assert backend is not None
    operation.delete()
    backend.delete()
    change = AddressChange.objects.get()
    assert change.server is None
    assert change.backend == "prov/alias"
    assert isinstance(change.secrets, Secret)
    assert "sangat-rahasia" not in repr(change.secrets)


@pytest.mark.parametrize(
    "old,new,expected",
    [
        ({"a": 1}, {"a": 1.0}, [("a", "1", "1.0")]),
        ({"a": None}, {}, [("a", "null", None)]),
        ([1, 2], [1], [("1", "2", None)]),
        ({"a": {"b": [{"c": "x"}]}}, {"a": {"b": [{"c": "y"}]}}, [("a.b.0.c", '"x"', '"y"')]),
        ("a", "b", [("body", '"a"', '"b"')]),
        ({"a": []}, {"a": {}}, [("a", "[]", "{}")]),
        ({"a": True}, {"a": 1}, [("a", "true", "1")]),
    ],
    ids=str,
)
def test_differences(old: Any, new: Any, expected: list[tuple[str, str | None, str | None]]) -> None:
    assert [(each.path, each.old, each.new) for each in differences(old, new)] == expected


def test_bodies_are_compared_by_what_they_are() -> None:
    xml = [
        parsed("text/xml", body)[0] for body in (b"<a x='1'><b>1</b><b>2</b></a>", b"<a x='1'>\n <b>1</b> <b>3</b></a>")
    ]
    assert [(each.path, each.new) for each in differences(*xml)] == [("a.b.1", '"3"')]
    xsi = b"xmlns:i='http://www.w3.org/2001/XMLSchema-instance'"
    for one, other in (
        (b"<r><p>lama <b>x</b></p></r>", b"<r><p>baru <b>x</b></p></r>"),
        (b"<r><p><b>x</b> lama</p></r>", b"<r><p><b>x</b> baru</p></r>"),
        (b"<r %b><a i:type='int'>1</a></r>" % xsi, b"<r><a>1</a></r>"),
        (b"<r %b><a i:nil='true'/></r>" % xsi, b"<r><a/></r>"),
    ):
        assert list(differences(parsed("text/xml", one)[0], parsed("text/xml", other)[0])), one
    assert parsed("text/xml", b"<r><a>1 </a></r>")[0] == parsed("text/xml", b"<r><a>1</a></r>")[0]
    text = [parsed("text/plain", body)[0] for body in (b"satu\ndua", b"satu\r\ntiga")]
    assert [(each.path, each.new) for each in differences(*text)] == [("1", '"tiga"')]
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    assert parsed("text/xml", bomb)[0] == [bomb.decode()]  # as its text, nothing expanded


def test_a_flood_of_differences_is_cut() -> None:
    old, new = (ObservedResponse(200, value=[number + n for n in range(5000)]) for number in (0, 1))
    assert len(compare(old, new, [])[0]) == MAX_SHOWN


def test_a_required_parameter_that_has_a_default_may_be_left_out(operation: ProxyOperation) -> None:
    Parameter.objects.filter(name="nip").update(default="9")
    assert samples.sample_call(operation, {}).arguments == {"nip": "9", "aktif": None}
