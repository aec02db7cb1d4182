"""Keys of 1.99x with APP_ENC: their responses are base64, backwards, and clients of 1.99x unwrap all of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from mantra.gateway.fast_lane import fitness
from mantra.gateway.formats import wrapping
from registry import faults
from registry.journal import shipping
from registry.models import AccessKey, CallRecord
from registry.results import Fault
from registry.snapshot import holder
from tests.cast import Cast, Reply, call
from tests.client_code.running import served
from tests.client_code.test_adapter import STREAMS, STYLES, run
from tests.definitions.test_apply import fine, problems
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.signatures.test_requests import fitness_call

WRAPPED, PLAIN = "aaaaaaaaaa", "bbbbbbbbbb"
FORMATS = ("json", "xml", "api")


@pytest.fixture
def old(cast: Cast) -> Cast:
    """An operation with two keys: one wraps, one does not."""
    cast.operation("gema", "SELECT :a AS a, :b AS b", parameters=({"name": "a"}, {"name": "b"}))
    for key in (WRAPPED, PLAIN):
        AccessKey.import_legacy(cast.application, key, cast.operations["gema"])
    AccessKey.objects.filter(public="aa…").update(wrapped=True)
    holder.refresh()
    return cast


def unwrapped(reply: Reply) -> bytes:
    assert reply.headers["content-type"] == "text/plain;charset=UTF-8"
    return base64.b64decode(reply.body[::-1], validate=True)


@pytest.mark.parametrize("format", FORMATS)
def test_it_is_the_same_body_backwards_in_base64(old: Cast, format: str) -> None:
    address = f"/{format}/prov/data/gema/a=x%252Fy&b=%C3%A9"
    plain, wrapped = call(address, accesskey=PLAIN), call(address, accesskey=WRAPPED)
    assert plain.body != wrapped.body == base64.b64encode(plain.body)[::-1]
    assert int(wrapped.headers["content-length"]) == len(wrapped.body)
    shipping.ship()
    assert [record.bytes for record in CallRecord.objects.order_by("id")] == [len(plain.body), len(wrapped.body)]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("gema/a=1", 10005),
        ("satu/id=7", 10002),  # the key of another operation
        ("tidak-ada/id=7", 10002),
        ("", 10002),
    ],
)
def test_refusals_are_wrapped_too(old: Cast, format: str, path: str, code: int) -> None:
    address = f"/{format}/prov/data/{path}"
    found = unwrapped(call(address, accesskey=WRAPPED))
    assert str(code).encode() in found
    assert found == call(address, accesskey=PLAIN).body
    assert call(address, accesskey="cccccccccc").body[:1] in b"{<a"  # an unknown key wraps nothing


def test_a_defect_and_a_key_in_the_address_are_wrapped(old: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = unwrapped(call(f"/api/prov/data/gema/{WRAPPED}/a=1&b=2"))
    assert str(faults.KEY_IN_PATH.code).encode() in refused
    AccessKey.objects.filter(public="aa…").update(in_path=True)
    holder.refresh()
    assert b"<a>1</a>" in unwrapped(call(f"/api/prov/data/gema/{WRAPPED}/a=1&b=2"))
    assert b"<a>1</a>" in unwrapped(call(f"/xml/{WRAPPED}/prov/data/gema/a=1&b=2"))
    monkeypatch.setattr("mantra.gateway.formats.legacy.LegacyJson.render", lambda *_: 1 / 0)
    broken = unwrapped(call("/json/prov/data/gema/a=1&b=2", accesskey=WRAPPED))
    assert str(faults.INTERNAL.code).encode() in broken


def test_other_protocols_are_not_wrapped(old: Cast) -> None:
    assert old.get("gema", "a=1&b=2", accesskey=WRAPPED).json()["data"] == [{"a": "1", "b": "2"}]


def test_a_document_of_an_upstream_is_wrapped(old: Cast) -> None:
    with serve_upstream(Answer(b'{"pesan": "Terima kasih"}')) as upstream:
        row = publish_proxy(old, upstream.url, style="legacy-get", code="hulu", path="/x")
        AccessKey.import_legacy(old.application, "dddddddddd", row)
        AccessKey.objects.filter(public="dd…").update(wrapped=True)
        holder.refresh()
        assert b"Terima kasih" in unwrapped(call("/json/prov/data/hulu", accesskey="dddddddddd"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_large_result_is_wrapped_in_pieces(old: Cast, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old.operation("semua-orang", "SELECT id, nama, unit FROM orang ORDER BY id")
    for key, wraps in (("eeeeeeeeee", True), ("ffffffffff", False)):
        AccessKey.import_legacy(old.application, key, old.operations["semua-orang"])
        AccessKey.objects.filter(public=f"{key[:2]}…").update(wrapped=wraps)
    holder.refresh()
    monkeypatch.setattr(wrapping, "SPOOL", 1000)
    monkeypatch.setattr(wrapping, "PIECE", 3 * 700)
    address = f"/{format}/prov/data/semua-orang"
    plain = call(address, accesskey="ffffffffff")
    wrapped = call(address, accesskey="eeeeeeeeee")
    assert len(plain.body) > 10_000
    assert unwrapped(wrapped) == plain.body
    assert call(address, "HEAD", accesskey="eeeeeeeeee").body == b""


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
def test_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(wrapping, "PIECE", 6)
    body = bytes(range(size))
    for chunks in ([body], [body[:1], body[1:]], [bytes((each,)) for each in body]):
        assert b"".join(wrapping.wrapped(chunks)) == base64.b64encode(body)[::-1] == wrapping.wrap(body)


def test_a_body_waits_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "SPOOL", 1000)
    names: list[Any] = []
    made = wrapping.SpooledTemporaryFile

    def noted(size: int) -> Any:
        spool = made(size)
        names.append(spool)
        return spool

    monkeypatch.setattr(wrapping, "SpooledTemporaryFile", noted)
    pieces = wrapping.wrapped([b"x" * 600, b"y" * 600])
    first = next(pieces)
    assert names[0]._rolled
    assert base64.b64decode((first + b"".join(pieces))[::-1]) == b"x" * 600 + b"y" * 600
    assert names[0].closed


def test_a_source_that_breaks_gives_a_whole_fault() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"{"
        raise Fault(faults.QUERY_FAILED, request_id="0")

    with pytest.raises(Fault):
        next(wrapping.wrapped(chunks()))


@pytest.mark.parametrize("php", [(), STREAMS], ids=["curl", "streams"])
def test_the_adapter_of_php_reads_it(old: Cast, tmp_path: Path, php: tuple[str, ...]) -> None:
    values = {"a": "Dinas 3 & é", "b": "x/y"}
    with served() as bus:
        ways = [(f"{bus}/mantra/{face}/prov/data", style) for face in FORMATS for style in STYLES]
        calls = [("callAPI", endpoint, "gema", WRAPPED, values, style) for endpoint, style in ways]
        refused = ("callAPI", f"{bus}/json/prov/data", "gema", WRAPPED, {"a": "1"})
        constants = {"APP_ENC": True, "MANTRA_SECONDS": 20}
        *results, failure, _printed = run(tmp_path, *calls, refused, php=php, **constants)
    for way, result in zip(ways, results, strict=True):
        rows = result["response"]["data"]["gema"]
        assert rows in ([values], {"0": values}, values), way
    assert failure["response"]["code"] == 10005


# ------------------------------------------------------------------------------------------- where it is set


def test_the_nginx_fast_lane_takes_no_such_key(cast: Cast) -> None:
    made = fitness_call()
    with serve_upstream(Answer(b"{}")) as upstream:
        operation = publish_proxy(cast, upstream.url)
        reasons = []
        for wraps in (False, True):
            AccessKey.objects.filter(pk=cast.key_row.pk).update(wrapped=wraps)
            holder.refresh()
            snapshot = holder.current()
            assert snapshot is not None
            made.operation = snapshot.operation("prov", "data", operation.code)
            made.key, made.grant = snapshot.key(cast.key), snapshot.grants[(cast.application.pk, operation.pk)]
            reasons.append(fitness.why_not_this(made))
    assert reasons == ["", "key"]


def test_a_signing_key_wraps_nothing(cast: Cast) -> None:
    with pytest.raises(ValidationError) as error:
        AccessKey.issue(cast.application, kind="signing", wrapped=True)
    assert list(error.value.message_dict) == ["wrapped"]
    key, _plain = AccessKey.issue(cast.application, wrapped=True)  # for an old program whose key leaked
    assert key.wrapped


BUNDLE = """
applications:
  - agency: kons
    code: app
    title: Aplikasi
    keys: [{legacy: aaaaaaaaaa, operation: prov/data/gema, wrapped: WRAPPED}]
"""


def test_a_bundle_sets_it(old: Cast) -> None:
    fine(BUNDLE.replace("WRAPPED", "false"))
    assert not AccessKey.objects.get(public="aa…").wrapped
    fine(BUNDLE.replace("WRAPPED", "true"))
    assert AccessKey.objects.get(public="aa…").wrapped
    assert not fine(BUNDLE.replace("WRAPPED", "true")).changes
    assert "keys[0].wrapped" in str(problems(BUNDLE.replace("WRAPPED", "mungkin")))
