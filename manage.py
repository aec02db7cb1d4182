#!/usr/bin/env python3
"""Django's command line for MANTRA. It works with the settings of the server beside it, and with its Python."""

import gc
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def use_python_of_run() -> None:
    """Start again with the Python of ./run's virtual environment, unless this one is a virtual environment's too."""
    python = ROOT / ".venv" / "bin" / "python"
    if sys.prefix == sys.base_prefix and (ROOT / ".venv" / "mantra-requirements").exists():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606 (the words are those of this command line)


def take_settings_of_run() -> None:
    """Take the settings that ./run keeps: its secrets, and what it last served with.

    Only where the environment gives no secret: a container, or who sets them otherwise, is left with its own, and one
    that is missing there stays missing. A setting that is given for this command goes before ./run's.
    """
    var = Path(os.environ.get("MANTRA_VAR_DIR") or ROOT / "var")
    secrets = {name: value.strip("'\"") for name, value in read(var / "secrets.env").items()}
    if any(is_given(name) for name in secrets):
        return
    kept = {**read(var / "run.env"), **secrets}
    os.environ.update({name: value for name, value in kept.items() if not is_given(name)})


def is_given(name: str) -> bool:
    """Return True if the environment has a setting, as a value or as the path of a file with it."""
    name = name[: -len("_FILE")] if name.endswith("_FILE") else name
    return name in os.environ or f"{name}_FILE" in os.environ


def read(path: Path) -> "dict[str, str]":
    """Return the lines NAME=value of a file, none if there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


if __name__ == "__main__":
    use_python_of_run()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mantra.settings")
    take_settings_of_run()
    # As in wsgi.py: with Python's own numbers, a seventh of a command's start goes into collections in vain.
    gc.set_threshold(10_000, 20, 20)
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(f"The settings cannot be used: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
