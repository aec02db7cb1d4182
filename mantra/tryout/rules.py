"""Why a call was refused or failed: the rule that decided, in a sentence, and what to do about it, with links.

A sentence tells what its viewer may know: dates, networks and the like come from rows that tenancy shows to the viewer.
Without such a row the sentence names the rule only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.gateway.admission import within
from mantra.health import board as health_board
from mantra.home.cards import Link, address
from registry import faults, requests, tenancy
from registry.models import AccessKey, Application, Grant, Operation, User, names, networks
from registry.moments import day, moment
from registry.results import FaultKind

Links = tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The rule that decided, the sentence about this call, and what to do."""

    rule: str
    sentence: str
    advice: str = ""
    links: Links = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A call that was refused or failed, as its viewer may know it. Rows that the viewer may not see are None."""

    viewer: User
    kind: FaultKind
    #: The fault's message in the viewer's language.
    message: str
    request_id: str
    #: The caller's address.
    client_ip: str
    #: Codes of agency, service and operation; empty ones where the address names none.
    path: tuple[str, str, str]
    #: The caller as agency/application, "" if the key did not tell.
    caller: str
    #: When the call was made. Rows may have changed since: they explain it only where they fit.
    at: datetime
    operation: Operation | None = None
    application: Application | None = None
    grant: Grant | None = None
    key: AccessKey | None = None
    #: When the quota's window ends.
    resets_at: datetime | None = None

    @property
    def alias(self) -> str:
        return "/".join(self.path)

    @property
    def caller_name(self) -> str:
        return self.caller or _("the calling application")

    @property
    def today(self) -> date:
        """The day of the call."""
        return timezone.localdate(self.at)

    def was_outside(self, listed: str) -> bool:
        """Return True if the caller's address is outside of these networks."""
        return is_outside(listed, self.client_ip)

    @property
    def is_consumer(self) -> bool:
        """True if the viewer is of the calling application's agency."""
        agency = self.viewer.agency
        return agency is not None and agency.code.lower() == self.caller.partition("/")[0].lower()


def explain(case: Case) -> Explanation:
    """Return why the call was refused or failed."""
    rule = RULES.get(case.kind.code)
    if rule is not None:
        return rule(case)
    return _PARTIES[case.kind.party](case)


# ------------------------------------------------------------------------------------------- words


def joined(text: str) -> str:
    """Return a list of names or networks as a sentence has it."""
    return ", ".join(names(text))


def key_expired(key: AccessKey) -> str:
    assert key.expires_at is not None
    words = {"key": key.public, "moment": moment(key.expires_at)}
    return _("The access key %(key)s expired on %(moment)s.") % words


def key_network(key: AccessKey, client_ip: str) -> str:
    words = {"key": key.public, "networks": joined(key.networks), "address": client_ip}
    return _("The access key %(key)s may be used from %(networks)s only, not from %(address)s.") % words


def key_unsigned(key: AccessKey) -> str:
    words = {"key": key.public, "application": str(key.application)}
    return _("The access key %(key)s is refused: %(application)s may send signed requests only.") % words


def key_of_another(key: AccessKey) -> str:
    words = {"key": key.public, "operation": str(key.operation)}
    return _("The access key %(key)s is for the operation %(operation)s only.") % words


def grant_missing(caller: str, alias: str) -> str:
    words = {"application": caller, "operation": alias}
    return _("There is no grant with which %(application)s may call %(operation)s.") % words


def grant_revoked(grant: Grant) -> str:
    words = {"application": str(grant.application), "operation": str(grant.operation)}
    return _("The grant with which %(application)s could call %(operation)s is revoked.") % words


def grant_ended(grant: Grant) -> str:
    words = {"application": str(grant.application), "operation": str(grant.operation), "day": day(grant.valid_until)}
    return _("The grant of %(application)s for %(operation)s was valid until %(day)s.") % words


def grant_not_begun(grant: Grant) -> str:
    words = {"application": str(grant.application), "operation": str(grant.operation), "day": day(grant.valid_from)}
    return _("The grant of %(application)s for %(operation)s is valid from %(day)s on.") % words


