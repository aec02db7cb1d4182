"""Verifications on every wire: REST in all formats, SOAP, the wire of 1.99x, trials, and over proxy operations."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.test import Client
from lxml import etree

from mantra.gateway.formats import FORMATS
from mantra.tryout import limits
from mantra.tryout.wire import WAYS
from registry import faults
from registry.models import AccessKey, Operation
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.admin.conftest import sign_in as sign_in
from tests.cast import Cast, Reply, call, ends_of
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.servers.soap_service import SoapService
from tests.soap import wire
from tests.tryout.conftest import attempt
from tests.verification.people import SITI, verifying

ASKED = f"nik={SITI}&nama=Siti+Nurhaliza+Rahmawati&tanggal_lahir=1990-01-02"
ANSWER = {
    "ditemukan": True,
    "sesuai": False,
    "nama_sesuai": True,
    "tanggal_lahir_sesuai": False,
    "telepon_sesuai": None,
}


# --------------------------------------------------------------------------------------------- REST


def test_json_and_ndjson(cast: Cast) -> None:
    verifying(cast)
    assert cast.get("cek.json", ASKED).json() == {"data": [ANSWER], "count": 1, "truncated": False}
    assert json.loads(cast.get("cek.ndjson", ASKED).body) == ANSWER


def test_xml(cast: Cast) -> None:
    verifying(cast)
    row = etree.fromstring(cast.get("cek.xml", ASKED).body).find(".//row")
    assert row is not None
    texts = {child.tag: child.text for child in row}
    assert texts == {"ditemukan": "true", "sesuai": "false", "nama_sesuai": "true", "tanggal_lahir_sesuai": "false",
                     "telepon_sesuai": None}  # fmt: skip


def test_csv(cast: Cast) -> None:
    verifying(cast)
    names, values = csv.reader(io.StringIO(cast.get("cek.csv", ASKED).text))
    assert dict(zip(names, values, strict=True)) == {
        name: {True: "true", False: "false", None: ""}[value] for name, value in ANSWER.items()
    }


@pytest.mark.parametrize("format", list(FORMATS))
def test_every_format_has_all_columns_and_only_these(cast: Cast, format: str) -> None:
    verifying(cast)
    reply = cast.get(f"cek.{format}", ASKED)
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["rows"], end["fields"]) == (1, list(ANSWER))


def test_post_with_a_form_or_json(cast: Cast) -> None:
    verifying(cast)
    form = call("/rest/prov/data/cek", "POST", ASKED, accesskey=cast.key,
                content_type="application/x-www-form-urlencoded")  # fmt: skip
    document = {"nik": SITI, "nama": "Siti Nurhaliza Rahmawati", "tanggal_lahir": "1990-01-02", "telepon": None}
    posted = call(
        "/rest/prov/data/cek", "POST", json.dumps(document), accesskey=cast.key, content_type="application/json"
    )
    assert form.json()["data"] == posted.json()["data"] == [ANSWER]


def test_head_is_a_try_and_has_no_body(cast: Cast) -> None:
    verifying(cast, tries=2)
    replies = [call(f"/rest/prov/data/cek?{ASKED}", "HEAD", accesskey=cast.key) for _time in range(3)]
    assert [each.status for each in replies] == [200, 200, 429]
    assert {each.body for each in replies} == {b""}


def test_options_compares_nothing(cast: Cast) -> None:
    verifying(cast, tries=1)
    for _time in range(3):
        reply = call(f"/rest/prov/data/cek?{ASKED}", "OPTIONS", accesskey=cast.key)
        assert (reply.status, reply.body) == (204, b"")
        assert reply.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    assert cast.get("cek", ASKED).status == 200


def test_a_conditional_request_is_a_try_like_others(cast: Cast) -> None:
    verifying(cast, tries=2)
    replies = [cast.get("cek", ASKED, if_none_match="*") for _time in range(3)]
    assert [each.status for each in replies] == [200, 200, 429]
    assert not any("etag" in each.headers for each in replies)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(cast: Cast, method: str) -> None:
    verifying(cast)
    reply = call(f"/rest/prov/data/cek?{ASKED}", method, accesskey=cast.key)
    assert reply.status == 405


def test_the_parameters_are_read_as_those_of_others(cast: Cast) -> None:
    verifying(cast)
    assert cast.get("cek", "nama=Siti").json()["code"] == faults.PARAMETER_MISSING.code
    assert cast.get("cek", f"{ASKED}&agama=x").json()["code"] == faults.PARAMETER_UNKNOWN.code


# --------------------------------------------------------------------------------------------- SOAP


INNER = f"<m:nik>{SITI}</m:nik><m:nama>Siti Nurhaliza Rahmawati</m:nama><m:tanggal_lahir>1990-01-02</m:tanggal_lahir>"


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_soap(cast: Cast, version: str) -> None:
    verifying(cast)
    found = wire.request(cast.key, "cek", INNER, version)
    row = found.find(f"{wire.M}data/{wire.M}row")
    assert {child.tag.removeprefix(wire.M): child.text for child in row} == {
        "ditemukan": "true", "sesuai": "false", "nama_sesuai": "true", "tanggal_lahir_sesuai": "false",
        "telepon_sesuai": None,
    }  # fmt: skip


def test_zeep_by_the_wsdl(cast: Cast) -> None:
    made = verifying(cast)
    service = wire.client(accesskey=cast.key).service
    (row,) = service.cek(nik=SITI, nama="Siti Nurhaliza Rahmawati", tanggal_lahir="1990-01-02").data.row
    assert {name: row[name] for name in ANSWER} == ANSWER
    assert row["nama_kemiripan"] is None
    made.grant.fields = "sesuai\nnama_kemiripan"
    made.grant.save()
    holder.refresh()
    (row,) = wire.client(accesskey=cast.key).service.cek(nik=SITI, nama="Siti Nurhaliza Rahmawati").data.row
    assert (row["sesuai"], row["nama_kemiripan"], row["ditemukan"]) == (True, 100, None)


def test_a_lock_over_soap(cast: Cast) -> None:
    verifying(cast, tries=1)
    wire.request(cast.key, "cek", INNER)
    told = wire.fault(wire.post(wire.envelope("cek", INNER), accesskey=cast.key))
    assert told["code"] == str(faults.VERIFICATION_LOCKED.code)
    assert 0 < int(told["retry_after"]) <= 86_401


# ------------------------------------------------------------------------------------------- legacy


def test_the_wire_of_1_99x(cast: Cast) -> None:
    verifying(cast, tries=20, tries_of_all=20)
    AccessKey.import_legacy(cast.application, "aaaaaaaaaa", Operation.objects.get(code="cek"))
    holder.refresh()
    asked = f"{ASKED}&telepon=081234567890"
    for path in (f"/json/prov/data/cek?{asked}", f"/json/prov/data/cek/{asked}", f"/json/prov/data/cek?{ASKED}"):
        envelope = call(path, accesskey="aaaaaaaaaa", user_agent="MANTRA").json()["response"]
        assert (envelope["status"], envelope["code"]) == (1, 200), (path, envelope)
        row = envelope["data"]["cek"]["0"] if isinstance(envelope["data"]["cek"], dict) else envelope["data"]["cek"][0]
        assert list(row) == list(ANSWER)
    for face, wanted in (("xml", b"<nama_sesuai>"), ("api", b'"nama_sesuai"')):
        reply = call(f"/{face}/prov/data/cek?{asked}", accesskey="aaaaaaaaaa", user_agent="MANTRA")
        assert wanted in reply.body


# ------------------------------------------------------------------------------------------- trials


def test_a_trial_is_a_call(cast: Cast, sign_in: SignIn) -> None:
    verifying(cast, tries=50, tries_of_all=50)
    requester = sign_in("Requester", cast.consumer)
    values = {"nik": SITI, "nama": "Siti Nurhaliza Rahmawati", "tanggal_lahir": "1990-01-02"}
    for way in [*WAYS["REST"], *WAYS["SOAP"], "legacy-json-get", "legacy-xml-post"]:
        limits.forget()
        shown = attempt(requester, "cek", values, way=way)
        assert shown.head.startswith("HTTP/1.1 200 "), way
        if way != "rest-xlsx":
            assert "tanggal_lahir_sesuai" in shown.body, way


def test_trials_and_calls_have_their_tries_together(cast: Cast, sign_in: SignIn) -> None:
    verifying(cast, tries=2)
    requester: Client = sign_in("Requester", cast.consumer)
    assert cast.get("cek", ASKED).status == 200
    limits.forget()
    attempt(requester, "cek", {"nik": SITI, "nama": "Bukan Dia"})
    assert cast.get("cek", ASKED).status == 429


# ------------------------------------------------------------------------------------------ proxies


RECORD = {"nik": SITI, "nama": "Siti Nurhaliza Rahmawati", "lahir": "1990-01-01", "telepon": None, "agama": "rahasia"}
JSON = json.dumps({"hasil": {"orang": [RECORD]}}).encode()
XML = b"""<?xml version="1.0"?><hasil><orang><nik>3201010101900001</nik><nama>Siti Nurhaliza Rahmawati</nama>
<lahir>1990-01-01</lahir><telepon/><agama>rahasia</agama></orang></hasil>"""
LEGACY = json.dumps({"response": {"status": 1, "code": 200, "message": "OK", "data": {"asal": {"0": RECORD}}}}).encode()


def _verified(cast: Cast, answer: Answer, **more: Any) -> Reply:
    """Verify with a record that an upstream gives."""
    with serve_upstream(answer) as upstream:
        base = publish_proxy(cast, upstream.url, code="asal", parameters=("nik",), **more)
        verifying(cast, base)
        reply = cast.get("cek", ASKED)
        assert len(upstream.received) == 1
    return reply


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        (Answer(JSON), {"style": "rest", "path": "orang"}),
        (Answer(JSON), {"style": "rest", "path": "orang", "records_path": "hasil.orang"}),
        (Answer(JSON), {"style": "rest", "path": "orang", "records_path": "hasil.orang",
                        "fields": ("nik", "nama", "lahir", "telepon")}),
        (Answer(XML, "application/xml"), {"style": "rest", "path": "orang"}),
        (Answer(XML, "application/xml"), {"style": "rest", "path": "orang", "records_path": "hasil.orang"}),
        (Answer(LEGACY, "text/plain"), {"style": "legacy-get", "path": "asal"}),
        (Answer(LEGACY, "text/plain"), {"style": "legacy-rest", "path": "asal"}),
    ],
)  # fmt: skip
def test_the_record_of_an_upstream_is_compared_and_goes_no_further(
    cast: Cast, answer: Answer, more: dict[str, Any]
) -> None:
    answer = Answer(answer.body, answer.content_type, headers=[("X-Rahasia", "1990-01-01"), ("ETag", '"a"')])
    reply = _verified(cast, answer, **more)
    assert reply.json()["data"] == [ANSWER]
    assert "1990-01-01" not in str(reply.headers)
    assert "x-rahasia" not in reply.headers
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["from"][0] == "backend"
    assert end["fields"] == list(ANSWER)


def test_over_a_soap_upstream(cast: Cast) -> None:
    with SoapService() as service:
        base = publish_proxy(cast, service.url, code="asal", style="soap", path="Cari", parameters=("nik",))
        verifying(cast, base, fields=({"name": "nama", "rule": "text"}, {"name": "lahir", "rule": "date"}))
        reply = cast.get("cek", "nik=3171&nama=Siti+%26+%3CAminah%3E+%F0%9F%98%80&lahir=1985-02-27")
    row = reply.json()["data"][0]
    assert (row["ditemukan"], row["nama_sesuai"], row["lahir_sesuai"], row["sesuai"]) == (True, True, False, False)


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        (Answer(b'{"orang": []}'), {"style": "rest", "path": "orang", "records_path": "orang"}),
        (Answer(b'{"pesan": "tidak ada"}', status=404), {"style": "rest", "path": "orang"}),
        (Answer(b'{"response": {"status": 0, "code": 10012, "message": "kosong", "data": ""}}', "text/plain"),
         {"style": "legacy-get", "path": "asal"}),
    ],
)  # fmt: skip
def test_an_upstream_without_the_record(cast: Cast, answer: Answer, more: dict[str, Any]) -> None:
    row = _verified(cast, answer, **more).json()["data"][0]
    assert (row["ditemukan"], row["sesuai"], row["nama_sesuai"]) == (False, False, None)


@pytest.mark.parametrize(
    ("answer", "more", "code"),
    [
        (Answer(b"gangguan", "text/plain", status=500), {"style": "rest", "path": "orang"}, faults.UPSTREAM_STATUS),
        (Answer(b'{"response": {"status": 0, "code": 10006, "message": "x 1990-01-01", "data": ""}}', "text/plain"),
         {"style": "legacy-get", "path": "asal"}, faults.UPSTREAM_REFUSED),
    ],
)  # fmt: skip
def test_an_upstream_that_fails_is_no_record_that_does_not_exist(
    cast: Cast, answer: Answer, more: dict[str, Any], code: Any
) -> None:
    reply = _verified(cast, answer, **more)
    assert reply.json()["code"] == code.code
    assert "1990-01-01" not in reply.text


def test_an_upstream_that_fails_takes_no_try(cast: Cast) -> None:
    answers = iter([Answer(b"x", status=500)] * 5 + [Answer(JSON)])
    with serve_upstream(lambda _received: next(answers)) as upstream:
        base = publish_proxy(cast, upstream.url, code="asal", style="rest", path="orang", parameters=("nik",))
        verifying(cast, base, tries=1)
        statuses = [cast.get("cek", ASKED).status for _time in range(6)]
    assert statuses == [502] * 5 + [200]


def test_a_column_that_the_source_has_not_is_the_providers_fault_with_a_record_and_without(cast: Cast) -> None:
    made = verifying(cast)
    base = cast.operations["orang"]
    base.sql = "SELECT nik, nama, alamat, telepon FROM penduduk WHERE nik = :nik"
    base.save()
    holder.refresh()
    for nik in (SITI, "9"):
        assert cast.get("cek", f"nik={nik}&nama=x").json()["code"] == faults.VERIFICATION_UNAVAILABLE.code
    assert made.operation.tries == 5
