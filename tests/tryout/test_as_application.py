"""A requester calls as one of the agency's applications: what callers get, to the byte, and why they are refused."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_httpserver import HTTPServer

from mantra.gateway.protocols import legacy, rest
from mantra.gateway.protocols.soap import handler as soap
from mantra.tryout import limits
from mantra.tryout.as_application import vouched
from mantra.tryout.exchange import MAX_SHOWN
from mantra.tryout.wire import LEGACY_STYLES, WAYS
from registry.calls import Trial
from registry.journal import segments, shipping
from registry.models import AccessKey, Application, CallRecord, Grant, User
from registry.requests import Wanted, submit
from registry.snapshot import holder
from tests.admin.conftest import SignIn
from tests.cast import Cast, Reply, call, ends_of, recorded
from tests.proxy.publishing import publish_proxy
from tests.tryout.conftest import Shown, attempt, where

#: Letters that each way of calling encodes in its own manner.
TEXT = "50% & 1+1 = dua/tiga <é>"


def replayed(shown: Shown, key: str, address: str = "127.0.0.1") -> Reply:
    """Send the shown request as it is shown, but for the key, through the application that servers call."""
    head, _blank, body = shown.request.replace("\r", "").partition("\n\n")
    first, *lines = head.split("\n")
    method, target, _version = first.split(" ")
    headers = {name.lower().replace("-", "_"): value for name, _colon, value in (x.partition(": ") for x in lines)}
    assert headers["accesskey"] == "*" * 16
    return call(target, method, body, address=address, **{**headers, "accesskey": key})


def head_of(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name != "x-request-id"}


def head_in(shown: Shown) -> dict[str, str]:
    pairs = (line.partition(": ") for line in shown.head.strip().replace("\r", "").split("\n")[1:])
    return {name.lower(): value for name, _colon, value in pairs if name != "X-Request-Id"}


def test_each_way_shows_what_callers_send_and_get(cast: Cast, requester: Client) -> None:
    parameters = ({"name": "teks", "legacy_name": "teks isi"}, {"name": "lain", "required": False})
    cast.operation("gema", "SELECT :teks AS teks [[ , :lain AS lain ]]", parameters=parameters)
    legacy_styles = [f"legacy-json-{style}" for style in LEGACY_STYLES]
    for way in [*WAYS["REST"], "rest-json POST", *WAYS["SOAP"], *legacy_styles, "legacy-xml-rest", "legacy-api-post"]:
        limits.forget()
        name, _space, method = way.partition(" ")
        shown = attempt(requester, "gema", {"teks": TEXT, "lain": "b"}, way=name, method=method or "GET")
        reply = replayed(shown, cast.key)
        assert shown.head.startswith(f"HTTP/1.1 {reply.status} "), way
        assert head_in(shown) == head_of(reply), way
        if way == "rest-xlsx":
            assert "Isi respons" not in shown.blocks  # no text: in hexadecimal only
            assert shown.blocks["Isi respons, dalam heksadesimal"].startswith("00000000  50 4b 03 04 ")
        else:
            assert shown.body == reply.text, way
            assert "dua" in shown.body, way
            assert "GAGAL" not in shown.body.upper(), way


def test_the_journal_has_the_user_beside_the_application(cast: Cast, requester: Client) -> None:
    shown = attempt(requester, "satu", {"id": "5"})
    begin = next(line for line in recorded() if line.get("id") == shown.request_id and line["t"] == "begin")
    (end,) = ends_of(shown.request_id)
    assert (begin["protocol"], begin["user"]) == ("rest", "requester-kons")
    assert (end["code"], end["rows"], end["by"]) == (200, 1, ["kons", "app", "", None])
    assert "Orang 5" in shown.body
    assert "Orang 5" not in json.dumps(recorded())
    segments.close()
    shipping.ship()
    record = CallRecord.objects.get(request_id=shown.request_id)
    assert (record.user, record.consumer_agency, record.application) == ("requester-kons", "kons", "app")
    assert (record.key, record.key_ref) == ("", None)
    cast.key_row.refresh_from_db()
    assert cast.key_row.last_used_at is None  # no program has used it


def test_steps_are_timed_up_to_the_one_that_ended_the_call(cast: Cast, requester: Client) -> None:
    def steps(shown: Shown) -> list[str]:
        return re.findall(r"<tr[^>]*><td>([^<(]*)", shown.text)

    every = ["Pemeriksaan akses: kunci, izin, jaringan, masa berlaku", "Parameter", "Kuota",
             "Sumber data atau layanan tujuan", "Byte pertama", "Byte terakhir"]  # fmt: skip
    assert steps(attempt(requester, "satu", {"id": "5"})) == every
    assert [step.strip() for step in steps(attempt(requester, "satu", {"id": "lima"}))] == every[:2]
    Grant.objects.get(operation=cast.operations["satu"]).delete()
    holder.refresh()
    assert [step.strip() for step in steps(attempt(requester, "satu", {"id": "5"}))] == every[:1]


# ------------------------------------------------------------------------------------- refusals


def _today(days: int) -> Any:
    return timezone.localdate() + timedelta(days=days)


REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "ended": ({"valid_until": _today(-1)}, 11006, "berlaku sampai"),
    "not begun": ({"valid_from": _today(3)}, 11007, "baru berlaku mulai"),
    "network": ({"networks": "10.1.0.0/16"}, 11008, "hanya berlaku dari 10.1.0.0/16, tidak dari 127.0.0.1"),
    "revoked": ({"state": "revoked"}, 11005, "sudah dicabut"),
}


def test_a_refusal_is_told_with_its_rule_and_where_to_go(cast: Cast, requester: Client) -> None:
    grant = Grant.objects.get(operation=cast.operations["satu"])
    plain = {"valid_until": None, "valid_from": None, "networks": "", "state": "approved", "quota": ""}
    for name, (values, code, sentence) in REFUSALS.items():
        for field, value in {**plain, **values}.items():
            setattr(grant, field, value)
        grant.save()
        holder.refresh()
        shown = attempt(requester, "satu", {"id": "5"})
        (end,) = ends_of(shown.request_id)
        assert end["code"] == code, name
        assert sentence in shown.text, name
        assert f'href="/admin/registry/grant/{grant.pk}/change/"' in shown.text, name
    grant.delete()
    holder.refresh()
    shown = attempt(requester, "satu", {"id": "5"})
    assert "Belum ada izin bagi kons/app untuk memanggil prov/data/satu." in shown.text
    assert f'href="{reverse("request_access", args=("prov", "data", "satu"))}?application=kons/app"' in shown.text
    user = User.objects.get(username="requester-kons")
    wanted = Wanted(application=cast.application, operations={cast.operations["satu"]: ()}, purpose="uji")
    page = reverse("admin:registry_accessrequest_change", args=(submit(user, wanted).pk,))
    assert f'<a href="{page}">Buka permohonan akses (' in attempt(requester, "satu", {"id": "5"}).text
    cast.operations["satu"].state = "retired"
    cast.operations["satu"].save()
    holder.refresh()
    assert "sudah dihentikan" in attempt(requester, "satu", {"id": "5"}).text


def test_a_quota_counts_and_tells_when_it_begins_anew(cast: Cast, requester: Client) -> None:
    Grant.objects.filter(operation=cast.operations["satu"]).update(quota="2/hour")
    holder.refresh()
    assert "1 / 2" in attempt(requester, "satu", {"id": "5"}).text
    assert cast.get("satu", "id=5").headers["ratelimit"].startswith('"quota";r=0')
    shown = attempt(requester, "satu", {"id": "5"})
    assert "Kuota izin sudah habis: 2/hour" in shown.text
    assert re.search(r"Kuota mulai lagi pada \d\d-\d\d-\d{4} \d\d\.\d\d\.\d\d", shown.text)


def test_the_grant_holds_but_the_key_does_not(cast: Cast, requester: Client) -> None:
    AccessKey.objects.filter(pk=cast.key_row.pk).update(expires_at=timezone.now() - timedelta(days=2))
    shown = attempt(requester, "satu", {"id": "5"})
    assert "Orang 5" in shown.body
    assert f"Kunci akses {cast.key_row.public} kedaluwarsa pada" in shown.text
    assert f'href="/admin/registry/accesskey/add/?application={cast.application.pk}"' in shown.text
    cast.key_row.delete()
    assert "kons/app belum punya kunci akses" in attempt(requester, "satu", {"id": "5"}).text


def test_an_address_is_judged_and_changes_nothing(cast: Cast, requester: Client) -> None:
    Grant.objects.filter(operation=cast.operations["satu"]).update(networks="10.1.0.0/16")
    AccessKey.objects.filter(pk=cast.key_row.pk).update(networks="10.2.0.0/16")
    holder.refresh()
    shown = attempt(requester, "satu", {"id": "5"}, address="10.1.2.3")
    (end,) = ends_of(shown.request_id)
    assert end["code"] == 11008  # from the user's own address, whatever is entered
    assert "Orang 5" not in shown.text
    assert "Alamat 10.1.2.3 termasuk jaringannya." in shown.text
    assert "hanya boleh dipakai dari 10.2.0.0/16, tidak dari 10.1.2.3" in shown.text
    assert recorded()[-2]["ip"] == "127.0.0.1"


def test_a_grant_for_some_columns_gives_these(cast: Cast, requester: Client) -> None:
    operation = cast.operations["satu"]
    for name in ("id", "nama", "gaji"):
        operation.fields.create(name=name, type="text")
    Grant.objects.filter(operation=operation).update(fields="nama")
    holder.refresh()
    shown = attempt(requester, "satu", {"id": "5"})
    assert "Orang 5" in shown.body
    assert "gaji" not in shown.body
    assert "hanya mencakup kolom ini: nama" in shown.text


# ------------------------------------------------------------------------------------- identity


def test_no_request_brings_an_identity(cast: Cast) -> None:
    """What vouches is an argument of the handlers, which the application that servers call never gives."""
    names = ("trial", "mantra.trial", "HTTP_MANTRA_TRIAL", "HTTP_X_MANTRA_USER", "HTTP_X_APPLICATION", "REMOTE_USER")
    trial = Trial("siapa", vouched(cast.application), 1.0)
    for value in ("kons/app", trial):
        forged: Any = dict.fromkeys(names, value)
        assert call("/rest/prov/data/satu?id=5", changed=forged).status == 401
        assert call("/mantra/json/prov/data/satu/id=5", changed=forged).json()["response"]["code"] == 10001
        assert b"11005" not in call("/soap/prov/data", "POST", "<a/>", changed=forged).body
    assert call("/rest/prov/data/satu?id=5", accesskey="*" * 16).status == 401
    assert trial.call is None
    for handle in (rest.handle, legacy.handle, soap.handle):
        assert handle.__defaults__ == (None,)


def test_only_those_who_may_issue_its_keys_call_as_an_application(
    cast: Cast, sign_in: SignIn, requester: Client
) -> None:
    other = Application.objects.create(agency=cast.stranger, code="lain", title="Lain")
    Application.objects.create(agency=cast.consumer, code="mati", title="Mati", active=False)
    for identity in (str(other), "kons/mati", "none", ""):
        shown = attempt(requester, "satu", {"id": "5"}, identity=identity)
        assert "Tidak ada yang dipanggil" in shown.text
    for role, agency in (("Requester", cast.stranger), ("Provider", cast.consumer), ("Head", cast.consumer),
                         ("Administrator", None), ("Supervisor", None)):  # fmt: skip
        client = sign_in(role, agency)
        assert "kons/app" not in client.get(where("satu")).content.decode(), role
        assert "Tidak ada yang dipanggil" in attempt(client, "satu", {"id": "5"}).text, role
    type(cast.operations["satu"]).objects.filter(code="satu").update(listing="hidden")
    client = sign_in("Requester", cast.stranger)
    assert client.get(where("satu")).status_code == 404
    assert attempt(client, "satu", {"id": "5"}).response.status_code == 404
    assert requester.get(where("satu")).status_code == 200  # her application has a grant
    assert recorded() == []
    assert Client().get(where("satu")).status_code == 302
    assert Client().post(where("satu"), {"identity": "kons/app"}).status_code == 302


def test_a_typed_key_is_used_and_never_shown(cast: Cast, requester: Client, sign_in: SignIn) -> None:
    cast.operation("gema", "SELECT :teks AS teks", parameters=({"name": "teks"},))
    typed = {"identity": "key", "key": cast.key}
    shown = attempt(requester, "gema", {"teks": f"kunci {cast.key}"}, **typed)
    (end,) = ends_of(shown.request_id)
    assert end["by"] == ["kons", "app", cast.key_row.public, cast.key_row.pk]
    assert cast.key not in shown.text
    assert f"kunci {'*' * len(cast.key)}" in shown.body
    assert f"AccessKey: {'*' * len(cast.key)}" in shown.request
    whole = requester.post(
        where("gema"), {"way": "rest-json", "method": "GET", "p_teks": "a", **typed}
    ).content.decode()
    assert cast.key not in whole
    assert "Kunci akses wajib" not in whole
    # A key of another agency calls, as it does from everywhere; whose it is stays unsaid.
    stranger = attempt(sign_in("Requester", cast.stranger), "gema", {"teks": "a"}, **typed)
    assert '"teks":"a"' in stranger.body
    assert "kons" not in stranger.text
    assert cast.key_row.public not in stranger.text
    unknown = attempt(requester, "satu", {"id": "5"}, identity="key", key="mtr_tidakada")
    assert "tidak dikenal, atau sudah dicabut" in unknown.text
    assert "mtr_tidakada" not in unknown.text
    assert "Isikan kunci akses" in attempt(requester, "satu", {"id": "5"}, identity="key", key="a\r\nX: 1").text


# --------------------------------------------------------------------------------------- limits


def test_a_user_has_one_trial_at_a_time_and_so_many_a_minute(cast: Cast, requester: Client) -> None:
    user = int(requester.session["_auth_user_id"])
    limits.take(user)
    assert "masih berjalan" in attempt(requester, "satu", {"id": "5"}).text
    limits.release(user)
    assert "lebih dari 8000 karakter" in attempt(requester, "satu", {"id": "5" * 8001}).text
    for _time in range(limits.RATE.amount - 1):
        limits.take(user)
        limits.release(user)
    assert f"{limits.RATE.amount} percobaan per menit" in attempt(requester, "satu", {"id": "5"}).text
    assert recorded() == []


def test_a_large_response_is_shown_in_part_and_downloaded_whole(cast: Cast, requester: Client) -> None:
    shown = attempt(requester, "semua")
    (end,) = ends_of(shown.request_id)
    assert len(shown.body) == MAX_SHOWN < end["bytes"]
    assert end["rows"] == 2500
    data = {"identity": "kons/app", "way": "rest-json", "method": "GET", "action": "download"}
    response = requester.post(where("semua"), data)
    content = b"".join(response.streaming_content)
    response.close()
    assert content == cast.get("semua.json").body
    assert re.fullmatch(r'attachment; filename="semua-[0-9a-f]{12}\.json"', response["Content-Disposition"])
    assert response["Cache-Control"] == "no-store"
    assert "Orang 5" in attempt(requester, "satu", {"id": "5"}).body  # the place is free again
    left = requester.post(where("semua"), data)
    left.close()  # before its first byte
    assert "Orang 5" in attempt(requester, "satu", {"id": "5"}).body
    assert [line["broken"] for line in recorded() if line.get("broken")] == [True]
    # What is refused is explained on the page.
    refused = requester.post(where("satu"), {**data, "p_id": "lima"})
    assert "11102" in refused.content.decode()


def test_what_changes_data_is_confirmed_first(cast: Cast, requester: Client) -> None:
    cast.operation(
        "hapus", "DELETE FROM orang WHERE id = :id", parameters=({"name": "id", "type": "integer"},), writes=True
    )
    refused = attempt(requester, "hapus", {"id": "999999"}, method="POST")
    assert "dapat mengubah data. Konfirmasi dahulu" in refused.text
    assert recorded() == []
    shown = attempt(requester, "hapus", {"id": "999999"}, method="POST", confirm="on")
    assert shown.request.startswith("POST /rest/prov/data/hapus.json ")
    assert '"affected":0' in shown.body


def test_a_pass_through_operation_gets_the_request_as_it_is_typed(
    cast: Cast, requester: Client, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/dasar/rekap", query_string="tahun=2026", data="{}", method="POST").respond_with_data(
        "\x00biner", content_type="application/octet-stream"
    )
    publish_proxy(cast, httpserver.url_for("/dasar"), code="terusan", fields=("a",), grant="")
    fields = {"method": "POST", "suffix": "/rekap?tahun=2026", "media_type": "application/json", "body": "{}"}
    assert "Konfirmasi dahulu" in attempt(requester, "terusan", **fields).text
    shown = attempt(requester, "terusan", confirm="on", **fields)
    assert shown.blocks["Isi respons, dalam heksadesimal"].startswith("00000000  00 62 69 6e 65 72 ")
    assert shown.request.startswith("POST /rest/prov/data/terusan/rekap?tahun=2026 HTTP/1.1")
    assert "Awali dengan / atau ?" in attempt(requester, "terusan", suffix="/a b").text
    Grant.objects.filter(operation__code="terusan").update(fields="a")
    holder.refresh()
    refused = attempt(requester, "terusan", confirm="on", **fields)
    assert "hanya mencakup kolom ini, sedangkan respons ini tidak dapat dipilah menurut kolom: a" in refused.text


# ----------------------------------------------------------------------------------------- page


def test_without_a_script_it_is_a_page(cast: Cast, requester: Client) -> None:
    page = requester.get(where("cari")).content.decode()
    assert 'name="p_nama"' in page
    assert "hx-" not in page
    data = {"identity": "kons/app", "way": "rest-csv", "method": "GET", "p_unit": "Unit 3"}
    response = requester.post(where("cari"), data)
    text = response.content.decode()
    assert "<html" in text
    assert re.search(r"<title>\s*200 OK · ", text)
    assert "Orang 3" in text
    assert 'value="Unit 3"' in text
    assert re.search(r'id="try-result" role="status" aria-live="polite"', text)
    assert response["Cache-Control"] == "no-store"
    catalogue = requester.get("/catalog/prov/data/cari").content.decode()
    assert f'href="{where("cari")}?application=kons/app"' in catalogue
