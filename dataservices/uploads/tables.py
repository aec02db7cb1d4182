"""Tables from uploaded files: making one, replacing its content by a newer file, bringing an older version back."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.signals import post_delete
from django.utils.translation import gettext

from dataservices import sql
from dataservices.models import UPLOADS, DataOperation, DataSource, UploadedTable, UploadVersion
from dataservices.tabular import kinds, names
from dataservices.tabular.shapes import ColumnFound, ColumnWanted
from dataservices.uploads import messages, process, storage
from dataservices.uploads.messages import UploadError, listed
from dataservices.uploads.previews import Preview
from registry.models import Agency, SnapshotVersion, User
from registry.personal_data import CERTAIN, IDENTIFIERS, recognize

#: The code of the source that is made for an agency's first upload.
SOURCE_CODE = "unggahan"


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """What the user chose for a column: its name, its kind, or not to store it."""

    name: str
    kind: str
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose for a table. Columns that are not in ``columns``, by their index, stay as proposed."""

    title: str
    #: The table's name in SQL; "": made from the title.
    name: str = ""
    columns: Mapping[int, ColumnChoice] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """How the columns of a file differ from those of a table. ``other`` has (name, type, row and text that misfit)."""

    missing: list[str]
    extra: list[str]
    other: list[tuple[str, str, int, str]]
    rows_before: int
    rows_after: int
    #: The file is the one that the table was made from.
    same_file: bool

    def sentences(self) -> list[str]:
        """Return what differs, as sentences; none if the file may replace the table."""
        result = []
        if self.missing:
            result.append(gettext("Missing: %s.") % listed(self.missing))
        if self.extra:
            result.append(gettext("Not in the table: %s.") % listed(self.extra))
        for name, type, row, value in self.other[:10]:
            details = {"column": name, "type": messages.TYPES[type], "row": row, "value": value}
            result.append(gettext("Column %(column)s is %(type)s; row %(row)d has “%(value)s”.") % details)
        return result


# -------------------------------------------------------------------------------------------- making


def source_of(agency: Agency) -> DataSource | None:
    """Return the source with the agency's uploaded tables, None before the first upload."""
    return DataSource.objects.filter(agency=agency, engine="sqlite", database=UPLOADS).order_by("pk").first()


def create_table(agency: Agency, preview: Preview, choices: Choices, user: User) -> tuple[DataSource, str]:
    """Make a table of the agency from an uploaded file. Returns its source and its name, and discards the file.

    Raises UploadError, or ValidationError with the errors of name and title. The caller checks the user's rights.
    """
    columns = _chosen(preview, choices)
    _check_legal("name", [choices.name.strip().lower()] if choices.name.strip() else [])
    with transaction.atomic():
        SnapshotVersion.lock()
        source = source_of(agency) or _new_source(agency)
    table = UploadedTable(source=source, title=choices.title.strip(), columns=columns)
    table.name = choices.name.strip() or _free_name(source, choices.title)
    table.full_clean()
    _store(table, preview, choices.note, user)
    return source, table.name


def _new_source(agency: Agency) -> DataSource:
    """Create the agency's source of uploads. Raises ValidationError if it may have no more sources."""
    taken = {code.lower() for code in DataSource.objects.filter(agency=agency).values_list("code", flat=True)}
    code = next(
        code for number in range(1, 1000) if (code := f"{SOURCE_CODE}{number if number > 1 else ''}") not in taken
    )
    source = DataSource(agency=agency, code=code, engine="sqlite", database=UPLOADS)
    source.full_clean()
    source.save()
    return source


def _free_name(source: DataSource, title: str) -> str:
    taken = {name.lower() for name in source.uploaded_tables.values_list("name", flat=True)}
    return names.unique([*sorted(taken), names.legal(title, "tabel")])[-1]


def _chosen(preview: Preview, choices: Choices) -> list[dict[str, Any]]:
    """Return the columns of a table as UploadedTable.columns has them. Raises UploadError and ValidationError."""
    columns = list[dict[str, Any]]()
    for found in preview.columns:
        choice = choices.columns.get(found.index) or ColumnChoice(found.name, found.kind)
        if choice.kind not in kinds.KINDS:
            raise ValidationError({"columns": gettext("There is no such type of column.")})
        columns.append({
            "name": choice.name, "header": found.header, "kind": choice.kind, "type": kinds.type_of(choice.kind),
            "searched": found.selective and not choice.left_out, "left_out": choice.left_out,
        })  # fmt: skip
    _check_names([column["name"] for column in columns if not column["left_out"]])
    return columns


