"""Proxy operations as an attacker meets them: a caller, an upstream, and a publisher who wants another's secret."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection

from proxyservices.address_change import compare
from proxyservices.decoders import table, xml
from proxyservices.decoders.limits import DecodeError
from proxyservices.descriptions import documents
from proxyservices.descriptions.documents import UPLOADED, DescriptionError, DocumentSet
from proxyservices.descriptions.rewrite import is_requested as asks_for_description
from proxyservices.importing import create
from proxyservices.models import BackendServer, ParameterMapping, ServiceDescription
from registry import faults
from registry.bulkhead import default_limit
from registry.secrets import Sealed
from registry.snapshot import holder
from tests.bounds import assert_within
from tests.cast import Cast, Reply, call
from tests.proxy.bus import bus
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream

ALIAS = "/rest/prov/data/alias"


def request(cast: Cast, tail: str = "", method: str = "GET", **headers: str) -> Reply:
    return call(f"{ALIAS}{tail}", method, accesskey=cast.key, **headers)


@contextmanager
def hanging() -> Iterator[str]:
    """An upstream that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


# ------------------------------------------------------------------------- credentials and cookies


def test_the_buses_own_cookies_go_to_no_upstream(cast: Cast) -> None:
    """An administrator's browser sends its session along to /rest/…: whoever has it is the administrator."""
    own = f"{settings.SESSION_COOKIE_NAME}=curian; {settings.CSRF_COOKIE_NAME}=juga"
    with serve_upstream(Answer(b"ya", "text/plain")) as upstream:
        publish_proxy(cast, upstream.url, forward_credentials=True)
        request(cast, cookie=f"{own}; tema=gelap")
        assert upstream.last.header("Cookie") == "tema=gelap"
        request(cast, cookie=own)
        assert "cookie" not in upstream.last.names
        request(cast, cookie=f"a=1,{own}; my{settings.SESSION_COOKIE_NAME}=2")
        assert upstream.last.header("Cookie") == f"my{settings.SESSION_COOKIE_NAME}=2"
        request(cast, cookie="a=1;b=2; c=3")
        assert upstream.last.header("Cookie") == "a=1; b=2; c=3"


@pytest.mark.parametrize(
    "cookie",
    ["{name}=x", "={name}=x", " = {name}=x; Path=/", "{name} =x", "\t{name}=x", "{name}", "=", "=a=b", "{upper}=x"],
)
def test_no_upstream_sets_a_cookie_of_the_buses(cast: Cast, cookie: str) -> None:
    """A cookie without a name is sent back as its value, which may read name=value."""
    value = cookie.format(name=settings.SESSION_COOKIE_NAME, upper=settings.SESSION_COOKIE_NAME.upper())
    with serve_upstream(
        Answer(b"ya", "text/plain", 200, [("Set-Cookie", "tema=gelap"), ("Set-Cookie", value)])
    ) as upstream:
        publish_proxy(cast, upstream.url, forward_credentials=True, returned_response_headers="Set-Cookie")
        assert request(cast).headers["set-cookie"] == "tema=gelap; Path=/rest/prov/data/alias"


def test_no_upstream_gives_orders_to_the_callers_browser(cast: Cast) -> None:
    named = [
        "NEL",
        "Report-To",
        "Reporting-Endpoints",
        "Public-Key-Pins",
        "Expect-CT",
        "Set-Cookie2",
        "SourceMap",
        "Clear-Site-Data",
        "Strict-Transport-Security",
        "X-Accel-Redirect",
        "X-Accel-Mapping",
        "X-Sendfile",
        "X-Reproxy-URL",
    ]
    with serve_upstream(Answer(b"ya", "text/plain", 200, [(name, "/rahasia") for name in named])) as upstream:
        publish_proxy(cast, upstream.url, returned_response_headers=", ".join(named))
        assert set(request(cast).headers) & {name.lower() for name in named} == set()


DISGUISED = [
    "/%c0%ae%c0%ae/x", "/a/%u002e%u002e/x", "/a/%U002E./x", "/a%c0%afb", "/a%C1%9Cb", "/%e0%80%ae./x",
    "/%c0%2e%c0%2e/x", "/a%e0%80%afb", "/a%e0%81%9cb", "/%f0%80%80%ae./x", "/%f8%80%80%80%ae./x",
    "/%fc%80%80%80%80%ae./x", "/a%u2215b", "/a%uff0fb", "/%uff0e%uff0e/x", "/%25c0%25ae%25c0%25ae/x",
    "/%25u002e%25u002e/x", "/a%u005cb",
]  # fmt: skip


