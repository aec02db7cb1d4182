"""The documents, held against the code that they describe.

``python -m tests.system.test_docs --write`` brings the table in docs/errors.md up to date; what to do about a fault
is written there by hand, and stays.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    import django

    import tests.environment  # noqa: F401 (what settings read)

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
    django.setup()

import pytest
import yaml
from django.core.management import load_command_class
from django.core.management.base import BaseCommand, CommandParser

from adapters import ADAPTERS, adapter_class
from adapters.base import Limits, QueryFailed
from mantra.api.urls import router
from mantra.definitions import schema
from mantra.definitions.apply import apply
from mantra.definitions.reading import Environment
from mantra.gateway import http
from mantra.gateway.formats import FORMATS, LEGACY
from mantra.gateway.protocols import legacy, problem
from mantra.wsgi import HANDLERS
from registry import checks, faults, models
from registry.results import Column, Fault, FaultKind, Rows
from registry.roles import ROLES
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DEPLOY = [ROOT / "run", *sorted(ROOT.glob("docker-compose*.yml")), *sorted((ROOT / "deploy").glob("*.py"))]
ERRORS = ROOT / "docs" / "errors.md"

_NAMES = r"(?:MANTRA|AUDIT|WEB|POSTGRES|VALKEY)_[A-Z_]*[A-Z]"


def text(name: str) -> str:
    return (ROOT / name).read_text()


def section(document: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", _bare(document), re.M | re.S)
    assert found is not None, f"there is no heading {heading}"
    return document[found.start(1) : found.end(1)]


def _bare(document: str) -> str:
    """The document with the # of its code blocks blotted out, so that none is taken for a heading."""
    return re.sub(r"^```.*?^```$", lambda block: block[0].replace("#", "·"), document, flags=re.M | re.S)


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.M | re.S)


