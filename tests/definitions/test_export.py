"""The export: whole, readable, without secrets, and good to apply again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from django.db.models import Model

from dataservices.models import DataOperation, DataSource
from mantra.definitions import schema
from mantra.definitions.apply import apply
from mantra.definitions.export import export
from mantra.definitions.reading import Environment
from proxyservices.models import Backend, BackendServer, ParameterMapping, ProxyOperation, ServiceDescription
from registry.models import (
    AccessKey,
    Agency,
    Application,
    ClientCertificate,
    Field,
    Grant,
    Operation,
    Parameter,
    Service,
)
from tests.definitions.test_apply import BUNDLE, fine

pytestmark = pytest.mark.django_db


def body(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def wipe() -> None:
    for model in (Grant, AccessKey, Application, Operation, Service, Backend, DataSource):
        model.objects.all().delete()
    Agency.objects.filter(parent__isnull=False).delete()
    Agency.objects.all().delete()


def test_an_export_applied_to_an_empty_book_gives_the_same_export() -> None:
    fine(BUNDLE)
    before = export()
    wipe()
    fine(before)
    assert body(export()) == body(before)


def test_an_export_applied_at_once_changes_nothing() -> None:
    fine(BUNDLE)
    assert not fine(export()).changes


def test_an_export_takes_back_what_was_set_since() -> None:
    fine(BUNDLE)
    before = export()
    Service.objects.update(contact="seseorang")
    Grant.objects.update(networks="", legal_basis="UU")
    report = fine(before)
    assert len(report.changes) == 2
    assert export() == before


def test_an_export_holds_no_secret_and_says_so() -> None:
    fine(BUNDLE)
    text = export()
    key = AccessKey.objects.get()
    for secret in ("kata-sandi", "rahasia-hulu", "kunci12345", key.digest, key.public):
        assert secret not in text
    assert text.startswith("#")
    assert "# 1 access keys are not exported" in text


def test_sql_is_written_as_a_block_as_its_author_wrote_it() -> None:
    fine(BUNDLE)
    DataOperation.objects.filter(code="satu").update(sql="SELECT id,\r\n\tnama FROM orang WHERE id = :id")
    text = export()
    assert "sql: |-\n      SELECT id,\n      \tnama FROM orang WHERE id = :id\n" in text
    assert not fine(text).changes


def test_words_that_yaml_takes_for_something_else_come_back_as_they_were() -> None:
    fine(BUNDLE)
    odd = ["0123", "no", "2026-01-31", "~", "1e3", " spasi ", "a: b", "${HOME}", "$$", "'", "é – ü", ""]
    for word in odd:
        Service.objects.update(description=word)
        DataSource.objects.update(database=word or "d")
        fine(export())
        assert Service.objects.get().description == word
        assert DataSource.objects.first().database == (word or "d")


def test_an_agencys_export_holds_what_that_agency_keeps() -> None:
    fine(BUNDLE)
    found = yaml.safe_load(export(Agency.objects.get(code="anak")))
    assert [agency["code"] for agency in found["agencies"]] == ["anak"]
    assert found["services"] == found["sources"] == []
    assert found["applications"][0]["grants"][0]["operation"] == "prov/data/satu"


#: What a bundle leaves out, and why.
LEFT_OUT = {
    "id", "agency", "service", "operation", "application", "source", "backend",  # where a row stands
    "code", "kind", "position",
    "parent", "draft_of", "revision", "updated_at", "created_at", "operation_ptr",
    "public", "digest", "expires_at", "revoked_at", "last_used_at", "last_used_in_path_at", "slow_seconds",
    "slowed_until", "secret",  # a key's
    "routines",  # found in the source with each change
    "fetched_at",  # a contract's
}  # fmt: skip


PROXY = """
agencies: [{code: prov, name: Penyedia}]
services:
  - agency: prov
    code: alias
    title: Alias
    operations:
      - code: pegawai
        kind: proxy
        style: soap
        path: Cari
        allowed_methods: [GET, PUT]
        forwarded_request_headers: "Accept, If-Match"
        forward_credentials: true
        stale_if_error_seconds: 600
        records_path: hasil.orang
        ignored_paths: [meta, "data.*.waktu"]
        upstreams:
          - url: "https://satu.contoh.go.id/$${x}"
            credential_kind: oauth2
            credential_name: mantra
            credential: "env:RAHASIA"
            token_url: "https://token.contoh.go.id/"
            client_certificate: "env:SERTIFIKAT"
            probe_interval_seconds: 30
            probe_expected_text: "siap: ya"
          - {url: "https://dua.contoh.go.id/", priority: 0, weight: 3, active: false, credential_kind: none}
          - {url: "https://tiga.contoh.go.id/", credential_kind: none}
        mappings:
          - {location: query, name: format, value: "$${json}"}
          - {location: header, name: format, value: "env:bukan-rujukan"}
          - {location: header, name: X-Kunci, value: "env:KUNCI", secret: true}
          - {location: json, name: pegawai.nip, parameter: nip}
        descriptions:
          - {url: "https://satu.contoh.go.id/?xsd", content: "<xs:schema>$${tetap}</xs:schema>"}
          - {url: "https://satu.contoh.go.id/?wsdl", main: true, content: "file:layanan.wsdl"}
        parameters: [{name: nip, subject: true}]
