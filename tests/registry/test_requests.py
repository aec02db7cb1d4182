"""Access requests: who may ask and decide, what a decision does, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from proxyservices.models import ProxyOperation
from registry import requests
from registry.models import (
    AccessKey,
    AccessRequest,
    Application,
    CallRecord,
    Field,
    Grant,
    Notification,
    Operation,
    RequestedOperation,
    Service,
    User,
)
from registry.requests import Decision, Outdated, Terms, Wanted
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import Cast

State, Item = AccessRequest.State, RequestedOperation.State
Submit = Callable[..., AccessRequest]
NEXT_YEAR = date.today() + timedelta(days=365)


@pytest.fixture
def asker(cast: Cast) -> User:
    return make_user("Requester", cast.consumer, "pemohon")


@pytest.fixture
def provider(cast: Cast) -> User:
    return make_user("Provider", cast.provider, "penyedia")


@pytest.fixture
def head(cast: Cast) -> User:
    return make_user("Head", cast.provider, "kepala")


@pytest.fixture
def warga(cast: Cast) -> Operation:
    """An operation with columns of each classification, for which nobody has a grant."""
    row = cast.define("warga", "SELECT id, nama, gaji FROM orang WHERE id = :id", parameters=({"name": "id"},))
    for name, classification in {"id": "internal", "nama": "personal", "gaji": "specific"}.items():
        Field.objects.create(operation=row, name=name, classification=classification)
    Grant.objects.all().delete()
    return Operation.objects.get(pk=row.pk)


@pytest.fixture
def proxied(cast: Cast) -> Operation:
    row = ProxyOperation.objects.create(service=cast.service, code="terusan", style="pass-through", state="published")
    return Operation.objects.get(pk=row.pk)


@pytest.fixture
def submit(cast: Cast, asker: User, warga: Operation) -> Submit:
    def submitted(*columns: str, by: User = asker, **more: Any) -> AccessRequest:
        operations = more.pop("operations", {warga: columns or ("id", "nama")})
        wanted: dict[str, Any] = {"application": cast.application, "purpose": "Verifikasi penerima bantuan"}
        wanted |= {"legal_basis": "PP 12/2026", **more}
        return requests.submit(by, Wanted(operations=operations, **wanted))

    return submitted


def marks(request: AccessRequest, user: User) -> dict[int, str]:
    """What a user has seen on the request's page."""
    return {item.pk: requests.mark(item) for item in requests.decidable(fresh(request), user)}


def fresh(request: AccessRequest) -> AccessRequest:
    return AccessRequest.objects.get(pk=request.pk)


def approved(request: AccessRequest, user: User, reason: str = "") -> AccessRequest:
    return requests.approve(request, user, marks(request, user), reason)


def called(cast: Cast) -> Any:
    holder.refresh()
    return cast.get("warga", "id=7")


# ----------------------------------------------------------------------------------------- from request to call


def test_it_works(cast: Cast, asker: User, provider: User, submit: Submit) -> None:
    request = submit(
        legal_basis="PP 12/2026", agreement="PKS/1", volume=1000, valid_until=NEXT_YEAR, networks="10.0.0.0/8"
    )
    assert list(requests.inbox(provider)) == [request]
    assert list(requests.own(asker)) == [request]
    assert called(cast).status == 403
    requests.begin_review(request, provider)
    assert fresh(request).state == State.IN_REVIEW
    done = approved(request, provider, "Sesuai perjanjian")
    assert done.state == State.APPROVED
    grant = Grant.objects.get(application=cast.application)
    assert (grant.purpose, grant.legal_basis, grant.agreement) == ("Verifikasi penerima bantuan", "PP 12/2026", "PKS/1")
    assert (grant.fields, grant.quota, grant.valid_until, grant.networks) == (
        "id\nnama",
        "1000/day",
        NEXT_YEAR,
        "10.0.0.0/8",
    )
    assert called(cast).status == 403  # not from here
    holder.refresh()
    assert cast.get("warga", "id=7", address="10.1.2.3").json()["data"] == [{"id": "7", "nama": "Orang 7"}]
    assert not requests.inbox(provider).exists()
    events = Notification.objects.order_by("pk").values_list("event", "user__username", "context__agency")
    assert list(events) == [
        ("request_submitted", "penyedia", "Konsumen"), ("request_approved", "pemohon", "Penyedia"),
    ]  # fmt: skip
    assert [step.kind for step in request.trail.all()] == ["submitted", "review", "approved"]


