"""The bill of materials, held against its schema and what is installed; advisories about a seeded version."""

from __future__ import annotations

import io
import json
import re
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from django.conf import settings
from django.core.management import CommandError, call_command
from packaging.utils import canonicalize_name
from pytest_httpserver import HTTPServer

from mantra.supply_chain import advisories
from mantra.supply_chain.advisories import NotCheckedError
from mantra.supply_chain.components import Component, components

DJANGO = Component("PyPI", "django", metadata.version("django"))


def advisory(identity: str = "GHSA-1", **affected: Any) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": "Django"}
    return {"id": identity, "aliases": ["CVE-2026-1"], "summary": "Uji", "affected": [{"package": package, **affected}]}


def between(*events: dict[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


ALL = between({"introduced": "0"}, {"fixed": "999"})


# -------------------------------------------------------------------------------------- the bill of materials


def test_the_document_is_valid_and_complete(tmp_path: Path) -> None:
    call_command("sbom", output=tmp_path / "sbom.json")
    text = (tmp_path / "sbom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    found = {each["purl"]: each for each in document["components"]}
    assert len(found) == len(document["components"])
    installed = {
        f"pkg:pypi/{canonicalize_name(each.metadata['Name'])}@{each.version}" for each in metadata.distributions()
    }
    assert installed - {"pkg:pypi/mantra@2.0.0"} == {purl for purl in found if purl.startswith("pkg:pypi/")}
    # What the image is made of, and what browsers get.
    assert {"pkg:docker/python@3.11-slim-bookworm", "pkg:docker/nginx@1.28-alpine"} <= set(found)
    bundles = "".join((settings.BASE_DIR / "static/mantra/vendor" / name).read_text()[:2000]
                      for name in ("alpine.js", "sql-editor.js"))  # fmt: skip
    for name, version in re.findall(r"(@?[\w/-]+) (\d+\.[\d.]+\d)[,;]", bundles):
        assert f"pkg:npm/{name.replace('@', '%40')}@{version}" in found
    django = found[DJANGO.purl]
    assert django["licenses"] == [{"expression": "BSD-3-Clause"}]
    (archives,) = django["externalReferences"]
    pinned = (settings.BASE_DIR / "requirements.txt").read_text().partition("\ndjango==")[2].partition("\n    # via")[0]
    assert [each["content"] for each in archives["hashes"]] == re.findall(r"sha256:([0-9a-f]{64})", pinned) != []
    graph = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert any(ref.startswith("pkg:pypi/sqlparse@") for ref in graph[DJANGO.purl])
    assert set(graph) == {"mantra@2.0.0", *found}


def test_each_part_has_a_licence() -> None:
    runtime = (settings.BASE_DIR / "requirements.txt").read_text()
    names = {canonicalize_name(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", runtime, re.M)}
    found = {each.name: each for each in components() if each.ecosystem == "PyPI"}
    assert names <= set(found)
    assert [name for name in sorted(names) if not found[name].licence] == []
    assert all(each.licence for each in components() if each.ecosystem == "npm")


# ------------------------------------------------------------------------------------------------- advisories


@pytest.mark.parametrize(
    ("version", "affected", "concerned"),
    [
        ("5.2.1", between({"introduced": "5.2"}, {"fixed": "5.2.2"}), True),
        ("5.2.2", between({"introduced": "5.2"}, {"fixed": "5.2.2"}), False),
        ("5.1.9", between({"introduced": "5.2"}, {"fixed": "5.2.2"}), False),
        ("5.2.2", between({"introduced": "5.2"}, {"last_affected": "5.2.2"}), True),
        ("5.2.3", between({"introduced": "5.2"}, {"last_affected": "5.2.2"}), False),
        ("5.2rc1", between({"introduced": "5.2"}), False),
        ("5.10", between({"introduced": "5.9"}), True),
        # In the second of two ranges, whose events are in no order.
        ("4.2.7", between({"fixed": "4.2.8"}, {"introduced": "3.2"}, {"introduced": "4.2"}, {"fixed": "3.2.9"}), True),
        ("3.2.9", between({"fixed": "4.2.8"}, {"introduced": "3.2"}, {"introduced": "4.2"}, {"fixed": "3.2.9"}), False),
        ("1.0", {"versions": ["1.0"]}, True),
        ("1.1", {"versions": ["1.0"]}, False),
        ("keju", between({"introduced": "1"}), True),  # nobody can compare it: people must look
        ("1.0", {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, False),
    ],
)
def test_a_range_is_read(tmp_path: Path, version: str, affected: dict[str, Any], concerned: bool) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(advisory(**affected)))
    assert bool(advisories.from_file(file, [Component("PyPI", "django", version)])) == concerned


def test_a_seeded_weakness_is_found_without_the_internet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("GHSA-1.json", json.dumps(advisory(**ALL)))
        written.writestr("GHSA-2.json", json.dumps(advisory("GHSA-2", **between({"introduced": "999"}))))
        written.writestr("GHSA-3.json", json.dumps(advisory("GHSA-3", **ALL) | {"withdrawn": "2026-01-01T00:00:00Z"}))
    with pytest.raises(CommandError) as failed:
        call_command("audit_dependencies", advisories=archive)
    assert failed.value.returncode == 1
    told = capsys.readouterr().out.splitlines()
    assert told == [f"django {DJANGO.version}: GHSA-1, CVE-2026-1; fixed in 999. Uji"]
    archive.write_text(json.dumps([advisory(**between({"introduced": "999"}))]))
    call_command("audit_dependencies", advisories=archive)
    assert "No advisory concerns" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"name": 1}', b"[" * 100_000, b"PK\x03\x04rusak"])
def test_a_file_that_cannot_be_read_is_no_clean_result(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(CommandError, match="Not checked") as failed:
        call_command("audit_dependencies", advisories=file)
    assert failed.value.returncode == 3


def test_a_large_member_of_an_archive_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "MAX_ADVISORY", 100)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("GHSA-1.json", json.dumps(advisory(**ALL)) + " " * 1000)
    assert advisories.from_file(tmp_path / "all.zip", [DJANGO]) == []
    monkeypatch.setattr(advisories, "MAX_FILE", 10)
    with pytest.raises(NotCheckedError, match="larger"):
        advisories.from_file(tmp_path / "all.zip", [DJANGO])


def test_the_database_is_asked_for_all_packages(httpserver: HTTPServer) -> None:
    parts = [each for each in components() if each.ecosystem != "docker"]
    place = parts.index(next(each for each in parts if each.name == "django"))
    results: list[dict[str, Any]] = [{} for _ in parts]
    results[place] = {"vulns": [{"id": "GHSA-1", "modified": "2026-01-01T00:00:00Z"}]}
    httpserver.expect_request("/querybatch", method="POST").respond_with_json({"results": results})
    httpserver.expect_request("/vulns/GHSA-1").respond_with_json(advisory(**ALL))
    found = advisories.from_database(components(), httpserver.url_for("").rstrip("/"))
    assert [(each.name, each.advisory, each.fixed_in) for each in found] == [("django", "GHSA-1", ("999",))]
    asked = [query["package"]["purl"] for query in json.loads(httpserver.log[0][0].get_data())["queries"]]
    assert asked == [part.purl for part in parts]


@pytest.mark.parametrize("status", [500, 200])
def test_a_database_that_fails_is_no_clean_result(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(advisories, "MAX_ANSWER", 1000)
    httpserver.expect_request("/querybatch").respond_with_data(b"[" * 2000, status=status)
    with pytest.raises(NotCheckedError):
        advisories.from_database([DJANGO], httpserver.url_for("").rstrip("/"))


def test_without_the_internet_it_says_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories.from_database, "__defaults__", ("http://127.0.0.1:1",))
    out = io.StringIO()
    with pytest.raises(CommandError, match="Not checked") as failed:
        call_command("audit_dependencies", stdout=out)
    assert failed.value.returncode == 3
    assert out.getvalue() == ""
