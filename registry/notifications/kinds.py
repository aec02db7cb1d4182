"""What is known of each event: what its messages may contain, and how people are notified by default."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

from registry.models import Event, Way
from registry.roles import HEAD

#: What messages may contain: names and numbers that the directory has. Never a person, a value of a call, a free text
#: such as a reason or a question, a key, or a server's address.
SAFE = frozenset(
    {
        "agency",  # the agency that did something, by name
        "application",  # agency/code
        "area",  # of the server's own health
        "backend",  # agency/code
        "calls",  # their number
        "data",  # the kinds of personal data that were found
        "days",
        "digest",  # of a head of the journal, which everybody may know
        "done",  # rows of a job that have a result
        "failed",  # rows of a job with a fault, or that could not be run
        "found",  # rows of a job that were found
        "month",  # of a report
        "network",  # from which a key was used
        "networks",  # their number
        "key",  # the public part of an access key
        "number",  # of a request
        "operation",  # title and address
        "operations",  # of a request: their titles
        "outcome",  # approved or rejected
        "percent",
        "quota",
        "reconciliation",  # its code
        "rows",  # of a job, or what a rule counted
        "rule",  # of alarms: its kind
        "service",
        "source",  # agency/code
        "synchronization",  # agency/code
        "until",  # a date
        "version",
        "what",  # what was stopped: the names of a key, a grant, an application, an operation, a source, a backend
    }
)


class Month(NamedTuple):
    """A month, which messages name in the reader's language."""

    year: int
    month: int


#: Who is notified of an event: users with one of these rights.
_APPROVERS = ("registry.change_grant", "registry.decide_publishrequest")
_AUTHORS = (
    "dataservices.change_dataoperation",
    "proxyservices.change_proxyoperation",
    "verification.change_verificationoperation",
)
_CALLERS = ("registry.change_application",)


@dataclass(frozen=True, slots=True)
class Kind:
    """An event's messages."""

    #: The heading below which people choose how they are notified.
    group: Any
    #: The keys of the context, which are the placeholders of its templates.
    keys: frozenset[str]
    #: The rights of which those have one who are notified; empty: everybody may be.
    rights: tuple[str, ...] = ()
    default: Way = Way.MAIL
    #: The default of the users of some roles, where it is another.
    default_of: Mapping[str, Way] = field(default_factory=dict)
    #: True: nobody can choose less, such as for their own account's security.
    fixed: bool = False
    #: True: the message is of no use without its link.
    needs_link: bool = False

    def way_of(self, roles: Collection[str]) -> Way:
        """Return the way in which a user with these roles is notified who has chosen none."""
        return next((way for role, way in self.default_of.items() if role in roles), self.default)


REQUESTS, ACCESS, PUBLISHING = _("Access requests"), _("Grants and access keys"), _("Approval to publish")
OPERATIONS, HEALTH, ACCOUNT = _("Operations that you call"), _("Backends and data sources"), _("Your account")
DATA = _("What your operations give")
SERVER = _("The bus itself")
REPORTS = _("Reports")
STOPS = _("Stops")
MATCHING = _("Jobs, reconciliations and synchronisations")


def _kind(group: Any, rights: tuple[str, ...], *keys: str, **more: Any) -> Kind:
    assert set(keys) <= SAFE
    return Kind(group, frozenset(keys), rights, **more)


_REQUEST = ("agency", "application", "number", "operation", "operations", "service")

