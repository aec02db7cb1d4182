"""manage.py as it is typed beside ./run, and where the environment gives the secrets itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.surroundings import ROOT, clean

SECRETS = (
    "MANTRA_SECRET_KEY=kunci-dari-berkas\nMANTRA_FIELD_KEYS=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"
    "MANTRA_KEY_PEPPERS=1:lada-dari-sebuah-berkas\nMANTRA_JOURNAL_KEY='jurnal dari berkas'\n"
)
SHOW = "from django.conf import settings as s; print(s.SECRET_KEY, s.JOURNAL_KEY.decode(), sep='|')"


def manage(var: Path, show: str = SHOW, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", show],
        cwd=var, env=clean() | {"MANTRA_VAR_DIR": str(var), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_command_takes_the_secrets_that_run_keeps(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(SECRETS)
    done = manage(tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "kunci-dari-berkas|jurnal dari berkas"), done.stderr


def test_command_takes_the_settings_that_run_serves_with(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text(SECRETS)
    (tmp_path / "pengirim").write_text('"MANTRA" <a@contoh.go.id>\n')
    (tmp_path / "run.env").write_text(
        "MANTRA_UPSTREAM_NETWORKS=127.0.0.0/8\nMANTRA_ALLOWED_HOSTS=bus.contoh.go.id\n"
        f"MANTRA_SMTP_FROM_FILE={tmp_path / 'pengirim'}\nMANTRA_SMTP_USER='a'='b'\n"
        "MANTRA_BASE_URL=https://bus.contoh.go.id\nMANTRA_OIDC_URL_FILE=/tidak/ada\n"
    )
    names = ("UPSTREAM_NETWORKS", "ALLOWED_HOSTS", "SMTP_FROM", "SMTP_USER", "BASE_URL", "OIDC_URL", "JOURNAL_KEY")
    show = f"from django.conf import settings as s; print(*(getattr(s, name) for name in {names}), sep='|')"
    # What is given for this command goes before, also where ./run had the path of a file.
    done = manage(tmp_path, show, MANTRA_BASE_URL="http://lain", MANTRA_OIDC_URL="")
    assert done.stdout.strip() == (
        "['127.0.0.0/8']|['bus.contoh.go.id']|\"MANTRA\" <a@contoh.go.id>|'a'='b'|http://lain||b'jurnal dari berkas'"
    ), done.stderr


def test_command_starts_with_the_python_of_run_without_an_active_environment(tmp_path: Path) -> None:
    shutil.copy(ROOT / "manage.py", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / "mantra-requirements").touch()
    words = [tmp_path / "manage.py", "check", "a b"]
    bare = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}")
    done = subprocess.run([bare, *words], env=clean(), capture_output=True, text=True, check=False)
    assert done.stdout == f"{tmp_path / 'manage.py'} check a b\n", done.stderr
    # A virtual environment of one's own is kept.
    done = subprocess.run([sys.executable, *words], env=clean(), capture_output=True, text=True, check=False)
    assert (done.stdout, "No module named 'mantra'" in done.stderr) == ("", True)


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
    assert done.returncode == 2
    assert done.stderr == "The settings cannot be used: Set the MANTRA_SECRET_KEY environment variable\n"


def test_the_line_break_of_a_file_is_no_part_of_its_secrets(tmp_path: Path) -> None:
    given = {"MANTRA_KEY_PEPPERS": "2:bumbu-baru-bumbu-baru,1:bumbu-lama-bumbu-lama", "MANTRA_FIELD_KEYS": "baru,lama",
             "MANTRA_SECRET_KEY_FALLBACKS": "lama"}  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in given}
    for name, value in given.items():
        (tmp_path / name).write_text(f"{value}\n")
        environment[f"{name}_FILE"] = str(tmp_path / name)
    show = "from django.conf import settings as s; print(s.KEY_PEPPERS, s.FIELD_KEYS, s.SECRET_KEY_FALLBACKS)"
    environment["DJANGO_SETTINGS_MODULE"] = "mantra.settings"
    done = subprocess.run(
        [sys.executable, "-c", show], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    peppers = [(2, b"bumbu-baru-bumbu-baru"), (1, b"bumbu-lama-bumbu-lama")]
    assert done.stdout.strip() == f"{peppers} {['baru', 'lama']} {['lama']}"
