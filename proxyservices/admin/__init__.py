"""The admin pages of proxy services."""

from proxyservices.admin import operations

__all__ = ["operations"]