def test_s19_no_old_encoding_hides_a_dot_or_slash(cast: Cast) -> None:
    with serve_upstream(Answer(b"ok", "text/plain")) as upstream:
        publish_proxy(cast, upstream.url + "/dasar")
        for path in DISGUISED:
            reply = call(f"/rest/prov/data/alias{path}", accesskey=cast.key)
            assert (reply.status, reply.json()["code"]) == (400, faults.ADDRESS_INVALID.code), path
        assert upstream.received == []
        # Letters of other alphabets, and of Latin-1, have no such encoding.
        for path in ("/%C3%A9%E2%80%A6/%F0%9F%98%80", "/caf%E9", "/%C0%C9", "/a%2Fb", "/%unit", "/a%20%25"):
            assert call(f"/rest/prov/data/alias{path}", accesskey=cast.key).status == 200, path
            assert upstream.last.path == f"/dasar{path}"


@pytest.mark.parametrize("path", ["/..%00/x", "/%2e%2e%00x/../y", "/..%09/x", "/..%0a/x", "/..%1f/x", "/..%00;a/x"])
def test_no_control_letter_hides_a_climb(cast: Cast, path: str) -> None:
    with serve_upstream(Answer()) as upstream:
        publish_proxy(cast, upstream.url + "/dalam")
        assert request(cast, path).status == 400
        assert upstream.received == []


@pytest.mark.parametrize(
    "value", ["..", "../x", "..%2fx", "%2e%2e", "http://127.0.0.1:1/x", "//127.0.0.1:1/x", "a/b", "\\\\x", "?x=1", "#x"]
)
def test_a_value_in_the_path_stays_one_segment(cast: Cast, value: str) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        publish_proxy(cast, upstream.url + "/dasar", style="rest", path="a/{id}/z", parameters=("id",))
        reply = call(f"{ALIAS}?id={quote(value, safe='')}", accesskey=cast.key)
        for each in upstream.received:
            assert each.path.startswith("/dasar/a/")
            assert each.path.endswith("/z")
            assert each.path.count("/") == 4
    assert reply.status in (200, 400)


# --------------------------------------------------------------------------------------- the cache


def test_a_callers_host_poisons_nobody_elses_answer(cast: Cast) -> None:
    """The upstream makes its links of X-Forwarded-Host, which is the caller's word."""

    def linking(received: Received) -> Answer:
        return Answer(f"{received.header('X-Forwarded-Proto')}://{received.header('X-Forwarded-Host')}/".encode())

    with serve_upstream(linking) as upstream:
        publish_proxy(cast, upstream.url, cache_seconds=60)
        assert b"jahat" in request(cast, host="jahat.example").body
        assert b"bus.contoh.go.id" in request(cast, host="bus.contoh.go.id").body
        assert len(upstream.received) == 2


# ------------------------------------------------------------------------------ grants for some fields


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"3171234567890001": {"nama": "Siti", "nik": "3171234567890001"}}},
        {"3171234567890001": {"nama": "Siti"}, "3171234567890002": {"nama": "Budi"}},
        {"data": {"siti@3171234567890001.id": {"nama": "Siti"}, "x": {"nama": "Budi"}}},
        {"response": {"status": "1", "code": "200", "message": {"nik": "3171234567890001"}, "data": [{"nama": "S"}]}},
        {"response": {"status": "0", "code": ["3171234567890001"], "message": {"nik": "3171234567890001"}}},
        {"hasil": {"nik": "3171234567890001", "rinci": {"nama": "Siti"}}},
    ],
)
@pytest.mark.parametrize("style", ["rest", "legacy-get"])
def test_what_is_not_granted_does_not_come_as_a_name(cast: Cast, document: Any, style: str) -> None:
    body = json.dumps(document).encode()
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style=style, fields=("nama", "nik"), grant="nama")
        for suffix in (".json", ".xml", ".csv", ".php", ".ndjson"):
            found = call(f"{ALIAS}{suffix}", accesskey=cast.key)
            assert b"317123456789" not in found.body, found.text
        for face in ("json", "xml", "api"):
            assert b"317123456789" not in call(f"/mantra/{face}/prov/data/alias", accesskey=cast.key).body


