"""Oracle 12.1 and later, over oracledb in its thin mode: no client libraries of Oracle's.

What is Oracle's own and stays so: an empty text is NULL, names that nobody quoted arrive in capitals, a DATE has a
time of day, and CHAR keeps its padding.
"""

from __future__ import annotations

from adapters.oracle.adapter import Oracle

__all__ = ("Oracle",)
