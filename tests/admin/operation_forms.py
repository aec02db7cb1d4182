"""What a browser does with an operation's page: reads its form, saves it, and is told something."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from registry.models import Operation


def address(operation: Operation, word: str = "change") -> str:
    opts = operation.of_its_kind._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_{word}", args=(operation.pk,))


def form_of(client: Client, operation: Operation) -> dict[str, Any]:
    """Return what a browser would post if nothing was changed on the operation's page."""
    context = client.get(address(operation)).context
    data = {"version_seen": context["version_seen"]}
    forms = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for bound in form:
            value = bound.value()
            if value is not None and value is not False:
                data[bound.html_name] = "on" if value is True else value
    return data


def save(client: Client, operation: Operation, data: dict[str, Any], **changes: Any) -> Any:
    return client.post(address(operation), {**data, **changes}, follow=True)


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])
