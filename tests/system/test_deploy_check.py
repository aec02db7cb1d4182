"""manage.py check --deploy has nothing to say, whatever the operator decided; what is silenced is explained."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
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


def test_s21_a_redirect_to_itself_is_refused(tmp_path: Path) -> None:
    code, told = check(tmp_path, MANTRA_HTTPS="1", MANTRA_HTTPS_REDIRECT="1")
    assert code != 0
    assert "mantra.E004" in told


def test_the_second_person_has_three_settings(tmp_path: Path) -> None:
    code, told = check(tmp_path, MANTRA_SECOND_PERSON="ya")
    assert code != 0
    assert "mantra.E005" in told
