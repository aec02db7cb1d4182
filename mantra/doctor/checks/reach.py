"""What the bus must reach: sources, backends, the mail server, the quota store, and its own address.

Each is connected to once, several at the same time, and all of them for a limited time.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import redis
from django.conf import settings
from django.utils.translation import gettext as _

from dataservices import connection_test
from dataservices.models import DataSource
from mantra.doctor import parallel
from mantra.doctor.checks import clock
from mantra.health.findings import Finding
from proxyservices import endpoints
from proxyservices.health import advice, probe, prober
from proxyservices.models import BackendServer
from registry.notifications import problems, smtp
from registry.notifications.problems import MailError

#: Connections at the same time, and the seconds for all of a kind.
WORKERS, SECONDS = 16, 60.0
#: Opens an address without the proxy that the environment may name for what lies outside.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Seconds for one request to the bus's own address, and for the quota store.
OWN_SECONDS = 5.0


def sources() -> list[Finding]:
    """Connect to every data source that an operation can use."""
    rows = list(DataSource.objects.select_related("agency").order_by("agency__code", "code"))
    return parallel.each(rows, _source, _late_source, WORKERS, SECONDS)


def _source(row: DataSource) -> Finding:
    diagnosis = connection_test.diagnose(row)
    return Finding("sources", str(row), "well" if diagnosis.succeeded else "ill", diagnosis.text)


def _late_source(row: DataSource) -> Finding:
    return Finding("sources", str(row), "ill", _not_in_time(), connection_test.advise("unreachable", row))


def _not_in_time() -> str:
    return _("no response within %(seconds)d seconds") % {"seconds": SECONDS}


def backends() -> list[Finding]:
    """Send the probe of every server of a backend that has one."""
    rows = list(prober.probed().select_related("backend__agency"))
    return parallel.each(rows, _server, _late_server, WORKERS, SECONDS)


def _server(row: BackendServer) -> Finding:
    name = f"{row.backend} {row.url}"
    try:
        outcome = probe.run_probe(endpoints.endpoint_of(row))
    except ValueError:
        sentence = _("Its address or certificate cannot be used.")
        return Finding("backends", name, "ill", sentence, _("Correct the server."))
    if outcome.healthy:
        milliseconds = {"milliseconds": round(outcome.seconds * 1000)}
        return Finding("backends", name, "well", _("healthy, %(milliseconds)d ms") % milliseconds)
    failure = str(advice.failure_name(outcome.phase, outcome.reason))
    return Finding("backends", name, "ill", failure, str(advice.advise(outcome.phase, outcome.reason)))


def _late_server(row: BackendServer) -> Finding:
    return Finding("backends", f"{row.backend} {row.url}", "ill", _not_in_time())


def mail() -> list[Finding]:
    """Connect to the mail server and sign in. Nothing is sent."""
    if not smtp.is_configured():
        return []  # the health board's check says so
    name = f"{settings.SMTP_HOST}:{settings.SMTP_PORT}"
    try:
        with smtp.Session():
            return [Finding("mail", name, "well", _("The mail server accepts the bus."))]
    except MailError as error:
        return [Finding("mail", name, "ill", problems.sentence(error.key))]


def quota_store() -> list[Finding]:
    """Connect to the store of quotas, and see whether it keeps them across a restart."""
    name = "MANTRA_QUOTA_STORE"
    if not settings.QUOTA_STORE.startswith(("redis://", "rediss://")):
        return [Finding("quotas", name, "well", _("counted in memory: a restart begins new periods"))]
    try:
        kept = _is_kept(redis.Redis.from_url(settings.QUOTA_STORE, socket_timeout=5, socket_connect_timeout=5))
    except (redis.RedisError, OSError):
        sentence = _("It cannot be reached, or rejects the password.")
        return [Finding("quotas", name, "ill", sentence, _("Start it, or correct the address in MANTRA_QUOTA_STORE."))]
    if kept:
        return [Finding("quotas", name, "well", _("reachable, and it keeps what it has counted"))]
    sentence = _("It forgets what it has counted when it is restarted.")
    return [Finding("quotas", name, "warn", sentence, _("Set appendonly yes in its configuration."))]


def _is_kept(store: redis.Redis) -> bool:
    """Return True if the store writes what it counts to a disk. Raises redis.RedisError."""
    with store:
        state: Any = store.info("persistence")
    return bool(state.get("aof_enabled"))


def own_address() -> list[Finding]:
    """Request /healthz at MANTRA_BASE_URL, as callers would, and compare the clock of what responds."""
    return list(_own_address(settings.BASE_URL)) if settings.BASE_URL else []


def _own_address(base: str) -> Iterator[Finding]:
    try:
        with _direct.open(f"{base}/healthz", timeout=OWN_SECONDS) as response:
            is_bus, date = response.read(16).strip() == b"ok", response.headers.get("Date", "")
    except (OSError, ValueError) as error:
        yield Finding("address", base, "warn", _unreached(error), _advice())
        return
    if not is_bus:
        yield Finding("address", base, "ill", _("Another program responds there."), _advice())
        return
    yield Finding("address", base, "well", _("The bus responds there."))
    theirs = clock.of_header(date)
    if theirs is not None:
        # The header has whole seconds.
        yield clock.compare(_("clock of %(address)s") % {"address": base}, theirs + 0.5, time.time(), 0.5)


def _unreached(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return _("It is not reached from here (%(error)s).") % {"error": type(reason).__name__}


def _advice() -> str:
    return _("Check MANTRA_BASE_URL, DNS, the certificate, and the proxies before the bus.")
