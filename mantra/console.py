"""The try-it console: an operation run from its page in the admin, on the way that every call goes."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import escape
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from dataservices.diagnosis import advise
from dataservices.models import DataOperation
from mantra.gateway import exchange
from mantra.gateway.client_ip import client_ip
from mantra.gateway.formats import FORMATS
from mantra.gateway.formats.soap import Writer
from mantra.gateway.formats.values import TEXT, columns_of, text_column, unique_names
from mantra.gateway.rest import unwrapped
from mantra.gateway.serve import serve, unforeseen
from mantra.gateway.soap import envelope, names
from mantra.gateway.soap import fault as soap_fault
from mantra.gateway.soap.face import chunks
from proxyservices.models import ProxyOperation
from registry import snapshot
from registry.admin_base import select, text_input
from registry.calls import Affected, Call, Document, Result, Row, Rows
from registry.faults import Fault
from registry.models import Operation, Parameter

#: Rows shown. What an operation yields beyond stays where it is.
SHOWN = 100
#: Columns shown of records that need not have the same.
COLUMNS = 500

KINDS: dict[str, type[Operation]] = {"data": DataOperation, "proxy": ProxyOperation}


# ---------------------------------------------------------------------------------------- the form


class TryForm(forms.Form):
    """One field for each parameter. What is left empty is not given; the gateway itself judges the values."""

    PREFIX = "p_"

    def __init__(self, operation: Operation, parameters: list[Parameter], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in parameters:
            self.fields[self.PREFIX + parameter.name] = self._field(parameter)
        if getattr(operation, "page_size", 0):
            self.fields["page"] = self._text(_("page"), _("Empty: the first."), inputmode="numeric")
        if writes(operation):
            self.fields["confirm"] = forms.BooleanField(
                required=False, label=_("I know that this run writes into the data source")
            )

    def _field(self, parameter: Parameter) -> forms.Field:
        optional = _("may be left empty") if not parameter.required or parameter.default else ""
        default = gettext("default: %s") % parameter.default if parameter.default else ""
        parts = (parameter.get_type_display(), optional, default, parameter.description)
        # The theme shows a field's help as it is, and this one is a provider's own words.
        hint = escape(" · ".join(str(part) for part in parts if part))
        choices = {
            Parameter.Type.CHOICE: [
                (each.strip(), each.strip()) for each in parameter.choices.splitlines() if each.strip()
            ],
            Parameter.Type.BOOLEAN: [("true", gettext("yes")), ("false", gettext("no"))],
        }.get(Parameter.Type(parameter.type))
        if choices:
            widget = select([("", "---------"), *choices])
            return forms.CharField(required=False, label=parameter.name, help_text=hint, widget=widget, strip=False)
        kinds = {Parameter.Type.INTEGER: "numeric", Parameter.Type.DECIMAL: "decimal", Parameter.Type.NIK: "numeric"}
        attrs = {"inputmode": kinds.get(Parameter.Type(parameter.type), "text")}
        if parameter.type == Parameter.Type.DATE:
            attrs = {"placeholder": "2026-01-31"}
        elif parameter.type == Parameter.Type.DATETIME:
            attrs = {"placeholder": "2026-01-31T08:00:00"}
        return self._text(parameter.name, hint, **attrs)

    def _text(self, label: Any, hint: Any, **attrs: str) -> forms.CharField:
        # A person's number in it must not come back as the browser's suggestion.
        widget = text_input(autocomplete="off", **attrs)
        return forms.CharField(required=False, label=label, help_text=hint, widget=widget, strip=False)

    def pairs(self) -> list[tuple[str, str]]:
        """What was filled in, under the names that callers use."""
        return [
            (name.removeprefix(self.PREFIX), value)
            for name, value in self.cleaned_data.items()
            if name != "confirm" and value != ""
        ]


def writes(operation: Operation) -> bool:
    return bool(getattr(operation, "writes", False))


# ----------------------------------------------------------------------------------------- the run


@dataclass(slots=True)
class Shown:
    """What the panel shows of a result: at most SHOWN rows, in four dresses."""

    json: bytes = b""
    xml: bytes = b""
    #: The envelope of SOAP 1.1 that holds it; a fault where SOAP cannot tell it.
    soap: bytes = b""
    header: list[str] = field(default_factory=list)
    table: list[tuple[str | None, ...]] = field(default_factory=list)
    #: How many rows are shown; None where the result is no table.
    rows: int | None = None
    #: There are rows beyond those shown.
    more: bool = False
    #: Rows that a writing operation touched; -1 where the source does not say, None for other results.
    affected: int | None = None

    @property
    def json_text(self) -> str:
        return self.json.decode()

    @property
    def xml_text(self) -> str:
        return self.xml.decode()

    @property
    def soap_text(self) -> str:
        return self.soap.decode()


def run(operation: Operation, pairs: list[tuple[str, str]], request: HttpRequest) -> dict[str, Any]:
    """Run an operation as it is saved, and say what came of it: the context of the result's template."""
    snapshot.refresh()  # what was saved a moment ago, not what this worker read before
    call = Call(
        face="console",
        method="POST" if writes(operation) else "GET",
        address=client_ip(request.META),
        request_id=exchange.request_id(),
        format="json",
        supply=lambda call: list(pairs),
        agency=operation.service.agency.code,
        service=operation.service.code,
        code=operation.code,
        keyed=False,
        user=request.user.get_username(),
    )
    answer = serve(call)
    shown, fault = Shown(), None
    try:
        shown = show(answer.result, call)
    except Fault as met:
        fault = met
    except Exception:
        fault = unforeseen(call)
    if fault is not None:
        answer.fail(fault)
    try:
        answer.send(iter((shown.json,)))
    except Fault as met:  # what is not on record is not shown either
        shown, fault = Shown(), met
    if fault is not None:
        shown.soap = _soap_fault(fault, call)
    return {
        "call": call,
        "shown": shown,
        "soap_request": envelope.sample(call.operation, pairs) if call.operation else "",
        "fault": fault,
        "message": fault.message(get_language() or "id") if fault else "",
        "advice": advice(operation, fault) if fault else "",
        "milliseconds": round((time.perf_counter() - call.clock) * 1000),
    }