def test_names_that_say_where_the_records_are_stay(cast: Cast) -> None:
    body = b'{"data":{"pegawai":[{"nama":"Siti","nik":"1"}],"keluarga-inti":[{"nama":"Budi","nik":"2"}]}}'
    with serve_upstream(Answer(body)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", grant="nama")
        found = request(cast).json()
    assert found == {"data": {"pegawai": [{"nama": "Siti"}], "keluarga-inti": [{"nama": "Budi"}]}}


# --------------------------------------------------------------------------------- memory and time


def test_records_without_a_name_in_common_make_no_table(cast: Cast) -> None:
    """20,000 records of one name each would be 400 million cells."""
    lines = [json.dumps({f"n{number}": 1}) for number in range(20_000)]
    with pytest.raises(DecodeError):
        table.decode_ndjson("\n".join(lines).encode())
    with serve_upstream(Answer(f"[{','.join(lines)}]".encode())) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        began = time.monotonic()
        reply = call(f"{ALIAS}.csv", accesskey=cast.key)
        assert (reply.status, reply.json()["code"]) == (502, faults.UPSTREAM_ANSWER_UNREADABLE.code)
        assert_within(5, began)


def _attributes(encoding: str = "") -> bytes:
    start = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding else ""
    attributes = " ".join(f"a{number}='x'" for number in range(60_000))
    return f"{start}<r {attributes}/>".encode(encoding or "utf-8")


@pytest.mark.parametrize("encoding", ["", "utf-8", "utf-16", "cp037"])
def test_an_element_of_sixty_thousand_attributes_takes_no_time(cast: Cast, encoding: str) -> None:
    body = _attributes(encoding)
    began = time.monotonic()
    with pytest.raises(DecodeError):
        xml.decode_xml(body)
    with pytest.raises(DescriptionError):
        documents.xml_text(body, "a.wsdl")
    compare.parsed("text/xml", body)
    assert_within(2, began)


def test_letters_in_texts_and_values_are_no_attributes() -> None:
    many = "=" * 2_000
    body = f"<?xml version='1.0' encoding='utf-8'?><r a='{many}>' b=\"{many}\">{many}&gt;{many}</r>".encode()
    assert xml.decode_xml(body)["r"]["#text"] == f"{many}>{many}"


def test_laughter_in_a_description_is_not_written_out() -> None:
    """Nine lists of nine times the one before: a few hundred bytes of YAML, gigabytes as text."""
    laughs = ['l0: &l0 "ha"', *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10))]
    places = [
        "info: {{title: *l9}}\npaths: {{}}",
        "paths: {{/a: {{get: {{summary: *l9}}}}}}",
        "paths: {{/a: {{get: {{description: *l9}}}}}}",
        "paths: {{/a: {{get: {{operationId: *l9}}}}}}",
        "servers: [{{url: *l9}}]\npaths: {{/a: {{get: {{}}}}}}",
        "paths: {{/a: {{get: {{parameters: [{{in: query, name: *l9, schema: {{type: string}}}}]}}}}}}",
        "paths: {{/a: {{get: {{parameters: [{{in: query, name: x, schema: {{type: *l9}}}}]}}}}}}",
        "paths: {{/a: {{get: {{parameters: [{{in: query, name: x, schema: {{enum: *l9}}}}]}}}}}}",
        "paths: {{/a: {{get: {{parameters: [{{in: query, name: x, schema: {{default: *l9}}}}]}}}}}}",
    ]
    for place in places:
        text = "\n".join(['openapi: "3.0.0"', *laughs, place.format()])
        began = time.monotonic()
        with pytest.raises(DescriptionError):
            create.preview(DocumentSet({UPLOADED + "a.yaml": text.encode()}, None), UPLOADED + "a.yaml")
        assert_within(2, began)


def _of_groups(groups: str, named: str) -> bytes:
    return f"""<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:t="urn:x" xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:x"><types>
    <xs:schema targetNamespace="urn:x"><xs:element name="In"><xs:complexType><xs:group ref="t:{named}"/>
    </xs:complexType></xs:element>{groups}</xs:schema></types>
    <message name="m"><part name="p" element="t:In"/></message>
    <portType name="P"><operation name="Cari"><input message="t:m"/></operation></portType>
    <binding name="B" type="t:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Cari"><soap:operation soapAction="x"/><input><soap:body use="literal"/></input></operation>
    </binding>
    <service name="S"><port name="Q" binding="t:B"><soap:address location="http://127.0.0.1:9/"/></port></service>
    </definitions>""".encode()


