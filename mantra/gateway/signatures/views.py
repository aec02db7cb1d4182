"""The address at which everybody gets the public keys of signed responses."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from mantra.gateway.signatures import response_keys

#: Seconds for which callers may keep the list.
MAX_AGE = 3600


@require_safe
def published_keys(request: HttpRequest) -> JsonResponse:
    """Return the public keys of the bus as a JWK Set (RFC 7517)."""
    response = JsonResponse(response_keys.jwks(), content_type="application/jwk-set+json")
    response["Cache-Control"] = f"public, max-age={MAX_AGE}"
    response["Access-Control-Allow-Origin"] = "*"
    return response
