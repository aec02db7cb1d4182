"""Stops: each kind, over each protocol, before a response and while it is sent; who may stop, and release again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError

from dataservices import runner
from mantra.gateway import serve
from mantra.gateway.recording import StreamedBody
from registry import containment, versions
from registry.calls import Call
from registry.models import Agency, Grant, Operation, RegistryChange, SnapshotVersion, Stop, User
from registry.results import Result
from registry.snapshot import holder, parts
from tests.cast import Cast, call, ends_of

pytestmark = pytest.mark.django_db

STOPPED = 11401


def objects(cast: Cast, operation: str = "satu") -> dict[str, int]:
    """The ids of all that takes part in a call."""
    return {
        "key": cast.key_row.pk,
        "grant": cast.grants[operation].pk,
        "application": cast.application.pk,
        "operation": cast.operations[operation].pk,
        "source": cast.source.pk,
        "agency": cast.provider.pk,
        "all": 0,
    }


def user_of(role: str, agency: Agency | None, name: str = "") -> User:
    user = User.objects.create_user(name or f"{role}-{agency}".lower(), agency=agency)
    user.groups.add(Group.objects.get(name=role))
    return user


@pytest.mark.parametrize("kind", ["key", "grant", "application", "operation", "source", "agency", "all"])
def test_a_stop_shuts_out_calls_until_it_is_released(cast: Cast, kind: str) -> None:
    assert cast.get("satu", "id=1").status == 200
    stop = containment.stop(kind, objects(cast)[kind], "Kebocoran")
    holder.refresh()
    refused = cast.get("satu", "id=1")
    assert (refused.status, refused.json()["code"]) == (403, STOPPED)
    assert "retry-after" not in refused.headers
    assert b"Orang" not in refused.body
    (end,) = ends_of(refused.headers["x-request-id"])
    assert end["code"] == STOPPED
    assert end["by"][2] == cast.key_row.public  # who tried is on record
    containment.release(stop, "Sudah diperbaiki")
    holder.refresh()
    assert cast.get("satu", "id=1").status == 200


def test_the_callers_agency_can_be_stopped_too(cast: Cast) -> None:
    containment.stop("agency", cast.consumer.pk, "Kebocoran")
    holder.refresh()
    assert cast.get("satu", "id=1").json()["code"] == STOPPED


def test_a_stop_leaves_others_alone(cast: Cast) -> None:
    containment.stop("grant", cast.grants["satu"].pk, "Kebocoran")
    containment.stop("operation", cast.operations["cari"].pk, "Kebocoran")
    containment.stop("agency", cast.stranger.pk, "Kebocoran")
    holder.refresh()
    assert cast.get("semua").status == 200
    assert cast.get("satu", "id=1").status == 403
    assert cast.get("cari", "nama=x").status == 403


@pytest.mark.parametrize("kind", ["operation", "source", "agency", "all"])
def test_open_operations_are_stopped_without_a_key(cast: Cast, kind: str) -> None:
    assert call("/rest/prov/data/terbuka").status == 200
    containment.stop(kind, objects(cast, "terbuka")[kind], "Kebocoran")
    holder.refresh()
    assert call("/rest/prov/data/terbuka").json()["code"] == STOPPED


def test_without_a_key_a_stop_is_told_before_the_missing_key(cast: Cast) -> None:
    containment.stop("operation", cast.operations["satu"].pk, "Kebocoran")
    holder.refresh()
    assert call("/rest/prov/data/satu?id=1").json()["code"] == STOPPED


def test_soap_and_the_legacy_wire_say_it_in_their_own_form(cast: Cast) -> None:
    containment.stop("application", cast.application.pk, "Kebocoran")
    holder.refresh()
    envelope = (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        '<satu xmlns="urn:mantra:prov:data"><id>1</id></satu></soap:Body></soap:Envelope>'
    )
    soap = call("/soap/prov/data", "POST", envelope, content_type="text/xml", accesskey=cast.key)
    assert b"11401" in soap.body
    assert b"Orang 1" not in soap.body
    legacy = call("/mantra/json/prov/data/satu", "POST", "id=1", accesskey=cast.key)
    assert b"11401" in legacy.body
    assert b"Orang 1" not in legacy.body


def test_a_response_under_way_is_cut(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large response nothing goes out after the piece that was being sent when it was stopped."""
    whole = cast.get("semua", accept="application/x-ndjson").body
    taken = StreamedBody.__next__
    pieces: list[bytes] = []

    def stopping(body: StreamedBody) -> bytes:
        piece = taken(body)
        pieces.append(piece)
        if len(pieces) == 1:
            containment.stop("key", cast.key_row.pk, "Kebocoran")
            holder.refresh()
        return piece

    monkeypatch.setattr(StreamedBody, "__next__", stopping)
    cut = cast.get("semua", accept="application/x-ndjson")
    assert cut.broke is not None
    assert cut.body == pieces[0]
    assert 0 < len(cut.body) < len(whole)
    (end,) = ends_of(cut.headers["x-request-id"])
    assert (end["code"], end["broken"], end["bytes"]) == (STOPPED, True, len(cut.body))


