"""The texts that the bus comes with: complete in both languages, and safe."""

from __future__ import annotations

import re

import pytest

from mantra.notifications.templates import EXAMPLES
from registry.models import Event
from registry.notifications.kinds import KINDS, SAFE
from registry.notifications.templates import check, languages, render, shipped
from registry.notifications.texts import TEXTS

ALL = [(event, language) for event in Event for language in languages()]


def names(text: str) -> set[str]:
    return set(re.findall(r"\{(.*?)\}", text))


@pytest.mark.parametrize("event, language", ALL, ids=lambda each: str(each))
def test_a_shipped_text_follows_the_rules_of_templates(event: Event, language: str) -> None:
    text = shipped(event, language)
    check(event, text.subject, text.body)
    assert text.body.count("{link}") == 1


@pytest.mark.parametrize("event", Event)
def test_both_languages_say_the_same(event: Event) -> None:
    first, second = (shipped(event, language) for language in languages())
    assert first != second
    assert names(first.subject) == names(second.subject)
    assert names(first.body) == names(second.body)


@pytest.mark.parametrize("event, language", ALL, ids=lambda each: str(each))
def test_nothing_but_what_is_listed_gets_into_a_message(event: Event, language: str) -> None:
    """Keys that no event may have, with values that no mail may have, are given to every text."""
    secret = dict.fromkeys(("reason", "nik", "user", "address", "password", "question"), "3174012345678901")
    safe = {key: EXAMPLES[key] for key in KINDS[event].keys}
    found = render(shipped(event, language), language, {**secret, **safe}, "https://bus.go.id/x")
    assert "3174012345678901" not in found.subject + found.body
    assert "{" not in found.subject + found.body
    assert not SAFE & set(secret)


def test_every_event_has_texts_and_every_key_an_example() -> None:
    assert set(TEXTS) == set(KINDS) == set(Event)
    assert set(EXAMPLES) == SAFE
