"""A trial: a user calls an operation as one of the agency's own applications, as the application's program would.

The call goes through the same protocol handlers and steps as every other: admission, quota and journal are real. The
bus vouches for the application in place of a key. Nothing of the request or the response is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from mantra.catalogue.reader import Reader, reader_of
from mantra.gateway.formats import FORMATS
from mantra.gateway.protocols import legacy
from mantra.tryout import exchange, limits, rules, standing, wire
from mantra.tryout.caller_form import TYPED_KEY, CallerForm
from mantra.tryout.dump import dump, masked
from mantra.tryout.exchange import MAX_SHOWN, SECONDS, Exchange
from mantra.tryout.rules import Case
from mantra.tryout.views import prepared
from registry import secrets, tenancy
from registry.calls import Trial
from registry.models import AccessKey, Application, Grant, Operation, User
from registry.results import FaultKind
from registry.snapshot import parts, types

#: What is in the request in place of the key that nobody typed.
MASK = "*" * 16


@login_required
@sensitive_post_parameters("key")
def try_as_application(request: HttpRequest, agency: str, service: str, operation: str) -> HttpResponseBase:
    """Return the form (GET), or what a trial got (POST): the page, its result only, or the body as a file."""
    assert isinstance(request.user, User)
    reader = reader_of(request)
    row = reader.operation(agency, service, operation)
    plan = prepared(row)
    if plan is None:
        raise Http404
    posted = request.method == "POST"
    form = CallerForm(row, own_applications(request.user), _methods(plan), request.POST if posted else None,
                      initial=_initial(reader))  # fmt: skip
    context: dict[str, Any] = {"operation": row, "form": form, "may_vouch": may_vouch(request.user)}
    if posted and form.is_valid():
        answer = _limited(request, row, plan, form)
        if isinstance(answer, HttpResponseBase):
            return answer
        context |= answer
    return _page(request, context)


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    part = request.headers.get("X-Part") == "result"
    context |= {"max_shown": MAX_SHOWN, "seconds": int(SECONDS)}
    response = render(request, "catalogue/try_result.html" if part else "catalogue/try.html", context)
    response["Cache-Control"] = "no-store"
    return response


def may_vouch(user: User) -> bool:
    """Return True if the user may call as applications of the agency: who may issue their keys can do so anyway."""
    return user.agency_id is not None and user.has_perm("registry.add_accesskey")


def own_applications(user: User) -> list[Application]:
    """Return the applications as which the user may call."""
    if not may_vouch(user):
        return []
    rows = Application.objects.filter(agency=user.agency_id, active=True)
    return list(rows.select_related("agency")[: settings.ROW_LIMITS["applications"]])


def _initial(reader: Reader) -> dict[str, str]:
    return {"identity": str(reader.application)} if reader.application is not None else {}


def _methods(plan: types.Operation) -> list[str]:
    """Return the HTTP methods with which the operation can be called, but for OPTIONS: that is no call."""
    return [name for name in (plan.plan.methods if plan.plan else ()) if name != "OPTIONS"]


# --------------------------------------------------------------------------------------- the trial


def _limited(
    request: HttpRequest, row: Operation, plan: types.Operation, form: CallerForm
) -> HttpResponseBase | dict[str, Any]:
    """Make a trial if the user may make one now. Return its page's context, or the file with the body."""
    assert request.user.pk is not None
    try:
        limits.take(request.user.pk)
    except limits.Busy:
        return {"busy": _("Your previous trial is still running. Wait until it has ended.")}
    except limits.TooMany:
        return {"busy": _("You can make %(rate)d trials a minute. Wait a moment.") % {"rate": limits.RATE.amount}}
    tried = None
    try:
        tried = exchange.send(_request(request, plan, form), request.META, _trial(request, form))
        if request.POST.get("action") == "download" and tried.trial.fault is None:
            return _download(tried, request.user.pk)
        exchange.read(tried)
    finally:
        if tried is None or tried.last:  # the download goes on
            limits.release(request.user.pk)
    return _result(request, row, form, tried)


def _trial(request: HttpRequest, form: CallerForm) -> Trial:
    application = form.application
    return Trial(request.user.get_username(), None if application is None else vouched(application), SECONDS)


def vouched(application: Application) -> types.Key:
    """Return what stands for a key of the application. No row has its id: it shares nothing with a real key."""
    owner = parts.application_of(application)
    never = float("inf")
    return types.Key(-application.pk, "", owner, expires_at=never, networks=(), operation_id=None, in_path=False)


