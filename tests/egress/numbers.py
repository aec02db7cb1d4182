"""Numbers of people, made by the rules by which they are given, and numbers of other things."""

from __future__ import annotations

import random
import string
import uuid
from datetime import date, timedelta
from typing import Any

from stdnum import luhn

#: Some regencies and cities, as the statistics office numbers them.
PLACES = ("110101", "127102", "147103", "167104", "177201", "317101", "320107", "327309", "331012", "357805", "510304",
          "517102", "640211", "730824", "810105", "910901", "320124", "360316", "187104", "217101")  # fmt: skip


class Numbers:
    """Random numbers that can be made again."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def _born(self) -> date:
        return date(1940, 1, 1) + timedelta(days=self.random.randrange(27_000))

    def _digits(self, count: int) -> str:
        return "".join(self.random.choices(string.digits, k=count))

    def nik(self) -> str:
        born = self._born()
        day = born.day + self.random.choice((0, 40))
        # Most are given within the first hundred of a date of birth; a city may have a few hundred.
        serial = min(999, int(self.random.expovariate(1 / 40)) + 1)
        return f"{self.random.choice(PLACES)}{day:02}{born:%m%y}{serial:04}"

    def kk(self) -> str:
        made = date(2005, 1, 1) + timedelta(days=self.random.randrange(7_000))
        return f"{self.random.choice(PLACES)}{made:%d%m%y}{self.random.randrange(1, 1000):04}"

    def npwp(self) -> str:
        start = f"{self.random.randrange(1, 99):02}{self._digits(6)}"
        return start + luhn.calc_check_digit(start) + f"{self.random.randrange(1, 999):03}000"

    def nip(self) -> str:
        born = self._born().replace(year=self.random.randrange(1960, 2003), day=self.random.randrange(1, 29))
        appointed = date(born.year + self.random.randrange(20, 35), self.random.randrange(1, 13), 1)
        return f"{born:%Y%m%d}{appointed:%Y%m}{self.random.choice('12')}{self.random.randrange(1, 30):03}"

    def phone(self) -> str:
        networks = ("811", "812", "813", "821", "822", "838", "852", "857", "877", "881", "895", "896")
        return f"0{self.random.choice(networks)}{self._digits(self.random.randrange(7, 10))}"

    def email(self) -> str:
        name = "".join(self.random.choices(string.ascii_lowercase, k=8))
        return f"{name}.{self.random.randrange(99)}@{self.random.choice(('gmail.com', 'contoh.go.id', 'mail.co.id'))}"

    # ------------------------------------------------------------------------------- other things

    def order(self) -> str:
        return f"ORD-{self._digits(self.random.choice((8, 10, 12)))}"

    def account(self) -> str:
        """An account of a bank: 10, 13, 15 or 16 digits."""
        return self._digits(self.random.choice((10, 13, 15, 16)))

    def card(self) -> str:
        start = self.random.choice("45") + self._digits(14)
        return start + luhn.calc_check_digit(start)

    def microseconds(self) -> str:
        return str(1_500_000_000_000_000 + self.random.randrange(500_000_000_000_000))

    def milliseconds(self) -> str:
        return str(1_500_000_000_000 + self.random.randrange(500_000_000_000))

    def moment(self) -> str:
        day = date(2000, 1, 1) + timedelta(days=self.random.randrange(12_000))
        clock = f"{self.random.randrange(24):02}{self.random.randrange(60):02}{self.random.randrange(60):02}"
        return f"{day:%Y%m%d}{clock}{self.random.randrange(100):02}"

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def hash(self) -> str:
        return f"{self.random.getrandbits(256):064x}"

    def money(self) -> str:
        amount = self.random.randrange(10**15, 10**16)
        return self.random.choice((f"Rp {amount:,}".replace(",", "."), f"{amount / 100:.2f}", f"{amount:,}"))

    def fraction(self) -> str:
        return repr(self.random.random())

    def document(self) -> str:
        """The number of a letter or a plot of land, in groups."""
        return f"{self._digits(3)}/{self._digits(4)}/SK/{self.random.randrange(2000, 2026)}"

    def version(self) -> str:
        return ".".join(str(self.random.randrange(300)) for _ in range(4))


POSITIVE = {"NIK": Numbers.nik, "KK": Numbers.kk, "NPWP": Numbers.npwp, "NIP": Numbers.nip, "PHONE": Numbers.phone,
            "EMAIL": Numbers.email}  # fmt: skip
NEGATIVE: tuple[Any, ...] = (
    Numbers.order, Numbers.account, Numbers.card, Numbers.microseconds, Numbers.milliseconds, Numbers.moment,
    Numbers.uuid, Numbers.hash, Numbers.money, Numbers.fraction, Numbers.document, Numbers.version,
)  # fmt: skip
