"""The invented database of 1.99x on a real server, and the table that its clean operations read."""

from __future__ import annotations

from contextlib import closing

import MySQLdb

from tests.legacy_import.old_database import OldInstallation, Place
from tests.legacy_import.old_definitions import PERMIT_STATEMENTS, TABLE_STATEMENTS
from tests.servers.mariadb import MariaDBServer
from tests.servers.mysql56 import MySQL56Server
from tests.servers.postgresql import PostgreSQLServer

#: The password of the account that can only read the old database.
PASSWORD = "p@s/s:1#2"


def load(old: OldInstallation, server: MariaDBServer | MySQL56Server, database: str = "lama") -> str:
    """Put an installation into a database of the server. Returns its address, for an account that can only read it."""
    with closing(server.superuser()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8 COLLATE utf8_unicode_ci")
        cursor.execute(f"GRANT SELECT ON {database}.* TO pembaca@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    with closing(_superuser(server, database)) as connection:
        old.load(connection)
    return f"mysql://pembaca:p%40s%2Fs%3A1%232@127.0.0.1:{server.port}/{database}"


def real_table(server: MariaDBServer | MySQL56Server, database: str = "simpeg_lama") -> Place:
    """Make the table that the clean operations read, in a database of the server, and return its place for ``make``."""
    place = Place("127.0.0.1", server.port, database)
    with closing(server.superuser()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8 COLLATE utf8_unicode_ci")
        cursor.execute(f"GRANT SELECT ON {database}.* TO {place.user}@'127.0.0.1' IDENTIFIED BY '{place.password}'")
    with closing(_superuser(server, database)) as connection:
        connection.set_character_set("utf8")
        for statement in TABLE_STATEMENTS:
            connection.query(statement.encode())
        connection.commit()
    return place


def real_permits(server: PostgreSQLServer) -> Place:
    """Make the table that the clean operations of PostgreSQL read, and return its place for ``make``."""
    with closing(server.superuser(server.database)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("DROP TABLE IF EXISTS v_izin")
        for statement in PERMIT_STATEMENTS:
            cursor.execute(statement)
    return Place("127.0.0.1", server.port, server.database, server.user, server.password)


def _superuser(server: MariaDBServer | MySQL56Server, database: str) -> MySQLdb.Connection:
    return MySQLdb.connect(unix_socket=f"{server.folder}/s.sock", user="root", database=database)
