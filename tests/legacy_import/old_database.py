"""An invented database of MANTRA 1.99x, of any size: the same for the same seed, with every trap of a real one.

``make`` invents it. ``OldInstallation`` has its rows as an importer must read them, the rows of each trap by its name,
and the calls that work; ``write`` makes a dump of it, ``load`` puts it into a MariaDB.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from mantra.legacy_import.old import OldAgency, OldCalls, OldOperation, OldOrder, OldService, OldUser
from tests.legacy_import import old_definitions
from tests.legacy_import.old_definitions import (
    CLEAN,
    CLEAN_PERMITS,
    CLEAN_PROXIES,
    ELSEWHERE,
    PROGRAMS,
    PROXIES,
    ROWS,
    Place,
    Rows,
    Shape,
    as_json,
)
from tests.legacy_import.old_tables import CREATE

__all__ = ("ISSUE", "SMALL", "OldCall", "OldInstallation", "Place", "Sizes", "make")


@dataclass(frozen=True)
class Sizes:
    """How many rows each table has, and the bytes of ``trackdata`` of a row of ``tracks``."""

    agencies: int
    users: int
    services: int
    operations: int
    orders: int
    tracks: int
    track_bytes: int


#: For most tests: every trap, and a few rows without.
SMALL = Sizes(agencies=20, users=40, services=30, operations=180, orders=240, tracks=300, track_bytes=200)
ISSUE = Sizes(agencies=50, users=300, services=500, operations=3_000, orders=8_000, tracks=200_000, track_bytes=2_000)

#: Passwords by their hash, as the old program makes them ($2y$).
HASHES = {
    "$2y$04$abcdefghijklmnopqrstu.qSTa0QLEPhXMRAr7SPcMGi4.3tAdRzu": "Rahasia2017",
    "$2y$04$abcdefghijklmnopqrstu.ZoWUbRdkXIxi0gPnjQl32I/d8oZZWuG": "lele goreng",
}
#: The hash of the published password of the user admin, 1234.
DEFAULT_HASH = "$2y$04$abcdefghijklmnopqrstu.keSzpxEjj8PkC/vF46r.NC6FsKlWmo."
_FIRST_DAY = date(2016, 1, 4)
_DATES = "'2016-01-04 08:00:00'"


@dataclass(frozen=True)
class OldCall:
    """A call that the old installation answers: over the legacy wire ours must give the same.

    ``rows``: of a data operation; ``document``: what the upstream of a proxy operation responds.
    """

    operation_id: int
    agency: str
    service: str
    operation: str
    key: str
    parameters: dict[str, str]
    rows: Rows
    document: dict[str, Any] | None = None


@dataclass
class OldInstallation:
    """The rows of the old database, as an importer must read them. ``traps``: name → (table, id) of the rows."""

    sizes: Sizes
    seed: int
    agencies: list[OldAgency] = field(default_factory=list)
    users: list[OldUser] = field(default_factory=list)
    services: list[OldService] = field(default_factory=list)
    operations: list[OldOperation] = field(default_factory=list)
    orders: list[OldOrder] = field(default_factory=list)
    traps: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    calls: list[OldCall] = field(default_factory=list)
    #: The operations that can be called, by id.
    shapes: dict[int, Shape] = field(default_factory=dict, compare=False)

    def call(self, order: OldOrder) -> OldCall | None:
        """The call with an order's key; None if its operation cannot be called, or has no rows for it."""
        shape = self.shapes.get(order.operation_id)
        if shape is None:
            return None
        operation = self.operations[order.operation_id - 1]
        service = next((row for row in self.services if row.id == operation.service_id), None)
        agency = next((row for row in self.agencies if service is not None and row.id == service.agency_id), None)
        if service is None or agency is None or not agency.id:  # the system's own agency is not imported
            return None
        parameters = shape.parameters(ROWS[operation.id % len(ROWS)])
        answer = shape.answer(parameters)
        rows, document = ([], answer) if isinstance(answer, dict) else (answer, None)
        if not answer:  # no rows are a failure there
            return None
        return OldCall(operation.id, agency.code, service.code, operation.code, order.key, parameters, rows, document)

    def trap(self, name: str) -> Any:
        """The one row with this trap."""
        ((table, number),) = self.traps[name]
        return next(row for row in self.rows(table) if row.id == number)

    def rows(self, table: str) -> list[Any]:
        """The rows of a table that is imported, by its old name."""
        return {
            "instances": self.agencies, "users": self.users, "services": self.services, "methods": self.operations,
            "orders": self.orders,
        }[table]  # fmt: skip

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        own = {name: len(self.rows(name)) for name in ("instances", "users", "services", "methods", "orders")}
        return {**own, "tracks": self.sizes.tracks, "notifications": 3, "codefications": 3, "caches": 0}

    def history(self) -> list[OldCalls]:
        """The calls of the history, counted. Rows without a day are in no count."""
        counted = Counter(
            (track.day, track.agency, track.username, track.status)
            for track in self._tracks()
            if track.name == "api" and track.day is not None
        )
        return [OldCalls(*key, calls) for key, calls in sorted(counted.items())]

    # ------------------------------------------------------------------------------------------- the database

    def write(self, path: Path, is_garbled: bool = False) -> Path:
        """Write a dump as mysqldump does. ``is_garbled``: texts of the trap ``not-utf8`` are in latin1."""
        with path.open("wb") as file:
            self.write_to(file, is_garbled)
        return path

    def write_to(self, file: BinaryIO, is_garbled: bool = False) -> None:
        """Write a dump to a file."""
        file.write(_HEAD)
        for statement in self.statements(is_garbled):
            file.write(statement + b";\n")
        file.write(_FOOT)

    def load(self, connection: Any) -> None:
        """Put the tables into the database of a connection of mysqlclient."""
        connection.set_character_set("utf8")
        for statement in self.statements():
            connection.query(statement)
        connection.commit()

    def statements(self, is_garbled: bool = False) -> Iterator[bytes]:
        """The SQL, in the order of mysqldump."""
        yield from (b"SET FOREIGN_KEY_CHECKS=0", b"SET UNIQUE_CHECKS=0", b"SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO'")
        for name in sorted(CREATE):
            yield b"DROP TABLE IF EXISTS `%s`" % name.encode()
            yield CREATE[name].encode()
            for statement in _inserts(name, self._literals(name)):
                yield statement.encode() if not is_garbled else _garbled(statement)

    def _literals(self, table: str) -> Iterable[str]:
        if table == "tracks":
            return self._track_literals()
        if table in _FIXED:
            return (_row(*values) for values in _FIXED[table])
        return (_ROW[table](row) for row in self.rows(table))

    # ------------------------------------------------------------------------------------------------ history

    def _tracks(self) -> Iterator[Track]:
        """The rows of the history, one after the other: there may be more than memory holds."""
        chance = random.Random(f"tracks {self.seed}")
        agencies = [agency.code for agency in self.agencies]
        users = [user.username for user in self.users]
        for number in range(1, self.sizes.tracks + 1):
            day = None if number % 97 == 5 else _FIRST_DAY + timedelta(chance.randrange(500))
            name, status = chance.choice(_TRACK_KINDS)
            yield Track(number, day, chance.choice(agencies), chance.choice(users), name, status)

    def _track_literals(self) -> Iterator[str]:
        data = [_literal(_track_data(number, self.sizes.track_bytes)) for number in range(16)]
        for track in self._tracks():
            registered = f"{track.day or '0000-00-00'} {'08:15:30' if track.day else '00:00:00'}"
            yield (
                f"({track.id},{_literal(track.username)},'10.0.{track.id % 200}.7',{_literal(track.agency)},'database',"
                f"'{track.name}','{track.status}','OK',{data[track.id % 16]},'{registered}')"
            )


