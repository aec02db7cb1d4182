"""The bus's own database: version, encoding, isolation, and whether this code has migrated it."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding

AREA = "database"


def check() -> list[Finding]:
    """Return the state of the database. Raises what the database raises."""
    vendor = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}[connection.vendor]
    return [_server(), *_migrations(), *vendor()]


def _server() -> Finding:
    version = ".".join(map(str, connection.get_database_version()))
    needed = connection.features.minimum_database_version
    name = f"{connection.display_name} {version}"
    if needed and connection.get_database_version() < needed:
        sentence = _("too old: %(needed)s is needed") % {"needed": ".".join(map(str, needed))}
        return Finding(AREA, name, "ill", sentence, _("Move to a newer server."))
    return Finding(AREA, name, "well", _("reachable"))


def _migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    left = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    known = executor.loader.disk_migrations or {}
    replaced = {key for each in known.values() for key in each.replaces}
    foreign = [key for key in executor.loader.applied_migrations if key not in known and key not in replaced]
    name = _("migrations")
    if left:
        words = ngettext("%(number)d is not applied", "%(number)d are not applied", left) % {"number": left}
        yield Finding(AREA, name, "ill", words, _("Run manage.py migrate."))
    if foreign:
        words = ngettext("%(number)d is of newer code", "%(number)d are of newer code", len(foreign))
        advice = _("Start the newer version, or restore the backup of this one.")
        yield Finding(AREA, name, "ill", words % {"number": len(foreign)}, advice)
    if not left and not foreign:
        yield Finding(AREA, name, "well", _("all are applied"))


def _sqlite() -> Iterator[Finding]:
    mode = _value("PRAGMA journal_mode")
    if mode not in ("wal", "memory"):
        sentence = _("Readers and the writer wait for each other (%(mode)s).") % {"mode": mode}
        yield Finding(AREA, "journal_mode", "warn", sentence, _("Put the file on a disk of this machine."))


def integrity() -> list[Finding]:
    """Read a whole SQLite file and return whether it is damaged. Other engines check their pages themselves."""
    if connection.vendor != "sqlite":
        return []
    if _value("PRAGMA quick_check(1)") == "ok":
        return [Finding(AREA, "quick_check", "well", _("The file of the database is not damaged."))]
    sentence = _("The file of the database is damaged.")
    return [Finding(AREA, "quick_check", "ill", sentence, _("Stop the bus and restore a backup."))]


def _postgresql() -> Iterator[Finding]:
    yield from _expect("server_encoding", _value("SHOW server_encoding"), "UTF8")
    yield from _expect("default_transaction_isolation", _value("SHOW default_transaction_isolation"), "read committed")
    if _value("SELECT pg_is_in_recovery()"):
        sentence = _("It is a standby: nothing can be changed, and no call comes into the history.")
        yield Finding(AREA, str(settings.DATABASES["default"]["HOST"]), "ill", sentence, _("Name the primary server."))


def _mysql() -> Iterator[Finding]:
    yield from _expect("character_set_database", _value("SELECT @@character_set_database"), "utf8mb4")


def _expect(name: str, found: object, wanted: str) -> Iterator[Finding]:
    if found != wanted:
        sentence = _("%(found)s instead of %(wanted)s") % {"found": found, "wanted": wanted}
        yield Finding(AREA, name, "warn", sentence, _("Create the database with it, and restore a backup there."))


def _value(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]
