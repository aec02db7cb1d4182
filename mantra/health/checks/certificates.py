"""Certificates that end: the bus's own, the mail server's authority, and those with which backends are called."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from django.conf import settings
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding, State
from mantra.health.rows import rows_for
from proxyservices.models import Backend, BackendServer, ServerSettings
from registry import moments
from registry.secrets import readable
from registry.tenancy import AnyUser

AREA = "certificates"
#: Days before the end from which on it is spoken of, and from which on it is urgent.
SOON, URGENT = 30, 7
#: The most findings about backends.
MOST = 100
_BEGIN = "-----BEGIN CERTIFICATE-----"


def check() -> list[Finding]:
    """Return the state of the server's own certificates: those whose files this process can read."""
    own = _file(_("the bus's own certificate"), Path(settings.TLS_DIR) / "fullchain.pem") if settings.TLS_DIR else []
    authority = _file(_("the mail server's authority"), Path(settings.SMTP_CA_FILE)) if settings.SMTP_CA_FILE else []
    return [*own, *authority]


def check_backends(viewer: AnyUser | None) -> list[Finding]:
    """Return the certificates of backends that end soon or have ended, the first to end first."""
    found = [each for each in [*_of_backends(viewer), *_of_upstreams(viewer)] if each.needs_attention]
    return sorted(found, key=lambda each: each.order)[:MOST]


def _file(name: str, path: Path) -> list[Finding]:
    try:
        pem = path.read_text()
    except (OSError, UnicodeDecodeError):
        sentence = _("The file %(path)s cannot be read.") % {"path": path}
        return [Finding(AREA, name, "warn", sentence, _("Let the bus's user read it, so that it can warn you."))]
    end = first_end(pem)
    if end is None:
        return [Finding(AREA, name, "ill", _("The file %(path)s has no certificate.") % {"path": path})]
    return [_finding(name, end, _("Renew it, and reload the server that uses it."))]


def _of_backends(viewer: AnyUser | None) -> Iterator[Finding]:
    rows = rows_for(viewer, Backend).select_related("agency")
    for backend in rows.only("code", "agency__code", "client_certificate", "ca_certificate").iterator(500):
        yield from _of_settings(str(backend), backend, backend.pk)
    servers = rows_for(viewer, BackendServer).filter(own_settings=True).select_related("backend__agency")
    for server in servers.iterator(500):
        yield from _of_settings(f"{server.backend} {server.url}", server, server.backend_id)


def _of_settings(name: str, row: ServerSettings, backend: int) -> Iterator[Finding]:
    page = reverse("admin:proxyservices_backend_change", args=(backend,))
    for kind, pem in (
        (_("client certificate"), readable(row.client_certificate)),
        (_("CA certificate"), row.ca_certificate),
    ):
        end = first_end(pem)
        if end is not None:
            yield _finding(f"{name}: {kind}", end, _("Enter a new one before calls fail."), page)


def _of_upstreams(viewer: AnyUser | None) -> Iterator[Finding]:
    """Yield the certificates that end soon, of those that probed servers have shown. Ended ones fail the probe."""
    soon = timezone.now() + timedelta(days=SOON)
    rows = rows_for(viewer, BackendServer).filter(active=True, states__certificate_ends__lt=soon)
    rows = rows.annotate(ends=F("states__certificate_ends")).select_related("backend__agency").order_by("ends")
    for server in rows[:MOST]:
        page = reverse("admin:proxyservices_backend_change", args=(server.backend_id,))
        yield _finding(f"{server.backend} {server.url}", server.ends, _("Ask the upstream's team to renew it."), page)


def _finding(name: str, end: datetime, advice: str, url: str = "") -> Finding:
    days = (end - timezone.now()).days
    day = {"day": moments.day(end), "days": days}
    if days < 0:
        return Finding(AREA, name, "ill", _("It has ended on %(day)s.") % day, advice, end, url=url)
    words = ngettext("It ends on %(day)s, in %(days)d day.", "It ends on %(day)s, in %(days)d days.", days) % day
    state: State = "ill" if days < URGENT else "warn" if days < SOON else "well"
    return Finding(AREA, name, state, words, advice if state != "well" else "", url=url)


@lru_cache(maxsize=4096)
def first_end(pem: str) -> datetime | None:
    """Return when the first of the certificates in a PEM text ends, None if it has none that can be read."""
    _before, mark, certificates = pem.partition(_BEGIN)
    try:
        found = x509.load_pem_x509_certificates((mark + certificates).encode()) if mark else []
    except ValueError:
        return None
    return min((each.not_valid_after_utc for each in found), default=None)
