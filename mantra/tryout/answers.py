"""What the samples of an operation get from its published version and from its draft, side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mantra.tryout.forms import GRANT, TryForm
from mantra.tryout.forms import writes as data_writes
from mantra.tryout.views import operation_or_404, run
from proxyservices.address_change import compare, samples
from proxyservices.address_change.compare import ObservedResponse
from proxyservices.address_change.cutover import SECONDS, Comparison
from proxyservices.endpoints import endpoint_of
from proxyservices.forwarding.plan import plan_of
from proxyservices.models import ProxyOperation
from registry import versions
from registry.admin.numbers import number_of
from registry.admin.theme import capitalise_labels, text_input
from registry.journal import viewing
from registry.models import Operation, SampleRequest
from registry.models.samples import MAX_SAMPLES
from registry.parameter_values import InvalidValue

#: Sends one sample's values to a version of an operation.
Send = Callable[[Mapping[str, Any]], ObservedResponse]


# --------------------------------------------------------------------------------------- comparing


def compared(published: Operation, draft: Operation, request: HttpRequest) -> list[Comparison]:
    """Send each sample to both versions, and return the responses with their differences.

    Raises ValueError if one of the versions cannot be called at all.
    """
    send_old, send_new = _sender(published, request), _sender(draft, request)
    ignored = [line.strip() for line in getattr(draft, "ignored_paths", "").splitlines() if line.strip()]
    began, found = time.monotonic(), []
    for sample in _samples(published):
        if time.monotonic() - began > SECONDS:
            found.append(_skipped(published, sample, gettext("The comparison reached its time limit.")))
            continue
        try:
            values = json.loads(str(sample.request))
            old, new = send_old(values), send_new(values)
        except InvalidValue as invalid:
            found.append(_skipped(published, sample, invalid.id))
            continue
        differences, ignored_count = compare.compare(old, new, ignored)
        found.append(Comparison(published, sample.name, old, new, differences, ignored_count))
    return found


def _skipped(operation: Operation, sample: SampleRequest, why: str) -> Comparison:
    return Comparison(operation, sample.name, skipped_because=why)


def _sender(operation: Operation, request: HttpRequest) -> Send:
    if not isinstance(operation, ProxyOperation):
        names = set(operation.parameters.values_list("name", flat=True))
        return lambda values: _run(operation, names, values, request)
    server = None if operation.backend is None else operation.backend.servers.filter(active=True).first()
    if server is None:
        raise ValueError("no server")
    plan, endpoint = plan_of(operation), endpoint_of(server, operation.style)
    return lambda values: compare.observe(plan, endpoint, samples.sample_call(operation, values))


def _run(operation: Operation, names: set[str], values: Mapping[str, Any], request: HttpRequest) -> ObservedResponse:
    """Run a data operation as the try-out does: the call history records it."""
    pairs = [(name, str(value)) for name, value in values.items() if name in names or name[:6] == GRANT]
    ran = run(operation, pairs, request)
    if ran["fault"] is not None:
        return ObservedResponse(failure=f"{ran['fault'].code}: {ran['message']}")
    body = ran["shown"].json
    text = json.dumps(orjson.loads(body), ensure_ascii=False, indent=2)
    return ObservedResponse(200, value=orjson.loads(body), text=text, size=len(body), milliseconds=ran["milliseconds"])


def may_write(version: Operation, kept: Sequence[SampleRequest]) -> bool:
    """Return True if the samples may change data where a version sends them."""
    if isinstance(version, ProxyOperation):
        return samples.may_write(version, kept)
    return data_writes(version)


def _samples(published: Operation) -> list[SampleRequest]:
    """Return the samples of an operation: those of its draft are the same."""
    return list(SampleRequest.objects.filter(operation=published.pk)[:MAX_SAMPLES])


# ---------------------------------------------------------------------------------------- the page


class NewSample(TryForm):
    """A sample's name, and one field for each parameter."""

    def __init__(self, operation: Operation, *args: Any, **kwargs: Any) -> None:
        super().__init__(operation, list(operation.parameters.all()), *args, **kwargs)
        for name in ("page", "confirm"):
            self.fields.pop(name, None)
        self.fields["sample_name"] = forms.CharField(
            label=_("Name of the sample"), max_length=100, widget=text_input(autocomplete="off")
        )
        self.order_fields(["sample_name"])
        capitalise_labels(self)

    def sample(self, operation: Operation) -> SampleRequest:
        """Return the sample, validated and not saved. Raises ValidationError."""
        given = self.cleaned_data.items()
        values = {name.removeprefix(self.PREFIX): value for name, value in given if name[:2] == self.PREFIX and value}
        if SampleRequest.objects.filter(operation=operation.pk).count() >= MAX_SAMPLES:
            raise ValidationError(_("An operation can have at most %(most)d samples."), params={"most": MAX_SAMPLES})
        name = self.cleaned_data["sample_name"]
        found = SampleRequest(operation_id=operation.pk, name=name, request=json.dumps(values))
        found.full_clean()
        return found


