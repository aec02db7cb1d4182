"""Lists the rows of a sheet as texts, one line of JSON each, for whoever reads them meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from dataservices.tabular import kinds
from dataservices.tabular.shapes import Bounds, Layout, Refused
from dataservices.tabular.sheets import open_table


def list_rows(path: Path, sheet: str, layout: Layout, bounds: Bounds, out: IO[str]) -> int:
    """Write the header, then each row with its number. Return the number of rows. Raises Refused."""
    count = 0
    with open_table(path, sheet, layout, bounds) as table:
        if not table.reading.layout.header_row:
            raise Refused("no-header", row=1)
        out.write(json.dumps({"headers": table.reading.headers}) + "\n")
        for number, row in table.reading.rows:
            cells = [None if cell is None else kinds.as_text(cell) for cell in row]
            out.write(json.dumps([number, cells]) + "\n")
            count += 1
    return count
