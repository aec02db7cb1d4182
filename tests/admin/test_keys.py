"""Access keys and API tokens: shown once, then known by their beginning only."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from registry import moments, secrets
from registry.models import AccessKey, ApiToken
from registry.snapshot import holder
from tests.admin.conftest import MarkedAgency, SignIn
from tests.api.conftest import person
from tests.cast import Cast

ADD = "/admin/registry/accesskey/add/"
LIST = "/admin/registry/accesskey/"
PLAIN = re.compile(r"mtr_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}")


def shown(response: Any) -> str:
    """The secret on a page that shows one."""
    found = set(PLAIN.findall(response.content.decode()))
    assert len(found) == 1
    return found.pop()


def everything_stored() -> str:
    """All text in every table of the database."""
    words = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            words += [str(row) for row in cursor.fetchall()]
    return "\n".join(words)


def test_a_key_is_shown_once(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    response = client.post(ADD, {"application": cast.application.pk})
    plain = shown(response)
    assert "no-store" in response["Cache-Control"]
    assert secrets.well_formed(plain)
    key = AccessKey.objects.get(digest=secrets.key_digest(plain))
    for page in (
        LIST,
        reverse("admin:registry_accesskey_change", args=(key.pk,)),
        "/admin/",
        reverse("admin:registry_accesskey_history", args=(key.pk,)),
    ):
        text = client.get(page).content.decode()
        assert not PLAIN.search(text)
    assert plain not in everything_stored()
    holder.refresh()
    assert cast.get("satu", "id=1", accesskey=plain).status == 200


def test_the_log_names_the_key_by_its_beginning(cast: Cast, sign_in: SignIn) -> None:
    plain = shown(sign_in("Requester", cast.consumer).post(ADD, {"application": cast.application.pk}))
    entry = LogEntry.objects.get()
    assert entry.object_repr == secrets.public_part(plain)
    assert plain not in entry.change_message


def test_an_application_has_two_live_keys_at_most(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    shown(client.post(ADD, {"application": cast.application.pk}))
    response = client.post(ADD, {"application": cast.application.pk})
    assert response.context["adminform"].form.non_field_errors()
    cast.key_row.revoke()
    shown(client.post(ADD, {"application": cast.application.pk}))


def test_revoking_by_button_and_by_action(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    address = reverse("admin:registry_accesskey_revoke", args=(cast.key_row.pk,))
    assert client.get(address).status_code == 405
    assert client.post(address).status_code == 302
    assert not AccessKey.objects.get(pk=cast.key_row.pk).is_active
    holder.refresh()
    assert cast.get("satu", "id=1").status == 401
    second, _plain = AccessKey.issue(cast.application)
    client.post(LIST, {"action": "revoke", "_selected_action": [second.pk]})
    assert not AccessKey.objects.get(pk=second.pk).is_active
    assert LogEntry.objects.count() == 2


def test_a_live_key_is_not_deleted(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    address = reverse("admin:registry_accesskey_delete", args=(cast.key_row.pk,))
    assert client.post(address, {"post": "yes"}).status_code == 403
    cast.key_row.revoke()
    assert client.post(address, {"post": "yes"}).status_code == 302


def test_a_key_cannot_change_its_application(cast: Cast, marked: MarkedAgency, sign_in: SignIn) -> None:
    address = reverse("admin:registry_accesskey_change", args=(cast.key_row.pk,))
    data = {"application": marked.application.pk, "networks": "10.0.0.0/8"}
    assert sign_in("Administrator").post(address, data).status_code == 302
    key = AccessKey.objects.get(pk=cast.key_row.pk)
    assert (key.application, key.networks) == (cast.application, "10.0.0.0/8")


def test_keys_of_the_old_bus_are_listed_with_their_operation(cast: Cast, sign_in: SignIn) -> None:
    AccessKey.import_legacy(cast.application, "abcdefghij", cast.operations["satu"])
    text = sign_in("Requester", cast.consumer).get(LIST).content.decode()
    assert "prov/data/satu" in text
    assert "abcdefghij" not in text


def test_everybody_has_tokens_of_his_own(cast: Cast, marked: MarkedAgency, sign_in: SignIn) -> None:
    soon = timezone.localtime() + timedelta(days=3)
    data = {"expires_at_0": soon.strftime("%Y-%m-%d"), "expires_at_1": "10:00:00", "user": marked.user.pk}
    for client in (sign_in("Provider", cast.provider), sign_in("Supervisor"), sign_in("Administrator")):
        response = client.post("/admin/registry/apitoken/add/", data)
        assert "Authorization: Token mtr_" in response.content.decode()
        plain = shown(response)
        owner = ApiToken.authenticate(plain)
        assert owner is not None
        assert owner.pk == int(client.session["_auth_user_id"])
        assert plain not in everything_stored()
        page = client.get("/admin/registry/apitoken/").content.decode()
        assert plain[:12] in page
        assert marked.token.public not in page
        assert client.get(reverse("admin:registry_apitoken_change", args=(marked.token.pk,))).status_code in (403, 404)
        own = ApiToken.objects.get(user=owner)
        assert (
            client.post(reverse("admin:registry_apitoken_delete", args=(own.pk,)), {"post": "yes"}).status_code == 302
        )
        assert ApiToken.authenticate(plain) is None


# ------------------------------------------------------------------------------ at most two active keys


def _expired(cast: Cast, number: int) -> list[AccessKey]:
    keys = []
    for _time in range(number):
        key = AccessKey.issue(cast.application, timezone.now() + timedelta(days=1))[0]
        AccessKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
        key.refresh_from_db()
        keys.append(key)
    return keys


def test_s13_an_expiry_in_the_future_again_is_judged_as_a_new_key(cast: Cast, sign_in: SignIn) -> None:
    client, keys = sign_in("Requester", cast.consumer), _expired(cast, 3)
    future = timezone.localtime(timezone.now() + timedelta(days=1))
    data = {"expires_at_0": f"{future:%Y-%m-%d}", "expires_at_1": f"{future:%H:%M:%S}"}
    pages = [reverse("admin:registry_accesskey_change", args=(key.pk,)) for key in keys]
    assert [client.post(page, data).status_code for page in pages] == [302, 200, 200]
    assert AccessKey.active().filter(application=cast.application).count() == 2


def test_s13_the_api_judges_it_alike(cast: Cast) -> None:
    requester, keys = person("Requester", cast.consumer), _expired(cast, 3)
    future = {"expires_at": (timezone.now() + timedelta(days=1)).isoformat()}
    assert [requester.patch(f"keys/{key.pk}/", future).status_code for key in keys] == [200, 400, 400]
    # An active key can still be changed, and shortened; an expired one too, if it stays so.
    assert requester.patch(f"keys/{cast.key_row.pk}/", {"in_path": True}).status_code == 200
    assert requester.patch(f"keys/{keys[1].pk}/", {"in_path": True}).status_code == 200
    assert requester.post(f"keys/{cast.key_row.pk}/revoke/").status_code == 200
    assert requester.patch(f"keys/{keys[1].pk}/", future).status_code == 200


def test_s13_keys_beyond_two_from_before_stay_and_can_be_changed(cast: Cast) -> None:
    for key in _expired(cast, 3):
        AccessKey.objects.filter(pk=key.pk).update(expires_at=None)
    requester = person("Requester", cast.consumer)
    assert requester.patch(f"keys/{cast.key_row.pk}/", {"networks": ["10.0.0.0/8"]}).status_code == 200


# ------------------------------------------------------------------------------ tokens end


def test_s17_a_token_has_a_maximum_lifetime(sign_in: SignIn, settings: Any) -> None:
    client = sign_in("Administrator")
    add = reverse("admin:registry_apitoken_add")

    def posted(days: float) -> Any:
        at = timezone.localtime(timezone.now() + timedelta(days=days))
        return client.post(add, {"expires_at_0": f"{at:%Y-%m-%d}", "expires_at_1": f"{at:%H:%M:%S}"})

    assert "366" in posted(367).content.decode()
    assert client.post(add, {"expires_at_0": "9999-12-31", "expires_at_1": "23:59:59"}).status_code == 200
    assert not ApiToken.objects.exists()
    plain = shown(posted(365))
    assert ApiToken.authenticate(plain) is not None
    settings.MAX_TOKEN_DAYS = 10
    assert ApiToken.authenticate(plain) is not None
    # One from before the maximum ends too.
    long_ago = timezone.now() - timedelta(days=11)
    ApiToken.objects.update(created_at=long_ago, expires_at=timezone.now() + timedelta(days=9000))
    assert ApiToken.authenticate(plain) is None


def test_s17_a_user_has_a_maximum_number_of_tokens(sign_in: SignIn, settings: Any) -> None:
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "tokens": 2}
    client = sign_in("Administrator")
    at = timezone.localtime(timezone.now() + timedelta(days=1))
    data = {"expires_at_0": f"{at:%Y-%m-%d}", "expires_at_1": f"{at:%H:%M:%S}"}
    pages = [client.post(reverse("admin:registry_apitoken_add"), data) for _time in range(3)]
    assert [bool(PLAIN.search(page.content.decode())) for page in pages] == [True, True, False]
    assert "MANTRA_MAX_TOKENS" in pages[2].content.decode()


# ------------------------------------------------------------------------------------------- keys in URLs


def _in_path(cast: Cast) -> dict[str, AccessKey]:
    """Keys that are allowed in URLs: used there lately, long ago, never; and one that was used, and is not allowed."""
    now = timezone.now()
    last = {"lately": now - timedelta(days=2), "long": now - timedelta(days=40), "never": None, "off": now}
    rows = {}
    for name, moment in last.items():
        rows[name] = AccessKey.import_legacy(cast.application, f"{name}0123456789"[:10], cast.operations["satu"])
        AccessKey.objects.filter(pk=rows[name].pk).update(in_path=name != "off", last_used_in_path_at=moment)
        rows[name].refresh_from_db()
    return rows


def test_keys_that_programs_write_into_urls_are_found(cast: Cast, sign_in: SignIn) -> None:
    _in_path(cast)
    client = sign_in("Requester", cast.consumer)

    def listed(query: str) -> set[str]:
        return {row.public for row in client.get(f"{LIST}?{query}").context["cl"].result_list}

    assert listed("in_url=lately") == {"la…", "of…"}
    assert listed("in_url=allowed") == {"lo…", "ne…"}
    assert listed("") == listed("in_url=salah") == {"la…", "lo…", "ne…", "of…", cast.key_row.public}


def test_a_key_s_page_says_when_it_can_leave_urls(cast: Cast, sign_in: SignIn) -> None:
    client, rows = sign_in("Requester", cast.consumer), _in_path(cast)

    def page(key: AccessKey) -> str:
        text: str = client.get(reverse("admin:registry_accesskey_change", args=(key.pk,))).content.decode()
        return text

    ends = moments.day(rows["lately"].in_path_until)
    assert f"matikan pada {ends}" in page(rows["lately"])
    assert "sekarang boleh dimatikan" in page(rows["long"])
    assert "Belum ada panggilan" in page(rows["never"])
    assert f"Terakhir pada {moments.day(rows['off'].last_used_in_path_at)}." in page(rows["off"])
    assert "pemakaian di URL" not in page(cast.key_row)


def test_the_api_has_the_last_use_in_a_url(cast: Cast) -> None:
    rows = _in_path(cast)
    requester = person("Requester", cast.consumer)

    def found(query: str) -> set[str]:
        return {row["public"] for row in requester.get(f"keys/?{query}").json()["results"]}

    assert found("in_path=true") == {"la…", "lo…", "ne…"}
    since = (timezone.now() - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found(f"used_in_path_since={since}") == {"la…", "of…"}
    one = requester.get(f"keys/{rows['long'].pk}/").json()
    assert one["in_path"] and one["last_used_in_path_at"] and one["wrapped"] is False
    changed = requester.patch(f"keys/{rows['long'].pk}/", {"wrapped": True, "last_used_in_path_at": None})
    assert changed.json()["wrapped"] and changed.json()["last_used_in_path_at"] == one["last_used_in_path_at"]


def test_a_new_key_may_be_one_for_old_programs(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in("Requester", cast.consumer)
    plain = shown(client.post(ADD, {"application": cast.application.pk, "in_path": "on", "wrapped": "on"}))
    key = AccessKey.objects.get(digest=secrets.key_digest(plain))
    assert (key.in_path, key.wrapped) == (True, True)


def test_the_list_shows_when_a_key_was_last_in_a_url(cast: Cast, sign_in: SignIn) -> None:
    rows = _in_path(cast)
    page = sign_in("Requester", cast.consumer).get(f"{LIST}?in_url=allowed").content.decode()
    assert moments.day(rows["long"].last_used_in_path_at) in page
