"""Values of a data call: what is bound, and what comes back, through the gateway and a real source."""

from __future__ import annotations

import pytest

from dataservices.models import DataSource
from tests.cast import Cast

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
