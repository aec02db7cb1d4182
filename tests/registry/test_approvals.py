"""What needs a second person, who that may be, and what becomes of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from dataservices.models import DataOperation
from registry import approvals, versions
from registry.models import Field, Grant, OperationVersion, PublishRequest, User
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import Cast

WAITING, APPROVED, REJECTED, WITHDRAWN = PublishRequest.State.values
Draft = Callable[..., DataOperation]


@pytest.fixture
def author(cast: Cast) -> User:
    return make_user("Provider", cast.provider, "penyedia")


@pytest.fixture
def head(cast: Cast) -> User:
    return make_user("Head", cast.provider, "kepala")


@pytest.fixture
def draft(cast: Cast) -> Draft:
    """Make an operation that was never published: a person by id, with the classification of the columns."""

    def made(sql: str = "SELECT id, nama FROM orang WHERE id = :id", **columns: str) -> DataOperation:
        row = cast.define("warga", sql, parameters=({"name": "id", "type": "integer"},), state="draft")
        for name, classification in (columns or {"id": "internal", "nama": "personal"}).items():
            Field.objects.create(operation=row, name=name, classification=classification)
        return row

    return made


def waiting_for(row: DataOperation, author: User, reason: str = "Kerja sama 12/2026") -> PublishRequest:
    made = approvals.submit(row, author, reason)
    assert isinstance(made, PublishRequest)
    return made


def called(cast: Cast) -> int:
    holder.refresh()
    return cast.get("warga", "id=7").status


# ---------------------------------------------------------------------------------- when, and by whom


def test_it_works(cast: Cast, author: User, head: User, draft: Draft) -> None:
    row = draft()
    request = waiting_for(row, author)
    assert request.state == WAITING
    assert called(cast) == 404
    version = approvals.approve(request, head, "Setuju")
    assert version is not None
    assert called(cast) == 200
    assert (version.user, version.reason) == ("penyedia", "Kerja sama 12/2026")
    request.refresh_from_db()
    assert (request.state, request.decided_by, request.decision_reason) == (APPROVED, head, "Setuju")


def test_an_earlier_version_that_gives_more_is_requested(cast: Cast, author: User, head: User, draft: Draft) -> None:
    row = draft()
    approvals.approve(waiting_for(row, author), head)
    PublishRequest.objects.all().delete()  # such as one from before there were requests
    narrow = versions.open_draft(DataOperation.objects.get(pk=row.pk), author)
    narrow.fields.get(name="nama").delete()
    assert isinstance(approvals.submit(narrow, author, "sempit"), OperationVersion)
    first = OperationVersion.objects.get(operation=row.pk, number=1)
    with pytest.raises(approvals.ReasonNeeded):
        approvals.revert(first, author, "")
    assert versions.draft_of(row) is None
    request = approvals.revert(first, author, "dibutuhkan lagi")
    assert isinstance(request, PublishRequest)
    assert approvals.row_of(request) == versions.draft_of(row)
    assert DataOperation.objects.get(pk=row.pk).revision == 2
    version = approvals.approve(request, head)
    assert version is not None
    assert versions.is_same(version.definition, first.definition)


def test_an_office_of_one_person_publishes_alone(cast: Cast, author: User, draft: Draft) -> None:
    assert isinstance(approvals.submit(draft(), author, ""), OperationVersion)
    assert called(cast) == 200


def test_the_setting_may_always_require_it(author: User, draft: Draft, settings: Any) -> None:
    settings.SECOND_PERSON = "required"
    assert isinstance(approvals.submit(draft(), author, "uji"), PublishRequest)


def test_the_setting_may_never_require_it(author: User, head: User, draft: Draft, settings: Any) -> None:
    settings.SECOND_PERSON = "off"
    assert isinstance(approvals.submit(draft(), author, ""), OperationVersion)


def test_without_personal_data_nobody_is_needed(author: User, head: User, draft: Draft) -> None:
    row = draft("SELECT id, unit FROM orang WHERE id = :id", id="internal", unit="internal")
    assert isinstance(approvals.submit(row, author, ""), OperationVersion)


@pytest.mark.parametrize(
    ("role", "agency", "counts"),
    [
        ("Head", "provider", True), ("Provider", "provider", True), ("Publisher", "provider", False),
        ("Requester", "provider", False), ("Head", "stranger", False), ("Supervisor", "provider", False),
        ("Administrator", "provider", False),
    ],
)  # fmt: skip
def test_who_is_a_second_person(
    role: str, agency: str, counts: bool, cast: Cast, author: User, head: User, draft: Draft
) -> None:
    user = make_user(role, getattr(cast, agency), "orang-kedua")
    row = draft()
    assert (user in approvals.second_persons(row, author)) is counts
    request = waiting_for(row, author)
    assert approvals.may_decide(user, request) is counts
    assert approvals.inbox(user).exists() is counts
    if not counts:
        for decide in (approvals.approve, approvals.reject):
            with pytest.raises(PermissionDenied):
                decide(request, user, "coba")
        assert DataOperation.objects.get(pk=row.pk).state == "draft"


def test_nobody_decides_on_the_own_request(author: User, head: User, draft: Draft) -> None:
    request = waiting_for(draft(), author)
    assert author not in approvals.second_persons(request.operation, author)
    with pytest.raises(PermissionDenied):
        approvals.approve(request, author)


def test_a_deactivated_user_is_no_second_person(author: User, head: User, draft: Draft) -> None:
    head.is_active = False
    head.save()
    assert isinstance(approvals.submit(draft(), author, ""), OperationVersion)


# ------------------------------------------------------------------------------------------ requests


def test_a_request_needs_a_reason(author: User, head: User, draft: Draft) -> None:
    with pytest.raises(approvals.ReasonNeeded):
        approvals.submit(draft(), author, "  ")
    assert not PublishRequest.objects.exists()


def test_what_is_refused_anyway_is_not_requested(author: User, head: User, draft: Draft) -> None:
    row = draft()
    row.access = "open"
    row.save()
    with pytest.raises(approvals.NotPublishable, match="nama"):
        approvals.submit(row, author, "uji")
    assert not PublishRequest.objects.exists()


def test_an_approval_does_not_hold_for_going_back_to_it(cast: Cast, author: User, head: User, draft: Draft) -> None:
    row = draft()
    first = approvals.approve(waiting_for(row, author), head)
    assert first is not None
    row.refresh_from_db()
    row.state = "retired"
    row.save()
    row.state = "published"
    row.save()
    versions.record(row, author, was_draft=True)  # the same again, as before
    beside = versions.open_draft(row, head)
    beside.fields.get(name="nama").delete()
    assert isinstance(approvals.submit(beside, head, "Terlalu banyak"), OperationVersion)
    with transaction.atomic(), pytest.raises(approvals.ApprovalNeeded):
        versions.revert(first, author, "uji")


def test_a_rejection_needs_a_reason_and_keeps_the_draft(author: User, head: User, draft: Draft) -> None:
    row = draft()
    request = waiting_for(row, author)
    with pytest.raises(ValidationError):
        approvals.reject(request, head, " ")
    approvals.reject(request, head, "Tanpa dasar hukum")
    request.refresh_from_db()
    assert (request.state, request.decision_reason) == (REJECTED, "Tanpa dasar hukum")
    assert DataOperation.objects.get(pk=row.pk).state == "draft"
    with pytest.raises(PermissionDenied):
        approvals.approve(request, head)


def test_a_draft_that_changes_makes_the_request_void(cast: Cast, author: User, head: User, draft: Draft) -> None:
    row = draft()
    request = waiting_for(row, author)
    Field.objects.create(operation=row, name="gaji", classification="specific")
    assert not approvals.is_current(request)
    assert approvals.approve(request, head) is None
    request.refresh_from_db()
    assert (request.state, request.decided_by) == (WITHDRAWN, None)
    assert called(cast) == 404


def test_a_further_request_replaces_the_one_that_waits(author: User, head: User, draft: Draft) -> None:
    row = draft()
    first = waiting_for(row, author)
    second = waiting_for(row, author, "Alasan lain")
    first.refresh_from_db()
    assert (first.state, second.state) == (WITHDRAWN, WAITING)
    with pytest.raises(IntegrityError), transaction.atomic():
        PublishRequest.objects.create(operation=second.operation, digest="0", requested_by=author, reason="x")


def test_only_its_author_withdraws_a_request(author: User, head: User, draft: Draft) -> None:
    request = waiting_for(draft(), author)
    with pytest.raises(PermissionDenied):
        approvals.withdraw(request, head)
    approvals.withdraw(request, author)
    request.refresh_from_db()
    assert request.state == WITHDRAWN
    with pytest.raises(PermissionDenied):
        approvals.withdraw(request, author)


def test_each_step_is_in_the_history_of_the_operation(author: User, head: User, draft: Draft) -> None:
    row = draft()
    approvals.reject(waiting_for(row, author), head, "Belum")
    approvals.approve(waiting_for(row, author), head)
    logged = LogEntry.objects.filter(content_type__model="dataoperation", object_id=str(row.pk)).order_by("pk")
    steps = [(entry.user.username, entry.change_message) for entry in logged]
    assert [user for user, _text in steps] == ["penyedia", "kepala", "penyedia", "penyedia", "kepala"]
    assert "Kerja sama 12/2026" in steps[0][1]
    assert "Belum" in steps[1][1]


# ----------------------------------------------------------------------------------------- widenings


@pytest.fixture
def published(cast: Cast, author: User, head: User, draft: Draft) -> DataOperation:
    row = draft()
    approvals.approve(waiting_for(row, author), head)
    Grant.objects.get_or_create(application=cast.application, operation=row, defaults={"purpose": "uji"})
    return row


CHANGES: dict[str, tuple[dict[str, Any], bool]] = {
    "title": ({"title": "Warga"}, False),
    "layout": ({"sql": "SELECT id,  nama -- catatan\nFROM orang WHERE id = :id"}, False),
    "fewer rows": ({"max_rows": 1}, False),
    "more rows": ({"max_rows": 20_000}, True),
    "pages": ({"sql": "SELECT id, nama FROM orang WHERE id = :id LIMIT :limit OFFSET :offset", "page_size": 5}, True),
    "other rows": ({"sql": "SELECT id, nama FROM orang WHERE :id = :id"}, True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_widening_waits_and_callers_get_what_was_published(
    change: tuple[dict[str, Any], bool], cast: Cast, author: User, published: DataOperation
) -> None:
    values, wider = change
    beside = versions.open_draft(published, author)
    for name, value in values.items():
        setattr(beside, name, value)
    beside.full_clean()
    beside.save()
    made = approvals.submit(beside, author, "Perubahan")
    assert isinstance(made, PublishRequest) is wider
    stored = DataOperation.objects.get(pk=published.pk)
    assert all(getattr(stored, name) == value for name, value in values.items()) is not wider
    assert called(cast) == 200


def test_an_approved_draft_replaces_what_is_published(
    cast: Cast, author: User, head: User, published: DataOperation
) -> None:
    beside = versions.open_draft(published, author)
    beside.max_rows = 20_000
    beside.save()
    request = waiting_for(beside, author)
    assert request.operation_id == published.pk
    version = approvals.approve(request, head)
    assert version is not None
    published.refresh_from_db()
    assert (published.max_rows, published.revision) == (20_000, version.number)
    assert not DataOperation.objects.filter(draft_of=published.pk).exists()
    assert called(cast) == 200


def test_another_source_waits(cast: Cast, author: User, published: DataOperation) -> None:
    other = type(cast.source).objects.create(
        agency=cast.provider, code="lain", engine="sqlite", database=cast.source.database
    )
    beside = versions.open_draft(published, author)
    beside.source = other
    beside.save()
    assert isinstance(approvals.submit(beside, author, "uji"), PublishRequest)


def test_a_parameter_that_becomes_optional_waits(author: User, published: DataOperation) -> None:
    beside = versions.open_draft(published, author)
    beside.sql = "SELECT id, nama FROM orang WHERE 1 = 1 [[ AND id = :id ]]"
    beside.save()
    beside.relax_optional()
    assert isinstance(approvals.submit(beside, author, "uji"), PublishRequest)


# ------------------------------------------------------------------- what was published before there were rules


def test_the_command_names_what_runs_on_against_the_rules(
    cast: Cast, draft: Draft, capsys: pytest.CaptureFixture[str]
) -> None:
    open_before = draft()
    DataOperation.objects.filter(pk=open_before.pk).update(state="published", access="open")
    Field.objects.create(operation=cast.operations["terbuka"], name="jumlah", classification="public")
    with pytest.raises(CommandError, match="1 problems"):
        call_command("check_publishing")
    told = capsys.readouterr().out
    assert "prov/data/warga" in told
    assert "nama" in told
    assert "terbuka" not in told
    assert called(cast) == 200
    DataOperation.objects.filter(pk=open_before.pk).update(access="restricted")
    call_command("check_publishing")


def test_what_runs_on_against_the_rules_can_be_taken_out_of_service(cast: Cast, author: User, draft: Draft) -> None:
    row = draft()
    DataOperation.objects.filter(pk=row.pk).update(state="published", access="open")
    row.refresh_from_db()
    versions.open_draft(row, author)  # keeps the definition in force as a version
    row.state = "retired"
    row.save()
    assert versions.record(row, author) is not None
    row.refresh_from_db()
    row.title = "Lain"
    row.state = "published"
    row.save()
    with pytest.raises(approvals.NotPublishable):
        versions.record(row, author)
