"""Applying bundles: what changes, what is told of it, and that nothing changes when anything is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from dataservices.models import DataOperation, DataSource
from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from mantra.definitions.report import Report
from proxyservices.models import Backend, BackendServer, ProxyOperation
from registry.models import (
    AccessKey,
    Agency,
    Application,
    Grant,
    Notification,
    Operation,
    Parameter,
    SnapshotVersion,
)
from registry.snapshot import holder
from tests.admin.conftest import make_user
from tests.cast import call, make_table

pytestmark = pytest.mark.django_db

BUNDLE = """
agencies:
  - {code: anak, name: Anak, parent: prov}
  - {code: prov, name: Penyedia}
sources:
  - {agency: prov, code: db, engine: sqlite, database: "${TABLE}"}
  - {agency: prov, code: pg, engine: postgresql, host: "${HOST_OF_DB:-db}", port: "5433", database: d, user: u,
     password: "env:SANDI", options: {sslmode: require}}
backends:
  - agency: prov
    code: hulu
    credential: "rahasia-hulu"
    servers: [{url: "http://hulu.contoh.go.id"}]
services:
  - agency: prov
    code: data
    title: Data
    operations:
      - code: satu
        kind: data
        source: db
        sql: |
          SELECT id, nama FROM orang
          WHERE id = :id
        state: published
        max_rows: 5
        parameters:
          - {name: id, type: integer, min: 1, description: no}
        fields:
          - {name: id, type: integer}
          - {name: nama, classification: personal}
      - code: alias
        kind: proxy
        path: satu
        backend: hulu
        parameters: [{name: id}]
applications:
  - agency: anak
    code: app
    title: Aplikasi
    keys: [{legacy: kunci12345, operation: prov/data/satu}]
    grants:
      - {operation: prov/data/satu, purpose: uji, valid_until: 2099-12-31, quota: 1000/day,
         networks: [127.0.0.0/8], fields: [id]}
