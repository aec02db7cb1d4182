"""Pages of access requests: for the applicant the steps, for the offering agency what is requested and decided."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from registry import agreements, requests, tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.filters import ScopedFilter
from registry.admin.mask_form import mask_field, value_field
from registry.admin.quota_form import QuotaField
from registry.admin.theme import ChoicesDropdownFilter, capitalise_labels, display, text_area, text_input
from registry.journal import viewing
from registry.models import AccessKey, AccessRequest, RequestedOperation, bounds, lines_of, pairs
from registry.models.requests import TEXT
from registry.notifications import seen
from registry.requests import Decision, Terms

#: Fields that are left out if the applicant has left them empty, and what the request has of each.
_OPTIONAL = {
    "legal_basis": "legal_basis", "agreement": "agreement", "file": "agreement_file", "valid_from": "valid_from",
    "valid_until": "valid_until", "volume_text": "volume", "networks": "networks",
}  # fmt: skip
STATES = {
    "submitted": "warning", "in_review": "warning", "returned": "info", "approved": "success",
    "partly_approved": "success", "rejected": "danger", "withdrawn": "info", "expired": "danger",
}  # fmt: skip


class WordsForm(forms.Form):
    """What somebody says with a step: a question, an answer or a reason."""

    text = forms.CharField(label=_("text"), required=False, max_length=TEXT, widget=text_area(2))

    def __init__(self, data: Any = None, label: Any = "", help_text: Any = "", **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.fields["text"].label, self.fields["text"].help_text = label, help_text
        capitalise_labels(self)


class PartForm(forms.Form):
    """What is granted of one operation: at first all that was requested."""

    include = forms.BooleanField(label=_("Grant this operation"), required=False)
    columns = forms.MultipleChoiceField(label=_("columns"), required=False, widget=forms.CheckboxSelectMultiple)
    quota = QuotaField(label=_("quota"), required=False)
    valid_from = forms.DateField(label=_("valid from"), required=False, widget=text_input(type="date"))
    valid_until = forms.DateField(label=_("valid until"), required=False, widget=text_input(type="date"))
    networks = forms.CharField(label=_("networks"), required=False, max_length=bounds.NETWORK_LIST, widget=text_area(2))
    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, item: RequestedOperation, data: Any = None) -> None:
        terms = requests.proposed(item)
        super().__init__(data, prefix=f"item-{item.pk}", initial={
            "include": True, "columns": sorted(terms.fields), "quota": terms.quota, "networks": terms.networks,
            "valid_from": terms.valid_from and terms.valid_from.isoformat(),
            "valid_until": terms.valid_until and terms.valid_until.isoformat(), "seen": requests.mark(item),
        })  # fmt: skip
        self.item = item
        offered = requests.requested(item).fields
        columns = [each for each in requests.choosable(item.operation) if each.name in offered]
        if columns and item.operation.of_its_kind.masks_fields:
            self.fields["masks"] = mask_field(columns, _("masks"))
            self.initial["masks"] = terms.masks
        if values := sorted(item.operation.of_its_kind.grant_values):
            self.fields["values"] = value_field(values, _("values of the grant"))
            self.initial["values"] = terms.values
        self.fields["columns"].choices = [  # type: ignore[attr-defined]
            (column.name, f"{column.name} ({column.get_classification_display()})") for column in columns
        ]
        if not columns:
            del self.fields["columns"]
        capitalise_labels(self)

    def decision(self) -> Decision:
        """Return the decision that a valid form has."""
        values = self.cleaned_data
        chosen = frozenset(values.get("columns", ()))
        masks = {name: kind for name, kind in pairs(values.get("masks", "")).items() if name in chosen}
        terms = Terms(
            chosen, values["quota"], values["valid_from"], values["valid_until"], values["networks"].strip(),
            lines_of(masks), lines_of(pairs(values.get("values", ""))),
        )  # fmt: skip
        return Decision(values["seen"], terms if values["include"] else None)


@admin.register(AccessRequest)
class AccessRequestAdmin(ScopedAdmin):
    list_display = ("number", "application", "service", "state_label", "requested_at", "decided_at")
    list_filter = (
        ("state", ChoicesDropdownFilter), ("service__agency", ScopedFilter), ("application__agency", ScopedFilter),
    )  # fmt: skip
    list_select_related = ("application__agency", "service__agency", "requested_by", "agreement_file")
    search_fields = ("application__code", "application__agency__code", "service__code", "purpose", "agreement")
    fields = readonly_fields = (
        "application", "service", "state_text", "purpose", "legal_basis", "agreement", "file", "valid_from",
        "valid_until", "volume_text", "networks", "author", "requested_at",
    )  # fmt: skip
    change_form_outer_before_template = "mantra/access_request_before.html"
    change_form_outer_after_template = "mantra/access_request.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the catalogue has the page for it

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("number"), ordering="pk")
    def number(self, row: AccessRequest) -> str:
        return f"#{row.pk}"

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, row: AccessRequest) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=_("state"))
    def state_text(self, row: AccessRequest) -> str:
        return str(row.get_state_display())

    @display(description=_("expected calls"))
    def volume_text(self, row: AccessRequest) -> str:
        return f"{row.volume} {row.get_volume_period_display()}" if row.volume else "–"

    @display(description=_("requested by"))
    def author(self, row: AccessRequest) -> str:
        return str(row.requested_by)

    @display(description=_("agreement file"))
    def file(self, row: AccessRequest) -> Any:
        if row.agreement_file is None:
            return "–"
        address = reverse("admin:registry_accessrequest_agreement", args=(row.pk,))
        return format_html('<a class="mantra-link" href="{}">{}</a>', address, row.agreement_file.name)

    # ------------------------------------------------------------------------------------ the page

    def get_fields(self, request: HttpRequest, obj: AccessRequest | None = None) -> list[str]:
        # What the applicant left empty would only be lines of dashes.
        return [name for name in self.fields if name not in _OPTIONAL or getattr(obj, _OPTIONAL[name])]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        seen(request.user, request.path)  # type: ignore[arg-type]
        context.update(self._shown(request, kwargs["obj"]) | context.get("entered", {}))
        return super().render_change_form(request, context, *args, **kwargs)

    def _shown(self, request: HttpRequest, row: AccessRequest) -> dict[str, Any]:
        """Return what the template shows of a request."""
        user = request.user
        mine = requests.decidable(row, user) if row.state in AccessRequest.DECIDABLE else []
        deciding = bool(mine)
        shown: dict[str, Any] = {
            "asked": row, "steps": row.steps, "items": [self._item(item, mine) for item in requests.items_of(row)],
            "step_address": reverse("admin:registry_accessrequest_step", args=(row.pk,)), "may_decide": deciding,
        }  # fmt: skip
        if deciding:
            shown |= self._for_decider(row, mine)
        if requests.may_ask(user, row.application):
            shown |= self._for_applicant(request, row)
        return shown

    def _item(self, item: RequestedOperation, mine: list[RequestedOperation]) -> dict[str, Any]:
        shown: dict[str, Any] = {"item": item, "differences": requests.compare(item) if item.is_pending else []}
        if item.is_approved:
            shown["granted"] = requests.compare(item)
        if mine and item.is_pending:
            shown |= {"warnings": requests.warnings(item), "others_decide": item not in mine}
        return shown

    def _for_decider(self, row: AccessRequest, mine: list[RequestedOperation]) -> dict[str, Any]:
        return {
            "usage": requests.usage(row),
            "other_grants": requests.other_grants(row),
            "words_form": WordsForm(
                label=_("question, or reason"),
                help_text=_("Required if you ask or reject. The applicant reads it."),
            ),
            "part_forms": [PartForm(item) for item in mine],
            "approve_label": self._approve_label(mine),
        }

    @staticmethod
    def _approve_label(mine: list[RequestedOperation]) -> Any:
        """Return what the first button does: whoever confirms one operation must know that others are approved too."""
        confirmed = sum(item.state == RequestedOperation.State.CONFIRMING for item in mine)
        if not confirmed:
            return _("Approve as requested")
        return _("Confirm") if confirmed == len(mine) else _("Confirm, and approve the rest as requested")

    def _for_applicant(self, request: HttpRequest, row: AccessRequest) -> dict[str, Any]:
        keys = AccessKey.active().filter(application=row.application, operation=None)
        return {
            "may_answer": row.state == AccessRequest.State.RETURNED,
            "may_withdraw": row.is_open,
            "change_address": self._change_address(row) if row.is_open else "",
            "answer_form": WordsForm(label=_("answer"), auto_id="answer_%s"),
            "calls": self._calls(row),
            "wants_key": bool(row.granted) and request.user.has_perm("registry.add_accesskey"),
            "active_keys": list(keys.order_by("created_at")),
            "key_address": reverse("admin:registry_accessrequest_key", args=(row.pk,)),
        }

    @staticmethod
    def _calls(row: AccessRequest) -> list[tuple[str, str]]:
        """Return the granted operations: the title of each, and the page that says how the application calls it."""
        found = []
        for operation in (item.operation for item in requests.items_of(row) if item.is_approved):
            parts = (operation.service.agency.code, operation.service.code, operation.code)
            page = reverse("client_code", args=parts)
            found.append((operation.title or operation.code, f"{page}?application={row.application}"))
        return found

    @staticmethod
    def _change_address(row: AccessRequest) -> str:
        """Return the address of the page on which the request was made, filled in with it."""
        items = requests.items_of(row)
        if not items:
            return ""
        operation = items[0].operation
        parts = (operation.service.agency.code, operation.service.code, operation.code)
        try:
            return f"{reverse('request_access', args=parts)}?revise={row.pk}"
        except NoReverseMatch:
            return ""

    # ------------------------------------------------------------------------------------ steps

    def row_views(self) -> dict[str, Any]:
        return {"step": self.step, "key": self.issue_key, "agreement": self.agreement}

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        # The steps lock the row themselves.
        row = self.get_queryset(request).filter(pk=object_id) if str(object_id).isdecimal() else None
        return row.select_related(*self.list_select_related).first() if row is not None else None

    @method_decorator(require_POST)
    def step(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the step that the pressed button names, and return to the request's page with its outcome."""
        row = self.get_or_404(request, object_id)
        take = self._steps().get(request.POST.get("step", ""))
        if take is None:
            raise PermissionDenied
        form = WordsForm(request.POST)
        try:
            if not form.is_valid():
                raise ValidationError(list(form.errors["text"]))
            level, text = messages.SUCCESS, take(request, row, form.cleaned_data["text"])
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            if take == self._part and not isinstance(error, requests.Outdated):
                return self._part_again(request, row)
            return self.redirect_to(request, row)
        self.message_user(request, text, level)
        return self.redirect_to(request, row)

    def _part_again(self, request: HttpRequest, row: AccessRequest) -> HttpResponse:
        """Return the request's page with what was entered: a problem of one field loses no other."""
        forms = [PartForm(item, request.POST) for item in requests.decidable(row, request.user)]
        page = copy(request)
        page.method = "GET"
        entered = {"part_forms": forms, "part_text": request.POST.get("text", "")}
        response: HttpResponse = self.change_view(page, str(row.pk), extra_context={"entered": entered})
        response.status_code = 400
        return response

    def _steps(self) -> dict[str, Callable[[HttpRequest, AccessRequest, str], Any]]:
        return {
            "review": self._review, "approve": self._approve, "part": self._part, "ask": self._ask,
            "reject": self._reject, "answer": self._answer, "withdraw": self._withdraw,
        }  # fmt: skip

    def _review(self, request: HttpRequest, row: AccessRequest, _text: str) -> Any:
        requests.begin_review(row, request.user)  # type: ignore[arg-type]
        return _("The applicant sees that the request is in review.")

    def _approve(self, request: HttpRequest, row: AccessRequest, text: str) -> Any:
        return self._outcome(requests.approve(row, request.user, self._seen(request), text))  # type: ignore[arg-type]

    def _part(self, request: HttpRequest, row: AccessRequest, text: str) -> Any:
        decisions = {}
        for item in requests.decidable(row, request.user):
            form = PartForm(item, request.POST)
            if not form.is_valid():
                raise ValidationError([f"{item}: {text}" for texts in form.errors.values() for text in texts])
            decisions[item.pk] = form.decision()
        return self._outcome(requests.decide(row, request.user, decisions, text))  # type: ignore[arg-type]

    def _reject(self, request: HttpRequest, row: AccessRequest, text: str) -> Any:
        return self._outcome(requests.reject(row, request.user, self._seen(request), text))  # type: ignore[arg-type]

    def _ask(self, request: HttpRequest, row: AccessRequest, text: str) -> Any:
        requests.ask_back(row, request.user, text)  # type: ignore[arg-type]
        return _("The request went back to the applicant with your question.")

    def _answer(self, request: HttpRequest, row: AccessRequest, text: str) -> Any:
        requests.answer(row, request.user, text)  # type: ignore[arg-type]
        return _("Your answer was sent.")

    def _withdraw(self, request: HttpRequest, row: AccessRequest, _text: str) -> Any:
        requests.withdraw(row, request.user)  # type: ignore[arg-type]
        return _("The request is withdrawn.")

    @staticmethod
    def _seen(request: HttpRequest) -> dict[int, str]:
        """Return the marks of what the page has shown, by the ids of items."""
        found = {}
        for name, value in request.POST.items():
            part = name.removeprefix("item-").removesuffix("-seen")
            if name.startswith("item-") and name.endswith("-seen") and part.isdecimal() and len(part) < 16:
                found[int(part)] = str(value)
        return found

    @staticmethod
    def _outcome(row: AccessRequest) -> Any:
        """Return what a decision has led to."""
        if not row.is_open:
            return _("Decided: %(state)s.") % {"state": row.get_state_display()}
        if any(item.state == RequestedOperation.State.CONFIRMING for item in row.items.all()):
            return _("Your approval is noted. A second person must confirm it.")
        return _("Decided. Other operations of the request still wait.")

    # ------------------------------------------------------------------------------------ key and file

    @method_decorator(require_POST)
    def issue_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Issue an access key for the request's application, and show it once."""
        row = self.get_or_404(request, object_id)
        key = AccessKey(application=row.application)
        if not request.user.has_perm("registry.add_accesskey") or not tenancy.may_change(request.user, key):
            raise PermissionDenied
        try:
            if not row.granted:
                raise ValidationError(_("Nothing of this request is approved yet."))
            key, plain = AccessKey.issue(row.application, timezone.now() + timedelta(days=365), networks=row.networks)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return self.redirect_to(request, row)
        self.log_addition(request, key, [{"added": {}}])
        return self.render_page(
            request, "mantra/issued.html", _("New access key"), issued=key, plain=plain, header=f"AccessKey: {plain}",
            application=row.application, shown_at=str(self.redirect_to(request, row)["Location"]),
            calls=self._calls(row),
        )  # fmt: skip

    @viewing.shows("agreement")
    @method_decorator(require_safe)
    def agreement(self, request: HttpRequest, object_id: str) -> Any:
        """Return the agreement's file to the two agencies, as a download that no browser opens as a page."""
        row = self.get_or_404(request, object_id)
        agencies = (row.application.agency_id, row.service.agency_id)
        if row.agreement_file is None or getattr(request.user, "agency_id", None) not in agencies:
            raise Http404
        try:
            content = agreements.open_file(row.agreement_file)
        except OSError:
            raise Http404 from None
        file = row.agreement_file
        service = row.service
        viewing.record(request, viewing.View("agreement", service.agency.code, service.code, str(row.pk)))
        response = FileResponse(content, as_attachment=True, filename=file.name, content_type=file.media_type)
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["Cache-Control"] = "no-store"
        return response
