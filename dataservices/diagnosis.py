"""Whether a data source can be reached, and if not, what its keeper can do about it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
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
    "driver-missing": _("The driver for this engine is not installed on the bus. Ask its operators to install it."),
    "file-missing": _("There is no such file. Check the path as it is on the bus's own machine."),
    "file-forbidden": _(
        "The file lies outside the agency's own folder on the bus, or may not be read. Ask the bus's operators to "
        "put it there."
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
    "forbidden": _("The login works, but the user may not read. Ask for the right to SELECT."),
    "object-unknown": _("Something that the server was asked for does not exist there. Check the database's name."),
    "syntax": _("The server did not understand the question. Check that the engine is the right one."),
    "read-only": _("The server takes no writing here. Choose the server that does, or a reading operation."),
    "data": _("The server could not give out its data. Check the database's character set."),
    "constraint": _("The server refused because of a rule of its own. Ask its keepers."),
    "timeout": _("The server did not answer in time. Check its load and the network in between."),
    "other": _("The server failed for a reason that it has no standard name for. Its own log says more."),
}


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
        return Diagnosis(False, f"{ADVICE[error.reason]}{code}")
    where = f"{source.host}:{source.port or cls.default_port}" if source.host else source.database
    found = ngettext("%d table or view", "%d tables and views", tables) % tables
    return Diagnosis(True, gettext("Connected to %(engine)s at %(where)s: the user sees %(found)s.") % {
        "engine": cls.label, "where": where, "found": found,
    })  # fmt: skip
