"""Whether a data source can be reached, and if not, what its keeper can do about it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from adapters import adapter_class, missing_driver
from adapters.base import SourceError
from dataservices.models import DataSource

#: Schemas whose tables are counted; a warehouse may have thousands.
MAX_SCHEMAS = 50

#: A word of adapters.base.REASONS → what it means and what to do.
ADVICE: dict[str, Any] = {
    "file-format": _(
        "The file is there, but it is no table that the bus can read. Save it anew as dBase III or Visual FoxPro."
    ),
    "file-busy": _("Another program keeps writing to the file. Try again when it has finished."),
    "driver-missing": _("The driver for this engine is not installed on the bus. Ask its operators to install it."),
    "file-missing": _(
        "There is no such file in the agency's own folder on the bus, %(folder)s. Check the path, which begins in that "
        "folder, or ask the bus's operators to put the file there."
    ),
    "file-forbidden": _(
        "The file lies outside the agency's own folder on the bus, %(folder)s, or may not be read. Ask the bus's "
        "operators to put it there."
    ),
    "host-unknown": _("No machine of this name is known. Check the host for a typing error, or give its IP address."),
    "refused": _("The machine answers, but nothing listens on this port. Check the port, and that the database runs."),
    "unreachable": _(
        "The machine does not answer. Check the address, and ask your network's keepers to let the bus through the "
        "firewall to this port."
    ),
    "tls": _("No secure connection came about. Check the TLS options and the server's certificate."),
    "login": _(
        "The database refuses the user or the password. Check both, and that this user may log in from the bus's "
        "address."
    ),
    "database-unknown": _("The server has no database of this name. Check the name, capital letters included."),
    "too-many-connections": _(
        "The server has no connection left. Lower the number of connections here, or raise it there."
    ),
    "broken": _("The server closed the connection. Check that the port belongs to this kind of database, and its log."),
    "forbidden": _("The login works, but the user may not do this. Ask for the right, as to SELECT from the table."),
    "object-unknown": _(
        "Something that was asked for does not exist there. Check the names of tables and columns in the SQL, and the "
        "database's name."
    ),
    "syntax": _("The database did not understand the statement. Check the SQL, and that the engine is the right one."),
    "read-only": _("The server takes no writing here. Choose the server that does, or a reading operation."),
    "data": _(
        "The database could not work with a value. Check the conversions in the SQL, and the database's character set."
    ),
    "constraint": _("The database refused because of a rule of its own. Ask its keepers."),
    "timeout": _("The database did not answer in time. Check its load, the network in between, and the SQL."),
    "too-wide": _(
        "A row is larger than the bus takes, or rows that are usually small came large. Take the large column out, or "
        "offer it by an operation of its own, for one row."
    ),
    "other": _("The database failed for a reason that has no standard name. Its own log says more."),
}

#: Where a source that is a file means something else by the same word.
FILE_ADVICE: dict[str, Any] = {
    "database-unknown": _("The file is there, but it is no %(engine)s database. Check that it is the right file."),
    "broken": _("The file cannot be read to its end: it is damaged. Ask the bus's operators to put it there again."),
}


def advise(reason: str, source: DataSource) -> str:
    """What a word of REASONS means for a source, and what to do."""
    cls = adapter_class(source.engine)
    advice = FILE_ADVICE.get(reason) if is_file(source.engine) else None
    return str(advice or ADVICE.get(reason, ADVICE["other"])) % {"engine": cls.label, "folder": folder(source)}


def is_file(engine: str) -> bool:
    """Whether an engine's databases are files, not servers."""
    return all(setting.name != "host" for setting in adapter_class(engine).settings)


def folder(source: DataSource) -> str:
    """Where an agency's files lie, as operators call the place: not where that is on the disk."""
    roots = source.settings()["roots"]
    return "/".join(Path(roots[0]).parts[-2:]) if roots else source.agency.code


@dataclass(frozen=True, slots=True)
class Diagnosis:
    fine: bool
    text: str


def diagnose(source: DataSource) -> Diagnosis:
    """Connect to a source as its operations would, and count the tables that its user sees."""
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
            with suppress(Exception):  # whatever a driver says to a farewell
                connection.close()
    except SourceError as error:
        code = f" [{error.sqlstate}]" if error.sqlstate else ""
        return Diagnosis(False, f"{advise(error.reason, source)}{code}")
    where = source.database if is_file(source.engine) else f"{source.host}:{source.port or cls.default_port}"
    found = ngettext("%d table or view", "%d tables and views", tables) % tables
    return Diagnosis(True, gettext("Connected to %(engine)s at %(where)s: the user sees %(found)s.") % {
        "engine": cls.label, "where": where, "found": found,
    })  # fmt: skip
