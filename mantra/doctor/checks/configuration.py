"""Settings that contradict one another or are not safe, and the files that the admin's pages need."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

from mantra.health.findings import Finding, State

AREA = "configuration"


def check() -> list[Finding]:
    """Return what is wrong with the settings, or one finding that says that nothing is."""
    found = [*_of_django(), *_address(), *_unsafe(), *_static_files()]
    return found or [Finding(AREA, _("settings"), "well", _("no contradiction"))]


def _of_django() -> Iterator[Finding]:
    """Yield what the checks of Django and of the registry say."""
    for message in checks.run_checks(include_deployment_checks=True):
        if not message.is_silenced() and message.level >= checks.WARNING:
            state: State = "ill" if message.level >= checks.ERROR else "warn"
            yield Finding(AREA, str(message.id), state, str(message.msg), str(message.hint or ""))


def _address() -> Iterator[Finding]:
    """Yield contradictions between the bus's address and the settings of hosts, TLS and proxies."""
    address = urlsplit(settings.BASE_URL)
    if not settings.BASE_URL and _is_local(os.environ.get("HOST", "127.0.0.1")):
        return  # a trial on one machine
    if not settings.BASE_URL:
        sentence = _("It is not set: documents and e-mails have addresses of the request, or none.")
        yield Finding(AREA, "MANTRA_BASE_URL", "warn", sentence, _("Set it to the address that callers use."))
        return
    if not _is_allowed(address.hostname or ""):
        sentence = _("%(host)s is in MANTRA_BASE_URL, but not here.") % {"host": address.hostname}
        yield Finding(AREA, "MANTRA_ALLOWED_HOSTS", "ill", sentence, _("Add it, or the admin refuses every request."))
    if (address.scheme == "https") != settings.SESSION_COOKIE_SECURE:
        sentence = _("It does not fit %(address)s.") % {"address": settings.BASE_URL}
        yield Finding(AREA, "MANTRA_HTTPS", "ill", sentence, _("Set it to 1 with an https address, to 0 without."))
    if address.scheme == "http" and not _is_local(address.hostname or ""):
        sentence = _("Access keys and passwords cross the network unencrypted.")
        yield Finding(AREA, "MANTRA_BASE_URL", "warn", sentence, _("Let a server end TLS, and use an https address."))
    if address.scheme == "https" and not settings.TRUSTED_PROXIES:
        sentence = _("The bus speaks no TLS itself, and trusts no proxy that does.")
        advice = _("Set it to the number of your proxies, or every caller has the proxy's address.")
        yield Finding(AREA, "MANTRA_TRUSTED_PROXIES", "warn", sentence, advice)


def _is_allowed(host: str) -> bool:
    allowed = [name.strip("[]").lower() for name in settings.ALLOWED_HOSTS]
    return any(name in ("*", host) or (name.startswith(".") and f".{host}".endswith(name)) for name in allowed)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unsafe() -> Iterator[Finding]:
    """Yield settings that are for trials."""
    if settings.DEBUG:
        sentence = _("Pages of errors show settings and data.")
        yield Finding(AREA, "MANTRA_DEBUG", "ill", sentence, _("Set it to 0."))
    if "*" in settings.ALLOWED_HOSTS:
        sentence = _("Every host name is allowed: links can lead to a stranger's.")
        yield Finding(AREA, "MANTRA_ALLOWED_HOSTS", "warn", sentence, _("Name the hosts of the bus."))
    if not settings.JOURNAL:
        sentence = _("Calls are not recorded.")
        yield Finding(AREA, "MANTRA_JOURNAL", "ill", sentence, _("Set it to 1: 0 is for measurements."))


def _static_files() -> Iterator[Finding]:
    """Yield a finding if the style sheets of the admin were not collected, and are not served from their packages."""
    if not settings.WHITENOISE_USE_FINDERS and not (Path(settings.STATIC_ROOT) / "mantra" / "admin.css").exists():
        sentence = _("The folder %(folder)s has none: the admin has no style.") % {"folder": settings.STATIC_ROOT}
        yield Finding(AREA, _("static files"), "ill", sentence, _("Run manage.py collectstatic."))
