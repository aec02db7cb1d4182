"""What programs find at addresses that standards name (RFC 8615)."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def authorization_server(request: HttpRequest) -> JsonResponse:
    """Return where access tokens are issued, and what the endpoints take (RFC 8414)."""
    base = settings.BASE_URL or f"{request.scheme}://{request.get_host()}"
    methods = ["client_secret_basic", "client_secret_post"]
    return JsonResponse(
        {
            "issuer": base,
            "token_endpoint": f"{base}/oauth2/token",
            "introspection_endpoint": f"{base}/oauth2/introspect",
            "revocation_endpoint": f"{base}/oauth2/revoke",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "tls_client_certificate_bound_access_tokens": True,
        }
    )
