"""The pages of the registry: agencies and people, services, consumers and the history."""

from registry.admin import access, agencies, history, outbox, publish_requests, services

__all__ = ["access", "agencies", "history", "outbox", "publish_requests", "services"]
