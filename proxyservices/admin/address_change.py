"""The page on which a backend's move is rehearsed with the samples of its operations, switched for all, rolled back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from proxyservices.address_change import cutover, samples
from proxyservices.health import advice
from proxyservices.models import AddressChange, Backend, BackendServer, ProxyOperation, validate_url
from registry.admin.base import ScopedAdmin
from registry.admin.numbers import number_of
from registry.admin.theme import capitalise_labels, checkbox, password_input, select, text_input
from registry.journal import viewing
from registry.results import Fault
from registry.secret_rules import ENTER_AGAIN

#: Of the history of addresses, so many lines are shown.
CHANGES = 20
CHANGED_SINCE = _("The backend or its operations changed after this rehearsal. Rehearse the address again.")


class AddressChangeForm(forms.Form):
    """Where a server is to go. Secrets that would go to another server are typed again."""

    server = forms.TypedChoiceField(label=_("current address"), coerce=int)
    url = forms.CharField(
        label=_("new address"), max_length=500, validators=[validate_url], widget=text_input(inputmode="url")
    )
    sure = forms.BooleanField(
        required=False,
        widget=checkbox(),
        label=_("I confirm that each sample is sent to both addresses and may change data at each"),
    )

    def __init__(self, backend: Backend, operations: list[ProxyOperation], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = {row.pk: row for row in backend.servers.select_related("backend")}
        choices = [(str(pk), row.url) for pk, row in self.rows.items()]
        self.fields["server"] = forms.TypedChoiceField(
            label=self.fields["server"].label, coerce=int, choices=choices, widget=select(choices)
        )
        if not any(samples.may_write(each, list(each.samples.all())) for each in operations if each.samples.all()):
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
        self.order_fields(["server", "url", *(name for name in self.fields if name[:7] == "secret_")])
        capitalise_labels(self)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        row, url = self.rows.get(cleaned.get("server", 0)), cleaned.get("url")
        if row is None or not url:
            return cleaned
        if url == row.url:
            self.add_error("url", _("The server already has this address."))
        for key in cutover.secrets_to_reenter(row, url):
            if not cleaned.get(f"secret_{key}"):
                self.add_error(f"secret_{key}", ENTER_AGAIN)
        return cleaned

    def cutover(self) -> cutover.Cutover:
        row = self.rows[self.cleaned_data["server"]]
        wanted = {key: self.cleaned_data[f"secret_{key}"] for key in cutover.secrets_to_reenter(row, "")}
        return cutover.Cutover(row, self.cleaned_data["url"], {key: text for key, text in wanted.items() if text})


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class AddressChangePage(_Page):
    """The page's views, for the admin of backends."""

    @viewing.shows("rehearsal")
    def change_address(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET: the operations, the form and the history. POST: what its ``action`` says."""
        backend = self.get_or_404(request, object_id)
        # A rehearsal shows what operations respond: watching over the definition is no reason to see it.
        if not self.has_change_permission(request, backend):
            raise PermissionDenied
        operations = cutover.operations_of_backend(backend)
        context: dict[str, Any] = {}
        if request.method == "POST":
            ways = {"rehearse": self._rehearse, "switch": self._switch, "roll-back": self._roll_back}
            way = ways.get(request.POST.get("action", ""))
            if way is None:
                raise PermissionDenied
            done = way(request, backend, operations, context)
            if done is not None:
                return done
        return self._address_page(request, backend, operations, context)

    def _address_page(
        self, request: HttpRequest, backend: Backend, operations: list[ProxyOperation], context: dict[str, Any]
    ) -> HttpResponse:
        servers = list(backend.servers.all())
        backs = {change.pk for change in map(cutover.rollback_target, servers) if change is not None}
        context = {
            "backend": backend,
            "servers": servers,
            "operations": operations,
            "without_samples": [each for each in operations if not each.samples.all()],
            "changes": [
                (change, change.pk in backs)
                for change in AddressChange.objects.filter(backend_ref=backend.pk)[:CHANGES]
            ],
            "form": AddressChangeForm(backend, operations) if servers else None,
            "own": str(self.redirect_to(request, backend)["Location"]),
            **context,
        }
        return self.render_page(request, "mantra/address_change.html", _("Address change"), **context)

    def _again(self, request: HttpRequest) -> HttpResponse:
        """The page anew, so that reloading it does nothing twice."""
        return redirect(request.path)

    def _rehearse(
        self, request: HttpRequest, backend: Backend, operations: list[ProxyOperation], context: dict[str, Any]
    ) -> HttpResponse | None:
        form = context["form"] = AddressChangeForm(backend, operations, request.POST)
        if not form.is_valid():
            return None
        if "sure" in form.fields and not form.cleaned_data["sure"]:
            form.add_error("sure", _("Confirm this first."))
            return None
        if not any(each.samples.all() for each in operations):
            form.add_error(None, _("There are no samples yet. Add them on the pages of the operations."))
            return None
        planned = form.cutover()
        try:
            pairs = cutover.rehearse(planned)
            _record_views(request, pairs)
        except ValueError as error:
            form.add_error("url", advice.advise("address", str(error)))
            return None
        except Fault as fault:
            form.add_error(None, fault.message(get_language() or "id"))
            return None
        change = cutover.record_rehearsal(planned, pairs, request.user)  # type: ignore[arg-type]
        words = {"old": change.old_url, "new": change.new_url}
        self.log_change(request, backend, gettext("Rehearsed: %(old)s → %(new)s") % words)
        differing = change.differences or 0
        context |= {
            "compared": [(each, list(group)) for each, group in groupby(pairs, key=lambda pair: pair.operation)],
            "change": change,
            "verdict": ngettext("%d sample differs.", "%d samples differ.", differing) % differing
            if differing
            else gettext("The responses to all samples are the same."),
            "alike": not differing,
        }
        return None

    def _switch(
        self, request: HttpRequest, backend: Backend, operations: list[ProxyOperation], context: dict[str, Any]
    ) -> HttpResponse | None:
        if not request.POST.get("change"):  # without a rehearsal
            form = context["form"] = AddressChangeForm(backend, operations, request.POST)
            if not form.is_valid():
                return None
            planned = form.cutover()
            return self._switched(request, backend, planned.server, lambda user: cutover.switch(planned, user))
        change = get_object_or_404(
            AddressChange, pk=number_of(request.POST.get("change", "")), kind="rehearse", server__backend=backend
        )
        row = change.server
        assert row is not None
        if row.url != change.old_url:
            self.message_user(request, CHANGED_SINCE, messages.ERROR)
            return self._again(request)
        return self._switched(request, backend, row, lambda user: cutover.switch_as_rehearsed(change, user))

    def _roll_back(
        self, request: HttpRequest, backend: Backend, operations: list[ProxyOperation], context: dict[str, Any]
    ) -> HttpResponse:
        change = get_object_or_404(AddressChange, pk=number_of(request.POST.get("change", "")), server__backend=backend)
        assert change.server is not None
        if cutover.rollback_target(change.server) != change:
            text = _("The server's address has changed again since. You cannot roll back this change.")
            self.message_user(request, text, messages.ERROR)
            return self._again(request)
        return self._switched(request, backend, change.server, lambda user: cutover.roll_back(change, user))

    def _switched(
        self, request: HttpRequest, backend: Backend, server: BackendServer, switch: Callable[[Any], AddressChange]
    ) -> HttpResponse:
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
        self.log_change(request, backend, text % words)
        count = backend.operations.filter(draft_of=None).count()
        done = ngettext(
            "Calls of %(count)d operation now go to %(new)s. Callers do not need to change anything.",
            "Calls of %(count)d operations now go to %(new)s. Callers do not need to change anything.",
            count,
        )
        self.message_user(request, done % {**words, "count": count}, messages.SUCCESS)
        return self._again(request)


def _record_views(request: HttpRequest, pairs: list[cutover.Comparison]) -> None:
    """Record that the user sees both responses to each sample, by operation. Raises Fault."""
    for operation, group in groupby(pairs, key=lambda pair: pair.operation):
        shown = 2 * sum(not pair.skipped_because for pair in group)
        viewing.record(request, viewing.View.of(operation, "rehearsal", shown))
