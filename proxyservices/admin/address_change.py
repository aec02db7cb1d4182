"""The page on which an address is rehearsed, switched to and gone back from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.html import escape
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from proxyservices.address_change import cutover, samples
from proxyservices.health import advice
from proxyservices.models import METHODS, AddressChange, ProxyOperation, Upstream, validate_url
from registry.admin.base import ScopedAdmin
from registry.admin.theme import capitalise_labels, checkbox, password_input, select, text_area, text_input
from registry.journal import viewing
from registry.models import SampleRequest
from registry.parameter_values import InvalidValue
from registry.results import Fault
from registry.secret_rules import ENTER_AGAIN

#: Of the history of addresses, so many lines are shown.
CHANGES = 20
CHANGED_SINCE = _("The operation or its upstreams changed after this rehearsal. Rehearse the address again.")


class AddressChangeForm(forms.Form):
    """Where an upstream is to go. Secrets that would go to another server are typed again."""

    upstream = forms.TypedChoiceField(label=_("current address"), coerce=int)
    url = forms.CharField(
        label=_("new address"), max_length=500, validators=[validate_url], widget=text_input(inputmode="url")
    )
    ignored_paths = forms.CharField(label=_("not compared"), required=False, widget=text_area(3))
    sure = forms.BooleanField(
        required=False,
        widget=checkbox(),
        label=_("I confirm that each sample is sent to both addresses and may change data at each"),
    )

    def __init__(self, operation: ProxyOperation, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = {row.pk: row for row in operation.upstreams.all()}
        choices = [(str(pk), row.url) for pk, row in self.rows.items()]
        self.fields["upstream"] = forms.TypedChoiceField(
            label=self.fields["upstream"].label, coerce=int, choices=choices, widget=select(choices)
        )
        ignored = operation._meta.get_field("ignored_paths")
        self.fields["ignored_paths"].help_text = str(ignored.help_text)  # type: ignore[union-attr]
        self.initial.setdefault("ignored_paths", operation.ignored_paths)
        if not samples.may_write(operation, list(operation.samples.all())):
            del self.fields["sure"]
        for row in self.rows.values():
            # Whether it is needed shows when the address is known; who keeps the server need not type it.
            for key, name in cutover.secrets_to_reenter(row, "").items():
                self.fields[f"secret_{key}"] = forms.CharField(
                    label=gettext("secret for the new address: %(name)s") % {"name": name},
                    required=False,
                    strip=False,
                    widget=password_input(),
                    help_text=_("Required only if the new address is on another server."),
                )
        self.order_fields(["upstream", "url", *(name for name in self.fields if name[:7] == "secret_")])
        capitalise_labels(self)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        row, url = self.rows.get(cleaned.get("upstream", 0)), cleaned.get("url")
        if row is None or not url:
            return cleaned
        if url == row.url:
            self.add_error("url", _("The upstream already has this address."))
        for key in cutover.secrets_to_reenter(row, url):
            if not cleaned.get(f"secret_{key}"):
                self.add_error(f"secret_{key}", ENTER_AGAIN)
        return cleaned

    def cutover(self) -> cutover.Cutover:
        row = self.rows[self.cleaned_data["upstream"]]
        wanted = {key: self.cleaned_data[f"secret_{key}"] for key in cutover.secrets_to_reenter(row, "")}
        return cutover.Cutover(row, self.cleaned_data["url"], {key: text for key, text in wanted.items() if text})


class SampleForm(forms.Form):
    """One field for each parameter; for requests that are handed on, the request."""

    name = forms.CharField(label=_("Name of the sample"), max_length=100, widget=text_input())

    def __init__(self, operation: ProxyOperation, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.operation = operation
        if operation.style == ProxyOperation.Style.PASS_THROUGH:
            # What follows has labels of our own; a parameter's is its name.
            choices = [(name, name) for name in METHODS]
            self.fields["q_method"] = forms.ChoiceField(label=_("HTTP method"), choices=choices, widget=select(choices))
            self._text("q_path", _("path below the alias"))
            self._text("q_query", _("query string"))
            self.fields["q_headers"] = forms.CharField(
                label=_("headers"), required=False, widget=text_area(2), help_text=_("One per line: Name: value")
            )
            self.fields["q_body"] = forms.CharField(label=_("body"), required=False, strip=False, widget=text_area(3))
            capitalise_labels(self)
            return
        for parameter in operation.parameters.all():
            # The theme shows a field's help as it is, and this one is a publisher's own words.
            self._text(f"q_{parameter.name}", parameter.name, escape(parameter.description))

    def _text(self, name: str, label: Any, hint: str = "") -> None:
        # A person's number in it must not come back as the browser's suggestion.
        self.fields[name] = forms.CharField(
            label=label, required=False, strip=False, help_text=hint, widget=text_input(autocomplete="off")
        )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if self.operation.samples.filter(name=name).exists():
            raise ValidationError(_("A sample with this name already exists."))
        if self.operation.samples.count() >= cutover.SAMPLES:
            raise ValidationError(_("An operation can have at most %(most)d samples.") % {"most": cutover.SAMPLES})
        return name

    def clean_q_headers(self) -> dict[str, str]:
        lines = [line.partition(":") for line in self.cleaned_data["q_headers"].splitlines() if line.strip()]
        if not all(colon and name.strip() for name, colon, _value in lines):
            raise ValidationError(_("Write one header per line: Name: value"))
        return {name.strip(): value.strip() for name, _colon, value in lines}

    def question(self) -> dict[str, Any]:
        return {
            name.removeprefix("q_"): value for name, value in self.cleaned_data.items() if name[:2] == "q_" and value
        }

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                samples.sample_call(self.operation, self.question())
            except InvalidValue as unfit:
                raise ValidationError(unfit.id) from None
        return cleaned


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class AddressChangePage(_Page):
    """The page's views, for the admin of proxy operations."""

    def change_address(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET: samples, the form and the history. POST: what its ``action`` says."""
        operation = self.get_or_404(request, object_id)
        # A sample may be a person's data: watching over the definition is no reason to see it.
        if not self.has_change_permission(request, operation):
            raise PermissionDenied
        context: dict[str, Any] = {}
        if request.method == "POST":
            ways = {
                "sample": self._add_sample,
                "forget": self._forget_sample,
                "rehearse": self._rehearse,
                "switch": self._switch,
                "roll-back": self._roll_back,
            }
            way = ways.get(request.POST.get("action", ""))
            if way is None:
                raise PermissionDenied
            done = way(request, operation, context)
            if done is not None:
                return done
        return self._address_page(request, operation, context)

    def _address_page(self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]) -> HttpResponse:
        upstreams = list(operation.upstreams.all())
        backs = {change.pk for change in map(cutover.rollback_target, upstreams) if change is not None}
        samples = [(sample, json.loads(str(sample.request))) for sample in operation.samples.all()]
        context = {
            "operation": operation,
            "upstreams": upstreams,
            "samples": [(sample, _lines(question)) for sample, question in samples],
            "changes": [
                (change, change.pk in backs)
                for change in AddressChange.objects.filter(operation_ref=operation.pk)[:CHANGES]
            ],
            "form": AddressChangeForm(operation) if upstreams else None,
            "sample_form": SampleForm(operation),
            "own": str(self.redirect_to(request, operation)["Location"]),
            **context,
        }
        return self.render_page(request, "mantra/address_change.html", _("Address change"), **context)

    def _again(self, request: HttpRequest) -> HttpResponse:
        """The page anew, so that reloading it does nothing twice."""
        return redirect(request.path)

    def _add_sample(
        self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]
    ) -> HttpResponse | None:
        form = SampleForm(operation, request.POST)
        if not form.is_valid():
            context["sample_form"] = form
            return None
        sample = SampleRequest(operation=operation, name=form.cleaned_data["name"], request=json.dumps(form.question()))
        try:
            sample.full_clean()
        except ValidationError as error:
            form.add_error(None, error.messages)
            context["sample_form"] = form
            return None
        sample.save()
        # Without its name, which may be a person's: others read the log.
        self.log_change(request, operation, gettext("Sample added."))
        return self._again(request)

    def _forget_sample(self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]) -> HttpResponse:
        sample = get_object_or_404(operation.samples, pk=_number(request, "sample"))
        sample.delete()
        self.log_change(request, operation, gettext("Sample deleted."))
        return self._again(request)

    def _rehearse(
        self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]
    ) -> HttpResponse | None:
        form = context["form"] = AddressChangeForm(operation, request.POST)
        if not form.is_valid():
            return None
        if operation.ignored_paths != form.cleaned_data["ignored_paths"]:
            operation.ignored_paths = form.cleaned_data["ignored_paths"]
            operation.save()
        if "sure" in form.fields and not form.cleaned_data["sure"]:
            form.add_error("sure", _("Confirm this first."))
            return None
        if not operation.samples.exists():
            form.add_error(None, _("There are no samples yet. Add one above."))
            return None
        planned = form.cutover()
        planned.upstream.operation = operation
        try:
            pairs = cutover.rehearse(planned)
            shown = 2 * sum(not pair.skipped_because for pair in pairs)
            viewing.record(request, viewing.View.of(operation, "rehearsal", shown))
        except ValueError as error:
            form.add_error("url", advice.advise("address", str(error)))
            return None
        except Fault as fault:
            form.add_error(None, fault.message(get_language() or "id"))
            return None
        change = cutover.record_rehearsal(planned, pairs, request.user)  # type: ignore[arg-type]
        words = {"old": change.old_url, "new": change.new_url}
        self.log_change(request, operation, gettext("Rehearsed: %(old)s → %(new)s") % words)
        differing = change.differences or 0
        context |= {
            "pairs": pairs,
            "change": change,
            "verdict": ngettext("%d sample differs.", "%d samples differ.", differing) % differing
            if differing
            else gettext("The responses to all samples are the same."),
            "alike": not differing,
        }
        return None

    def _switch(self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]) -> HttpResponse | None:
        if not request.POST.get("change"):  # without a rehearsal
            form = context["form"] = AddressChangeForm(operation, request.POST)
            if not form.is_valid():
                return None
            planned = form.cutover()
            return self._switched(request, operation, planned.upstream, lambda user: cutover.switch(planned, user))
        change = get_object_or_404(
            AddressChange, pk=_number(request, "change"), kind="rehearse", upstream__operation=operation
        )
        row = change.upstream
        assert row is not None
        if row.url != change.old_url:
            self.message_user(request, CHANGED_SINCE, messages.ERROR)
            return self._again(request)
        return self._switched(request, operation, row, lambda user: cutover.switch_as_rehearsed(change, user))

    def _roll_back(self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]) -> HttpResponse:
        change = get_object_or_404(AddressChange, pk=_number(request, "change"), upstream__operation=operation)
        assert change.upstream is not None
        if cutover.rollback_target(change.upstream) != change:
            text = _("The upstream's address has changed again since. You cannot roll back this change.")
            self.message_user(request, text, messages.ERROR)
            return self._again(request)
        return self._switched(request, operation, change.upstream, lambda user: cutover.roll_back(change, user))

    def _switched(
        self,
        request: HttpRequest,
        operation: ProxyOperation,
        upstream: Upstream,
        switch: Callable[[Any], AddressChange],
    ) -> HttpResponse:
        if not self.has_change_permission(request, upstream.operation):
            raise PermissionDenied
        try:
            made = switch(request.user)
        except cutover.SecretsUnconfirmed:
            # Secrets of before, or of a rehearsal, must not go by a click to a server that came since.
            self.message_user(request, CHANGED_SINCE, messages.ERROR)
            return self._again(request)
        except ValidationError as error:  # one of registry.versions.CHECKS refuses it
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return self._again(request)
        words = {"old": made.old_url, "new": made.new_url}
        back = made.kind == "roll-back"
        text = gettext("Rolled back: %(old)s → %(new)s") if back else gettext("Switched: %(old)s → %(new)s")
        self.log_change(request, operation, text % words)
        self.message_user(
            request,
            gettext("Calls now go to %(new)s. Callers do not need to change anything.") % words,
            messages.SUCCESS,
        )
        return self._again(request)


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isdigit() and len(text) < 18 else 0


def _lines(question: dict[str, Any]) -> list[tuple[str, str]]:
    """A sample's question for people to read."""
    return [
        (name, "; ".join(f"{key}: {text}" for key, text in value.items()) if isinstance(value, dict) else str(value))
        for name, value in question.items()
    ]
