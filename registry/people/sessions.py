"""The sessions of people who are signed in. Their rows are written when somebody signs in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from registry.models import User


@dataclass(frozen=True, slots=True)
class Line:
    """A session as pages show it."""

    pk: int
    device: str
    address: str
    since: datetime
    used: datetime
    current: bool


#: What a session says it was last used is at most this old: each page would write it otherwise.
NOTED_EVERY = timedelta(minutes=5)
_NOTED = "people.noted"


def of(user: User) -> list[Any]:
    """Return a user's sessions that are in force, the one used last first. Rows of others are deleted."""
    rows: list[Any] = UserSession.objects.purge_and_list(user)
    return sorted(rows, key=lambda row: row.last_seen_at, reverse=True)


def end_all(user: User, but: str | None = None) -> None:
    """End the sessions of a user, except the one with the key ``but``."""
    rows = UserSession.objects.filter(user=user)
    keys = list(rows.exclude(session_key=but or "").values_list("session_key", flat=True))
    store = import_module(settings.SESSION_ENGINE).SessionStore
    store.get_model_class().objects.filter(session_key__in=keys).delete()
    rows.filter(session_key__in=keys).delete()


def prune() -> None:
    """Delete the sessions that have expired, of which nobody would ask any more."""
    sessions = import_module(settings.SESSION_ENGINE).SessionStore
    sessions.clear_expired()
    stored = sessions.get_model_class().objects.values("session_key")
    UserSession.objects.exclude(session_key__in=stored).delete()


def end_one(user: User, pk: int) -> None:
    """End one session of a user."""
    for row in UserSession.objects.filter(user=user, pk=pk):
        row.end()


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


def device(session: Any) -> str:
    """Return the browser and system of a session, as far as the browser says them."""
    said = session.user_agent
    browser = next((name for mark, name in _BROWSERS if mark in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    return " · ".join(filter(None, (browser, system))) or said[:40]


def line(session: Any, current_key: str | None) -> Line:
    """Return a session as pages show it; ``current_key`` is that of the reader's own."""
    current = session.session_key == current_key
    return Line(session.pk, device(session), session.ip, session.created_at, session.last_seen_at, current)


def begin(session: SessionBase) -> None:
    """Begin to note when a session is used."""
    session[_NOTED] = timezone.now().timestamp()


def note_use(session: SessionBase) -> None:
    """Note that a session is in use, from time to time."""
    now = timezone.now()
    noted = session.get(_NOTED)
    if noted is None or now.timestamp() - noted < NOTED_EVERY.total_seconds():
        return
    session[_NOTED] = now.timestamp()
    UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=now)
