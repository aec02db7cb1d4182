"""The pages: a key that was found somewhere is pasted, and how a key is used.

A pasted key comes by POST only, and is in no address, log, journal or page that is sent back.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from mantra import attempts
from mantra.key_use import finding, report
from registry import notifications, tenancy
from registry.admin.theme import text_area
from registry.journal import viewing
from registry.models import AccessKey, KeyNetwork, User
from registry.results import Fault

TITLE = _("Leaked key")
TITLE_OF_USE = _("Use of the access key")
#: The protocols of the records of the two pages.
LEAKED, USE = "leaked-key", "key-use"
#: The most texts that a user may have looked at.
RATE = "10/minute"
TOO_MANY = _("You have looked for too many keys in this minute. Wait a minute, then try again.")
#: The page on which a key is stopped, if this version has one.
STOP_PAGE = "containment_stop_new"


class KeyForm(forms.Form):
    """A text with the key that was found."""

    text = forms.CharField(
        label=_("The key, or the text with it"),
        max_length=finding.LENGTH,
        widget=text_area(3),
        help_text=_(
            "Keys begin with mtr_. A key of MANTRA 1.99x has 10 characters: paste it alone. The text is not stored."
        ),
    )


def reader(request: HttpRequest) -> User:
    """Return the user, who may look for leaked keys. Raises PermissionDenied."""
    if not finding.may_look(request.user):
        raise PermissionDenied
    assert isinstance(request.user, User)
    return request.user


def _page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    shown = {**admin.site.each_context(request), "title": TITLE, "days": report.DAYS, **context}
    response = TemplateResponse(request, f"key_use/{template}.html", shown, status=status)
    response["Cache-Control"] = "no-store"
    return response


@viewing.shows("leaked-key")
@sensitive_post_parameters("text")
def leaked(request: HttpRequest) -> HttpResponse:
    """GET: the form. POST: which keys of the user's agency a text has; those of others are reported to them.

    Of keys of other agencies the user learns nothing: whoever pastes a text gets the same words as for no key at all.
    """
    user = reader(request)
    form = KeyForm()
    if request.method != "POST":
        return _page(request, "leaked", form=form)
    sent = KeyForm(request.POST)
    if not sent.is_valid():
        return _page(request, "leaked", status=400, form=form, problem=" ".join(map(str, sent.errors.get("text", ()))))
    if not attempts.allowed(LEAKED, RATE, user.pk):
        return _page(request, "leaked", status=429, form=form, problem=TOO_MANY)
    found = finding.find(user, sent.cleaned_data["text"])
    try:
        _record(request, user, LEAKED, ",".join(key.public for key in found.own), len(found.own))
    except Fault as fault:
        return _page(request, "leaked", status=503, form=form, problem=fault.message(get_language() or "id"))
    finding.report(found.others + tuple(key for key in found.own if key.application.agency_id != user.agency_id))
    uses = [_shown(user, report.use_of(user, key)) for key in found.own[: finding.MOST]]
    return _page(request, "leaked", form=form, looked=True, uses=uses)


def _record(request: HttpRequest, user: User, kind: str, name: str, rows: int) -> None:
    agency = user.agency.code if user.agency is not None else ""
    viewing.record(request, viewing.View(kind, agency, "", name, rows=rows))


def _shown(user: User, use: report.Use) -> dict[str, Any]:
    """Return a key's use for the template, with what the user may do about it."""
    may = user.has_perm("registry.change_accesskey") and tenancy.may_change(user, use.key)
    return {
        "use": use,
        "key": use.key,
        "may_revoke": may and use.key.revoked_at is None,
        "may_confirm": may,
        "stop_page": _stop_page(use.key) if may else "",
        "page": reverse("admin:registry_accesskey_change", args=(use.key.pk,)),
        "calls": f"{reverse('admin:registry_callrecord_changelist')}?of_application={use.key.application}",
    }


def _stop_page(key: AccessKey) -> str:
    """Return the page on which the key is stopped, "" if there is none."""
    try:
        return reverse(STOP_PAGE, args=("key", key.pk))
    except NoReverseMatch:
        return ""


def _own(user: User, pk: int) -> AccessKey:
    key: AccessKey = get_object_or_404(finding.seen(user, AccessKey.objects.all()), pk=pk)
    return key


@viewing.shows("key-use")
@require_safe
def use(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a key opens, what was fetched with it, and from where."""
    user = reader(request)
    key = _own(user, pk)
    try:
        _record(request, user, USE, key.public, 0)
    except Fault as fault:
        return _page(
            request, "use", status=503, title=TITLE_OF_USE, problem=fault.message(get_language() or "id"), uses=[]
        )
    notifications.seen(user, reverse("admin:registry_accesskey_change", args=(pk,)))
    return _page(request, "use", title=TITLE_OF_USE, uses=[_shown(user, report.use_of(user, key))])


@require_POST
def confirm(request: HttpRequest, pk: int, network: int) -> HttpResponse:
    """Note that the agency's own application runs in a network."""
    user = reader(request)
    key = _own(user, pk)
    if not (user.has_perm("registry.change_accesskey") and tenancy.may_change(user, key)):
        raise PermissionDenied
    rows = KeyNetwork.objects.filter(pk=network, key=key)
    if not rows.update(confirmed_at=timezone.now(), confirmed_by=user, is_new=False):
        raise Http404
    messages.success(request, _("The network is noted as yours."))
    return redirect("key_use", pk)
