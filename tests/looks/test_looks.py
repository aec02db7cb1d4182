"""Whoever sees rows, files or persons in the admin has a line in the journal; a view that shows them is marked."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from registry import agreements, exports
from registry.admin.history.page import PROTOCOLS
from registry.exports import worker
from registry.journal import segments, shipping
from registry.models import AccessRequest, AgreementFile, CallRecord, ExportJob, SampleRequest, User
from tests.admin.conftest import SignIn, make_user
from tests.cast import Cast, recorded
from tests.proxy.publishing import publish_proxy

#: What gives rows, files or persons when a view calls it.
READERS = frozenset(
    (
        "FileResponse", "StreamingHttpResponse",
        "open_file",  # of an agreement
        "first_rows", "result_file", "results",  # of reconciliations and jobs
        "browse", "reopen",  # of a source, and of a file that is uploaded
        "lines_of",  # of samples
        "about", "by_hashes",  # a person
        "use_of",  # of a key
    )
)  # fmt: skip
#: Modules that call one of these and need no mark, with the reason.
EXEMPT = {
    "mantra.tryout.as_application": "a trial is a call, which has its own record",
    "mantra.verification.views": "declared columns, no rows",
}


def views() -> Iterator[Any]:
    """Every view of the admin and the pages."""
    waiting: list[Any] = list(get_resolver().url_patterns)
    while waiting:
        each = waiting.pop()
        if isinstance(each, URLResolver):
            waiting += each.url_patterns
        elif isinstance(each, URLPattern):
            yield each.callback


def marked() -> dict[str, str]:
    """The views that show data, by their full name, with the kind of their record."""
    found = {}
    for view in views():
        if kind := getattr(view, "shows_data", ""):
            function = inspect.unwrap(view)
            found[f"{function.__module__}.{function.__qualname__}"] = kind
    return found


def test_views_that_show_data_are_marked() -> None:
    assert marked() == {
        "dataservices.admin.authoring.schema": "browse",
        "dataservices.admin.authoring.run": "unsaved",
        "dataservices.admin.sources.DataSourceAdmin.browse_schema": "browse",
        "dataservices.admin.uploads.UploadedTableAdmin.preview_view": "upload",
        "dataservices.admin.uploads.UploadedTableAdmin.replace_view": "upload",
        "mantra.exports.views.download": "export",
        "mantra.jobs.views.columns": "results",
        "mantra.jobs.views.download": "job",
        "mantra.jobs.views.single": "results",
        "mantra.key_use.views.leaked": "leaked-key",
        "mantra.key_use.views.use": "key-use",
        "mantra.reconciliation.views.single": "results",
        "mantra.subject_access.views.letter": "subject",
        "mantra.subject_access.views.look_up": "subject",
        "mantra.tryout.answers.compare_answers": "rehearsal",
        "mantra.tryout.explain.explain_operation": "explain",
        "mantra.wizard.views.show_preview": "browse",
        "mantra.wizard.views.step": "browse",
        "proxyservices.admin.address_change.AddressChangePage.change_address": "rehearsal",
        "proxyservices.admin.samples.SamplesPage.samples_view": "samples",
        "registry.admin.access_requests.AccessRequestAdmin.agreement": "agreement",
    }


def test_each_kind_has_a_name_in_the_history() -> None:
    assert set(marked().values()) <= set(PROTOCOLS)


def called_in(source: str) -> set[str]:
    """The names of the functions that a module calls."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in calls}


def test_no_module_with_views_reads_data_without_a_marked_view() -> None:
    """Whoever adds a view that shows rows finds out here that it needs a record."""
    modules = {inspect.getmodule(inspect.unwrap(view)) for view in views()} - {None}
    with_mark = {name.rpartition(".")[0] for name in marked()} | {name.rsplit(".", 2)[0] for name in marked()}
    found = {}
    for module in modules:
        name = module.__name__  # type: ignore[union-attr]
        if name.split(".")[0] in ("mantra", "registry", "dataservices", "proxyservices"):
            read = called_in(inspect.getsource(module)) & READERS  # type: ignore[arg-type]
            if read and name not in with_mark:
                found[name] = sorted(read)
    assert {name: read for name, read in found.items() if name not in EXEMPT} == {}


