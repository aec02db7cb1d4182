"""Keys: a leaked one is recognised, shown to its agency only and revoked; a new network is noticed once."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from mantra.key_use import finding, report
from registry.journal import key_networks, segments, shipping
from registry.models import AccessKey, Event, Field, Grant, KeyNetwork, Notification
from registry.notifications import key_alarms
from registry.snapshot import holder
from tests.admin.conftest import SignIn, make_user
from tests.cast import Cast, recorded
from tests.looks.conftest import NIK, OTHER, called

PAGE = "/admin/keys/leaked/"


def pasted(client: Any, text: str) -> list[AccessKey]:
    response = client.post(PAGE, {"text": text})
    assert response.status_code == 200
    return [each["key"] for each in response.context["uses"]]


def test_it_works(citizen: Cast, sign_in: SignIn) -> None:
    """Whose key it is, what it opens, what was fetched, from where, about how many; and it is revoked from there."""
    Field.objects.create(operation=citizen.operations["warga"], name="nama", classification="specific")
    citizen.grants["warga"].fields = "nama"
    citizen.grants["warga"].legal_basis = "UU 23/2006"
    citizen.grants["warga"].save()
    called(citizen, times=2)
    called(citizen, OTHER, address="203.0.113.9")
    client = sign_in("Requester", citizen.consumer)
    response = client.post(PAGE, {"text": citizen.key})
    (each,) = response.context["uses"]
    use = each["use"]
    assert use.key == citizen.key_row
    assert (use.calls, use.rows, use.persons) == (3, 3, 2)
    assert [(row.network, row.calls) for row in use.networks] == [("203.0.113.0/24", 1), ("127.0.0.0/24", 2)]
    first = use.opened[0]
    assert (first.operation.code, first.fields, str(first.classification)) == (
        "warga", ("nama",), str(Field.Classification.SPECIFIC.label),
    )  # fmt: skip
    assert [(row.operation, row.calls, row.succeeded) for row in use.fetched] == [("prov/data/warga", 3, 3)]
    client.post(reverse("admin:registry_accesskey_revoke", args=(use.key.pk,)))
    holder.refresh()
    assert citizen.get("warga", f"nik={NIK}").status == 401


def test_a_scanners_text_is_searched_for_keys(citizen: Cast, sign_in: SignIn) -> None:
    text = f"repo/app.env:3: MANTRA_KEY='{citizen.key}'\nmtr_bukanitu_{'a' * 36} dan lain-lain"
    assert pasted(sign_in("Administrator"), text) == [citizen.key_row]


def test_keys_of_the_old_bus_are_recognised(citizen: Cast, sign_in: SignIn) -> None:
    old = AccessKey.import_legacy(citizen.application, "a1B2c3D4e5", citizen.operations["satu"])
    assert pasted(sign_in("Supervisor"), " a1B2c3D4e5\n") == [old]
    (each,) = sign_in("Supervisor").post(PAGE, {"text": "a1B2c3D4e5"}).context["uses"]
    assert [opened.operation.code for opened in each["use"].opened] == ["satu"]
    assert pasted(sign_in("Supervisor"), "kata a1B2c3D4e5") == []


def test_keys_with_an_older_pepper_are_recognised(citizen: Cast, sign_in: SignIn, settings: Any) -> None:
    settings.KEY_PEPPERS = [("9", b"baru" * 8), *settings.KEY_PEPPERS]
    assert pasted(sign_in("Supervisor"), citizen.key) == [citizen.key_row]


def test_others_learn_nothing_and_the_owner_is_told(citizen: Cast, sign_in: SignIn) -> None:
    """The page says the same for a stranger's key and for none; only its own agency gets a message, once a day."""
    owner = make_user("Requester", citizen.consumer, "pemilik")
    stranger = sign_in("Requester", citizen.stranger)
    known = stranger.post(PAGE, {"text": citizen.key}).content.decode()
    unknown = stranger.post(PAGE, {"text": f"mtr_bukanitu_{'a' * 36}"}).content.decode()
    assert without_tokens(known) == without_tokens(unknown)
    assert "kons/app" not in known and "Konsumen" not in known and citizen.key_row.public not in known
    stranger.post(PAGE, {"text": citizen.key})
    (told,) = Notification.objects.filter(event=Event.KEY_LEAKED)
    assert (told.user, told.context["key"]) == (owner, citizen.key_row.public)


