"""What old programs need of their keys: to be in addresses, or to get wrapped responses. Both are set per key.

Keys are in plain text here: they come from the old database, its logs or a file, and are in memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mantra.legacy_import.comparing_hosts import access_logs, questions
from mantra.legacy_import.comparing_hosts.access_logs import LogCounts
from mantra.legacy_import.comparing_hosts.keys import MAX_KEYS, Keys, keys_of_database
from mantra.legacy_import.old import OldDatabase
from mantra.legacy_import.translating.remarks import Kind, Remark, remark

#: Characters of a line of a file of keys.
MAX_LINE = 1_000
#: Which keys: all of them, or those that access logs have in addresses.
ALL, IN_LOGS = "all", "log"


class KeysUnreadable(Exception):
    """A file of keys cannot be read. The text has none of its lines."""


class _Every(Container[str]):
    def __contains__(self, key: object) -> bool:
        return True


EVERY: Container[str] = _Every()


@dataclass(frozen=True, slots=True)
class OldPrograms:
    """Keys whose programs need something that no key has otherwise."""

    in_path: Container[str] = field(default=(), repr=False)
    wrapped: Container[str] = field(default=(), repr=False)

    def needs(self, key: str) -> dict[str, bool]:
        """Return the attributes of a key that are switched on."""
        needs = {"in_path": key in self.in_path, "wrapped": key in self.wrapped}
        return {name: True for name, is_needed in needs.items() if is_needed}


def remarks_on(needs: Iterable[str]) -> list[Remark]:
    """Return what a person must know about attributes of ``needs``."""
    kinds = {"in_path": Kind.KEY_IN_PATH, "wrapped": Kind.KEY_WRAPPED}
    return [remark(kinds[name]) for name in needs]


def keys_of_file(name: str) -> frozenset[str]:
    """Return the first word of each line of a file, as the keys of a comparison have it too. Raises KeysUnreadable."""
    found: set[str] = set()
    try:
        with Path(name).open(encoding="utf-8") as file:
            while line := file.readline(MAX_LINE):
                words = line.split(None, 1)
                if words and not words[0].startswith("#") and len(found) < MAX_KEYS:
                    found.add(words[0])
    except (OSError, UnicodeDecodeError) as error:
        raise KeysUnreadable(f"{name}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    return frozenset(found)


def keys_in_logs(
    logs: Sequence[str], folders: Sequence[str], keys: Keys, progress: Callable[[], None] = lambda: None
) -> frozenset[str]:
    """Return the keys that access logs have in addresses. Raises LogUnreadable."""
    logged = access_logs.read_logs(logs, access_logs.folders_of(folders), LogCounts(), posts=True, progress=progress)
    return frozenset(questions.keys_in_addresses(logged, keys))


def programs_for(
    database: OldDatabase,
    in_path: str,
    wrapped: str,
    logs: Sequence[str],
    folders: Sequence[str],
    progress: Callable[[], None] = lambda: None,
) -> OldPrograms:
    """Return what old programs need of their keys. Raises KeysUnreadable and LogUnreadable.

    ``in_path`` and ``wrapped`` are "", ALL or the path of a file of keys, ``in_path`` also IN_LOGS: those that the
    ``logs`` have in addresses, below one of the ``folders``.
    """
    if in_path == IN_LOGS:
        found: Container[str] = keys_in_logs(logs, folders, keys_of_database(database), progress)
    else:
        found = _named(in_path)
    return OldPrograms(found, _named(wrapped))


def _named(keys: str) -> Container[str]:
    if not keys:
        return ()
    return EVERY if keys == ALL else keys_of_file(keys)
