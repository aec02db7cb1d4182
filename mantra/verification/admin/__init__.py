"""Pages of the admin for verification operations."""

from mantra.verification.admin import operations

__all__ = ["operations"]
