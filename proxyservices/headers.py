"""The only lists of HTTP header names that decide what passes between callers, the bus and upstreams.

All names are in lower case. An admission tells nginx those of its operation (mantra/gateway/fast_lane/admissions.py).
"""

from __future__ import annotations

#: About one connection, never about a message (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
))  # fmt: skip
#: Frames a request: the outbound client alone writes these, since another value would frame it differently.
FRAMING = HOP_BY_HOP | {"host", "content-length", "expect"}
#: Written by the bus itself with each request (forwarding/bus_headers.py), or by a proxy in front of it.
BUS_OWNED = frozenset((
    "via", "forwarded", "mantra-hops", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
    "x-forwarded-port", "x-request-id", "traceparent", "tracestate",
))  # fmt: skip
#: A caller's or an upstream's value never passes: the connection's own, and the bus's own.
NEVER_FORWARDED = FRAMING | BUS_OWNED
#: Forwarded only where the operation forwards its callers' credentials, as they are written.
CREDENTIALS = ("AccessKey", "Authorization", "Cookie")
CREDENTIAL_NAMES = frozenset(name.lower() for name in CREDENTIALS)
#: A request with one of these asks about what its caller already holds, or for a part (RFC 9110, 13 and 14).
CONDITIONAL = frozenset(("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"))
#: A request with one of these asks for no whole response, so that none may come from the cache.
UNCACHEABLE = frozenset(("range", "if-match", "if-unmodified-since"))
#: Never returned: it would command the bus's own server, or the caller's browser in the bus's name.
NEVER_RETURNED = NEVER_FORWARDED | {
    "content-type", "content-security-policy", "x-request-id", "x-content-type-options", "server", "date",
    "x-sendfile", "x-lighttpd-send-file", "x-sendfile2", "x-lighttpd-send-tempfile", "x-reproxy-url",
    "strict-transport-security", "clear-site-data", "alt-svc", "service-worker-allowed", "refresh", "status", "nel",
    "report-to", "reporting-endpoints", "public-key-pins", "expect-ct", "set-cookie2", "sourcemap", "x-sourcemap",
}  # fmt: skip
#: Never returned either: what begins so commands nginx, which takes it for the bus's own words.
NGINX_PREFIXES = ("x-accel-", "x-mantra-")
#: Describes the body, so that it always goes with it.
CONTENT = frozenset(("content-type", "content-length"))
#: Returned with a response that goes out unchanged though its operation does not pass requests through.
DOCUMENT = CONTENT | {"etag"}
#: Of a 304: replaces what was stored (RFC 9111, 3.2).
REVALIDATED = frozenset(("cache-control", "date", "etag", "expires", "vary", "content-location", "last-modified"))
#: Differs with each request of the bus: a response that varies by it fits no other request.
NEVER_VARIES = frozenset(
    ("*", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent")
)  # fmt: skip
#: Request headers of callers that nginx can send on. deploy/nginx/fast_lane/ has the same names.
FAST_LANE = frozenset((
    "accept", "accept-encoding", "accept-language", "content-type", "if-match", "if-modified-since", "if-none-match",
    "if-range", "if-unmodified-since", "prefer", "range", "soapaction", "user-agent", "x-api-key",
))  # fmt: skip


def connection_named(connection: str) -> frozenset[str]:
    """Return the names that a Connection header declares to be for its connection only."""
    return frozenset(name.strip() for name in connection.lower().split(",")) if connection else frozenset()
