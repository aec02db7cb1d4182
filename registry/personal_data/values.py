"""What sample values say about their column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from django.utils.translation import ngettext
from stdnum.exceptions import ValidationError as BadNumber
from stdnum.id import npwp

from registry.personal_data.kinds import CERTAIN, KINDS, NOTHING, POSSIBLE, Guess
from registry.personal_data.numbers import PROVINCES
from registry.personal_data.vocabulary import THINGS, word_set

#: Values that are read, and characters of each.
MAX_VALUES, MAX_CHARACTERS = 200, 200


#: The share of the values that must look like a kind, and the number of values from which that is certain.
SHARE, NAMES_SHARE, MANY = 0.8, 0.25, 3

_DIGITS = re.compile(r"[\s.\-/]")
_EMBEDDED_NIK = re.compile(r"(?<!\d)\d{16}(?!\d)")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[A-Za-z]{2,}\Z")
_PHONE = re.compile(r"(?:\+?62|0)8[1-9]\d{7,10}\Z")
#: A date of birth, the month of the appointment, a sex and a serial number.
_NIP = re.compile(r"(?:19[3-9]|20[01])\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:19|20)\d\d(?:0[1-9]|1[0-2]|21)[12]\d{3}\Z")
_NPWP_WRITTEN = re.compile(r"\d{2}\.\d{3}\.\d{3}\.\d-\d{3}\.\d{3}\Z")
_DATE = re.compile(
    r"(?:1[89]|20)\d\d-\d\d-\d\d|\d{1,2}[-/. ]\w{1,9}[-/. ](?:\d\d)?\d\d\Z|(?:1[89]|20)\d{6}\Z|(?:1[89]|20)\d\d\Z"
)
_OFFICES = word_set("info admin humas kontak contact cs sekretariat office noreply no-reply ppid layanan helpdesk")
_TITLES = word_set("h hj dr drs dra ir prof kh r rr raden ust ustadz nn ny tn sdr bin binti")
_GIVEN_NAMES = word_set("""
    abdul abdullah achmad adi aditya agung agus ahmad aisyah ali amin amir andi andri anggi ani anisa anita anton ari
    arif aris asep astuti ayu bagus bambang bayu beni budi cahya candra citra dani deden dedi dewi dian didik dimas dina
    dodi doni dwi edi eka eko elisabeth endang erna fajar farida fatimah feri fitri galih gita hadi handoko hari hartono
    hasan hendra heri herman hidayat ibrahim ida iin ika imam indah indra intan irfan irma iskandar ismail iwan jamal
    joko johannes juni kadek kartika ketut komang kurnia lestari lia lilis lina lukman made maria maya mega mohammad
    mochamad muhamad muhammad mulyadi mulyani nanang nengah nina nita novi nur nurhayati nurul nyoman putra putri putu
    rahayu rahman rahmat rani ratna reni retno ria rian rika rina rini rini rizal rizki robert rosita rudi rusli santi
    santoso sari septi setiawan simon siti slamet sri suci sudirman sugeng suharto sukma sulastri sumarni supardi
    suparman supriyadi surya suryadi susanto susi susilo sutrisno syahrul taufik teguh theresia titik tri udin umar umi
    utami wahyu wahyuni wawan wayan widodo wulan yanti yanto yohanes yudi yulia yuliana yuni yusuf zainal zulkifli
""")  # fmt: skip


def samples_of(values: Iterable[Any]) -> list[str]:
    """Return the first values as texts, without those that are empty."""
    first = islice((value for value in values if value is not None), MAX_VALUES)
    return [text for text in (str(value).strip()[:MAX_CHARACTERS] for value in first) if text]


def share(samples: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, samples)) / len(samples) if samples else 0.0


def _compact(text: str) -> str:
    return _DIGITS.sub("", text)


def is_nik(text: str) -> bool:
    """Return True if a text has the structure of a NIK: a province, a date of birth, a serial number."""
    number = _compact(text)
    if not re.fullmatch(r"[0-9]{16}", number) or number[:2] not in PROVINCES or number[12:] == "0000":
        return False
    return 1 <= int(number[6:8]) % 40 <= 31 and int(number[6:8]) <= 71 and 1 <= int(number[8:10]) <= 12


def is_npwp(text: str) -> bool:
    number = _compact(text)
    if _NPWP_WRITTEN.match(text):
        return True
    try:
        return re.fullmatch(r"0?[0-9]{15}", number) is not None and bool(npwp.validate(number))
    except BadNumber:
        return False


def _is_phone(text: str) -> bool:
    return _PHONE.match(re.sub(r"[\s.\-()]", "", text)) is not None


def _is_nip(text: str) -> bool:
    return _NIP.match(_compact(text)) is not None


def is_email(text: str) -> bool:
    return _EMAIL.match(text) is not None


def _is_person_email(text: str) -> bool:
    return is_email(text) and text.split("@")[0].lower() not in _OFFICES


def is_date(text: str) -> bool:
    return _DATE.match(text) is not None


def is_person_name(text: str) -> bool:
    words = re.findall(r"[a-z]+", text.lower())
    return 1 <= len(words) <= 7 and not set(words) & THINGS and bool(set(words) & (_GIVEN_NAMES | _TITLES))


#: Kinds that values alone can show, in the order in which they are tried.
_BY_VALUES = (
    ("EMAIL", _is_person_email),
    ("NIK", is_nik),
    ("NPWP", is_npwp),
    ("ID_NUMBER", _is_nip),
    ("PHONE", _is_phone),
)


def guess_by_values(samples: Sequence[str]) -> Guess:
    """Return what the values are, whatever the column is called."""
    for kind, test in _BY_VALUES:
        found = sum(map(test, samples))
        if found and found >= SHARE * len(samples):
            kind = "KK" if kind == "NIK" and _are_family_cards(samples) else kind
            certainty = CERTAIN if found >= MANY else POSSIBLE
            return kind, certainty, _values_reason(kind, found, len(samples))
    within = sum(any(map(is_nik, _EMBEDDED_NIK.findall(text))) and not _compact(text).isdigit() for text in samples)
    return ("NIK", POSSIBLE, _values_reason("NIK", within, len(samples))) if within else NOTHING


def _are_family_cards(samples: Sequence[str]) -> bool:
    """Return True for numbers like NIKs of which none is a woman's: of people, about half are."""
    numbers = {_compact(text) for text in samples}
    return len(numbers) >= 20 and all(int(number[6:8]) <= 31 for number in numbers if is_nik(number))


def _values_reason(kind: str, found: int, total: int) -> str:
    sentence = ngettext(
        "%(found)d of %(total)d value looks like this: %(kind)s.",
        "%(found)d of %(total)d values look like this: %(kind)s.",
        total,
    )
    return sentence % {"found": found, "total": total, "kind": KINDS[kind]}
