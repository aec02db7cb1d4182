"""Attacks that once worked. Each of these must fail for good."""

from __future__ import annotations

import base64
import time
from datetime import date
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from proxyservices.models import ProxyOperation
from registry import parameter_values, tenancy
from registry.journal import shipping
from registry.models import AccessKey, Agency, CallRecord, Grant, Parameter
from registry.snapshot import holder, parts
from tests.api.conftest import Person, person
from tests.bounds import assert_within
from tests.cast import Cast

ROOT = Path(__file__).resolve().parent.parent.parent


def browser(somebody: Person) -> Client:
    """The admin, signed in."""
    somebody.user.is_staff = True
    somebody.user.save()
    client = Client()
    client.force_login(somebody.user)
    return client


# -------------------------------------------------------------------------- one row against all others


def test_no_date_of_a_grant_keeps_a_revoked_key_alive(cast: Cast) -> None:
    provider = person("Provider", cast.provider)
    grant = cast.grants["satu"]
    made = provider.patch(f"grants/{grant.pk}/", {"valid_from": "0001-01-01", "valid_until": "9999-12-31"})
    assert made.status_code == 200
    holder.refresh()
    assert cast.get("satu", "id=1").status == 200
    cast.key_row.revoke()
    holder.refresh()
    assert cast.get("satu", "id=1").status == 401


def test_a_row_that_cannot_be_read_opens_nothing_and_stops_nothing(cast: Cast) -> None:
    """Networks that no form would have taken, as a database edited by hand may hold them."""
    Grant.objects.filter(pk=cast.grants["satu"].pk).update(networks="10.0.0.0/99")
    _row, other = AccessKey.issue(cast.application)
    AccessKey.objects.filter(application=cast.application).exclude(pk=cast.key_row.pk).update(networks="x")
    holder.refresh()
    assert cast.get("satu", "id=1").status == 403
    assert cast.get("semua").status == 200
    assert cast.get("semua", accesskey=other).status == 401


@pytest.mark.parametrize(("told", "kept"), [("fe80::1%eth0", "fe80::1"), ("10.1.2.3", "10.1.2.3"), ("unix:", None)])
def test_no_address_stops_the_history(cast: Cast, told: str, kept: str | None) -> None:
    """PostgreSQL takes no zone in an address: one call from a neighbour would have held up all shipping."""
    reply = cast.get("satu", "id=1", address=told)
    shipping.ship()
    assert CallRecord.objects.get(request_id=reply.headers["x-request-id"]).client_ip == kept


# --------------------------------------------------------------------------------- few bytes, much work


@pytest.mark.parametrize("number", ["1e-999999999", "1e-99999", "-1.5e-20000000"])
def test_a_short_number_is_not_written_out_in_full(cast: Cast, number: str) -> None:
    cast.operation("gema", "SELECT :teks AS teks", parameters=({"name": "teks"},))
    began = time.monotonic()
    body = f'{{"teks": {number}}}'
    reply = cast.get("gema", method="POST", body=body, content_type="application/json")
    assert reply.status == 400
    assert reply.json()["code"] == 11102
    assert_within(0.5, began)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|aa)*b",
        "(a|a)+b",
        "(?=(a*)*b)",
        "(x|y(a+)+)",
        "(a{0,9}){0,9}b",
        "(a?){30}",
        "a?" * 25 + "a" * 25,
        "(?:a|aa)" * 30,
        "a*a*a*a*a*b",
        "(a)+?(a+)*b",
    ],
)
def test_a_pattern_that_could_run_for_ever_is_refused(cast: Cast, pattern: str) -> None:
    provider = person("Provider", cast.provider)
    row = {"name": "id", "pattern": pattern, "default": "a" * 40}
    answer = provider.patch(f"operations/{cast.operations['satu'].pk}/", {"parameters": [row]})
    assert answer.status_code == 400
    assert "pattern" in answer.json()["parameters"][0]
    # And one that is stored already runs no more.
    Parameter.objects.filter(operation=cast.operations["satu"]).update(pattern=pattern)
    holder.refresh()
    assert cast.get("satu", "id=1").json()["code"] == 11208
    assert cast.get("semua").status == 200


@pytest.mark.parametrize(
    ("pattern", "fine"),
    [
        ("[0-9]{10}", "0123456789"),
        (r"(\d{1,3}\.){3}\d{1,3}", "10.1.200.3"),
        (r"[^@]+@[^@]+\.[^@]+", "a@b.go.id"),
        ("(?i)jawa|bali|sumatera", "Bali"),
        (r"[A-Z]{2,3}-\d+(/\d+)?", "SK-12/34"),
    ],
)
def test_plain_patterns_stay(pattern: str, fine: str) -> None:
    assert parameter_values.ParameterParser("text", pattern)(fine) == fine


@pytest.mark.parametrize("pattern", ["a*a*a*a*b", "a*a*b", "a*b", "a?" * 22 + "a" * 22])
def test_the_worst_pattern_that_is_taken_is_done_soon(pattern: str) -> None:
    found, length = parameter_values.compiled(pattern)
    began = time.monotonic()
    assert found.fullmatch("a" * length) is None
    assert_within(3, began)
    with pytest.raises(parameter_values.InvalidValue):
        parameter_values.ParameterParser("text", pattern)("a" * (length + 1))


