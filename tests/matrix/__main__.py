"""``python -m tests.matrix --write`` brings docs/types.md up to date; without the word it prints the page."""

from __future__ import annotations

import sys

from tests.matrix.page import PATH, page

if sys.argv[1:] == ["--write"]:
    PATH.write_text(page())
else:
    print(page(), end="")
