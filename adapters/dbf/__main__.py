"""The process that reads one large table, or scans it. Its task is JSON on standard input."""

from __future__ import annotations

import json
import sys

from adapters.dbf import copy_manager, scan

if __name__ == "__main__":
    task = json.load(sys.stdin)
    sys.exit(scan.main(task) if "comparisons" in task else copy_manager.main(task))