_SELF = '<xs:group name="G"><xs:sequence><xs:group ref="t:G"/></xs:sequence></xs:group>'
_DOUBLING = (
    '<xs:group name="G0"><xs:sequence><xs:element name="a" type="xs:string"/></xs:sequence></xs:group>'
    + "".join(
        f'<xs:group name="G{n}"><xs:sequence>{f"""<xs:group ref="t:G{n - 1}"/>""" * 2}</xs:sequence></xs:group>'
        for n in range(1, 26)
    )
)


@pytest.mark.parametrize(("groups", "named"), [(_SELF, "G"), (_DOUBLING, "G25")])
def test_groups_of_a_schema_that_grow_without_end_are_refused(cast: Cast, groups: str, named: str) -> None:
    body = _of_groups(groups, named)
    began = time.monotonic()
    with pytest.raises(DescriptionError):
        create.preview(DocumentSet({UPLOADED + "a.wsdl": body}, None), UPLOADED + "a.wsdl")
    with serve_upstream(Answer(body, "text/xml")) as upstream:
        publish_proxy(cast, upstream.url, style="soap", path="Cari")
        assert request(cast).json()["code"] == faults.SOAP_CONTRACT.code
    assert_within(3, began)


def test_groups_that_end_are_taken() -> None:
    groups = _DOUBLING[: _DOUBLING.index('<xs:group name="G3"')]
    found = create.preview(DocumentSet({UPLOADED + "a.wsdl": _of_groups(groups, "G1")}, None), UPLOADED + "a.wsdl")
    assert [each["name"][:1] for each in found.drafts[0].parameters] == ["a", "a"]


# ---------------------------------------------------------------------- descriptions and their fetching