KINDS: dict[Event, Kind] = {
    Event.REQUEST_SUBMITTED: _kind(REQUESTS, _APPROVERS, *_REQUEST),
    Event.REQUEST_QUESTION: _kind(REQUESTS, _CALLERS, *_REQUEST),
    Event.REQUEST_ANSWERED: _kind(REQUESTS, _APPROVERS, *_REQUEST),
    Event.REQUEST_CONFIRM: _kind(REQUESTS, _APPROVERS, *_REQUEST),
    Event.REQUEST_APPROVED: _kind(REQUESTS, _CALLERS, *_REQUEST, "until"),
    Event.REQUEST_REJECTED: _kind(REQUESTS, _CALLERS, *_REQUEST),
    Event.REQUEST_WITHDRAWN: _kind(REQUESTS, _APPROVERS, *_REQUEST, default=Way.ADMIN),
    Event.GRANT_REVOKED: _kind(ACCESS, _CALLERS, "agency", "application", "operation"),
    Event.GRANT_CHANGED: _kind(ACCESS, _CALLERS, "agency", "application", "operation", "until"),
    Event.GRANT_ENDING: _kind(ACCESS, _CALLERS, "application", "operation", "days", "until"),
    Event.KEY_ENDING: _kind(ACCESS, _CALLERS, "application", "key", "days", "until"),
    Event.KEY_NEW_NETWORK: _kind(ACCESS, _CALLERS, "application", "key", "network", "networks"),
    Event.KEY_LEAKED: _kind(ACCESS, _CALLERS, "application", "key", fixed=True),
    Event.QUOTA_ALARM: _kind(ACCESS, _CALLERS, "application", "operation", "percent", "quota", default=Way.DIGEST),
    Event.HARVEST_ALARM: _kind(ACCESS, (*_APPROVERS, *_CALLERS), "application", "key", "rule", "rows"),
    Event.VERIFICATION_LOCKED: _kind(ACCESS, _APPROVERS, "application", "operation", "calls"),
    Event.UNDECLARED_DATA: _kind(DATA, _AUTHORS, "operation", "calls", "data"),
    Event.PUBLISH_REQUESTED: _kind(PUBLISHING, ("registry.decide_publishrequest",), "operation"),
    Event.PUBLISH_DECIDED: _kind(PUBLISHING, _AUTHORS, "operation", "outcome"),
    Event.OPERATION_CHANGED: _kind(OPERATIONS, _CALLERS, "operation", "version", default=Way.DIGEST),
    Event.OPERATION_DEPRECATED: _kind(OPERATIONS, _CALLERS, "operation", "until"),
    Event.OPERATION_RETIRED: _kind(OPERATIONS, _CALLERS, "operation"),
    Event.BACKEND_ILL: _kind(HEALTH, ("proxyservices.change_backend",), "backend"),
    Event.BACKEND_WELL: _kind(HEALTH, ("proxyservices.change_backend",), "backend"),
    Event.SOURCE_ILL: _kind(HEALTH, ("dataservices.change_datasource",), "source"),
    Event.SOURCE_WELL: _kind(HEALTH, ("dataservices.change_datasource",), "source"),
    Event.SERVER_ILL: _kind(SERVER, ("registry.change_rolerule",), "area"),
    Event.SERVER_WELL: _kind(SERVER, ("registry.change_rolerule",), "area"),
    Event.JOURNAL_HEAD: _kind(SERVER, (), "digest", "number", fixed=True, needs_link=True),
    Event.JOB_ENDED: _kind(MATCHING, _CALLERS, "application", "operation", "rows", "done", "found", "failed"),
    Event.MONTHLY_REPORT: _kind(
        REPORTS, ("registry.view_callrecord",), "agency", "month", default=Way.NONE, default_of={HEAD: Way.MAIL}
    ),
    Event.RECONCILED: _kind(REPORTS, ("reconciliation.change_reconciliation",), "outcome", "reconciliation"),
    Event.SYNC_FAILED: _kind(MATCHING, ("synchronization.change_sync",), "synchronization"),
    Event.CALLS_STOPPED: _kind(STOPS, ("registry.view_stop",), "what"),
    Event.CALLS_RELEASED: _kind(STOPS, ("registry.view_stop",), "what"),
    Event.INVITATION: _kind(ACCOUNT, (), "agency", "days", fixed=True, needs_link=True),
    Event.PASSWORD_RESET: _kind(ACCOUNT, (), fixed=True, needs_link=True),
    Event.PASSWORD_CHANGED: _kind(ACCOUNT, (), fixed=True),
}
