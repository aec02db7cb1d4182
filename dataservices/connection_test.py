"""The connection test of a data source: whether it can be reached, and if not, what to do about it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from adapters import adapter_class, missing_driver
from adapters.base import SourceError
from dataservices.models import DataSource

#: Schemas whose tables are counted; a warehouse may have thousands.
MAX_SCHEMAS = 50

#: By word of adapters.base.REASONS: what it means and what to do.
ADVICE: dict[str, Any] = {
    "file-format": _(
        "The file exists, but the bus cannot read it as a table. Save it again as dBase III or Visual FoxPro."
    ),
    "file-busy": _("Another program is writing to the file. Try again when it has finished."),
    "driver-missing": _("The driver for this engine is not installed. Ask the operator to install it."),
    "file-missing": _(
        "The file is not in the agency's folder on the server, %(folder)s. Check the path, which starts in that "
        "folder, or ask the operator to put the file there."
    ),
    "file-forbidden": _(
        "The file is outside the agency's folder on the server, %(folder)s, or the bus may not read it. Ask the "
        "operator to put it there."
    ),
    "host-unknown": _("The host name was not found in DNS. Check it for typing errors, or enter an IP address."),
    "refused": _(
        "The host is reachable, but nothing is listening on this port. Check the port, and that the database is "
        "running."
    ),
    "unreachable": _(
        "The host does not respond. Check the address, and ask your network administrator to allow the bus to reach "
        "this port."
    ),
    "tls": _("The TLS connection failed. Check the TLS options and the server's certificate."),
    "login": _(
        "The database rejects the user or the password. Check both, and that this user may log in from the bus's "
        "address."
    ),
    "database-unknown": _("The server has no database with this name. Check the name, including capital letters."),
    "too-many-connections": _(
        "The server has no free connection. Reduce the number of connections here, or increase it on the server."
    ),
    "broken": _(
        "The server closed the connection. Check that the port belongs to this engine, and read the server's log."
    ),
    "forbidden": _(
        "The login works, but the user has no right to do this. Ask for the right, for example SELECT on the table."
    ),
    "object-unknown": _("A table, column or database does not exist. Check their names in the SQL and in the source."),
    "syntax": _("The database could not parse the statement. Check the SQL and the engine."),
    "read-only": _("The server is read-only. Choose a server that accepts writes, or make the operation read-only."),
    "data": _(
        "The database could not convert a value. Check the conversions in the SQL and the database's character set."
    ),
    "range": _("A number does not fit into its type. Check the arithmetic in the SQL and the types of the columns."),
    "constraint": _("A rule in the database rejected the statement. Ask the database administrator."),
    "locked": _(
        "Another transaction held a lock for too long, or won a deadlock. The call may be repeated. If it happens "
        "often, make the transactions shorter, or let them lock tables in the same order."
    ),
    "no-plan": _("The server shows no execution plan for this statement. Nothing of the statement was kept."),
    "timeout": _("The database did not respond in time. Check its load, the network and the SQL."),
    "too-wide": _(
        "A row exceeds the size limit, or rows grew suddenly. Remove the large column, or give it an operation of "
        "its own that returns one row."
    ),
    "temporary-space": _(
        "Sorting or grouping needs too much temporary space. Reduce the rows or columns, or add an index for the order."
    ),
    "other": _("The database reported an error without a standard code. Read its log."),
}

#: Words that mean something else for a source that is a file.
FILE_ADVICE: dict[str, Any] = {
    "database-unknown": _("The file exists, but it is not a database of %(engine)s. Check that it is the right file."),
    "broken": _("The file is damaged. Ask the operator to upload it again."),
}


def advise(reason: str, source: DataSource) -> str:
    """Return what a word of REASONS means for a source, and what to do."""
    cls = adapter_class(source.engine)
    advice = FILE_ADVICE.get(reason) if is_file(source.engine) else None
    return str(advice or ADVICE.get(reason, ADVICE["other"])) % {"engine": cls.label, "folder": folder(source)}


def is_file(engine: str) -> bool:
    """Return True if an engine's databases are files, not servers."""
    return all(setting.name != "host" for setting in adapter_class(engine).settings)


def folder(source: DataSource) -> str:
    """Return the folder of an agency's files as operators name it, without its path on the disk."""
    roots = source.settings()["roots"]
    return "/".join(Path(roots[0]).parts[-2:]) if roots else source.agency.code


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of a test, with a message for the user."""

    succeeded: bool
    text: str


def test_unsaved(source: DataSource) -> Diagnosis:
    """Connect to a source that is not saved, or with values that are not. An invalid one is not connected to."""
    try:
        source.full_clean()
    except ValidationError as error:
        return Diagnosis(False, " ".join(error.messages))
    return diagnose(source)


test_unsaved.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test where it is imported


def diagnose(source: DataSource) -> Diagnosis:
    """Connect to a source as its operations do, and count the tables that its user sees."""
    cls = adapter_class(source.engine)
    missing = missing_driver(source.engine)
    if missing:
        return Diagnosis(False, f"{ADVICE['driver-missing']} ({missing})")
    adapter = cls(source.settings())
    try:
        connection = adapter.connect()
        try:
            schemas = adapter.schemas(connection)
            tables = sum(len(adapter.tables(connection, schema)) for schema in schemas[:MAX_SCHEMAS])
        finally:
            with suppress(Exception):  # an error when closing does not matter here
                connection.close()
    except SourceError as error:
        code = f" [{error.sqlstate}]" if error.sqlstate else ""
        return Diagnosis(False, f"{advise(error.reason, source)}{code}")
    where = source.database if is_file(source.engine) else f"{source.host}:{source.port or cls.default_port}"
    tables_text = ngettext("%d table or view", "%d tables and views", tables) % tables
    return Diagnosis(True, gettext("Connected to %(engine)s at %(where)s. The user can see %(found)s.") % {
        "engine": cls.label, "where": where, "found": tables_text,
    })  # fmt: skip
