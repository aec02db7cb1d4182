"""The command that stops when no page can be opened."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from registry.models import Stop
from registry.snapshot import holder
from tests.cast import Cast
from tests.containment.test_stops import STOPPED


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("stop", *arguments, stdout=out)
    holder.refresh()
    return out.getvalue()


@pytest.mark.parametrize("kind", ["key", "grant", "application", "operation", "source", "agency", "all"])
def test_the_command_stops_and_releases(cast: Cast, kind: str) -> None:
    name = {
        "key": cast.key_row.public, "grant": str(cast.grants["satu"].pk), "application": "KONS/app",
        "operation": "prov/data/Satu", "source": "prov/uji", "agency": "prov", "all": "",
    }[kind]  # fmt: skip
    words = [kind, name] if name else [kind]
    run(*words, "--reason", "Darurat")
    assert cast.get("satu", "id=1").json()["code"] == STOPPED
    stop = Stop.objects.get()
    assert (stop.origin, stop.agency, stop.reason) == ("operator", None, "Darurat")
    assert stop.name in run()
    run(*words, "--reason", "Aman", "--release")
    assert cast.get("satu", "id=1").status == 200
    assert run() == ""


@pytest.mark.parametrize(
    "words",
    [
        ("operation", "prov/data/satu"),  # no reason
        ("operation", "prov/data", "--reason", "x"),
        ("operation", "prov/data/tidakada", "--reason", "x"),
        ("grant", "abc", "--reason", "x"),
        ("key", "", "--reason", "x"),
        ("agency", "prov", "--release", "--reason", "x"),  # nothing to release
        ("nonsense", "x", "--reason", "x"),
    ],
)
def test_the_command_stops_nothing_by_mistake(cast: Cast, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*words)
    assert not Stop.objects.exists()
