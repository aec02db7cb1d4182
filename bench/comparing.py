"""What a comparison of a stored value with a given text costs, for each rule.

``python -m bench.comparing`` prints microseconds of CPU for usual values, milliseconds for the worst texts. Names are
the 2,000 pairs of ``tests/comparing/name_pairs.py``. It ends with 1 when a target is missed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from mantra.comparing import MAX_TEXT, RULES, comparer
from tests.comparing.name_pairs import SEEN, different, same

#: Rounds of each part of the pairs; short, so that some rounds are not disturbed by other programs.
ROUNDS, PART = 50, 100
#: Microseconds of one comparison.
TARGETS = {"exact": 2.0, "date": 5.0, "name": 30.0}

USUAL: dict[str, Sequence[tuple[Any, str]]] = {
    "exact": [("3201010101900001", "3201010101900001"), (3201010101900001, "3201010101900002")],
    "text": [("Drs. H. Budi Santoso, M.Si.", "BUDI SANTOSO"), ("Sukamaju", "SUKA MAJU")],
    "date": [(date(1990, 2, 1), "1990-02-01"), (date(1990, 2, 1), "1 Februari 1990"), ("1990-02-01", "01-02-1990")],
    "number": [(Decimal("1234567.89"), "1.234.567,89"), ("Rp 5.000,-", "5000")],
    "phone": [("0812-3456-7890", "+62 812 3456 7890"), ("(021) 555-1234", "0215551234")],
    "address": [
        (
            "Jl. Melati No. 5 RT 03/RW 05, Kel. Sukamaju, Kec. Cibeunying",
            "Jalan Melati 5 RT.3 RW.5 Sukamaju, Cibeunying",
        ),
        ("Jl. Melati No. 5", "Jl. Mawar No. 7"),
    ],
}

#: Texts on which a pattern or a pairing could take long.
WORST = (
    "9" * MAX_TEXT,
    "a" * MAX_TEXT,
    " " * (MAX_TEXT - 2) + "a",
    "a. " * (MAX_TEXT // 3),
    "ab " * (MAX_TEXT // 3),
    "1." * (MAX_TEXT // 2),
    "rt " * (MAX_TEXT // 3),
    "no. blok 1/" * (MAX_TEXT // 11),
    "ch" * (MAX_TEXT // 2),
    "s.kom, " * (MAX_TEXT // 7),
    "\u0301" * MAX_TEXT,
    "\ufdfa" * MAX_TEXT,
    " ".join("abcdefghijklmnopqrstuvwxyz"[place : place + 6] for place in range(12)),
    " ".join("bacdefghijklmnopqrstuvwxyz"[place : place + 6] for place in range(12)),
    " ".join(f"xk{first}{second}ol" for first in "bcdfgh" for second in "klmnprt")[:MAX_TEXT],
    " ".join(f"xk{first}{second}um" for first in "pqrstv" for second in "klmnprt")[:MAX_TEXT],
)


def cost(compare: Callable[[Any, str], Any], pairs: Sequence[tuple[Any, str]]) -> float:
    """Microseconds of CPU of one comparison: the mean of all pairs, of each hundred the least of all rounds."""
    pairs = [*pairs] * max(1, PART // len(pairs))
    spent = 0.0
    parts = [pairs[begin : begin + PART] for begin in range(0, len(pairs), PART)]
    for part in parts:
        rounds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            for stored, given in part:
                compare(stored, given)
            rounds.append(time.process_time() - began)
        spent += min(rounds)
    return round(spent / len(pairs) * 1e6, 2)


def worst(compare: Callable[[Any, str], Any]) -> float:
    """Milliseconds of CPU of the comparison that takes longest."""
    longest = 0.0
    for stored in WORST:
        for given in WORST:
            spent = []
            for _ in range(3):
                began = time.process_time()
                compare(stored, given)
                spent.append(time.process_time() - began)
            longest = max(longest, min(spent))
    return round(longest * 1e3, 3)


def main() -> int:
    usual = {**USUAL, "name": [(pair.one, pair.other) for pair in (*same(SEEN), *different(SEEN))]}
    missed = False
    for rule in RULES:
        compare = comparer(rule)
        compare("Budi Santoso", "Budi Susanto")
        found = cost(compare, usual[rule])
        print(json.dumps({"rule": rule, "us": found, "target_us": TARGETS.get(rule), "worst_ms": worst(compare)}))
        missed |= found > TARGETS.get(rule, found)
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
