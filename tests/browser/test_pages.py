"""Every page of the admin, at a desk and on a phone, light and dark: people can read and use it, and it stays home."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from mantra.jobs.models import Job
from mantra.legacy_import.models import HostComparison, LegacyImport
from mantra.reconciliation.models import Reconciliation
from mantra.status import page as status_page
from mantra.status.cache import StatusCache
from registry.models import (
    AccessRequest,
    CallRecord,
    ChangeRecord,
    GuardFinding,
    HarvestAlarm,
    HarvestRule,
    Operation,
    OutboxMessage,
    PublishRequest,
    RoleRule,
)
from registry.people import invitations
from registry.statistics import rollups
from tests import cast as cast_module
from tests.admin.conftest import OF_THE_BUS, MarkedAgency, make_agency
from tests.browser.pages import SIZES, Troubles, accessibility, fits, new_page, person, signed_in, unreadable, wait_for
from tests.ended_calls import ended_call

#: Size and colours of each visit → the rules that it checks. What they do not change is checked once.
VISITS: dict[tuple[str, str], tuple[str, ...]] = {
    ("desktop", "light"): (),
    ("phone", "dark"): ("color-contrast", "link-in-text-block", "scrollable-region-focusable"),
}


#: The list of all pages, which is on each of them, and the pages on which it is looked at: one that it names, one not.
MENU = "#nav-sidebar"
WITH_MENU = ("admin:index", "admin:registry_service_changelist")

#: The request id of a call that was refused.
REFUSED = "0" * 32


def _name(model: type[Model], view: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}"


def _of_models(marked: MarkedAgency) -> Iterator[str]:
    """Yield the addresses of each model's list, its form for a new row, and a row's page."""
    for row in marked.rows:
        yield reverse(_name(type(row), "changelist"))
        # Nobody adds these.
        if type(row) not in (
            AccessRequest,
            CallRecord,
            ChangeRecord,
            GuardFinding,
            HarvestAlarm,
            Operation,
            OutboxMessage,
            PublishRequest,
        ):
            yield reverse(_name(type(row), "add"))
        yield reverse(_name(type(row), "change"), args=(row.pk,))
    assert {type(row) for row in marked.rows} == set(admin.site._registry) - OF_THE_BUS


def _special(marked: MarkedAgency, cast: cast_module.Cast) -> Iterator[str]:
    """Yield the addresses of the other pages, and of rows with more on them, but for those of test_access_story.py."""
    yield reverse("admin:index")
    yield reverse("admin:registry_rolerule_changelist")
    yield reverse("admin:registry_rolerule_change", args=(RoleRule.objects.order_by("pk")[0].pk,))
    for page in ("account_change_password", "mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "own_sessions"):
        yield reverse(page)
    for engine in ("sqlite", "postgresql", "oracle"):
        yield reverse("admin:dataservices_datasource_add") + f"?engine={engine}"
    for part in ("callers", "calls"):
        yield reverse(f"admin:dataservices_dataoperation_{part}", args=(cast.operations["satu"].pk,))
    yield reverse("admin:registry_service_history", args=(marked.service.pk,))
    yield reverse("admin:registry_service_delete", args=(marked.service.pk,))
    yield reverse("admin:proxyservices_proxyoperation_import")
    yield reverse("admin:proxyservices_proxyoperation_samples", args=(marked.proxy.pk,))
    for view in ("live", "change-address"):
        yield reverse(f"admin:proxyservices_backend_{view}", args=(marked.proxy.backend_id,))
    yield reverse("request_access", args=("prov", "data", "satu"))
    yield reverse("verification_choose")
    yield reverse("verification_propose", args=(cast.operations["satu"].pk,))
    yield reverse("health_board")
    yield reverse("statistics")
    yield reverse("statistics_matrix")
    yield reverse("subject_access")
    yield reverse("leaked_key")
    yield reverse("key_use", args=(marked.key.pk,))
    yield reverse("reconciliations")
    yield reverse("reconciliation", args=(Reconciliation.objects.get().pk,))
    yield reverse("moving_in")
    yield reverse("moving_in_new")
    yield reverse("moving_in_new") + "?from=server"
    yield reverse("moving_in_run", args=(LegacyImport.objects.get().pk,))
    yield reverse("moving_in_compare", args=(LegacyImport.objects.get().pk,))
    yield reverse("moving_in_comparison", args=(HostComparison.objects.order_by("-pk")[0].pk,))
    yield reverse("moving_in_calls")
    yield reverse("containment")
    yield reverse("containment_stop_new", args=("all", 0))
    yield reverse("incident_new")
    yield reverse("jobs")
    yield reverse("job", args=(_job(cast).request_id,))
    yield reverse("exports")
    yield reverse("export_history") + "?outcome_is=failed"
    yield reverse("notification_choices")
    yield reverse("admin:registry_harvestrule_past", args=(HarvestRule.objects.order_by("pk")[0].pk,))
    yield reverse("message_templates")
    yield reverse("message_template", args=("grant_ending", "id"))
    yield reverse("test_mail")
    yield reverse("why_refused") + f"?id={REFUSED}"
    yield reverse("server")
    yield reverse("help")
    yield reverse("help_guide", args=("penyedia",))
    yield reverse("catalogue") + "?q=data&format=csv"
    yield reverse("catalogue_agency", args=("prov",))
    yield reverse("catalogue_service", args=("prov", "data"))
    yield reverse("admin:dataservices_datasource_inside", args=(cast.source.pk,)) + "?schema=main&table=orang"
    operation = cast.operations["cari"]
    yield reverse("try_operation", args=(operation.pk,))
    yield reverse("admin:dataservices_dataoperation_change", args=(operation.pk,))
    yield reverse("admin:dataservices_dataoperation_versions", args=(operation.pk,))
    yield reverse("compare_answers", args=(operation.pk,))


def _job(cast: cast_module.Cast, **more: Any) -> Job:
    """A job that waits for a decision about rows with errors."""
    report = {"columns": {"id": "No. ID"}, "ignored": ["Nama"], "invalid": [[7, "id", "harus bilangan", "no number"]]}
    values = {
        "application": cast.application, "operation": cast.operations["satu"], "language": "id", "input_format": "csv",
        "file_name": "daftar.csv", "state": "paused", "problem": "check", "problem_detail": "1", "rows": 9,
        "checked": 9, "duplicates": 2, "report": report,
    }  # fmt: skip
    return Job.objects.create(**values | more)


def _to_start_a_job(cast: cast_module.Cast) -> Iterator[str]:
    """Yield the addresses of the pages on which a user of the calling agency starts a job."""
    yield reverse("job_choice")
    yield reverse("job_new", args=(cast.operations["satu"].pk,))
    report = {"header": ["No. ID", "Nama"], "columns": {}}
    yield reverse("job", args=(_job(cast, problem="columns-missing", rows=None, report=report).request_id,))


def _status_page() -> bytes:
    """Return the status page, which is served beside Django."""
    Operation.objects.filter(code="satu").update(listing="public", state="deprecated", sunset=timezone.localdate())
    return status_page.render(status_page.PAGE, "id", StatusCache().read(), ("disturbed", timezone.now()))


def _help(page: Page) -> Iterator[str]:
    """Yield what is wrong with the way from a page to its help."""
    links = page.locator("a[href^='/help/']:visible")
    if not links.count():
        yield "no link to the help"
        return
    box = links.first.bounding_box()
    if box is None or box["x"] < 0 or box["x"] + box["width"] > page.viewport_size["width"]:  # type: ignore[index]
        yield f"the link to the help is beside the screen: {box}"
    if not (links.first.get_attribute("aria-label") or links.first.inner_text()).strip():
        yield "the link to the help has no name"


def _visit(page: Page, address: str, wrong: list[str]) -> None:
    """Open a page at each of VISITS."""
    page.goto(address, wait_until="load")
    wait_for(page, "!document.querySelector('.htmx-request')")
    for tab in page.locator("[data-tabs=page] [role=tab]").all()[1:]:
        tab.click()
        wait_for(page, "!document.querySelector('.htmx-request')")
        wrong += [f"{address} {tab.inner_text()}: {line}" for line in accessibility(page, within="[role=tabpanel]")]
    wrong += [f"{address}: {line}" for line in unreadable(page)]
    for (size, scheme), rules in VISITS.items():
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        # The form for a new row has the colours of that for an old one.
        if not (rules and address.endswith("/add/")):
            without = "" if address in map(reverse, WITH_MENU) else MENU
            wrong += [f"{address} {size} {scheme}: {line}" for line in accessibility(page, rules, without=without)]
        if not fits(page):
            wrong.append(f"{address} {size}: wider than the screen")
        wrong += [f"{address} {size}: {line}" for line in _help(page)]


def _click_a_chart(page: Page) -> None:
    """Open the statistics and click the point of today: its calls are shown. The table is closed until it is wanted."""
    page.set_viewport_size({"width": 1366, "height": 768})
    page.goto(reverse("statistics"), wait_until="load")
    chart = page.locator("[data-chart=chart-time-0] canvas")
    expect(page.locator("#table-time")).to_be_hidden()
    box = chart.bounding_box()
    assert box is not None
    chart.click(position={"x": box["width"] - 20, "y": box["height"] / 2})
    expect(page).to_have_url(re.compile(r"/registry/callrecord/\?started_at__gte="))


@pytest.mark.timeout(900)  # some hundred pages, two minutes on a machine with nothing else to do
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_every_page_can_be_read_and_used(browser: Browser, live_server: LiveServer) -> None:
    cast, marked = cast_module.assemble(), make_agency("zamrud")
    cast_module.call("/rest/prov/data/semua", accesskey=cast.key)
    rollups.count([ended_call(classification="personal"), ended_call(outcome=11101, status=400)])
    refused = {"protocol": "rest", "method": "GET", "outcome": 11005, "status": 403, "started_at": timezone.now()}
    CallRecord.objects.create(request_id=REFUSED, agency="prov", consumer_agency="kons", application="app", **refused)
    user = person("pengurus", "Administrator")
    marked.token.user = user
    marked.token.save()
    page = new_page(browser, live_server.url)
    troubles = Troubles(page, live_server.url)
    troubles.expected.append("/request")  # administrators have no agency, and are told so with 403
    wrong: list[str] = []
    _invitation, token = invitations.issue(person("baru", "Provider", marked.agency), user)
    status = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": status_page.POLICY}
    page.route("**/status/", lambda route: route.fulfill(body=_status_page(), headers=status))
    for address in (
        reverse("account_login"), reverse("account_reset_password"), reverse("invitation", args=(token,)), "/status/",
    ):  # fmt: skip
        _visit(page, address, wrong)
    signed_in(page.context, user, live_server.url)
    for address in dict.fromkeys([*_of_models(marked), *_special(marked, cast)]):
        _visit(page, address, wrong)
    _click_a_chart(page)
    signed_in(page.context, person("pemohon-akses", "Requester", marked.agency), live_server.url)
    _visit(page, reverse("admin:index"), wrong)
    signed_in(page.context, person("pengirim-daftar", "Requester", cast.consumer), live_server.url)
    for address in _to_start_a_job(cast):
        _visit(page, address, wrong)
    page.context.close()
    found = [*wrong, *troubles]
    assert not found, "\n".join(found)
