"""Every wrong thing that a caller can send: its code, its status, its shape, its record."""

from __future__ import annotations

import gzip
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import faults, results
from registry.models import AccessKey, Field, Operation
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, ends_of

#: Faults that name the page on which to request access.
REMEDIED = (faults.GRANT_MISSING, faults.GRANT_EXPIRED, faults.GRANT_NOT_YET_VALID, faults.GRANT_NETWORK)
FORM = "application/x-www-form-urlencoded"


def assert_problem(reply: Reply, kind: results.FaultKind, party: str | None = None) -> None:
    """One shape for every refusal, and its record under the same request id."""
    told = reply.json()
    assert told["code"] == kind.code, told
    asking = {"request_url"} if kind in REMEDIED else set()
    assert set(told) == {"type", "title", "status", "detail", "code", "party", "request_id"} | asking
    assert told["status"] == reply.status == kind.status
    assert told["title"] == kind.name
    assert not re.search(r"\{\w+\}", told["detail"])
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["x-request-id"] == told["request_id"]
    (end,) = ends_of(told["request_id"])
    assert (end["code"], end["status"]) == (kind.code, kind.status)


def test_no_key(cast: Cast) -> None:
    reply = call("/rest/prov/data/satu.json?id=7")
    assert_problem(reply, faults.KEY_MISSING)
    assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["salah", "on", "idkey:O:8:stdClass", "mtr_AAAAAAAA_x", "\xff\xfe", "'; DROP"])
def test_wrong_key(cast: Cast, key: str) -> None:
    assert_problem(call("/rest/prov/data/satu.json?id=7", accesskey=key), faults.KEY_UNKNOWN)


def test_the_key_as_a_bearer_token(cast: Cast) -> None:
    assert call("/rest/prov/data/satu.json?id=7", authorization=f"Bearer {cast.key}").status == 200


def test_revoked_key(cast: Cast) -> None:
    cast.key_row.revoke()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.KEY_UNKNOWN)


def test_expired_key(cast: Cast) -> None:
    cast.key_row.expires_at = timezone.now() - timedelta(seconds=1)
    cast.key_row.save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.KEY_EXPIRED)


def test_key_from_another_network(cast: Cast) -> None:
    cast.key_row.networks = "10.1.0.0/16\n2001:db8::/32"
    cast.key_row.full_clean()
    cast.key_row.save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.KEY_NETWORK)
    assert cast.get("satu.json", "id=7", address="10.1.2.3").status == 200
    assert cast.get("satu.json", "id=7", address="2001:db8::1").status == 200


def test_a_forwarded_address_is_not_believed(cast: Cast) -> None:
    cast.key_row.networks = "10.1.0.0/16"
    cast.key_row.save()
    holder.refresh()
    assert cast.get("satu.json", "id=7", x_forwarded_for="10.1.2.3").status == 403


def test_a_forwarded_address_from_our_own_proxy(cast: Cast, settings: Any) -> None:
    cast.key_row.networks = "10.1.0.0/16"
    cast.key_row.save()
    holder.refresh()
    settings.TRUSTED_PROXIES = 1
    assert cast.get("satu.json", "id=7", x_forwarded_for="10.1.2.3").status == 200
    assert cast.get("satu.json", "id=7", x_forwarded_for="10.1.2.3, 192.168.0.9").status == 403
    assert cast.get("satu.json", "id=7", x_forwarded_for="bukan alamat").status == 403


def test_key_of_another_operation(cast: Cast) -> None:
    AccessKey.import_legacy(cast.application, "zzzzzzzzzz", Operation.objects.get(code="cari"))
    holder.refresh()
    assert_problem(call("/rest/prov/data/satu.json?id=7", accesskey="zzzzzzzzzz"), faults.KEY_OF_ANOTHER_OPERATION)
    assert call("/rest/prov/data/cari.json?nama=x", accesskey="zzzzzzzzzz").status == 200


def test_no_grant(cast: Cast) -> None:
    cast.grants["satu"].delete()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.GRANT_MISSING)


def test_revoked_grant(cast: Cast) -> None:
    cast.grants["satu"].state = "revoked"
    cast.grants["satu"].save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.GRANT_MISSING)