"""


#: The line with the backend's secret.
CREDENTIAL = '    credential: "rahasia-hulu"\n'


def run(text: str, dry_run: bool = False, **environment: str) -> Report:
    around = Environment({"TABLE": str(make_table()), "SANDI": "kata-sandi", **environment}, Path.cwd())
    return apply(text, around, dry_run, reason="uji")


def fine(text: str, **environment: str) -> Report:
    report = run(text, **environment)
    assert not report.problems, [str(problem) for problem in report.problems]
    return report


def problems(text: str) -> dict[str, str]:
    return {problem.path: problem.message for problem in run(text).problems}


def counts() -> list[int]:
    models = (Agency, DataSource, Backend, BackendServer, Operation, Parameter, Application, AccessKey, Grant)
    return [model.objects.count() for model in models]


def test_a_bundle_makes_all_that_it_names_and_its_operation_can_be_called() -> None:
    report = fine(BUNDLE)
    assert [str(change) for change in report.changes] == [
        "+ agency prov",
        "+ agency anak",
        "+ source prov/db",
        "+ source prov/pg",
        "+ backend prov/hulu",
        "+ service prov/data",
        "+ data operation prov/data/satu",
        "+ proxy operation prov/data/alias",
        "+ application anak/app",
        "+ legacy key ku… of anak/app for prov/data/satu",
        "+ grant anak/app → prov/data/satu",
    ]
    assert Agency.objects.get(code="anak").parent.code == "prov"
    source = DataSource.objects.get(code="pg")
    assert (source.host, source.port, str(source.password)) == ("db", 5433, "kata-sandi")
    parameter = Parameter.objects.get(operation__code="satu")
    assert (parameter.min, parameter.description) == ("1", "no")
    holder.refresh()
    answer = call("/rest/prov/data/satu.json?id=7", accesskey="kunci12345")
    assert answer.json()["data"] == [{"id": 7}]


def test_t8_a_bundle_declares_no_parameter_that_paging_fills() -> None:
    paged = BUNDLE.replace("WHERE id = :id", "LIMIT :limit OFFSET :offset").replace("max_rows: 5", "page_size: 5")
    assert (
        "limit"
        in problems(paged.replace("{name: id, type: integer, min: 1, description: no}", "{name: limit}"))[
            "services[0].operations[0].sql"
        ]
    )
    fine(paged.replace("- {name: id, type: integer, min: 1, description: no}", "[]"))


def test_the_same_bundle_again_changes_nothing() -> None:
    fine(BUNDLE)
    revisions = list(Operation.objects.values_list("code", "revision"))
    assert revisions == [("alias", 0), ("satu", 1)]  # a draft has no version
    version = SnapshotVersion.objects.get().version
    report = fine(BUNDLE)
    assert (report.changes, report.unchanged) == ([], 11)
    assert list(Operation.objects.values_list("code", "revision")) == revisions
    assert SnapshotVersion.objects.get().version == version


def test_a_dry_run_tells_and_changes_nothing() -> None:
    report = run(BUNDLE, dry_run=True)
    assert len(report.changes) == 11
    assert counts() == [0] * 9


CHANGES: list[tuple[str, str, str, list[str]]] = [
    ("a number", "max_rows: 5", "max_rows: 6", ["max_rows: 5 → 6"]),
    ("a parameter", "min: 1, ", "min: 2, ", ["parameters.id.min: 1 → 2"]),
    ("a default again", "min: 1, ", "", ["parameters.id.min: 1 → –"]),
    (
        "another parameter",
        "WHERE id = :id\n        state: published\n        max_rows: 5\n        parameters:\n",
        "WHERE id = :id [[ AND nama = :tambahan ]]\n        state: published\n        max_rows: 5\n"
        "        parameters:\n          - {name: tambahan, required: false}\n",
        [
            "sql:",
            "      SELECT id, nama FROM orang",
            "    - WHERE id = :id",
            "    + WHERE id = :id [[ AND nama = :tambahan ]]",
            "+ parameters.tambahan",
        ],
    ),
    (
        "the order of fields",
        "- {name: id, type: integer}\n          - {name: nama, classification: personal}",
        "- {name: nama, classification: personal}\n          - {name: id, type: integer}",
        ["fields: in another order"],
    ),
    ("a field less", "          - {name: nama, classification: personal}\n", "", ["- fields.nama"]),
    (
        "the SQL",
        "WHERE id = :id",
        "WHERE id >= :id",
        ["sql:", "      SELECT id, nama FROM orang", "    - WHERE id = :id", "    + WHERE id >= :id"],
    ),
]


@pytest.mark.parametrize("old,new,lines", [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_a_change_is_told_and_raises_the_revision_once(old: str, new: str, lines: list[str]) -> None:
    fine(BUNDLE)
    assert old in BUNDLE
    report = fine(BUNDLE.replace(old, new))
    (change,) = report.changes
    assert (change.mark, change.name, list(change.details)) == ("~", "prov/data/satu", lines)
    assert Operation.objects.get(code="satu").revision == 2
    assert Operation.objects.get(code="alias").revision == 0
    assert not fine(BUNDLE.replace(old, new)).changes


def test_the_order_of_the_file_is_the_order_of_the_list() -> None:
    fine(BUNDLE)
    turned = BUNDLE.replace(
        "- {name: id, type: integer}\n          - {name: nama, classification: personal}",
        "- {name: nama, classification: personal}\n          - {name: id, type: integer}",
    )
    fine(turned)
    operation = Operation.objects.get(code="satu")
    assert [field.name for field in operation.fields.all()] == ["nama", "id"]


def test_a_secret_is_told_only_as_changed_and_stays_when_it_is_left_out() -> None:
    fine(BUNDLE)
    report = fine(BUNDLE, SANDI="sandi-baru")
    assert [str(change) for change in report.changes] == ["~ source prov/pg\n    password: (changed)"]
    assert str(DataSource.objects.get(code="pg").password) == "sandi-baru"
    report = fine(BUNDLE.replace("rahasia-hulu", "rahasia-lain"))
    assert "~ backend prov/hulu\n    credential: (changed)" in str(report)
    assert "rahasia" not in str(report)
    less = BUNDLE.replace(',\n     password: "env:SANDI"', "").replace(CREDENTIAL, "")
    assert not fine(less).changes
    assert str(Backend.objects.get().credential) == "rahasia-lain"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("${HOST_OF_DB:-db}", "pencuri.contoh", "sources[1].password"),
        ("http://hulu.contoh.go.id", "https://hulu.contoh.go.id", "backends[0].servers"),
        ("    servers:", "    credential_kind: bearer\n    servers:", "backends[0].credential"),
    ],
)
def test_a_stored_secret_goes_to_no_new_server(old: str, new: str, path: str) -> None:
    """The rule of registry/secret_rules.py holds for bundles as for the admin and the management API."""
    fine(BUNDLE)
    less = BUNDLE.replace(',\n     password: "env:SANDI"', "").replace(CREDENTIAL, "")
    assert list(problems(less.replace(old, new))) == [path]
    assert not run(BUNDLE.replace(old, new)).problems  # given again, though it be the same


def test_a_server_whose_path_changes_keeps_its_secret() -> None:
    fine(BUNDLE)
    less = BUNDLE.replace(CREDENTIAL, "")
    fine(less.replace("http://hulu.contoh.go.id", "http://hulu.contoh.go.id/v2"))
    row = BackendServer.objects.get()
    assert (row.url, str(row.backend.credential)) == ("http://hulu.contoh.go.id/v2", "rahasia-hulu")


def test_what_the_sql_needs_is_declared_where_the_file_has_no_list() -> None:
    fine(BUNDLE)
    listed = "          WHERE id = :id\n"
    without = BUNDLE.replace(
        "        parameters:\n          - {name: id, type: integer, min: 1, description: no}\n", ""
    )
    report = fine(without.replace(listed, "          WHERE id = :id AND unit = :unit\n"))
    assert "prov/data/satu/unit" in [change.name for change in report.changes]
    parameters = {row.name: row.type for row in Operation.objects.get(code="satu").parameters.all()}
    assert parameters == {"id": "integer", "unit": "text"}
    assert not fine(without.replace(listed, "          WHERE id = :id AND unit = :unit\n")).changes
    assert list(problems(BUNDLE.replace(listed, "          WHERE id = :id AND nama = :nama\n"))) == [
        "services[0].operations[0].sql"
    ]


def test_a_published_proxy_operation_has_a_server() -> None:
    published = BUNDLE.replace("        kind: proxy\n", "        kind: proxy\n        state: published\n")
    fine(published)
    without = published.replace('[{url: "http://hulu.contoh.go.id"}]', "[]")
    assert list(problems(without)) == ["backends[0].servers", "services[0].operations[1].backend"]
    assert list(problems(published.replace("        backend: hulu\n", "        backend: null\n"))) == [
        "services[0].operations[1].backend"
    ]
    unknown = problems(published.replace("        backend: hulu\n", "        backend: tidakada\n"))
    assert list(unknown) == ["services[0].operations[1].backend"]


#: An operation with its servers, as bundles were written before there were backends.
OLD = """
agencies: [{code: prov, name: Penyedia}]
services:
  - agency: prov
    code: data
    title: Data
    operations:
      - {code: satu, kind: proxy, path: satu, state: published, upstreams: [{url: "http://a.go.id", credential: k}]}
      - {code: dua, kind: proxy, path: dua, upstreams: [{url: "http://a.go.id", credential: k}, {url: "http://b.go.id",
         credential_kind: none}]}
