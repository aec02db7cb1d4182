"""Client certificates in bundles: they come back as they were, and the rules of their page hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.utils import timezone

from mantra.definitions.apply import apply
from mantra.definitions.export import export
from mantra.definitions.reading import Environment
from mantra.definitions.report import Report
from registry.models import Agency, Application, ClientCertificate
from registry.snapshot import holder
from tests.cast import Cast, call
from tests.gateway.test_client_certificates import SECRET, by_nginx
from tests.servers.certificates import Authority, self_signed

pytestmark = pytest.mark.django_db

FIRST, SECOND = self_signed("satu"), self_signed("dua")


def bundle(*pems: str, code: str = "app") -> str:
    document = {
        "agencies": [{"code": "kons", "name": "Konsumen"}],
        "applications": [
            {"agency": "kons", "code": code, "title": "Aplikasi", "certificates": [{"pem": pem} for pem in pems]}
        ],
    }
    return yaml.safe_dump(document)


def run(text: str, folder: Path | None = None) -> Report:
    return apply(text, Environment({}, folder or Path.cwd()))


def problem(text: str, folder: Path | None = None) -> str:
    """Where the only problem of a bundle is."""
    (found,) = run(text, folder).problems
    assert "PRIVATE" not in found.message
    assert not ClientCertificate.objects.exists()
    return found.path


def body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def test_certificates_come_back_on_another_bus() -> None:
    report = run(bundle(FIRST, SECOND))
    assert not report.problems
    assert [change.noun for change in report.changes] == ["agency", "application", *["client certificate"] * 2]
    before = export()
    assert FIRST.splitlines()[1] in before
    known = set(ClientCertificate.objects.values_list("subject", "thumbprint", "not_after"))
    assert {subject for subject, _thumbprint, _end in known} == {"CN=satu", "CN=dua"}
    assert not run(before).changes
    for model in (ClientCertificate, Application, Agency):
        model.objects.all().delete()
    assert not run(before).problems
    assert set(ClientCertificate.objects.values_list("subject", "thumbprint", "not_after")) == known
    assert body(export()) == body(before)


def test_a_caller_with_a_certificate_from_a_bundle_is_served(cast: Cast, settings: Any) -> None:
    settings.NGINX_SECRET = SECRET
    bound = bundle(FIRST).replace("code: app", "code: app\n  certificate_required: true")
    assert not run(bound).problems
    holder.refresh()
    for headers, text in ((by_nginx(FIRST), "Orang 7"), (by_nginx(SECOND), "11424"), ({}, "11423")):
        assert text in call("/rest/prov/data/satu?id=7", accesskey=cast.key, **headers).text


def test_a_certificate_may_be_a_file_beside_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "app.pem").write_text(FIRST)
    assert not run(bundle("file:app.pem"), tmp_path).problems
    assert not run(bundle(FIRST)).changes


def test_a_list_adds_and_takes_nothing_away() -> None:
    run(bundle(FIRST))
    report = run(bundle(SECOND))
    assert [change.noun for change in report.changes] == ["client certificate"]
    assert ClientCertificate.objects.count() == 2


def test_what_is_revoked_stays_so_and_is_not_exported() -> None:
    run(bundle(FIRST, SECOND))
    ClientCertificate.objects.get(subject="CN=satu").revoke()
    assert not run(bundle(FIRST, SECOND)).changes
    assert ClientCertificate.objects.get(subject="CN=satu").revoked_at is not None
    text = export()
    assert SECOND.splitlines()[1] in text
    assert FIRST.splitlines()[1] not in text


def test_what_has_expired_is_neither_exported_nor_added(tmp_path: Path) -> None:
    file, _key = Authority(tmp_path).certificate("lama", days=(-9, -1))
    assert problem(bundle(file.read_text())) == "applications[0].certificates[0].pem"
    run(bundle(FIRST))
    ClientCertificate.objects.update(not_after=timezone.now() - timedelta(seconds=1))
    assert "certificates: []" in export()


def test_one_that_has_expired_since_is_no_reason_to_refuse_a_bundle(tmp_path: Path) -> None:
    file, _key = Authority(tmp_path).certificate("lama", days=(-9, -1))
    run(bundle(code="app"))
    row = ClientCertificate(application=Application.objects.get(), pem=file.read_text())
    row._state.adding = False  # as it was when it still was good
    row.clean()
    row._state.adding = True
    row.save()
    report = run(bundle(file.read_text()))
    assert (report.problems, report.changes) == ([], [])


@pytest.mark.parametrize(
    ("pem", "place"),
    [
        ("bukan sertifikat", ".pem"),
        ("", ".pem"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + FIRST, ".pem"),
        ("file:tidak-ada.pem", ".pem"),
        (FIRST + "\n" * 10 + "x" * 70_000, ".pem"),
    ],
)
def test_what_is_no_certificate_is_refused(pem: str, place: str) -> None:
    assert problem(bundle(pem)) == f"applications[0].certificates[0]{place}"


def test_a_private_key_is_refused_beside_a_known_certificate_too() -> None:
    run(bundle(FIRST))
    (found,) = run(bundle(FIRST + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")).problems
    assert found.path == "applications[0].certificates[0].pem"
    assert "PRIVATE" not in ClientCertificate.objects.get().pem


def test_the_same_certificate_twice_is_a_slip() -> None:
    assert problem(bundle(FIRST, FIRST + "\n")) == "applications[0].certificates[1]"


def test_unknown_keys_are_named() -> None:
    text = bundle(FIRST).replace("pem:", "pen:")
    assert {each.path for each in run(text).problems} == {
        "applications[0].certificates[0].pen",
        "applications[0].certificates[0].pem",
    }


def test_two_applications_may_have_the_same_one() -> None:
    run(bundle(FIRST))
    assert not run(bundle(FIRST, code="lain")).problems
    assert ClientCertificate.objects.count() == 2


def test_an_application_has_no_more_than_are_allowed(settings: Any) -> None:
    settings.ROW_LIMITS = settings.ROW_LIMITS | {"certificates": 1}
    assert problem(bundle(FIRST, SECOND)).startswith("applications[0].certificates[1]")


def test_the_command_reports_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.yaml").write_text(bundle(FIRST))
    call_command("apply_definitions", str(tmp_path / "b.yaml"))
    thumbprint = ClientCertificate.objects.get().thumbprint
    assert f"+ client certificate {thumbprint[:16]} of kons/app" in capsys.readouterr().out