def test_trail_ends_with_the_key_and_the_first_answered_call(
    cast: Cast, asker: User, provider: User, submit: Submit, warga: Operation
) -> None:
    request = submit()
    AccessKey.objects.all().delete()
    assert [step.done for step in fresh(request).steps] == [True, False]
    approved(request, provider)
    assert [step.done for step in fresh(request).steps] == [True, True, False, False]
    AccessKey.issue(cast.application)
    assert [step.done for step in fresh(request).steps] == [True, True, True, False]
    began = timezone.now()
    for number, (outcome, application) in enumerate([(11101, "app"), (200, "lain"), (200, "app")]):
        CallRecord.objects.create(
            request_id=str(number), started_at=began + timedelta(seconds=number), protocol="rest", method="GET",
            agency="prov", operation_ref=warga.pk, consumer_agency="kons", application=application, outcome=outcome,
        )  # fmt: skip
    assert fresh(request).steps[-1].at == began + timedelta(seconds=2)
    assert fresh(request).first_call_at is not None
    Grant.objects.get().set_state("revoked")
    assert len(fresh(request).steps) == 5


def test_it_names_what_the_application_has_already(
    cast: Cast, provider: User, submit: Submit, warga: Operation, django_assert_max_num_queries: Any
) -> None:
    other = Grant.objects.create(application=cast.application, operation=cast.operations["semua"], purpose="uji")
    grant = Grant.objects.create(application=cast.application, operation=warga, purpose="lama", fields="id")
    request = submit("id", "gaji", volume=5, volume_period="hour")
    item = requests.items_of(fresh(request))[0]
    changed = {line.label: (line.now, line.then) for line in requests.compare(item) if line.changed}
    assert list(changed.values())[:2] == [("id", "id, gaji"), ("tanpa batas", "5 per jam")]
    assert any("gaji" in text for text in requests.warnings(item))
    assert requests.other_grants(request) == [other]
    for outcome in (200, 200, 11101):
        CallRecord.objects.create(
            request_id=str(CallRecord.objects.count()), started_at=timezone.now(), protocol="rest", method="GET",
            agency="prov", consumer_agency="kons", application="app", outcome=outcome,
        )  # fmt: skip
    with django_assert_max_num_queries(1):
        use = requests.usage(request)
    assert (use.calls, use.failed) == (3, 1)
    assert grant.standing == Grant.Standing.IN_FORCE  # it holds until the decision