def _request(request: HttpRequest, plan: types.Operation, form: CallerForm) -> wire.WireRequest:
    host = settings.BASE_URL.partition("://")[2].partition("/")[0] or request.get_host()
    key = MASK if form.application is not None else form.typed_key
    caller = wire.Caller(host, key, get_language() or "id")
    if form.passes:
        return wire.raw_request(plan, form.method, form.raw, caller)
    return wire.request(plan, form.cleaned_data["way"], form.method, form.pairs(), caller)


def _download(tried: Exchange, user_id: int) -> StreamingHttpResponse:
    """Return the whole body as a file."""
    assert tried.trial.call is not None
    response = StreamingHttpResponse(_Body(tried, user_id), content_type="application/octet-stream")
    name = f"{tried.trial.call.code}-{tried.trial.call.request_id[:12]}.{_suffix(tried)}"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


class _Body:
    """The body of a trial on its way to a file. The trial ends when it is closed, also before its first byte."""

    def __init__(self, tried: Exchange, user_id: int) -> None:
        self._tried, self._user_id = tried, user_id
        self._chunks = exchange.chunks_of(tried)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._chunks.close()
        self._tried.close()  # a generator that has not begun runs nothing when it is closed
        limits.release(self._user_id)


#: Media type → the ending of a file's name.
_SUFFIXES = {format.media_type.partition(";")[0]: name for name, format in FORMATS.items()} | {"text/plain": "txt"}


def _suffix(tried: Exchange) -> str:
    media_type = tried.media_type.partition(";")[0].strip()
    return _SUFFIXES.get(media_type) or ("xml" if media_type.endswith("xml") else "bin")


# -------------------------------------------------------------------------------------- the result


def _result(request: HttpRequest, row: Operation, form: CallerForm, tried: Exchange) -> dict[str, Any]:
    """Return the context of a trial's result."""
    user, call = request.user, tried.trial.call
    assert isinstance(user, User)
    assert call is not None
    key = _own_key(user, form.typed_key)
    application = key.application if key is not None else form.application
    tried.body[:] = masked(bytes(tried.body), form.typed_key)
    address = form.cleaned_data["address"]
    return {
        "tried": tried,
        "call": call,
        "application": application,
        "request_head": masked(tried.request.head, form.typed_key).decode("latin-1"),
        "request_body": dump(tried.request.body, "text/plain") if tried.request.body else None,
        "response_head": masked(tried.head, form.typed_key).decode("latin-1"),
        "response_body": dump(bytes(tried.body), tried.media_type),
        "more": tried.size > len(tried.body),
        "legacy_kind": _legacy_kind(tried),
        "explanation": rules.explain(_case(user, row, tried, application, key)) if tried.trial.fault else None,
        "findings": standing.findings(user, application, row, address) if application is not None else [],
        "judged": address,
        "forwards_credentials": getattr(row, "forward_credentials", False) and form.passes,
        "retype": form.cleaned_data["identity"] == TYPED_KEY,
    }


def _legacy_kind(tried: Exchange) -> FaultKind | None:
    """Return the fault that callers of 1.99x read in place of a trial's, None if it is the same."""
    call, fault = tried.trial.call, tried.trial.fault
    if call is None or fault is None or call.protocol != "legacy":
        return None
    return legacy.LEGACY_EQUIVALENTS.get(fault.code)


def _own_key(user: User, typed: str) -> AccessKey | None:
    """Return the row of a typed key, if it is one of the user's agency."""
    if not typed or not user.has_perm("registry.view_accesskey"):
        return None
    keys = AccessKey.objects.select_related("application__agency", "operation__service__agency")
    return tenancy.visible(keys.filter(digest__in=secrets.key_digests(typed)), user).first()


def _case(user: User, row: Operation, tried: Exchange, application: Application | None, key: AccessKey | None) -> Case:
    call, fault = tried.trial.call, tried.trial.fault
    assert call is not None
    assert fault is not None
    grant = None
    if application is not None:
        grants = Grant.objects.select_related("application__agency", "operation__service__agency")
        grant = tenancy.visible(grants.filter(application=application, operation=row.pk), user).first()
    seconds = fault.retry_after if call.quota is not None and not call.quota[2] else None
    return Case(
        viewer=user,
        kind=fault.kind,
        message=fault.message(get_language() or "id"),
        request_id=call.request_id,
        client_ip=call.client_ip,
        path=(row.service.agency.code, row.service.code, row.code),
        caller=str(application) if application is not None else "",
        operation=row,
        application=application,
        grant=grant,
        key=key,
        at=timezone.now(),
        resets_at=timezone.now() + timedelta(seconds=seconds) if seconds is not None else None,
    )