def grant_network(grant: Grant, client_ip: str) -> str:
    words = {
        "application": str(grant.application),
        "operation": str(grant.operation),
        "networks": joined(grant.networks),
        "address": client_ip,
    }
    return (
        _("The grant of %(application)s for %(operation)s is valid from %(networks)s only, not from %(address)s.")
        % words
    )


def is_outside(listed: str, client_ip: str) -> bool:
    """Return True if networks are listed and the caller is in none of them."""
    return bool(client_ip and names(listed)) and not within(client_ip, tuple(networks(listed)))


# ------------------------------------------------------------------------------------------- links


def page(label: str, name: str, *arguments: Any, query: str = "") -> Links:
    """Return a link to a page by its name; none where this installation has no such page."""
    found = address(name, *arguments)
    return (Link(label, found + query),) if found else ()


def row_page(viewer: User, label: str, row: Model | None) -> Links:
    """Return a link to a row's page in the admin, if there is a row and the viewer may open it."""
    if row is None or not viewer.has_perm(f"{row._meta.app_label}.view_{row._meta.model_name}"):
        return ()
    return page(label, f"admin:{row._meta.app_label}_{row._meta.model_name}_change", row.pk)


def key_label() -> str:
    return _("Open the access key")


def grant_label() -> str:
    return _("Open the grant")


def key_pages(viewer: User, application: Application | None, key: AccessKey | None = None) -> Links:
    """Return links to a key, and to the form that issues another one."""
    found = row_page(viewer, key_label(), key)
    if application is None:
        return found
    query = f"?application__id__exact={application.pk}"
    if key is None and viewer.has_perm("registry.view_accesskey"):
        found += page(_("Access keys of the application"), "admin:registry_accesskey_changelist", query=query)
    if viewer.has_perm("registry.add_accesskey"):
        new = f"?application={application.pk}"
        found += page(_("Issue an access key"), "admin:registry_accesskey_add", query=new)
    return found


def grant_pages(case: Case) -> Links:
    """Return links to a grant, and to where its application's agency asks for one or its provider makes one."""
    found = row_page(case.viewer, grant_label(), case.grant)
    if case.is_consumer:
        found += request_pages(case.viewer, case.application, case.operation)
    elif case.grant is None and case.operation is not None and case.viewer.has_perm("registry.add_grant"):
        found += page(_("Add a grant"), "admin:registry_grant_add", query=f"?operation={case.operation.pk}")
    return found


def request_pages(viewer: User, application: Application | None, operation: Operation | None) -> Links:
    """Return the link to an application's open request for an operation, or to the page on which to make one."""
    if application is None or operation is None or application.agency_id != viewer.agency_id:
        return ()
    waiting = requests.waiting_for(application, [operation])
    if waiting is not None:
        words = {"state": waiting.get_state_display()}
        return row_page(viewer, _("Open the access request (%(state)s)") % words, waiting)
    if not viewer.has_perm(requests.ASKING):
        return ()
    codes = operation.service.agency.code, operation.service.code, operation.code
    return page(_("Request access"), "request_access", *codes, query=f"?application={quote(str(application))}")


def operation_pages(case: Case) -> Links:
    """Return links to the operation in the catalogue, and in the admin for those who may see it there."""
    if case.operation is None:
        return ()
    row = case.operation.of_its_kind
    of_own_agency = case.viewer.agency_id == case.operation.service.agency_id
    own = row_page(case.viewer, _("Open the operation in the admin"), row) if of_own_agency else ()
    return page(_("Open the operation in the catalogue"), "catalogue_operation", *case.path) + own


def _contact(case: Case) -> str:
    """Return whom to ask at the providing agency."""
    if case.operation is None:
        return case.path[0]
    service = case.operation.service
    return f"{service.agency} ({service.contact})" if service.contact else str(service.agency)


# ------------------------------------------------------------------------------------------- rules


def _key_missing(case: Case) -> Explanation:
    return Explanation(
        _("Access key"),
        _("The request had no access key, and the operation is not open to everybody."),
        _("Send the application's access key in the header AccessKey."),
        key_pages(case.viewer, case.application),
    )


def _key_unknown(case: Case) -> Explanation:
    return Explanation(
        _("Access key"),
        _("The access key in the request is not known, or it is revoked, or its application is switched off."),
        _(
            "Compare the key in the program with the application's keys, of which the beginning is shown; or issue "
            "another."
        ),
        key_pages(case.viewer, case.application),
    )


