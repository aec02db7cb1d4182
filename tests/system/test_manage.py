"""manage.py as it is typed beside ./run, and where the environment gives the secrets itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.servers.surroundings import ROOT, clean

SECRETS = (
    "MANTRA_SECRET_KEY=kunci-dari-berkas\nMANTRA_FIELD_KEYS=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"
    "MANTRA_KEY_PEPPERS=1:lada-dari-sebuah-berkas\nMANTRA_JOURNAL_KEY='jurnal dari berkas'\n"
)
SHOW = "from django.conf import settings as s; print(s.SECRET_KEY, s.JOURNAL_KEY.decode(), sep='|')"


def manage(var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", SHOW],
        cwd=var, env=clean() | {"MANTRA_VAR_DIR": str(var), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_command_takes_the_secrets_that_run_keeps(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(SECRETS)
    done = manage(tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "kunci-dari-berkas|jurnal dari berkas"), done.stderr


def test_command_takes_no_secret_where_the_environment_gives_one(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(SECRETS)
    (tmp_path / "rahasia").write_text("kunci-sendiri\n")
    whole = {line.split("=", 1)[0]: "1:semua-dari-lingkungan" for line in SECRETS.splitlines()}
    done = manage(tmp_path, **whole | {"MANTRA_FIELD_KEYS": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="})
    assert done.stdout.strip() == "1:semua-dari-lingkungan|1:semua-dari-lingkungan", done.stderr
    # One that is missing stays missing: it is not mixed with those of another installation.
    for name, value in (("MANTRA_SECRET_KEY", "kunci"), ("MANTRA_SECRET_KEY_FILE", str(tmp_path / "rahasia"))):
        done = manage(tmp_path, **{name: value})
        assert done.returncode != 0
        assert "Set the MANTRA_FIELD_KEYS environment variable" in done.stderr


def test_command_without_secrets_names_the_missing_one(tmp_path: Path) -> None:
    done = manage(tmp_path)
    assert done.returncode != 0
    assert "Set the MANTRA_SECRET_KEY environment variable" in done.stderr