"""


def test_a_bundle_from_before_there_were_backends_makes_one_for_each_operation() -> None:
    report = fine(OLD)
    assert {change.name for change in report.changes if change.noun == "backend"} == {"prov/satu", "prov/dua"}
    assert not fine(OLD).changes
    fine(OLD.replace("http://b.go.id", "http://b.go.id/v2"))
    servers = [(row.backend.code, row.url, row.own_settings) for row in BackendServer.objects.order_by("pk")]
    assert servers == [
        ("satu", "http://a.go.id", False), ("dua", "http://a.go.id", False), ("dua", "http://b.go.id/v2", True),
    ]  # fmt: skip


def test_such_a_bundle_does_not_change_a_backend_that_others_use_too() -> None:
    fine(OLD)
    ProxyOperation.objects.filter(code="dua").update(backend=Backend.objects.get(code="satu"))
    same = OLD.replace(
        """, {url: "http://b.go.id",
         credential_kind: none}""",
        "",
    )
    assert not fine(same).changes
    other = same.replace("http://a.go.id", "http://c.go.id")
    assert set(problems(other)) == {f"services[0].operations[{index}].upstreams" for index in (0, 1)}


def test_what_the_file_does_not_name_stays() -> None:
    fine(BUNDLE)
    DataOperation.objects.filter(code="satu").update(title="Judul")
    other = Application.objects.create(agency=Agency.objects.get(code="anak"), code="lain", title="Lain")
    assert not fine(BUNDLE).changes
    assert Operation.objects.get(code="satu").title == "Judul"
    assert Application.objects.filter(pk=other.pk).exists()


def test_every_error_is_told_with_its_place_and_nothing_changes() -> None:
    wrong = """