def rows_of(document: str) -> list[list[str]]:
    """The cells of all table rows."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in document.splitlines()
        if line.startswith("|") and not set(line) <= set("|- ")
    ]


def named(document: str) -> set[str]:
    """Everything that stands between backticks."""
    return set(re.findall(r"`([^`\n]+)`", document))


# --------------------------------------------------------------------------------------- settings


def settings_read() -> dict[str, Any]:
    """Environment variable → its default in settings.py; ... where it is computed, None where there is none."""
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(text("mantra/settings.py"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and node.args):
            continue
        owner = node.func if isinstance(node.func, ast.Name) else node.func.value
        name = node.args[0]
        if isinstance(owner, ast.Name) and owner.id == "env" and isinstance(name, ast.Constant):
            default = next((each.value for each in node.keywords if each.arg == "default"), None)
            found[str(name.value)] = default if default is None else _constant(default)
    return found


def _constant(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def _worded(default: Any) -> str:
    """A default as the documents write it."""
    if isinstance(default, list):
        return f"`{','.join(default)}`"
    if isinstance(default, bool):
        return f"`{int(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_every_setting_is_explained_with_its_default() -> None:
    told = {cells[0].strip("`"): cells for cells in rows_of(text("docs/operations.md"))}
    read = settings_read()
    assert len(read) > 20
    for name, default in read.items():
        assert name in told, f"docs/operations.md does not explain {name}"
        shown, meaning = told[name][1], told[name][2]
        assert meaning
        if default is None:
            assert shown == "must be given", name
        elif default is not ...:
            assert shown == ("empty" if default in ("", []) else _worded(default)), name


def variables_of(path: Path) -> set[str]:
    found = set(re.findall(r"environ(?:\.get\(|\[)\s*[\"']([A-Z_]+)", path.read_text()))
    found |= set(re.findall(r"\$\{([A-Z_]+)[:}?-]", path.read_text()))
    return found | set(re.findall(rf"\b({_NAMES})\b", path.read_text()))


def test_every_variable_of_run_and_of_the_deployment_is_named() -> None:
    wanted: set[str] = set().union(*(variables_of(path) for path in DEPLOY))
    wanted |= set(re.findall(r"^#?([A-Z_]+)=", text(".env.example"), re.M))
    assert {"HOST", "PORT", "BIND", "WEB_CONCURRENCY", "POSTGRES_PASSWORD"} <= wanted
    missing = sorted(wanted - named(text("docs/operations.md")))
    assert not missing, f"docs/operations.md does not name {missing}"


def test_no_document_names_a_variable_that_nobody_reads() -> None:
    places = [*DEPLOY, ROOT / ".env.example", ROOT / "mantra" / "settings.py", ROOT / "deploy" / "make-env"]
    places.append(ROOT / "mantra" / "client_code" / "adapter.php")
    places += sorted((ROOT / "deploy" / "nginx").rglob("*.*")) + sorted((ROOT / "tests").rglob("*.py"))
    code = "\n".join(path.read_text() for path in places)
    known = set(re.findall(rf"\b{_NAMES}\b", code)) | {f"{name}_FILE" for name in settings_read()}
    for path in DOCS:
        unknown = set(re.findall(rf"\b{_NAMES}\b", path.read_text())) - known
        assert not unknown, f"{path.name} names {sorted(unknown)}"


def test_every_system_check_is_explained() -> None:
    ids = set(re.findall(r"mantra\.[EW]\d{3}", Path(checks.__file__).read_text()))
    assert ids
    assert ids <= named(text("docs/operations.md"))


# --------------------------------------------------------------------------------------- commands


def commands() -> dict[str, BaseCommand]:
    return {
        path.stem: load_command_class(path.parts[-4], path.stem)
        for path in ROOT.glob("*/management/commands/*.py")
        if path.stem != "__init__"
    }


def test_every_command_is_explained_with_its_options() -> None:
    found = commands()
    assert len(found) >= 8
    document = section(text("docs/operations.md"), "## Management commands")
    common = {option for action in CommandParser()._actions for option in action.option_strings}
    for name, command in found.items():
        told = section(document, f"### {name}")
        parser = command.create_parser("manage.py", name)
        base = BaseCommand().create_parser("manage.py", name)
        own = {option for action in parser._actions for option in action.option_strings}
        own -= {option for action in base._actions for option in action.option_strings} | common
        for option in own:
            assert option in told, f"docs/operations.md does not explain {name} {option}"


def test_no_document_calls_a_command_that_is_not_there() -> None:
    known = {*commands(), "migrate", "check", "changepassword"}
    for path in DOCS:
        called = set(re.findall(r"manage\.py ([a-z_]+)", path.read_text()))
        assert called <= known, f"{path.name}: {sorted(called - known)}"


def test_the_readmes_paste_what_run_prints() -> None:
    printed = re.findall(r"^ +(curl .*)$", text("run"), re.M)
    assert len(printed) == 3
    for name in ("README.md", "README.id.md"):
        pasted = "\n".join(blocks(text(name), "sh")).splitlines()
        for line in printed:
            assert line.replace("$base", "http://127.0.0.1:8000") in pasted


def test_both_readmes_show_the_same_code() -> None:
    english, indonesian = (
        re.findall(r"^```.*?^```$", text(name), re.M | re.S) for name in ("README.md", "README.id.md")
    )
    assert len(english) > 5
    assert english == indonesian


# ----------------------------------------------------------------------------------------- faults


@dataclass(frozen=True)
class Told:
    """One row of the table in docs/errors.md."""

    code: int
    cells: tuple[str, ...]
    what_to_do: str


def _row(kind: FaultKind) -> tuple[str, ...]:
    """A fault as docs/errors.md writes it, without what to do about it."""
    id, en = (re.sub(r"\{\{|\}\}", lambda twice: twice[0][0], message) for message in (kind.id, kind.en))
    return (f"`{kind.code}`", f"`{kind.name}`", str(kind.status), kind.party, f"{id}<br>*{en}*")


def _told() -> dict[int, Told]:
    found = {}
    for cells in rows_of(ERRORS.read_text()):
        if len(cells) == 6 and re.fullmatch(r"`\d{5}`", cells[0]):
            code = int(cells[0].strip("`"))
            assert code not in found, f"{code} stands in docs/errors.md twice"
            found[code] = Told(code, tuple(cells[:5]), cells[5])
    return found


def test_every_fault_is_told_as_it_is_and_with_what_to_do() -> None:
    told = _told()
    assert list(told) == sorted(faults.TABLE), "python -m tests.system.test_docs --write"
    for code, kind in faults.TABLE.items():
        assert told[code].cells == _row(kind), f"{code}: python -m tests.system.test_docs --write"
        assert told[code].what_to_do, f"docs/errors.md does not say what to do about {code}"


def test_legacy_fault_numbers_match_the_document() -> None:
    told = {(cells[0], cells[1]) for cells in rows_of(section(ERRORS.read_text(), "## On the legacy wire"))}
    for code, kind in legacy.LEGACY_EQUIVALENTS.items():
        assert (f"`{code}`", f"`{kind.code}`") in told


def test_the_documents_name_no_fault_that_is_not_there() -> None:
    for path in DOCS:
        codes = {int(code) for code in re.findall(r"\b(11\d{3})\b(?! µs)", path.read_text())}
        assert codes <= set(faults.TABLE), f"{path.name}: {sorted(codes - set(faults.TABLE))}"


def write() -> None:
    """Bring the table in docs/errors.md up to date: one section for each range of codes."""
    told = _told()
    document = ERRORS.read_text()
    for first, heading in re.findall(r"<!-- faults from (\d+) -->\n## (.*)$", document, re.M):
        following = [
            int(start) for start in re.findall(r"<!-- faults from (\d+) -->", document) if int(start) > int(first)
        ]
        most = min(following, default=100_000)
        lines = ["| code | name | HTTP | who acts | message | what to do |", "|---|---|---|---|---|---|"]
        for code, kind in sorted(faults.TABLE.items()):
            if int(first) <= code < most:
                what = told[code].what_to_do if code in told else ""
                lines.append("| " + " | ".join((*_row(kind), what)).rstrip() + " |")
        pattern = rf"(<!-- faults from {first} -->\n## {re.escape(heading)}\n\n)(?:\|.*\n)*\n*"
        document = re.sub(pattern, lambda met, lines=lines: met[1] + "\n".join(lines) + "\n\n", document)
    ERRORS.write_text(document)


# ---------------------------------------------------------------------------------------- formats


def _grades() -> Rows:
    columns = (Column("golongan", "text"), Column("jumlah", "integer"), Column("aktif", "integer"))
    table = [("II/a", 25000, 0), ("III/a", 25000, 25000), ("III/b", 25000, 0), ("IV/a", 25000, 25000)]
    return Rows(columns, iter([table]))


def _plain(sample: str) -> str:
    return "\n".join(line.rstrip() for line in sample.strip().splitlines())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_told_with_a_true_sample(name: str) -> None:
    document = section(text("docs/wire-formats.md"), "### Formats")
    told = {cells[0].strip("`"): cells[1].strip("`") for cells in rows_of(document)}
    assert told[name] == FORMATS[name].media_type
    samples = blocks(section(document, f"#### {name}"), r"\w+")
    if name == "xlsx":  # no text
        assert not samples
        return
    body = b"".join(FORMATS[name].render(_grades(), "jumlah_per_golongan")).decode()
    assert _plain(samples[0]) == _plain(body)


def test_the_samples_of_the_legacy_wire_are_true() -> None:
    document = text("docs/wire-formats.md")
    assert set(LEGACY) <= named(document)
    samples = [_plain(block) for block in blocks(section(document, "### Responses"), "text")]
    rendered = b"".join(LEGACY["legacy_json"].render(_grades(), "jumlah_per_golongan")).decode()
    nothing = Fault(faults.NO_ROWS, operation="bkn:simpeg.pegawai_by_nip")
    failed = LEGACY["legacy_json"].render_fault(nothing.code, nothing.message("id")).decode()
    assert samples == [_plain(rendered), _plain(failed)]


@pytest.mark.parametrize("format", ["json", "xml"])
def test_the_samples_of_a_problem_are_true(format: str) -> None:
    fault = Fault(faults.PARAMETER_REPEATED, parameter="nip")
    members = http.problem_members(fault, "01a1ff54f0685e86924fbda95c247602", "id")
    (sample,) = blocks(section(text("docs/wire-formats.md"), "### Errors"), format)
    assert sample.strip() == problem.render(members, format)[0].decode()


def test_every_address_is_told() -> None:
    document = text("docs/wire-formats.md") + text("docs/architecture.md")
    for face in HANDLERS:
        assert re.search(rf"[/{{,|]{face}\b|\b{face} ", document), face
    told = named(section(text("docs/wire-formats.md"), "## The management API"))
    for prefix, view, _name in router.registry:
        assert f"{prefix}/" in told, prefix
        for extra in view.get_extra_actions():
            path = re.sub(r"\(\?P<(\w+)>.*?\)", r"{\1}", extra.url_path)
            for method in extra.mapping:
                assert f"{method.upper()} {prefix}/{{id}}/{path}/" in told


# ------------------------------------------------------------------------- engines and definitions


@pytest.mark.parametrize("engine", ADAPTERS)
def test_every_engine_is_told_with_its_settings(engine: str) -> None:
    adapter = adapter_class(engine)
    document = section(text("docs/sources.md"), f"## {adapter.label}")
    told = named(document)
    assert engine in told
    assert adapter.driver in told
    for setting in adapter.settings:
        assert setting.name in told, f"{engine}: {setting.name}"
        if setting.default:
            assert setting.default in told, f"{engine}: {setting.default}"


def test_every_key_and_word_of_a_bundle_is_told() -> None:
    told = named(text("docs/definitions.md"))
    shapes = [
        schema.AGENCY, schema.SOURCE, schema.SERVICE, *schema.OPERATIONS.values(), schema.PARAMETER, schema.FIELD,
        schema.UPSTREAM, schema.APPLICATION, schema.LEGACY_KEY, schema.GRANT,
    ]  # fmt: skip
    keys = {*schema.TOP, *(name for each in shapes for name in each.names)}
    assert not keys - told - {"agencies", "sources", "services", "applications"}
    for heading in schema.TOP:
        section(text("docs/definitions.md"), f"### {heading}")
    for choices in (
        models.Parameter.Type, models.Field.Type, models.Field.Classification, models.Service.Classification,
        models.Operation.State, models.Operation.Access, models.Operation.Kind, models.Grant.State,
    ):  # fmt: skip
        assert set(choices.values) <= told


@pytest.mark.django_db
def test_the_bundle_in_the_documents_applies(tmp_path: Path) -> None:
    (bundle,) = blocks(text("docs/definitions.md"), "yaml")
    report = apply(bundle, Environment({"DAPODIK_PASSWORD": "rahasia-sekali"}, tmp_path))
    assert not report.problems
    assert {change.name for change in report.changes} >= {"diknas/siswa/siswa_by_nisn", "diknas/dapodik"}


def statements(heading: str) -> Iterator[str]:
    for block in blocks(section(text("docs/sources.md"), heading), "sql"):
        code = re.sub(r"--.*$", "", block, flags=re.M)
        yield from (each.strip() for each in code.split(";") if each.strip())


def _reads_only(engine: str, source: dict[str, Any]) -> None:
    """The account reads what it was granted, and can write nothing, whichever way it is connected."""
    adapter = adapter_class(engine)(source)
    for writes in (False, True):
        connection = adapter.connect(writes)
        rows = adapter.run(connection, "SELECT nama FROM pegawai", {}, Limits(10, 5))
        assert [list(batch) for batch in rows] == [[("Sari",)]]
        rows.close()
        for refused in ("SELECT x FROM rahasia", "DELETE FROM pegawai WHERE nip = '1'"):
            with pytest.raises(QueryFailed):
                adapter.run(connection, refused, {}, Limits(10, 5, writes))
        connection.close()


_TABLES = "CREATE TABLE pegawai (nip varchar(18), nama varchar(100)); CREATE TABLE rahasia (x integer)"


def test_the_accounts_for_postgresql_can_read_and_no_more(postgresql: PostgreSQLServer) -> None:
    owner = postgresql.superuser().cursor()
    owner.execute("CREATE DATABASE simpeg")
    connection = postgresql.superuser("simpeg")
    cursor = connection.cursor()
    cursor.execute(_TABLES)
    cursor.execute("INSERT INTO pegawai VALUES ('1', 'Sari')")
    try:
        for statement in statements("## PostgreSQL"):
            cursor.execute(statement)
        _reads_only(
            "postgresql",
            postgresql.source(database="simpeg", user="mantra_baca", password="ganti-dengan-yang-acak"),
        )
    finally:
        cursor.execute("DROP OWNED BY mantra_baca, mantra_tulis")
        connection.close()
        owner.execute("DROP DATABASE simpeg")
        owner.execute("DROP ROLE mantra_baca, mantra_tulis")


def test_the_accounts_for_mysql_can_read_and_no_more(mariadb: MariaDBServer) -> None:
    owner = mariadb.superuser().cursor()
    owner.execute("DROP DATABASE IF EXISTS simpeg")  # of other tests
    owner.execute("CREATE DATABASE simpeg")
    for statement in ("USE simpeg", *_TABLES.split("; "), "INSERT INTO pegawai VALUES ('1', 'Sari')"):
        owner.execute(statement)
    try:
        for statement in statements("## MySQL / MariaDB"):
            owner.execute(statement.replace("10.1.2.3", "127.0.0.1"))
        _reads_only("mysql", mariadb.source(database="simpeg", user="mantra_baca", password="ganti-dengan-yang-acak"))
    finally:
        owner.execute("DROP DATABASE simpeg")
        owner.execute("DROP USER mantra_baca@'127.0.0.1', mantra_tulis@'127.0.0.1'")


def test_every_role_is_told() -> None:
    told = {cells[0] for cells in rows_of(section(text("docs/security.md"), "## Roles"))}
    assert set(ROLES) <= told


# ------------------------------------------------------------------------------------------ links


def _anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(path: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    return [
        link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not link.startswith(("http:", "https:", "mailto:"))
    ]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path):
        name, _hash, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name} points to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", _bare(target.read_text()), re.M)
            assert anchor in map(_anchor, headings), f"{path.name} points to {link}"


@pytest.mark.parametrize("readme", ["README.md", "README.id.md"])
def test_every_document_can_be_reached(readme: str) -> None:
    reached, waiting = set(), [ROOT / readme]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md" or not path.exists():
            continue
        reached.add(path)
        waiting += [(path.parent / link.partition("#")[0]).resolve() for link in links(path) if link[0] != "#"]
    assert set(DOCS) <= reached


def test_screenshot_is_small() -> None:
    assert (ROOT / "docs" / "img" / "admin.png").stat().st_size <= 200 * 1024


def test_the_compose_files_are_yaml_that_the_deployment_names() -> None:
    document = text("docs/operations.md")
    for name in yaml.safe_load(text("docker-compose.yml"))["services"]:
        assert f"`{name}`" in document, name


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    write()


# ------------------------------------------------------------------------------------------ architecture


def test_the_things_of_the_architecture_are_where_it_says() -> None:
    table = rows_of(section(text("docs/architecture.md"), "## Where things are"))
    assert len(table) >= 10
    paths = [path for cells in table for path in re.findall(r"`([\w/.]+/[\w/.]*)`", cells[1])]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_nginx_sends_every_header_that_the_fast_lane_forwards() -> None:
    from proxyservices.headers import FAST_LANE

    folder = ROOT / "deploy" / "nginx" / "fast_lane"
    (listed,) = re.findall(r"const FORWARDED = \[(.*?)\];", (folder / "admissions.js").read_text(), re.S)
    names = re.findall(r"'([a-z-]+)'", listed)
    assert set(names) == FAST_LANE
    config = (folder / "http.conf").read_text()
    flags = re.findall(r"\(\?<lane_f_(\w+)>", config)
    assert flags == [name.replace("-", "_") for name in names]
    sent = re.findall(r"proxy_set_header ([\w-]+) +\$lane_h_(\w+);", (folder / "call.conf").read_text())
    assert {name.lower() for name, _ in sent} == FAST_LANE
    assert [name.lower().replace("-", "_") for name, _ in sent] == [variable for _, variable in sent]