def test_the_owner_is_told_of_what_an_administrator_finds(citizen: Cast, sign_in: SignIn) -> None:
    owner = make_user("Requester", citizen.consumer, "pemilik")
    pasted(sign_in("Administrator"), citizen.key)
    assert [row.user for row in Notification.objects.filter(event=Event.KEY_LEAKED)] == [owner]
    Notification.objects.all().delete()
    pasted(sign_in("Requester", citizen.consumer), citizen.key)
    assert not Notification.objects.exists()


def without_tokens(page: str) -> list[str]:
    return [re.sub(r'nonce="[^"]*"', "", line) for line in page.splitlines() if "csrf" not in line]


def test_who_may_look(citizen: Cast, sign_in: SignIn) -> None:
    bare = make_user("Requester", citizen.consumer, "tanpa-peran")
    bare.groups.clear()
    client = sign_in("Requester", citizen.consumer, username="tanpa-peran")
    assert client.get(PAGE).status_code == 403
    use = reverse("key_use", args=(citizen.key_row.pk,))
    assert sign_in("Requester", citizen.stranger).get(use).status_code == 404
    assert sign_in("Head", citizen.consumer).get(use).status_code == 200


def test_trying_keys_is_stopped(citizen: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", citizen.stranger)
    statuses = [client.post(PAGE, {"text": f"kunci{number:05}"}).status_code for number in range(11)]
    assert statuses == [200] * 10 + [429]


def test_the_key_is_nowhere(citizen: Cast, sign_in: SignIn, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        page = sign_in("Administrator").post(PAGE, {"text": citizen.key}).content.decode()
    (begin, _end) = (line for line in recorded() if line.get("protocol") == "leaked-key" or line["t"] == "end")
    assert (begin["user"], begin["op"][2]) == ("administrator-semua", citizen.key_row.public)
    segments.close()
    journal = b"".join(path.read_bytes() for path in Path(django_settings.JOURNAL_DIR).iterdir()).decode()
    secret = citizen.key.rpartition("_")[2]
    assert not any(secret in text for text in (page, caplog.text, journal))


def test_nothing_is_shown_that_is_not_recorded(citizen: Cast, sign_in: SignIn, settings: Any, tmp_path: Path) -> None:
    client = sign_in("Administrator")
    settings.JOURNAL_DIR = tmp_path / "tidak-ada"
    for response in (
        client.post(PAGE, {"text": citizen.key}), client.get(reverse("key_use", args=(citizen.key_row.pk,))),
    ):  # fmt: skip
        assert response.status_code == 503
        assert citizen.key_row.public not in response.content.decode()


def test_by_the_command(citizen: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    called(citizen)
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"kunci: {citizen.key}\n"))
    call_command("leaked_key", revoke=True, stdout=out)
    assert f"{citizen.key_row.public}… of kons/app: active" in out.getvalue()
    assert "1 calls, 1 rows, 1 persons" in out.getvalue() and citizen.key not in out.getvalue()
    assert not AccessKey.objects.get().is_active
    monkeypatch.setattr("sys.stdin", io.StringIO("tidak ada kunci\n"))
    with pytest.raises(CommandError):
        call_command("leaked_key", stdout=out)


def test_only_the_latest_calls_are_counted(citizen: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    called(citizen, times=4)
    monkeypatch.setattr(report, "MOST_CALLS", 2)
    use = report.use_of(make_user("Administrator"), citizen.key_row)
    assert (use.calls, use.more) == (2, True)


def test_a_long_text_has_so_many_keys(citizen: Cast) -> None:
    text = " ".join(f"mtr_{number:08}_{'a' * 36}" for number in range(100))
    assert len(finding.candidates(text)) == finding.MOST


# -------------------------------------------------------------------------------------------- networks

NOW = datetime(2026, 11, 30, 5, 0, tzinfo=UTC)


def used(key: AccessKey, address: str, at: datetime, rows: int = 1) -> None:
    """What shipping notes of a call."""
    key_networks.note([{"key_ref": key.pk, "client_ip": address, "started_at": at, "rows": rows}])


@pytest.fixture
def owner(cast: Cast) -> Any:
    return make_user("Requester", cast.consumer, "pemilik")


def told() -> Iterator[dict[str, Any]]:
    rows = Notification.objects.filter(event=Event.KEY_NEW_NETWORK).order_by("pk")
    return iter([row.context for row in rows])


def test_calls_are_counted_by_network_when_they_are_shipped(cast: Cast) -> None:
    for address in ("203.0.113.9", "203.0.113.200", "2001:db8:1:2::3", "2001:db8:1:ffff::4"):
        cast.get("satu.json", "id=7", address=address)
    shipping.ship()
    found = KeyNetwork.objects.order_by("first_at", "pk").values_list("network", "calls", "rows", "is_new")
    assert list(found) == [("203.0.113.0/24", 2, 2, False), ("2001:db8:1::/48", 2, 2, True)]


def test_the_first_network_of_a_key_is_no_alarm_and_a_second_one_is(cast: Cast, owner: Any) -> None:
    key = cast.key_row
    used(key, "10.1.2.3", NOW)
    assert key_alarms.report(NOW) == 0
    used(key, "10.1.2.77", NOW)
    assert key_alarms.report(NOW) == 0
    used(key, "203.0.113.9", NOW)
    assert key_alarms.report(NOW) == 1
    assert list(told()) == [{"application": "kons/app", "key": key.public, "network": "203.0.113.0/24", "networks": 1}]
    assert Notification.objects.get(event=Event.KEY_NEW_NETWORK).user == owner
    assert Notification.objects.get().url == reverse("admin:registry_accesskey_change", args=(key.pk,))


def test_a_key_that_moves_about_makes_one_message_a_day(cast: Cast, owner: Any) -> None:
    key = cast.key_row
    used(key, "10.1.2.3", NOW)
    for number in range(30):
        used(key, f"203.0.{number}.9", NOW + timedelta(seconds=number))
        key_alarms.report(NOW + timedelta(minutes=1))
    assert len(list(told())) == 1
    tomorrow = NOW + timedelta(days=1)
    assert key_alarms.report(tomorrow) == 1
    *_first, last = told()
    assert (last["network"], last["networks"]) == ("203.0.29.0/24", 29)
    assert key_alarms.report(tomorrow) == 0


def test_a_network_of_long_ago_is_new_again(cast: Cast, owner: Any) -> None:
    key = cast.key_row
    used(key, "10.1.2.3", NOW)
    used(key, "203.0.113.9", NOW)
    key_alarms.report(NOW)
    used(key, "203.0.113.9", NOW + timedelta(days=89))
    assert key_alarms.report(NOW + timedelta(days=89)) == 0
    used(key, "203.0.113.9", NOW + timedelta(days=89 + 91))
    assert key_alarms.report(NOW + timedelta(days=89 + 91)) == 1


def test_a_key_has_so_many_networks_at_most(cast: Cast) -> None:
    for number in range(key_networks.MOST + 20):
        used(cast.key_row, f"10.{number}.1.1", NOW + timedelta(minutes=number))
    kept = set(KeyNetwork.objects.values_list("network", flat=True))
    assert len(kept) == key_networks.MOST
    assert f"10.{key_networks.MOST + 19}.1.0/24" in kept and "10.0.1.0/24" not in kept


def test_a_revoked_key_is_no_alarm(cast: Cast, owner: Any) -> None:
    used(cast.key_row, "10.1.2.3", NOW)
    cast.key_row.revoke()
    used(cast.key_row, "203.0.113.9", NOW)
    assert key_alarms.report(NOW) == 0


def test_the_agency_says_that_a_network_is_its_own(cast: Cast, sign_in: SignIn) -> None:
    used(cast.key_row, "10.1.2.3", NOW)
    used(cast.key_row, "203.0.113.9", NOW)
    row = KeyNetwork.objects.get(network="203.0.113.0/24")
    address = reverse("confirm_network", args=(cast.key_row.pk, row.pk))
    assert sign_in("Requester", cast.stranger).post(address).status_code == 404
    assert sign_in("Head", cast.consumer).post(address).status_code == 403
    requester = sign_in("Requester", cast.consumer)
    assert requester.get(address).status_code == 405
    assert requester.post(address).status_code == 302
    row.refresh_from_db()
    assert (row.is_new, row.confirmed_by.username if row.confirmed_by else "") == (False, "requester-kons")
    page = requester.get(reverse("key_use", args=(cast.key_row.pk,))).content.decode()
    assert "milik kami" in page and "Ini kami" in page


def test_a_stolen_keys_use_from_abroad_is_noticed_although_it_is_refused(cast: Cast, owner: Any) -> None:
    """A key that is bound to its networks is refused elsewhere, and its agency hears of the attempt."""
    cast.get("satu.json", "id=7", address="10.1.2.3")
    shipping.ship()
    AccessKey.objects.update(networks="10.1.2.0/24")
    holder.refresh()
    assert cast.get("satu.json", "id=7", address="198.51.100.7").status == 403
    shipping.ship()
    assert key_alarms.report(datetime.now(UTC)) == 1
    assert Grant.objects.filter(state="approved").exists()
