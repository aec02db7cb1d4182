"""The only lists of HTTP header names that decide what passes between callers, the bus and upstreams."""

from __future__ import annotations

#: What never goes on because it is about one connection, or because the bus itself says it.
OWN = frozenset((
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "host", "content-length", "expect", "via", "forwarded", "mantra-hops", "x-real-ip",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-request-id", "traceparent",
    "tracestate",
))  # fmt: skip
#: What goes on only where the operation says so.
CREDENTIALS = ("AccessKey", "Authorization", "Cookie")
_CREDENTIALS = frozenset(name.lower() for name in CREDENTIALS)
#: A question under one of these is about what the caller holds already, or about a part.
CONDITIONS = frozenset(
    ("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range")
)  # fmt: skip

#: What never goes back: it would command the bus's own server, or the caller's browser in the bus's name.
_NEVER_BACK = OWN | {
    "content-type", "content-security-policy", "x-request-id", "x-content-type-options", "server", "date",
    "x-sendfile", "x-lighttpd-send-file", "x-sendfile2", "x-lighttpd-send-tempfile", "x-reproxy-url",
    "strict-transport-security", "clear-site-data", "alt-svc", "service-worker-allowed", "refresh", "status", "nel",
    "report-to", "reporting-endpoints", "public-key-pins", "expect-ct", "set-cookie2", "sourcemap", "x-sourcemap",
}  # fmt: skip
_NGINX = "x-accel-"