@viewing.shows("rehearsal")
def compare_answers(request: HttpRequest, operation_id: int) -> HttpResponse:
    """GET: the samples. POST: adds or deletes one, or sends all to both versions, as ``action`` says.

    Those of proxy operations are added and deleted on the page that they have for their backend's rehearsals.
    """
    row = operation_or_404(request, operation_id)
    published: Operation = row if row.draft_of is None else versions.kind_of(row).model.objects.get(pk=row.draft_of.pk)
    page = admin.site.get_model_admin(type(row))
    # A sample may contain personal data: the right to view a definition is no reason to see it.
    if not page.has_change_permission(request, published):
        raise PermissionDenied
    is_proxy = isinstance(row, ProxyOperation)
    context: dict[str, Any] = {} if is_proxy else {"form": NewSample(row)}
    if request.method == "POST":
        actions = {"send": _send} if is_proxy else {"add": _add, "forget": _forget, "send": _send}
        action = actions.get(request.POST.get("action", ""))
        if action is None:
            raise Http404
        action(request, published, row, context)
    return _page(request, published, row, context)


def _add(request: HttpRequest, published: Operation, row: Operation, context: dict[str, Any]) -> None:
    form = context["form"] = NewSample(row, request.POST)
    if not form.is_valid():
        return
    try:
        form.sample(published).save()
    except ValidationError as error:
        form.add_error(None, error.messages)
        return
    # Without its name, which may be a person's: others read the log.
    admin.site.get_model_admin(type(row)).log_change(request, published, gettext("Sample added."))
    context["form"] = NewSample(row)


def _forget(request: HttpRequest, published: Operation, row: Operation, context: dict[str, Any]) -> None:
    known = SampleRequest.objects.filter(operation=published.pk)
    get_object_or_404(known, pk=number_of(request.POST.get("sample", ""))).delete()
    admin.site.get_model_admin(type(row)).log_change(request, published, gettext("Sample deleted."))


def _send(request: HttpRequest, published: Operation, row: Operation, context: dict[str, Any]) -> None:
    kept = _samples(published)
    if row.pk == published.pk or may_write(published, kept) or may_write(row, kept):
        raise PermissionDenied
    try:
        pairs = compared(published, row, request)
    except ValueError:
        context["problem"] = gettext("One of the versions cannot be called: check its path, mappings and backend.")
        return
    if isinstance(row, ProxyOperation):
        shown = 2 * sum(not pair.skipped_because for pair in pairs)
        viewing.record(request, viewing.View.of(published, "rehearsal", shown))
    context["pairs"] = pairs


def _page(request: HttpRequest, published: Operation, row: Operation, context: dict[str, Any]) -> HttpResponse:
    kept = _samples(published)
    if isinstance(published, ProxyOperation):
        context["samples_page"] = reverse("admin:proxyservices_proxyoperation_samples", args=(published.pk,))
    context |= {
        "operation": published,
        "address": reverse("compare_answers", args=(published.pk,)),
        "samples": [(sample, json.loads(str(sample.request))) for sample in kept],
        "has_draft": row.pk != published.pk,
        "writes": may_write(row, kept) or may_write(published, kept),
        "old_title": f"v{published.revision}",
        "new_title": gettext("draft v%(number)d") % {"number": versions.next_number(published)},
    }
    if request.headers.get("HX-Request"):
        template = "mantra/version_answers.html"
    else:
        template = "mantra/version_answers_page.html"
        context |= admin.site.each_context(request) | {"title": _("Samples"), "opts": row._meta}
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
