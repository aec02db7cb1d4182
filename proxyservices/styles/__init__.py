"""The styles in which an operation's calls go to its upstreams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxyservices.models import Mapping, ProxyOperation
from proxyservices.models.operations import _SOAP
from proxyservices.styles.base import Recipe
from proxyservices.styles.legacy import Legacy
from proxyservices.styles.pass_through import AsIs
from proxyservices.styles.rest import Rest
from proxyservices.styles.soap import Soap

RECIPES: dict[str, Callable[[ProxyOperation, Sequence[Mapping], Sequence[str]], Recipe]] = {
    "as-is": AsIs,
    "rest": Rest,
    **{f"legacy-{style}": Legacy for style in ("rest", "restfull", "restfullpar", "get", "post")},
}


def recipe_of(operation: ProxyOperation, mappings: Sequence[Mapping], parameters: Sequence[str]) -> Recipe:
    """The recipe of an operation with these mappings and names of parameters. Raises ValueError with a word."""
    if operation.style in _SOAP:
        return Soap(operation, mappings, parameters)
    made = RECIPES.get(operation.style)
    if made is None:
        raise ValueError("style")
    return made(operation, mappings, parameters)
