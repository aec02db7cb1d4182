"""How messages name things."""

from __future__ import annotations

from registry.models import Operation


def operation_name(operation: Operation) -> str:
    """Return an operation's title with its address, or its address alone."""
    return f"{operation.title} ({operation.address})" if operation.title else operation.address
