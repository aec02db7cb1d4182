"""The registry: agencies, services, operations, keys, grants, and the call history."""

from registry.models.access import AccessKey, Application, Grant, GrantTerms
from registry.models.agencies import Agency, ApiToken, User
from registry.models.base import (
    RegistryModel,
    code_validator,
    column_validator,
    lines_of,
    names,
    networks,
    operation_validator,
    pairs,
    periods,
    validate_networks,
    validate_quota,
)
from registry.models.catalogue import SampleResponse
from registry.models.change_records import ChangeRecord
from registry.models.changes import RegistryChange, SnapshotVersion
from registry.models.containment import Incident, IncidentNote, IncidentObject, Stop, StopKind, StopOrigin
from registry.models.credentials import ClientCertificate, RevokedToken
from registry.models.egress import Guard, GuardFinding
from registry.models.exports import ExportJob
from registry.models.harvest import CallerHour, HarvestAlarm, HarvestRule
from registry.models.history import CallLease, CallRecord, CallSubject, JournalHead, JournalSegment, SubjectsOfJob
from registry.models.key_networks import KeyNetwork
from registry.models.leader import LeaderLock
from registry.models.notifications import (
    Event,
    Illness,
    MessageTemplate,
    Notification,
    NotificationChoice,
    NotifiedOnce,
    OutboxMessage,
    Way,
)
from registry.models.people import Invitation, RoleRule
from registry.models.publish_requests import PublishRequest
from registry.models.requests import AccessRequest, AgreementFile, RequestedOperation, RequestStep
from registry.models.samples import SampleRequest
from registry.models.saved_filters import SavedFilter
from registry.models.services import Field, Operation, Parameter, Service, open_values_message, reserved_message
from registry.models.statistics import CallDay, CallGroup, CallHour, CallMonth, SubjectDay
from registry.models.versions import OperationVersion, VersionText

__all__ = [
    "AccessKey",
    "AccessRequest",
    "Agency",
    "AgreementFile",
    "ApiToken",
    "Application",
    "CallDay",
    "CallGroup",
    "CallHour",
    "CallLease",
    "CallMonth",
    "CallRecord",
    "CallSubject",
    "CallerHour",
    "ChangeRecord",
    "ClientCertificate",
    "Event",
    "ExportJob",
    "Field",
    "Grant",
    "GrantTerms",
    "Guard",
    "GuardFinding",
    "HarvestAlarm",
    "HarvestRule",
    "Illness",
    "Incident",
    "IncidentNote",
    "IncidentObject",
    "Invitation",
    "JournalHead",
    "JournalSegment",
    "KeyNetwork",
    "LeaderLock",
    "MessageTemplate",
    "Notification",
    "NotificationChoice",
    "NotifiedOnce",
    "Operation",
    "OperationVersion",
    "OutboxMessage",
    "Parameter",
    "PublishRequest",
    "RegistryChange",
    "RegistryModel",
    "RequestStep",
    "RequestedOperation",
    "RevokedToken",
    "RoleRule",
    "SampleRequest",
    "SampleResponse",
    "SavedFilter",
    "Service",
    "SnapshotVersion",
    "Stop",
    "StopKind",
    "StopOrigin",
    "SubjectDay",
    "SubjectsOfJob",
    "User",
    "VersionText",
    "Way",
    "code_validator",
    "column_validator",
    "lines_of",
    "names",
    "networks",
    "open_values_message",
    "operation_validator",
    "pairs",
    "periods",
    "reserved_message",
    "validate_networks",
    "validate_quota",
]