def test_grant_over_and_not_yet(cast: Cast) -> None:
    grant = cast.grants["satu"]
    today = timezone.localdate()
    grant.valid_until = today - timedelta(days=1)
    grant.save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.GRANT_EXPIRED)
    grant.valid_until, grant.valid_from = None, today + timedelta(days=1)
    grant.save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.GRANT_NOT_YET_VALID)
    grant.valid_from = grant.valid_until = today
    grant.save()
    holder.refresh()
    assert cast.get("satu.json", "id=7").status == 200


def test_grant_from_another_network(cast: Cast) -> None:
    cast.grants["satu"].networks = "10.1.0.0/16"
    cast.grants["satu"].save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.GRANT_NETWORK)


def test_quota(cast: Cast) -> None:
    cast.grants["satu"].quota = "2/hour; 100/day"
    cast.grants["satu"].full_clean()
    cast.grants["satu"].save()
    holder.refresh()
    first = cast.get("satu.json", "id=7")
    assert first.headers["ratelimit-policy"] == '"quota";q=2;w=3600'
    assert re.fullmatch(r'"quota";r=1;t=\d+', first.headers["ratelimit"])
    assert cast.get("satu.json", "id=7").status == 200
    reply = cast.get("satu.json", "id=7")
    assert_problem(reply, faults.QUOTA_EXCEEDED)
    assert 1 <= int(reply.headers["retry-after"]) <= 3601
    assert "Kuota 2 panggilan per jam untuk" in reply.json()["detail"]
    cast.grants["satu"].quota = "1/3 day"
    cast.grants["satu"].save()
    holder.refresh()
    assert cast.get("satu.json", "id=7").status == 200
    assert "Kuota 1 panggilan per 3 hari untuk" in cast.get("satu.json", "id=7").json()["detail"]
    english = cast.get("satu.json", "id=7", accept_language="en").json()["detail"]
    assert "The quota of 1 calls per 3 days for" in english


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/rest", faults.ADDRESS_INCOMPLETE),
        ("/rest/prov", faults.ADDRESS_INCOMPLETE),
        ("/rest//data/satu", faults.ADDRESS_INCOMPLETE),
        ("/rest/prov/data", faults.OPERATION_UNNAMED),
        ("/rest/prov/data/tidakada", faults.OPERATION_UNKNOWN),
        ("/rest/prov/data/satu/lagi", faults.OPERATION_UNKNOWN),
        ("/rest/prov/data/satu%00", faults.ADDRESS_INVALID),
        ("/rest/prov/data/%ff", faults.OPERATION_UNKNOWN),
    ],
)
def test_wrong_address(cast: Cast, path: str, kind: results.FaultKind) -> None:
    assert_problem(call(path, accesskey=cast.key), kind)


def test_a_draft_is_not_there_and_a_retired_one_is_gone(cast: Cast) -> None:
    made = cast.operations["satu"]
    made.state = Operation.State.DRAFT
    made.save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.OPERATION_UNKNOWN)
    made.state = Operation.State.RETIRED
    made.save()
    holder.refresh()
    assert_problem(cast.get("satu.json", "id=7"), faults.OPERATION_RETIRED)


@pytest.mark.parametrize(
    ("operation", "query", "kind"),
    [
        ("satu", "", faults.PARAMETER_MISSING),
        ("satu", "id=tujuh", faults.PARAMETER_INVALID),
        ("satu", "id=", faults.PARAMETER_INVALID),
        ("satu", "id=1e3", faults.PARAMETER_INVALID),
        ("satu", "id=7&id=8", faults.PARAMETER_REPEATED),
        ("satu", "id=7&ID=8", faults.PARAMETER_REPEATED),
        ("satu", "id=7&nama=x", faults.PARAMETER_UNKNOWN),
        ("satu", "id=7&page=1", faults.PARAMETER_UNKNOWN),
        ("cari", "nama=%00", faults.PARAMETER_INVALID),
        ("cari", "nama=%ff", faults.ADDRESS_INVALID),
        ("cari", "nama=" + "x" * 10_001, faults.PARAMETER_INVALID),
        ("satu", "&".join(f"a{n}=1" for n in range(501)), faults.ADDRESS_INVALID),
    ],
)
def test_wrong_parameter(cast: Cast, operation: str, query: str, kind: results.FaultKind) -> None:
    assert_problem(cast.get(f"{operation}.json", query), kind)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_wrong_method(cast: Cast, method: str) -> None:
    reply = cast.get("satu.json", "id=7", method=method)
    assert_problem(reply, faults.METHOD_NOT_ALLOWED)
    assert reply.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        ("{", "application/json", faults.BODY_INVALID),
        ("[1]", "application/json", faults.BODY_INVALID),
        ('"id"', "application/json", faults.BODY_INVALID),
        ('{"id": NaN}', "application/json", faults.BODY_INVALID),
        ("[" * 100_000, "application/json", faults.BODY_INVALID),
        ('{"id": 7, "id": 8}', "application/json", faults.PARAMETER_REPEATED),
        ('{"id": [7]}', "application/json", faults.PARAMETER_INVALID),
        ('{"id": {"a": 1}}', "application/json", faults.PARAMETER_INVALID),
        ('{"id": null}', "application/json", faults.PARAMETER_MISSING),
        ("id=%ff", FORM, faults.BODY_INVALID),
        (b"id=\xff", FORM, faults.BODY_INVALID),
        ("<id>7</id>", "application/xml", faults.BODY_TYPE),
        ("id=7", "", faults.BODY_TYPE),
        ("--x\r\n", "multipart/form-data; boundary=x", faults.BODY_TYPE),
        ("id=7&x=" + "y" * 1_000_000, FORM, faults.BODY_TOO_LARGE),
    ],
)
def test_wrong_body(cast: Cast, body: str, content_type: str, kind: results.FaultKind) -> None:
    assert_problem(cast.get("satu.json", method="POST", body=body, content_type=content_type), kind)


