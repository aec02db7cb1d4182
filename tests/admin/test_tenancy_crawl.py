"""Every address of Django's, visited by each role of a strange agency: none shows or changes anything of the other one.

The addresses come from the URL resolver. One that is neither visited nor excused fails the test, so that a new page is
looked at by it from its first day. The name of an agency is public; the mark is in everything else that it has.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from django.apps import apps
from django.core import serializers
from django.db.models import ForeignKey, Model
from django.forms import BaseForm, BaseFormSet, ChoiceField, ModelChoiceField
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from dataservices.models import WizardDraft
from mantra.jobs.models import Job
from mantra.legacy_import.models import HostComparison, LegacyImport
from mantra.reconciliation.models import Reconciliation
from registry.journal import heads
from registry.models import (
    Agency,
    CallRecord,
    ExportJob,
    Incident,
    KeyNetwork,
    Notification,
    Operation,
    SavedFilter,
    Stop,
    StopKind,
)
from registry.stop_targets import MODELS
from tests.admin.conftest import MARKER, MarkedAgency, SignIn

ROLES = ("Head", "Provider", "Publisher", "Requester", "")
#: The code of the agency, which is public.
PUBLIC = "terbuka"
#: Finds the mark without holding it.
TERM = MARKER[:5]
OURS = (
    "registry",
    "dataservices",
    "proxyservices",
    "verification",
    "jobs",
    "reconciliation",
    "synchronization",
    "legacy_import",
)
#: What changes by itself while somebody visits pages.
MOVING = {"registry.snapshotversion", "registry.registrychange", "registry.callgroup", "registry.fact"}

#: Addresses that no row of an agency belongs to, with what they need in place of it, or why they are not visited.
FIXED: dict[str, list[dict[str, str]]] = {
    "help/<name>/": [{"name": "penyedia"}],
    "catalog/unduh/<file>": [{"file": "x"}],
    "admin/notifications/templates/<event>/<language>/": [{"event": "grant_ending", "language": "id"}],
    ".well-known/mantra/heads/<serial>": [{"serial": "1"}],
    "account/sso/<provider_id>/login/": [{"provider_id": "sso"}],
    "account/sso/<provider_id>/callback/": [{"provider_id": "sso"}],
}
EXCUSED = {
    "account/password/new/<uidb36>-<key>/": "opens with a secret of the link only; tests/people has its tests",
    "account/invitation/<token>/": "opens with a secret of the link only; tests/people has its tests",
    "account/second-factor/passkeys/<pk>/remove/": "a passkey needs a device; allauth looks among the user's own",
    "admin/<url>": "no page: all other addresses of the admin",
    "admin/logout/": "ends the session of the walk; it shows no row",
    "admin/r/<content_type_id>/<object_id>/": "Django's redirect to a row's page on the site; ours have none",
    "manage/api/v1/docs/": "the page of Swagger UI; it shows what schema/ has, which is visited",
}


@dataclass(frozen=True)
class Page:
    """An address of the resolver: its parts in <>, and the model whose row it names."""

    route: str
    model: type[Model] | None

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"<(\w+)>", self.route)

    def address(self, values: dict[str, str]) -> str:
        return "/" + re.sub(r"<(\w+)>", lambda part: values[part[1]], self.route)


def pages() -> Iterator[Page]:
    def walk(resolver: Any, before: str) -> Iterator[tuple[str, Any]]:
        for pattern in resolver.url_patterns:
            route = before + str(pattern.pattern)
            yield from walk(pattern, route) if isinstance(pattern, URLResolver) else [(route, pattern)]

    for raw, pattern in walk(get_resolver(), ""):
        route = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", raw)
        route = re.sub(r"<\w+:(\w+)>", r"<\1>", route)
        route = re.sub(r"\\Z|[$^]", "", route).replace("\\.", ".")
        model = None
        if found := re.match(r"admin/(\w+)/(\w+)/<(?:object_id|id)>", route):
            model = apps.get_model(found[1], found[2])
        elif route.startswith("manage/api/v1/") and "<pk>" in route:
            model = pattern.callback.cls.queryset.model
        yield Page(route, model)


@dataclass
class Walked:
    """The marked agency, with a row of each kind that its pages do not make."""

    marked: MarkedAgency
    job: Job
    export: ExportJob
    draft: WizardDraft
    saved: SavedFilter

    def rows(self, model: type[Model]) -> list[str]:
        """Return the keys of its rows of a kind, as addresses name them."""
        found = [row for row in self.marked.rows if isinstance(row, model)]
        return [str(row.pk) for row in found]

    def values(self, page: Page) -> Iterator[dict[str, str]]:
        """Yield what the parts of an address may be. Nothing for an address that nobody has thought of."""
        if page.route in FIXED:
            yield from FIXED[page.route]
            return
        if page.model is not None:
            keys = self.rows(page.model) or [str(row.pk) for row in page.model._default_manager.all()[:1]]
            yield from ({"object_id": key, "pk": key, "id": key, "number": "1"} for key in keys)
            return
        known = self._known(page.route)
        if page.route.startswith("admin/containment/stop/"):
            yield from ({"kind": kind, "ref": ref} for kind in StopKind.values for ref in self._stoppable(kind))
            return
        if all(name in known for name in page.parameters):
            for chosen in product(*(known[name] for name in page.parameters)):
                yield dict(zip(page.parameters, chosen, strict=True))

    def _stoppable(self, kind: str) -> list[str]:
        """Return the ids of its objects of a kind of stop."""
        return self.rows(apps.get_model(MODELS[StopKind(kind)])) if kind != StopKind.ALL else ["0"]

    def _known(self, route: str) -> dict[str, list[str]]:
        marked, operations = self.marked, [str(self.marked.operation.pk), str(self.marked.proxy.pk)]
        by_code = not route.startswith("admin/statistics/") or "<operation>" not in route
        pk = {
            "admin/exports/": [str(self.export.pk)],
            "admin/reconciliations/": [str(row.pk) for row in Reconciliation.objects.all()],
            "admin/moving-in/comparisons/": [str(row.pk) for row in HostComparison.objects.all()],
            "admin/moving-in/": [str(row.pk) for row in LegacyImport.objects.all()],
            "admin/notifications/": [str(row.pk) for row in Notification.objects.all()],
            "admin/registry/callrecord/": [str(self.saved.pk)],
            "admin/containment/stops/": [str(row.pk) for row in Stop.objects.all()],
            "admin/containment/incidents/": [str(row.pk) for row in Incident.objects.all()],
            "admin/keys/": [str(marked.key.pk)],
        }
        return {
            "agency": [PUBLIC] if "uploadedtable" not in route else [str(marked.agency.pk)],
            "provider": [PUBLIC],
            "consumer": [PUBLIC],
            "service": [marked.service.code],
            "operation": [marked.operation.code, marked.proxy.code] if by_code else operations,
            "operation_id": operations,
            "table_id": [str(row.pk) for row in marked.rows if row._meta.model_name == "uploadedtable"],
            "application": [str(marked.application.pk)],
            "backend": [str(row.pk) for row in marked.rows if row._meta.model_name == "backend"],
            "source": [str(marked.source.pk)],
            "key": [str(self.draft.key)] if route.startswith("admin/publish/") else [],
            "token": ["a" * 32],  # of a file that somebody of the agency has uploaded
            "network": [str(row.pk) for row in KeyNetwork.objects.all()],
            "number": ["1", "2", "3", "4"] if route.startswith("admin/publish/") else [self.job.request_id],
            "action": ["pause", "cancel", "delete"],
            "file_format": ["csv", "xlsx"],
            "kind": ["agency", "application", "operation", "service"],
            "app_label": list(OURS[:4]),
        } | next(({"pk": keys} for start, keys in pk.items() if route.startswith(start)), {})  # fmt: skip


@pytest.fixture
def walked(marked: MarkedAgency) -> Walked:
    """The marked agency under a public code."""
    Agency.objects.filter(pk=marked.agency.pk).update(code=PUBLIC, name="Badan Terbuka", email="")
    CallRecord.objects.update(agency=PUBLIC, consumer_agency=PUBLIC)
    marked.agency.refresh_from_db()
    report = {"columns": {MARKER: MARKER}, "ignored": [MARKER], "invalid": [[7, MARKER, MARKER, MARKER]]}
    job = Job.objects.create(
        application=marked.application, operation=Operation.objects.get(pk=marked.operation.pk), user=marked.user,
        language="id", input_format="csv", file_name=f"{MARKER}.csv", state="paused", problem="check",
        problem_detail="1", rows=9, checked=9, report=report,
    )  # fmt: skip
    export = ExportJob.objects.create(
        user=marked.user, kind="history", format="csv", language="id", state="done", parameters={"query": MARKER}
    )
    draft = WizardDraft.objects.create(owner=marked.user, source=marked.source)
    saved = SavedFilter.objects.create(user=marked.user, name=f"Saringan {MARKER}", query=f"q={MARKER}")
    (head,) = heads.make_due(timezone.now())
    assert [{"serial": str(head.serial)}] == FIXED[".well-known/mantra/heads/<serial>"]
    return Walked(marked, job, export, draft, saved)


def test_each_address_is_visited_or_excused(walked: Walked) -> None:
    routes = {page.route: page for page in pages()}
    visited = {route for route, page in routes.items() if list(walked.values(page)) and route not in EXCUSED}
    assert set(routes) - visited - set(EXCUSED) == set(), "neither visited nor excused"
    assert set(EXCUSED) | set(FIXED) <= set(routes), "excused, but no longer there"
    assert len(visited) > 250


# ---------------------------------------------------------------------------------------- what comes back


def _text(response: Any) -> str:
    """Return all of a response: headers, body, and what is in a workbook or archive."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    parts = [body]
    if body.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            parts += [archive.read(name) for name in archive.namelist()]
    headers = "".join(f"{name}: {value}\n" for name, value in response.items())
    return headers + b"".join(parts).decode(errors="replace")


