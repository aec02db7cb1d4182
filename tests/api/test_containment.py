"""Stops and incidents over the management API, as a monitor that watches at night uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry import containment, incidents
from registry.models import Agency, CallRecord, Notification, Stop, User
from registry.models.bounds import REASON
from registry.snapshot import holder
from tests.api.conftest import Person, person
from tests.cast import Cast
from tests.containment.test_pages import ROLES, record
from tests.containment.test_stops import STOPPED, objects

NAMES = {
    "key": "", "grant": "", "application": "kons/app", "operation": "prov/data/satu", "source": "prov/uji",
    "agency": "prov", "all": None,
}  # fmt: skip


def body(cast: Cast, kind: str, by: str = "target") -> dict[str, Any]:
    """What stops the cast's object of a kind, by its name or by its id."""
    found: dict[str, Any] = {"kind": kind, "reason": "Kunci bocor"}
    if kind == "all":
        return found
    names = NAMES | {"key": cast.key_row.public, "grant": str(cast.grants["satu"].pk)}
    return found | ({"target": names[kind]} if by == "target" else {"ref": objects(cast)[kind]})


def of(cast: Cast, role: str, agency: str, name: str = "") -> Person:
    return person(role, getattr(cast, agency) if agency else None, name)


def called(cast: Cast) -> int:
    """What a call of the operation gets now: 200, or the code of a fault."""
    holder.refresh()
    answer = cast.get("satu", "id=1")
    return 200 if answer.status == 200 else int(answer.json()["code"])


@pytest.mark.parametrize("by", ["target", "ref"])
@pytest.mark.parametrize("kind", ROLES)
def test_what_the_api_stops_is_refused_until_it_releases(cast: Cast, kind: str, by: str) -> None:
    monitor = of(cast, *ROLES[kind])
    made = monitor.post("stops/", body(cast, kind, by))
    assert made.status_code == 201, made.content
    shown = made.json()
    assert (shown["kind"], shown["ref"], shown["reason"]) == (kind, objects(cast)[kind], "Kunci bocor")
    assert (shown["origin"], shown["started_by"], shown["in_force"]) == ("user", monitor.user.username, True)
    assert called(cast) == STOPPED
    released = monitor.post(f"stops/{shown['id']}/release/", {"reason": "Kunci baru", "checks": ["key", "cause"]})
    assert released.status_code == 200, released.content
    shown = released.json()
    assert (shown["in_force"], shown["released_by"]) == (False, monitor.user.username)
    assert (shown["released_reason"], shown["checks"]) == ("Kunci baru", ["cause", "key"])
    assert called(cast) == 200


def test_the_same_stop_sent_twice_is_one(cast: Cast) -> None:
    monitor = of(cast, "Provider", "provider")
    first = monitor.post("stops/", body(cast, "operation"))
    again = monitor.post("stops/", body(cast, "operation", "ref"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert Stop.objects.count() == 1
    # The administrators' own is another one: the agency's people cannot release it.
    theirs = of(cast, "Administrator", "").post("stops/", body(cast, "operation"))
    assert (theirs.status_code, theirs.json()["agency"]) == (201, None)
    assert monitor.post(f"stops/{first.json()['id']}/release/", {"reason": "Aman"}).status_code == 200
    assert called(cast) == STOPPED
    assert monitor.post(f"stops/{theirs.json()['id']}/release/", {"reason": "Aman"}).status_code == 403
    assert Stop.in_force().count() == 1


@pytest.mark.parametrize("by", ["target", "ref"])
@pytest.mark.parametrize(
    ("role", "agency", "kind", "status"),
    [
        ("Provider", "stranger", "operation", 400),
        ("Provider", "stranger", "grant", 400),
        ("Requester", "stranger", "key", 400),
        ("Provider", "consumer", "source", 400),
        ("Requester", "consumer", "grant", 403),
        ("Head", "provider", "operation", 403),
        ("Supervisor", "", "operation", 403),
        ("Provider", "provider", "all", 403),
        ("Provider", "provider", "agency", 403),
    ],
)
def test_others_cannot_stop(cast: Cast, role: str, agency: str, kind: str, status: int, by: str) -> None:
    """400 for what they do not see, as on the pages 404; 403 for the rest."""
    assert of(cast, role, agency).post("stops/", body(cast, kind, by)).status_code == status
    assert not Stop.objects.exists()


def test_nobody_learns_what_another_agency_has(cast: Cast, stranger: Person) -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"target": "prov/data/satu"}, {"target": "prov/data/tidak-ada"}),
        ({"ref": cast.operations["satu"].pk}, {"ref": 10**14}),
    ]
    for there, nowhere in pairs:
        answers = [stranger.post("stops/", {"kind": "operation", "reason": "x", **what}) for what in (there, nowhere)]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "semua"}, "kind"),
        ({"kind": "all"}, "target"),  # and names one all the same
        ({"target": None}, "target"),
        ({"ref": 1}, "target"),  # beside a name
        ({"target": "prov/data"}, "target"),
        ({"target": "prov//satu"}, "target"),
        ({"target": "prov/data/\0"}, "target"),
        ({"target": "x" * 301}, "target"),
        ({"kind": "grant", "target": "kons/app"}, "target"),
        ({"kind": "grant", "target": "٣"}, "target"),
        ({"kind": "grant", "target": "9" * 16}, "target"),
        ({"reason": " "}, "reason"),
        ({"reason": None}, "reason"),
        ({"reason": "x" * (REASON + 1)}, "reason"),
        ({"incident": "prov/2026/0001"}, "incident"),
    ],
)
def test_what_is_wrong_is_named(cast: Cast, changes: dict[str, Any], field: str) -> None:
    sent = body(cast, "operation") | changes
    answer = of(cast, "Administrator", "").post("stops/", {k: v for k, v in sent.items() if v is not None})
    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert not Stop.objects.exists()


