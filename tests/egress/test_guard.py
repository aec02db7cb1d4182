"""The rule of an operation, over every protocol and format: what was found leaves, is told, is covered, or stays."""

from __future__ import annotations

import gzip
import io
import json
import logging
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import brotli
import pytest
from backports import zstd
from django.conf import settings

from dataservices.models import DataOperation
from mantra.egress import guard
from mantra.egress.bodies import FILE
from mantra.gateway.fast_lane import fitness
from mantra.gateway.formats import FORMATS
from registry import faults
from registry.models import AccessKey, Field, Operation
from registry.results import RelayedResponse
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, ends_of, recorded
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, Received, serve_upstream
from tests.soap import wire

NIK, PHONE, EMAIL = "3201075001900001", "081234567890", "budi@contoh.id"
STORED = (NIK, PHONE, EMAIL)
RULES = ("allow", "alarm", "mask", "block")
BLOCKED = faults.EGRESS_BLOCKED.code
LEGACY_KEY = "aaaaaaaaaa"
#: Rows enough for several batches. What must not leave is in the last one.
MANY = 3_000


@pytest.fixture
def people(cast: Cast) -> Cast:
    """A source with remarks, in one of which somebody wrote numbers of a person."""
    path = Path(settings.SOURCE_FILE_DIRS[0]) / "prov" / "uji.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE IF NOT EXISTS catatan (id INTEGER, nik INTEGER, ket TEXT, nama TEXT)")
        made.execute("DELETE FROM catatan")
        text = f"NIK {NIK}, HP {PHONE}, surat {EMAIL}"
        made.execute("INSERT INTO catatan VALUES (1, ?, ?, 'Budi')", (int(NIK), text))
        more = ((number, f"catatan {number}") for number in range(2, MANY))
        made.executemany("INSERT INTO catatan VALUES (?, NULL, ?, 'Ani')", more)
    made.close()
    return cast


def remarks(cast: Cast, rule: str, where: str = "WHERE id = 1", columns: str = "id, ket, nama", **more: Any) -> Any:
    sql = f"SELECT {columns} FROM catatan {where} ORDER BY id DESC"
    made: DataOperation = cast.operation("catatan", sql, guard=rule, max_rows=10_000, **more)
    AccessKey.import_legacy(cast.application, LEGACY_KEY, Operation.objects.get(pk=made.pk))
    holder.refresh()
    return made


def _xlsx(cast: Cast) -> Reply:
    reply = cast.get("catatan.xlsx")
    if reply.body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
            reply.body = b"".join(map(archive.read, archive.namelist()))
    return reply


def _legacy(face: str) -> Callable[[Cast], Reply]:
    return lambda cast: call(f"/{face}/prov/data/catatan", accesskey=LEGACY_KEY, user_agent="MANTRA")


WIRES: dict[str, Callable[[Cast], Reply]] = {
    **{name: (lambda cast, name=name: cast.get(f"catatan.{name}")) for name in FORMATS if name != "xlsx"},
    "xlsx": _xlsx,
    **{f"legacy {face}": _legacy(face) for face in ("json", "xml", "api")},
    **{
        f"soap {version}": (
            lambda cast, version=version: wire.post(wire.envelope("catatan", "", version), version, accesskey=cast.key)
        )
        for version in ("1.1", "1.2")
    },
}


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("rule", RULES)
def test_every_wire_obeys_the_rule(people: Cast, rule: str, name: str) -> None:
    remarks(people, rule)
    reply = WIRES[name](people)
    (end,) = ends_of(reply.headers["x-request-id"])
    if rule in ("allow", "alarm"):
        assert all(value.encode() in reply.body for value in STORED)
    else:
        assert not any(value.encode() in reply.body for value in STORED)
    assert (end["code"] == BLOCKED) == (rule == "block")
    assert ("guard" in end) == (rule != "allow")
    if rule in ("alarm", "mask"):
        assert sorted(map(tuple, end["guard"])) == [("ket", "EMAIL", 1), ("ket", "NIK", 1), ("ket", "PHONE", 1)]
        assert end["guard_rule"] == rule