# ------------------------------------------------------------------------------------------- visits


def looks(kind: str) -> list[dict[str, Any]]:
    """The begin lines of the records of a kind, with their ends."""
    lines = {line["id"]: line for line in recorded() if line["t"] == "end"}
    begun = (line for line in recorded() if line["t"] == "begin" and line["protocol"] == kind)
    return [{**lines[line["id"]], **line} for line in begun]


def test_samples(cast: Cast, sign_in: SignIn) -> None:
    operation = publish_proxy(cast, "https://contoh.go.id/api", code="contoh")
    address = reverse("admin:proxyservices_proxyoperation_samples", args=(operation.pk,))
    client = sign_in("Publisher", cast.provider)
    assert client.get(address).status_code == 200
    assert looks("samples") == []  # there are none
    SampleRequest.objects.create(operation=operation, name="Siti", request='{"nik": "3201010101010001"}')
    assert client.get(address).status_code == 200
    (line,) = looks("samples")
    assert (line["user"], line["op"][:3], line["rows"]) == ("publisher-prov", ["prov", "data", "contoh"], 1)
    segments.close()
    shipping.ship()
    record = CallRecord.objects.get()
    page = sign_in("Supervisor").get(f"/admin/registry/callrecord/{record.pk}/change/").content.decode()
    assert "publisher-prov" in page and "contoh" in page


def test_an_export(cast: Cast, sign_in: SignIn, settings: Any, tmp_path: Path) -> None:
    settings.EXPORT_DIR = tmp_path
    cast.get("satu.json", "id=7")
    shipping.ship()
    client = sign_in("Head", cast.provider)
    exports.start(User.objects.get(), "history", {"query": ""}, format="csv")
    worker.Worker().round()
    job = ExportJob.objects.get()
    assert b"".join(client.get(reverse("export_download", args=(job.pk,))).streaming_content)  # type: ignore[attr-defined]
    (line,) = looks("export")
    assert (line["user"], line["op"][0], line["op"][2], line["rows"]) == ("head-prov", "prov", "history.csv", job.rows)
    settings.JOURNAL_DIR = tmp_path / "tidak-ada"
    segments.close()
    assert client.get(reverse("export_download", args=(job.pk,))).status_code == 503


def test_an_agreement_file(cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    author = make_user("Requester", cast.consumer, "pemohon")
    stored = tmp_path / "isi"
    stored.write_bytes(b"%PDF-1.4 perjanjian")
    file = AgreementFile(name="perjanjian.pdf", media_type="application/pdf", size=19, uploaded_by=author)
    file.save()
    row = AccessRequest(
        application=cast.application,
        service=cast.service,
        requested_by=author,
        purpose="uji",
        agreement_file=file,
        expires_at=timezone.now() + timedelta(days=9),
    )
    row.save()
    monkeypatch.setattr(agreements, "open_file", lambda _file: stored.open("rb"))
    address = reverse("admin:registry_accessrequest_agreement", args=(row.pk,))
    response = sign_in("Provider", cast.provider).get(address)
    assert response.status_code == 200
    (line,) = looks("agreement")
    assert (line["user"], line["op"][:3]) == ("provider-prov", ["prov", "data", str(row.pk)])


def test_the_preview_of_a_file(cast: Cast, sign_in: SignIn, settings: Any, tmp_path: Path) -> None:
    settings.UPLOAD_DIR = tmp_path / "unggahan"
    client = sign_in("Provider", cast.provider)
    content = b"nik,nama\n3201010101010001,Siti\n3201010101010002,Budi\n"
    file = SimpleUploadedFile("warga siti.csv", content, content_type="text/csv")
    response = client.post(reverse("admin:dataservices_uploadedtable_add"), {"file": file, "agency": cast.provider.pk})
    assert response.status_code == 302, response.context["form"].errors
    assert looks("upload") == []
    assert client.get(response["Location"]).status_code == 200
    (line,) = looks("upload")
    assert (line["user"], line["op"][0], line["rows"], line["fields"]) == ("provider-prov", "prov", 2, ["nik", "nama"])
    assert b"siti" not in b"".join(path.read_bytes().lower() for path in Path(settings.JOURNAL_DIR).iterdir())
