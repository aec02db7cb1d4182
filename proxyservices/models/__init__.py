"""Proxy services: a stable alias in front of another system's web service."""

from proxyservices.models.address_changes import AddressChange
from proxyservices.models.operations import ParameterMapping, ProxyOperation, ServiceDescription, undeclared_message
from proxyservices.models.upstreams import Upstream, UpstreamState, mappings_to_reenter, missing_upstream
from proxyservices.models.validators import (
    METHODS,
    header_names,
    validate_headers,
    validate_methods,
    validate_url,
)

__all__ = [
    "METHODS", "AddressChange", "ParameterMapping", "ProxyOperation", "ServiceDescription", "Upstream",
    "UpstreamState", "header_names", "mappings_to_reenter", "missing_upstream", "undeclared_message",
    "validate_headers", "validate_methods", "validate_url",
]  # fmt: skip
