"""Opening a connection within its time, and cutting it off at any moment."""

from __future__ import annotations

import gc
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from functools import cache
from typing import Any

from adapters.base import (
    CONNECT_SECONDS,
    ConnectFailed,
    SourceError,
    time_zone,
)
from adapters.oracle.driver import NUMBERS, oracledb_driver, reason_of, to_source_error
from adapters.oracle.types import output_type_handler
from adapters.socket_watch import address_count, refuses_connections, watchdog

log = logging.getLogger("mantra.adapters")

#: Literals in a statement mean the same on every server, and values become text in one form.
_SESSION = {
    "NLS_DATE_FORMAT": "YYYY-MM-DD HH24:MI:SS",
    "NLS_TIMESTAMP_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF",
    "NLS_TIMESTAMP_TZ_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF TZH:TZM",
    "NLS_NUMERIC_CHARACTERS": ".,",
}
_SESSION_SETTING = re.compile(r"\s*(NLS_[A-Z_]+|TIME_ZONE)\s*=\s*([\w .,:/+$-]+?)\s*", re.I | re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{1,2}):(\d{2})", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_$#]{0,127}", re.ASCII)

_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "broken"),
    (socket.gaierror, "host-unknown"),
    (UnicodeError, "host-unknown"),
    (OSError, "unreachable"),
)


def connect(source: Mapping[str, Any], writes: bool, seconds: float) -> Any:
    """Open a connection and set its session up. Raises ConnectFailed within about ``seconds``."""
    oracledb = oracledb_driver()
    parameters = connect_parameters(source)
    session = list(_session_statements(source))
    hosts = _hosts_of(parameters, seconds)
    try:
        connection = _connection_class()(
            seconds,
            writes,
            **parameters,
            user=source.get("user") or "",
            password=source.get("password") or "",
            tcp_connect_timeout=max(2, seconds / len(hosts)),
            expire_time=1,
            **({"ssl_context": _tls_context(seconds)} if _may_use_tls(parameters) else {}),
            program="mantra",
        )
    except (oracledb.Error, OSError, ValueError, UnicodeError, TypeError) as error:
        raise _connection_error(error, hosts, _may_use_tls(parameters)) from None
    try:
        for statement in session:
            _execute_setup(connection, statement)
    except SourceError as error:
        connection.close()
        reason = "database-unknown" if error.reason == "object-unknown" else error.reason
        raise ConnectFailed(reason, error.sqlstate) from None
    connection.outputtypehandler = output_type_handler()
    return connection


def restore_session(connection: Any, source: Mapping[str, Any]) -> bool:
    """Empty the variables of packages and set the session up again. Returns False if that fails.

    Locks of DBMS_LOCK and the contexts of an application stay: only its own packages can free those.
    """
    statements = [statement.replace("'", "''") for statement in _session_statements(source)]
    setup = " ".join(f"EXECUTE IMMEDIATE '{statement}';" for statement in statements)
    try:
        _execute_setup(connection, f"BEGIN {setup} DBMS_SESSION.MODIFY_PACKAGE_STATE(2); END;")
    except SourceError:
        return False
    connection.called = False
    return True


