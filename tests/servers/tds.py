"""A server that speaks TDS 7.4 as SQL Server does, or TDS 5.0 as Sybase ASE does, over a SQLite file.

It shares its author's misreadings: tests/servers/README.md says how the same tests run against real ones.
Accounts: mantra (password mantra); penuh, whose log-in finds the server full; ditolak17892, which is refused with that
number.
"""

from __future__ import annotations

import argparse
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.process import Server, ending_with_us, permit, wait_until
from tests.servers.tds_sql import PROCEDURES, Done, Event, Fault, Rows, Said, Session, SqlError, Wait
from tests.servers.tds_types import COLLATIONS, Reader, Type, described, described5, encoded, encoded5, stored
from tests.servers.tds_types import parse as parse_type

BATCH, RPC, RESPONSE, ATTENTION, MANAGER, LOGIN7, PRELOGIN = 1, 3, 4, 6, 0x0E, 0x10, 0x12
LOGIN5, NORMAL5 = 2, 0x0F
MORE, ERROR, IN_TRANSACTION, COUNT, ATTENDED = 1, 2, 4, 0x10, 0x20
DONE, DONEPROC, DONEINPROC = 0xFD, 0xFE, 0xFF
OFF, ON, NOT_SUPPORTED, REQUIRED = 0, 1, 2, 3

DATABASE = "mantra"
PACKET = 4096


class Gone(Exception):
    """The client is no longer there."""


class Attention(Exception):
    """The client wants the request to end."""


