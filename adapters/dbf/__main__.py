"""The process that reads one large table. Its task is JSON on standard input."""

from __future__ import annotations

import json
import sys

from adapters.dbf.copy_manager import main

if __name__ == "__main__":
    sys.exit(main(json.load(sys.stdin)))