def test_only_what_was_found_is_covered(people: Cast) -> None:
    remarks(people, "mask")
    (row,) = people.get("catatan").json()["data"]
    assert row == {"id": 1, "ket": f"NIK {'•' * 16}, HP {'•' * 12}, surat {'•' * 14}", "nama": "Budi"}


def test_a_number_that_is_covered_is_null(people: Cast) -> None:
    remarks(people, "mask", columns="id, nik")
    assert people.get("catatan").json()["data"] == [{"id": 1, "nik": None}]
    assert NIK not in people.get("catatan.csv").text


def test_a_column_that_is_declared_as_personal_data_leaves(people: Cast) -> None:
    operation = remarks(people, "block", columns="id, nik")
    for name, classification in (("id", "internal"), ("nik", "personal")):
        Field.objects.create(operation=operation, name=name, type="integer", classification=classification)
    holder.refresh()
    assert people.get("catatan").json()["data"] == [{"id": 1, "nik": int(NIK)}]
    Field.objects.filter(name="nik").update(classification="internal")
    holder.refresh()
    assert people.get("catatan").json()["code"] == BLOCKED


def test_a_type_that_holds_no_numbers_is_no_way_out(people: Cast) -> None:
    """A provider calls a column a date: what the source has in it is looked at all the same."""
    operation = remarks(people, "block", columns="id, ket")
    for name, type in (("id", "integer"), ("ket", "date")):
        Field.objects.create(operation=operation, name=name, type=type)
    holder.refresh()
    assert NIK not in people.get("catatan").text


def test_kinds_that_are_meant_to_leave_leave(people: Cast) -> None:
    remarks(people, "mask", guard_expected="NIK, EMAIL")
    (row,) = people.get("catatan").json()["data"]
    assert row["ket"] == f"NIK {NIK}, HP {'•' * 12}, surat {EMAIL}"


def test_a_row_in_a_later_batch_ends_the_stream(people: Cast) -> None:
    remarks(people, "block", where="")
    reply = people.get("catatan.json")
    assert reply.broke is not None
    assert NIK.encode() not in reply.body
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (end["code"], end["broken"]) == (BLOCKED, True)


def test_a_row_in_a_later_batch_is_covered(people: Cast) -> None:
    remarks(people, "mask", where="")
    rows = people.get("catatan.json").json()["data"]
    assert len(rows) == MANY - 1
    assert NIK not in rows[-1]["ket"]


def test_the_fault_says_what_and_to_whom(people: Cast) -> None:
    remarks(people, "block")
    reply = people.get("catatan", accept_language="en")
    assert (reply.status, reply.json()["party"]) == (502, "provider")
    assert "NIK" in reply.json()["detail"]


# ---------------------------------------------------------------------------------------- documents


DOCUMENT = {"data": [{"nama": "Budi", "ket": f"hp {PHONE}"}], "nik": int(NIK), NIK: {"email": EMAIL}}


def document(cast: Cast, rule: str, body: Any = DOCUMENT, style: str = "rest", **more: Any) -> Reply:
    """The reply of an operation that decodes an upstream's JSON: as XML, so that it is written anew."""
    with serve_upstream(Answer(json.dumps(body).encode())) as upstream:
        publish_proxy(cast, upstream.url, style=style, guard=rule, **more)
        return cast.get("alias.xml")


@pytest.mark.parametrize("rule", RULES)
def test_documents_obey_the_rule(cast: Cast, rule: str) -> None:
    reply = document(cast, rule)
    (end,) = ends_of(reply.headers["x-request-id"])
    seen = [value for value in STORED if value in reply.text]
    assert seen == (list(STORED) if rule in ("allow", "alarm") else [])
    assert (end["code"] == BLOCKED) == (rule == "block")
    if rule == "alarm":
        assert sorted(map(tuple, end["guard"])) == [
            ("", "NIK", 1), ("email", "EMAIL", 1), ("ket", "PHONE", 1), ("nik", "NIK", 1),
        ]  # fmt: skip


