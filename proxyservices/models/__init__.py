"""Proxy services: a stable alias in front of another system's web service."""

from proxyservices.models.address_changes import AddressChange
from proxyservices.models.backends import Backend, BackendServer, ServerSettings, ServerState, mappings_to_reenter
from proxyservices.models.operations import ParameterMapping, ProxyOperation, ServiceDescription, undeclared_message
from proxyservices.models.validators import (
    METHODS,
    header_names,
    validate_headers,
    validate_methods,
    validate_url,
)

__all__ = [
    "METHODS", "AddressChange", "Backend", "BackendServer", "ParameterMapping", "ProxyOperation",
    "ServerSettings", "ServerState", "ServiceDescription", "header_names", "mappings_to_reenter",
    "undeclared_message", "validate_headers", "validate_methods", "validate_url",
]  # fmt: skip
