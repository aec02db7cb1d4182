"""manage.py check --deploy has nothing to say, whatever the operator decided; what is silenced is explained."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings

BEHIND_TLS = {"MANTRA_HTTPS": "1", "MANTRA_TRUSTED_PROXIES": "1", "MANTRA_BASE_URL": "https://bus.contoh.go.id"}


def check(tmp_path: Path, **environment: str) -> tuple[int, str]:
    (tmp_path / "journal").mkdir(exist_ok=True)
    # Django's own check wants a key of a certain length and variety.
    own = {"MANTRA_VAR_DIR": str(tmp_path), "MANTRA_SECRET_KEY": "".join(chr(33 + number) for number in range(80))}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env=os.environ | own | environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "environment",
    [{}, BEHIND_TLS, {**BEHIND_TLS, "MANTRA_HSTS_SUBDOMAINS": "1", "MANTRA_HTTPS_REDIRECT": "1"}],
    ids=["without TLS", "behind TLS", "with all of it"],
)
def test_s21_the_check_is_clean(tmp_path: Path, environment: dict[str, str]) -> None:
    code, told = check(tmp_path, **environment)
    assert code == 0, told


def of_compose() -> dict[str, str]:
    """Return the settings that docker-compose.yml gives the bus, where .env has what deploy/make-env writes."""
    made = subprocess.run(
        ["deploy/make-env", "--secrets-only"], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    given = dict(line.split("=", 1) for line in made.stdout.split() if "=" in line)
    given |= {"MANTRA_BASE_URL": "https://bus.contoh.go.id", "MANTRA_ALLOWED_HOSTS": "bus.contoh.go.id"}
    given |= {"MANTRA_HTTPS": "1", "MANTRA_NGINX_SECRET": "n" * 48, "POSTGRES_PASSWORD": "p", "VALKEY_PASSWORD": "v"}
    compose = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())

    def value(found: re.Match[str]) -> str:
        return given.get(found[1], found[3] if found[2] == ":-" else "")

    settled = compose["x-bus"]["environment"].items()
    filled = {
        name: re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", value, str(text)) for name, text in settled if text is not None
    }
    assert "" not in filled.values(), filled
    return filled


def test_the_check_is_clean_with_the_settings_of_compose(tmp_path: Path) -> None:
    filled = of_compose()
    assert filled["MANTRA_DATABASE_URL"].startswith("postgres://")
    code, told = check(tmp_path, **filled | {"MANTRA_SECRET_KEY": filled["MANTRA_SECRET_KEY"]})
    assert code == 0, told
    assert "W00" not in told


def test_each_silenced_check_has_a_reason() -> None:
    """The settings say beside each one why it is silent."""
    lines = (settings.BASE_DIR / "mantra" / "settings.py").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("SILENCED_SYSTEM_CHECKS"))
    block = lines[start + 1 : lines.index("]", start)]
    assert len(block) >= 5
    assert [line for line in block if len(line.partition("# ")[2]) < 10] == []


def test_s21_a_redirect_to_itself_is_refused(tmp_path: Path) -> None:
    code, told = check(tmp_path, MANTRA_HTTPS="1", MANTRA_HTTPS_REDIRECT="1")
    assert code != 0
    assert "mantra.E004" in told


def test_the_second_person_has_three_settings(tmp_path: Path) -> None:
    code, told = check(tmp_path, MANTRA_SECOND_PERSON="ya")
    assert code != 0
    assert "mantra.E005" in told