WSDL = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:x">
<types><schema xmlns="http://www.w3.org/2001/XMLSchema"><import namespace="urn:y" schemaLocation="{there}"/></schema>
</types></definitions>"""


def test_a_mark_is_good_for_its_own_operation_only(cast: Cast) -> None:
    schema = b'<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:y"/>'
    with serve_upstream(Answer(schema, "text/xml")) as third, serve_upstream(Answer()) as upstream:
        upstream.answer = lambda received: Answer(WSDL.format(there=third.url + "/y.xsd").encode(), "text/xml")
        publish_proxy(cast, upstream.url)
        publish_proxy(cast, upstream.url, code="lain")
        found = request(cast, "?wsdl").text
        (address,) = [part for part in found.split('"') if "description=" in part]
        query = urlsplit(address.replace("&amp;", "&")).query
        assert "mantra-signature" in parse_qs(query)
        assert asks_for_description(query)
        assert request(cast, f"?{query}").status == 200
        received = len(third.received)
        assert call(f"/rest/prov/data/lain?{query}", accesskey=cast.key).status == 404
        assert len(third.received) == received


@pytest.mark.parametrize("style", ["pass-through", "soap"])
def test_a_description_that_does_not_come_takes_no_more_than_the_operations_room(cast: Cast, style: str) -> None:
    """What the bus fetches beside the call holds a thread as well."""
    with hanging() as dead, hanging() as other:
        if style == "pass-through":
            operation = publish_proxy(cast, dead, timeout_ms=1500)
            main = f"{dead}/a?wsdl"
            ServiceDescription.objects.create(
                operation=operation, url=main, main=True, content=WSDL.format(there=f"{other}/b")
            )
            operation.save()
            holder.refresh()
            found = request(cast, "?wsdl").text
            (address,) = [part for part in found.split('"') if "description=" in part]
            tail = "?" + urlsplit(address.replace("&amp;", "&")).query
        else:
            publish_proxy(cast, dead, style="soap", path="Cari", timeout_ms=1500)
            tail = ""
        before = time.monotonic()
        replies: list[Reply] = []
        threads = [
            threading.Thread(target=lambda: replies.append(request(cast, tail)), daemon=True)
            for _ in range(default_limit() + 6)
        ]
        for thread in threads:
            thread.start()
        threads_left = len(threads)
        while time.monotonic() - before < 1.0:
            threads_left = sum(thread.is_alive() for thread in threads)
            time.sleep(0.05)
        assert threads_left <= default_limit()
        busy = [reply for reply in replies if reply.status == 503]
        assert len(busy) >= 6
        for thread in threads:
            thread.join(20)


@pytest.mark.parametrize("key", [True, False])
def test_bodies_that_do_not_come_hold_no_other_operation_up(tmp_path: Path, key: bool) -> None:
    """Sixty callers who begin a body: what is refused unread must not be waited for, with a key or without."""
    with serve_upstream(Answer(b"ya", "text/plain")) as upstream, serve_upstream(Answer(b"ya", "text/plain")) as other:
        operations = [
            {"code": code, "style": "pass-through", "timeout_ms": 8000, "upstreams": [{"url": each.url}]}
            for code, each in (("satu", upstream), ("dua", other))
        ]
        with bus(tmp_path / "bus", operations) as made:
            port = made.port
            named = f"AccessKey: {made.key}\r\n" if key else ""
            begun = f"POST /rest/prov/data/satu HTTP/1.1\r\nHost: x\r\n{named}Content-Length: 1000\r\n\r\nx".encode()
            with ExitStack() as stack:
                for _caller in range(60):
                    link = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                    link.sendall(begun)
                time.sleep(0.3)
                began = time.monotonic()
                assert made.request("/rest/prov/data/dua").status == 200
                assert_within(6, began)


# ------------------------------------------------------------------------- a secret that cannot be read


def _seal(model: Any, pk: int, column: str) -> None:
    other = Fernet(Fernet.generate_key()).encrypt(b"hilang").decode()
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET {column} = %s WHERE id = %s", [other, pk])
        cursor.execute("UPDATE registry_snapshotversion SET version = version + 1")  # as an operator tells the bus


def test_one_secret_that_no_key_opens_stops_its_own_operation_only(cast: Cast) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        broken = publish_proxy(
            cast, upstream.url, style="rest", mappings=({"location": "query", "name": "k", "value": "v"},)
        )
        well = publish_proxy(cast, upstream.url, style="rest", code="lain")
        mapping = ParameterMapping.objects.get(operation=broken)
        _seal(ParameterMapping, mapping.pk, "value")
        assert isinstance(ParameterMapping.objects.get(pk=mapping.pk).value, Sealed)
        well.title = "Judul baru"
        well.save()
        holder.refresh()
        assert request(cast).json()["code"] == faults.DEFINITION_BROKEN.code
        assert call("/rest/prov/data/lain", accesskey=cast.key).status == 200
        assert cast.get("satu.json", "id=7").status == 200
        found = holder.current()
        assert found is not None
        lain = found.operation("prov", "data", "lain")
        assert lain is not None
        assert lain.title == "Judul baru"


def test_an_address_whose_secret_no_key_opens_is_left_out(cast: Cast) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        operation = publish_proxy(cast, "http://127.0.0.1:9/", upstream.url, style="rest")
        assert operation.backend is not None
        first = operation.backend.servers.get(priority=0)
        BackendServer.objects.filter(pk=first.pk).update(own_settings=True, credential_kind="bearer")
        _seal(BackendServer, first.pk, "credential")
        operation.save()
        holder.refresh()
        assert request(cast).status == 200
        assert len(upstream.received) == 1


def test_a_sealed_secret_is_saved_as_it_was_and_read_by_nobody(cast: Cast) -> None:
    from dataservices.models import DataSource

    _seal(DataSource, cast.source.pk, "password")
    row = DataSource.objects.get(pk=cast.source.pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM dataservices_datasource WHERE id = %s", [row.pk])
        (before,) = cursor.fetchone()
        row.save()
        cursor.execute("SELECT password FROM dataservices_datasource WHERE id = %s", [row.pk])
        assert cursor.fetchone() == (before,)
    assert row.password
    for way in (str, lambda value: f"{value}", lambda value: value.encode()):
        with pytest.raises(Exception, match="MANTRA_FIELD_KEYS"):
            way(row.password)
    assert "***" in repr(row.password)


# ------------------------------------------------------------------------------------------- health


@pytest.mark.parametrize("status", [501, 505, 508])
def test_a_caller_cannot_close_an_alias_by_what_is_its_own_fault(cast: Cast, status: int) -> None:
    """A bus behind this one answers 508 to whoever says that he came a long way."""
    answers = iter([*([status] * 25), 200])
    with serve_upstream(lambda received: Answer(b"", "text/plain", next(answers))) as upstream:
        publish_proxy(cast, upstream.url)
        assert {request(cast).status for _ in range(25)} == {status}
        assert request(cast).status == 200
        assert len(upstream.received) == 26
