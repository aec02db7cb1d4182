"""The wizard without scripts: each step as a plain form."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dataservices import pool
from dataservices.models import (
    MAX_WIZARD_DRAFTS,
    WIZARD_DRAFT_DAYS,
    DataOperation,
    DataSource,
    WizardDraft,
)
from registry.models import AccessKey, Agency, Application, Grant, User
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import call, recorded
from tests.wizard.conftest import NIK, Wizard


def test_it_works(wizard: Wizard, source: DataSource) -> None:
    page = wizard.choose(source)
    assert "Langkah 2 dari 4" in page
    assert 'aria-current="step"' in page
    # All columns of the table are chosen, and the NIK is a required parameter.
    assert "5 dari 5 kolom dipilih" in page
    assert "<code>nik</code>" in page

    join = re.search(r'value="(join:keluarga[^"]*)"', page)
    assert join
    page = wizard.to(2, wizard.post(2, **wizard.query(do=join[1])))
    assert "penduduk.no_kk = keluarga.no_kk" in page
    # The key of the joined table is not chosen.
    assert "2 dari 3 kolom dipilih" in page

    page = wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    assert 'value="alamat"' in page
    assert NIK not in page
    page = wizard.to(4, wizard.post(3, next="1"))
    assert "Penduduk menurut NIK" in page
    assert "/rest/dinas/data-dinas-contoh/penduduk-menurut-nik.json" in page

    response = wizard.post(4, service="new", service_title="Kependudukan", title="Warga", access="restricted",
                           listing="hidden", finish="publish")  # fmt: skip
    operation = DataOperation.objects.get()
    assert response["Location"] == reverse("admin:dataservices_dataoperation_change", args=(operation.pk,))
    assert (operation.address, operation.state, operation.revision) == ("dinas/kependudukan/warga", "published", 1)
    assert operation.listing == "hidden"
    assert [(each.name, each.type, each.required, each.subject) for each in operation.parameters.all()] == [
        ("nik", "nik", True, True)
    ]
    assert [(each.name, each.type, each.classification) for each in operation.fields.all()] == [
        ("nik", "text", "personal"),
        ("nama_lengkap", "text", "personal"),
        ("tanggal_lahir", "date", "personal"),
        ("usia", "integer", "personal"),
        ("no_kk", "text", "personal"),
        ("alamat", "text", "personal"),
        ("kode_pos", "text", "internal"),
    ]
    assert wizard.draft.finished_at is not None
    _answers(operation)


def _answers(operation: DataOperation) -> None:
    """Check that a granted caller gets the row."""
    application = Application.objects.create(agency=operation.service.agency, code="app", title="Aplikasi")
    _row, key = AccessKey.issue(application)
    Grant.objects.create(application=application, operation=operation, purpose="uji")
    holder.refresh()
    reply = call(f"/rest/{operation.address}?nik={NIK}", accesskey=key)
    assert reply.status == 200
    rows = reply.json()["data"]
    assert [(row["nama_lengkap"], row["alamat"]) for row in rows] == [("Budi Santoso 1", "Jalan Melati 1")]


# ------------------------------------------------------------------------------------ step 1


def test_a_new_source_has_the_fields_of_its_engine_only(wizard: Wizard) -> None:
    wizard.start()
    page = wizard.get(1, engine="postgresql")
    assert "source-host" in page
    assert "source-sslmode" in page
    assert "source-wallet" not in page
    assert 'value="5432"' in page
    assert "Berkas CA" in page and "CA file" not in page  # in the reader's language
    page = wizard.get(1, engine="sqlite")
    assert "source-host" not in page


def test_a_failing_test_says_why_and_keeps_all_but_the_password(wizard: Wizard, refusing_port: int) -> None:
    wizard.start()
    wizard.get(1, engine="postgresql")
    typed = {"source-host": "127.0.0.1", "source-port": refusing_port, "source-database": "siak", "source-user": "ani"}
    response = wizard.post(1, **typed, **{"source-password": "rahasia-77"})
    assert response.status_code == 200
    assert "tidak ada yang melayani di port ini" in wizard.page
    assert 'value="siak"' in wizard.page
    assert "rahasia-77" not in wizard.page
    assert DataSource.objects.count() == 0
    # It can be gone on with later, without the password.
    assert "rahasia-77" not in json.dumps(wizard.draft.data)
    assert 'value="siak"' in wizard.get(1, engine="postgresql")


def test_a_field_with_an_error_gets_the_focus(wizard: Wizard) -> None:
    wizard.start()
    wizard.get(1, engine="postgresql")
    wizard.post(1, **{"source-host": "db.internal", "source-port": "5432", "source-database": "siak"})
    assert re.search(r'<input[^>]*name="source-user"[^>]*autofocus', wizard.page)


def test_a_source_that_works_is_saved_once(wizard: Wizard, source: DataSource) -> None:
    file = source.database
    source.delete()
    wizard.start()
    wizard.get(1, engine="sqlite")
    page = wizard.page
    wizard.to(2, wizard.post(1, **{"source-database": file}))
    wizard.page = page
    wizard.to(2, wizard.post(1, **{"source-database": file}))
    made = DataSource.objects.get()
    assert (made.code, wizard.draft.source) == ("warga", made)


# ------------------------------------------------------------------------------------ step 2


def test_filters_of_all_kinds(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    for column in ("usia", "nama_lengkap", "tanggal_lahir"):
        wizard.to(2, wizard.post(2, **wizard.query(do="add-filter:", new__filter=f"penduduk:{column}")))
    wizard.post(2, **wizard.query(do="save", f1__operator="between", f1__mode="optional", f2__operator="begins",
                                  f2__mode="fixed", f3__operator="empty"))  # fmt: skip
    wizard.get(2)
    wizard.post(2, **wizard.query(do="save", f2__value0="Budi", delivery="limit", number="7"))
    wizard.get(2)
    wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    wizard.to(4, wizard.post(3, next="1"))
    wizard.post(4, service="new", service_title="Data", title="Saringan", access="restricted", finish="draft")
    operation = DataOperation.objects.get()
    assert operation.state == "draft"
    assert [(each.name, each.required) for each in operation.parameters.all()] == [
        ("nik", True), ("usia_dari", False), ("usia_sampai", False)
    ]  # fmt: skip
    assert "BETWEEN :usia_dari AND :usia_sampai" in operation.sql
    assert "IS NULL" in operation.sql
    assert "LOWER('Budi')" in operation.sql
    assert operation.sql.endswith("LIMIT 7")


def test_a_value_that_does_not_fit_is_kept_and_explained(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    wizard.to(2, wizard.post(2, **wizard.query(do="add-filter:", new__filter="penduduk:usia")))
    wizard.post(2, **wizard.query(do="save", f1__mode="fixed"))
    wizard.get(2)
    response = wizard.post(2, **wizard.query(do="next", f1__value0="tua"))
    assert response.status_code == 200
    assert re.search(r'value="tua"[^>]*aria-invalid="true"', wizard.page)
    assert wizard.draft.step == 2


def test_pages_need_an_order(wizard: Wizard, source: DataSource) -> None:
    page = wizard.choose(source, "wilayah")
    # Nobody is looked up in a list of codes: it comes in pages, by its key.
    assert "wilayah.<strong>kode</strong>" in page
    wizard.to(2, wizard.post(2, **wizard.query(do="drop-order:0")))
    response = wizard.post(2, **wizard.query(do="next"))
    assert response.status_code == 200
    assert "halaman mengulang dan melewatkan baris" in wizard.page


def test_a_join_by_hand(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    page = wizard.to(2, wizard.post(2, **wizard.query(do="by-hand", new__table="wilayah")))
    assert "t1-left0" in page
    wizard.post(2, **wizard.query(do="next"))
    assert "wilayah" in wizard.page and wizard.draft.step == 2  # the columns are not chosen yet
    wizard.get(2)
    response = wizard.post(2, **wizard.query(do="next", t1__left0="penduduk:no_kk", t1__right0="kode", t1__kind="left"))
    wizard.to(3, response)
    assert wizard.draft.data["query"]["tables"][1]["on"] == [["penduduk", "no_kk", "kode"]]


def test_another_window_changes_nothing_unseen(wizard: Wizard, source: DataSource) -> None:
    old = wizard.choose(source)
    wizard.to(2, wizard.post(2, **wizard.query(do="add-filter:", new__filter="penduduk:usia")))
    wizard.page = old
    response = wizard.post(2, **wizard.query(do="drop-filter:0"))
    assert response.status_code == 200
    assert "diubah di jendela lain" in wizard.page
    assert len(wizard.draft.data["query"]["conditions"]) == 2


def test_the_preview_masks_people_and_is_recorded(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    page = wizard.get(2, preview="1")
    assert "32••••" in page
    assert NIK not in page
    assert "Santoso" not in page
    line = [line for line in recorded() if line["t"] == "begin"][-1]
    assert (line["protocol"], line["user"], line["op"][:3]) == ("browse", "ani", ["dinas", "warga", "penduduk"])
    alone = wizard.client.get(reverse("wizard_preview", args=(wizard.key,))).content.decode()
    assert "32••••" in alone and "<html" not in alone


def test_a_source_that_is_down_is_said_and_the_draft_kept(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    Path(source.database).rename(f"{source.database}.away")
    DataSource.objects.get(pk=source.pk).save()
    page = wizard.get(2)
    assert "Isian Anda tetap tersimpan" in page
    assert "5 dari 5 kolom dipilih" in page
    wizard.post(2, **wizard.query(do="next"))
    assert "Isian Anda tetap tersimpan" in wizard.get(3)
    assert wizard.post(3, next="1").status_code == 200
    Path(f"{source.database}.away").rename(source.database)
    pool.dispose_unused(set())  # with its circuit breaker, which has opened
    assert "nama_lengkap" in wizard.get(3)
    wizard.to(4, wizard.post(3, next="1"))


# ------------------------------------------------------------------------------------ step 3


def test_columns_are_renamed_and_classified(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    response = wizard.post(3, next="1", c1__name="nama", c1__type="text", c1__classification="specific",
                           c1__description="Nama menurut KTP", p0__name="nomor", p0__type="nik", p0__required="1",
                           p0__subject="1", p0__description="NIK yang dicari")  # fmt: skip
    wizard.to(4, response)
    wizard.post(4, service="new", service_title="Data", title="Nama", access="restricted", finish="draft")
    operation = DataOperation.objects.get()
    assert "nama_lengkap AS nama" in operation.sql
    assert ":nomor" in operation.sql
    field = operation.fields.get(name="nama")
    assert (field.classification, field.description) == ("specific", "Nama menurut KTP")
    assert operation.parameters.get().description == "NIK yang dicari"


def test_a_column_that_is_added_later_is_not_published_unseen(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    wizard.to(2, wizard.post(2, do="save", t0__columns=["usia"]))
    wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    wizard.to(4, wizard.post(3, next="1"))
    wizard.get(2)
    wizard.post(2, do="save", t0__columns=["usia", "nik"])
    assert wizard.client.get(wizard.address(4))["Location"] == wizard.address(3)
    assert wizard.post(4, finish="publish", title="Usia")["Location"] == wizard.address(3)
    assert DataOperation.objects.count() == 0
    assert "Nomor" in wizard.get(3) or "NIK" in wizard.page


@pytest.mark.parametrize(("name", "words"), [("nik", "nik"), ("", ""), ('na"ma', "")])
def test_a_name_that_cannot_be_is_explained(wizard: Wizard, source: DataSource, name: str, words: str) -> None:
    wizard.choose(source)
    wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    response = wizard.post(3, next="1", c1__name=name, c1__type="text", c1__classification="personal")
    assert response.status_code == 200
    assert 'role="alert"' in wizard.page or 'aria-invalid="true"' in wizard.page
    assert words in wizard.page
    assert wizard.draft.step == 3


# ------------------------------------------------------------------------------------ step 4


def test_a_form_that_is_sent_twice_makes_one_operation(wizard: Wizard, source: DataSource) -> None:
    wizard.to_last(source)
    page, form = wizard.page, {"service": "new", "service_title": "Data", "title": "Warga", "access": "restricted"}
    first = wizard.post(4, **form, finish="publish")
    wizard.page = page
    second = wizard.post(4, **form, finish="publish")
    assert first["Location"] == second["Location"]
    assert DataOperation.objects.count() == 1


def test_personal_data_is_not_opened_to_everybody(wizard: Wizard, source: DataSource) -> None:
    wizard.to_last(source)
    form = {"service": "new", "service_title": "Data", "title": "Warga", "access": "open"}
    response = wizard.post(4, **form, finish="publish")
    assert response.status_code == 200
    assert "NIK, KK" in wizard.page
    assert DataOperation.objects.count() == 0
    assert wizard.draft.data["operation"]["access"] == "open"
    assert 'value="Warga"' in wizard.page


def test_a_list_of_people_needs_a_reason(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    wizard.to(2, wizard.post(2, **wizard.query(do="drop-filter:0")))
    wizard.to(3, wizard.post(2, **wizard.query(do="next")))
    page = wizard.to(4, wizard.post(3, next="1"))
    assert "mantra-warning" in page  # asked before anything is sent
    form = {"service": "new", "service_title": "Data", "title": "Semua warga", "access": "restricted"}
    assert wizard.post(4, **form, finish="publish").status_code == 200
    assert re.search(r"<textarea[^>]*name=\"reason\"[^>]*autofocus", wizard.page)
    assert wizard.post(4, **form, finish="publish", reason="Sensus penduduk 2026").status_code == 302
    assert DataOperation.objects.get().versions.get().reason == "Sensus penduduk 2026"


def test_a_second_person_approves(wizard: Wizard, source: DataSource, agency: Agency) -> None:
    make_user("Head", agency, "kepala")
    assert "Orang kedua" in wizard.to_last(source)
    form = {"service": "new", "service_title": "Data", "title": "Warga", "access": "restricted"}
    wizard.post(4, **form, finish="publish", reason="Layanan rumah sakit")
    operation = DataOperation.objects.get()
    assert operation.state == "draft"
    assert operation.publish_requests.get().reason == "Layanan rumah sakit"


def test_a_source_that_is_down_when_it_is_published_is_said(wizard: Wizard, source: DataSource) -> None:
    wizard.to_last(source)
    Path(source.database).rename(f"{source.database}.away")
    pool.dispose_unused(set())
    form = {"service": "new", "service_title": "Data", "title": "Warga", "access": "restricted"}
    assert wizard.post(4, **form, finish="publish").status_code == 200
    assert "data-focus" in wizard.page
    assert (DataOperation.objects.count(), wizard.draft.finished_at) == (0, None)
    Path(f"{source.database}.away").rename(source.database)
    pool.dispose_unused(set())
    assert wizard.post(4, **form, finish="publish").status_code == 302
    assert DataOperation.objects.get().state == "published"


def test_a_code_that_is_taken_is_said_at_its_field(wizard: Wizard, source: DataSource) -> None:
    wizard.to_last(source)
    form = {"service": "new", "service_title": "Data", "title": "Warga", "access": "restricted"}
    wizard.post(4, **form, finish="draft")
    service = DataOperation.objects.get().service
    wizard.to_last(source)
    wizard.post(4, service=service.pk, title="Warga", code="warga", access="restricted", finish="draft")
    assert re.search(r'<input[^>]*name="code"[^>]*autofocus', wizard.page)
    wizard.post(4, service=service.pk, title="Warga", code="", access="restricted", finish="draft")
    assert {each.code for each in DataOperation.objects.all()} == {"warga", "warga-2"}


def test_the_sample_is_masked(wizard: Wizard, source: DataSource) -> None:
    wizard.to_last(source)
    page = wizard.get(4, sample="1")
    assert "32••••" in page
    assert NIK not in page


# ------------------------------------------------------------------------------------ whose it is


def test_nobody_else_finds_a_draft(wizard: Wizard, source: DataSource, agency: Agency) -> None:
    wizard.to_last(source)
    stranger = make_user("Provider", Agency.objects.create(code="asing", name="Asing"), "asing")
    colleague, administrator = make_user("Provider", agency, "budi"), make_user("Administrator", None, "admin")
    for user in (stranger, colleague, administrator):
        client = Client()
        client.force_login(user)
        for step in range(1, 5):
            assert client.get(wizard.address(step)).status_code == 404
            assert client.post(wizard.address(step), {"finish": "publish"}).status_code == 404
        for name in ("wizard_preview", "wizard_sample"):
            assert client.get(reverse(name, args=(wizard.key,))).status_code == 404
        assert client.post(reverse("wizard_delete", args=(wizard.key,))).status_code == 404
        assert str(wizard.key) not in client.get(reverse("wizard")).content.decode()
    assert WizardDraft.objects.count() == 1


def test_a_strangers_source_is_not_there(source: DataSource) -> None:
    stranger = Wizard(make_user("Provider", Agency.objects.create(code="asing", name="Asing"), "asing"))
    assert "dinas/warga" not in stranger.start()
    assert stranger.post(1, use=source.pk).status_code == 404
    assert stranger.post(1, use="x").status_code == 404


@pytest.mark.parametrize("role", ["Requester", "Publisher", "Supervisor"])
def test_other_roles_have_no_wizard(role: str, agency: Agency) -> None:
    client = Client()
    client.force_login(make_user(role, None if role == "Supervisor" else agency))
    assert client.get(reverse("wizard")).status_code == 403
    assert reverse("wizard") not in client.get("/admin/").content.decode()


def test_an_administrator_works_for_the_agency_of_the_source(source: DataSource) -> None:
    wizard = Wizard(make_user("Administrator", None, "admin"))
    wizard.to_last(source)
    wizard.post(4, service="new", service_title="Data", title="Warga", access="restricted", finish="draft")
    assert DataOperation.objects.get().service.agency == source.agency


# ------------------------------------------------------------------------------------ going on later


def test_one_goes_on_where_one_was(wizard: Wizard, source: DataSource, clerk: User) -> None:
    wizard.to_last(source)
    wizard.post(4, title="Warga kota", service="new", service_title="Data", access="restricted")
    later = Wizard(clerk)  # another session
    page = later.start()
    assert "Warga kota" in page
    assert wizard.address(4) in page
    later.key = wizard.key
    assert 'value="Warga kota"' in later.get(4)
    assert later.client.post(reverse("wizard_delete", args=(wizard.key,))).status_code == 302
    assert WizardDraft.objects.count() == 0


def test_what_nobody_goes_on_with_is_deleted(wizard: Wizard, source: DataSource, clerk: User) -> None:
    wizard.choose(source)
    old = timezone.now() - timedelta(days=WIZARD_DRAFT_DAYS + 1)
    WizardDraft.objects.update(updated_at=old)
    Wizard(clerk).choose(source)
    assert [draft.updated_at > old for draft in WizardDraft.objects.all()] == [True]


def test_unfinished_ones_are_counted(wizard: Wizard, source: DataSource, clerk: User) -> None:
    WizardDraft.objects.bulk_create(WizardDraft(owner=clerk) for _ in range(MAX_WIZARD_DRAFTS))
    wizard.start()
    response = wizard.post(1, use=source.pk)
    assert response["Location"] == reverse("wizard")
    assert str(MAX_WIZARD_DRAFTS) in wizard.client.get(reverse("wizard")).content.decode()


def test_an_unfinished_one_is_known_by_its_tables(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    listed = wizard.client.get(reverse("wizard"), follow=True).content.decode()
    names = [table["name"] for table in WizardDraft.objects.get(step__gt=1).data["query"]["tables"]]
    assert names
    assert " · ".join([str(source), *names]) in listed


def test_a_step_that_was_not_reached_leads_back(wizard: Wizard, source: DataSource) -> None:
    wizard.choose(source)
    assert wizard.client.get(wizard.address(4))["Location"] == wizard.address(2)


# ------------------------------------------------------------------------------------ entry points


def test_the_wizard_is_found(wizard: Wizard) -> None:
    for page in ("/admin/", "/admin/dataservices/dataoperation/"):
        assert f'href="{reverse("wizard")}"' in wizard.client.get(page).content.decode()


def test_it_speaks_english(wizard: Wizard, source: DataSource) -> None:
    wizard.client.post(reverse("set_language"), {"language": "en", "next": "/admin/"})
    assert "Step 2 of 4: Which data?" in wizard.choose(source)
