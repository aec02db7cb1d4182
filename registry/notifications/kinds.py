"""What is known of each event: what its messages may contain, and how people are notified by default."""

from __future__ import annotations

from dataclasses import dataclass

from registry.models import Event, Way

#: What messages may contain: names and numbers that the directory has. Never a person, a value of a call, a free text
#: such as a reason or a question, a key, or a server's address.
SAFE = frozenset(
    {
        "agency",  # the agency that did something, by name
        "application",  # agency/code
        "backend",  # agency/code
        "days",
        "key",  # the public part of an access key
        "number",  # of a request
        "operation",  # title and address
        "operations",  # of a request: their titles
        "outcome",  # approved or rejected
        "percent",
        "quota",
        "service",
        "source",  # agency/code
        "until",  # a date
        "version",
    }
)


@dataclass(frozen=True, slots=True)
class Kind:
    """An event's messages."""

    #: The keys of the context, which are the placeholders of its templates.
    keys: frozenset[str]
    default: Way = Way.MAIL
    #: True: nobody can choose less, such as for their own account's security.
    fixed: bool = False


def _kind(*keys: str, default: Way = Way.MAIL, fixed: bool = False) -> Kind:
    assert set(keys) <= SAFE
    return Kind(frozenset(keys), default, fixed)


_REQUEST = ("agency", "application", "number", "operation", "operations", "service")

KINDS: dict[Event, Kind] = {
    Event.REQUEST_SUBMITTED: _kind(*_REQUEST),
    Event.REQUEST_QUESTION: _kind(*_REQUEST),
    Event.REQUEST_ANSWERED: _kind(*_REQUEST),
    Event.REQUEST_APPROVED: _kind(*_REQUEST, "until"),
    Event.REQUEST_REJECTED: _kind(*_REQUEST),
    Event.REQUEST_WITHDRAWN: _kind(*_REQUEST, default=Way.ADMIN),
    Event.GRANT_REVOKED: _kind("agency", "application", "operation"),
    Event.GRANT_CHANGED: _kind("agency", "application", "operation", "until"),
    Event.GRANT_ENDING: _kind("application", "operation", "days", "until"),
    Event.KEY_ENDING: _kind("application", "key", "days", "until"),
    Event.PUBLISH_REQUESTED: _kind("operation"),
    Event.PUBLISH_DECIDED: _kind("operation", "outcome"),
    Event.OPERATION_CHANGED: _kind("operation", "version", default=Way.DIGEST),
    Event.OPERATION_DEPRECATED: _kind("operation", "until"),
    Event.OPERATION_RETIRED: _kind("operation"),
    Event.BACKEND_ILL: _kind("backend"),
    Event.BACKEND_WELL: _kind("backend"),
    Event.SOURCE_ILL: _kind("source"),
    Event.SOURCE_WELL: _kind("source"),
    Event.QUOTA_ALARM: _kind("application", "operation", "percent", "quota", default=Way.DIGEST),
    Event.HARVEST_ALARM: _kind("application", "operation", "percent"),
    Event.INVITATION: _kind("agency", "days", fixed=True),
    Event.PASSWORD_CHANGED: _kind(fixed=True),
}