def _leak(response: Any, sent: tuple[str, ...]) -> str:
    """Return the place of the mark in a response, "" if there is none but in what the visitor had sent."""
    text = _text(response)
    for own in sorted(sent, key=len, reverse=True):
        for form in (own, quote(own, safe="/"), quote(own, safe=""), own.replace("&", "&amp;")):
            text = text.replace(form, "")
    at = text.lower().find(MARKER)
    return text[max(0, at - 80) : at + 80] if at >= 0 else ""


def _everything() -> dict[tuple[str, Any], str]:
    """Return each row of ours as text, by its model and key."""
    found = {}
    for label in OURS:
        for model in apps.get_app_config(label).get_models():
            if model._meta.label_lower not in MOVING:
                for row in model._default_manager.all():
                    found[(model._meta.label_lower, row.pk)] = serializers.serialize("json", [row])
    return found


def _refer(rows: dict[tuple[str, Any], str], walked: Walked) -> list[str]:
    """Return those of the rows that refer to one of the marked agency's, or have its mark."""
    theirs = {(type(row)._meta.label_lower, row.pk) for row in walked.marked.rows}
    theirs |= {("registry.operation", row.pk) for row in walked.marked.rows if isinstance(row, Operation)}
    wrong = []
    for (label, key), text in rows.items():
        row = apps.get_model(label)._base_manager.get(pk=key)
        for field in row._meta.concrete_fields:
            if isinstance(field, ForeignKey):
                related = field.related_model._meta.label_lower  # type: ignore[union-attr]
                if (related, getattr(row, field.attname)) in theirs and related != "registry.agency":
                    wrong.append(f"{label} {key}: {field.name}")
        if MARKER in text:
            wrong.append(f"{label} {key}: the mark")
    return wrong


