"""A small database of MANTRA 1.99x in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from mantra.legacy_import.old import OldAgency, OldCalls, OldOddity, OldOperation, OldOrder, OldService, OldUser

#: bcrypt of "rahasia-lama", as PHP writes it, with the least cost.
HASHED = "$2y$04$0123456789012345678901uhUBOn8mWOJmu7CmFwGSu0yQqGBAjAi"


@dataclass
class Rows:
    """An OldDatabase of lists."""

    agency_rows: list[OldAgency] = field(default_factory=list)
    user_rows: list[OldUser] = field(default_factory=list)
    service_rows: list[OldService] = field(default_factory=list)
    operation_rows: list[OldOperation] = field(default_factory=list)
    order_rows: list[OldOrder] = field(default_factory=list)
    call_rows: list[OldCalls] = field(default_factory=list)

    oddity_rows: list[OldOddity] = field(default_factory=list)

    def agencies(self) -> Iterator[OldAgency]:
        return iter(self.agency_rows)

    def users(self) -> Iterator[OldUser]:
        return iter(self.user_rows)

    def services(self) -> Iterator[OldService]:
        return iter(self.service_rows)

    def operations(self) -> Iterator[OldOperation]:
        return iter(self.operation_rows)

    def orders(self) -> Iterator[OldOrder]:
        return iter(self.order_rows)

    def calls(self) -> Iterator[OldCalls]:
        return iter(self.call_rows)

    def oddities(self) -> Iterator[OldOddity]:
        return iter(self.oddity_rows)

    def counts(self) -> dict[str, int]:
        return {
            "instances": len(self.agency_rows), "users": len(self.user_rows), "services": len(self.service_rows),
            "methods": len(self.operation_rows), "orders": len(self.order_rows), "tracks": 7,
        }  # fmt: skip


def data_source(**other: str) -> str:
    """A definition of a data operation, as 1.99x stores it."""
    return json.dumps(
        {
            "dbtype": "mysql", "hostname": "10.1.1.5", "port": "3306", "dbuser": "baca", "dbpassword": "rahasia",
            "dbname": "simpeg", "tbname": "`pegawai`", "columns": "`nip`,`nama`", "conditions": "WHERE `nip` = ''",
            "orders": "", "limrows": "1", "limoffset": "", **other,
        }
    )  # fmt: skip


def proxy_source(**other: str) -> str:
    """A definition of a proxy operation."""
    return json.dumps(
        {
            "wstype": "get", "endpoint": "http://10.9.9.9/cuaca", "method": "kota.php", "accesskey": "",
            "request": "id:numeric=501,kunci:password='rahasia',tgl:text=''", **other,
        }
    )  # fmt: skip


def small() -> Rows:
    """Two agencies with a row of each kind."""
    return Rows(
        [
            OldAgency(0, "system", "Default", "", "", ""),
            OldAgency(1, "bkd", "Badan Kepegawaian", "bkd.contoh.go.id", "a@contoh.go.id; b@contoh.go.id", ""),
            OldAgency(2, "_dinsos", "Dinas Sosial", "", "", ""),
        ],
        [
            OldUser(1, 0, "Admin", "admin@contoh.go.id", "admin", HASHED, "administrator", True),
            OldUser(2, 1, "Ani", "ani@contoh.go.id", "ani", HASHED, "provider", True),
            OldUser(3, 2, "Budi", "", "budi.s", "cmFoYXNpYQ==", "requester", True),
            OldUser(4, 2, "Cici", "", "cici", HASHED, "visitor", True),
        ],
        [OldService(1, 1, "simpeg", "provider", "Data pegawai"), OldService(2, 9, "tersesat", "provider", "")],
        [
            OldOperation(1, 1, "by_nip", "database", True, data_source(), "Pegawai menurut NIP"),
            OldOperation(2, 1, "cuaca", "services", False, proxy_source(), ""),
            OldOperation(3, 1, "hitung", "program", False, json.dumps({"code": "echo 1;", "request": ""}), ""),
            OldOperation(4, 1, "rusak", "database", False, "{", ""),
            OldOperation(5, 2, "yatim", "database", False, data_source(), ""),
        ],
        [
            OldOrder(1, "budi.s", "aaaaaaaaaa", 1, True),
            OldOrder(2, "budi.s", "bbbbbbbbbb", 1, True),
            OldOrder(3, "budi.s", "bbbbbbbbbb", 2, True),
            OldOrder(4, "budi.s", "cccccccccc", 2, False),
            OldOrder(5, "budi.s", "dddddddddd", 99, True),
            OldOrder(6, "budi.s", "aaaaaaaaaa", 1, True),
            OldOrder(7, "cici", "pendek", 1, True),
            OldOrder(8, "admin", "eeeeeeeeee", 1, True),
        ],
    )
