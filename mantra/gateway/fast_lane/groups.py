"""The upstream groups: nginx keeps connections only to servers that its configuration names.

One web process at a time renders a group for each server that pass-through operations have, from its snapshot, with
the addresses to which the bus may connect. nginx loads them and says which version it has. The others read what was
rendered. An admission names a group, and is given only to an nginx that has loaded the group as it is now.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import orjson
from django.conf import settings

from mantra.gateway.fast_lane.fitness import is_plain
from proxyservices.forwarding.plan import Plan, pass_through_servers
from proxyservices.transport import allowlist, dial
from proxyservices.transport.endpoint import Endpoint
from proxyservices.transport.errors import UpstreamError
from registry.journal import lane_folder
from registry.rounds import ProcessThread, survive
from registry.snapshot import holder
from registry.snapshot.types import Snapshot

log = logging.getLogger("mantra.fast_lane")

#: Seconds between two rounds, between two versions, and for which a name is not looked up again.
INTERVAL, PAUSE, NAME_SECONDS = 0.5, 2.0, 5.0
#: Seconds for the look-up of a name.
LOOKUP_SECONDS = 2.0
#: The most groups, addresses of one, and versions that are remembered.
MAX_GROUPS, MAX_ADDRESSES, MAX_VERSIONS = 2_000, 8, 8

#: The addresses of each group, as nginx has them.
Groups = Mapping[str, tuple[str, ...]]

_CONF, _STATE, _LOCK = "upstreams.conf", "upstreams.json", "groups.lock"


def group_of(plan: Plan, endpoint: Endpoint) -> str:
    """Return the name of the group of a server."""
    return _name(plan.origin[1] if plan.origin is not None else 0, endpoint)


def _name(backend: int, endpoint: Endpoint) -> str:
    return f"b{backend}s{endpoint.id}"


def version_of(groups: Groups) -> str:
    """Return the version of groups: the same for the same ones."""
    return hashlib.blake2b(orjson.dumps(dict(groups), option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def render(groups: Groups, version: str) -> str:
    """Return the groups as nginx's configuration. nginx's script tells the version to the bus."""
    blocks = []
    for name, addresses in sorted(groups.items()):
        # The bus's own tracker decides which server is ill, not nginx.
        servers = "".join(f"    server {address} max_fails=0;\n" for address in addresses)
        blocks.append(f"upstream {name} {{\n{servers}    keepalive 32;\n    keepalive_timeout 20s;\n}}\n")
    blocks.append(f'map "" $fast_lane_groups {{ default "{version}"; }}\n')
    return "".join(blocks)


class UpstreamGroups:
    """The groups as this process knows them, and whether nginx may take calls at all. A thread calls round()."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: The version that nginx should load, and the groups of the last versions.
        self.version = ""
        self._versions: dict[str, Groups] = {}
        #: True while calls of the fast lane are collected.
        self.ready = False
        self._lock: IO[str] | None = None
        self._read_at = (0, 0)
        self._rendered_at = float("-inf")
        #: The snapshot that the servers were taken from, and the servers by the names of their groups.
        self._snapshot: Snapshot | None = None
        self._servers: dict[str, tuple[str, int]] = {}
        #: Until when a server's addresses need not be looked up again, and the addresses.
        self._addresses: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}

    def has(self, version: str, group: str) -> bool:
        """Return True if an nginx that has loaded a version can use a group as it is now."""
        own = self._versions.get(self.version, {}).get(group)
        return bool(own) and self._versions.get(version, {}).get(group) == own

    def round(self) -> None:
        """Look whether calls are collected, render the groups or read what was rendered. Raises OSError."""
        self.ready = self._is_ready()
        self._read()
        if self._holds_lock() and self._render():
            self._read()

    def release(self) -> None:
        """Let another process render the groups."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _is_ready(self) -> bool:
        folder = lane_folder.log_folder()
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # nginx and the worker have other accounts
        sign = lane_folder.collected()
        return sign is not None and not sign.is_behind(time.time())

    def _holds_lock(self) -> bool:
        if self._lock is not None:
            return True
        file = (Path(settings.FAST_LANE_DIR) / _LOCK).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._lock = file
        return True

    def _render(self) -> bool:
        """Write the groups for nginx. Return True if they are new."""
        now = self._clock()
        if now - self._rendered_at < PAUSE:
            return False
        groups = self._current()
        version = version_of(groups)
        if version == self.version and (Path(settings.FAST_LANE_DIR) / _CONF).exists():
            return False
        self._rendered_at = now
        kept = {known: old for known, old in self._versions.items() if known != version}
        while len(kept) >= MAX_VERSIONS:
            del kept[next(iter(kept))]
        folder = Path(settings.FAST_LANE_DIR)
        # First what the bus needs to know of a version that nginx has.
        lane_folder.replace(folder / _STATE, orjson.dumps({"version": version, "versions": {**kept, version: groups}}))
        lane_folder.replace(folder / _CONF, render(groups, version).encode())
        log.info("upstream groups of the fast lane: version %s, %d groups", version, len(groups))
        return True

    def _current(self) -> dict[str, tuple[str, ...]]:
        """Return the groups of the current snapshot that have an address."""
        snapshot = holder.current()
        if snapshot is not self._snapshot and snapshot is not None:
            self._snapshot, self._servers = snapshot, _servers_of(snapshot)
            in_use = set(self._servers.values())
            self._addresses = {server: known for server, known in self._addresses.items() if server in in_use}
        found = {name: self._addresses_of(server) for name, server in self._servers.items()}
        return {name: addresses for name, addresses in found.items() if addresses}

    def _addresses_of(self, server: tuple[str, int]) -> tuple[str, ...]:
        """Return the permitted addresses of a server. While its name cannot be resolved, those of before."""
        now = self._clock()
        until, known = self._addresses.get(server, (float("-inf"), ()))
        if now >= until:
            with suppress(UpstreamError):
                known = _resolved(*server)
            self._addresses[server] = now + NAME_SECONDS, known
        return known

    def _read(self) -> None:
        """Read what was rendered, if that is new."""
        path = Path(settings.FAST_LANE_DIR) / _STATE
        try:
            stat = path.stat()
            if (stat.st_mtime_ns, stat.st_ino) == self._read_at:
                return
            state = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return
        self._versions = {
            version: {name: tuple(addresses) for name, addresses in groups.items()}
            for version, groups in state["versions"].items()
        }
        self.version = state["version"]
        self._read_at = (stat.st_mtime_ns, stat.st_ino)


def _servers_of(snapshot: Snapshot) -> dict[str, tuple[str, int]]:
    """Return the servers of pass-through operations, by the names of their groups. No plan is built for that.

    Not all of these operations may go over the fast lane: a group that nobody uses costs nothing.
    """
    found: dict[str, tuple[str, int]] = {}
    for operation in snapshot.operations.values():
        backend, endpoints = pass_through_servers(operation)
        for endpoint in filter(is_plain, endpoints):
            if len(found) >= MAX_GROUPS:
                return found
            origin = endpoint.target.origin
            found[_name(backend, endpoint)] = origin.host, origin.port
    return found


def _resolved(host: str, port: int) -> tuple[str, ...]:
    """Return the permitted addresses of a host with the port, in a fixed order. Raises UpstreamError."""
    found = dial.resolve(host, port, time.monotonic() + LOOKUP_SECONDS)
    permitted = sorted((family, ip) for family, ip in found if allowlist.is_permitted(ip))[:MAX_ADDRESSES]
    return tuple(
        f"[{ip}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}" for family, ip in permitted if "%" not in ip
    )


groups = UpstreamGroups()
os.register_at_fork(after_in_child=groups.release)


def _follow(stopping: threading.Event) -> None:
    failing = False
    while True:
        failing = survive(groups.round, failing, log, "the folder of the fast lane cannot be used")
        if failing:
            groups.ready = False
        if stopping.wait(INTERVAL):
            break
    groups.release()


_thread = ProcessThread("fast-lane", _follow)


def is_on() -> bool:
    """Return True if nginx may take calls, as far as the settings go."""
    return bool(settings.NGINX_SECRET) and settings.FAST_LANE and settings.JOURNAL


def start() -> None:
    """Start the thread of the groups, if the fast lane is on."""
    if is_on():
        _thread.start()


def stop() -> None:
    """Stop the thread."""
    _thread.stop()
