"""How much work the check of one file may take."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from registry.agreements.errors import Refused

UNREADABLE = _("This PDF cannot be checked. Print it to a PDF again, or scan it.")


class Budget:
    """How much work is left: a small file can hold many gigabytes of zeros, or the same data in many streams."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, size: int) -> None:
        """Take work away. Raises Refused if there is not so much left."""
        self._left -= size
        if self._left < 0:
            raise Refused(UNREADABLE)
