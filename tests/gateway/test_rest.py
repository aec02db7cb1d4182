"""The REST face, through the WSGI door."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from lxml import etree

from mantra.gateway.formats import FORMATS
from registry import faults
from registry.models import Operation
from registry.snapshot import holder
from tests.cast import ROWS, Cast, call, ends_of, recorded


def test_it_works(cast: Cast) -> None:
    reply = cast.get("satu.json", "id=7")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {
        "data": [{"id": 7, "nama": "Orang 7", "unit": "Unit 0", "gaji": "7.50"}],
        "count": 1,
        "truncated": False,
    }
    assert reply.headers["content-length"] == str(len(reply.body))
    assert len(reply.headers["x-request-id"]) == 32


def test_f14_every_text_names_its_charset() -> None:
    for format in FORMATS.values():
        assert not format.media_type.startswith("text/") or format.media_type.endswith("; charset=utf-8")


@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [
        ("json", "application/json"),
        ("xml", "application/xml"),
        ("csv", "text/csv; charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
        ("php", "application/vnd.php.serialized"),
        ("phpa", "application/x-php-array"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_format_by_suffix_and_by_accept(cast: Cast, suffix: str, media_type: str) -> None:
    by_suffix = cast.get(f"satu.{suffix}", "id=7")
    by_accept = cast.get("satu", "id=7", accept=f"{media_type.partition(';')[0]}, */*;q=0.1")
    assert by_suffix.status == by_accept.status == 200
    assert by_suffix.headers["content-type"] == media_type
    assert by_accept.headers["content-type"] == media_type
    if suffix != "xlsx":  # which holds the time at which it was written
        assert by_suffix.body == by_accept.body
    assert b"Orang 7" in by_suffix.body or suffix == "xlsx"


def test_a_long_answer_streams_whole(cast: Cast) -> None:
    reply = cast.get("semua.csv")
    rows = list(csv.reader(io.StringIO(reply.text)))
    assert rows[0] == ["id", "nama", "unit"]
    assert len(rows) == ROWS + 1
    assert rows[-1][0] == str(ROWS)
    assert "content-length" not in reply.headers
    (end,) = ends_of(reply.headers["x-request-id"])
    assert end["rows"] == ROWS
    assert end["bytes"] == len(reply.body)


def test_the_row_cap_is_said(cast: Cast) -> None:
    reply = cast.get("cari.json")
    assert reply.json()["truncated"] is True
    assert reply.json()["count"] == len(reply.json()["data"]) == 100
    assert reply.headers["x-truncated"] == "true"


def test_optional_blocks_drop_out(cast: Cast) -> None:
    assert cast.get("cari.json", "nama=Orang+1").json()["count"] == 1
    assert cast.get("cari.json", "nama=Orang+1%25&unit=Unit+1").json()["count"] == 100
    assert cast.get("cari.json", "unit=Unit+1&nama=Orang+15").json()["data"] == []


def test_parameters_by_form_and_by_json(cast: Cast) -> None:
    form = cast.get("satu.json", method="POST", body="id=7", content_type="application/x-www-form-urlencoded")
    as_json = cast.get("satu.json", method="POST", body='{"id": 7}', content_type="application/json; charset=utf-8")
    assert form.status == as_json.status == 200
    assert form.body == as_json.body


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", " deflate ", "identity", ""])
def test_f17_a_compressed_body_is_unpacked(cast: Cast, coding: str) -> None:
    pack = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}.get(coding.strip().lower(), bytes)
    body = pack(b'{"id": 7}')
    reply = cast.get("satu.json", method="POST", body=body, content_type="application/json", content_encoding=coding)
    assert reply.json()["count"] == 1


@pytest.mark.parametrize("media_type", ["application/json", "text/json", "application/vnd.instansi.satu+json"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_f20_json_bodies(cast: Cast, media_type: str, mark: bytes) -> None:
    reply = cast.get("satu.json", method="POST", body=mark + b'{"id": 7}', content_type=media_type)
    assert reply.json()["count"] == 1


@pytest.mark.parametrize("accept", ["", " ", ", ,"])
def test_f20_an_empty_accept_names_no_type(cast: Cast, accept: str) -> None:
    assert cast.get("satu", "id=7", accept=accept).headers["content-type"] == "application/json"


def test_values_are_bound_never_spliced(cast: Cast) -> None:
    reply = cast.get("cari.json", "nama=%27+OR+1%3D1+--")
    assert reply.status == 200
    assert reply.json()["count"] == 0


def test_paging(cast: Cast) -> None:
    first = cast.get("halaman.json")
    assert [row["id"] for row in first.json()["data"]] == list(range(1, 11))
    assert first.json()["truncated"] is False
    assert first.headers["link"] == '</rest/prov/data/halaman.json?page=2&per_page=10>; rel="next"'
    middle = cast.get("halaman.json", "page=3&per_page=5")
    assert [row["id"] for row in middle.json()["data"]] == list(range(11, 16))
    assert 'page=2&per_page=5>; rel="prev"' in middle.headers["link"]
    last = cast.get("halaman.json", f"page={ROWS // 10}")
    assert last.json()["count"] == 10
    assert 'rel="next"' not in last.headers["link"]


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=11", "per_page=-1"])
def test_paging_out_of_range(cast: Cast, query: str) -> None:
    assert cast.get("halaman.json", query).json()["code"] == 11102


def test_a_cut_csv_never_looks_whole(cast: Cast) -> None:
    cast.operation("potong", "SELECT id FROM orang ORDER BY id", max_rows=1800)
    for operation, rows in (("cari", 100), ("potong", 1800)):
        lines = cast.get(f"{operation}.csv").text.split("\r\n")
        assert lines[-2:] == ["# truncated", ""]
        assert len(lines) == rows + 3


def test_a_large_page_knows_of_the_next(cast: Cast) -> None:
    made = cast.operations["halaman"]
    made.page_size, made.max_rows = 2000, 2000
    made.save()
    holder.refresh()
    first = cast.get("halaman.json")
    assert (first.json()["count"], first.json()["truncated"]) == (2000, False)
    assert "page=2" in first.headers["link"]
    second = cast.get("halaman.json", "page=2")
    assert second.json()["count"] == ROWS - 2000
    assert 'rel="next"' not in second.headers["link"]


def test_a_post_is_never_304(cast: Cast) -> None:
    tag = call("/rest/prov/data/terbuka.json").headers["etag"]
    assert call("/rest/prov/data/terbuka.json", "POST", if_none_match=tag).status == 200


def test_the_same_workbook_has_the_same_etag(cast: Cast) -> None:
    import time

    first = call("/rest/prov/data/terbuka.xlsx").headers["etag"]
    time.sleep(1.1)
    assert call("/rest/prov/data/terbuka.xlsx").headers["etag"] == first


def test_etag(cast: Cast) -> None:
    first = call("/rest/prov/data/terbuka.json")
    assert first.status == 200
    assert first.headers["cache-control"] == "public, max-age=60"
    again = call("/rest/prov/data/terbuka.json", if_none_match=first.headers["etag"])
    assert again.status == 304
    assert again.body == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-type" not in again.headers
    (end,) = ends_of(again.headers["x-request-id"])
    assert (end["status"], end["bytes"]) == (304, 0)


def test_what_may_not_be_cached_says_so(cast: Cast) -> None:
    reply = cast.get("satu.json", "id=7")
    assert reply.headers["cache-control"] == "no-store"
    assert "etag" not in reply.headers


def test_head_is_get_without_a_body(cast: Cast) -> None:
    get = cast.get("satu.json", "id=7")
    head = cast.get("satu.json", "id=7", method="HEAD")
    assert head.status == 200
    assert head.body == b""
    assert head.headers["content-length"] == get.headers["content-length"]
    assert cast.get("semua.json", method="HEAD").body == b""
    assert cast.get("satu.json", "id=x", method="HEAD").status == 400


def test_options(cast: Cast) -> None:
    reply = cast.get("satu.json", method="OPTIONS")
    assert reply.status == 204
    assert reply.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    assert "access-control-allow-origin" not in reply.headers
    assert call("/rest/prov/data/terbuka", "OPTIONS").headers["access-control-allow-origin"] == "*"


def test_s20_options_are_recorded(cast: Cast) -> None:
    reply = call("/rest/prov/data/satu.json", "OPTIONS")
    _open, begin, end = recorded()
    assert begin["id"] == end["id"] == reply.headers["x-request-id"]
    assert (begin["method"], begin["op"][:3]) == ("OPTIONS", ["prov", "data", "satu"])
    assert (end["code"], end["status"], end["bytes"]) == (200, 204, 0)
    unknown = call("/rest/prov/data/tidakada", "OPTIONS")
    assert (unknown.status, ends_of(unknown.headers["x-request-id"])[0]["status"]) == (404, 404)


def test_options_before_the_bus_is_ready(cast: Cast) -> None:
    """A problem with a code and a request id, as for every other method; and it is recorded."""
    holder._holder.snapshot = None
    for method in ("OPTIONS", "GET"):
        reply = call("/rest/prov/data/satu.json", method)
        assert (reply.status, reply.json()["code"], reply.headers["retry-after"]) == (503, 11902, "1")
        assert ends_of(reply.headers["x-request-id"])[0]["code"] == 11902


def test_options_without_a_record(cast: Cast, settings: Any, tmp_path: Path) -> None:
    settings.JOURNAL_DIR = tmp_path / "bukan folder"
    (tmp_path / "bukan folder").write_text("")
    assert call("/rest/prov/data/satu.json", "OPTIONS").json()["code"] == 11901


def test_a_deprecated_operation_says_so(cast: Cast) -> None:
    made = cast.operations["satu"]
    made.state, made.sunset = Operation.State.DEPRECATED, date(2027, 1, 31)
    made.full_clean()
    made.save()
    holder.refresh()
    reply = cast.get("satu.json", "id=7")
    assert reply.status == 200
    assert reply.headers["deprecation"] == "true"
    assert reply.headers["sunset"] == "Sun, 31 Jan 2027 00:00:00 GMT"


def test_problems_come_in_the_callers_format(cast: Cast) -> None:
    as_json = cast.get("satu.json", "id=x")
    assert as_json.headers["content-type"] == "application/problem+json"
    told = as_json.json()
    assert told["code"] == 11102
    assert told["status"] == as_json.status == 400
    assert told["request_id"] == as_json.headers["x-request-id"]
    as_xml = cast.get("satu.xml", "id=x")
    assert as_xml.headers["content-type"] == "application/problem+xml"
    root = etree.fromstring(as_xml.body)
    assert {etree.QName(child).localname: child.text for child in root}["code"] == "11102"
    assert b'"code";i:11102' in cast.get("satu.php", "id=x").body


def test_problems_speak_english_when_asked(cast: Cast) -> None:
    assert "bilangan bulat" in cast.get("satu.json", "id=x").json()["detail"]
    english = cast.get("satu.json", "id=x", accept_language="en-GB,id;q=0.5")
    assert "whole number" in english.json()["detail"]


def test_a_writing_operation_by_post_only(cast: Cast) -> None:
    from dataservices.models import DataSource

    cast.operation(
        "tambah",
        "INSERT INTO orang (id, nama) VALUES (:id, :nama)",
        writes=True,
        parameters=({"name": "id", "type": "integer"}, {"name": "nama"}),
    )
    assert DataSource.objects.count() == 1
    refused = cast.get("tambah.json", "id=900001&nama=Baru")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    body = '{"id": 900001, "nama": "Baru"}'
    done = cast.get("tambah.json", method="POST", body=body, content_type="application/json")
    assert (done.status, done.json()) == (200, {"affected": 1})
    assert cast.get("satu.json", "id=900001").json()["data"][0]["nama"] == "Baru"
    twice = cast.get("tambah.json", method="POST", body=body, content_type="application/json")
    assert (twice.status, twice.json()["code"]) == (502, 11202)
    assert "UNIQUE" not in twice.text
    cast.operation(
        "hapus", "DELETE FROM orang WHERE id > :id", writes=True, parameters=({"name": "id", "type": "integer"},)
    )
    gone = cast.get("hapus.json", method="POST", body="id=900000", content_type="application/x-www-form-urlencoded")
    assert gone.json() == {"affected": 1}


def test_a_grant_may_allow_some_fields_only(cast: Cast) -> None:
    from registry.models import Field, Grant

    made = cast.operations["satu"]
    for position, name in enumerate(("id", "nama", "gaji")):
        Field.objects.create(operation=made, position=position, name=name, type="decimal" if name == "gaji" else "text")
    holder.refresh()
    declared = cast.get("satu.json", "id=7")
    assert declared.body == b'{"data":[{"id":"7","nama":"Orang 7","gaji":7.50}],"count":1,"truncated":false}'
    grant = cast.grants["satu"]
    grant.fields = "nama"
    grant.full_clean()
    grant.save()
    assert isinstance(grant, Grant)
    holder.refresh()
    assert cast.get("satu.json", "id=7").json()["data"] == [{"nama": "Orang 7"}]


def test_the_journal_holds_no_value(cast: Cast) -> None:
    cast.get("cari.json", "nama=Rahasia+Sekali")
    assert "Rahasia" not in str(recorded())
    assert cast.key not in str(recorded())
    assert any(line.get("params") == ["nama"] for line in recorded())


def test_no_query_of_the_orm_on_the_path(cast: Cast, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    cast.get("satu.json", "id=7")
    with django_assert_num_queries(0):
        assert cast.get("satu.json", "id=7").status == 200
        assert cast.get("satu.json", "id=7", accesskey="salah").status == 401
        assert call("/json/prov/data/satu/id=7", accesskey=cast.key).status == 200


def test_a_filter_is_never_ignored_silently(cast: Cast) -> None:
    """A period with its first day alone would return the rows of all periods."""
    parameters = (
        {"name": "dari", "type": "integer", "required": False},
        {"name": "sampai", "type": "integer", "required": False},
        {"name": "batas", "type": "integer", "required": False, "default": "5"},
        {"name": "langkah", "type": "integer", "required": False},
    )
    cast.operation(
        "rentang",
        "SELECT id FROM orang WHERE id < 9 [[ AND id BETWEEN :dari AND :sampai ]] [[ AND id <= :batas + :langkah ]] "
        "ORDER BY id",
        parameters=parameters,
    )
    reply = cast.get("rentang", "dari=3")
    assert (reply.status, reply.json()["code"]) == (400, faults.PARAMETERS_TOGETHER.code)
    assert "sampai" in reply.json()["detail"]
    assert "dari" in reply.json()["detail"]
    assert [row["id"] for row in cast.get("rentang", "dari=3&sampai=4").json()["data"]] == [3, 4]
    assert cast.get("rentang").status == 200  # the default of batas is nobody's wish
    assert cast.get("rentang", "batas=2").json()["code"] == faults.PARAMETERS_TOGETHER.code
    old = call("/mantra/json/prov/data/rentang/dari=3", accesskey=cast.key)
    assert "10005" in old.text


def test_a_placeholder_in_quotation_marks_cannot_be_saved(cast: Cast) -> None:
    with pytest.raises(ValidationError) as error:
        cast.define("cari2", "SELECT id FROM orang WHERE nama LIKE '%:nama%'")
    assert "'%' || :nama || '%'" in str(error.value)