def _check_names(chosen: list[str]) -> None:
    if not chosen:
        raise UploadError("no-columns")
    _check_legal("columns", chosen)
    twice = {name for name in chosen if chosen.count(name) > 1}
    if twice:
        raise ValidationError({"columns": gettext("Two columns have the same name: %s.") % listed(sorted(twice))})


def _check_legal(field: str, chosen: list[str]) -> None:
    wrong = [name for name in chosen if names.legal(name, "") != name]
    if wrong:
        message = gettext("Use small letters, digits and _ only, and no word of SQL: %s.") % listed(wrong)
        raise ValidationError({field: message})


# ------------------------------------------------------------------------------------------- replacing


def difference(table: UploadedTable, preview: Preview) -> Difference:
    """Compare the columns of a file with those of a table."""
    matches, extra = _matched(table, preview)
    missing = [column["name"] for column, found in matches if found is None]
    other = []
    for column, found in matches:
        if found is not None and _kind_for(column, found) is None:
            _count, row, value = found.unfit[column["kind"]]
            other.append((column["name"], column["type"], row, value))
    current = table.current
    return Difference(
        missing, extra, other, current.rows if current else 0, preview.found.rows,
        same_file=current is not None and current.sha256 == preview.file.sha256,
    )  # fmt: skip


def _matched(
    table: UploadedTable, preview: Preview
) -> tuple[list[tuple[dict[str, Any], ColumnFound | None]], list[str]]:
    """Return each stored column with that of the file, and the names of the file's further columns with values."""
    left = {found.index: found for found in preview.columns}
    pairs: list[ColumnFound | None] = [None] * len(table.columns)
    for same in (_same_header, _same_name):
        for place, column in enumerate(table.columns):
            found = next((each for each in left.values() if same(column, each)), None)
            if pairs[place] is None and found is not None:
                pairs[place] = left.pop(found.index)
    known = [(c, found) for c, found in zip(table.columns, pairs, strict=True) if not c["left_out"]]
    return known, [found.header or found.name for found in left.values() if found.filled]


def _same_header(column: Mapping[str, Any], found: ColumnFound) -> bool:
    return bool(found.header) and _plain(column["header"]) == _plain(found.header)


def _same_name(column: Mapping[str, Any], found: ColumnFound) -> bool:
    return bool(column["name"] == found.name)


def _plain(header: str) -> str:
    return " ".join(header.split()).casefold()


def _kind_for(column: Mapping[str, Any], found: ColumnFound) -> str | None:
    """Return the kind by which a file's column is read as a stored column's type; None if its values do not fit."""
    same_type = [kind for kind in kinds.KINDS if kinds.type_of(kind) == column["type"]]
    wanted = [kind for kind in (found.kind, column["kind"], *same_type) if kind in same_type]
    return next((kind for kind in wanted if kind == "text" or kind not in found.unfit), None)


def replace_table(table: UploadedTable, preview: Preview, user: User, note: str = "") -> UploadVersion:
    """Replace a table's content by that of a newer file with the same columns, and discard the file.

    Raises UploadError with the difference if the columns are others.
    """
    sentences = difference(table, preview).sentences()
    if sentences:
        raise UploadError("other-columns", differences=" ".join(sentences))
    return _store(table, preview, note, user)


def _wanted(table: UploadedTable, preview: Preview) -> list[ColumnWanted]:
    """Return the columns to be built, in the table's order."""
    if table.pk is None:
        pairs = zip(table.columns, preview.columns, strict=True)
        return [ColumnWanted(each.index, c["name"], c["kind"]) for c, each in pairs if not c["left_out"]]
    matches, _extra = _matched(table, preview)
    return [ColumnWanted(f.index, c["name"], _kind_for(c, f) or c["kind"]) for c, f in matches if f is not None]


# --------------------------------------------------------------------------------------------- storing


def _store(table: UploadedTable, preview: Preview, note: str, user: User) -> UploadVersion:
    """Build a version from a file and make it the current one. Raises UploadError."""
    source, new = table.source, table.pk is None
    with storage.new_file(source) as built:
        found = preview.found
        rows = process.build(preview.file.content, built, found.sheet, found.layout, _wanted(table, preview))
        version = UploadVersion(
            stored=secrets.token_hex(16), file_name=preview.file.name, sha256=preview.file.sha256,
            size=preview.file.size, rows=rows, user=user.get_username(), note=note.strip()[:500],
        )  # fmt: skip
        with storage.locked(source):
            storage.check_space(source, built.stat().st_size)
            os.rename(built, storage.version_path(source, version.stored))
            _switch(table, version, lambda: _log(table, user, _created(version) if new else _replaced(version), new))
    preview.file.discard()
    return version