@pytest.mark.parametrize(
    ("body", "encoding", "kind"),
    [
        (b"id=7", "br", faults.BODY_ENCODING),
        (gzip.compress(gzip.compress(b"id=7")), "gzip, gzip", faults.BODY_ENCODING),
        (b"id=7", "gzip", faults.BODY_INVALID),
        (gzip.compress(b"id=7")[:-9], "gzip", faults.BODY_INVALID),
        (gzip.compress(b"id=7&x=" + b"y" * 1_000_000), "gzip", faults.BODY_TOO_LARGE),
        (gzip.compress(b"\0" * 500_000_000, 1), "gzip", faults.BODY_TOO_LARGE),
    ],
    ids=["unknown", "twice", "not compressed", "incomplete", "large", "a bomb"],
)
def test_f17_wrong_compression(cast: Cast, body: bytes, encoding: str, kind: results.FaultKind) -> None:
    reply = cast.get("satu.json", method="POST", body=body, content_type=FORM, content_encoding=encoding)
    assert_problem(reply, kind)
    assert reply.headers.get("accept-encoding") == ("gzip, deflate" if kind is faults.BODY_ENCODING else None)


def test_a_body_that_is_shorter_than_it_says(cast: Cast) -> None:
    reply = cast.get("satu.json", method="POST", body="id=7", content_type=FORM, content_length="40")
    assert_problem(reply, faults.BODY_INVALID)


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "nonsense"])
def test_unacceptable(cast: Cast, accept: str) -> None:
    reply = cast.get("satu", "id=7", accept=accept)
    assert_problem(reply, faults.NOT_ACCEPTABLE)


