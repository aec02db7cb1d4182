"""The page of an operation's samples: the requests by which its backend's rehearsals compare two addresses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.html import escape
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyservices.address_change import cutover, samples
from proxyservices.models import METHODS, ProxyOperation
from registry.admin.base import ScopedAdmin
from registry.admin.numbers import number_of
from registry.admin.theme import capitalise_labels, select, text_area, text_input
from registry.journal import viewing
from registry.models import SampleRequest
from registry.parameter_values import InvalidValue


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


class IgnoredPathsForm(forms.ModelForm):  # type: ignore[type-arg]
    """The parts of an operation's responses that a rehearsal does not compare."""

    class Meta:
        model = ProxyOperation
        fields = ("ignored_paths",)
        widgets = {"ignored_paths": text_area(3)}


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class SamplesPage(_Page):
    """The page's views, for the admin of proxy operations."""

    @viewing.shows("samples")
    def samples_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET: the samples and the forms. POST: what its ``action`` says."""
        operation = self.get_or_404(request, object_id)
        # A sample may be a person's data: watching over the definition is no reason to see it.
        if not self.has_change_permission(request, operation):
            raise PermissionDenied
        context: dict[str, Any] = {}
        if request.method == "POST":
            ways = {"sample": self._add_sample, "forget": self._forget_sample, "ignore": self._ignore}
            way = ways.get(request.POST.get("action", ""))
            if way is None:
                raise PermissionDenied
            done = way(request, operation, context)
            if done is not None:
                return done
        stored = list(operation.samples.all())
        if stored:
            viewing.record(request, viewing.View.of(operation, "samples", len(stored)))
        context = {
            "operation": operation,
            "samples": [(sample, lines_of(json.loads(str(sample.request)))) for sample in stored],
            "sample_form": SampleForm(operation),
            "ignored_form": IgnoredPathsForm(instance=operation),
            "own": str(self.redirect_to(request, operation)["Location"]),
            **context,
        }
        return self.render_page(request, "mantra/samples.html", _("Samples"), **context)

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
        return redirect(request.path)

    def _forget_sample(self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]) -> HttpResponse:
        sample = get_object_or_404(operation.samples, pk=number_of(request.POST.get("sample", "")))
        sample.delete()
        self.log_change(request, operation, gettext("Sample deleted."))
        return redirect(request.path)

    def _ignore(self, request: HttpRequest, operation: ProxyOperation, context: dict[str, Any]) -> HttpResponse | None:
        form = IgnoredPathsForm(request.POST, instance=operation)
        if not form.is_valid():
            context["ignored_form"] = form
            return None
        if form.has_changed():
            form.save()
            self.log_change(request, operation, [{"changed": {"fields": ["not compared"]}}])
        return redirect(request.path)


def lines_of(question: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a sample's request for people to read."""
    return [
        (name, "; ".join(f"{key}: {text}" for key, text in value.items()) if isinstance(value, dict) else str(value))
        for name, value in question.items()
    ]
