#!/usr/bin/env python
"""Django's command line for MANTRA."""

import os
import sys
from pathlib import Path


def take_secrets_of_run() -> None:
    """Beside ./run, take the secrets that it keeps in var/secrets.env.

    Only where the environment gives none of them: a container, or whoever sets them otherwise, is left with its own,
    and one that is missing there stays missing.
    """
    var = os.environ.get("MANTRA_VAR_DIR") or Path(__file__).resolve().parent / "var"
    try:
        lines = Path(var, "secrets.env").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    secrets = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    if not any(given in os.environ for name in secrets for given in (name, f"{name}_FILE")):
        os.environ.update({name: value.strip("'\"") for name, value in secrets.items()})


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
    take_secrets_of_run()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
