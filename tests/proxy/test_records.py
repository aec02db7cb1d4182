"""B02: a table has the same columns for one record, for two and for none, and is never made of anything else."""

from __future__ import annotations

import csv
import doctest
import json
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from proxyservices.forwarding import records
from proxyservices.forwarding.records import parse_path, propose, records_at
from proxyservices.models import ProxyOperation
from registry import faults
from tests.cast import Cast, Reply
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

PERSON = (
    "<orang><id>{0}</id><nama>Warga {0}</nama>"
    "<alamat><jalan>Jl. Melati {0}</jalan><kota>Bandung</kota></alamat></orang>"
)
ONE, TWO, NONE = (
    f"<warga>{''.join(PERSON.format(number) for number in range(1, count + 1))}</warga>".encode() for count in (1, 2, 0)
)
CHILDREN = (
    b"<keluarga><orang><id>1</id><nama>Warga 1</nama><anak><n>a1</n></anak><anak><n>b1</n></anak></orang></keluarga>"
)
ADDRESS = {"jalan": "Jl. Melati 1", "kota": "Bandung"}


def fetch(cast: Cast, body: bytes, media_type: str, format: str = "csv", **operation: Any) -> Reply:
    with serve_upstream(Answer(body, media_type)) as upstream:
        publish_proxy(cast, upstream.url, style="rest", **operation)
        return cast.get(f"alias.{format}")


def rows(reply: Reply) -> list[dict[str, str]]:
    assert reply.status == 200, reply.text
    return list(csv.DictReader(StringIO(reply.text)))


def is_refused(reply: Reply) -> bool:
    return (reply.status, reply.json()["code"]) == (406, faults.FORMAT_IMPOSSIBLE.code)


def test_it_works() -> None:
    assert doctest.testmod(records) == (0, 3)


@pytest.mark.parametrize(("body", "count"), [(ONE, 1), (TWO, 2), (NONE, 0)], ids=["one", "two", "none"])
def test_b02_each_number_of_xml_records_has_the_same_columns(cast: Cast, body: bytes, count: int) -> None:
    table = rows(fetch(cast, body, "application/xml", records_path="warga.orang"))
    assert [(row["id"], row["nama"], json.loads(row["alamat"])["kota"]) for row in table] == [
        (str(number), f"Warga {number}", "Bandung") for number in range(1, count + 1)
    ]
    assert all(list(row) == ["id", "nama", "alamat"] for row in table)


@pytest.mark.parametrize("format", ["ndjson", "xlsx"])
def test_b02_every_format_of_rows_has_the_record(cast: Cast, format: str) -> None:
    reply = fetch(cast, ONE, "application/xml", format, records_path="warga.orang")
    assert reply.status == 200
    if format == "ndjson":
        assert json.loads(reply.body) == {"id": "1", "nama": "Warga 1", "alamat": ADDRESS}


def test_b02_children_do_not_replace_their_record(cast: Cast) -> None:
    (row,) = rows(fetch(cast, CHILDREN, "application/xml", records_path="keluarga.orang"))
    assert (row["id"], row["nama"], json.loads(row["anak"])) == ("1", "Warga 1", [{"n": "a1"}, {"n": "b1"}])


@pytest.mark.parametrize(
    "body",
    [
        b"<hasil><kode>200</kode><jumlah>0</jumlah><warga/></hasil>",
        b"<hasil><kode>200</kode><jumlah>0</jumlah></hasil>",
        b"<hasil/>",
    ],
)
def test_b02_an_empty_or_absent_last_element_has_no_rows(cast: Cast, body: bytes) -> None:
    assert rows(fetch(cast, body, "application/xml", records_path="hasil.warga")) == []


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"kode": 200, "data": None}, "data"),
        ({"kode": 200, "data": []}, "data"),
        ({"data": []}, "data.orang"),
        ({"data": {"orang": []}}, "data.orang"),
        ([], "."),
        (None, "."),
    ],
)
def test_b02_nothing_found_has_no_rows(document: Any, path: str) -> None:
    assert records_at(document, parse_path(path) or ()) == []


def test_b02_null_is_an_empty_table(cast: Cast) -> None:
    body = b'{"kode":200,"pesan":"kosong","data":null}'
    assert rows(fetch(cast, body, "application/json", records_path="data")) == []


def test_b02_an_object_is_one_record_where_the_publisher_says_so(cast: Cast) -> None:
    person = {"id": 1, "nama": "Warga 1", "alamat": ADDRESS}
    (row,) = rows(fetch(cast, json.dumps(person).encode(), "application/json", records_path="."))
    assert list(row) == ["id", "nama", "alamat"]
    assert (row["id"], row["nama"], json.loads(row["alamat"])) == ("1", "Warga 1", ADDRESS)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"status": "gagal", "pesan": "tidak ditemukan", "detail": {"kode": "E12"}}, "data"),
        ({"data": {"galat": "E12"}}, "data.orang"),
        ({"data": [1, 2]}, "data"),
        ({"data": [[{"a": 1}]]}, "data"),
        ({"data": "rusak"}, "data"),
        ({"data": [{"orang": [{"a": 1}]}, {"galat": 1}]}, "data.orang"),
    ],
)
def test_b02_a_path_that_does_not_fit_leads_to_no_records(document: Any, path: str) -> None:
    assert records_at(document, parse_path(path) or ()) is None


