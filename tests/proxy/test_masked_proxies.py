"""Masks and values of grants over proxies: in JSON, XML, tables and documents of 1.99x, nested and disguised."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.core.exceptions import ValidationError

from proxyservices.models import ParameterMapping, ProxyOperation
from registry import faults
from registry.models import AccessKey, Application, Field, Grant
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.soap import wire

ALIAS = "/rest/prov/data/alias"
NIK = "3171234567890001"
SHOWN = "3171••••••••0001"


def grant(**values: Any) -> Grant:
    row = Grant.objects.get(operation__code="alias", application__code="app")
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    holder.refresh()
    return row


def request(cast: Cast, tail: str = "", **headers: str) -> Reply:
    return call(f"{ALIAS}{tail}", accesskey=cast.key, **headers)


@pytest.mark.parametrize(
    "document",
    [
        {"data": [{"nama": "Siti", "nik": NIK}, {"nama": "Budi", "nik": int(NIK)}]},
        {"data": {NIK: {"nama": "Siti", "nik": NIK}}},
        {"nama": "Siti", "nik": NIK, "rinci": {"nik": NIK, "lagi": [{"nik": NIK}, {"@nik": NIK}]}},
        {"nama": "Siti", "nik": {"nilai": NIK}},
        {"nama": "Siti", "nik": [NIK, NIK]},
        {"response": {"status": "1", "code": "200", "message": "ok", "data": [{"nama": "S", "nik": NIK}]}},
        {"hasil": {"nik": NIK, "rinci": {"nama": "Siti", "nik": NIK}}},
    ],
)
@pytest.mark.parametrize("style", ["rest", "legacy-get"])
def test_a_masked_field_does_not_come_in_any_shape(cast: Cast, document: Any, style: str) -> None:
    """Not nested, not as an attribute, not as a number, in no format and on no protocol."""
    with serve_upstream(Answer(json.dumps(document).encode())) as upstream:
        operation = publish_proxy(cast, upstream.url, style=style, fields=("nama", "nik"))
        Field.objects.create(operation=operation, name="rinci", type="json")
        grant(masks="nik=partial")
        replies = [call(f"{ALIAS}{suffix}", accesskey=cast.key) for suffix in
                   (".json", ".xml", ".csv", ".php", ".phpa", ".ndjson")]  # fmt: skip
        replies += [call(f"/{face}/prov/data/alias", accesskey=cast.key) for face in ("json", "xml", "api")]
        replies.append(wire.post(wire.envelope("alias"), accesskey=cast.key))
    for reply in replies:
        assert NIK not in reply.text, reply.text
    if document.get("data"):
        assert replies[0].status == 200 and SHOWN in replies[0].text


def test_xml_and_tables_are_masked(cast: Cast) -> None:
    xml = f"<warga><orang nik='{NIK}'><nik jenis='{NIK}'>{NIK}</nik><nama>Siti</nama></orang></warga>"
    csv = f"nik,nama\n{NIK},Siti\n"
    for body, kind in ((xml, "application/xml"), (csv, "text/csv")):
        with serve_upstream(Answer(body.encode(), kind)) as upstream:
            publish_proxy(cast, upstream.url, style="rest", fields=("nama", "nik"), code="alias")
            grant(masks="nik=partial")
            for suffix in (".json", ".xml", ".csv", ".ndjson"):
                reply = request(cast, suffix)
                assert reply.status == 200 and NIK not in reply.text and "Siti" in reply.text, reply.text
        ProxyOperation.objects.get(code="alias").delete()


def test_a_kept_response_is_masked_for_each_caller(cast: Cast) -> None:
    """The upstream is asked once. What is kept is its own response; each grant has its masks."""
    body = json.dumps([{"nama": "Siti", "nik": NIK}]).encode()
    with serve_upstream(Answer(body)) as upstream:
        operation = publish_proxy(cast, upstream.url, style="rest", fields=("nama", "nik"), cache_seconds=60)
        grant(masks="nik=partial")
        application = Application.objects.create(agency=cast.stranger, code="utuh", title="Utuh")
        Grant.objects.create(application=application, operation=operation, purpose="uji")
        _row, key = AccessKey.issue(application)
        holder.refresh()
        seen = [
            request(cast).json()[0]["nik"],
            call(ALIAS, accesskey=key).json()[0]["nik"],
            request(cast).json()[0]["nik"],
        ]
        assert seen == [SHOWN, NIK, SHOWN] and len(upstream.received) == 1


def test_a_response_that_is_passed_on_unread_cannot_be_masked(cast: Cast) -> None:
    """The model says so, and a row from elsewhere lets nothing out."""
    with serve_upstream(Answer(json.dumps({"nik": NIK}).encode())) as upstream:
        operation = publish_proxy(cast, upstream.url, fields=("nik",))
        assert NIK in request(cast).text
        with pytest.raises(ValidationError) as refused:
            grant(masks="nik=partial")
        assert list(refused.value.message_dict) == ["masks"]
        with pytest.raises(ValidationError):
            Field(operation=operation, name="nama", mask="partial").clean()
        Grant.objects.filter(operation=operation).update(masks="nik=partial")
        holder.refresh()
        reply = request(cast)
        assert (reply.status, reply.json()["code"]) == (403, faults.FIELDS_INSEPARABLE.code)
        Grant.objects.filter(operation=operation).update(masks="")
        Field.objects.filter(operation=operation).update(mask="partial")
        holder.refresh()
        assert request(cast).json()["code"] == faults.FIELDS_INSEPARABLE.code
        Field.objects.filter(operation=operation).update(mask="", classification="specific")
        holder.refresh()
        assert request(cast).json()["code"] == faults.GRANT_INCOMPLETE.code
        assert len(upstream.received) == 1


# ---------------------------------------------------------------------------------- values of grants


@pytest.mark.parametrize("style", ["rest", "legacy-get"])
def test_the_upstream_gets_the_value_of_the_grant(cast: Cast, style: str) -> None:
    """Whatever a caller sends under its name; two grants have two values, also of a kept response."""
    mappings: tuple[dict[str, Any], ...] = ({"location": "query", "name": "kode", "parameter": "grant.wilayah"},)
    body = (
        b'{"response":{"status":"1","code":"200","message":"ok","data":[{"a":1}]}}' if style != "rest" else b'[{"a":1}]'
    )
    with serve_upstream(Answer(body)) as upstream:
        operation = publish_proxy(
            cast, upstream.url, style=style, mappings=mappings, cache_seconds=60,
            parameters=({"name": "nama", "required": False},),
        )  # fmt: skip
        reply = request(cast, accept_language="en")
        assert (reply.status, reply.json()["code"]) == (403, faults.GRANT_INCOMPLETE.code)
        assert not upstream.received
        with pytest.raises(ValidationError):
            grant(purpose="lain")
        grant(values="wilayah=32 & 01")
        application = Application.objects.create(agency=cast.stranger, code="utuh", title="Utuh")
        Grant.objects.create(application=application, operation=operation, purpose="uji", values="wilayah=33")
        _row, key = AccessKey.issue(application)
        holder.refresh()
        for name in ("kode", "grant.wilayah", "wilayah", "grant_wilayah"):
            refused = request(cast, f"?{quote(name)}=99&nama=x")
            assert refused.status == 400
            call(f"/json/prov/data/alias?{quote(name)}=99", accesskey=cast.key)
        request(cast, f"?nama={quote('x&kode=99')}")
        assert call(ALIAS, accesskey=key).status == 200
        sent = [parse_qs(urlsplit(each.path).query)["kode"] for each in upstream.received]
    assert ["33"] in sent and {each[0] for each in sent} == {"32 & 01", "33"} and all(len(each) == 1 for each in sent)


def test_mappings_that_are_refused(cast: Cast) -> None:
    operation = ProxyOperation.objects.create(service=cast.service, code="satu-lagi", style="rest")
    for parameter in ("grant.", "grant.Wil ayah", "grant." + "x" * 24, "lain.wilayah"):
        with pytest.raises(ValidationError):
            ParameterMapping(operation=operation, name="kode", parameter=parameter).full_clean()
    ParameterMapping(operation=operation, name="kode", parameter="grant.wilayah").full_clean()
    operation.style = "pass-through"
    with pytest.raises(ValidationError):
        ParameterMapping(operation=operation, name="kode", parameter="grant.wilayah").full_clean()


def test_an_open_proxy_sends_no_value(cast: Cast) -> None:
    """It would be without its filter."""
    with serve_upstream(Answer(b"[]")) as upstream:
        operation = publish_proxy(
            cast, upstream.url, style="rest",
            mappings=({"location": "query", "name": "kode", "parameter": "grant.wilayah"},),
        )  # fmt: skip
        ProxyOperation.objects.filter(pk=operation.pk).update(access="open")
        holder.refresh()
        assert call(ALIAS).status == 502 and not upstream.received