# ----------------------------------------------------------------------------------------------- what is sent


def _queries(route: str) -> list[str]:
    """Return the queries of a visit: searches, filters and orders by columns that are not shown."""
    hidden = "agency__name,service__agency__name,operation__sql,password,user__password,application__accesskey__digest"
    found = ["", f"?q={TERM}&all=&o=1.-2&term={TERM}&s={TERM}&extended=1&search={TERM}&ordering={hidden}"]
    if route.endswith("/") and "<" not in route:
        found.append(f"?agency={PUBLIC}&agency__code__startswith={TERM[:2]}&format=csv")
        found.append("?id__exact=1&agency__id__exact=1&service__id__exact=1&application__id__exact=1")
    return found


def _form(response: Any, walked: Walked) -> dict[str, Any]:
    """Return what a form could be sent with: a row of the marked agency wherever a row is chosen."""
    contexts = response.context if isinstance(response.context, list) else [response.context or {}]
    layers = [layer for part in contexts for layer in getattr(part, "dicts", [part])]
    data: dict[str, Any] = {}
    forms = [value for layer in layers for value in layer.values()]
    forms = [getattr(each, "form", each) for each in forms]
    for form in forms:
        for each in list(form) if isinstance(form, BaseFormSet) else [form]:
            if not isinstance(each, BaseForm):
                continue
            for name, field in each.fields.items():
                if isinstance(field, ModelChoiceField):
                    keys = walked.rows(field.queryset.model)  # type: ignore[union-attr]
                    value = keys[0] if keys else "1"
                elif isinstance(field, ChoiceField):
                    value = next((str(code) for code, _word in field.choices if code), "")  # type: ignore[misc,union-attr]
                else:
                    value = str(each.get_initial_for_field(field, name) or "1")
                data[each.add_prefix(name)] = value
    return data


