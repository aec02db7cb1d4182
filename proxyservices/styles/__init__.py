"""Styles: how an operation's calls become requests to its upstreams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxyservices.models import ParameterMapping, ProxyOperation
from proxyservices.models.operations import SOAP_STYLES
from proxyservices.styles.base import Style
from proxyservices.styles.legacy import Legacy
from proxyservices.styles.pass_through import PassThrough
from proxyservices.styles.rest import Rest
from proxyservices.styles.soap import Soap

STYLES: dict[str, Callable[[ProxyOperation, Sequence[ParameterMapping], Sequence[str]], Style]] = {
    "pass-through": PassThrough,
    "rest": Rest,
    **{f"legacy-{style}": Legacy for style in ("rest", "restfull", "restfullpar", "get", "post")},
}


def style_of(operation: ProxyOperation, mappings: Sequence[ParameterMapping], parameters: Sequence[str]) -> Style:
    """Return an operation's style for these mappings and parameter names. Raises ValueError with a word."""
    if operation.style in SOAP_STYLES:
        return Soap(operation, mappings, parameters)
    style = STYLES.get(operation.style)
    if style is None:
        raise ValueError("style")
    return style(operation, mappings, parameters)
