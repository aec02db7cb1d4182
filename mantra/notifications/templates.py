"""The texts of messages: administrators read and change them, in each language."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.decorators.http import require_safe

from mantra.notifications.own import page
from registry import tenancy
from registry.admin.theme import capitalise_labels, text_area, text_input
from registry.models import Event, MessageTemplate
from registry.notifications.composing import preview
from registry.notifications.kinds import KINDS
from registry.notifications.templates import Rendered, check, languages, placeholders, shipped

#: What a preview shows for each placeholder.
EXAMPLES: dict[str, Any] = {
    "agency": "Dinas Sosial",
    "application": "dinsos/bansos",
    "backend": "bps/induk",
    "days": 7,
    "done": 1000,
    "failed": 12,
    "found": 960,
    "key": "mtr_Ab12Cd34",
    "month": {"month": "2026-10"},
    "network": "10.20.30.0/24",
    "networks": 2,
    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "number": "27",
    "operation": "Penduduk menurut NIK (dukcapil/penduduk/by-nik)",
    "operations": ["Penduduk menurut NIK", "Kartu keluarga"],
    "area": "disk",
    "outcome": "approved",
    "calls": 25,
    "data": "EMAIL, NIK",
    "percent": 80,
    "quota": "1000/day",
    "reconciliation": "penerima-bantuan",
    "rows": 1000,
    "rule": "sequence",
    "service": "Data kependudukan",
    "source": "dukcapil/siak",
    "synchronization": "dinsos/penduduk",
    "until": {"date": date(2026, 12, 31).isoformat()},
    "version": 4,
    "what": "dinsos/bansos → dukcapil/penduduk/by-nik",
}


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = MessageTemplate
        fields = ("subject", "body")
        widgets = {"subject": text_input(), "body": text_area(14)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        found["body"] = found.get("body", "").replace("\r\n", "\n")
        if not self.errors:
            check(Event(self.instance.event), found["subject"], found["body"])
        return found


def _administrators_only(request: HttpRequest) -> None:
    if not tenancy.is_administrator(request.user):
        raise PermissionDenied


@require_safe
def templates(request: HttpRequest) -> HttpResponse:
    """List the events with a link to their text in each language."""
    _administrators_only(request)
    changed = set(MessageTemplate.objects.values_list("event", "language"))
    groups: dict[Any, list[Any]] = {}
    for event, kind in KINDS.items():
        texts = [(name, _page(event, code), (event.value, code) in changed) for code, name in settings.LANGUAGES]
        groups.setdefault(kind.group, []).append((capfirst(event.label), texts))
    return page(request, "templates", gettext_lazy("Texts of messages"), groups=list(groups.items()))


def _page(event: Event, language: str) -> str:
    return reverse("message_template", args=[event.value, language])


def template(request: HttpRequest, event: str, language: str) -> HttpResponse:
    """Show the text of an event's messages in a language; save it, show a preview of it, or restore the shipped one."""
    _administrators_only(request)
    if event not in Event.values or language not in languages():
        raise Http404
    return _edit(request, Event(event), language)


def _edit(request: HttpRequest, event: Event, language: str) -> HttpResponse:
    row = MessageTemplate.objects.filter(event=event, language=language).first()
    if request.method == "POST" and request.POST.get("step") == "restore":
        return _restore(request, row, event, language)
    shown = row or MessageTemplate(event=event, language=language)
    default = shipped(event, language)
    initial = {} if row is not None else {"subject": default.subject, "body": default.body}
    form = TemplateForm(request.POST if request.method == "POST" else None, instance=shown, initial=initial)
    example = (row and Rendered(row.subject, row.body)) or default
    if request.method == "POST" and form.is_valid():
        if request.POST.get("step") != "preview":
            return _save(request, form, default)
        example = Rendered(form.cleaned_data["subject"], form.cleaned_data["body"])
    words = {key: EXAMPLES[key] for key in KINDS[event].keys}
    return page(
        request,
        "template",
        capfirst(event.label),
        form=form,
        language=language,
        own=row is not None,
        placeholders=[f"{{{name}}}" for name in placeholders(event)],
        preview=preview(event, example, language, words),
    )


def _save(request: HttpRequest, form: TemplateForm, default: Rendered) -> HttpResponse:
    """Save a text. One that is the shipped text is not kept: it then follows the next release."""
    row = form.instance
    if Rendered(form.cleaned_data["subject"], form.cleaned_data["body"]) == default:
        return _restore(request, row if row.pk else None, Event(row.event), row.language)
    form.save()
    _log(request, row, gettext_noop("Changed the text"))
    messages.success(request, _("The text is saved. The next messages have it."))
    return redirect(_page(Event(row.event), row.language))


def _restore(request: HttpRequest, row: MessageTemplate | None, event: Event, language: str) -> HttpResponse:
    if row is not None:
        _log(request, row, gettext_noop("Restored the text that the bus comes with"))
        row.delete()
    messages.success(request, _("The messages have the text that the bus comes with."))
    return redirect(_page(event, language))


def _log(request: HttpRequest, row: MessageTemplate, text: str) -> None:
    assert request.user.pk is not None
    LogEntry.objects.log_actions(request.user.pk, [row], CHANGE, change_message=text, single_object=True)