def test_a_document_whose_names_are_data_keeps_its_shape(cast: Cast) -> None:
    reply = document(cast, "mask", {NIK: {"a": 1}, NIK[:-1] + "2": {"a": 2}})
    assert reply.status == 200
    assert reply.text.count("<a>") == 2
    assert NIK[:-1] not in reply.text


def test_names_of_people_are_no_places(cast: Cast) -> None:
    """A system lists people by their names: the journal has none of them."""
    reply = document(cast, "alarm", {"siti": {"budi": NIK}, "Pak Joko": EMAIL, "x12345": NIK[:-1] + "3"})
    (end,) = ends_of(reply.headers["x-request-id"])
    assert {place for place, _kind, _number in end["guard"]} == {""}


def test_declared_members_of_a_document_leave(cast: Cast) -> None:
    with serve_upstream(Answer(json.dumps([{"nik": NIK, "ket": PHONE}]).encode())) as upstream:
        operation = publish_proxy(cast, upstream.url, style="rest", guard="mask", fields=("nik", "ket"))
        Field.objects.filter(operation=operation, name="nik").update(classification="personal")
        holder.refresh()
        assert cast.get("alias").json() == [{"nik": NIK, "ket": "•" * len(PHONE)}]


# ------------------------------------------------------------------------------------------ as it comes

BODY = json.dumps({"nik": NIK, "email": EMAIL, "aman": "ya"}).encode()


def relayed(cast: Cast, rule: str, answer: Answer, method: str = "GET", **more: Any) -> tuple[Reply, Received]:
    headers = {name: more.pop(name) for name in ("range", "accept_encoding") if name in more}
    with serve_upstream(answer) as upstream:
        publish_proxy(
            cast, upstream.url, guard=rule, forwarded_request_headers="Range, Accept-Encoding",
            returned_response_headers="Content-Encoding, X-Pemilik, ETag, Digest, Accept-Ranges", **more,
        )  # fmt: skip
        return call("/rest/prov/data/alias/x", method, accesskey=cast.key, **headers), upstream.last


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("encoding", ["", "gzip", "br", "zstd"])
def test_relayed_bodies_obey_the_rule(cast: Cast, rule: str, encoding: str) -> None:
    content = {"": bytes, "gzip": gzip.compress, "br": brotli.compress, "zstd": zstd.compress}[encoding](BODY)
    answer = Answer(content, headers=[("Content-Encoding", encoding)] if encoding else [])
    reply, _received = relayed(cast, rule, answer, accept_encoding="br;q=1.0, gzip;q=0.8, *;q=0.1")
    (end,) = ends_of(reply.headers["x-request-id"])
    if rule in ("allow", "alarm"):
        assert reply.body == content
        assert reply.headers.get("content-encoding", "") == encoding
    else:
        assert NIK.encode() not in reply.body
    if rule == "mask":
        assert reply.json() == {"nik": "*" * 16, "email": "*" * len(EMAIL), "aman": "ya"}
        assert "content-encoding" not in reply.headers
    if rule == "block":
        assert (reply.status, end["code"]) == (502, BLOCKED)
    if rule == "alarm":
        assert sorted(map(tuple, end["guard"])) == [("", "EMAIL", 1), ("", "NIK", 1)]