def test_b02_a_document_that_the_path_does_not_fit_is_refused(cast: Cast) -> None:
    body = b'{"status":"gagal","pesan":"tidak ditemukan","detail":{"kode":"E12"}}'
    assert is_refused(fetch(cast, body, "application/json", records_path="data"))


def test_b02_another_xml_root_is_refused(cast: Cast) -> None:
    assert is_refused(fetch(cast, b"<galat><kode>E12</kode></galat>", "text/xml", records_path="warga.orang"))


def test_b02_groups_of_records_are_one_table(cast: Cast) -> None:
    groups = [{"desa": [{"id": 1}]}, {"desa": []}, {"desa": [{"id": 2}]}]
    body = json.dumps({"data": groups}).encode()
    assert [row["id"] for row in rows(fetch(cast, body, "application/json", records_path="data.desa"))] == ["1", "2"]


UNCLEAR = [
    (ONE, "application/xml"),
    (TWO, "application/xml"),
    (NONE, "application/xml"),
    (CHILDREN, "application/xml"),
    (b"<hasil><kode>200</kode><jumlah>0</jumlah><warga/></hasil>", "application/xml"),
    (b'{"id":1,"nama":"Warga 1","alamat":{"jalan":"Jl. Melati 1","kota":"Bandung"}}', "application/json"),
    (b'{"id":1,"nama":"Warga 1","anak":[{"n":"a1"},{"n":"b1"}]}', "application/json"),
    (b'{"kode":200,"pesan":"kosong","data":null}', "application/json"),
    (b'{"status":"gagal","pesan":"tidak ditemukan","detail":{"kode":"E12"}}', "application/json"),
    (b'{"data":null,"errors":[{"kode":"E12"}]}', "application/json"),
]


@pytest.mark.parametrize("format", ["csv", "ndjson", "xlsx"])
def test_b02_nothing_is_guessed_from_the_shape(cast: Cast, format: str) -> None:
    answer = Answer()
    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        for answer.body, answer.content_type in UNCLEAR:
            assert is_refused(cast.get(f"alias.{format}")), answer.body


@pytest.mark.parametrize("count", [0, 1, 2])
def test_b02_a_list_needs_no_path(cast: Cast, count: int) -> None:
    body = json.dumps([{"id": number} for number in range(count)]).encode()
    assert [row["id"] for row in rows(fetch(cast, body, "application/json"))] == [str(n) for n in range(count)]


@pytest.mark.parametrize("body", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("path", ["", "warga.orang"])
def test_b02_declared_fields_tell_the_records(cast: Cast, body: bytes, path: str) -> None:
    reply = fetch(
        cast, body, "application/xml", fields=("id", "nama", "telepon"), grant="id, telepon", records_path=path
    )
    table = rows(reply)
    assert [row["id"] for row in table] == ["1", "2"][: len(table)]
    assert list(table[0]) == ["id", "telepon"]  # the same columns in every response
    assert "Warga" not in reply.text


def test_b02_records_without_a_declared_field_are_no_table(cast: Cast) -> None:
    reply = fetch(cast, b'{"data":{"galat":"E12"}}', "application/json", fields=("id",), records_path="data")
    assert (reply.status, reply.json()["code"]) == (502, faults.FIELD_MISSING.code)


@pytest.mark.parametrize("face", ["json", "xml"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_b02_the_rows_of_a_1_99x_are_under_its_operation(cast: Cast, face: str, count: int) -> None:
    numbers = [f"00{number}" for number in range(count)]
    if face == "json":
        listed = {str(at): {"nip": each} for at, each in enumerate(numbers)}
        data = {"data_asal": listed} if listed else ""
        body = json.dumps({"response": {"status": 1, "code": 200, "message": "OK", "data": data}})
    else:
        elements = "".join(f"<data_asal><nip>{each}</nip></data_asal>" for each in numbers)
        body = (
            '<?xml version="1.0" encoding="utf-8"?>\n<response><status>1</status><code>200</code>'
            f"<message>OK</message><data>{elements}</data></response>"
        )
    with serve_upstream(Answer(body.encode(), "text/plain;charset=UTF-8")) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="data asal")
        assert [each["nip"] for each in rows(cast.get("alias.csv"))] == numbers


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([{"a": 1}], "."),
        ({"a": 1}, "."),
        ({"total": 1, "data": [{"a": 1}]}, "data"),
        ({"hasil": {"isi": [{"a": 1}]}}, "hasil.isi"),
        ({"warga": {"orang": {"id": "1", "nama": "W"}}}, "warga.orang"),
        ({"a.b": [{"a": 1}]}, ""),
        ({}, ""),
        ("teks", ""),
    ],
)
def test_b02_a_path_is_proposed_to_the_publisher(document: Any, path: str) -> None:
    assert propose(document) == path


@pytest.mark.parametrize("path", ["", ".", "data", "hasil.data.orang", "Ünï cöde.b-c"])
def test_b02_valid_paths(path: str) -> None:
    ProxyOperation(records_path=path).clean_fields(exclude=["service", "code"])


@pytest.mark.parametrize("path", ["..", ".a", "a.", "a..b", " a", "a\nb", ".".join("a" * 21), "a" * 501])
def test_b02_invalid_paths(path: str) -> None:
    with pytest.raises(ValidationError) as error:
        ProxyOperation(records_path=path).clean_fields(exclude=["service", "code"])
    assert list(error.value.message_dict) == ["records_path"]