def test_two_old_keys_with_the_same_beginning_are_told_apart_by_their_ids(cast: Cast) -> None:
    monitor = of(cast, "Requester", "consumer")
    for number in (1, 2):
        application = cast.application if number == 1 else type(cast.application).objects.create(
            agency=cast.consumer, code="dua", title="Dua"
        )  # fmt: skip
        row = type(cast.key_row).import_legacy(application, f"kunci-lama-{number}", cast.operations["satu"])
        row.public = "kunci-la"
        row.save()
    refused = monitor.post("stops/", {"kind": "key", "target": "kunci-la", "reason": "x"})
    assert (refused.status_code, list(refused.json())) == (400, ["target"])
    made = monitor.post("stops/", {"kind": "key", "ref": row.pk, "reason": "x"})
    assert (made.status_code, made.json()["ref"]) == (201, row.pk)


def test_a_release_needs_the_right_then_a_reason_and_comes_once(cast: Cast) -> None:
    monitor, head = of(cast, "Provider", "provider"), of(cast, "Head", "provider")
    row = containment.stop("grant", cast.grants["satu"].pk, "x", by=monitor.user)
    place = f"stops/{row.pk}/release/"
    assert head.post(place, {"reason": "Aman"}).status_code == 403
    assert of(cast, "Requester", "consumer").post(place, {"reason": "Aman"}).status_code == 403
    assert of(cast, "Requester", "stranger", "asing").post(place, {"reason": "Aman"}).status_code == 404
    for wrong in ({}, {"reason": "  "}, {"reason": "x" * (REASON + 1)}, {"reason": "x", "checks": ["lain"]}):
        assert monitor.post(place, wrong).status_code == 400
    assert Stop.in_force().exists()
    assert monitor.post(place, {"reason": "Aman"}).status_code == 200
    again = monitor.post(place, {"reason": "Aman"})
    assert (again.status_code, list(again.json())) == (400, ["non_field_errors"])


def test_what_a_rule_has_stopped_its_agency_releases(cast: Cast) -> None:
    row = containment.stop("key", cast.key_row.pk, "Panen data")
    assert of(cast, "Requester", "consumer").post(f"stops/{row.pk}/release/", {"reason": "Aman"}).status_code == 200


def test_those_who_are_shut_out_see_that_it_is_so_and_not_why(cast: Cast) -> None:
    provider = of(cast, "Provider", "provider")
    CallRecord.objects.bulk_create(record(cast, number, outcome=STOPPED) for number in range(3))
    row = containment.stop("grant", cast.grants["satu"].pk, "Rahasia penyelidikan", by=provider.user)
    Stop.objects.filter(pk=row.pk).update(started_at=timezone.now() - timedelta(days=1))
    shut_out = of(cast, "Requester", "consumer").get(f"stops/{row.pk}/")
    assert "Rahasia" not in shut_out.content.decode()
    shown = shut_out.json()
    assert (shown["name"], shown["owner"], shown["in_force"]) == (row.name, "prov", True)
    hidden = ("agency", "reason", "origin", "started_by", "released_by", "incident", "checks", "refused", "served")
    assert {shown[name] for name in hidden} == {None}
    inside = provider.get(f"stops/{row.pk}/").json()
    assert (inside["reason"], inside["agency"], inside["refused"]) == ("Rahasia penyelidikan", "prov", 3)
    assert inside["served"] is None  # nothing yet: it is not released
    assert of(cast, "Provider", "stranger", "asing").get(f"stops/{row.pk}/").status_code == 404


def test_after_a_release_the_calls_are_counted(cast: Cast) -> None:
    provider = of(cast, "Provider", "provider")
    row = containment.stop("operation", cast.operations["satu"].pk, "x", by=provider.user)
    assert provider.post(f"stops/{row.pk}/release/", {"reason": "Aman"}).status_code == 200
    later = timezone.now() + timedelta(seconds=1)
    CallRecord.objects.bulk_create(record(cast, number, started_at=later) for number in range(4))
    assert provider.get(f"stops/{row.pk}/").json()["served"] == 4


