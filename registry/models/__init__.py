"""The registry: who offers what to whom, and what happened."""

from registry.models.access import AccessKey, Application, Grant
from registry.models.agencies import Agency, ApiToken, User
from registry.models.base import (
    Definition,
    SnapshotVersion,
    code_validator,
    column_validator,
    names,
    networks,
    operation_validator,
    validate_networks,
    validate_quota,
)
from registry.models.history import CallRecord, JournalSegment
from registry.models.services import Field, Operation, Parameter, Service

__all__ = [
    "AccessKey", "Agency", "ApiToken", "Application", "CallRecord", "Definition", "Field", "Grant", "JournalSegment",
    "Operation", "Parameter", "Service", "SnapshotVersion", "User", "code_validator", "column_validator", "names",
    "networks", "operation_validator", "validate_networks", "validate_quota",
]  # fmt: skip
