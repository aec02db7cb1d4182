"""The tables of 1.99x: which columns the importer reads, and how they are recognised."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from mantra.legacy_import.reading.problems import UnreadableDatabase

#: The name of a table, in lower case, and the names of its columns.
Columns = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is read: its numbers, its texts, and of these the ones that a database may lack."""

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    optional: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        return self.numbers + self.texts

    @property
    def required(self) -> frozenset[str]:
        return frozenset(self.columns) - self.optional


_DESCRIPTION = frozenset(("descript",))
TABLES: Mapping[str, Table] = {
    "instances": Table(
        ("id",), ("instance", "organization", "webportal", "email", "descript"), _DESCRIPTION | {"webportal", "email"}
    ),
    "users": Table(
        ("id", "instanceid"),
        ("fullname", "email", "logname", "passkey", "role", "activity"),
        frozenset(("email",)),
    ),
    "services": Table(("id", "instanceid"), ("servicename", "servicetype", "descript"), _DESCRIPTION),
    "methods": Table(
        ("id", "serviceid"), ("methodname", "methodtype", "restricted", "sourcecode", "descript"), _DESCRIPTION
    ),
    "orders": Table(("id", "methodid"), ("userlog", "accesskey", "orderstatus")),
}
#: The history: its rows are counted only. ``trackdata``, which holds whole responses and passwords, is never kept.
TRACKS = "tracks"
TRACK_COLUMNS = ("registered", "instance", "userlog", "trackname", "trackstatus")

#: Tables and columns that only versions before 1.99x have.
_OLDER: Mapping[str, frozenset[str]] = {
    "providers": frozenset(("providername",)),
    "trackers": frozenset(),
    "tokens": frozenset(("token", "tokenstatus")),
    "users": frozenset(("userlog", "userpass", "userlevel")),
    "services": frozenset(("provider", "tns")),
    "methods": frozenset(("servicename", "published")),
}


def is_read(table: str, columns: Collection[str]) -> bool:
    """Return True if a table has the name and the columns of one whose rows are kept."""
    return table in TABLES and TABLES[table].required <= set(columns)


def is_current(tables: Columns) -> bool:
    """Return True if these are the tables of 1.99x."""
    return all(is_read(name, tables.get(name, ())) for name in TABLES)


def is_older(tables: Columns) -> bool:
    """Return True if these are the tables of a version before 1.99x: two of its marks, as other programs have one."""
    marks = [name for name, columns in _OLDER.items() if name in tables and columns <= set(tables[name])]
    return len(marks) >= 2


def choose(databases: Mapping[str, Columns]) -> str:
    """Return the name of the one database of 1.99x among these. Raises UnreadableDatabase if there is not one."""
    current = sorted(name for name, tables in databases.items() if is_current(tables))
    if len(current) > 1:
        raise UnreadableDatabase(
            _("The dump has several databases of MANTRA 1.99x: %(names)s. Make a dump of one of them.")
            % {"names": ", ".join(name[:64] for name in current[:5])}
        )
    if current:
        return current[0]
    if any(is_older(tables) for tables in databases.values()):
        raise UnreadableDatabase(
            _(
                "These are the tables of a version before MANTRA 1.99x. Install MANTRA 1.99z over the old program and "
                "open its first page once, which upgrades the tables. Then import again."
            )
        )
    raise UnreadableDatabase(_foreign(databases))


def _foreign(databases: Mapping[str, Columns]) -> str:
    """Return what the database that looks most like 1.99x lacks."""
    nearest = max(databases.values(), key=lambda tables: sum(name in tables for name in TABLES), default={})
    missing = [name for name in TABLES if name not in nearest]
    if missing:
        return _("This is no database of MANTRA 1.99x: it lacks %(tables)s. Choose its database, with all tables.") % {
            "tables": ", ".join(missing)
        }
    columns = [
        f"{name}.{column}"
        for name, table in TABLES.items()
        for column in table.columns
        if column in table.required and column not in nearest[name]
    ]
    return _("This is no database of MANTRA 1.99x: it lacks the columns %(columns)s.") % {
        "columns": ", ".join(columns[:10])
    }