def advice(operation: Operation, fault: Fault) -> str:
    """What the author can do where the source failed, "" for other faults."""
    reason = fault.details.get("reason", "")
    return advise(reason, operation.source) if reason and isinstance(operation, DataOperation) else ""


def show(result: Result, call: Call) -> Shown:
    """The result as callers get it, cut to what the panel can hold. Raises Fault."""
    if isinstance(result, Fault):
        raise result
    if isinstance(result, Rows):
        return _rows(result, call)
    if isinstance(result, Affected):
        json, xml = (FORMATS[name].render_affected(result, call.code) for name in ("json", "xml"))
        return Shown(json, xml, _soap(result, call), affected=result.count)
    assert isinstance(result, Document)
    document = unwrapped(result)
    records = _records(document.value)
    header = list(dict.fromkeys(name for record in records[:SHOWN] for name in record))[:COLUMNS]
    return Shown(
        json=FORMATS["json"].render_document(document),
        xml=FORMATS["xml"].render_document(document),
        soap=_soap(document, call),
        header=header,
        table=[tuple(_cell(record.get(name)) for name in header) for record in records[:SHOWN]],
        rows=min(len(records), SHOWN) if records else None,
        more=len(records) > SHOWN,
    )


def _rows(result: Rows, call: Call) -> Shown:
    taken: list[Row] = []
    for batch in result.batches:
        taken += batch
        if len(taken) > SHOWN:
            break
    more = len(taken) > SHOWN or result.truncated or result.has_next
    taken = taken[:SHOWN]
    result.count = len(taken)

    def part() -> Rows:
        found = Rows(result.columns, iter((taken,)))
        found.truncated = more and not result.has_next
        return found

    columns = [
        text_column(values, column.type, TEXT)
        for values, column in zip(columns_of(taken), result.columns, strict=True)
    ] if taken else []  # fmt: skip
    return Shown(
        json=b"".join(FORMATS["json"].render(part(), call.code)),
        xml=b"".join(FORMATS["xml"].render(part(), call.code)),
        soap=_soap(part(), call),
        header=unique_names(result.columns),
        table=list(zip(*columns, strict=True)),
        rows=len(taken),
        more=more,
    )


def _soap(result: Result, call: Call) -> bytes:
    """The envelope in which a SOAP caller gets a result."""
    assert call.operation is not None
    try:
        return b"".join(chunks(Writer(call.operation, "1.1"), result))
    except Fault as untold:
        return _soap_fault(untold, call)


def _soap_fault(fault: Fault, call: Call) -> bytes:
    namespace = names.namespace(call.agency, call.service)
    return soap_fault.written(fault, "1.1", namespace, call.request_id, get_language() or "id")


def _records(value: Any, depth: int = 4) -> list[dict[str, Any]]:
    """The first list of objects in a document; without one, the outermost object that holds a plain value."""
    return _listed(value, depth) or _single(value, depth)


def _listed(value: Any, depth: int) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return value if value and all(isinstance(each, dict) for each in value) else []
    if not isinstance(value, dict) or not depth:
        return []
    return next((found for each in value.values() if (found := _listed(each, depth - 1))), [])


