"""Whose rows the API shows and changes, walked over every endpoint that there is."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dataservices.models import UPLOADS, DataSource, UploadedTable
from mantra.api.urls import router
from proxyservices.models import Backend, BackendServer, ProxyOperation
from registry import containment, incidents
from registry.models import (
    AccessKey,
    AccessRequest,
    Agency,
    ApiToken,
    Application,
    CallRecord,
    ChangeRecord,
    ClientCertificate,
    Grant,
    HarvestAlarm,
    HarvestRule,
    Incident,
    Operation,
    PublishRequest,
    Service,
    Stop,
    User,
)
from tests.api import conftest
from tests.api.conftest import ROOT, Person
from tests.cast import Cast
from tests.proxy.publishing import add_server
from tests.servers.certificates import self_signed

SECRETS = ("kata-sandi-sumber", "kunci-hulu-rahasia")
#: All may read the directory of agencies; nobody but administrators writes it.
PUBLIC = {"agencies"}


@pytest.fixture
def rows(cast: Cast) -> dict[str, Any]:
    """One row for each endpoint, none of which is the stranger's."""
    cast.source.password = SECRETS[0]
    cast.source.save()
    proxy = ProxyOperation.objects.create(service=cast.service, code="alias", state="published")
    server = add_server(proxy, "http://hulu.contoh.go.id", credential=SECRETS[1])
    record = CallRecord.objects.create(
        request_id="r1", started_at=timezone.now(), protocol="rest", method="GET", agency="prov", consumer_agency="kons"
    )
    user = User.objects.create(username="orang", agency=cast.provider)
    uploads = DataSource.objects.create(agency=cast.provider, code="unggahan", engine="sqlite", database=UPLOADS)
    asked = PublishRequest.objects.create(
        operation=Operation.objects.get(code="satu"), digest="0" * 64, requested_by=user, reason="Uji"
    )
    access = AccessRequest.objects.create(
        application=cast.application, service=cast.service, purpose="Uji", requested_by=user,
        expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    rule = HarvestRule.objects.create(agency=cast.provider, kind="rows", least=1000)
    return {
        "stops": containment.stop("source", cast.source.pk, "Uji"),
        "incidents": incidents.open_incident("Uji", timezone.now(), agency=cast.provider),
        "alarm-rules": rule,
        "alarms": HarvestAlarm.objects.create(
            rule=rule, agency="prov", consumer_agency="kons", application="app", day=timezone.localdate(),
            found_at=timezone.now(), hour=timezone.now(), number=5000, usual=10,
        ),
        "access-requests": access,
        "uploaded-tables": UploadedTable.objects.create(source=uploads, name="pegawai", title="Pegawai"),
        "agencies": cast.provider,
        "users": user,
        "sources": cast.source,
        "backends": server.backend,
        "services": cast.service,
        "operations": Operation.objects.get(code="satu"),
        "publish-requests": asked,
        "applications": cast.application,
        "keys": cast.key_row,
        "client-certificates": certificate_of(cast.application),
        "grants": cast.grants["satu"],
        "calls": record,
        "changes": ChangeRecord.objects.create(
            change_id="1" * 32, at=timezone.now(), user="orang", origin="admin", action="changed", agency="prov",
            kind="registry.service", ref=cast.service.pk, name="prov/data", fields="title", committed=True,
        ),
    }  # fmt: skip


def certificate_of(application: Application) -> ClientCertificate:
    row = ClientCertificate(application=application, pem=self_signed("ada"))
    row.full_clean()
    row.save()
    return row


#: What a head decides on: test_publishing.py, test_access_requests.py.
DECIDED = ("publish-requests", "access-requests")
#: What would make a row in the others' book, each body good in itself.
MAKING: dict[str, dict[str, Any]] = {
    "agencies": {"code": "baru", "name": "Baru"},
    "users": {"username": "baru"},
    "sources": {"agency": "prov", "code": "baru", "engine": "sqlite", "database": "x"},
    "backends": {"agency": "prov", "code": "baru"},
    "uploaded-tables": {"agency": "prov", "title": "Baru"},
    "services": {"agency": "prov", "code": "baru", "title": "Baru"},
    "operations": {
        "kind": "data", "service": "prov/data", "code": "baru", "source": "prov/uji", "sql": "SELECT id FROM orang",
    },
    "publish-requests": {"operation": "prov/data/satu", "reason": "uji"},
    "access-requests": {
        "application": "kons/app", "operations": [{"operation": "prov/data/halaman"}], "purpose": "uji",
    },
    "applications": {"agency": "kons", "code": "baru", "title": "Baru"},
    "keys": {"application": "kons/app"},
    "client-certificates": {"application": "kons/app", "pem": self_signed("baru")},
    "grants": {"application": "kons/app", "operation": "prov/data/alias", "purpose": "uji"},
    "stops": {"kind": "operation", "target": "prov/data/satu", "reason": "uji"},
    "incidents": {"title": "Baru"},
    "alarm-rules": {"agency": "prov", "kind": "calls", "least": 1000},
    "alarms": {},
    "calls": {},
    "changes": {},
}  # fmt: skip


def endpoints() -> list[tuple[str, Any]]:
    """The endpoints of rows. Who looked at a person is asked by POST: tests/looks/test_subject_access.py."""
    return [(prefix, view) for prefix, view, _name in router.registry if hasattr(view, "queryset")]


def actions(view: Any) -> list[str]:
    return [re.sub(r"\(\?P<number>.*?\)", "1", extra.url_path) for extra in view.get_extra_actions()]


def book() -> list[Any]:
    models = (
        Agency, User, DataSource, Service, Operation, Application, AccessKey, Grant, CallRecord, Backend, BackendServer,
        UploadedTable, PublishRequest, AccessRequest, ClientCertificate, Stop, Incident, HarvestRule, HarvestAlarm,
    )  # fmt: skip
    return [list(model.objects.order_by("pk").values()) for model in models]


def writes(person: Person, prefix: str, view: Any, pk: int) -> list[tuple[str, Any]]:
    """Every way to change a row, tried."""
    place = f"{prefix}/{pk}/"
    body = {**dict.fromkeys(("title", "name", "code", "purpose", "username"), "diubah"), "mode": "off"}
    tried = [
        ("POST", person.post(f"{prefix}/", MAKING[prefix])),
        ("PATCH", person.patch(place, body)),
        ("PUT", person.put(place, body)),
        ("DELETE", person.delete(place)),
    ]
    return tried + [(f"POST {action}", person.post(f"{place}{action}/")) for action in actions(view)]


def test_the_rows_cover_every_endpoint(rows: dict[str, Any]) -> None:
    assert set(rows) == {prefix for prefix, _view in endpoints()}


@pytest.mark.parametrize("prefix,view", endpoints(), ids=[prefix for prefix, _view in endpoints()])
def test_a_stranger_sees_and_changes_nothing(prefix: str, view: Any, rows: dict[str, Any], stranger: Person) -> None:
    before = book()
    place = f"{prefix}/{rows[prefix].pk}/"
    listed = stranger.get(f"{prefix}/")
    if prefix not in PUBLIC:
        assert listed.status_code == 403 or not listed.json()["results"]
        assert stranger.get(place).status_code in (403, 404)
    for method, answer in writes(stranger, prefix, view, rows[prefix].pk):
        wanted = (400, 403, 404, 405) if method == "POST" else (403, 404, 405)
        assert answer.status_code in wanted, (method, answer.content)
    assert book() == before


@pytest.mark.parametrize("prefix,view", endpoints(), ids=[prefix for prefix, _view in endpoints()])
def test_a_supervisor_sees_all_and_changes_nothing(
    prefix: str, view: Any, rows: dict[str, Any], supervisor: Person
) -> None:
    before = book()
    assert supervisor.get(f"{prefix}/{rows[prefix].pk}/").status_code == 200
    assert supervisor.get(f"{prefix}/").json()["results"]
    for method, answer in writes(supervisor, prefix, view, rows[prefix].pk):
        assert answer.status_code in (403, 405), (method, answer.content)
    assert book() == before


def test_a_head_reads_the_own_agency_and_changes_nothing_but_decides(rows: dict[str, Any], cast: Cast) -> None:
    head = conftest.person("Head", cast.provider)
    before = book()
    for prefix, view in endpoints():
        if prefix not in rows or prefix in DECIDED:
            continue
        for method, answer in writes(head, prefix, view, rows[prefix].pk):
            assert answer.status_code in (403, 404, 405), (prefix, method, answer.content)
    assert book() == before
    for prefix in ("services", "operations", "sources", "backends", "uploaded-tables", "grants"):
        assert head.get(f"{prefix}/{rows[prefix].pk}/").status_code == 200, prefix


def test_what_a_stranger_cannot_make_an_administrator_can(rows: dict[str, Any], administrator: Person) -> None:
    for prefix, body in MAKING.items():
        # A table needs a file: test_uploads.py.
        never = dict.fromkeys(("calls", "publish-requests", "changes", "alarms", "incidents"), 403)
        wanted = ({"users": 405, "uploaded-tables": 400} | never).get(prefix, 201)
        answer = administrator.post(f"{prefix}/", body)
        assert answer.status_code == wanted, (prefix, answer.content)


def test_a_supervisor_with_another_role_still_changes_nothing(rows: dict[str, Any], supervisor: Person) -> None:
    supervisor.user.agency = rows["agencies"]
    supervisor.user.save()
    supervisor.user.groups.add(Group.objects.get(name="Provider"))
    assert supervisor.patch(f"services/{rows['services'].pk}/", {"title": "diubah"}).status_code == 403


@pytest.mark.parametrize("prefix", [prefix for prefix, _view in endpoints()])
def test_no_answer_holds_a_secret(prefix: str, rows: dict[str, Any], cast: Cast, administrator: Person) -> None:
    digests = list(AccessKey.objects.values_list("digest", flat=True)) + list(
        ApiToken.objects.values_list("digest", flat=True)
    )
    hashes = list(User.objects.values_list("password", flat=True))
    for answer in (administrator.get(f"{prefix}/"), administrator.get(f"{prefix}/{rows[prefix].pk}/")):
        text = answer.content.decode()
        assert answer.status_code == 200
        for secret in (*SECRETS, cast.key, *digests, *(value for value in hashes if value)):
            assert secret not in text
    written = administrator.patch(f"sources/{rows['sources'].pk}/", {"password": "kata-sandi-baru"})
    assert "kata-sandi-baru" not in written.content.decode()


def test_without_a_token_nothing_is_told(rows: dict[str, Any]) -> None:
    for prefix, _view in endpoints():
        answer = Client().get(f"{ROOT}{prefix}/")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Token"


def test_tokens_that_are_wrong_old_or_of_somebody_gone_open_nothing(cast: Cast, provider: Person) -> None:
    good, provider.token = provider.token, "mtr_salah"
    assert provider.get("services/").status_code == 401
    provider.token = good
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert provider.get("services/").status_code == 401
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert provider.get("services/").status_code == 200
    User.objects.filter(pk=provider.user.pk).update(is_active=False)
    assert provider.get("services/").status_code == 401


def test_no_row_is_created_in_or_moved_to_another_agency(cast: Cast, provider: Person) -> None:
    theirs = Service.objects.create(agency=cast.stranger, code="lain", title="Lain")
    assert provider.post("services/", {"agency": "asing", "code": "baru", "title": "Baru"}).status_code == 403
    assert provider.patch(f"services/{cast.service.pk}/", {"agency": "asing"}).status_code == 403
    moved = provider.patch(f"operations/{cast.operations['satu'].pk}/", {"service": str(theirs)})
    assert "service" in moved.json()
    assert Service.objects.get(pk=cast.service.pk).agency == cast.provider


def test_anothers_source_cannot_be_used_but_anybodys_application_can_be_granted(cast: Cast, provider: Person) -> None:
    DataSource.objects.create(agency=cast.stranger, code="rahasia", engine="sqlite", database="x")
    unknown = provider.patch(f"operations/{cast.operations['satu'].pk}/", {"source": "asing/rahasia"}).json()
    nothing = provider.patch(f"operations/{cast.operations['satu'].pk}/", {"source": "asing/tidakada"}).json()
    assert unknown["source"][0].replace("rahasia", "tidakada") == nothing["source"][0]
    Application.objects.create(agency=cast.stranger, code="sistem", title="Sistem")
    answer = provider.post("grants/", {"application": "asing/sistem", "operation": "prov/data/satu", "purpose": "uji"})
    assert answer.status_code == 201


def test_consumer_reads_its_grant_but_cannot_change_it(cast: Cast, requester: Person) -> None:
    place = f"grants/{cast.grants['satu'].pk}/"
    assert requester.get(place).status_code == 200
    assert requester.patch(place, {"quota": ""}).status_code == 403
    assert requester.post(place + "revoke/").status_code == 403


def test_a_session_works_and_its_writes_need_the_csrf_token(cast: Cast, provider: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(provider.user)
    place = f"{ROOT}services/{cast.service.pk}/"
    assert client.get(place).status_code == 200
    assert client.patch(place, {"title": "Baru"}, content_type="application/json").status_code == 403
    client.get("/admin/")
    token = client.cookies["csrftoken"].value if "csrftoken" in client.cookies else "a" * 32
    client.cookies["csrftoken"] = token
    answer = client.patch(place, {"title": "Baru"}, content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 200, answer.content


def test_s15_nobody_learns_which_codes_another_agency_has(cast: Cast, provider: Person, requester: Person) -> None:
    """Tenancy is asked before the rules of the model: a code that exists there and one that does not are told alike."""
    other = Agency.objects.create(code="lain", name="Lain")
    service = Service.objects.create(agency=other, code="ada", title="Ada")
    DataSource.objects.create(agency=other, code="ada", engine="sqlite", database="/x")
    Application.objects.create(agency=other, code="ada", title="Ada")
    bodies: list[tuple[Person, str, str, dict[str, Any]]] = [
        (provider, "services", str(cast.service.pk), {"title": "x"}),
        (provider, "sources", str(cast.source.pk), {"engine": "sqlite", "database": "/x"}),
        (requester, "applications", str(cast.application.pk), {"title": "x"}),
    ]
    for person, path, key, body in bodies:
        for send in (lambda data, p=person, a=path: p.post(f"{a}/", data),
                     lambda data, p=person, a=path, k=key: p.patch(f"{a}/{k}/", data)):  # fmt: skip
            answers = [send({"agency": "lain", "code": code, **body}) for code in ("ada", "tidak-ada")]
            assert [answer.status_code for answer in answers] == [403, 403]
            assert answers[0].content == answers[1].content
    kinds = [
        provider.post("operations/", {"kind": "data", "service": f"lain/{name}", "code": "x", "source": "prov/uji",
                                      "sql": "SELECT 1 AS a"})
        for name in (service.code, "tidak-ada")
    ]  # fmt: skip
    assert [answer.status_code for answer in kinds] == [400, 400]
    texts = [answer.content.decode().replace("lain/ada", "?").replace("lain/tidak-ada", "?") for answer in kinds]
    assert texts[0] == texts[1]


# ------------------------------------------------------------------------------------------ routes


def _paths(cast: Cast) -> list[str]:
    """Return a path for every route of the management API, with rows of the cast where a route has one."""
    rows = {
        "agencies": cast.provider, "sources": cast.source, "services": cast.service,
        "operations": cast.operations["satu"], "applications": cast.application, "keys": cast.key_row,
        "grants": cast.grants["satu"],
    }  # fmt: skip
    paths = []
    for route in router.urls:
        prefix, name = str(route.pattern).removeprefix("^").partition("/")[0], route.name
        key = rows[prefix].pk if prefix in rows else 1
        given = {"pk": key, "number": 1}
        kwargs = {name: value for name, value in given.items() if f"<{name}>" in str(route.pattern)}
        paths.append(reverse(f"manage-api:{name}", kwargs=kwargs))
    return paths


@pytest.mark.parametrize("role", ["provider", "publisher", "requester", "stranger", "supervisor", "administrator"])
def test_s18_options_and_head_fail_on_no_route(role: str, cast: Cast, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(role)
    paths = [path.removeprefix(ROOT) for path in _paths(cast)]
    assert {path.partition("/")[0] for path in paths} >= {"operations", "keys", "calls", "users"}
    for path in paths:
        options = person.request("OPTIONS", path)
        if path == "subject-access/" and options.status_code == 403:
            continue  # who may not look has nothing to learn of it
        assert options.status_code == 200, (path, options.content)
        assert "application/json" in options.json()["parses"]
        assert person.request("HEAD", path).status_code in (200, 403, 404, 405), path
    assert {person.request(method, "schema/").status_code for method in ("OPTIONS", "HEAD")} == {200}
