"""The connection of a data operation, equal for operations that can share a source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mantra.definitions.reading import escaped
from mantra.legacy_import.translating.remarks import Kind, Refused, Remark, remark
from mantra.legacy_import.translating.sourcecode import Source

#: ``dbtype`` → engine.
ENGINES = {
    "mysql": "mysql",
    "mysqli": "mysql",
    "postgres": "postgresql",
    "mssql": "sqlserver",
    "oci8": "oracle",
}
#: Engine → the dialect of its SQL, and its usual port.
DIALECTS = {"mysql": "mysql", "postgresql": "postgres", "sqlserver": "tsql", "sybase": "tsql", "oracle": "oracle"}
PORTS = {"mysql": 3306, "postgresql": 5432, "sqlserver": 1433, "oracle": 1521}
#: What the form of 1.99x suggested for SQL Server.
_FORM_PORT = 1443
#: Databases of the servers' own, which no source may have: those of the adapters, which a test compares.
SYSTEM_DATABASES = {
    "mysql": frozenset(("information_schema", "mysql", "performance_schema", "sys")),
    "sqlserver": frozenset(
        ("master", "model", "msdb", "tempdb", "distribution", "sybsecurity", "sybsystemdb", "sybsystemprocs")
    ),
}
#: Accounts that a server has from its installation, with every right.
_POWERFUL = frozenset(("root", "sa", "postgres", "system", "sys", "admin", "administrator", "dba"))
#: Characters of host, database, user and password.
_LONGEST = {"hostname": 255, "dbname": 500, "dbuser": 128, "dbpassword": 1_000}
#: What a source has where the definition has nothing.
UNKNOWN = "belum-diisi"

_LOCAL = re.compile(r"(?:localhost(?:\.localdomain)?|127(?:\.\d{1,3}){3}|::1|0\.0\.0\.0|\.|\(local\)|)", re.IGNORECASE)
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:,]*)[:,](.*)", re.DOTALL)


def is_local(host: str) -> bool:
    """Return True if a host is the machine itself."""
    return _LOCAL.fullmatch(host.strip("[] ")) is not None


@dataclass(frozen=True, slots=True)
class Connection:
    """The settings of a source. Equal ones are one source of their agency."""

    engine: str
    host: str
    port: int | None
    database: str
    user: str
    password: str = field(repr=False)
    #: Further settings of the engine, such as ("instance", "KEU").
    options: tuple[tuple[str, str], ...] = ()

    @property
    def dialect(self) -> str:
        return DIALECTS[self.engine]

    @property
    def is_local(self) -> bool:
        """True if the host is the old server itself: somebody must say what it is called."""
        return is_local(self.host)

    @property
    def alternatives(self) -> tuple[Connection, ...]:
        """What to try where the server does not respond: its usual port, and Sybase, which one driver spoke to too."""
        if self.engine != "sqlserver":
            return ()
        usual = (replace(self, port=PORTS[self.engine]),) if self.port == _FORM_PORT else ()
        sybase = () if self.options else (replace(self, engine="sybase"),)
        return (*usual, *sybase)

    def bundle(self, agency: str, code: str, password: str = "") -> dict[str, Any]:
        """Return the source as a bundle has it. ``password`` is where it is, such as env:NAME; "" for none."""
        keys: dict[str, Any] = {"agency": agency, "code": code, "engine": self.engine}
        if self.host:
            keys["host"] = escaped(self.host)
        if self.port is not None:
            keys["port"] = self.port
        if self.database:
            keys["database"] = escaped(self.database)
        keys["user"] = self.user
        if password and self.password:
            keys["password"] = password
        if self.options:
            keys["options"] = dict(self.options)
        return keys


def connection_of(source: Source, hosts: Mapping[str, str]) -> tuple[Connection, tuple[Remark, ...]]:
    """Return the connection of a definition, and what a person must know about it. Raises Refused.

    ``hosts``: hosts of the definitions, in lower case, → what to write instead, with a port or without.
    """
    dbtype = source.text("dbtype").strip()
    if dbtype not in ENGINES:
        raise Refused(Kind.UNKNOWN_ENGINE, engine=dbtype)
    for name, most in _LONGEST.items():
        if len(source.text(name)) > most:
            raise Refused(Kind.TOO_LONG, what=name, most=most)
    engine, remarks = ENGINES[dbtype], list[Remark]()
    user, database = source.text("dbuser").strip(), source.text("dbname").strip()
    password = source.text("dbpassword")
    if "dbpassword" in source.lost:
        remarks.append(remark(Kind.PASSWORD_LOST))
    if database.lower() in SYSTEM_DATABASES.get(engine, ()):
        raise Refused(Kind.SYSTEM_DATABASE, database=database)
    if not user:
        user, remarks = UNKNOWN, [*remarks, remark(Kind.MISSING_SETTING, setting="dbuser")]
    elif user.lower() in _POWERFUL:
        remarks.append(remark(Kind.POWERFUL_ACCOUNT, user=user))
    written = source.text("hostname").strip()
    text = hosts.get(written.lower(), written)
    if engine == "oracle" and (dsn := _connect_string(text, database)):
        remarks.append(remark(Kind.TNS_NAME))
        return Connection(engine, "", None, "", user, password, (("dsn", dsn),)), tuple(remarks)
    host, instance, port = _parts(engine, text)
    # A port that somebody gave with the real address is the right one.
    alone = "" if port and text != written else source.text("port").strip()
    number = _port(engine, instance, port, alone, remarks)
    # A host without its port may be known, too. What somebody gave is the real address, also this very machine.
    is_known = written.lower() in hosts or host.lower() in hosts
    host = hosts.get(host.lower(), host)
    options: list[tuple[str, str]] = [("instance", instance)] if instance else []
    if is_local(host) and not is_known:
        host = host or "localhost"
        remarks.append(remark(Kind.LOCALHOST, host=host))
    if engine == "sqlserver":
        remarks.append(remark(Kind.SQLSERVER_OR_SYBASE))
    if engine == "oracle":
        options.append(("service_name", database))
        remarks.append(remark(Kind.ORACLE_NAME, name=database))
        database = ""
    elif not database:
        database, remarks = UNKNOWN, [*remarks, remark(Kind.MISSING_SETTING, setting="dbname")]
    return Connection(engine, host, number, database, user, password, tuple(options)), tuple(remarks)


def _connect_string(host: str, database: str) -> str:
    """Return Oracle's connect string where the host is one, or a name of tnsnames.ora; "" where it is a host."""
    return host if host and (not database or host.startswith(("(", "//")) or "/" in host) else ""


