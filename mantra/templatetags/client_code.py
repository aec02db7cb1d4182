"""What templates of other pages say about the program code of an operation."""

from __future__ import annotations

from django import template

from mantra.client_code.languages import Language, languages_for
from registry.models import Operation

register = template.Library()


@register.simple_tag
def languages_of(operation: Operation) -> list[Language]:
    """Return the languages in which there is code for an operation."""
    return languages_for(operation)
