"""Pages of the call history."""

from registry.admin.history.page import CallRecordAdmin

__all__ = ["CallRecordAdmin"]