def _switch(table: UploadedTable, version: UploadVersion, log: Callable[[], None]) -> None:
    """Make a version the current one, for callers and in the database. Called with the source locked."""
    source = table.source
    try:
        _check_open(table, version)
        parts = storage.parts_of(source) | {table.name: storage.part_of(table, version.stored)}
        with storage.composed(source, parts) as path, transaction.atomic():
            _record(table, version)
            log()
            storage.activate(source, path)
    except BaseException:
        _undo(source)
        raise
    storage.remove_unused(source)


def _check_open(table: UploadedTable, version: UploadVersion) -> None:
    """Check that no NIK, KK or NPWP reaches everybody by a version. Raises UploadError."""
    users = [row for row in table.used_by() if row.is_callable and row.access == DataOperation.Access.OPEN]
    for name, values in storage.first_values(table.source, version.stored).items() if users else ():
        found = recognize(name, values)
        if found is None or found.kind not in IDENTIFIERS or found.certainty != CERTAIN:
            continue
        if returning := [str(row) for row in users if _returns(row, name)]:
            raise UploadError("open", column=name, operations=listed(returning))


def _returns(operation: DataOperation, name: str) -> bool:
    """Return True if a column may be in the result of an operation."""
    template, dialect = operation.template(), operation.dialect
    built, starred = sql.built_from(template, dialect), sql.traits_of(template, dialect).every_column
    return built is None or starred or any(name in names for names in built.values())


def _undo(source: DataSource) -> None:
    """Make the files what the database says, which has refused the change."""
    with storage.composed(source, storage.parts_of(source)) as path:
        storage.activate(source, path)
    storage.remove_unused(source)


def _record(table: UploadedTable, version: UploadVersion) -> None:
    SnapshotVersion.lock()
    if table.pk is None:
        table.full_clean()  # another may have been made meanwhile
        table.save()
    if version.pk is None:
        last = table.versions.order_by("-number").first()
        version.table, version.number = table, last.number + 1 if last else 1
        version.save()
    table.current = version
    table.save(update_fields=["current"])
    _prune(table)


def _prune(table: UploadedTable) -> None:
    """Delete the oldest versions beyond the number that is kept."""
    old = list(table.versions.exclude(pk__in=[table.current_id]).order_by("-number"))
    for version in old[max(settings.UPLOAD_VERSIONS - 1, 0) :]:
        version.delete()


def bring_back(table: UploadedTable, version: UploadVersion, user: User) -> None:
    """Make an older version of the table the current one. Raises UploadError if its file is gone."""
    source = table.source
    with storage.locked(source):
        if version.table_id != table.pk or not Path(storage.version_path(source, version.stored)).is_file():
            raise UploadError("no-version")
        message = gettext("Brought back version %d.") % version.number
        _switch(table, version, lambda: _log(table, user, message, False))


def _created(version: UploadVersion) -> str:
    return gettext("Made from %(file)s.") % {"file": version.file_name}


def _replaced(version: UploadVersion) -> str:
    return gettext("Replaced by %(file)s.") % {"file": version.file_name}


def _log(table: UploadedTable, user: User, message: str, new: bool) -> None:
    flag = ADDITION if new else CHANGE
    LogEntry.objects.log_actions(user.pk, [table], flag, change_message=message, single_object=True)


def follow_deletions() -> None:
    """Let the files of tables and sources go with their rows."""
    post_delete.connect(_table_deleted, sender=UploadedTable, dispatch_uid="uploads.table")
    post_delete.connect(_source_deleted, sender=DataSource, dispatch_uid="uploads.source")


def _table_deleted(instance: UploadedTable, **_kwargs: Any) -> None:
    source = instance.source
    transaction.on_commit(lambda: storage.refresh(source), robust=True)


def _source_deleted(instance: DataSource, **_kwargs: Any) -> None:
    folder = instance.upload_folder
    if instance.holds_uploads:
        transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True), robust=True)


def columns_of(table: UploadedTable) -> Sequence[dict[str, Any]]:
    """Return the stored columns, each with ``type_label``, the name of its type in the current language."""
    return [{**column, "type_label": messages.TYPES[column["type"]]} for column in table.stored_columns]
