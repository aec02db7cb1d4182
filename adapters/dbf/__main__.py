"""The process that reads one large table: its task comes on standard input."""

from __future__ import annotations

import json
import sys

from adapters.dbf.keeper import main

if __name__ == "__main__":
    sys.exit(main(json.load(sys.stdin)))
