"""How long each part goes on: BENCH_ROUNDS and BENCH_SECONDS change it, BENCH_PEERS chooses parts."""

from __future__ import annotations

import os

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))
#: Rounds of answers that take seconds each.
LONG_ROUNDS = min(ROUNDS, 3)
PARTS = [name for name in os.environ.get("BENCH_PEERS", "").split(",") if name]
