"""The admin pages of proxy services."""

from proxyservices.admin import backends, operations

__all__ = ["backends", "operations"]