def test_stops_are_found_by_what_is_in_force_kind_and_time(cast: Cast) -> None:
    provider = of(cast, "Provider", "provider")
    lasting = containment.stop("operation", cast.operations["satu"].pk, "x", by=provider.user)
    ended = containment.stop("source", cast.source.pk, "x", by=provider.user)
    containment.release(ended, "Aman", by=provider.user)

    def found(query: str) -> list[int]:
        return [row["id"] for row in provider.get(f"stops/?{query}").json()["results"]]

    assert found("") == [ended.pk, lasting.pk]
    assert found("in_force=true") == [lasting.pk]
    assert found("in_force=false") == [ended.pk]
    assert found("kind=source") == [ended.pk]
    assert found(f"kind=operation&ref={cast.operations['satu'].pk}&owner=prov") == [lasting.pk]
    assert found(f"until={(timezone.now() - timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}") == []
    assert provider.get("stops/?in_force=ya").status_code == 400


def test_an_agency_has_no_more_stops_than_are_allowed(cast: Cast, settings: Any) -> None:
    settings.ROW_LIMITS = settings.ROW_LIMITS | {"stops": 1}
    provider = of(cast, "Provider", "provider")
    assert provider.post("stops/", body(cast, "operation")).status_code == 201
    refused = provider.post("stops/", body(cast, "source"))
    assert (refused.status_code, list(refused.json())) == (400, ["non_field_errors"])
    assert "MANTRA_MAX_STOPS" in refused.content.decode()


def test_people_are_notified_as_by_the_button(cast: Cast) -> None:
    caller = of(cast, "Requester", "consumer")
    of(cast, "Provider", "provider").post("stops/", body(cast, "operation"))
    found = Notification.objects.get(event="calls_stopped", user=caller.user)
    assert "Kunci bocor" not in str(vars(found))


# ------------------------------------------------------------------------------ incidents


def an_incident(user: User, agency: Agency | None = None) -> Any:
    return incidents.open_incident("Kunci bocor", timezone.now() - timedelta(days=2), by=user, agency=agency)


def test_an_incident_lists_its_stops_in_the_order_of_release(cast: Cast) -> None:
    administrator = of(cast, "Administrator", "")
    row = an_incident(administrator.user)
    made = {
        kind: administrator.post("stops/", body(cast, kind) | {"incident": row.number}).json()
        for kind in ("application", "all", "operation")
    }
    assert {each["incident"] for each in made.values()} == {row.number}
    shown = administrator.get(f"incidents/{row.pk}/").json()
    assert shown["stops"] == [made[kind]["id"] for kind in ("operation", "application", "all")]
    assert {(each["kind"], each["name"]) for each in shown["objects"]} == {
        (each["kind"], each["name"]) for each in made.values()
    }
    assert (shown["number"], shown["state"], shown["opened_by"]) == (row.number, "open", "administrator")
    for number in shown["stops"]:
        assert administrator.post(f"stops/{number}/release/", {"reason": "Aman"}).status_code == 200
    assert administrator.get(f"incidents/{row.pk}/").json()["stops"] == []
    assert list(row.notes.values_list("step", flat=True)) == ["opened", *["stopped"] * 3, *["released"] * 3]


def test_an_incident_of_others_is_neither_seen_nor_joined(cast: Cast) -> None:
    provider, administrator = of(cast, "Provider", "provider"), of(cast, "Administrator", "")
    theirs, own = an_incident(administrator.user), an_incident(provider.user)
    assert [row["number"] for row in provider.get("incidents/").json()["results"]] == [own.number]
    assert provider.get(f"incidents/{theirs.pk}/").status_code == 404
    assert of(cast, "Requester", "consumer").get("incidents/").json()["results"] == []
    for number in (theirs.number, "MANTRA/2026/9999"):
        refused = provider.post("stops/", body(cast, "operation") | {"incident": number})
        assert (refused.status_code, list(refused.json())) == (400, ["incident"])
    # Of a stop that an administrator made for it, the agency does not see the incident either.
    row = containment.stop("operation", cast.operations["satu"].pk, "x", by=administrator.user, incident=theirs)
    assert administrator.get(f"stops/{row.pk}/").json()["incident"] == theirs.number
    assert provider.get(f"stops/{row.pk}/").json()["incident"] is None


def test_nothing_is_stopped_for_a_closed_incident(cast: Cast) -> None:
    provider = of(cast, "Provider", "provider")
    row = an_incident(provider.user)
    incidents.follow(row, "closed", provider.user)
    refused = provider.post("stops/", body(cast, "operation") | {"incident": row.number})
    assert (refused.status_code, list(refused.json())) == (400, ["incident"])
    assert not Stop.objects.exists()


@pytest.mark.parametrize("path", ["stops/", "incidents/"])
def test_a_list_needs_the_same_number_of_queries_for_one_row_as_for_many(cast: Cast, path: str) -> None:
    administrator = of(cast, "Administrator", "")
    needed = []
    for operation in list(cast.operations.values())[:4]:
        row = an_incident(administrator.user)
        containment.stop("operation", operation.pk, "x", by=administrator.user, incident=row)
        with CaptureQueriesContext(connection) as queries:
            assert administrator.get(path).json()["results"][0]["agency"] is None
        needed.append(len(queries))
    assert len(set(needed)) == 1, needed