# ---------------------------------------------------------------------------------------- whose book


def test_publisher_cannot_grant_data_operations(cast: Cast) -> None:
    publisher = person("Publisher", cast.provider)
    grant = cast.grants["satu"]
    address = f"grants/{grant.pk}/"
    assert publisher.get(address).status_code == 200
    assert publisher.patch(address, {"quota": "1/day"}).status_code == 403
    assert publisher.post(address + "revoke/").status_code == 403
    assert publisher.delete(address).status_code == 403
    grant.delete()
    wanted = {"application": "kons/app", "operation": "prov/data/satu", "purpose": "x"}
    assert publisher.post("grants/", wanted).status_code == 400
    assert not tenancy.may_change(publisher.user, grant)
    proxy = ProxyOperation.objects.create(service=cast.service, code="alias", path="x")
    assert publisher.post("grants/", {**wanted, "operation": "prov/data/alias"}).status_code == 201
    provider = person("Provider", cast.provider)
    assert not tenancy.may_change(provider.user, proxy.grants.get())
    assert provider.post("grants/", wanted).status_code == 201


def test_a_publisher_grants_no_data_in_the_admin_either(cast: Cast) -> None:
    client = browser(person("Publisher", cast.provider))
    cast.grants["satu"].delete()
    form = {"application": cast.application.pk, "operation": cast.operations["satu"].pk, "purpose": "x"}
    answer = client.post("/admin/registry/grant/add/", form)
    assert answer.status_code == 200
    assert not Grant.objects.filter(operation=cast.operations["satu"]).exists()


@pytest.mark.parametrize(
    "page",
    [
        "registry/accesskey/?digest__startswith=1",
        "registry/apitoken/?digest__contains=a",
        "registry/user/?password__startswith=p",
        "dataservices/datasource/?password__isnull=False",
    ],
)
def test_no_filter_feels_out_what_no_page_shows(cast: Cast, page: str) -> None:
    assert browser(person("Administrator", None)).get(f"/admin/{page}").status_code == 400


# ------------------------------------------------------------------------------- words of others


def test_a_providers_words_are_no_html_in_the_try_panel(cast: Cast) -> None:
    evil = "<img src=x onerror=alert(1)>"
    operation = cast.operation(
        "jahat",
        f"SELECT '{evil}' AS \"{evil}\", :p AS p",
        title=evil,
        parameters=({"name": "p", "description": evil, "default": evil},),
    )
    client = browser(person("Administrator", None))
    for answer in (
        client.get(f"/admin/try/{operation.pk}/"),
        client.post(f"/admin/try/{operation.pk}/", {"p_p": evil}),
        client.get(f"/admin/dataservices/dataoperation/{operation.pk}/change/"),
    ):
        assert answer.status_code == 200
        assert evil not in answer.content.decode()
        assert "&lt;img src=x" in answer.content.decode()


@pytest.mark.parametrize("name", ["MANTRA_SECRET_KEY", "MANTRA_JOURNAL_KEY", "MANTRA_FIELD_KEYS_FILE"])
def test_a_bundle_does_not_get_at_the_buss_own_secrets(db: None, name: str, tmp_path: Path) -> None:
    around = Environment({name: "rahasia-sekali"}, tmp_path)
    for host, password in (("${" + name + "}", ""), ("jahat.example", f"env:{name}")):
        text = (
            "agencies: [{code: x, name: y}]\nsources: [{agency: x, code: s, engine: postgresql, database: d, user: u, "
            f'host: "{host}", password: "{password}"}}]'
        )
        report = apply(text, around)
        assert report.problems
        assert "rahasia-sekali" not in str(report) + str(report.problems)
        assert not Agency.objects.exists()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("until=9999-12-31T23:59:59-12:00", 400),
        ("since=0001-01-01T00:00:00%2B14:00", 400),
        (f"cursor={base64.b64encode(b'p=besok').decode()}", 404),
    ],
)
def test_odd_moments_are_the_callers_fault(cast: Cast, query: str, status: int) -> None:
    assert person("Provider", cast.provider).get(f"calls/?{query}").status_code == status


def test_the_historys_pages_still_turn(cast: Cast) -> None:
    CallRecord.objects.bulk_create(
        CallRecord(request_id=f"{n:032x}", started_at=timezone.now(), agency="prov") for n in range(3)
    )
    provider = person("Provider", cast.provider)
    first = provider.get("calls/?page_size=2").json()
    second = provider.get("calls/?" + first["next"].partition("?")[2]).json()
    assert len(first["results"]) + len(second["results"]) == 3


def test_an_odd_outcome_in_the_admin(cast: Cast) -> None:
    client = browser(person("Provider", cast.provider))
    assert client.get("/admin/registry/callrecord/?outcome_is=%C2%B2").status_code == 200


# --------------------------------------------------------------------------------- callers who stall


@pytest.mark.parametrize(("last", "ends"), [(None, True), (date.max, True), (date(9999, 12, 30), False)])
def test_the_calendars_last_day_never_ends(last: date | None, ends: bool) -> None:
    assert (parts._after(last) == float("inf")) is ends
