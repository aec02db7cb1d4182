"""Filters of the pages that answer who looked at a person."""

from __future__ import annotations

from typing import Any

from django import template

from mantra.subject_access import words
from mantra.subject_access.answers import Answer, Entry

register = template.Library()


@register.filter
def opening(answer: Answer) -> list[str]:
    return words.opening(answer)


@register.filter
def notes(_answer: Answer) -> list[str]:
    return words.notes()


@register.filter
def heads(_answer: Answer) -> tuple[Any, ...]:
    return words.HEADS


@register.filter
def who(entry: Entry) -> str:
    return words.who(entry)


@register.filter
def purpose(entry: Entry) -> Any:
    return entry.terms.purpose or words.UNKNOWN


@register.filter
def basis(entry: Entry) -> str:
    return words.basis(entry)
