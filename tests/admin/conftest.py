"""Who signs in to the admin, and a whole agency whose every word is marked, so that a leak can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from dataservices.models import DataOperation, DataSource, UploadedTable, UploadVersion
from mantra.legacy_import.models import (
    ComparedOperation,
    ComparisonInput,
    HostComparison,
    ImportedRow,
    ImportInput,
    LegacyImport,
    OldCallsOfDay,
)
from mantra.reconciliation.models import Reconciliation
from mantra.synchronization.models import Sync
from mantra.verification.models import VerificationOperation, VerifiedField, declare
from proxyservices.models import (
    AddressChange,
    ParameterMapping,
    ProxyOperation,
    ServerState,
    ServiceDescription,
)
from registry.models import (
    AccessKey,
    AccessRequest,
    Agency,
    ApiToken,
    Application,
    CallRecord,
    ChangeRecord,
    ClientCertificate,
    Field,
    Grant,
    GuardFinding,
    HarvestAlarm,
    HarvestRule,
    Incident,
    IncidentObject,
    KeyNetwork,
    Notification,
    Operation,
    OutboxMessage,
    Parameter,
    PublishRequest,
    RequestedOperation,
    RequestStep,
    RoleRule,
    SampleRequest,
    Service,
    Stop,
    User,
)
from tests.proxy.publishing import add_server
from tests.replay import replayed

MARKER = "zamrud"
#: What belongs to no agency. Only administrators and supervisors open its pages.
OF_THE_BUS = {RoleRule}

SignIn = Callable[..., Client]


def make_user(role: str, agency: Agency | None = None, username: str = "", **more: Any) -> User:
    user = User.objects.create(username=username or role.lower(), agency=agency, is_staff=True, **more)
    user.groups.set([Group.objects.get(name=role)])
    return user


@pytest.fixture
def sign_in(db: None) -> SignIn:
    """Make a user of a role, or take one that is there, and return a client that is signed in."""

    def signed_in(role: str, agency: Agency | None = None, **more: Any) -> Client:
        username = more.get("username") or f"{role.lower()}-{agency.code if agency else 'semua'}"
        user = User.objects.filter(username=username).first()
        if user is None:
            user = make_user(role, agency, **{**more, "username": username})
        client = Client()
        client.force_login(user)
        return client

    return signed_in


def confirmed(client: Client, address: str, data: dict[str, Any]) -> Any:
    """Send a form, and once more with the tick if the page has a question."""
    response = client.post(address, data)
    form = response.context["adminform"].form if response.status_code == 200 else None
    return client.post(address, {**data, "_confirmed": form.token}) if getattr(form, "questions", ()) else response


@dataclass
class MarkedAgency:
    """An agency with one of everything; every name in it holds MARKER."""

    agency: Agency
    user: User
    service: Service
    source: DataSource
    operation: DataOperation
    proxy: ProxyOperation
    application: Application
    key: AccessKey
    grant: Grant
    record: CallRecord
    token: ApiToken
    request: PublishRequest
    rows: list[Model] = field(default_factory=list)


def _import(mark: str, operation: Operation) -> None:
    """An import from MANTRA 1.99x, whose input is still there."""
    read = ImportInput.objects.create(
        name=f"{mark}.sql", host="10.1.1.5", database=mark, user=mark, expires_at=timezone.now() + timedelta(hours=24)
    )
    run = LegacyImport.objects.create(
        state="done", source=read.name, input=read, parts=["operations"], rows=2, counts={"methods": 3, "tracks": 9},
        missing_hosts={"localhost": 1}, found_hosts={"localhost": 1, mark: 2},
    )  # fmt: skip
    for number, kind in enumerate(("program", "localhost"), start=1):
        ImportedRow.objects.create(
            run=run, table="methods", old_id=number, outcome="person", remarks=[[kind, {"host": mark}]],
            codes=f" {kind} ", kind="registry.operation", ref=operation.pk, name=f"{mark}/{number}",
        )  # fmt: skip
    _comparisons(run, mark, operation)
    OldCallsOfDay.objects.create(day="2017-03-01", agency=mark, username=mark, status="SUCCESS", calls=7)


def _comparisons(run: LegacyImport, mark: str, operation: Operation) -> None:
    """Two comparisons of both hosts after an import, the second with what differs."""
    ComparisonInput.objects.create(
        run=run, keys_stored="0" * 32, log_name=f"{mark}.log", log_stored="1" * 32,
        expires_at=timezone.now() + timedelta(hours=24),
    )  # fmt: skip
    log = {"lines": 9, "requests": 7, "posts": 1, "not_answered": 1, "other_folders": {mark: 2}}
    for _number in range(2):
        one = HostComparison.objects.create(
            run=run, state="done", old_url=f"http://{mark}.go.id/mantra", log_name=f"{mark}.log", responses=9, equal=7,
            kinds={"value": 2, "message": 1, "skipped-no-key": 1}, log=log, finished_at=timezone.now(),
        )  # fmt: skip
    for kind, harmless, count in (("value", False, 2), ("message", True, 1), ("skipped-no-key", True, 0)):
        ComparedOperation.objects.create(
            comparison=one, path=f"{mark}/layanan/data", ref=operation.pk, kind=kind, harmless=harmless, count=count,
            formats="json 1", example=f"{mark}: text(7) → text(9)",
        )  # fmt: skip


def make_agency(mark: str) -> MarkedAgency:
    agency = Agency.objects.create(code=mark, name=f"Badan {mark}", email=f"{mark}@contoh.go.id")
    user = make_user("Provider", agency, f"{mark}-orang", email=f"orang@{mark}.go.id")
    service = Service.objects.create(agency=agency, code=f"{mark}-layanan", title=f"Layanan {mark}")
    source = DataSource.objects.create(
        agency=agency, code=f"{mark}-sumber", engine="postgresql", host=f"{mark}.internal", database=mark, user=mark,
        password=f"sandi-{mark}",
    )  # fmt: skip
    operation = DataOperation.objects.create(
        service=service,
        source=source,
        code=f"{mark}-data",
        title=f"Data {mark}",
        sql=f"SELECT '{mark}' AS {mark} [[ , :{mark}_masukan AS masukan ]]",
    )
    proxy = ProxyOperation.objects.create(
        service=service, code=f"{mark}-proksi", title=f"Proksi {mark}", style="legacy-rest"
    )
    server = add_server(proxy, f"https://{mark}.go.id/api", credential=f"kunci-{mark}")
    ParameterMapping.objects.create(
        operation=proxy, location="header", name=f"X-{mark}", value=f"rahasia-{mark}", secret=True
    )
    ServiceDescription.objects.create(
        operation=proxy, url=f"https://{mark}.go.id/api?wsdl", main=True, content=f"<{mark}/>"
    )
    SampleRequest.objects.create(
        operation=proxy, name=f"contoh {mark}", request=f'{{"{mark}_masukan": "orang-{mark}"}}'
    )
    ServerState.objects.create(server=server, observer=f"web-{mark}:1", phase="connect", reason="refused")
    AddressChange.objects.create(
        server=server, backend=str(server.backend), backend_ref=server.backend_id,
        old_url=f"https://lama.{mark}.go.id/", new_url=server.url, kind="switch", user=user.username,
    )  # fmt: skip
    for each in (operation, proxy):
        Parameter.objects.create(operation=each, name=f"{mark}_masukan", required=False)
        Field.objects.create(operation=each, name=f"{mark}_kolom")
    base = DataOperation.objects.create(
        service=service, source=source, code=f"{mark}-dasar", title=f"Dasar {mark}", state="published",
        listing="hidden", sql=f"SELECT nama AS {mark}_nama FROM {mark} WHERE nik = :{mark}_nik",
    )  # fmt: skip
    Parameter.objects.create(operation=base, name=f"{mark}_nik")
    Field.objects.create(operation=base, name=f"{mark}_nama")
    verification = VerificationOperation.objects.create(
        service=service, base=base, code=f"{mark}-cek", title=f"Cek {mark}"
    )
    VerifiedField.objects.create(operation=verification, name=f"{mark}_nama", rule="name")
    declare(verification)
    application = Application.objects.create(agency=agency, code=f"{mark}-aplikasi", title=f"Aplikasi {mark}")
    key, _plain = AccessKey.issue(application)
    AccessKey.objects.filter(pk=key.pk).update(public=f"mtr_{mark}")
    key.refresh_from_db()
    certificate = ClientCertificate.objects.create(
        application=application, pem=f"sertifikat-{mark}", subject=f"CN={mark}", thumbprint="0" * 64,
        not_after=timezone.now() + timedelta(days=30),
    )  # fmt: skip
    grant = Grant.objects.create(application=application, operation=operation, purpose=f"Uji {mark}")
    record = CallRecord.objects.create(
        request_id=f"{mark}-{0:08d}", started_at=timezone.now(), protocol="rest", method="GET", agency=mark,
        service=service.code, operation=operation.code, consumer_agency=mark, application=application.code,
        outcome=200, status=200, rows=1, bytes=10, duration_us=1000,
    )  # fmt: skip
    KeyNetwork.objects.create(
        key=key, network="10.1.2.0/24", first_at=timezone.now(), last_at=timezone.now(), calls=3, rows=9
    )
    changed = ChangeRecord.objects.create(
        change_id=f"{mark}-{1:08d}", at=timezone.now(), user=user.username, origin="admin", action="changed",
        kind="registry.grant", ref=grant.pk, name=str(grant), agency=mark, fields="quota", committed=True,
    )  # fmt: skip
    uploaded = UploadedTable.objects.create(
        source=DataSource.objects.create(agency=agency, code=f"{mark}-unggahan", engine="sqlite", database=":uploads:"),
        name=f"{mark}_tabel", title=f"Tabel {mark}",
        columns=[{"name": f"{mark}_k", "header": mark, "kind": "text", "type": "text", "searched": False,
                  "left_out": False}],
    )  # fmt: skip
    uploaded.current = UploadVersion.objects.create(
        table=uploaded, number=1, stored=mark, file_name=f"{mark}.xlsx", sha256="0", size=1, rows=1, user=user.username
    )
    uploaded.save()
    token, _plain = ApiToken.issue(user, timezone.now() + timedelta(days=1))
    ApiToken.objects.filter(pk=token.pk).update(public=f"mtr_{mark}t")
    token.refresh_from_db()
    asked = PublishRequest.objects.create(operation=operation, digest="0" * 64, requested_by=user, reason=f"Uji {mark}")
    mail = OutboxMessage.objects.create(user=user, event="grant_revoked", context={"operation": mark}, url=f"/{mark}/")
    Notification.objects.create(user=user, event="grant_revoked", context={"operation": mark}, url=f"/{mark}/")
    access = AccessRequest.objects.create(
        application=application, service=service, purpose=f"Uji {mark}", requested_by=user,
        expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    RequestedOperation.objects.create(request=access, application=application, operation=operation)
    RequestStep.objects.create(request=access, kind="submitted", user=user, text=f"Uji {mark}")
    matched = Reconciliation.objects.create(
        agency=agency, code=f"{mark}-cocok", title=f"Cocok {mark}", responsible=user
    )
    matched.sides.create(place="left", kind="operation", as_own=True, operation=operation)
    matched.sides.create(place="right", kind="file", file_name=f"{mark}.csv")
    matched.runs.create(
        state="done", user=user, equal=3, different=1, by_field=[1], kept={}, finished_at=timezone.now(),
        headings={"left": [mark], "right": [mark], "key": [mark], "fields": [[mark, mark]]},
    )  # fmt: skip
    _import(mark, operation)
    sync = Sync.objects.create(
        agency=agency, code=f"{mark}-sinkron", title=f"Sinkron {mark}", operation=operation, application=application,
        source=source, schema=mark, table=mark, columns=[[mark, mark, True]],
    )  # fmt: skip
    sync.runs.create(state="done", dry=True, user=user.username, samples=[["inserted", f"{mark}: {mark}"]])
    undeclared = GuardFinding.objects.create(
        operation=operation, day=timezone.localdate(), place=mark, kind="NIK", calls=1, found=1, last_at=timezone.now()
    )
    rule = HarvestRule.objects.create(agency=agency, kind="rows", least=1000)
    alarm = HarvestAlarm.objects.create(
        rule=rule, agency=mark, consumer_agency=mark, application=application.code, key=key.public, key_ref=key.pk,
        day=timezone.localdate(), found_at=timezone.now(), hour=timezone.now(), number=5000, usual=10,
        figures={"agencies": [mark]}, action="alarm",
    )  # fmt: skip
    incident = Incident.objects.create(
        number=f"{mark}/2026/1", agency=agency, title=f"Kejadian {mark}", opened_by=user, period_from=timezone.now(),
        disclosed=mark, how=mark, handling=mark, effects=mark, contact=f"{mark}@contoh.go.id",
    )  # fmt: skip
    incident.notes.create(step="opened", by=user, about=mark, text=mark)
    IncidentObject.objects.create(incident=incident, kind="grant", ref=grant.pk, name=str(grant))
    Stop.objects.create(
        kind="grant", ref=grant.pk, name=str(grant), agency=agency, owner=agency, caller=agency, reason=f"Uji {mark}",
        started_by=user, incident=incident,
    )  # fmt: skip
    found = MarkedAgency(agency, user, service, source, operation, proxy, application, key, grant, record, token, asked)
    found.rows = [
        agency, user, service, source, operation, Operation.objects.get(pk=proxy.pk), server.backend, proxy,
        application, key, certificate, grant, record, token, asked, uploaded, mail, access, base, verification, sync,
        changed, rule, alarm, undeclared,
    ]  # fmt: skip
    return found


@pytest.fixture
def marked(db: None) -> MarkedAgency:
    return replayed(MARKER, lambda: make_agency(MARKER))


@pytest.fixture
def stranger(db: None) -> Agency:
    return Agency.objects.create(code="asing", name="Instansi Asing")
