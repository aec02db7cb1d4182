"""The health board: backends and sources, the worst first, each to those who may see it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dataservices import health as source_health
from dataservices import pool
from dataservices.models import DataSource, SourceState
from mantra.health import board as health_board
from mantra.health.findings import Finding
from proxyservices.models import Backend, BackendServer, ServerState
from registry.models import Agency
from tests.admin.conftest import MARKER, MarkedAgency, SignIn
from tests.cast import Cast

BOARD = "/admin/health/"


def backend(agency: Agency, code: str, **state: object) -> Backend:
    made = Backend.objects.create(agency=agency, code=code)
    server = BackendServer.objects.create(backend=made, url=f"https://{code}.go.id/")
    if state:
        ServerState.objects.create(server=server, observer="web:1", **state)
    return made


def shown(client: Client, *areas: str) -> list[Finding]:
    """Return the lines of a person's board, of some areas."""
    found = [line["finding"] for line in client.get(BOARD).context["lines"]]
    return [each for each in found if each.area in areas] if areas else found


def states(client: Client) -> list[tuple[str, str]]:
    return [(each.name.partition("/")[2], each.state) for each in shown(client, "sources", "backends")]


def test_the_worst_is_first_with_since_when_and_what_to_do(marked: MarkedAgency, sign_in: SignIn) -> None:
    BackendServer.objects.all().delete()
    Backend.objects.exclude(operations__isnull=False).delete()
    now = timezone.now()
    bad = {"healthy": False, "phase": "connect", "reason": "refused", "failed_at": now}
    backend(marked.agency, "sehat", since=now)
    backend(marked.agency, "keluar", since=now - timedelta(hours=2), **bad)
    backend(marked.agency, "putus", breaker="open", since=now - timedelta(minutes=5), **bad)
    SourceState.objects.create(
        source=marked.source, observer="web:1", failures=1, reason="refused", failed_at=now, since=now
    )
    found = states(sign_in("Administrator"))
    assert found[:4] == [
        (f"{MARKER}-sumber", "ill"), ("putus", "ill"), ("keluar", "ill"), ("sehat", "well"),
    ]  # fmt: skip
    client = sign_in("Supervisor")
    text = client.get(BOARD, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in text
    for word in ("https://putus.go.id/", "data-state", f"/admin/dataservices/datasource/{marked.source.pk}/change/"):
        assert word in text
    assert "-sumber" in client.get("/admin/").content.decode() or BOARD in client.get("/admin/").content.decode()


def test_each_sees_what_the_role_and_the_agency_allow(marked: MarkedAgency, stranger: Agency, sign_in: SignIn) -> None:
    kinds = {
        role: {each.area for each in shown(sign_in(role, marked.agency))}
        for role in ("Provider", "Publisher", "Supervisor")
    }
    assert {"sources"} <= kinds["Provider"] <= {"sources", "keys", "alarms"}
    assert {"backends"} <= kinds["Publisher"] <= {"backends", "keys", "alarms"}
    assert kinds["Supervisor"] >= {"sources", "backends", "disk", "journal", "worker", "mail"}
    assert sign_in("Requester", marked.agency).get(BOARD).status_code == 403
    for role in ("Provider", "Publisher"):
        assert MARKER not in sign_in(role, stranger).get(BOARD).content.decode()
    assert sign_in("Provider", marked.agency).post(BOARD).status_code == 405


def test_a_source_that_cannot_be_reached_is_told_and_comes_back(cast: Cast) -> None:
    for each in pool.source_pools():
        each.health.used = False  # by earlier tests
    broken = DataSource.objects.create(
        agency=cast.provider, code="mati", engine="postgresql", host="127.0.0.1", port=1, database="d", user="u"
    )
    cast.operation("mati", "SELECT 1 AS satu", source=broken)
    writer = source_health.StateWriter()
    writer.tick()
    assert not SourceState.objects.exists()  # nobody has called a source yet
    assert cast.get("mati").status == 502
    assert cast.get("satu", "id=1").status == 200
    writer.tick()
    found = source_health.live([broken.pk, cast.source.pk])
    assert (found[broken.pk].state, found[broken.pk].reason) == ("failing", "refused")
    assert (found[cast.source.pk].state, found[cast.source.pk].reason) == ("healthy", "")
    for _time in range(3):
        cast.get("mati")
    writer.tick()
    began = found[broken.pk].since
    assert source_health.live([broken.pk])[broken.pk].state == "open"
    assert source_health.live([broken.pk])[broken.pk].since == began
    each = next(each for each in pool.source_pools() if each.id == broken.pk)
    each.record_outcome(None)
    writer.tick()
    assert source_health.live([broken.pk])[broken.pk].state == "healthy"
    SourceState.objects.update(seen_at=timezone.now() - timedelta(seconds=source_health.STALE_AFTER + 1))
    assert source_health.live([broken.pk]) == {}
    source_health.StateWriter().tick()
    assert not SourceState.objects.filter(source=broken).exists()


@pytest.mark.django_db
def test_many_backends_are_read_in_few_queries(
    marked: MarkedAgency, sign_in: SignIn, django_assert_max_num_queries: object
) -> None:
    for number in range(health_board.MOST + 20):
        backend(marked.agency, f"b{number}", **({"healthy": False} if number < 3 else {}))
    client = sign_in("Publisher", marked.agency)
    with django_assert_max_num_queries(20):  # type: ignore[operator]
        response = client.get(BOARD)
    assert len(response.context["lines"]) == health_board.MOST
    worst = [line["finding"] for line in response.context["lines"][:3]]
    assert [(each.area, each.state) for each in worst] == [("backends", "ill")] * 3