class Wire:
    """Packets over a socket, in TLS where that was agreed on."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.tls: ssl.SSLObject | None = None
        self.arriving, self.leaving = ssl.MemoryBIO(), ssl.MemoryBIO()

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._read(count - len(data))
            if not piece:
                raise Gone
            data += piece
        return data

    def _read(self, count: int) -> bytes:
        while self.tls is not None:
            try:
                return self.tls.read(count)
            except ssl.SSLWantReadError:
                data = self.sock.recv(65536)
                if not data:
                    raise Gone from None
                self.arriving.write(data)
        return self.sock.recv(count)

    def message(self) -> tuple[int, bytes]:
        """The next message: its type, and what its packets held."""
        pieces = []
        while True:
            kind, status, size, _, _, _ = struct.unpack(">BBHHBB", self._take(8))
            pieces.append(self._take(size - 8))
            if status & 1:
                return kind, b"".join(pieces)

    def send(self, data: bytes, kind: int = RESPONSE, last: bool = True) -> None:
        for start in range(0, max(len(data), 1), PACKET - 8):
            piece = data[start : start + PACKET - 8]
            ends = last and start + PACKET - 8 >= len(data)
            self._write(struct.pack(">BBHHBB", kind, int(ends), len(piece) + 8, 51, 1, 0) + piece)

    def _write(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.write(data)
            data = self.leaving.read()
        self.sock.sendall(data)

    def attention(self) -> bool:
        """Whether the client has sent something, which can only be an attention. Takes it off the wire."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(0) and not (self.tls is not None and self.tls.pending()):
            return False
        kind, _ = self.message()
        return kind == ATTENTION

    def encrypt(self, context: ssl.SSLContext) -> ssl.SSLObject:
        """Shake hands inside pre-login packets. Returns what to talk through from then on."""
        tls = context.wrap_bio(self.arriving, self.leaving, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(PRELOGIN)
                self.arriving.write(self.message()[1])
                continue
            self._flush(PRELOGIN)
            return tls

    def _flush(self, kind: int) -> None:
        if data := self.leaving.read():
            self.send(data, kind)


def _short(text: str) -> bytes:
    return bytes((len(text),)) + text.encode("utf-16-le")


def _long(text: str) -> bytes:
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def _token(code: int, body: bytes) -> bytes:
    return bytes((code,)) + struct.pack("<H", len(body)) + body


@dataclass
class Conversation:
    """One client, from its first packet to its last."""

    wire: Wire
    path: str
    encryption: int = NOT_SUPPORTED
    context: ssl.SSLContext | None = None
    session: Session = field(init=False)
    user: str = ""
    #: What the client told of itself, for tests to ask by tds_fact('…').
    facts: dict[str, str] = field(default_factory=dict)
    #: What a Sybase says of its bytes; with iso_1 they are cp1252 all the same.
    charset: str = "utf8"
    #: Whether it knows plans. Some servers accept the switch, ignore it, and run the statement.
    plans: bool = True
    prepared: dict[int, tuple[str, list[tuple[str, str]]]] = field(default_factory=dict)

    sybase = False

    def talk(self) -> None:
        try:
            if self.log_in():
                self.session = Session(self.path, self.user, self.sybase, self.plans, facts=self.facts)
                try:
                    while True:
                        self.serve(*self.wire.message())
                finally:
                    self.session.close()
        except (Gone, OSError):
            pass
        finally:
            self.wire.sock.close()

    # The log-in.

    def log_in(self) -> bool:
        kind, data = self.wire.message()
        plain = True
        if kind == PRELOGIN:
            plain = self._agree(data)
            kind, data = self.wire.message()
        assert kind == LOGIN7
        if not plain and self.encryption == OFF:
            # Only the log-in goes through TLS then.
            self.wire.tls = None
        self.facts["encrypted"] = "no" if plain else "login" if self.encryption == OFF else "all"
        self.facts["intent"] = "read" if data[26] & 0x20 else "write"
        self.facts["version"] = data[4:8].hex()
        return self._admit(*_login7(data))

    def _agree(self, data: bytes) -> bool:
        """Answer the pre-login, and encrypt where both agree on it. Whether the log-in stays plain."""
        wish = NOT_SUPPORTED
        at = 0
        while data[at] != 0xFF:
            option, offset, size = struct.unpack(">BHH", data[at : at + 5])
            wish = data[offset] if option == 1 and size else wish
            at += 5
        answer = self.encryption
        if answer == OFF and wish in (ON, REQUIRED):
            answer = ON
        self.wire.send(bytes.fromhex("00 000b 0006 01 0011 0001 ff 0f0000000000") + bytes((answer,)))
        if answer == NOT_SUPPORTED or (answer == OFF and wish == NOT_SUPPORTED):
            return True
        assert self.context is not None
        self.wire.tls = self.wire.encrypt(self.context)
        self.encryption = answer
        return False

    def _admit(self, user: str, password: str, database: str, application: str) -> bool:
        if user == "penuh":
            return self._turn_away(SqlError(17809, "Could not connect: the maximum number has been reached.", 20))
        if user.startswith("ditolak"):
            # As a logon trigger, a firewall or an administrator's setting refuses a log-in: by its number.
            return self._turn_away(SqlError(int(user.removeprefix("ditolak")), "The log-in is refused.", 14))
        if (user, password) != ("mantra", "mantra"):
            return self._turn_away(SqlError(18456, f"Login failed for user '{user}'.", 14))
        if database not in ("", DATABASE, "master"):
            first = self.error(SqlError(4060, f'Cannot open database "{database}" requested by the login.', 11))
            return self._turn_away(SqlError(18456, f"Login failed for user '{user}'.", 14), first)
        self.user = user
        self.facts["application"] = application
        self.wire.send(self.welcome(database or DATABASE))
        return True

    def _turn_away(self, error: SqlError, before: bytes = b"") -> bool:
        self.wire.send(before + self.error(error) + self.done(DONE, ERROR))
        return False

    def welcome(self, database: str) -> bytes:
        version = bytes.fromhex({"74": "74000004", "73": "730b0003", "72": "72090002"}[
            self.facts["version"][6:]
        ])  # fmt: skip
        collation = COLLATIONS["sql_latin1_general_cp1_ci_as"][0]
        return b"".join(
            (
                _token(0xE3, b"\x01" + _short(database) + _short("master")),
                _token(0xE3, b"\x07\x05" + collation + b"\x00"),
                _token(0xE3, b"\x04" + _short(str(PACKET)) + _short(str(PACKET))),
                _token(0xAD, b"\x01" + version + _short("Microsoft SQL Server") + b"\x0f\x00\x10\x00"),
                self.done(DONE, 0),
            )
        )

    # Requests.

    def serve(self, kind: int, data: bytes) -> None:
        if kind == ATTENTION:
            self.wire.send(self.done(DONE, ATTENDED))
        elif kind == BATCH:
            text = data[struct.unpack("<I", data[:4])[0] :].decode("utf-16-le", "surrogatepass")
            self.answer(self.session.run(text), DONE)
        elif kind == RPC:
            self._call(Reader(data, struct.unpack("<I", data[:4])[0]))
        elif kind == MANAGER:
            request = struct.unpack("<H", data[struct.unpack("<I", data[:4])[0] :][:2])[0]
            verb = {5: "begin", 7: "commit", 8: "rollback"}[request]
            self.answer(self.session.run(f"{verb} transaction"), DONE)
        else:
            raise Gone

    def _call(self, reader: Reader) -> None:
        size = reader.number("H")
        name = f"#{reader.number('H')}" if size == 0xFFFF else reader.wide(size).lower()
        reader.number("H")
        parameters: list[tuple[str, int, Type, Any]] = []
        while reader.left and reader.data[reader.at] not in (0x80, 0xFF, 0xFE):
            label = reader.wide(reader.take(1)[0]).lstrip("@")
            status = reader.take(1)[0]
            kind, value = reader.parameter()
            parameters.append((label, status, kind, value))
        self._remote(name, parameters)

    def _remote(self, name: str, parameters: list[tuple[str, int, Type, Any]]) -> None:
        values = [value for _, _, _, value in parameters]
        if name in ("#10", "sp_executesql"):
            self._run(values[0], values[1] if len(values) > 1 else "", parameters[2:])
        elif name in ("#13", "sp_prepexec", "#11", "sp_prepare"):
            handle = len(self.prepared) + 1
            self.prepared[handle] = (values[2], _declarations(values[1] or ""))
            after = _returned("", Type("int"), handle)
            if name in ("#11", "sp_prepare"):
                self.answer(iter(()), DONEPROC, after)
            else:
                self._run(values[2], values[1] or "", parameters[3:], after)
        elif name in ("#12", "sp_execute"):
            if values[0] not in self.prepared:
                error = SqlError(8179, f"Could not find prepared statement with handle {values[0]}.")
                self.answer(iter((Fault(error),)), DONEPROC)
                return
            text, declared = self.prepared[values[0]]
            self._run(text, declared, parameters[1:])
        elif name in ("#15", "sp_unprepare"):
            self.prepared.pop(values[0], None)
            self.answer(iter(()), DONEPROC)
        else:
            self._procedure(name, parameters)

    def _run(
        self,
        text: str,
        declared: str | list[tuple[str, str]],
        given: list[tuple[str, int, Type, Any]],
        after: bytes = b"",
    ) -> None:
        if isinstance(declared, str):
            declared = _declarations(declared)
        values = {}
        for (name, kind), (_, _, sent, value) in zip(declared, given, strict=True):
            wanted = parse_type(kind)
            values[name] = (wanted, stored(value, wanted) if sent.name != wanted.name else value)
        self.answer(self.session.run(text, values), DONEPROC, after)

    def _procedure(self, name: str, parameters: list[tuple[str, int, Type, Any]]) -> None:
        procedure = PROCEDURES.get(name.rpartition(".")[2].strip("[]"))
        if procedure is None:
            error = SqlError(2812, f"Could not find stored procedure '{name}'.")
            self.answer(iter((Fault(error),)), DONEPROC)
            return
        names = [parameter for parameter, _, _ in procedure.parameters]
        values = dict.fromkeys(names)
        sent = []
        for position, (label, status, kind, value) in enumerate(parameters):
            values[label or names[position]] = value
            sent.append((label or names[position], label, status, kind))
        events = list(procedure.run(values))
        after = b"".join(
            _returned(label, kind, values[parameter]) for parameter, label, status, kind in sent if status & 1
        )
        self.answer(iter(events), DONEPROC, after)

    # Answers.

    def answer(self, events: Iterator[Event], last: int, after: bytes = b"") -> None:
        """Send what happens, as it happens. ``last`` is the token that ends all; ``after`` stands before it."""
        failed, buffer = False, bytearray()
        inner = DONE if last == DONE else DONEINPROC
        pending = b""
        try:
            for event in events:
                buffer += pending
                pending = b""
                if isinstance(event, Fault):
                    failed = True
                    buffer += self.error(event.error)
                    pending = self.done(inner, ERROR | MORE)
                elif isinstance(event, Said):
                    buffer += self.said(event)
                elif isinstance(event, Rows):
                    self._rows(event, buffer)
                elif isinstance(event, Wait):
                    self._wait(event)
                else:
                    pending = self._ended(event, inner)
        except SqlError as error:
            failed = True
            if self.session.options.get("xact_abort") and self.session.db.in_transaction:
                self.session.db.execute("ROLLBACK")
            buffer += self.error(error)
            pending = self.done(inner, ERROR | MORE)
        except Attention:
            if self.session.options.get("xact_abort") and self.session.db.in_transaction:
                self.session.db.execute("ROLLBACK")
            self.wire.send(bytes(buffer) + self.done(DONE, ATTENDED))
            return
        if last == DONE:
            # The last statement's own end is the batch's.
            ending = pending or self.done(DONE, ERROR if failed else 0)
            ending = ending[:1] + bytes((ending[1] & ~MORE,)) + ending[2:]
            self.wire.send(bytes(buffer) + ending)
            return
        status = b"" if failed else b"\x79" + struct.pack("<i", 0)
        self.wire.send(bytes(buffer) + pending + status + after + self.done(last, ERROR if failed else 0))

    def _ended(self, event: Done, inner: int) -> bytes:
        counted = event.count >= 0 and not self.session.options.get("nocount")
        return self.done(inner, MORE | (COUNT if counted else 0), max(event.count, 0), event.command)

    def _rows(self, event: Rows, buffer: bytearray) -> None:
        buffer += self.columns(event)
        kinds = [kind for _, kind in event.columns]
        for row in event.rows:
            buffer += self.row(row, kinds)
            if len(buffer) > 8 * PACKET:
                self._pour(buffer)
                if self.wire.attention():
                    raise Attention

    def _pour(self, buffer: bytearray) -> None:
        whole = len(buffer) // (PACKET - 8) * (PACKET - 8)
        self.wire.send(bytes(buffer[:whole]), last=False)
        del buffer[:whole]

    def _wait(self, event: Wait) -> None:
        if event.deaf:
            threading.Event().wait(event.seconds)
            return
        readable, _, _ = select.select([self.wire.sock], [], [], event.seconds)
        if readable and self.wire.attention():
            raise Attention

    # Tokens, which TDS 5.0 writes its own way.

    def columns(self, event: Rows) -> bytes:
        pieces = [b"\x81", struct.pack("<H", len(event.columns))]
        for name, kind in event.columns:
            pieces += [struct.pack("<IH", 0, 9), described(kind), _short(name)]
        return b"".join(pieces)

    def row(self, row: tuple[Any, ...], kinds: list[Type]) -> bytes:
        return b"\xd1" + b"".join([encoded(value, kind) for value, kind in zip(row, kinds, strict=True)])

    def error(self, error: SqlError) -> bytes:
        body = struct.pack("<IBB", error.number, 1, error.severity)
        return _token(0xAA, body + _long(error.message) + _short("tiruan") + _short("") + struct.pack("<I", 1))

    def said(self, event: Said) -> bytes:
        body = struct.pack("<IBB", event.number, 1, 0) + _long(event.text) + _short("tiruan") + _short("")
        return _token(0xAB, body + struct.pack("<I", 1))

    def done(self, token: int, status: int, count: int = 0, command: int = 0) -> bytes:
        return bytes((token,)) + struct.pack("<HHQ", status, command, count)


def _login7(data: bytes) -> tuple[str, str, str, str]:
    """User, password, database and application of a LOGIN7."""

    def text(at: int, secret: bool = False) -> str:
        offset, length = struct.unpack("<HH", data[at : at + 4])
        raw = data[offset : offset + 2 * length]
        if secret:
            raw = bytes(((byte ^ 0xA5) << 4 | (byte ^ 0xA5) >> 4) & 0xFF for byte in raw)
        return raw.decode("utf-16-le")

    return text(40), text(44, secret=True), text(68), text(48)


def _declarations(text: str) -> list[tuple[str, str]]:
    """Names and types of a declaration such as @P1 int, @P2 decimal(38, 10)."""
    found = []
    for piece in text.replace(", ", ",").split(",@"):
        name, _, kind = piece.strip().lstrip("@").partition(" ")
        if name:
            found.append((name, kind.removesuffix(" output").removesuffix(" OUTPUT")))
    return found


def _returned(name: str, kind: Type, value: Any) -> bytes:
    """RETURNVALUE: an output parameter."""
    label = _short(f"@{name}" if name else "")
    return (
        b"\xac"
        + struct.pack("<H", 0)
        + label
        + b"\x01"
        + struct.pack("<IH", 0, 0)
        + described(kind)
        + encoded(value, kind)
    )


class Conversation5(Conversation):
    """The same in TDS 5.0: plain log-in records, language batches, bytes in the server's code page (UTF-8)."""

    sybase = True

    def log_in(self) -> bool:
        kind, data = self.wire.message()
        assert kind == LOGIN5
        user, password = (data[at : at + data[at + 30]].decode() for at in (31, 62))
        if user == "penuh":
            return self._refuse(SqlError(1601, "There are not enough 'user connections' available.", 17))
        if (user, password) != ("mantra", "mantra"):
            return self._refuse(SqlError(4002, "Login failed.", 14))
        self.user = user
        capabilities = data[data.rindex(b"\xe2") :] if b"\xe2" in data[512:] else b""
        self.wire.send(
            _acknowledged(5)
            + capabilities
            + _changed(3, self.charset, "iso_1")
            + _changed(1, DATABASE, "master")
            + self.done(DONE, 0)
        )
        return True

    def _refuse(self, error: SqlError) -> bool:
        self.wire.send(_acknowledged(6) + self.error(error) + self.done(DONE, ERROR))
        return False

    def serve(self, kind: int, data: bytes) -> None:
        if kind == ATTENTION:
            self.wire.send(self.done(DONE, ATTENDED))
        elif kind == NORMAL5 and data[:1] == b"\x21":
            size = struct.unpack("<I", data[1:5])[0]
            text = data[6 : 5 + size].decode("utf-8" if self.charset == "utf8" else "cp1252")
            self.answer(self._language(text), DONE)
        elif kind == BATCH:
            self.answer(self._language(data.decode()), DONE)
        else:
            raise Gone

    def _language(self, text: str) -> Iterator[Event]:
        """A language batch; a USE at its end is what FreeTDS adds to its first one."""
        if text.startswith("sp_datatype_info"):
            # A row would send FreeTDS 1.3 round in circles.
            yield Done()
            return
        used = re.search(r"\buse\s+\[?(\w+)\]?\s*$", text, re.I)
        if used is None:
            yield from self.session.run(text)
            return
        if text[: used.start()].strip():
            yield from self.session.run(text[: used.start()])
        if used[1] in (DATABASE, "master"):
            yield Done()
        else:
            yield Fault(SqlError(911, f"Attempt to locate entry in sysdatabases for '{used[1]}' failed.", 11))

    def columns(self, event: Rows) -> bytes:
        pieces = [struct.pack("<H", len(event.columns))]
        for name, kind in event.columns:
            label = name.encode()
            pieces += [bytes((len(label),)) + label + bytes(4) + struct.pack("<I", 0x20), described5(kind)]
        body = b"".join(pieces)
        return b"\x61" + struct.pack("<I", len(body)) + body

    def row(self, row: tuple[Any, ...], kinds: list[Type]) -> bytes:
        page = "utf-8" if self.charset == "utf8" else "cp1252"
        return b"\xd1" + b"".join([encoded5(value, kind, page) for value, kind in zip(row, kinds, strict=True)])

    def error(self, error: SqlError) -> bytes:
        return _extended(error.number, error.severity, error.message)

    def said(self, event: Said) -> bytes:
        return _extended(event.number, 10, event.text)

    def done(self, token: int, status: int, count: int = 0, command: int = 0) -> bytes:
        return bytes((token,)) + struct.pack("<HHI", status, 0, count)


def _extended(number: int, severity: int, message: str) -> bytes:
    """EED: an error or a message."""
    text = message.encode()
    body = struct.pack("<IBB", number, 1, severity) + b"\x05ZZZZZ\x00" + struct.pack("<HH", 0, len(text)) + text
    return _token(0xE5, body + b"\x06tiruan\x00" + struct.pack("<H", 1))


def _acknowledged(status: int) -> bytes:
    name = b"ASE"
    return _token(0xAD, bytes((status, 5, 0, 0, 0, len(name))) + name + b"\x10\x00\x00\x00")


def _changed(kind: int, new: str, old: str) -> bytes:
    return _token(0xE3, bytes((kind, len(new))) + new.encode() + bytes((len(old),)) + old.encode())


def serve(given: argparse.Namespace, encryption: int, context: ssl.SSLContext | None) -> None:
    """Answer on the port for good."""
    listener = socket.create_server(("127.0.0.1", given.port), backlog=100)
    while True:
        sock = listener.accept()[0]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = Conversation5 if given.sybase else Conversation
        conversation = kind(
            Wire(sock), given.path, encryption, context, charset=given.charset, plans=not given.no_plans
        )
        threading.Thread(target=conversation.talk, daemon=True).start()


class TDSServer(Server):
    """The responder as a process of its own. ``encryption`` is off, on, required or none."""

    name = "tds"
    user = password = "mantra"
    database = DATABASE

    def __init__(
        self,
        engine: str = "sqlserver",
        encryption: str = "none",
        certificate: str = "",
        charset: str = "utf8",
        plans: bool = True,
    ) -> None:
        super().__init__()
        self.engine = engine
        self.options = ["--encryption", encryption, "--charset", charset]
        if engine == "sybase":
            self.options.append("--sybase")
        if not plans:
            self.options.append("--no-plans")
        if certificate:
            self.options += ["--certificate", certificate]
        self.start()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.servers.tds", str(self.port), str(self.folder / "data.sqlite3")]

    def start(self) -> None:
        """Start under this account: the responder is ours, and its Python may live where another cannot read."""
        permit(self.name)
        with open(self.folder / "output.log", "ab") as log:
            self.process = subprocess.Popen(
                ending_with_us([*self.command(), *self.options]),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
        wait_until(self._ready_or_dead, 60, self.name)

    def source(self, **changes: Any) -> dict[str, Any]:
        """The settings of a data source for this server."""
        base = {"engine": self.engine, "host": "127.0.0.1", "port": self.port, "database": self.database}
        return {**base, "user": self.user, "password": self.password, **changes}


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("port", type=int)
    words.add_argument("path")
    words.add_argument("--sybase", action="store_true")
    words.add_argument("--no-plans", action="store_true")
    words.add_argument("--encryption", choices=("off", "on", "none", "required"), default="none")
    words.add_argument("--certificate", type=Path)
    words.add_argument("--charset", choices=("utf8", "iso_1"), default="utf8")
    given = words.parse_args()
    context = None
    if given.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # What servers of this protocol's version speak; TLS 1.3 came with TDS 8.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(given.certificate)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    encryption = {"off": OFF, "on": ON, "none": NOT_SUPPORTED, "required": REQUIRED}[given.encryption]
    with suppress(KeyboardInterrupt):
        serve(given, encryption, context)


if __name__ == "__main__":
    main()