def test_broken_sql(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    cast.operation("rusak", "SELECT kolom_rahasia FROM tabel_rahasia")
    reply = cast.get("rusak.json")
    assert_problem(reply, faults.QUERY_FAILED)
    assert "rahasia" not in reply.text + caplog.text


def test_a_declared_column_that_the_sql_does_not_give(cast: Cast) -> None:
    Field.objects.create(operation=cast.operations["satu"], name="npns")
    holder.refresh()
    reply = cast.get("satu.json", "id=7")
    assert_problem(reply, faults.FIELD_MISSING)
    assert "npns" in reply.json()["detail"]


def test_blocks_that_are_harmless_together_only(cast: Cast) -> None:
    sql = "SELECT id AS z [[ , :a AS q, load_extension ]] [[ , :b AS r, abs ]] [[ (2) AS x, :c AS e ]] FROM orang"
    cast.operation(
        "gabung", sql, max_rows=1, parameters=tuple({"name": name, "required": False} for name in ("a", "b", "c"))
    )
    assert cast.get("gabung.json", "b=1&c=1").status == 200
    assert_problem(cast.get("gabung.json", "a=1&c=1"), faults.DEFINITION_BROKEN)


def test_what_a_format_did_not_foresee_is_on_record(cast: Cast) -> None:
    cast.operation("dalam", "SELECT :isi AS isi", parameters=({"name": "isi"},))
    Field.objects.create(operation=cast.operations["dalam"], name="isi", type="json")
    holder.refresh()
    deep = "[" * 900 + "]" * 900
    for suffix in ("php", "phpa", "json", "xml"):
        reply = cast.get(f"dalam.{suffix}", method="POST", body=f"isi={deep}", content_type=FORM)
        assert ends_of(reply.headers["x-request-id"])
        assert reply.body


def test_dead_database(cast: Cast) -> None:
    cast.source.database = cast.source.database.replace("uji", "hilang")
    cast.source.save()
    holder.refresh()
    reply = cast.get("satu.json", "id=7")
    assert_problem(reply, faults.SOURCE_UNREACHABLE)
    assert "hilang" not in reply.text


def test_slow_database(cast: Cast) -> None:
    cast.operation(
        "lambat",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        timeout_ms=200,
    )
    reply = cast.get("lambat.json")
    assert_problem(reply, faults.SOURCE_TIMEOUT)


def test_a_source_that_breaks_in_the_middle_breaks_the_transfer(cast: Cast) -> None:
    cast.operation(
        "putus",
        "SELECT id, nama, CASE WHEN id = 2000 THEN abs(-9223372036854775808) ELSE 0 END AS x FROM orang",
    )
    for suffix in ("json", "xml", "csv", "ndjson"):
        reply = cast.get(f"putus.{suffix}")
        assert reply.status == 200
        assert reply.broke is not None
        (end,) = ends_of(reply.headers["x-request-id"])
        assert end["broken"] is True
        assert end["code"] == faults.QUERY_FAILED.code


def test_a_client_that_leaves_is_recorded(cast: Cast) -> None:
    from mantra.wsgi import application

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/rest/prov/data/semua.json",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_ACCESSKEY": cast.key,
        "wsgi.input": io.BytesIO(),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    headers: dict[str, str] = {}
    chunks = application(environ, lambda status, fields: headers.update(fields))
    next(iter(chunks))
    chunks.close()  # type: ignore[attr-defined]
    (end,) = ends_of(headers["X-Request-Id"])
    assert end["broken"] is True


def test_no_record_no_answer(cast: Cast, settings: Any, tmp_path: Any) -> None:
    from registry.journal import segments

    segments.close()
    settings.JOURNAL_DIR = tmp_path / "hilang"
    reply = cast.get("satu.json", "id=7")
    assert (reply.status, reply.json()["code"]) == (503, faults.JOURNAL_DOWN.code)
    assert reply.headers["retry-after"] == "5"
    legacy = call("/json/prov/data/satu/id=7", accesskey=cast.key)
    assert legacy.json()["response"]["code"] == faults.JOURNAL_DOWN.code


def test_call_before_the_registry_is_read_is_refused_with_503(cast: Cast) -> None:
    holder.forget()
    reply = cast.get("satu.json", "id=7")
    assert (reply.status, reply.json()["code"]) == (503, faults.NOT_READY.code)


_texts = st.text(max_size=30)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    protocol=st.sampled_from(
        [
            "/rest/prov/data/",
            "/json/prov/data/",
            "/mantra/api/",
            "/xml/",
            "/rest/",
            "/rest/prov/data/cari?",
            "/rest/prov/data/satu.json?id=",
        ]
    ),
    rest=st.text(st.characters(blacklist_characters="?#"), max_size=60)
    | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", "X"]),
    body=st.binary(max_size=60),
    content_type=st.sampled_from(["application/json", FORM, "text/plain", "", "multipart/form-data"]),
    accept=st.sampled_from(["*/*", "application/json", "text/csv;q=x", "a,b,c"]) | _texts,
    keyed=st.booleans(),
)
def test_whatever_is_sent_no_500_and_no_driver_text(
    cast: Cast, protocol: str, rest: str, method: str, body: bytes, content_type: str, accept: str, keyed: bool
) -> None:
    from urllib.parse import quote

    reply = call(
        protocol + quote(rest, safe="/=&+%;.", errors="surrogatepass"),
        method,
        body,
        content_type=content_type,
        accept=accept,
        **({"accesskey": cast.key} if keyed else {}),
    )
    assert reply.status != 500, reply.body
    assert reply.broke is None
    for word in (b"sqlite", b"Traceback", b"no such", b"SELECT", b"orang"):
        assert word not in reply.body
