"""Links to pages beside the one that is shown, for templates."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings

from mantra.help.topics import help_url

register = template.Library()


@register.simple_tag(takes_context=True, name="help_url")
def _help_url(context: dict[str, Any]) -> str:
    """Return the address of the section that explains the present page; "" without a request."""
    request = context.get("request")
    return help_url(request) if request is not None else ""


@register.simple_tag
def status_url() -> str:
    """Return the address of the public status page, "" if it is switched off."""
    return "/status/" if settings.STATUS_PAGE else ""
