"""The import page: a WSDL or OpenAPI document becomes draft operations, after a preview."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from proxyservices.descriptions.documents import MAX_BYTES, UPLOADED, DescriptionError, DocumentSet
from proxyservices.importing import create
from proxyservices.models import ProxyOperation, validate_url
from registry import tenancy
from registry.admin.base import ScopedAdmin
from registry.admin.numbers import number_of
from registry.admin.theme import capitalise_labels, file_input, select, text_input

#: Seconds for which a preview may be confirmed.
PREVIEW_SECONDS = 3600
_SALT = "mantra.import"


class _Files(forms.FileField):
    """A field for one file or several."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        return [super(_Files, self).clean(each, initial) for each in data or ()]


class ImportForm(forms.Form):
    service: Any = forms.ModelChoiceField(
        None, label=_("service"), help_text=_("The service to which the operations are added.")
    )
    url = forms.CharField(
        label=_("URL of the document"),
        required=False,
        max_length=1000,
        validators=[validate_url],
        widget=text_input(inputmode="url", placeholder="https://layanan.contoh.go.id/pegawai?wsdl"),
    )
    uploads = _Files(
        label=_("or upload files"),
        required=False,
        widget=file_input(".wsdl,.xsd,.xml,.json,.yaml,.yml"),
        help_text=_("The main document first, then the documents it imports."),
    )

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = tenancy.referable(ProxyOperation, "service", user).select_related("agency")
        self.fields["service"] = forms.ModelChoiceField(
            rows, label=self.fields["service"].label, help_text=self.fields["service"].help_text, widget=select()
        )
        capitalise_labels(self)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("url")) == bool(cleaned.get("uploads")) and "url" not in self.errors:
            raise ValidationError(_("Enter the document's URL or upload files, not both."))
        if sum(each.size for each in cleaned.get("uploads") or ()) > MAX_BYTES:
            raise ValidationError(_("The description is larger than %(size)d bytes.") % {"size": MAX_BYTES})
        self._check_file_names(cleaned.get("uploads") or ())
        return cleaned

    def _check_file_names(self, uploads: Sequence[UploadedFile]) -> None:
        """Raise ValidationError for two files of one name: documents import each other by their names."""
        names = [file_name(each) for each in uploads]
        for name in names:
            if names.count(name) > 1:
                raise ValidationError(_("Two of the files are named %(name)s. Rename one.") % {"name": name})

    def documents(self) -> tuple[DocumentSet, str]:
        """Return the documents, and the address of the main one."""
        url: str = self.cleaned_data["url"]
        if url:
            return DocumentSet({}), url
        uploaded = {UPLOADED + quote(file_name(each)): each.read() for each in self.cleaned_data["uploads"]}
        return DocumentSet(uploaded), main_of(uploaded)


def file_name(upload: UploadedFile) -> str:
    """Return the name of an uploaded file, without the folders that some browsers send."""
    return PurePosixPath(str(upload.name).replace("\\", "/")).name


def main_of(uploaded: dict[str, bytes]) -> str:
    """Return the address of the file that imports the others: the first WSDL or OpenAPI document, else the first."""
    return next((url for url, body in uploaded.items() if create.is_main(body, url)), next(iter(uploaded)))


if TYPE_CHECKING:
    _Page = ScopedAdmin
else:
    _Page = object


class ImportPage(_Page):
    """The page's views, for the admin of proxy operations."""

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """GET: the form. POST: the preview, or with ``packed`` the creation."""
        if not self.has_add_permission(request) or not request.user.has_perm("proxyservices.add_backend"):
            raise PermissionDenied
        if request.method != "POST":
            return self._import_page(request, ImportForm(request.user))
        if "packed" in request.POST:
            return self._create_drafts(request)
        form = ImportForm(request.user, request.POST, request.FILES)
        if not form.is_valid():
            return self._import_page(request, form)
        documents, main = form.documents()
        try:
            preview = create.preview(documents, main)
        except DescriptionError as error:
            form.add_error(None, str(error))
            return self._import_page(request, form)
        packed = signing.dumps(create.pack(preview, documents, main), salt=_SALT, compress=True)
        if len(packed) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 9 // 10:
            form.add_error(None, _("The description is larger than %(size)d bytes.") % {"size": MAX_BYTES})
            return self._import_page(request, form)
        context = {
            "found": preview,
            "main": main.removeprefix(UPLOADED),
            "documents": [url.removeprefix(UPLOADED) for url in documents.used],
            "service": form.cleaned_data["service"],
            "packed": packed,
        }
        return self.render_page(request, "mantra/proxy_import_found.html", _("Import a service description"), **context)

    def _import_page(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        return self.render_page(request, "mantra/proxy_import.html", _("Import a service description"), form=form)

    def _create_drafts(self, request: HttpRequest) -> HttpResponse:
        services = tenancy.referable(ProxyOperation, "service", request.user)
        service = services.filter(pk=number_of(request.POST.get("service", ""))).first()
        if service is None:
            raise PermissionDenied
        try:
            packed = signing.loads(request.POST["packed"], salt=_SALT, max_age=PREVIEW_SECONDS)
        except signing.BadSignature:
            self.message_user(request, _("The preview has expired. Enter the document again."), messages.ERROR)
            return redirect(request.path)
        drafts, documents, main = create.unpack(packed)
        chosen = set(request.POST.getlist("draft"))
        selected = [draft for index, draft in enumerate(drafts) if str(index) in chosen]
        if not all(tenancy.may_change(request.user, ProxyOperation(service=service)) for _draft in selected):  # type: ignore[arg-type]
            raise PermissionDenied
        try:
            operations = create.create_drafts(service, selected, documents, main)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect(request.path)
        for operation in operations:
            self.log_addition(request, operation, gettext("Imported from %(main)s.") % {"main": main})
        count = len(operations)
        self.message_user(
            request,
            ngettext("%d draft operation created.", "%d draft operations created.", count) % count,
            messages.SUCCESS if count else messages.WARNING,
        )
        backends = {operation.backend_id for operation in operations}
        if len(backends) == 1:  # where the credential is entered, the address is tested, and the drafts are published
            return redirect("admin:proxyservices_backend_change", *backends)
        return redirect("admin:proxyservices_backend_changelist" if backends else request.path)
