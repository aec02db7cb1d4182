"""Uploads: Excel and CSV files that become tables of an agency, in a source of their own.

    preview = uploads.inspect(agency, file.name, file.chunks())          the file is staged for a day
    preview = uploads.reopen(agency, preview.token)                      in a later request
    preview = uploads.look_again(preview, sheet="Data 2024")             another sheet, or another header row
    source, name = uploads.create_table(agency, preview, Choices(title="Pegawai"), user)
    uploads.difference(table, preview).sentences()                       [] if the file may replace the table
    uploads.replace_table(table, preview, user)
    uploads.bring_back(table, version, user)

Each raises UploadError with a message for the user. The caller checks the user's rights (registry/tenancy.py).
"""

from dataservices.tabular.shapes import ColumnFound, Layout
from dataservices.uploads.messages import KINDS, TYPES, UploadError
from dataservices.uploads.previews import (
    Preview,
    column_notes,
    fitting_kinds,
    inspect,
    look_again,
    reopen,
    type_label,
)
from dataservices.uploads.staging import sweep
from dataservices.uploads.tables import (
    Choices,
    ColumnChoice,
    Difference,
    bring_back,
    columns_of,
    create_table,
    difference,
    follow_deletions,
    replace_table,
    source_of,
)

__all__ = [
    "KINDS", "TYPES", "Choices", "ColumnChoice", "ColumnFound", "Difference", "Layout", "Preview", "UploadError",
    "bring_back", "column_notes", "columns_of", "create_table", "difference", "fitting_kinds", "follow_deletions",
    "inspect", "look_again", "reopen", "replace_table", "source_of", "sweep", "type_label",
]  # fmt: skip