"""
HIDDEN = {"RAHASIA": "rahasia-token", "SERTIFIKAT": "PEM-RAHASIA", "KUNCI": "kunci-x"}


def test_a_proxy_operation_comes_back_whole_and_its_secrets_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "layanan.wsdl").write_text("<definitions>\n\t<a/>\n</definitions>\n")
    assert not apply(PROXY, Environment(HIDDEN, tmp_path)).problems
    text = export()
    for secret in HIDDEN.values():
        assert secret not in text
    assert not fine(text).changes
    assert not apply(PROXY, Environment(HIDDEN, tmp_path)).changes

    stored = {
        (row.location, row.name): (row.parameter, str(row.value), row.secret) for row in ParameterMapping.objects.all()
    }
    assert stored == {
        ("query", "format"): ("", "${json}", False),
        ("header", "format"): ("", "env:bukan-rujukan", False),
        ("header", "X-Kunci"): ("", "kunci-x", True),
        ("json", "pegawai.nip"): ("nip", "", False),
    }
    main = ServiceDescription.objects.get(main=True)
    assert main.content == "<definitions>\n\t<a/>\n</definitions>"
    servers = [(row.url[8:11], row.priority) for row in BackendServer.objects.all()]
    assert servers == [("sat", 0), ("dua", 0), ("tig", 2)]
    server = BackendServer.objects.get(weight=1, priority=0)
    assert (server.url, server.own_settings) == ("https://satu.contoh.go.id/${x}", False)
    assert str(server.settings.client_certificate) == "PEM-RAHASIA"

    # Into an empty book go all but the secrets, which are asked for.
    wipe()
    given = re.sub(r"( +)secret: true", r"\g<0>\n\1value: env:KUNCI", text)
    assert not apply(given, Environment(HIDDEN, tmp_path)).problems
    assert str(ParameterMapping.objects.get(secret=True).value) == "kunci-x"
    assert body(export()) == body(text)


def test_a_secret_mapping_without_its_value_is_told(tmp_path: Path) -> None:
    (tmp_path / "layanan.wsdl").write_text("<a/>")
    broken = PROXY.replace(', value: "env:KUNCI"', "")
    (problem,) = apply(broken, Environment(HIDDEN, tmp_path)).problems
    assert problem.path == "services[0].operations[0].mappings[2].value"
    literal = PROXY.replace("env:KUNCI", "kunci-x")
    (problem,) = apply(literal, Environment(HIDDEN, tmp_path)).problems
    assert problem.path == "services[0].operations[0].mappings[2].value"


@pytest.mark.parametrize(
    "model,of",
    [
        (Agency, schema.AGENCY), (DataSource, schema.SOURCE), (Service, schema.SERVICE), (Parameter, schema.PARAMETER),
        (DataOperation, schema.OPERATIONS["data"]), (ProxyOperation, schema.OPERATIONS["proxy"]), (Field, schema.FIELD),
        (Backend, schema.BACKEND), (BackendServer, schema.SERVER),
        (ParameterMapping, schema.MAPPING), (ServiceDescription, schema.DESCRIPTION),
        (Application, schema.APPLICATION), (AccessKey, schema.LEGACY_KEY),
        (Grant, schema.GRANT), (ClientCertificate, schema.CERTIFICATE),
    ],
)  # fmt: skip
def test_every_column_of_the_book_has_its_key(model: type[Model], of: schema.Schema) -> None:
    # What follows from another column, such as a certificate's subject, is not written.
    columns = {field.name for field in model._meta.concrete_fields if model is not ClientCertificate or field.editable}
    assert columns - LEFT_OUT == {key.name for key in of.keys} - LEFT_OUT


def test_the_demos_bundle_applies_and_comes_back() -> None:
    text = (Path(__file__).parents[2] / "demo" / "demo.yaml").read_text()
    fine(text, PORT="8123")
    assert BackendServer.objects.get().url == "http://127.0.0.1:8123/json/bkn/simpeg"
    assert not fine(text, PORT="8123").changes
    assert not fine(export()).changes
