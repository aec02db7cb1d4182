"""Where the kinds of operations are listed: catalogue, requests, contracts, status, alarms."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.utils.translation import override
from openapi_spec_validator import OpenAPIV31SpecValidator

from mantra.catalogue.reader import Reader
from mantra.catalogue.search import SearchForm
from mantra.contracts.responses import faults_of
from mantra.status import states
from registry import faults, requests
from registry.models import CallRecord, Field, Notification, User
from registry.notifications import lock_alarms
from registry.requests import Wanted
from registry.snapshot import holder, parts
from tests.admin.conftest import SignIn, make_user
from tests.admin.conftest import sign_in as sign_in
from tests.cast import Cast
from tests.verification.people import SITI, Verifying, verifying

NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
SIMILARITY = "nama_kemiripan"


@pytest.fixture
def made(cast: Cast) -> Verifying:
    return verifying(cast, listing="public", title="Cek penduduk")


def reader(client: Client | None = None) -> Client:
    found = client or Client()
    found.cookies["django_language"] = "en"
    return found


# --------------------------------------------------------------------------------------- catalogue


def test_the_catalogue_says_that_it_gives_no_data(made: Verifying) -> None:
    text = reader().get("/catalog/prov/data/cek").content.decode()
    assert "It gives no data" in text
    assert "a key is locked" in text
    assert "orang" not in text.replace("seorang", "")
    assert "gives no data" in reader().get("/catalog/?q=penduduk").content.decode()


@pytest.mark.parametrize(("kind", "found"), [("", True), ("verification", True), ("data", False)])
def test_the_search_by_what_it_gives(made: Verifying, kind: str, found: bool) -> None:
    form = SearchForm({"kind": kind})
    assert form.is_valid()
    assert form.found(Reader(AnonymousUser())).filter(code="cek").exists() is found
    form = SearchForm({"kind": kind, "format": "csv"})
    assert form.is_valid()
    assert form.found(Reader(AnonymousUser())).filter(code="cek").exists() is found


def test_the_columns_in_a_grant(made: Verifying, sign_in: SignIn) -> None:
    client = reader(sign_in("Requester", made.grant.application.agency))
    columns = {each.field.name: each.granted for each in client.get("/catalog/prov/data/cek").context["columns"]}
    assert columns["nama_sesuai"] is True
    assert columns[SIMILARITY] is False
    made.grant.fields = f"sesuai\n{SIMILARITY}"
    made.grant.save()
    columns = {each.field.name: each.granted for each in client.get("/catalog/prov/data/cek").context["columns"]}
    assert (columns["sesuai"], columns["nama_sesuai"], columns[SIMILARITY]) == (True, False, True)


def test_the_status_page_counts_it_in_its_service(made: Verifying) -> None:
    (service,) = [each for each in states.services() if each.code == "data"]
    assert made.operation.pk in service.operations
    assert list(service.needs) == [("source", made.base.of_its_kind.source_id)]  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------------- requests


def test_a_request_has_no_similarity_unless_it_is_ticked(cast: Cast, made: Verifying) -> None:
    made.grant.delete()
    proposed = requests.proposed_columns(made.operation)
    assert "nama_sesuai" in proposed
    assert SIMILARITY not in proposed
    applicant, provider = make_user("Requester", cast.consumer, "pemohon"), make_user("Provider", cast.provider, "p")
    for fields, warned in ((["sesuai", SIMILARITY], True), (["sesuai"], False)):
        row = requests.submit(applicant, Wanted(cast.application, {made.operation: fields}, "uji", token=uuid.uuid4()))
        (item,) = requests.items_of(row)
        with override("en"):
            said = [text for text in requests.warnings(item) if SIMILARITY in text]
        assert bool(said) is warned
        requests.withdraw(row, applicant)
    assert isinstance(provider, User)


def test_the_page_of_the_request_offers_it(made: Verifying, sign_in: SignIn) -> None:
    made.grant.delete()
    client = reader(sign_in("Requester", made.grant.application.agency))
    page = client.get("/catalog/prov/data/cek/request")
    columns = page.context["form"][f"columns-{made.operation.pk}"]
    assert SIMILARITY in {value for value, _label in columns.field.choices}
    assert SIMILARITY not in columns.initial
    assert "tell how near a value is" in page.content.decode()


# --------------------------------------------------------------------------------------- contracts


def test_the_openapi_document(cast: Cast, made: Verifying) -> None:
    document = reader().get("/catalog/prov/data/cek/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    row = document["components"]["schemas"]["cek.row"]
    answer = cast.get("cek", f"nik={SITI}&nama=Siti").json()["data"][0]
    with_types = {**row, "components": document["components"]}
    jsonschema.validate(answer, with_types)
    assert "null" in str(document["components"]["schemas"]["column.boolean"])
    assert row["properties"]["ditemukan"]["description"]
    get = document["paths"]["/rest/prov/data/cek"]["get"]
    assert {"200", "400", "429", "502"} <= set(get["responses"])


def test_the_faults_that_a_call_can_meet(made: Verifying) -> None:
    operation = parts.operation(made.operation.pk)
    assert operation is not None
    codes = {kind.code for kind in faults_of(operation, "GET")}
    wanted = (faults.VERIFICATION_LOCKED, faults.FIELDS_TOO_FEW, faults.VERIFICATION_UNAVAILABLE, faults.QUERY_FAILED,
              faults.UPSTREAM_TIMEOUT)  # fmt: skip
    assert {kind.code for kind in wanted} <= codes
    base = parts.operation(made.base.pk)
    assert base is not None
    assert faults.VERIFICATION_LOCKED.code not in {kind.code for kind in faults_of(base, "GET")}


def test_program_code_is_for_rows(made: Verifying) -> None:
    text = reader().get("/catalog/prov/data/cek/code?language=python").content.decode()
    assert "prov/data/cek" in text


# ------------------------------------------------------------------------------------------ alarms


def met(made: Verifying, number: int, age: timedelta = timedelta(minutes=5), application: str = "app") -> None:
    begun = CallRecord.objects.count()
    CallRecord.objects.bulk_create(
        CallRecord(
            request_id=f"{begun + each:032x}", started_at=NOW - age, operation_ref=made.operation.pk,
            consumer_agency="kons", application=application, outcome=faults.VERIFICATION_LOCKED.code,
        )
        for each in range(number)
    )  # fmt: skip


def test_a_lock_is_reported_to_the_provider_once_a_day(cast: Cast, made: Verifying) -> None:
    provider = make_user("Provider", cast.provider, "penyedia")
    caller = make_user("Requester", cast.consumer, "pemanfaat")
    assert lock_alarms.report(NOW) == 0
    met(made, 3)
    assert [lock_alarms.report(NOW), lock_alarms.report(NOW + timedelta(minutes=15))] == [1, 0]
    row = Notification.objects.get()
    assert (row.user, row.event) == (provider, "verification_locked")
    assert row.context == {"application": "kons/app", "operation": "Cek penduduk (prov/data/cek)", "calls": 3}
    assert not Notification.objects.filter(user=caller).exists()
    met(made, 1, age=-timedelta(days=1, minutes=-5))
    assert lock_alarms.report(NOW + timedelta(days=1)) == 1


def test_each_application_is_reported_by_itself(cast: Cast, made: Verifying) -> None:
    make_user("Provider", cast.provider, "penyedia")
    met(made, 2)
    met(made, 5, application="lain")
    met(made, 9, age=timedelta(hours=2))
    found = lock_alarms.locked(NOW - timedelta(hours=1), NOW)
    assert [(each.application, each.calls) for each in found] == [("lain", 5), ("app", 2)]
    assert lock_alarms.report(NOW) == 2


def test_a_real_lock_is_found_in_the_history(cast: Cast, made: Verifying) -> None:
    from registry.journal import segments, shipping

    provider = make_user("Provider", cast.provider, "penyedia")
    made.operation.tries = 1
    made.operation.save()
    holder.refresh()
    statuses = [cast.get("cek", f"nik={SITI}&nama=Bukan+Dia").status for _time in range(3)]
    assert statuses == [200, 429, 429]
    segments.close()
    shipping.ship()
    assert lock_alarms.report(datetime.now(UTC)) == 1
    assert Notification.objects.get(user=provider).context["calls"] == 2


def test_authors_of_verifications_hear_of_decisions(made: Verifying) -> None:
    from registry.notifications.kinds import KINDS, Event

    assert "verification.change_verificationoperation" in KINDS[Event.PUBLISH_DECIDED].rights


def test_the_fields_say_what_they_mean(made: Verifying) -> None:
    rows: Any = Field.objects.filter(operation=made.operation.pk)
    assert all(each.description for each in rows)
