"""The pages of the registry: agencies and people, services, consumers and the history."""

from registry.admin import (
    access,
    access_requests,
    agencies,
    changes,
    guard_findings,
    harvest,
    history,
    outbox,
    publish_requests,
    services,
)

__all__ = [
    "access",
    "access_requests",
    "agencies",
    "changes",
    "guard_findings",
    "harvest",
    "history",
    "outbox",
    "publish_requests",
    "services",
]