def _blind(walked: Walked) -> dict[str, Any]:
    """Return what buttons and dialogs send, with keys of the marked agency."""
    marked = walked.marked
    named = ("operation", "source", "application", "service", "agency", "key", "grant")
    keys = {name: getattr(marked, name).pk for name in named}
    selected = [str(row.pk) for row in marked.rows]
    return {
        **{name: str(key) for name, key in keys.items()}, "post": "yes", "confirm": "yes", "reason": "Uji",
        "step": "approve", "decision": "approve", "kind": "file", "schedule": "off", "name": "baru",
        "code": "baru", "title": "Baru", "action": "delete_selected", "_selected_action": selected,
        "select_across": "1", "sql": "SELECT 1 AS a",
    }  # fmt: skip


def _document(walked: Walked) -> dict[str, Any]:
    """Return what the management API could be sent, with addresses of the marked agency."""
    marked = walked.marked
    service = f"{PUBLIC}/{marked.service.code}"
    return {
        "agency": PUBLIC, "service": service, "operation": f"{service}/{marked.operation.code}",
        "base": f"{service}/{MARKER}-dasar", "source": f"{PUBLIC}/{marked.source.code}", "engine": "sqlite",
        "application": f"{PUBLIC}/{marked.application.code}", "database": "x", "kind": "data", "state": "published",
        "code": "baru", "title": "Baru", "purpose": "Uji", "reason": "Uji", "sql": "SELECT 1 AS a", "name": "baru",
    }  # fmt: skip


def _described(client: Client, page: Page, values: dict[str, str]) -> Iterator[str]:
    """Yield what OPTIONS tells of a row that is not told of one that does not exist."""
    told = [client.options(page.address(of)) for of in (values, dict.fromkeys(values, "987654"))]
    if told[0].status_code != told[1].status_code or told[0].content != told[1].content:
        yield f"OPTIONS {page.route} {values}: {told[0].status_code}, of no row {told[1].status_code}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "no role")
def test_a_stranger_sees_and_changes_nothing(role: str, sign_in: SignIn, stranger: Agency, walked: Walked) -> None:
    client = sign_in(role or "Requester", stranger, username=f"orang-{role or 'tanpa'}".lower())
    client.raise_request_exception = False
    assert client.get("/.well-known/mantra/heads/1").status_code == 200
    if not role:
        client.session.flush()
        client = Client(raise_request_exception=False)  # nobody who is signed in
    before, visits = _everything(), 0
    wrong: list[str] = []
    document = _document(walked)
    sent_texts = tuple(str(value) for value in document.values() if MARKER in str(value))
    for page in pages():
        if page.route in EXCUSED:
            continue
        api = page.route.startswith("manage/api/")
        for values in walked.values(page):
            address = page.address(values)
            answers = [(f"GET {query}", client.get(address + query)) for query in _queries(page.route)]
            shown = answers[0][1]
            answers.append(("GET htmx", client.get(address + "?part=further", headers={"HX-Request": "true"})))
            if api:
                body = orjson.dumps(document)
                for method in ("POST", "PUT", "PATCH", "DELETE"):
                    answers.append((method, client.generic(method, address, body, content_type="application/json")))
                wrong += _described(client, page, values)
            elif "login" not in page.route and page.route != "i18n/setlang/":
                for data in (_form(shown, walked), _blind(walked)):
                    answers.append(("POST", client.post(address, data)))
            visits += len(answers)
            for how, response in answers:
                if response.status_code >= 500:
                    wrong.append(f"{how} {address}: {response.status_code}")
                if place := _leak(response, (address, *sent_texts)):
                    wrong.append(f"{how} {address}: {response.status_code} …{place}…")
                # A row's own page is refused, whatever is sent there.
                own = page.model is not None and page.model is not Agency
                if own and response.status_code not in (301, 302, 400, 401, 403, 404, 405, 415):
                    wrong.append(f"{how} {address}: {response.status_code}")
    after = _everything()
    changed = [f"changed: {key}" for key, text in before.items() if after.get(key) != text]
    new = {key: text for key, text in after.items() if key not in before}
    assert not wrong, f"{len(wrong)} of {visits}\n" + "\n".join(dict.fromkeys(wrong))
    assert not changed, "\n".join(changed)
    assert not _refer(new, walked)
    assert visits > 1000
