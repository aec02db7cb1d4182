"""How many calls may be under way at once: each holds a thread of the worker, and others need theirs."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from django.conf import settings


class Room:
    """Places, taken without waiting. It outlives the plans: a change of the definition forgets no call under way."""

    __slots__ = ("_lock", "most", "taken")

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self.most = most
        self.taken = 0

    def enter(self) -> bool:
        with self._lock:
            if self.taken >= self.most:
                return False
            self.taken += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self.taken -= 1


_rooms: dict[Hashable, Room] = {}


def half() -> int:
    """Half of the worker's threads: the most that one operation, or one host, may hold."""
    return max(1, int(settings.WEB_THREADS) // 2)


def room_of(key: Hashable, most: int = 0) -> Room:
    """The room under a key, with ``most`` places; 0, or more than half of the threads: half of them."""
    most = min(most, half()) if most else half()
    found = _rooms.setdefault(key, Room(most))
    found.most = most
    return found