@pytest.mark.parametrize("size", [1, 2_000], ids=["short", "long"])
def test_an_ordinary_body_that_is_watched_is_not_read_twice(
    cast: Cast, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first look at the bytes tells that nothing is in them: no character is decoded, no header scanned."""
    monkeypatch.delattr(guard, "Body")
    monkeypatch.delattr(guard, "scan")
    row = {"nama": "Dinas Pertanian", "gaji": 2_500_000, "mulai": "2020-01-31T10:20:30", "ket": "catatan & <uji>"}
    content = json.dumps([row] * size).encode()
    reply, _received = relayed(cast, "alarm", Answer(content, headers=[("ETag", '"6749f5c0-400-198706122010012003"')]))
    assert reply.body == content


def watched_operation() -> Any:
    nothing: frozenset[str] = frozenset()
    return SimpleNamespace(id=0, fingerprint=0, guard="alarm", kind="proxy", guard_expected=nothing, personal=nothing)


@pytest.mark.parametrize("at", range(len(NIK)))
def test_a_number_in_two_chunks_of_a_body_that_is_watched(at: int) -> None:
    watched: Any = SimpleNamespace(operation=watched_operation(), guarded={})
    chunks = [b'{"nik":"' + NIK[:at].encode(), f'{NIK[at:]}","b":"'.encode() + b"x " * 40_000 + b'"}']
    response = RelayedResponse(200, [("Content-Type", "application/json")], iter(chunks), lambda: None)
    result = guard.guarded(watched, response)
    assert isinstance(result, RelayedResponse)
    assert list(result.chunks) == chunks
    assert watched.guarded == {("", "NIK"): 1}


def test_behind_its_beginning_a_long_body_is_looked_at_in_parts() -> None:
    """In a body of 1 MiB too, of which one part in so many is less than one."""
    watched: Any = SimpleNamespace(operation=watched_operation(), guarded={})
    chunks = [b'{"a":"' + b"x " * 32_768 + b'",', *(f'"{NIK}",'.encode() * 3_449 for _chunk in range(15))]
    response = RelayedResponse(200, [("Content-Type", "application/json")], iter(chunks), lambda: None)
    result = guard.guarded(watched, response)
    assert isinstance(result, RelayedResponse)
    assert list(result.chunks) == chunks
    assert watched.guarded["", "NIK"] > 0


@pytest.mark.parametrize("rule", ["mask", "block"])
def test_the_upstream_is_asked_for_what_can_be_read(cast: Cast, rule: str) -> None:
    reply, received = relayed(cast, rule, Answer(b"{}"), range="bytes=0-7", accept_encoding="br, gzip;q=0.5, x-new")
    assert (received.header("Range"), received.header("Accept-Encoding")) == ("", "br, gzip;q=0.5")
    assert reply.status == 200


def test_a_caller_who_is_only_watched_gets_parts(cast: Cast) -> None:
    _reply, received = relayed(cast, "alarm", Answer(b"{}", status=206), range="bytes=0-7", accept_encoding="br")
    assert (received.header("Range"), received.header("Accept-Encoding")) == ("bytes=0-7", "br")


UNREADABLE: dict[str, Answer] = {
    "a part": Answer(NIK[:8].encode(), status=206),
    "half of brotli": Answer(b"\x0b\x02\x80", headers=[("Content-Encoding", "br")]),
    "two encodings": Answer(gzip.compress(gzip.compress(BODY)), headers=[("Content-Encoding", "gzip, gzip")]),
    "no gzip": Answer(BODY, headers=[("Content-Encoding", "gzip")]),
    "unknown characters": Answer(BODY, "text/plain; charset=x-rahasia"),
    "an archive": Answer(b"PK\x03\x04" + BODY, "application/zip"),
    "a document": Answer(b"%PDF-1.4 " + BODY, "application/json"),
    "packed without a word": Answer(gzip.compress(BODY), "application/json"),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("rule", ["mask", "block"])
def test_what_cannot_be_read_does_not_leave(cast: Cast, rule: str, name: str) -> None:
    reply, _received = relayed(cast, rule, UNREADABLE[name])
    (end,) = ends_of(reply.headers["x-request-id"])
    assert (reply.status, end["code"]) == (502, BLOCKED)
    assert [tuple(each) for each in end["guard"]] == [("", FILE, 1)]


def test_files_that_are_meant_to_leave_leave(cast: Cast) -> None:
    reply, _received = relayed(cast, "block", UNREADABLE["an archive"], guard_expected="FILE")
    assert reply.body == UNREADABLE["an archive"].body


@pytest.mark.parametrize("rule", RULES)
def test_headers_obey_the_rule(cast: Cast, rule: str) -> None:
    reply, _received = relayed(cast, rule, Answer(b"{}", headers=[("X-Pemilik", f"nik={NIK}")]))
    assert (NIK in str(reply.headers)) == (rule in ("allow", "alarm"))
    assert reply.status == (502 if rule == "block" else 200)


def test_a_header_that_must_be_there_is_no_way_out(cast: Cast) -> None:
    reply, _received = relayed(cast, "mask", Answer(b"{}", f"application/json; nik={NIK}"))
    assert reply.status == 502
    assert NIK not in str(reply.headers)


def test_headers_about_the_body_do_not_outlive_it(cast: Cast) -> None:
    headers = [("ETag", '"1"'), ("Digest", "sha-256=x"), ("Accept-Ranges", "bytes")]
    reply, _received = relayed(cast, "mask", Answer(BODY, headers=headers))
    assert not {"etag", "digest", "accept-ranges"} & reply.headers.keys()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_other_statuses(cast: Cast, method: str, status: int) -> None:
    body = b"" if status == 204 else BODY
    reply, _received = relayed(cast, "mask", Answer(body, status=status), method, retries=0)
    assert reply.status == status
    assert NIK.encode() not in reply.body


def test_a_number_in_two_chunks_of_a_long_body(cast: Cast) -> None:
    """The bus reads an upstream's body in pieces: wherever they end, the number is found, and nothing of it leaves."""
    for extra in range(0, 40, 3):
        body = b'{"a":"' + b"x " * 65_520 + b"." * extra + f'","nik":"{NIK}"}}'.encode() + b" " * 70_000
        with serve_upstream(Answer(body)) as upstream:
            operation = publish_proxy(cast, upstream.url, code=f"alias{extra}", guard="block")
            reply = call(f"/rest/prov/data/alias{extra}/x", accesskey=cast.key)
        assert operation.pk
        assert NIK[:6].encode() not in reply.body
        (end,) = ends_of(reply.headers["x-request-id"])
        assert end["code"] == BLOCKED


def test_cached_responses_obey_a_rule_that_is_newer(cast: Cast) -> None:
    with serve_upstream(Answer(BODY, headers=[("Cache-Control", "max-age=60")])) as upstream:
        operation = publish_proxy(cast, upstream.url, guard="allow", cache_seconds=60)
        assert NIK in call("/rest/prov/data/alias/x", accesskey=cast.key).text
        operation.guard = "mask"
        operation.save()
        holder.refresh()
        assert NIK not in call("/rest/prov/data/alias/x", accesskey=cast.key).text


@pytest.mark.parametrize("rule", RULES)
def test_the_fast_lane_takes_only_what_may_be_watched(cast: Cast, rule: str) -> None:
    with serve_upstream(Answer(BODY)) as upstream:
        publish_proxy(cast, upstream.url, guard=rule)
    operation = holder.current().operation("prov", "data", "alias")
    assert operation is not None
    assert (fitness.why_not(operation) == "guard") == (rule in ("mask", "block"))


# ------------------------------------------------------------------------------- nothing is written down


def test_no_part_of_a_value_is_in_the_journal_or_the_log(people: Cast, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for rule in RULES:
        operation = remarks(people, rule) if rule == "allow" else Operation.objects.get(code="catatan")
        Operation.objects.filter(pk=operation.pk).update(guard=rule)
        holder.refresh()
        for ask in WIRES.values():
            ask(people)
        assert call("/rest/prov/data/catatan", accesskey=people.key).status in (200, 502)
    left_out = ("id", "at", "us", "by", "op", "chain", "from", "bytes")
    lines = ({name: value for name, value in line.items() if name not in left_out} for line in recorded())
    written = "\n".join(map(str, lines)) + caplog.text
    for value in STORED:
        for at in range(len(value) - 3):
            assert value[at : at + 4] not in written
