"""How long each part goes on: BENCH_ROUNDS and BENCH_SECONDS change it, BENCH_PEERS chooses parts and peers."""

from __future__ import annotations

import os
from collections.abc import Iterable

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))
#: Rounds of answers that take seconds each.
LONG_ROUNDS = min(ROUNDS, 3)
_CHOSEN = {name for name in os.environ.get("BENCH_PEERS", "").split(",") if name}


def chosen(names: Iterable[str]) -> list[str]:
    """Those of some parts, or peers, that were chosen; all where none of them was."""
    names = list(names)
    return [name for name in names if name in _CHOSEN] or names
