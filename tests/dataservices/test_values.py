"""Values of a data call: what is bound, and what comes back, through the gateway and a real source."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from adapters import adapter_class
from adapters.base import Limits
from dataservices.models import DataOperation, DataSource
from registry.snapshot import holder
from tests.cast import Cast, call

EIGHT_IN_JAKARTA = ["2026-01-31T08:00:00%2B07:00", "2026-01-31T01:00:00Z", "2026-01-30T20:00:00-05:00"]


@pytest.mark.parametrize("value", [*EIGHT_IN_JAKARTA, "2026-01-31T08:00:00", "2026-01-31 08:00:00"])
def test_b03_a_source_without_a_zone_has_the_bus_s(cast: Cast, value: str) -> None:
    cast.operation("waktu", "SELECT :s AS s", parameters=({"name": "s", "type": "datetime"},))
    assert cast.get("waktu.json", f"s={value}").json()["data"] == [{"s": "2026-01-31 08:00:00"}]


def test_b03_the_option_of_the_source_names_its_zone(cast: Cast) -> None:
    source = DataSource(
        agency=cast.provider,
        code="timur",
        engine="sqlite",
        database=cast.source.database,
        options={"timezone": "Asia/Jayapura"},
    )
    source.full_clean()
    source.save()
    cast.operation("waktu", "SELECT :s AS s", source=source, parameters=({"name": "s", "type": "datetime"},))
    for value in EIGHT_IN_JAKARTA:
        assert cast.get("waktu.json", f"s={value}").json()["data"] == [{"s": "2026-01-31 10:00:00"}]


def test_b03_a_moment_outside_of_the_calendar_is_the_callers_fault(cast: Cast) -> None:
    cast.operation("waktu", "SELECT :s AS s", parameters=({"name": "s", "type": "datetime"},))
    reply = cast.get("waktu.json", "s=0001-01-01T00:00:00%2B14:00")
    assert (reply.status, reply.json()["code"]) == (400, 11102)
    assert " s " in reply.json()["title"] + reply.json()["detail"]


@pytest.mark.parametrize("protocol", ["rest", "soap"])
@pytest.mark.parametrize("number", ["99999999999999999999", str(2**63), str(-(2**63) - 1)])
def test_f18_an_integer_beyond_64_bits_is_the_callers_fault_on_sqlite(cast: Cast, protocol: str, number: str) -> None:
    if protocol == "rest":
        reply = cast.get("satu.json", f"id={number}")
        assert (reply.status, reply.json()["code"], reply.json()["party"]) == (400, 11102, "caller")
        assert "parameter id " in reply.json()["detail"]
        return
    body = (
        f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><satu xmlns="urn:mantra:prov:data">'
        f"<id>{number}</id></satu></e:Body></e:Envelope>"
    )
    reply = call("/soap/prov/data", "POST", body, accesskey=cast.key, content_type="text/xml; charset=utf-8")
    assert b"<m:code>11102</m:code>" in reply.body


def test_f18_the_largest_integers_of_64_bits_are_values(cast: Cast) -> None:
    for number in (2**63 - 1, -(2**63)):
        assert cast.get("satu.json", f"id={number}").json()["count"] == 0


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_f18_a_number_that_a_column_cannot_hold_is_the_callers_fault(
    cast: Cast, engine: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(engine)
    adapter = adapter_class(server.source()["engine"])(server.source())
    connection = adapter.connect(writes=True)
    for statement in ("DROP TABLE IF EXISTS sempit", "CREATE TABLE sempit (a smallint)"):
        adapter.run(connection, statement, {}, Limits(1, 10, writes=True))
    connection.close()
    source = DataSource(agency=cast.provider, code="server", **server.source())
    source.full_clean()
    source.save()
    integer = ({"name": "n", "type": "integer"},)
    cast.operation("simpan", "INSERT INTO sempit (a) VALUES (:n)", source=source, writes=True, parameters=integer)
    form = "application/x-www-form-urlencoded"
    reply = call("/rest/prov/data/simpan.json", "POST", "n=40000", accesskey=cast.key, content_type=form)
    assert (reply.status, reply.json()["code"]) == (400, 11102)
    # Without a number of the caller's the arithmetic of the provider is wrong.
    big = "CAST(9223372036854775807 AS bigint)" if engine == "postgresql" else "9223372036854775807"
    cast.operation("kali", f"SELECT {big} + {big} AS x", source=source)
    assert cast.get("kali.json").json()["code"] == 11202


def test_a_timeout_has_a_maximum_for_each_engine(cast: Cast) -> None:
    cast.operation("sepuluh", "SELECT 1 AS a", timeout_ms=600_000)
    with pytest.raises(ValidationError) as error:
        cast.operation("lebih", "SELECT 1 AS a", timeout_ms=600_001)
    assert set(error.value.message_dict) == {"timeout_ms"}
    # One from before the rule keeps it when it runs.
    DataOperation.objects.filter(code="sepuluh").update(timeout_ms=3_000_000)
    holder.refresh()
    plan = holder.current().operation("prov", "data", "sepuluh").plan
    assert plan.limits.seconds == 600


def test_values_over_the_limit_of_a_statement_say_the_limit(cast: Cast) -> None:
    cast.operation("rapi", "SELECT trim(group_concat(nama || nama), 'x' || max(nama)) AS a FROM orang")
    reply = cast.get("rapi.json")
    assert reply.json()["code"] == 11215
    assert " 0.02" in reply.json()["detail"]