# -------------------------------------------------------------------------------------- what is refused at once


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purpose": " "}, "purpose"), ({"operations": {}}, "operations"), ({"volume": 0}, "volume"),
        ({"valid_until": date.today() - timedelta(days=1)}, "valid_until"),
        ({"valid_until": date.today() + timedelta(days=4000)}, "valid_until"),
        ({"valid_until": date.max}, "valid_until"), ({"valid_from": date.max, "valid_until": NEXT_YEAR}, "valid_until"),
        ({"valid_from": NEXT_YEAR, "valid_until": date.today()}, "valid_until"),
        ({"networks": "kantor"}, "networks"), ({"legal_basis": "x" * 301}, "legal_basis"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_at_their_fields(submit: Submit, change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        submit(**change)
    assert field in refused.value.message_dict
    assert not AccessRequest.objects.exists()


def test_operations_that_cannot_be_requested(cast: Cast, submit: Submit, warga: Operation, proxied: Operation) -> None:
    Operation.objects.filter(code="semua").update(state="retired")
    Operation.objects.filter(code="satu").update(listing="hidden")
    with pytest.raises(ValidationError) as refused:
        submit(operations={Operation.objects.get(code="satu"): ()})
    assert list(refused.value.message_dict) == ["operations"]
    for code, columns in [("semua", ()), ("terbuka", ()), ("warga", ()), ("warga", ("alamat",)), ("terusan", ("id",))]:
        with pytest.raises(ValidationError) as refused:
            submit(operations={Operation.objects.get(code=code): columns})
        assert code in " ".join(refused.value.messages)
    assert not AccessRequest.objects.exists()


def test_a_period_may_begin_on_any_day(submit: Submit) -> None:
    assert submit(valid_from=date.max, valid_until=date.max).valid_until == date.max


def test_a_request_stays_with_its_service(cast: Cast, asker: User, provider: User, submit: Submit) -> None:
    """An applicant cannot take what one agency has decided and said out of its sight, and show it to another one."""
    elsewhere = Service.objects.create(agency=cast.stranger, code="lain", title="Lain")
    other = cast.define("lain", "SELECT 1 AS satu")
    Operation.objects.filter(pk=other.pk).update(service=elsewhere)
    request = submit()
    wanted = Wanted(cast.application, {Operation.objects.get(pk=other.pk): ()}, "Lain")
    with pytest.raises(ValidationError) as refused:
        requests.revise(request, asker, wanted)
    assert list(refused.value.message_dict) == ["operations"]
    assert requests.inbox(provider).get().service == cast.service


def test_the_same_form_twice_makes_one_request(submit: Submit, asker: User, cast: Cast) -> None:
    request = submit()
    assert submit(token=request.token) == request
    with pytest.raises(PermissionDenied):
        submit(token=request.token, by=make_user("Requester", cast.stranger, "lain"))


def test_an_operation_is_requested_once_at_a_time(
    cast: Cast, submit: Submit, asker: User, warga: Operation, provider: User
) -> None:
    request = submit()
    with pytest.raises(requests.AlreadyRequested) as refused:
        submit(operations={warga: ("id",), cast.operations["satu"]: ()})
    assert refused.value.request == request
    other = submit(operations={cast.operations["satu"]: ()})
    with pytest.raises(IntegrityError), transaction.atomic():
        RequestedOperation.objects.create(request=other, application=cast.application, operation=warga)
    approved(request, provider)
    assert submit("id") != request  # a change of the grant


def test_numbers_have_a_limit(submit: Submit, monkeypatch: pytest.MonkeyPatch, settings: Any, cast: Cast) -> None:
    monkeypatch.setattr("registry.requests.asking.MAX_OPEN", 1)
    request = submit()
    with pytest.raises(ValidationError):
        submit(operations={cast.operations["satu"]: ()})
    settings.ROW_LIMITS = {**settings.ROW_LIMITS, "access_requests": 1}
    AccessRequest.objects.filter(pk=request.pk).update(state="rejected")
    with pytest.raises(ValidationError, match="MANTRA_MAX_ACCESS_REQUESTS"):
        submit(operations={cast.operations["satu"]: ()})


def test_a_new_application_is_made_with_the_request(submit: Submit, cast: Cast, asker: User) -> None:
    new = Application(agency=cast.consumer, code="baru", title="Baru")
    assert submit(application=new).application.code == "baru"
    for wrong in (
        Application(agency=cast.stranger, code="x", title="X"),
        Application(agency=cast.consumer, code="app", title=""),
    ):
        with pytest.raises((PermissionDenied, ValidationError)):
            submit(application=wrong)
    assert Application.objects.filter(agency=cast.consumer).count() == 2


@pytest.mark.parametrize(
    ("role", "agency"),
    [("Requester", "stranger"), ("Provider", "consumer"), ("Head", "consumer"), ("Supervisor", "consumer")],
)
def test_others_may_not_ask(role: str, agency: str, submit: Submit, cast: Cast) -> None:
    user = make_user(role, getattr(cast, agency), "orang")
    with pytest.raises(PermissionDenied):
        submit(by=user)
    request = submit()
    for step in (lambda: requests.withdraw(request, user), lambda: requests.answer(request, user, "ya")):
        with pytest.raises(PermissionDenied):
            step()
    assert (request in requests.own(user)) == (agency == "consumer")


# ------------------------------------------------------------------------------------------------ who decides


@pytest.mark.parametrize(
    ("role", "agency", "kinds"),
    [
        ("Provider", "provider", {"data"}), ("Publisher", "provider", {"proxy"}),
        ("Head", "provider", {"data", "proxy"}),
        ("Requester", "provider", set()), ("Supervisor", "provider", set()), ("Administrator", None, set()),
        ("Provider", "consumer", set()), ("Head", "stranger", set()),
    ],
)  # fmt: skip
def test_who_decides(
    role: str, agency: str | None, kinds: set[str], cast: Cast, submit: Submit, warga: Operation, proxied: Operation
) -> None:
    user = make_user(role, getattr(cast, agency) if agency else None, "orang")
    request = submit(operations={warga: ("id",), proxied: ()})
    mine = requests.decidable(request, user)
    assert {item.operation.kind for item in mine} == kinds
    assert requests.may_decide(user, request) == bool(kinds)
    assert requests.inbox(user).exists() == bool(kinds)
    assert (user in requests.deciders(request)) == bool(kinds)
    everything = {item.pk: requests.mark(item) for item in requests.items_of(request)}
    if kinds != {"data", "proxy"}:
        with pytest.raises((PermissionDenied, Outdated)):
            requests.approve(request, user, everything)
        assert not Grant.objects.filter(operation__in=[warga, proxied]).exists()


def test_each_kind_is_decided_by_its_people(
    cast: Cast, provider: User, submit: Submit, warga: Operation, proxied: Operation
) -> None:
    publisher = make_user("Publisher", cast.provider, "pengelola")
    request = submit(operations={warga: ("id",), proxied: ()})
    assert approved(request, provider).state == State.IN_REVIEW
    assert not requests.inbox(provider).exists()
    with pytest.raises(ValidationError):
        requests.reject(request, publisher, marks(request, publisher), " ")
    done = requests.reject(request, publisher, marks(request, publisher), "Sedang dipindahkan")
    assert done.state == State.PARTLY
    told = Notification.objects.filter(event="request_approved").last()
    assert told is not None
    assert told.context["operations"] == ["warga"]  # only what the application may call
    assert [item.state for item in requests.items_of(fresh(request))] == [Item.REJECTED, Item.APPROVED]


def test_nobody_decides_on_the_own_request(cast: Cast, warga: Operation, submit: Submit) -> None:
    both = make_user("Requester", cast.provider, "dua-peran")
    both.groups.add(make_user("Provider", cast.provider, "x").groups.get())
    own = Application.objects.create(agency=cast.provider, code="dalam", title="Dalam")
    request = submit(by=both, application=own)
    assert not requests.may_decide(both, request)
    assert not requests.inbox(both).exists()
    assert both not in requests.deciders(request)
    with pytest.raises(PermissionDenied):
        requests.approve(request, both, {item.pk: requests.mark(item) for item in requests.items_of(request)})
    requests.ask_back(request, User.objects.get(username="x"), "Untuk apa?")
    colleague = make_user("Requester", cast.provider, "rekan")
    colleague.groups.add(both.groups.get(name="Provider"))
    requests.answer(request, colleague, "Untuk laporan")
    assert not requests.may_decide(colleague, fresh(request))
    assert approved(request, User.objects.get(username="x")).state == State.APPROVED


# -------------------------------------------------------------------------------------------------- second person


def test_specific_columns_need_two_people(cast: Cast, provider: User, head: User, submit: Submit) -> None:
    request = submit("id", "gaji")
    assert approved(request, provider, "Perlu").state == State.IN_REVIEW
    assert not Grant.objects.exists()
    assert not requests.inbox(provider).exists()
    with pytest.raises(Outdated):
        approved(request, provider)
    assert list(requests.inbox(head)) == [request]
    told = Notification.objects.order_by("pk").values_list("event", "user__username")
    assert list(told)[-1] == ("request_confirm", head.username)
    done = approved(request, head)
    assert done.state == State.APPROVED
    item = requests.items_of(done)[0]
    assert (item.decided_by, item.confirmed_by) == (provider, head)
    assert Grant.objects.get().fields == "id\ngaji"


def test_other_terms_of_the_second_person_need_another_confirmation(provider: User, head: User, submit: Submit) -> None:
    request = submit("id", "gaji")
    approved(request, provider)
    for seen, terms, user in (
        (marks(request, head), Terms(frozenset({"gaji"})), head),
        (None, Terms(frozenset({"gaji"})), provider),
    ):
        pk, token = next(iter((seen or marks(request, user)).items()))
        requests.decide(request, user, {pk: Decision(token, terms)})
    assert Grant.objects.get().fields == "gaji"
    assert fresh(request).state == State.PARTLY


@pytest.mark.parametrize(("setting", "granted"), [("off", True), ("available", True), ("required", False)])
def test_an_office_of_one_decides_by_the_setting(
    setting: str, granted: bool, settings: Any, provider: User, submit: Submit
) -> None:
    settings.SECOND_PERSON_GRANTS = setting
    approved(submit("gaji"), provider)
    assert Grant.objects.exists() == granted


def test_without_columns_to_choose_what_is_known_counts(cast: Cast, provider: User, head: User, submit: Submit) -> None:
    nik = cast.define("nik", "SELECT id AS nik FROM orang")
    Grant.objects.all().delete()
    request = submit(operations={Operation.objects.get(pk=nik.pk): ()})
    assert approved(request, provider).state == State.IN_REVIEW
    assert approved(request, head).state == State.APPROVED


# ------------------------------------------------------------------------------------------ part, question, answer


def test_less_may_be_granted_but_never_more(provider: User, submit: Submit) -> None:
    request = submit("id", "nama", networks="10.0.0.0/8", valid_until=NEXT_YEAR)
    pk, token = next(iter(marks(request, provider).items()))
    less = Terms(frozenset({"id"}), "10/day", None, NEXT_YEAR - timedelta(days=300), "10.1.0.0/16")
    for wrong in (
        Terms(frozenset({"id", "gaji"}), "", None, NEXT_YEAR, "10.0.0.0/8"),
        Terms(frozenset(), "", None, NEXT_YEAR, "10.0.0.0/8"),
        Terms(frozenset({"id"}), "", None, None, "10.0.0.0/8"),
        Terms(frozenset({"id"}), "", None, NEXT_YEAR, ""),
        Terms(frozenset({"id"}), "", None, NEXT_YEAR, "11.0.0.0/8"),
        Terms(frozenset({"id"}), "banyak", None, NEXT_YEAR, "10.0.0.0/8"),
    ):
        with pytest.raises(ValidationError):
            requests.decide(request, provider, {pk: Decision(token, wrong)})
        assert not Grant.objects.exists()
    assert requests.decide(request, provider, {pk: Decision(token, less)}).state == State.PARTLY
    grant = Grant.objects.get()
    assert (grant.fields, grant.quota, grant.networks) == ("id", "10/day", "10.1.0.0/16")


def test_a_question_is_answered_with_or_without_a_change(
    cast: Cast, asker: User, provider: User, submit: Submit, warga: Operation
) -> None:
    request = submit()
    with pytest.raises(ValidationError):
        requests.ask_back(request, provider, " ")
    requests.ask_back(request, provider, "Dasar hukumnya apa?")
    assert fresh(request).state == State.RETURNED
    assert not requests.inbox(provider).exists()
    with pytest.raises(Outdated):
        requests.approve(request, provider, {item.pk: requests.mark(item) for item in requests.items_of(request)})
    requests.answer(request, asker, "PP 12/2026")
    with pytest.raises(Outdated):
        requests.answer(request, asker, "lagi")
    requests.ask_back(request, provider, "Tulis di permohonan")
    wanted = Wanted(cast.application, {warga: ("id",)}, "Verifikasi", legal_basis="PP 12/2026")
    requests.revise(request, asker, wanted, "Sudah")
    assert (fresh(request).state, fresh(request).legal_basis) == (State.IN_REVIEW, "PP 12/2026")
    kinds = [step.kind for step in request.trail.all()]
    assert kinds == ["submitted", "question", "answer", "question", "answer"]
    assert approved(request, provider).state == State.APPROVED


# --------------------------------------------------------------------------- a decision holds for what was seen


def _withdrawn(request: AccessRequest, cast: Cast, asker: User) -> None:
    requests.withdraw(request, asker)


def _revised(request: AccessRequest, cast: Cast, asker: User) -> None:
    warga = Operation.objects.get(code="warga")
    requests.revise(request, asker, Wanted(cast.application, {warga: ("id", "gaji")}, "Lain"))


def _retired(request: AccessRequest, cast: Cast, asker: User) -> None:
    Operation.objects.filter(code="warga").update(state="retired")


def _classified(request: AccessRequest, cast: Cast, asker: User) -> None:
    Field.objects.filter(name="nama").update(classification="specific")


def _changed(request: AccessRequest, cast: Cast, asker: User) -> None:
    Operation.objects.filter(code="warga").update(revision=7)


def _granted(request: AccessRequest, cast: Cast, asker: User) -> None:
    Grant.objects.create(application=cast.application, operation=Operation.objects.get(code="warga"), state="revoked")


def _late(request: AccessRequest, cast: Cast, asker: User) -> None:
    AccessRequest.objects.update(expires_at=timezone.now())


def _inactive(request: AccessRequest, cast: Cast, asker: User) -> None:
    Application.objects.update(active=False)


@pytest.mark.parametrize(
    "meanwhile", [_withdrawn, _revised, _retired, _classified, _changed, _granted, _late, _inactive]
)
def test_what_changed_meanwhile_is_not_approved(
    meanwhile: Any, cast: Cast, asker: User, provider: User, submit: Submit
) -> None:
    request = submit()
    seen = marks(request, provider)
    meanwhile(request, cast, asker)
    with pytest.raises(Outdated):
        requests.approve(request, provider, seen)
    assert not Grant.objects.filter(state="approved").exists()


def test_a_retired_operation_can_only_be_rejected(provider: User, submit: Submit) -> None:
    request = submit()
    Operation.objects.filter(code="warga").update(state="retired")
    with pytest.raises(ValidationError, match="warga"):
        approved(request, provider)
    assert requests.reject(request, provider, marks(request, provider), "Dihentikan").state == State.REJECTED


def test_nothing_is_granted_if_one_of_several_fails(
    cast: Cast, provider: User, submit: Submit, warga: Operation
) -> None:
    request = submit(operations={warga: ("id",), cast.operations["satu"]: ()})
    Operation.objects.filter(code="satu").update(state="retired")
    with pytest.raises(ValidationError):
        approved(request, provider)
    assert not Grant.objects.exists()


def test_decided_requests_are_over(cast: Cast, asker: User, provider: User, submit: Submit) -> None:
    request = submit()
    seen = marks(request, provider)
    approved(request, provider)
    for step in (
        lambda: requests.approve(request, provider, seen), lambda: requests.withdraw(request, asker),
        lambda: requests.ask_back(request, provider, "?"), lambda: requests.begin_review(request, provider),
    ):  # fmt: skip
        with pytest.raises(Outdated):
            step()


def test_requests_without_a_decision_expire(submit: Submit, provider: User, warga: Operation) -> None:
    request = submit()
    assert requests.expire() == 0
    AccessRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not requests.inbox(provider).exists()
    assert requests.expire() == 1
    assert fresh(request).state == State.EXPIRED
    other = submit()
    other.items.all().delete()  # its operation was deleted
    assert requests.expire() == 1
    assert fresh(other).state == State.WITHDRAWN


def test_steps_are_bounded(submit: Submit, asker: User, provider: User, monkeypatch: pytest.MonkeyPatch) -> None:
    request = submit()
    monkeypatch.setattr(AccessRequest, "MAX_STEPS", 3)
    requests.ask_back(request, provider, "?")
    with pytest.raises(ValidationError):
        requests.answer(request, asker, "x" * 2001)
    requests.answer(request, asker, "x")
    with pytest.raises(ValidationError):
        requests.ask_back(request, provider, "?")
    assert fresh(request).state == State.IN_REVIEW


# ------------------------------------------------------------------------------- without a request


def test_nobody_grants_specific_columns_alone_around_a_request(
    cast: Cast, warga: Operation, provider: User, settings: Any
) -> None:
    make_user("Head", cast.provider, "kepala")
    client = Client()
    client.force_login(provider)
    api, admin = "/manage/api/v1/grants/", "/admin/registry/grant/"
    body = {"application": "kons/app", "operation": "prov/data/warga", "purpose": "Uji", "legal_basis": "PP 12/2026"}
    form = {**body, "application": cast.application.pk, "operation": warga.pk}
    for columns in ([], ["gaji"]):  # none of them are all of them
        refused = client.post(api, {**body, "fields": columns}, "application/json")
        assert (refused.status_code, list(refused.json())) == (400, ["fields"]), columns
        assert client.post(f"{admin}add/", {**form, "fields": "\n".join(columns)}).status_code == 200
    assert not Grant.objects.exists()
    made = client.post(api, {**body, "fields": ["nama"]}, "application/json").json()["id"]
    assert client.patch(f"{api}{made}/", {"fields": ["nama", "gaji"]}, "application/json").status_code == 400
    assert client.post(f"{admin}{made}/change/", {**form, "fields": "gaji"}).status_code == 200
    # What two people have approved once may be changed otherwise, and needs them again after it was revoked.
    Grant.objects.update(fields="gaji")
    assert client.patch(f"{api}{made}/", {"quota": "10/day"}, "application/json").status_code == 200
    client.post(f"{admin}{made}/revoke/")
    client.post(f"{admin}{made}/approve/")
    assert client.post(f"{api}{made}/approve/").status_code == 400
    assert Grant.objects.get().state == "revoked"
    settings.SECOND_PERSON_GRANTS = "off"
    assert client.post(f"{api}{made}/approve/").status_code == 200
