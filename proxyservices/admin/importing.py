"""The page on which a WSDL or OpenAPI document becomes draft operations: look first, make then."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from proxyservices.descriptions.documents import LARGE, UPLOADED, Documents, Unusable
from proxyservices.importing import create
from proxyservices.models import ProxyOperation, validate_address
from registry import tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.theme import begin_large, file_input, select, text_input

#: For how long what was looked at may be made, in seconds.
FRESH = 3600
_SALT = "mantra.import"


class _Files(forms.FileField):
    """One file or several."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        return [super(_Files, self).clean(each, initial) for each in data or ()]


class ImportForm(forms.Form):
    service: Any = forms.ModelChoiceField(
        None, label=_("service"), help_text=_("Where the operations are to be found.")
    )
    url = forms.CharField(
        label=_("address of the document"), required=False, max_length=1000, validators=[validate_address],
        widget=text_input(inputmode="url", placeholder="https://layanan.contoh.go.id/pegawai?wsdl"),
    )  # fmt: skip
    uploads = _Files(
        label=_("or files"),
        required=False,
        widget=file_input(".wsdl,.xsd,.xml,.json,.yaml,.yml"),
        help_text=_("The document itself first, and what it imports together with it."),
    )

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = tenancy.referable(ProxyOperation, "service", user).select_related("agency")
        self.fields["service"] = forms.ModelChoiceField(
            rows, label=self.fields["service"].label, help_text=self.fields["service"].help_text, widget=select()
        )
        begin_large(self)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("url")) == bool(cleaned.get("uploads")) and "url" not in self.errors:
            raise ValidationError(_("Give the document's address, or files: one of the two."))
        if sum(each.size for each in cleaned.get("uploads") or ()) > LARGE:
            raise ValidationError(_("The description is larger than %(size)d bytes.") % {"size": LARGE})
        return cleaned

    def documents(self) -> tuple[Documents, str]:
        """The documents given, and the address of the main one."""
        url: str = self.cleaned_data["url"]
        if url:
            return Documents({}), url
        given = {
            UPLOADED + quote(PurePosixPath(each.name.replace("\\", "/")).name): each.read()
            for each in self.cleaned_data["uploads"]
        }
        return Documents(given), main_of(given)


def main_of(given: dict[str, bytes]) -> str:
    """Which of several files is the one that the others hang from: the first that is a WSDL or no schema."""
    for url, body in given.items():
        head = body[:4000]
        if b"definitions" in head or b"openapi" in head or b"swagger" in head:
            return url
    return next(iter(given))


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class ImportPage(_Page):
    """The page's views, for the admin of proxy operations."""

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """GET: the form. POST: what would be made, or, with ``packed``, make it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._import_page(request, ImportForm(request.user))
        if "packed" in request.POST:
            return self._make(request)
        form = ImportForm(request.user, request.POST, request.FILES)
        if not form.is_valid():
            return self._import_page(request, form)
        documents, main = form.documents()
        try:
            found = create.described(documents, main)
        except Unusable as why:
            form.add_error(None, str(why))
            return self._import_page(request, form)
        packed = signing.dumps(create.pack(found, documents, main), salt=_SALT, compress=True)
        if len(packed) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 9 // 10:
            form.add_error(None, _("The description is larger than %(size)d bytes.") % {"size": LARGE})
            return self._import_page(request, form)
        context = {
            "found": found,
            "main": main.removeprefix(UPLOADED),
            "documents": [url.removeprefix(UPLOADED) for url in documents.used],
            "service": form.cleaned_data["service"],
            "packed": packed,
        }
        return self.page(request, "mantra/proxy_import_found.html", _("Import a description"), **context)

    def _import_page(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        return self.page(request, "mantra/proxy_import.html", _("Import a description"), form=form)

    def _make(self, request: HttpRequest) -> HttpResponse:
        services = tenancy.referable(ProxyOperation, "service", request.user)
        number = request.POST.get("service", "")
        service = services.filter(pk=number if number.isdigit() and len(number) < 18 else 0).first()
        if service is None:
            raise PermissionDenied
        try:
            packed = signing.loads(request.POST["packed"], salt=_SALT, max_age=FRESH)
        except signing.BadSignature:
            self.message_user(request, _("That was too long ago: give the document again."), messages.ERROR)
            return redirect(request.path)
        drafts, documents, main = create.unpack(packed)
        chosen = set(request.POST.getlist("draft"))
        wanted = [draft for index, draft in enumerate(drafts) if str(index) in chosen]
        if not all(tenancy.may_change(request.user, ProxyOperation(service=service)) for _draft in wanted):  # type: ignore[arg-type]
            raise PermissionDenied
        try:
            made = create.make(service, wanted, documents, main)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect(request.path)
        for operation in made:
            self.log_addition(request, operation, gettext("Imported from %(main)s.") % {"main": main})
        self.message_user(
            request, ngettext("%d draft operation made.", "%d draft operations made.", len(made)) % len(made),
            messages.SUCCESS if made else messages.WARNING,
        )  # fmt: skip
        return redirect("admin:proxyservices_proxyoperation_changelist")