def test_what_was_fetched_before_a_stop_is_not_sent_after_it(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(call: Call) -> Result:
        result = runner.run(call)
        containment.stop("source", cast.source.pk, "Kebocoran")
        holder.refresh()
        return result

    monkeypatch.setitem(serve.RUNNERS, "data", slow)
    refused = cast.get("satu", "id=1")
    assert (refused.status, refused.json()["code"]) == (403, STOPPED)
    assert b"Orang" not in refused.body


# ------------------------------------------------------------------------------ the snapshot


def test_a_stop_does_not_wait_for_a_large_change(cast: Cast) -> None:
    RegistryChange.note(SnapshotVersion.bump(), "", None)  # everything is compared again
    for operation in cast.operations.values():
        Operation.objects.filter(pk=operation.pk).update(title="Lain")
    containment.stop("key", cast.key_row.pk, "Kebocoran")
    loader = holder._holder.loader
    loader.take_stops()
    assert loader.snapshot is not None
    assert ("key", cast.key_row.pk) in loader.snapshot.stops
    assert loader.snapshot.operation("prov", "data", "satu").title == ""  # type: ignore[union-attr]


def test_a_stop_is_in_force_although_another_change_cannot_be_prepared(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise ValueError("a row of another agency")

    monkeypatch.setattr(type(holder._holder.loader), "step", broken)
    containment.stop("operation", cast.operations["satu"].pk, "Kebocoran")
    with pytest.raises(ValueError, match="another agency"):
        holder.refresh()
    assert cast.get("satu", "id=1").json()["code"] == STOPPED


def test_a_version_that_nginx_hears_of_has_its_stops(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that is committed between the two reads must not be left out of the version that is reported."""
    loader = holder._holder.loader
    original: Callable[[], int] = SnapshotVersion.current
    reads: list[int] = []

    def current() -> int:
        reads.append(original())
        if len(reads) == 2:
            containment.stop("all", 0, "Kebocoran")
            return original()
        return reads[-1]

    monkeypatch.setattr(SnapshotVersion, "current", current)
    loader.take_stops()
    loader.poll()
    assert loader.version == original()
    assert loader.snapshot is not None
    assert ("all", 0) in loader.snapshot.stops


# ------------------------------------------------------------------------------ who may


@pytest.mark.parametrize(
    ("role", "agency", "allowed"),
    [
        ("Administrator", None, {"key", "grant", "application", "operation", "source", "agency", "all"}),
        ("Supervisor", None, set()),
        ("Head", "provider", set()),
        ("Provider", "provider", {"grant", "operation", "source"}),
        ("Publisher", "provider", set()),  # of a data operation and its grants
        ("Requester", "consumer", {"key", "application"}),
        ("Provider", "consumer", set()),
        ("Provider", "stranger", set()),
        ("Requester", "stranger", set()),
    ],
)
def test_who_may_stop_what(cast: Cast, role: str, agency: str | None, allowed: set[str]) -> None:
    user = user_of(role, getattr(cast, agency) if agency else None)
    for kind, pk in objects(cast).items():
        if kind in allowed:
            assert containment.stop(kind, pk, "Kebocoran", by=user).is_in_force
        else:
            with pytest.raises(PermissionDenied):
                containment.stop(kind, pk, "Kebocoran", by=user)
    assert Stop.in_force().count() == len(allowed)


def test_an_agency_cannot_release_what_administrators_have_stopped(cast: Cast) -> None:
    administrator, provider = user_of("Administrator", None), user_of("Provider", cast.provider)
    own = containment.stop("operation", cast.operations["satu"].pk, "Sendiri", by=provider)
    above = containment.stop("operation", cast.operations["satu"].pk, "Administrator", by=administrator)
    assert own.pk != above.pk
    with pytest.raises(PermissionDenied):
        containment.release(above, "Tidak apa-apa", by=provider)
    containment.release(own, "Sudah", by=provider)
    holder.refresh()
    assert cast.get("satu", "id=1").json()["code"] == STOPPED
    containment.release(above, "Sudah", by=administrator)
    holder.refresh()
    assert cast.get("satu", "id=1").status == 200


def test_another_agency_releases_nothing(cast: Cast) -> None:
    stop = containment.stop("operation", cast.operations["satu"].pk, "Sendiri", by=user_of("Provider", cast.provider))
    for agency in (cast.stranger, cast.consumer):
        with pytest.raises(PermissionDenied):
            containment.release(stop, "Tidak apa-apa", by=user_of("Provider", agency))


def test_what_a_rule_has_stopped_its_own_agency_releases(cast: Cast) -> None:
    stop = containment.stop("grant", cast.grants["satu"].pk, "Pemanenan")
    assert (stop.origin, stop.agency) == ("rule", cast.provider)
    containment.release(stop, "Sudah diperiksa", by=user_of("Provider", cast.provider), checks=("grants", "none"))
    stop.refresh_from_db()
    assert (stop.checks, stop.is_in_force) == ("grants", False)


def test_stopping_twice_makes_one_stop(cast: Cast) -> None:
    first = containment.stop("key", cast.key_row.pk, "Kebocoran")
    assert containment.stop("key", cast.key_row.pk, "Lagi") == first


@pytest.mark.parametrize(("kind", "pk"), [("key", 10**12), ("nonsense", 1), ("operation", 0)])
def test_there_must_be_something_to_stop(cast: Cast, kind: str, pk: int) -> None:
    with pytest.raises(ValidationError):
        containment.stop(kind, pk, "Kebocoran")


def test_a_reason_is_required_both_times(cast: Cast) -> None:
    with pytest.raises(ValidationError):
        containment.stop("all", 0, "   ")
    stop = containment.stop("all", 0, "Kebocoran")
    with pytest.raises(ValidationError):
        containment.release(stop, " ")
    containment.release(stop, "Sudah")
    with pytest.raises(ValidationError):
        containment.release(stop, "Sudah")


def test_an_agencys_stops_are_counted_and_those_of_others_are_not(cast: Cast, settings: Any) -> None:
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "stops": 1}
    provider = user_of("Provider", cast.provider)
    containment.stop("operation", cast.operations["satu"].pk, "Kebocoran", by=provider)
    with pytest.raises(ValidationError):
        containment.stop("operation", cast.operations["cari"].pk, "Kebocoran", by=provider)
    containment.stop("all", 0, "Kebocoran", by=user_of("Administrator", None))
    containment.stop("key", cast.key_row.pk, "Kebocoran", by=user_of("Requester", cast.consumer))


def test_a_grant_is_named_by_both_sides(cast: Cast) -> None:
    grant = Grant.objects.get(pk=cast.grants["satu"].pk)
    assert containment.target_of_row(grant).name == "kons/app → prov/data/satu"


def test_a_draft_beside_a_stopped_operation_is_stopped_too(cast: Cast) -> None:
    """Its author could read the same data by trying it."""
    row = cast.operations["satu"]
    draft = versions.open_draft(row, user_of("Provider", cast.provider))
    prepared = parts.operation(draft.pk)
    assert prepared is not None
    containment.stop("operation", row.pk, "Kebocoran")
    snapshot = holder.refresh()
    assert snapshot.stop_of(prepared) == ("operation", row.pk)
