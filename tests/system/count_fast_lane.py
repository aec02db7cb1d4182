"""Counts calls twice: as the upstream saw them and as the history has them, while processes are killed.

``python -m tests.system.count_fast_lane 200000`` does so for as many calls as are wanted, and prints what it found.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tests.proxy.upstream import Answer, Upstream, serve_upstream
from tests.servers.composed import Composed, Crowd
from tests.servers.process import wait_until

OPERATION = {
    "code": "alias",
    "style": "pass-through",
    "connect_timeout_ms": 5000,
    "read_timeout_ms": 10_000,
    "timeout_ms": 20_000,
}


@dataclass
class Counted:
    """What was found. ``unknown``: records of calls that the upstream never saw and that did not fail."""

    calls: int
    records: int
    on_lane: int
    doubled: int
    missing: int
    unknown: int
    #: Calls of leases of which the journal says that nothing is known.
    unexplained: int
    nginx_kills: int
    disturbances: int


class Disturbances:
    """One after the other: what an operator does, and what a failing machine does."""

    def __init__(self, composed: Composed) -> None:
        self._composed = composed
        self.nginx_kills = 0
        self.count = 0
        self.all = (
            self._change, self._reload, self._kill_worker, self._kill_web, self._kill_nginx_worker, self._kill_nginx,
        )  # fmt: skip
        self._turn = cycle(self.all)

    def next(self) -> None:
        """Do the next one."""
        next(self._turn)()
        self.count += 1

    def _change(self) -> None:
        """A new key, and its revocation: the registry has another version, and no admission counts any more."""
        self._composed.console.run(
            "from registry.models import AccessKey, Application; "
            "AccessKey.issue(Application.objects.get(code='app'))[0].revoke()"
        )

    def _reload(self) -> None:
        self._composed.nginx.process.send_signal(signal.SIGHUP)

    def _kill_worker(self) -> None:
        worker = self._composed.worker
        assert worker is not None
        worker.kill()
        worker.wait()
        self._composed.start_worker()

    def _kill_web(self) -> None:
        self._composed.kill(*self._composed.bus.workers()[:1])
        wait_until(self._composed.bus.ready, 60, "a new web process")

    def _kill_nginx_worker(self) -> None:
        self.nginx_kills += 1
        self._composed.kill(*self._composed.nginx.workers())

    def _kill_nginx(self) -> None:
        self.nginx_kills += 1
        nginx = self._composed.nginx
        self._composed.kill(nginx.process.pid, *nginx.workers())
        nginx.process.wait()
        nginx.start()


def count_calls(composed: Composed, upstream: Upstream, path: str, wanted: int) -> Counted:
    """Make at least so many calls, with a disturbance after each seventh of them, or each 2,000."""
    disturbances = Disturbances(composed)
    step = min(max(wanted // 7, 1), 2_000)
    began = time.time()
    with Crowd(composed, path) as crowd:
        while len(crowd.answers) < wanted or disturbances.count < len(disturbances.all):
            crowd.wait_for(step, 300)
            disturbances.next()
        crowd.wait_for(step, 300)
    return _counted(composed, upstream, "/" + path.rpartition("/")[2], began, disturbances)


def _counted(composed: Composed, upstream: Upstream, target: str, began: float, disturbances: Disturbances) -> Counted:
    lane = composed.calls()
    settled = [0]

    def is_settled() -> bool:
        """Whether nothing new came for a while, and every line of nginx is in the history."""
        ids = {record["request_id"] for record in composed.records()}
        before, settled[0] = settled[0], len(ids)
        return before == len(ids) and lane.keys() <= ids

    wait_until(lambda: is_settled() or time.sleep(0.5), 120, "the history")
    # Only now: a call whose caller has gone with a killed process may reach the upstream after the callers' last.
    seen = {each.header("X-Request-Id") for each in upstream.received if each.path == target}
    all_seen = {each.header("X-Request-Id") for each in upstream.received}
    records = composed.records()
    ids = {record["request_id"] for record in records}
    # A request id begins with the time in milliseconds: what tests before have called is nothing of ours.
    ours = [record for record in records if int(record["request_id"][:12], 16) > began * 1000]
    unseen = [record for record in ours if record["request_id"] not in all_seen and record["outcome"] == 200]
    leases = composed.query("SELECT sum(unexplained) AS number FROM registry_calllease")
    return Counted(
        calls=len(seen),
        records=len(ids),
        on_lane=len(lane.keys() & seen),
        doubled=len(records) - len(ids) + sum(count - 1 for count in lane.values()),
        missing=len(seen - ids),
        unknown=len(unseen),
        unexplained=leases[0]["number"] or 0,
        nginx_kills=disturbances.nginx_kills,
        disturbances=disturbances.count,
    )


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serve_upstream(Answer(b"ya")) as upstream:
        one = {"url": upstream.url, "credential_kind": "none"}
        with Composed(Path(folder), [{**OPERATION, "upstreams": [one]}]) as composed:
            counted = count_calls(composed, upstream, "/alias/hitung", wanted)
    print(counted)
    print(f"{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    sys.exit(0 if not counted.doubled and not counted.unknown and counted.missing <= counted.nginx_kills * 16 else 1)


if __name__ == "__main__":
    main()