def connect_parameters(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the database is, as the driver's connect parameters. Raises ConnectFailed."""
    parameters: dict[str, Any] = {}
    if source.get("wallet"):
        parameters = {"wallet_location": source["wallet"], "config_dir": source["wallet"]}
        if source.get("wallet_password"):
            parameters["wallet_password"] = source["wallet_password"]
    if source.get("dsn"):
        # ldap://, config-file:// and the like would have the driver read settings from elsewhere.
        if re.match(r"\s*(?!tcps?:)[\w-]+://", source["dsn"]):
            raise ConnectFailed("database-unknown")
        return {**parameters, "dsn": source["dsn"]}
    protocol = str(source.get("protocol") or "tcp").lower()
    parameters |= {"host": source.get("host") or "localhost", "port": int(source.get("port") or 1521)}
    name = {"sid": source["sid"]} if source.get("sid") else {"service_name": source.get("service_name") or ""}
    return {**parameters, **name, "protocol": "tcps" if protocol == "tcps" else "tcp"}


def _session_statements(source: Mapping[str, Any]) -> Iterator[str]:
    """The statements that set a new session up. Raises ConnectFailed for an invalid setting."""
    settings = dict(_SESSION)
    if source.get("timezone"):
        settings["TIME_ZONE"] = source["timezone"]
    settings |= _session_settings(source)
    yield "ALTER SESSION SET " + " ".join(f"{name} = '{value}'" for name, value in settings.items())
    schema = source.get("schema")
    if schema:
        if not _IDENTIFIER.fullmatch(schema):
            raise ConnectFailed("syntax")
        yield f"ALTER SESSION SET CURRENT_SCHEMA = {schema}"


def _session_settings(source: Mapping[str, Any]) -> dict[str, str]:
    """Return what the option ``session`` sets. Raises ConnectFailed for an invalid setting."""
    settings = {}
    for part in filter(str.strip, str(source.get("session") or "").split(";")):
        match = _SESSION_SETTING.fullmatch(part)
        if match is None:
            raise ConnectFailed("syntax")
        settings[match[1].upper()] = match[2]
    return settings


def session_zone(source: Mapping[str, Any]) -> tzinfo | None:
    """Return the time zone that the option ``session`` sets; None if it sets none, or one that only Oracle knows.

    Without a setting the driver gives a session the zone of this process.
    """
    try:
        name = _session_settings(source).get("TIME_ZONE", "")
        if match := _OFFSET.fullmatch(name):
            return datetime.strptime(f"{match[1]}{int(match[2]):02}{match[3]}", "%z").tzinfo
        return time_zone(name)
    except (ConnectFailed, ValueError):
        return None


def _execute_setup(connection: Any, text: str) -> None:
    token = watchdog.begin(connection.descriptor, time.monotonic() + CONNECT_SECONDS)
    try:
        connection.cursor().execute(text)
    except Exception as error:
        raise to_source_error(error, watchdog.end(token)) from None
    finally:
        watchdog.end(token)


def _connection_error(error: Exception, hosts: Sequence[tuple[str, int]], encrypted: bool) -> ConnectFailed:
    """Return the reason from the first error in the chain of causes that says more than "no connection"."""
    reason, code = "other", ""
    cause: BaseException | None = error
    while cause is not None and reason == "other":
        reason, code_of_cause = _reason_of_cause(cause)
        code = code_of_cause or code
        cause = cause.__cause__ or cause.__context__
    if reason == "broken" and encrypted:
        reason = "tls"
    if reason == "other" and code in ("", "DPY-6005"):
        reason = "refused" if any(refuses_connections(host, port) for host, port in hosts) else "unreachable"
    return ConnectFailed(reason, code)


def _reason_of_cause(cause: BaseException) -> tuple[str, str]:
    if isinstance(cause, oracledb_driver().Error):
        reason, code = reason_of(cause)
        similar = re.search(r"\(Similar to ORA-(\d+)\)", str(cause)) if code == "DPY-6000" else None
        return (NUMBERS.get(int(similar[1]), reason), similar[1]) if similar else (reason, code)
    for kind, reason in _CAUSES:
        if isinstance(cause, kind):
            return reason, ""
    return "other", ""


def _hosts_of(parameters: Mapping[str, Any], seconds: float) -> list[tuple[str, int]]:
    """Return the hosts the connection may lead to, once for each address. Raises ConnectFailed when none resolves."""
    if "dsn" not in parameters:
        targets = [(parameters["host"], parameters["port"])]
    else:
        oracledb = oracledb_driver()
        try:
            parsed = oracledb.ConnectParams(config_dir=parameters.get("config_dir"))
            parsed.parse_connect_string(parameters["dsn"])
        except (oracledb.Error, ValueError, TypeError, OSError):
            raise ConnectFailed("database-unknown") from None
        hosts, ports = parsed.host, parsed.port
        many = isinstance(hosts, list)
        targets = list(zip(hosts, ports, strict=True)) if many else [(hosts, ports)]
    known = []
    for host, port in targets:
        with suppress(ConnectFailed):
            known += [(host, port)] * address_count(host, port, seconds / len(targets))
    if not known:
        raise ConnectFailed("host-unknown")
    return known


def _may_use_tls(parameters: Mapping[str, Any]) -> bool:
    """Return True if the connection may use TLS. What a name in tnsnames.ora stands for is not known here."""
    return "wallet_location" in parameters or "tcps" in str(parameters.get("protocol") or parameters.get("dsn")).lower()


class _TimedHandshake(ssl.SSLContext):
    """TLS with a time-out for the handshake: the driver waits without end for a server that does not know TLS."""

    seconds: float = CONNECT_SECONDS

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        sock.settimeout(self.seconds)
        try:
            wrapped = super().wrap_socket(sock, *arguments, **named)
        except TimeoutError:
            raise ssl.SSLError("no handshake") from None
        wrapped.settimeout(None)
        return wrapped


def _tls_context(seconds: float) -> ssl.SSLContext:
    context = _TimedHandshake(ssl.PROTOCOL_TLS_CLIENT)
    # Shorter than the timer of the whole connection, so that the reason is known to be TLS.
    context.seconds = seconds * 0.9
    context.load_default_certs()
    return context


@cache
def _connection_class() -> type[Any]:
    """Return a subclass of the driver's connection that can be cut off at any moment and closed twice.

    ``lost``: the server is not waited for when closing. ``descriptor`` belongs to its socket; -1 if there is none.
    ``called``: a procedure has run in its session.
    """
    base = oracledb_driver().Connection

    class Connection(base):  # type: ignore[misc,valid-type]
        def __init__(self, seconds: float, writes: bool, **settings: Any) -> None:
            self.writes, self.closed, self.lost, self.descriptor = writes, False, False, -1
            self._core: Any = None
            self.called = False
            self._cut = False
            # The driver waits without end for a server that has accepted the connection and says nothing.
            timer = threading.Timer(seconds, self.cut)
            timer.daemon = True
            timer.start()
            try:
                super().__init__(**settings)
            except Exception:
                if self._cut:
                    raise ConnectFailed("unreachable") from None
                raise
            finally:
                timer.cancel()
            found_socket = _socket_of(self._core)
            self.descriptor = found_socket.fileno() if found_socket is not None else -1
            if found_socket is None:
                log.error(
                    "oracledb %s: the socket of a connection was not found; the connection cannot be aborted",
                    _driver_version(),
                )

        def _connect(self, impl: Any, pool: Any) -> Any:
            self._core = impl
            return super()._connect(impl, pool)

        def cut(self) -> None:
            """Shut the socket down: every wait for the server returns at once."""
            self._cut = True
            found_socket = _socket_of(self._core)
            if found_socket is not None:
                with suppress(OSError):
                    found_socket.shutdown(socket.SHUT_RDWR)

        def close(self) -> None:
            if self.closed:
                return
            self.closed = True
            if self.lost:
                self.cut()
            token = watchdog.begin(self.descriptor, time.monotonic() + 1)
            try:
                super().close()
            except Exception:  # noqa: S110 (it is gone, one way or the other)
                pass
            finally:
                watchdog.end(token)

    return Connection


def _driver_version() -> str:
    return str(getattr(oracledb_driver(), "__version__", "?"))


def _socket_of(core: Any) -> socket.socket | None:
    """Return the socket inside the driver's compiled core, or None.

    The core has no attribute for it; only the garbage collector's references lead there. Tried with oracledb 26.1.
    """
    seen: set[int] = set()
    layer = [core]
    for _ in range(6):
        layer = [part for whole in layer for part in gc.get_referents(whole) if id(part) not in seen]
        for part in layer:
            if isinstance(part, socket.socket):
                return part
        seen.update(map(id, layer))
        layer = [part for part in layer if type(part).__module__.startswith("oracledb")]
    return None