def _parts(engine: str, text: str) -> tuple[str, str, str]:
    """Return the host, the instance of a SQL Server, and the port, of a host that may have them all."""
    instance = ""
    if engine == "sqlserver" and "\\" in text:
        text, _backslash, instance = text.partition("\\")
        instance, _separator, behind = instance.partition(",")
        return text.strip(), instance.strip(), behind.strip()
    match = _WITH_PORT.fullmatch(text)
    # An IPv6 address has more colons, and the path of a socket file no digits only.
    if match and text.count(":") - match[1].count(":") <= 1 and (engine == "sqlserver" or "," not in text):
        return match[1].strip("[] "), "", match[2].strip()
    return text.strip("[] "), "", ""


def _port(engine: str, instance: str, in_host: str, alone: str, remarks: list[Remark]) -> int | None:
    """Return the port; None for an instance, of which the host reports it."""
    texts = [text for text in (in_host, alone) if text]
    found = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 6]
    numbers = [number for number in found if 0 < number < 65_536]
    if len(numbers) < len(texts):
        remarks.append(remark(Kind.PORT_UNUSABLE))
    if len(set(numbers)) > 1:
        remarks.append(remark(Kind.PORT_TWICE, first=numbers[0], second=numbers[1]))
    if not numbers and instance:
        remarks.append(remark(Kind.NAMED_INSTANCE, instance=instance))
        return None
    if engine == "sqlserver" and numbers[:1] == [_FORM_PORT]:
        remarks.append(remark(Kind.UNUSUAL_PORT, port=_FORM_PORT, usual=PORTS[engine]))
    return numbers[0] if numbers else PORTS[engine]
