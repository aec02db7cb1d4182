"""What an uploaded file has, as the user sees it before a table is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dataservices.tabular import kinds
from dataservices.tabular.shapes import ColumnFound, Layout, Note, SheetName, TableFound
from dataservices.uploads import messages, process, staging
from dataservices.uploads.staging import StagedFile
from registry.models import Agency
from registry.personal_data import Finding, mask, recognize

#: The file with the preview, beside the uploaded one.
_KEPT = "preview.json"


@dataclass(frozen=True, slots=True)
class Preview:
    """A staged file and what was found in one of its sheets."""

    file: StagedFile
    found: TableFound

    @property
    def token(self) -> str:
        """The name of the file for reopen(), to be kept between two requests."""
        return self.file.token

    @property
    def columns(self) -> list[ColumnFound]:
        return self.found.columns

    def notes(self) -> list[str]:
        """Return what the user should know about the file, as sentences."""
        return messages.notes(self.found.notes)

    def personal(self) -> dict[int, Finding]:
        """Return what personal data the columns seem to have, by their indexes. It judges by the sample."""
        columns = zip(self.columns, zip(*self.found.sample, strict=True), strict=True)
        table = f"{self.found.sheet} {self.file.name}"
        found = {column.index: recognize(column.header or column.name, values, table) for column, values in columns}
        return {index: finding for index, finding in found.items() if finding is not None}

    def masked(self, rows: list[list[str | None]]) -> list[list[str | None]]:
        """Return rows of ``found`` (the sample, the last lines) with personal data hidden."""
        hidden = {place: finding.kind for place, finding in self._by_place()}
        return [
            [mask(value, hidden[place]) if value and place in hidden else value for place, value in enumerate(row)]
            for row in rows
        ]

    def _by_place(self) -> Iterator[tuple[int, Finding]]:
        personal = self.personal()
        for place, column in enumerate(self.columns):
            if column.index in personal:
                yield place, personal[column.index]


def column_notes(column: ColumnFound, personal: Finding | None = None) -> list[str]:
    """Return what the user should know about a column, as sentences. Values of a ``personal`` column are hidden."""
    notes = column.notes
    if personal is not None:
        notes = [Note(note.code, _hidden(note.details, personal)) for note in notes]
    return messages.notes(notes, messages.COLUMN_NOTES)


def _hidden(details: dict[str, Any], personal: Finding) -> dict[str, Any]:
    return {name: mask(value, personal.kind) if name == "value" else value for name, value in details.items()}


def fitting_kinds(column: ColumnFound) -> list[tuple[str, Any]]:
    """Return the kinds that all values of a column fit, with their names: the choices of a form."""
    return [(kind, name) for kind, name in messages.KINDS.items() if kind == "text" or kind not in column.unfit]


def inspect(agency: Agency, name: str, chunks: Iterable[bytes]) -> Preview:
    """Store an uploaded file for a day and return what it has. ``name`` is the file's name.

    It takes about 3 seconds for 100,000 rows. Raises UploadError, with a message for the user.
    """
    file = staging.stage(agency, name, chunks)
    try:
        return _look(file, "", Layout())
    except messages.UploadError:
        file.discard()
        raise


def reopen(agency: Agency, token: str) -> Preview:
    """Return the last preview of a staged file. Raises UploadError if the agency has no such file any more."""
    file = staging.staged(agency, token)
    return Preview(file, _loaded(file.kept(_KEPT)))


def look_again(preview: Preview, sheet: str = "", layout: Layout | None = None) -> Preview:
    """Return what another sheet has, or the same one with another header or end. Raises UploadError."""
    return _look(preview.file, sheet or preview.found.sheet, layout or Layout())


def _look(file: StagedFile, sheet: str, layout: Layout) -> Preview:
    found = process.inspect(file.content, sheet, layout)
    file.keep(_KEPT, found)
    return Preview(file, _loaded(found))


def _loaded(found: dict[str, Any]) -> TableFound:
    """Return a TableFound from its fields as JSON."""
    return TableFound(**{
        **found,
        "sheets": [SheetName(**sheet) for sheet in found["sheets"]],
        "layout": Layout(**found["layout"]),
        "columns": [_column(column) for column in found["columns"]],
        "notes": [Note(**note) for note in found["notes"]],
    })  # fmt: skip


def _column(column: dict[str, Any]) -> ColumnFound:
    unfit = {kind: (count, row, value) for kind, (count, row, value) in column["unfit"].items()}
    return ColumnFound(**{**column, "unfit": unfit, "notes": [Note(**note) for note in column["notes"]]})


def type_label(kind: str) -> str:
    """Return the name of a kind's type in the current language."""
    return str(messages.TYPES[kinds.type_of(kind)])
