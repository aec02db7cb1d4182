"""The two hosts of a comparison, and whether their addresses go together: one rule for the command and the page."""

from __future__ import annotations

from django.conf import settings

from mantra.legacy_import.comparing_hosts.asking import Host, HostInvalid

#: The address of this MANTRA if MANTRA_BASE_URL is not set.
DEFAULT_NEW = "http://127.0.0.1:8000"
#: Seconds in which the worker processes take up what was imported, beside the interval in which they look.
_TAKE_UP = 4.0


def new_url() -> str:
    """Return the address of this MANTRA."""
    return settings.BASE_URL or DEFAULT_NEW


def take_up_seconds() -> float:
    """Return the seconds after which all processes of this MANTRA have what was imported."""
    return _TAKE_UP + settings.SNAPSHOT_SECONDS


def old_host(url: str, any_address: bool = False) -> Host:
    """Return the old host. Raises HostInvalid with a word: address, or folder if this MANTRA does not have it."""
    host = Host.of(url, any_address)
    folders = {name.strip("/ ").lower() for name in settings.LEGACY_FOLDERS}
    if host.folder.strip("/").lower() not in {"", *folders}:
        raise HostInvalid("folder")
    return host


def new_host(url: str) -> Host:
    """Return the new host, which the operator of this server names. Raises HostInvalid with a word: address, folder."""
    host = Host.of(url, any_address=True)
    if host.folder != "/":
        raise HostInvalid("folder")
    return host
