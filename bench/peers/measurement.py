"""bench/run peers: everything in one table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

from bench.bus import Bench, manage
from bench.peers import long, one_row, proxied, rounds, stacks, surroundings, table
from bench.peers.stacks import Missing, Peer
from bench.peers.table import Line
from bench.proxy import Stage, stage

ONE_KEY, MANY_KEY = "eeeeeeeeee", "ffffffffff"
_BUNDLE = f"""
applications:
  - agency: dukcapil
    code: peers
    title: Peers
    keys:
      - {{legacy: {ONE_KEY}, operation: bkn/simpeg/pegawai_by_nip}}
      - {{legacy: {MANY_KEY}, operation: bkn/simpeg/semua}}
    grants:
      - {{operation: bkn/simpeg/pegawai_by_nip, purpose: bench, quota: 1000000000/day}}
      - {{operation: bkn/simpeg/semua, purpose: bench, quota: 1000000000/day}}
"""


def _starts(made: Stage) -> dict[str, Callable[[], AbstractContextManager[Peer]]]:
    bench = made.bench
    return {
        "php": lambda: stacks.php(bench),
        "datasette": lambda: stacks.datasette(bench),
        "flask": lambda: stacks.flask(bench),
        "drf": lambda: stacks.drf(bench, f"http://127.0.0.1:{made.static}"),
    }


def _start(made: Stage, stack: ExitStack) -> tuple[list[Peer], dict[str, str]]:
    """The peers that this machine has, and why the others are not among them."""
    found, missing = [], {}
    starts = _starts(made)
    for name in rounds.chosen(starts):
        try:
            found.append(stack.enter_context(starts[name]()))
        except Missing as error:
            missing[name] = str(error)
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found, missing


def _parts(made: Stage, peers: list[Peer]) -> dict[str, Callable[[], Iterator[Line]]]:
    return {
        "one-row": lambda: one_row.one_row(made.bench, ONE_KEY, peers),
        "proxy": lambda: proxied.proxied(made, peers),
        "json": lambda: long.long(made.bench, MANY_KEY, peers, "json"),
        "csv": lambda: long.long(made.bench, MANY_KEY, peers, "csv"),
    }


def _surroundings(peers: list[Peer], missing: dict[str, str]) -> Line:
    versions = surroundings.versions()
    names = {peer.name for peer in peers}
    if names - {"php"}:
        versions |= {f"peers/{name}": version for name, version in stacks.packages().items()}
    if "php" in names:
        versions["php"] = stacks.php_version()
    return {**surroundings.machine(), "versions": versions, "missing": missing}


def peers(bench: Bench) -> Iterator[Line]:
    """The bus and its peers in turns; the table comes last, on standard error."""
    bench.many()
    lines: list[Line] = []
    before = surroundings.load_average()
    with ExitStack() as stack:
        made = stack.enter_context(stage(bench))
        bundle = bench.folder / "peers.yaml"
        bundle.write_text(_BUNDLE)
        manage(bench.environment, "apply_definitions", str(bundle), "--reason", "measurement")
        running, missing = _start(made, stack)
        where = _surroundings(running, missing)
        parts = _parts(made, running)
        for name in rounds.chosen(parts):
            for line in parts[name]():
                lines.append(line)
                yield line
    where |= {"load_before": before, "load_after": surroundings.load_average()}
    table.write(lines)
    for name, value in where.items():
        print(f"{name}: {value}", file=sys.stderr)
    yield {"bench": "peers-surroundings", **where, "target": None, "ok": None}