agencies:
  - {code: prov, name: Penyedia, email: bukan-surel}
  - {code: "tidak boleh", name: X}
  - {code: anak, name: Anak, parent: tidakada}
sources:
  - {agency: prov, code: db, engine: sqlite, database: "${TABLE}", pasword: x}
  - {agency: prov, code: pg, engine: postgresql, host: h, database: d, user: u, password: terang}
  - {agency: prov, code: ora, engine: dbaset, database: d}
  - {agency: lain, code: x, engine: sqlite, database: d}
services:
  - agency: prov
    code: data
    title: Data
    operations:
      - {code: a, kind: data, source: db, sql: "DELETE FROM orang"}
      - {code: b, kind: program}
      - {code: c, kind: data, source: tidakada, sql: "SELECT 1", max_rows: banyak}
      - {code: d, kind: data, source: db, sql: "SELECT :x AS x", parameters: [{name: y, pattern: "("}, {name: y}]}
      - {code: e, kind: proxy, upstreams: [{url: "ftp://x"}], style: aneh}
      - {code: f, kind: data, source: ora, sql: "SELECT 1"}
      - {code: a, kind: data, source: db, sql: "SELECT 1"}
applications:
  - agency: prov
    code: app
    title: App
    keys: [{legacy: "a b", operation: prov/data/d}]
    grants:
      - {operation: prov/data/tidakada, purpose: uji}
      - {operation: prov/data/d, valid_until: besok, quota: banyak, networks: [di-mana]}
      - {operation: prov/data/f, purpose: uji}
