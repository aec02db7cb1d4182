"""datasette over a SQLite file that never changes, with a canned query for one row. It asks for no key."""

from __future__ import annotations

from pathlib import Path

from datasette.app import Datasette
from known import COLUMNS, SQLITE

NAMES = ", ".join(COLUMNS)
application = Datasette(
    immutables=[SQLITE],
    metadata={
        "databases": {
            Path(SQLITE).stem: {
                "queries": {"by_nip": {"sql": f"SELECT {NAMES} FROM pegawai WHERE nip = :nip", "params": ["nip"]}}
            }
        }
    },
    settings={
        "max_returned_rows": 1_000_001,
        "sql_time_limit_ms": 600_000,
        "max_csv_mb": 0,
        "default_cache_ttl": 0,
        "num_sql_threads": 3,
        # The rows are counted and columns suggested for pages of HTML only.
        "suggest_facets": False,
    },
).app()