def _key_expired(case: Case) -> Explanation:
    key = case.key
    known = key is not None and key.expires_at is not None and key.expires_at <= case.at
    unknown = _("The access key of %(application)s had expired.") % {"application": case.caller_name}
    return Explanation(
        _("Expiry of the access key"),
        key_expired(key) if known and key is not None else unknown,
        _("Issue another access key and enter it in the program that calls. The grant stays as it is."),
        key_pages(case.viewer, case.application, case.key),
    )


def _key_network(case: Case) -> Explanation:
    words = {"application": case.caller_name, "address": case.client_ip}
    unknown = _("The access key of %(application)s may not be used from %(address)s.") % words
    return Explanation(
        _("Networks of the access key"),
        key_network(case.key, case.client_ip) if case.key and case.was_outside(case.key.networks) else unknown,
        _("Call from a server in these networks, or add the server's address to the key."),
        key_pages(case.viewer, case.application, case.key),
    )


def _key_of_another(case: Case) -> Explanation:
    unknown = _("The access key of %(application)s is for another operation only.") % {"application": case.caller_name}
    return Explanation(
        _("Operation of the access key"),
        key_of_another(case.key) if case.key is not None and case.key.operation is not None else unknown,
        _("Use a key that is for all operations of the application."),
        key_pages(case.viewer, case.application),
    )


def _key_in_path(case: Case) -> Explanation:
    return Explanation(
        _("Access key in the address"),
        _("The access key was in the address, and this key is not allowed there."),
        _("Send the key in the header AccessKey. For a program that cannot, allow it in the key's settings."),
        key_pages(case.viewer, case.application, case.key),
    )


def _grant_missing(case: Case) -> Explanation:
    missing = case.grant is None or case.grant.state != Grant.State.REVOKED
    advice = _("Ask the providing agency for access, with the purpose and the columns that you need.")
    return Explanation(
        _("Grant"),
        grant_missing(case.caller_name, case.alias) if missing or case.grant is None else grant_revoked(case.grant),
        advice,
        grant_pages(case),
    )


def _grant_expired(case: Case) -> Explanation:
    grant, unknown = case.grant, _("The grant of %(application)s had ended.") % {"application": case.caller_name}
    return Explanation(
        _("Period of the grant"),
        grant_ended(grant) if grant is not None and grant.valid_until and grant.valid_until < case.today else unknown,
        _("Ask the providing agency to renew the grant."),
        grant_pages(case),
    )


def _grant_not_begun(case: Case) -> Explanation:
    grant, words = case.grant, {"application": case.caller_name}
    unknown = _("The grant of %(application)s was not valid yet.") % words
    return Explanation(
        _("Period of the grant"),
        grant_not_begun(grant) if grant is not None and grant.valid_from and grant.valid_from > case.today else unknown,
        _("Wait until that day, or ask the providing agency for an earlier one."),
        grant_pages(case),
    )


def _grant_network(case: Case) -> Explanation:
    words = {"application": case.caller_name, "address": case.client_ip}
    unknown = _("The grant of %(application)s is not valid from %(address)s.") % words
    return Explanation(
        _("Networks of the grant"),
        grant_network(case.grant, case.client_ip) if case.grant and case.was_outside(case.grant.networks) else unknown,
        _("Call from a server in these networks, or ask the providing agency to add the server's address."),
        grant_pages(case),
    )


def _retired(case: Case) -> Explanation:
    return Explanation(
        _("State of the operation"),
        _("The operation %(operation)s is retired.") % {"operation": case.alias},
        _("Ask for its replacement: %(contact)s.") % {"contact": _contact(case)},
        operation_pages(case),
    )


def _unknown(case: Case) -> Explanation:
    return Explanation(
        _("Address"),
        _("No published operation has this address."),
        _("Compare agency, service and operation in the address with the catalogue. A draft cannot be called."),
        page(_("Data catalogue"), "catalogue"),
    )


def _quota(case: Case) -> Explanation:
    if case.grant is not None and case.grant.quota:
        sentence = _("The quota of the grant is used up: %(quota)s.") % {"quota": case.grant.quota}
    else:
        sentence = _("The quota of the grant of %(application)s was used up.") % {"application": case.caller_name}
    if case.resets_at is not None:
        sentence += " " + _("It starts again at %(moment)s.") % {"moment": moment(case.resets_at)}
    advice = _("Send fewer calls, or ask the providing agency for a larger quota.")
    return Explanation(_("Quota"), sentence, advice, grant_pages(case))