"""
    found = problems(wrong)
    assert set(found) == {
        "agencies[0].email",
        "agencies[1].code",
        "agencies[2].parent",
        "sources[0].pasword",
        "sources[1].password",
        "sources[2].engine",
        "sources[3].agency",
        "services[0].operations[0].sql",
        "services[0].operations[1].kind",
        "services[0].operations[2].source",
        "services[0].operations[2].max_rows",
        "services[0].operations[3].sql",
        "services[0].operations[3].parameters[0].pattern",
        "services[0].operations[3].parameters[1]",
        "services[0].operations[4].style",
        "services[0].operations[4].upstreams[0].url",
        "services[0].operations[6]",
        "applications[0].keys[0].legacy",
        "applications[0].grants[0].operation",
        "applications[0].grants[1].purpose",
        "applications[0].grants[1].valid_until",
        "applications[0].grants[1].quota",
        "applications[0].grants[1].networks",
    }
    assert "password" in found["sources[0].pasword"]
    assert "terang" not in str(found)
    assert counts() == [0] * 9


def test_a_failure_at_the_end_takes_back_what_was_changed_before() -> None:
    fine(BUNDLE)
    assert run(BUNDLE.replace("max_rows: 5", "max_rows: 6").replace("quota: 1000/day", "quota: banyak")).problems
    assert DataOperation.objects.get(code="satu").max_rows == 5


REFUSED: list[tuple[str, str, str]] = [
    ("no YAML", "agencies: [", ""),
    ("no mapping", "- a", ""),
    ("objects", "agencies: !!python/object/apply:os.system [true]", ""),
    ("no list", "agencies: {code: a}", "agencies"),
    ("no member", "agencies: [a]", "agencies[0]"),
    ("an unknown list", "agency: []", "agency"),
    ("a repeated key", "agencies:\n  - {code: a, name: A, name: B}", "agencies[0].name"),
    ("a repeated list", "agencies: []\nagencies: []", "agencies"),
    ("a missing code", "agencies: [{name: A}]", "agencies[0].code"),
    (
        "a missing variable",
        "agencies: [{code: a, name: A}]\n"
        'sources: [{agency: a, code: s, engine: sqlite, database: "${TIDAK_ADA}"}]',
        "sources[0].database",
    ),
    ("itself above itself", "agencies: [{code: a, name: A, parent: a}]", "agencies[0].parent"),
    ("a list for a text", "agencies: [{code: a, name: [A]}]", "agencies[0].name"),
]  # fmt: skip


@pytest.mark.parametrize("text,path", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_no_bundle_is_refused(text: str, path: str) -> None:
    assert set(problems(text)) == {path}
    assert not Agency.objects.exists()


def test_an_unknown_key_is_answered_with_the_nearest_known_one() -> None:
    message = problems(BUNDLE.replace("max_rows", "row_kap"))["services[0].operations[0].row_kap"]
    assert "max_rows" in message


def test_the_environment_reaches_no_sql_and_two_dollars_are_one() -> None:
    text = BUNDLE.replace("WHERE id = :id", "WHERE id = :id AND nama <> '${HOME}$$'").replace(
        "${HOST_OF_DB:-db}", "a$${b}"
    )
    fine(text)
    assert "'${HOME}$$'" in DataOperation.objects.get(code="satu").sql
    assert DataSource.objects.get(code="pg").host == "a${b}"


def test_a_secret_comes_from_a_file_beside_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "sandi.txt").write_text("dari-berkas\n")
    (tmp_path / "bundle.yaml").write_text(BUNDLE.replace("env:SANDI", "file:sandi.txt"))
    os.environ["TABLE"] = str(make_table())
    try:
        call_command("apply_definitions", str(tmp_path / "bundle.yaml"))
    finally:
        del os.environ["TABLE"]
    assert str(DataSource.objects.get(code="pg").password) == "dari-berkas"


def test_a_key_is_not_taken_from_its_application_or_operation() -> None:
    fine(BUNDLE)
    key = "keys: [{legacy: kunci12345, operation: prov/data/satu}]"
    for other in (BUNDLE.replace("code: app\n", "code: app2\n"), BUNDLE.replace(key, key.replace("satu", "alias"))):
        assert set(problems(other)) == {"applications[0].keys[0]"}
    assert AccessKey.objects.get().application.code == "app"


def test_f15_a_key_of_1_99x_for_several_operations() -> None:
    """It opens what its application is granted, and nothing else."""
    key = "keys: [{legacy: kunci12345, operation: prov/data/satu}]"
    shared = BUNDLE.replace(key, 'keys: [{legacy: kunci12345, operation: "*"}]')
    shared = shared.replace(
        "      - code: alias\n",
        "      - {code: dua, kind: data, source: db, state: published, sql: SELECT 2 AS dua}\n"
        "      - {code: tiga, kind: data, source: db, state: published, sql: SELECT 3 AS tiga}\n"
        "      - code: alias\n",
    )
    shared = shared.replace("    grants:\n", "    grants:\n      - {operation: prov/data/dua, purpose: uji}\n")
    report = fine(shared)
    assert "+ legacy key ku… of anak/app for *" in [str(change) for change in report.changes]
    assert AccessKey.objects.get().operation is None
    assert not fine(shared).changes
    holder.refresh()
    asked = {"satu/id=7": 200, "dua": 200, "tiga": 10002}
    found = {path: call(f"/json/prov/data/{path}", accesskey="kunci12345").json() for path in asked}
    assert {path: answer["response"]["code"] for path, answer in found.items()} == asked
    assert set(problems(BUNDLE)) == {"applications[0].keys[0]"}


def test_a_revoked_key_stays_revoked() -> None:
    fine(BUNDLE)
    AccessKey.objects.get().revoke()
    assert not fine(BUNDLE).changes
    assert not AccessKey.objects.get().is_active


def test_the_kind_of_an_operation_cannot_change() -> None:
    fine(BUNDLE)
    turned = "services: [{agency: prov, code: data, operations: [{code: satu, kind: proxy}]}]"
    assert set(problems(turned)) == {"services[0].operations[0].kind"}
    assert not ProxyOperation.objects.filter(code="satu").exists()


def test_the_command_prints_the_changes_or_all_errors_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABLE", str(make_table()))
    monkeypatch.setenv("SANDI", "kata-sandi")
    file = tmp_path / "bundle.yaml"
    file.write_text(BUNDLE)
    call_command("apply_definitions", str(file), "--dry-run")
    assert "+ grant anak/app → prov/data/satu\n= 0 unchanged" in capsys.readouterr().out
    assert not Agency.objects.exists()
    call_command("apply_definitions", str(file))
    call_command("apply_definitions", str(file))
    assert capsys.readouterr().out.endswith("= 11 unchanged\n")
    file.write_text("agencies: [{code: a b, name: A}, {name: B}]")
    with pytest.raises(CommandError):
        call_command("apply_definitions", str(file))
    told = capsys.readouterr().err
    assert "agencies[0].code: " in told
    assert "agencies[1].code: " in told


@pytest.mark.usefixtures("cast")
def test_a_list_of_parameters_has_one_for_each_placeholder_in_the_path() -> None:
    """As in the management API. Without a list they are declared."""
    service = "services: [{{agency: prov, code: data, title: Data, operations: [{}]}}]"
    operation = "{{code: p, kind: proxy, style: rest, path: 'x/{{nik}}/{{unit}}', {}}}".format
    (problem,) = run(service.format(operation("parameters: [{name: unit}]"))).problems
    assert problem.path == "services[0].operations[0].path"
    assert "{nik}" in problem.message
    fine(service.format(operation("parameters: [{name: unit}, {name: NIK}]")))
    fine(service.format(operation("").replace("code: p", "code: q")))
    assert set(Parameter.objects.filter(operation__code="q").values_list("name", flat=True)) == {"nik", "unit"}


def test_a_grant_that_a_bundle_revokes_ends_as_by_the_other_ways() -> None:
    fine(BUNDLE)
    asker = make_user("Requester", Agency.objects.get(code="anak"), "pemohon")
    assert not Notification.objects.exists()  # a new one
    revoking = BUNDLE.replace("purpose: uji,", "purpose: uji, state: revoked,")
    run(revoking, dry_run=True)
    assert not Notification.objects.exists()
    fine(revoking)
    revoked_at = Grant.objects.get().revoked_at
    assert revoked_at is not None
    fine(revoking.replace("purpose: uji", "purpose: lain"))
    assert Grant.objects.get().revoked_at == revoked_at
    fine(revoking.replace("revoked", "approved"))
    assert Grant.objects.get().revoked_at is None
    told = Notification.objects.filter(user=asker).order_by("pk").values_list("event", flat=True)
    assert list(told) == ["grant_revoked", "grant_changed", "grant_changed"]
