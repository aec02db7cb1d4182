"""The files for Prometheus and Grafana: they are valid, warn of what they say, and name only what the bus exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from mantra.metrics import exposition
from registry.metrics.merging import Totals
from tests.servers.surroundings import ROOT

FILES = ROOT / "deploy" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FILES / "grafana-dashboard.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((FILES / "mantra.rules.yml").read_text())["groups"][0]["rules"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed: apt-get install prometheus"
)


def queries() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def named() -> set[str]:
    """The metrics that the files name."""
    texts = [*queries(), *(rule["expr"] for rule in RULES), json.dumps(DASHBOARD["templating"])]
    return {name for text in texts for name in re.findall(r"\bmantra_[a-z_]+", text)}


def exported() -> set[str]:
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    families = text_string_to_metric_families(exposition.write(Totals(), 0).decode())
    return {family.name + end for family in families for end in endings[family.type]}


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], cwd=FILES, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", "--lint-fatal", "mantra.rules.yml")


@needs_promtool
def test_the_rules_warn_of_what_they_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", "mantra.rules.test.yml")


@needs_promtool
def test_prometheus_takes_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries())
    ]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(tmp_path / "queries.yml"))


def test_the_files_name_only_what_is_exported() -> None:
    assert len(named()) > 25
    assert not named() - exported()


def test_each_rule_has_a_severity_and_says_what_to_do() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert {"summary", "description", "summary_en"} <= set(rule["annotations"]), rule["alert"]


def test_the_dashboard_names_no_host_and_its_panels_do_not_overlap() -> None:
    assert not re.search(r"https?://", json.dumps(DASHBOARD))
    assert {str(panel["datasource"]["uid"]) for panel in PANELS} == {"${datasource}"}
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _y in taken) < 24
