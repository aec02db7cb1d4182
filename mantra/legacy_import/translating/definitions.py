"""What the definitions of all kinds have here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mantra.legacy_import.translating.conditions import OldParameter
from mantra.legacy_import.translating.remarks import Remark, Severity

#: Characters of a title and of a description.
MAX_TITLE, MAX_DESCRIPTION = 200, 10_000


@dataclass(frozen=True, slots=True)
class Definition:
    """An operation as it is here. Its remarks say what a person must know."""

    title: str
    description: str
    remarks: tuple[Remark, ...]

    @property
    def all_remarks(self) -> tuple[Remark, ...]:
        """The remarks, with those on what the operation shares with others."""
        return self.remarks

    @property
    def is_draft(self) -> bool:
        """True if callers must not get the operation before somebody has worked on it."""
        return any(each.kind.makes_draft for each in self.all_remarks)

    @property
    def severity(self) -> Severity:
        """The severity of the gravest remark; TAKEN without one."""
        return max((each.severity for each in self.all_remarks), key=lambda each: each.weight, default=Severity.TAKEN)

    def _keys(self, code: str, kind: str, legacy_name: str) -> dict[str, Any]:
        """Return the keys of a bundle that all operations have.

        The access is never open: 1.99x wanted a key for each operation, whatever its flag said.
        """
        keys: dict[str, Any] = {
            "code": code,
            "kind": kind,
            "title": shortened(self.title, MAX_TITLE),
            "description": shortened(self.description, MAX_DESCRIPTION),
            "access": "restricted",
            "state": "draft" if self.is_draft else "published",
        }
        return keys | ({"legacy_name": legacy_name} if legacy_name else {})


def parameter_keys(parameters: Iterable[OldParameter]) -> list[dict[str, Any]]:
    """Return parameters as a bundle has them: texts of any form, all required, as 1.99x took them."""
    return [
        {"name": each.name, "type": "text", "required": True}
        | ({"legacy_name": each.legacy_name} if each.legacy_name else {})
        for each in parameters
    ]


def shortened(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters, without what no database stores."""
    text = text.replace("\x00", "").encode(errors="replace").decode()
    return text if len(text) <= most else text[: most - 1] + "…"