def _fields(case: Case) -> Explanation:
    unknown = _("The grant allows some columns only, and this response cannot be limited to them.")
    words = {"fields": joined(case.grant.fields)} if case.grant is not None and case.grant.fields else None
    known = _("The grant allows these columns only, and this response cannot be limited to them: %(fields)s.")
    return Explanation(
        _("Columns of the grant"),
        known % words if words else unknown,
        _("Ask the providing agency for a grant for all columns, or for an operation with declared columns."),
        grant_pages(case),
    )


def _signature_missing(case: Case) -> Explanation:
    words = {"application": case.caller_name}
    return Explanation(
        _("Signature"),
        _("%(application)s may send signed requests only, and this one was not signed.") % words,
        _("Let the program sign each request with a signing key of the application."),
        key_pages(case.viewer, case.application),
    )


def _signature(case: Case) -> Explanation:
    return Explanation(
        _("Signature"),
        case.message,
        _("Compare what the program signs with what it sends. Each request needs a signature and a nonce of its own."),
        key_pages(case.viewer, case.application, case.key),
    )


def _signature_stale(case: Case) -> Explanation:
    return Explanation(
        _("Time of the signature"),
        _("The signature was made more than five minutes before or after the request came, or it had expired."),
        _("Set the clock of the server that signs, and sign each request just before it is sent."),
        key_pages(case.viewer, case.application, case.key),
    )


RULES: dict[int, Callable[[Case], Explanation]] = {
    faults.KEY_MISSING.code: _key_missing,
    faults.KEY_UNKNOWN.code: _key_unknown,
    faults.KEY_EXPIRED.code: _key_expired,
    faults.KEY_NETWORK.code: _key_network,
    faults.KEY_OF_ANOTHER_OPERATION.code: _key_of_another,
    faults.KEY_IN_PATH.code: _key_in_path,
    faults.GRANT_MISSING.code: _grant_missing,
    faults.GRANT_EXPIRED.code: _grant_expired,
    faults.GRANT_NOT_YET_VALID.code: _grant_not_begun,
    faults.GRANT_NETWORK.code: _grant_network,
    faults.OPERATION_RETIRED.code: _retired,
    faults.OPERATION_UNKNOWN.code: _unknown,
    faults.ADDRESS_INCOMPLETE.code: _unknown,
    faults.OPERATION_UNNAMED.code: _unknown,
    faults.QUOTA_EXCEEDED.code: _quota,
    faults.FIELDS_INSEPARABLE.code: _fields,
    faults.SIGNATURE_MISSING.code: _signature_missing,
    faults.SIGNATURE_INVALID.code: _signature,
    faults.SIGNATURE_REPLAYED.code: _signature,
    faults.SIGNATURE_STALE.code: _signature_stale,
}


# ----------------------------------------------------------------------------------------- parties


def _by_caller(case: Case) -> Explanation:
    advice = _("Correct the request. The operation's page lists its parameters with examples.")
    return Explanation(_("The caller's request"), case.message, advice, operation_pages(case))


def _by_provider(case: Case) -> Explanation:
    words = {"contact": _contact(case), "id": case.request_id}
    advice = _("The call was admitted. Report request %(id)s to %(contact)s.") % words
    links = operation_pages(case)
    own = case.viewer.agency is not None and case.viewer.agency.code == case.path[0]
    if (own or tenancy.sees_all_agencies(case.viewer)) and health_board.may_open(case.viewer):
        advice = _("The call was admitted. Look at the state of the source or backend.")
        links += page(_("Health board"), "health_board")
    return Explanation(_("The provider's source or upstream"), case.message, advice, links)


def _by_bus(case: Case) -> Explanation:
    advice = _("Try again shortly. If it stays so, report request %(id)s to an operator.") % {"id": case.request_id}
    return Explanation(_("The bus itself"), case.message, advice)


_PARTIES: dict[str, Callable[[Case], Explanation]] = {
    "caller": _by_caller,
    "provider": _by_provider,
    "bus": _by_bus,
}
