"""Authentication: a session of the admin, or an API token issued there."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from registry.models import ApiToken, User

_SCHEMES = (b"token", b"bearer")


class TokenAuthentication(BaseAuthentication):  # type: ignore[misc]
    """``Authorization: Token …`` or ``Bearer …``, with an API token. The registry has its digest only."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        scheme, _space, token = get_authorization_header(request).strip().partition(b" ")
        if scheme.lower() not in _SCHEMES:
            return None
        plain = token.strip()
        user = ApiToken.authenticate(plain.decode("latin-1")) if plain.isascii() and plain else None
        if user is None:
            raise AuthenticationFailed(_("The token is unknown, expired or not valid yet."))
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Token"


def may_read_description(user: Any) -> bool:
    """Return True if a user may read the description of the API: every user, or all if the operator opened it."""
    return settings.API_DOCS_OPEN or bool(user.is_authenticated)


class MayReadDescription(BasePermission):  # type: ignore[misc]
    def has_permission(self, request: Request, view: Any) -> bool:
        return may_read_description(request.user)


class _TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]
    target_class = "mantra.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "The word Token, a space, and an API token issued in the admin.",
        }