@dataclass(frozen=True, slots=True)
class Track:
    """A row of the history, without what it should never have held."""

    id: int
    day: date | None
    agency: str
    username: str
    name: str
    status: str


_TRACK_KINDS = (
    *(("api", "SUCCESS"),) * 6, ("api", "FAIL"), ("api", "ERROR"), ("login", "ONLINE"), ("logout", "OFFLINE"),
    ("methods", "EDIT"),
)  # fmt: skip
#: What stands in every row of trackdata, and must be nowhere afterwards.
SECRET_OF_TRACKS = "sandi-dalam-riwayat"


def _track_data(number: int, size: int) -> str:
    """A whole response, a statement and a password, as the old program recorded them."""
    text = f'a:2:{{s:3:"uri";s:9:"it\'s \\ ü;";}}\r\n{{"dbpassword":"{SECRET_OF_TRACKS}","no":{number},"data":"'
    return text + "".join(f"'nik\\':\"32{place:06d}\"),(" for place in range(max(1, (size - len(text)) // 20)))


# ------------------------------------------------------------------------------------------------------ tables

_FIXED: dict[str, Sequence[tuple[int | str, ...]]] = {
    "notifications": [(1, "register", "Yth. {fullname};"), (2, "order", "Kunci 'baru'"), (3, "reset", "\\o/")],
    "codefications": [
        (1, "appsys", "instance", "Kota Contoh"),
        (2, "appsys", "icon", "i.png"),
        (3, "appsys", "image", ""),
    ],
    "caches": [],
}
_HEAD = b"""-- MySQL dump 10.13  Distrib 5.5.62, for Win64 (AMD64)
--
-- Host: localhost    Database: mantra
-- ------------------------------------------------------
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8 */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;

"""
_FOOT = b"""/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;

-- Dump completed on 2017-11-03 10:15:00
"""
#: Bytes of one INSERT, about as many as mysqldump writes.
_INSERT_BYTES = 1_000_000
#: What a text of the trap ``not-utf8`` has, in its two encodings.
_ACCENT, _LATIN1 = "Café", b"Caf\xe9"


def _garbled(statement: str) -> bytes:
    return statement.encode().replace(_ACCENT.encode(), _LATIN1)


def _inserts(table: str, rows: Iterable[str]) -> Iterator[str]:
    waiting: list[str] = []
    size = 0
    for row in rows:
        waiting.append(row)
        size += len(row)
        if size > _INSERT_BYTES:
            yield f"INSERT INTO `{table}` VALUES {','.join(waiting)}"
            waiting, size = [], 0
    if waiting:
        yield f"INSERT INTO `{table}` VALUES {','.join(waiting)}"


_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\0": "\\0", "\x1a": "\\Z"})


def _literal(value: int | str) -> str:
    return str(value) if isinstance(value, int) else f"'{value.translate(_ESCAPES)}'"


def _row(*values: int | str) -> str:
    return f"({','.join(map(_literal, values))})"


def _dated(*values: int | str) -> str:
    return f"({','.join(map(_literal, values))},{_DATES},{_DATES})"


def _switch(is_on: bool) -> str:
    return "on" if is_on else "off"


_ROW: dict[str, Any] = {
    "instances": lambda row: _dated(row.id, row.code, row.name, row.website, row.email, row.description),
    "users": lambda row: _dated(
        row.id, row.agency_id, row.full_name, row.email, row.username, row.password, row.role, _switch(row.active)
    ),
    "services": lambda row: _dated(row.id, row.agency_id, row.code, row.kind, row.description),
    "methods": lambda row: _dated(
        row.id, row.service_id, row.code, row.kind, _switch(not row.listed), row.source, row.description
    ),
    "orders": lambda row: _dated(row.id, row.username, row.key, row.operation_id, _switch(row.active)),
}


# ---------------------------------------------------------------------------------------------------- inventing


def make(sizes: Sizes = SMALL, place: Place | None = None, seed: int = 1) -> OldInstallation:
    """Invent an installation. ``place``: the server of its real table, for the operations that can be called."""
    maker = _Maker(OldInstallation(sizes, seed), place or Place(), random.Random(seed))
    maker.agencies()
    maker.users()
    maker.services()
    maker.operations()
    maker.orders()
    return maker.made


class _Maker:
    def __init__(self, made: OldInstallation, place: Place, chance: random.Random) -> None:
        self.made, self.place, self.chance = made, place, chance
        #: Ids of agencies and services whose names any system allows.
        self.clean_agencies: list[int] = []
        self.clean_services: list[int] = []

    def _trapped(self, names: str, table: str, number: int) -> None:
        for name in names.split():
            self.made.traps[name].append((table, number))

    # ------------------------------------------------------------------------------------- agencies and users

    def agencies(self) -> None:
        add = self._agency
        add("system", "Default", "system-agency", number=0)
        add("_simpeg", "Sistem Kepegawaian", "agency-underscore")
        add("dinas kota", "Dinas Kota", "agency-blank agency-alike")
        add("dinas.kota", "Dinas Kota Lama", "agency-dot agency-alike")
        add("a" * 64, "Badan Bernama Panjang", "agency-long")
        add("Dinas Ünï", "Dinas Ünï", "agency-accent")
        add("DISHUB", "Dinas Perhubungan", "agency-capitals")
        add("rsud", "Rumah Sakit " + "Umum " * 60, "agency-long-title")
        add("bappeda", "Bappeda", "website-without-scheme", website="www.bappeda.example.go.id")
        add("bkd", "BKD", "website-wrong", website="belum ada")
        add("dispar", "Dinas Pariwisata", "email-several", email="a@dispar.example.go.id; b@dispar.example.go.id")
        add("dinkes", "Dinas Kesehatan", "email-wrong", email="hubungi admin")
        add("kafe", f"Dinas {_ACCENT} 'Kota'\r\nBaru\\", "not-utf8")
        add("tanpa-nama", "", "agency-no-title")
        while len(self.made.agencies) < self.made.sizes.agencies:
            number = len(self.made.agencies)
            self.clean_agencies.append(add(f"instansi_{number:02d}", f"Instansi {number}"))

    def _agency(
        self, code: str, name: str, traps: str = "", website: str = "", email: str = "", number: int | None = None
    ) -> int:
        number = len(self.made.agencies) if number is None else number
        website = website or f"http://{number}.example.go.id"
        self.made.agencies.append(
            OldAgency(number, code, name, website, email or f"i{number}@example.go.id", "Ket; 'x'")
        )
        self._trapped(traps, "instances", number)
        return number

    def users(self) -> None:
        add, agency = self._user, self.clean_agencies[0]
        add("admin", "administrator", "user-admin password-default system-user", 0, password=DEFAULT_HASH)
        add("admin2", "administrator", "system-user", 0)
        add("bawaan", "requester", "password-default-of-others", agency, password=DEFAULT_HASH)
        add("pengawas", "supervisor", "system-user", 0)
        add("titipan", "requester", "system-requester", 0)
        add("lama", "provider", "password-base64", agency, password="UmFoYXNpYTIwMTc=")
        add("lama2", "requester", "password-base64-blanks", agency, password=" UmFoYXNpYTIwMTc= ")
        add("lama3", "requester", "password-base64-default", agency, password="MTIzNA==")
        add("rusak", "requester", "password-unusable", agency, password="*tidak sah*")
        add("kosong", "requester", "password-empty", agency, password="")
        for role in ("choreographer", "composer", "visitor"):
            add(f"si.{role}", role, "role-without-rights user-dot", agency)
        add("pergi", "requester", "user-off-with-order", agency, active=False)
        add("budi.s", "requester", "user-dot user-alike", agency)
        add("budi s", "requester", "user-blank user-alike", agency)
        add("tiur@example.go.id", "requester", "user-email-as-name", agency)
        add("u" * 64, "requester", "user-long", agency, full_name="N" * 128)
        add("Ünal", "requester", "user-accent", agency)
        add("yatim", "requester", "user-without-agency", 99_999)
        while len(self.made.users) < self.made.sizes.users:
            number = len(self.made.users) + 1
            role = ("requester", "requester", "requester", "provider", "publisher")[number % 5]
            add(f"pengguna{number:03d}", role, "", self.chance.choice(self.clean_agencies))

    def _user(
        self, username: str, role: str, traps: str, agency: int, password: str | None = None, active: bool = True,
        full_name: str = "",
    ) -> None:  # fmt: skip
        number = len(self.made.users) + 1
        if password is None:
            password = self.chance.choice(list(HASHES))
        name = full_name or f"Pengguna O'{number}"
        self.made.users.append(
            OldUser(number, agency, name, f"u{number}@example.go.id", username, password, role, active)
        )
        self._trapped(traps, "users", number)

    # --------------------------------------------------------------------------------- services and operations

    def services(self) -> None:
        add, (first, second) = self._service, self.clean_agencies[:2]
        add("_layanan", first, "service-underscore")
        add("data pegawai", first, "service-blank service-alike")
        add("data.pegawai", first, "service-dot service-alike")
        add("s" * 64, first, "service-long")
        add("Pelayanan Ünï", first, "service-accent")
        add("kembar", first, "service-twice")
        add("kembar", second, "service-twice", kind="publisher")
        add("yatim", 99_999, "service-without-agency")
        for agency in self.made.agencies[1:6]:  # the ones with hard names
            add("umum", agency.id)
        add("sistem", 0, "service-of-system")
        while len(self.made.services) < self.made.sizes.services:
            number = len(self.made.services) + 1
            kind = "provider" if number % 4 else "publisher"
            self.clean_services.append(
                add(f"layanan_{number}", self.clean_agencies[number % len(self.clean_agencies)], kind=kind)
            )

    def _service(self, code: str, agency: int, traps: str = "", kind: str = "provider") -> int:
        number = len(self.made.services) + 1
        self.made.services.append(OldService(number, agency, code, kind, f"Layanan {number}"))
        self._trapped(traps, "services", number)
        return number

    def operations(self) -> None:
        for trap in old_definitions.traps(self.place):
            service = self.clean_services[len(self.made.operations) % 3]
            code = trap.code or f"op-{trap.name}"
            number = self._operation(code, trap.kind, trap.source, service, trap.restricted == "off")
            self._trapped(trap.name, "methods", number)
            if trap.shape is not None:
                self.made.shapes[number] = trap.shape
        for service_row in self.made.services[:14]:  # the ones with hard names
            self._callable("cari", service_row.id, CLEAN)
        orphan = self._operation("cari", "database", as_json(old_definitions.database(self.place)), 99_999)
        self._trapped("operation-without-service", "methods", orphan)
        while len(self.made.operations) < self.made.sizes.operations:
            self._ordinary(len(self.made.operations) + 1)

    def _ordinary(self, number: int) -> None:
        service = self.clean_services[number % len(self.clean_services)]
        code, shape = f"operasi_{number}", number % 10
        if shape < 5:
            self._callable(code, service, (*CLEAN, *CLEAN_PERMITS))
        elif shape == 7:
            self._callable(code, service, CLEAN_PROXIES)
        elif shape < 7:
            source = old_definitions.database(self.place, **ELSEWHERE[number // 10 % len(ELSEWHERE)])
            self._operation(code, "database", as_json(source), service)
        elif shape < 9:
            source = old_definitions.proxy(**PROXIES[number // 10 % len(PROXIES)])
            self._operation(code, "services", as_json(source), service)
        else:
            self._operation(code, "program", as_json(PROGRAMS[number // 10 % len(PROGRAMS)]), service)

    def _callable(self, code: str, service: int, shapes: Sequence[Shape]) -> None:
        shape = shapes[len(self.made.shapes) % len(shapes)]
        number = self._operation(code, shape.kind, as_json(shape.definition(self.place)), service)
        self.made.shapes[number] = shape

    def _operation(self, code: str, kind: str, source: str, service: int, listed: bool | None = None) -> int:
        number = len(self.made.operations) + 1
        # Nearly all old operations are listed: the form begins with it.
        is_listed = number % 10 != 0 if listed is None else listed
        self.made.operations.append(OldOperation(number, service, code, kind, is_listed, source, f"Operasi {number}"))
        return number

    # --------------------------------------------------------------------------------------------------- orders

    def orders(self) -> None:
        self._order_traps()
        known = {service.id: service for service in self.made.services}
        agencies = {agency.id for agency in self.made.agencies}
        # Without an agency there is no application: those keys need a person.
        users = [
            user.username
            for user in self.made.users
            if user.role == "requester" and user.active and user.agency_id and user.agency_id in agencies
        ]
        operations = [operation.id for operation in self.made.operations if operation.service_id in known]
        clean = [number for number in self.made.shapes if known[self._service_of(number)].agency_id in agencies]
        place = 0
        while len(self.made.orders) < self.made.sizes.orders:
            place += 1
            if place % 2 or not clean:
                self._order(self.chance.choice(users), self._key(), self.chance.choice(operations), place % 7 != 0)
                continue
            self._order(users[place % len(users)], self._key(), clean[place // 2 % len(clean)], True)
            call = self.made.call(self.made.orders[-1])
            if call is not None:
                self.made.calls.append(call)

    def _service_of(self, operation: int) -> int:
        return self.made.operations[operation - 1].service_id

    def _order_traps(self) -> None:
        one, two, three = list(self.made.shapes)[-3:]
        first, second = (user.username for user in self.made.users[-2:])
        for operation in (one, two, three):
            self._order(first, "satukunci1", operation, True, "key-of-several-operations")
        self._order(first, "duaejaan1", one, True, "key-two-spellings")
        self._order(first, "DuaEjaan1", two, True, "key-two-spellings")
        self._order(first, "duapemakai", one, True, "key-of-two-users")
        self._order(second, "duapemakai", one, True, "key-of-two-users")
        self._order(second, "KunciBesar", two, True, "key-capitals")
        self._order(second, "1a2b3c4d", two, True, "key-eight-hex")
        self._order(second, "kunci baru", two, True, "key-blank")
        self._order(second, "pendek", two, True, "key-short")
        self._order(second, "", two, True, "key-empty")
        self._order(second, "kunciÜtama", two, True, "key-accent")
        self._order(second, "k" * 64, two, True, "key-long")
        self._order(second, self._key(), three, False, "order-off")
        for _time in range(2):
            self._order(first, self._key(), two, True, "order-twice")
        self._order(first, self._key(), 999_999, True, "order-without-operation")
        self._order(second.upper(), self._key(), three, True, "order-other-spelling")
        self._order("pergi", self._key(), three, True, "order-of-off-user")
        self._order("hilang", self._key(), three, True, "order-without-user")
        for username in ("admin", "budi.s", "budi s", "tiur@example.go.id", "u" * 64, "Ünal", "titipan", "si.visitor"):
            self._order(username, self._key(), one, True, "order-of-hard-user")
        for name, rows in list(self.made.traps.items()):
            for table, number in rows:
                if table == "methods" and name != "operation-without-service":
                    self._order(second, self._key(), number, True)

    def _order(self, username: str, key: str, operation: int, active: bool, traps: str = "") -> None:
        number = len(self.made.orders) + 1
        self.made.orders.append(OldOrder(number, username, key, operation, active))
        self._trapped(traps, "orders", number)

    def _key(self) -> str:
        return "".join(self.chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=10))