def _single(value: Any, depth: int) -> list[dict[str, Any]]:
    """What stands around an object is not cut off: it would be missing from the table without a word."""
    if not isinstance(value, dict) or not depth:
        return []
    if any(not isinstance(each, dict | list) for each in value.values()):
        return [value]
    return next((found for each in value.values() if (found := _single(each, depth - 1))), [])


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text = FORMATS["json"].render_document(Document(value)).decode()
    # A date is a text in JSON, and is shown as CSV writes it.
    return str(orjson.loads(text)) if text.startswith('"') else text


# ------------------------------------------------------------------------------------- the address

#: A value of each type, to write where a caller's own goes.
SAMPLES: dict[str, str] = {
    Parameter.Type.INTEGER: "1",
    Parameter.Type.DECIMAL: "1.5",
    Parameter.Type.BOOLEAN: "true",
    Parameter.Type.DATE: "2026-01-31",
    Parameter.Type.DATETIME: "2026-01-31T08:00:00",
    Parameter.Type.NIK: "3171234567890001",
    Parameter.Type.NPWP: "012345678901234",
}


def sample(parameter: Parameter) -> str:
    """A value to show a parameter with: its default, its first choice, its least, or one of its type."""
    first = next((line.strip() for line in parameter.choices.splitlines() if line.strip()), "")
    return parameter.default or first or parameter.min or SAMPLES.get(parameter.type, gettext("value"))


def is_passage(operation: Operation) -> bool:
    return isinstance(operation, ProxyOperation) and operation.style == ProxyOperation.Style.AS_IS


def calling(operation: Operation, parameters: list[Parameter], request: HttpRequest) -> dict[str, Any]:
    """How callers call an operation: the context of that part of the form."""
    base = settings.BASE_URL or f"{request.scheme}://{request.get_host()}"
    codes = (operation.service.agency.code, operation.service.code, operation.code)
    passes = is_passage(operation)
    url = f"{base}/rest/{'/'.join(quote(code) for code in codes)}{'' if passes else '.json'}"
    wsdl = f"{base}/soap/{'/'.join(quote(code) for code in codes[:2])}?wsdl"
    query = urlencode({each.name: sample(each) for each in parameters}, safe=":")
    words = ["curl"]
    if operation.access != Operation.Access.OPEN:
        words += ["-H", "AccessKey: mtr_…"]
    if writes(operation):
        words += ["-X", "POST", *(("-d", query) if query else ()), url]
    else:
        words.append(f"{url}?{query}" if query else url)
    return {
        "url": url,
        #: Operations that hand requests on as they are convert nothing, and stand in no WSDL.
        "passes": passes,
        "wsdl": wsdl,
        "suffixes": [f".{name}" for name in FORMATS],
        # Always in quotes: what callers put in the place of a sample may need them.
        "curl": " ".join(word if word.startswith("-") or word.isalnum() else quoted(word) for word in words),
        "draft": operation.state == Operation.State.DRAFT,
        "retired": operation.state == Operation.State.RETIRED,
    }


def quoted(word: str) -> str:
    found = shlex.quote(word)
    return found if found != word else f"'{word}'"


# ---------------------------------------------------------------------------------------- the page


def find(request: HttpRequest, operation_id: int) -> Operation:
    """The operation with all of its kind, if the user may see it. Raises Http404."""
    kind = Operation.objects.filter(pk=operation_id).values_list("kind", flat=True).first()
    if kind not in KINDS:
        raise Http404
    page = admin.site.get_model_admin(KINDS[kind])
    found = page.get_object(request, str(operation_id))
    if found is None or not page.has_view_permission(request, found):
        raise Http404
    operation: Operation = found
    return operation


def try_operation(request: HttpRequest, operation_id: int) -> HttpResponse:
    """GET: the form. POST: run the operation and show what came of it. htmx asks for the part alone."""
    operation = find(request, operation_id)
    page = admin.site.get_model_admin(type(operation))
    context: dict[str, Any] = {"operation": operation, "address": reverse("try_operation", args=(operation_id,))}
    context["writes"] = writes(operation)
    # What an operation answers may be personal data: watching over its definition is no reason to see it.
    context["allowed"] = page.has_change_permission(request, operation)
    posted = request.method == "POST"
    parameters = list(operation.parameters.all())
    form = TryForm(operation, parameters, request.POST if posted else None)
    context["calling"] = calling(operation, parameters, request)
    if posted:
        if not context["allowed"]:
            raise PermissionDenied
        form.is_valid()
        if context["writes"] and not form.cleaned_data.get("confirm"):
            context["unconfirmed"] = True
        else:
            context |= run(operation, form.pairs(), request)
    context["form"] = form
    if request.headers.get("HX-Request"):
        template = "mantra/try_result.html" if posted else "mantra/try_form.html"
    else:
        template = "mantra/try_page.html"
        context |= admin.site.each_context(request) | {"title": _("Try"), "opts": operation._meta}
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
