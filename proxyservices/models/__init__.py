"""Proxy services: a stable alias in front of another system's web service."""

from proxyservices.models.address_changes import AddressChange, Sample
from proxyservices.models.operations import Contract, Mapping, ProxyOperation
from proxyservices.models.upstreams import Lease, Upstream, UpstreamState
from proxyservices.models.validators import (
    METHODS,
    header_names,
    validate_address,
    validate_headers,
    validate_methods,
)

__all__ = [
    "METHODS", "AddressChange", "Contract", "Lease", "Mapping", "ProxyOperation", "Sample", "Upstream", "UpstreamState",
    "header_names", "validate_address", "validate_headers", "validate_methods",
]  # fmt: skip
