"""A person's own notifications, and the choice how to be notified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from registry import tenancy
from registry.admin.theme import select
from registry.models import Event, Notification, NotificationChoice, User, Way
from registry.notifications import KINDS, mail_is_configured
from registry.notifications.templates import in_force, render

#: The notifications on a page.
PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    pk: int
    text: str
    at: datetime
    unread: bool
    leads_on: bool


def page(request: HttpRequest, name: str, title: Any, **context: Any) -> TemplateResponse:
    """Return a page in the admin's frame, which no cache may store."""
    shown = {**admin.site.each_context(request), "title": title, **context}
    response = TemplateResponse(request, f"mantra/notifications/{name}.html", shown)
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def notifications(request: HttpRequest) -> HttpResponse:
    """Show the user's notifications, the newest first."""
    before = request.GET.get("before", "")
    rows = _own(request).order_by("-pk")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    return page(
        request,
        "own",
        gettext_lazy("Notifications"),
        lines=_lines(found[:PAGE]),
        next=found[PAGE - 1].pk if len(found) > PAGE else None,
        further=bool(before),
    )


def _own(request: HttpRequest) -> Any:
    return Notification.objects.filter(user=request.user.pk)


def _lines(rows: list[Notification]) -> list[Line]:
    language = get_language() or settings.LANGUAGE_CODE
    known = in_force(language) if rows else {}
    return [
        Line(
            row.pk,
            render(known[Event(row.event)], language, row.context, "").subject,
            row.created_at,
            row.read_at is None,
            bool(row.url),
        )
        for row in rows
    ]


@require_safe
def open_notification(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark a notification as read and go to the page that it is about."""
    row = get_object_or_404(_own(request), pk=pk)
    _own(request).filter(pk=pk, read_at=None).update(read_at=timezone.now())
    return redirect(row.url or "notifications")


@require_POST
def mark_read(request: HttpRequest) -> HttpResponse:
    """Mark all of the user's notifications as read, or the one that the form names."""
    rows = _own(request).filter(read_at=None)
    if one := request.POST.get("pk", ""):
        if not one.isdecimal() or len(one) > 18:
            raise Http404
        rows = rows.filter(pk=int(one))
    rows.update(read_at=timezone.now())
    return redirect("notifications")


# ------------------------------------------------------------------------------------------- choices


class ChoicesForm(forms.Form):
    """The language of one's e-mail, and the way for each event that may concern the user."""

    language = forms.ChoiceField(
        label=gettext_lazy("Language of e-mail"), choices=settings.LANGUAGES, widget=select(settings.LANGUAGES)
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user
        self.initial["language"] = user.language
        chosen = dict(user.notification_choices.values_list("event", "way"))
        self._defaults = {event: KINDS[event].way_of(tenancy.roles(user)) for event in events_of(user)}
        for event, default in self._defaults.items():
            field = forms.ChoiceField(label=capfirst(event.label), choices=Way.choices, widget=select(Way.choices))
            self.fields[event] = field
            self.initial[event] = chosen.get(event, default)

    def groups(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """Return the fields of the events below their headings."""
        found: dict[Any, list[forms.BoundField]] = {}
        for name in self.fields:
            if name != "language":
                found.setdefault(KINDS[Event(name)].group, []).append(self[name])
        return list(found.items())

    @transaction.atomic
    def save(self) -> None:
        """Store what differs from the defaults."""
        chosen = dict(self.cleaned_data)
        User.objects.filter(pk=self._user.pk).update(language=chosen.pop("language"))
        self._user.notification_choices.filter(event__in=list(chosen)).delete()
        NotificationChoice.objects.bulk_create(
            NotificationChoice(user=self._user, event=event, way=way)
            for event, way in chosen.items()
            if way != self._defaults[Event(event)]
        )


def events_of(user: User) -> list[Event]:
    """Return the events that may concern a user and that need not be known: one has the right, or sees all."""
    everything = tenancy.is_administrator(user)
    return [
        event
        for event, kind in KINDS.items()
        if not kind.fixed and (everything or not kind.rights or any(user.has_perm(right) for right in kind.rights))
    ]


def choices(request: HttpRequest) -> HttpResponse:
    """Let the user choose how to be notified of each event."""
    assert isinstance(request.user, User)
    form = ChoicesForm(request.user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Your choice is saved."))
        return redirect("notification_choices")
    return page(
        request,
        "choices",
        gettext_lazy("How to be notified"),
        form=form,
        mail=mail_is_configured(),
        address=request.user.email,
        hour=settings.DIGEST_HOUR,
    )
