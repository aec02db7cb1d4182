"""What nginx and the bus say to each other in headers, and how the bus knows its nginx: by a secret.

nginx shows the secret with each request. What it says about the fast lane and about callers' certificates counts only
then; from others it is removed.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

from django.conf import settings

from mantra.gateway.http import Environ
from registry import certificates
from registry.calls import EarlierAttempt

#: The header of a response with an admission.
ADMISSION = "X-Mantra-Admission"
#: Where the environment has a LaneRequest and a FailedCall, if nginx sent them.
LANE_REQUEST, FAILED_CALL = "mantra.fast_lane.request", "mantra.fast_lane.failed"
#: Reasons of EarlierAttempt.
_REASONS = ("unreachable", "closed", "late", "status", "large")

#: Where the environment has the SHA-256 of the certificate with which the caller opened the connection.
CERTIFICATE = "mantra.certificate"
_SECRET, _LANE, _FAILED = "HTTP_X_MANTRA_NGINX", "HTTP_X_MANTRA_LANE", "HTTP_X_MANTRA_FAILED"
_CERTIFICATE = "HTTP_X_MANTRA_CERTIFICATE"
_REQUESTS = re.compile(r"([0-9a-f]{16}|-);([0-9a-f]{16}|-);([0-9]{1,6}|-)\Z")
_FAILURES = re.compile(rf"([0-9a-f]{{16}}) ([0-9a-f]{{32}}) ({'|'.join(_REASONS)}) (b[0-9]{{1,18}}s[0-9]{{1,18}})\Z")


@dataclass(frozen=True, slots=True)
class LaneRequest:
    """nginx requests an admission for calls like this one.

    ``groups``: the version of the upstream groups that it has loaded. ``last``: the admission that it had for such
    calls, "" for none; ``used``: how many calls of its lease were used.
    """

    groups: str
    last: str = ""
    used: int = 0


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A call that failed on the fast lane and that nginx hands over: the bus serves it under its request id."""

    admission: str
    request_id: str
    attempt: EarlierAttempt


def is_nginx(environ: Environ) -> bool:
    """Return True if the bus's own nginx sent the request. Removes the secret from the environment."""
    secret = environ.pop(_SECRET, None)
    if secret is None or not settings.NGINX_SECRET:
        return False
    known = (settings.NGINX_SECRET, settings.NGINX_SECRET_FALLBACK)
    return any(each and hmac.compare_digest(str(secret).encode(), each.encode()) for each in known)


def read(environ: Environ) -> None:
    """Put what nginx says into the environment, and remove its headers: no upstream gets them."""
    trusted = is_nginx(environ)
    lane, failed = environ.pop(_LANE, None), environ.pop(_FAILED, None)
    certificate = environ.pop(_CERTIFICATE, None)
    if certificate and trusted:
        environ[CERTIFICATE] = certificates.thumbprint(certificate)
    if not trusted or not settings.FAST_LANE:
        return
    if lane is not None and (match := _REQUESTS.match(lane)):
        groups, last, used = (None if word == "-" else word for word in match.groups())
        if groups:
            environ[LANE_REQUEST] = LaneRequest(groups, last or "", int(used or 0))
    if failed is not None and (match := _FAILURES.match(failed)):
        admission, request_id, reason, group = match.groups()
        environ[FAILED_CALL] = FailedCall(admission, request_id, EarlierAttempt(int(group.partition("s")[2]), reason))
