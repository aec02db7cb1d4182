"""The rules of the numbers by which Indonesia knows people, on digits without separators. No Django.

Each rule says what a number must have by its definition. How often a random number meets it is in docs/egress-guard.md.
"""

from __future__ import annotations

#: The codes of the provinces, with which a NIK and the number of a family card begin.
PROVINCES = frozenset(
    str(number) for begin, end in ((11, 21), (31, 36), (51, 53), (61, 65), (71, 76), (81, 82), (91, 97))
    for number in range(begin, end + 1) if number != 20
)  # fmt: skip
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
#: The highest codes of districts and of regencies in a province; cities have codes from CITIES on.
DISTRICTS, REGENCIES, CITIES = 60, 30, range(71, 80)
#: The last number of a day and a place that a NIK is given without a word beside it that says what it is: more people
#: are not registered with one date of birth.
SERIALS = 1_000
#: What is added to the day of a woman's birth.
_WOMEN = 40
#: The codes of mobile networks behind 0 or 62, two digits behind the 8.
MOBILE = frozenset(
    f"{code}" for codes in (range(11, 20), (21, 22, 23, 28, 31, 32, 33, 38), range(51, 60), (68, 77, 78, 79),
                            range(81, 90), (95, 96, 97, 98, 99))
    for code in codes if code != 54
)  # fmt: skip
#: The digits of a mobile number behind 0 or 62, least and most.
_MOBILE_DIGITS = range(10, 13)
#: The years between which people were born who work for the state, and were appointed.
_BORN, _APPOINTED = range(1935, 2012), range(1955, 2046)
#: The month of appointment of those who have a contract.
_CONTRACT = 21
#: The branches that the tax numbers of people have: none, or few.
_BRANCHES = 5


def is_citizen_number(digits: str, labelled: bool = False) -> bool:
    """Return True for a NIK, or the number of a family card: place, date, and a serial number.

    ``labelled``: a word beside it, or its column, says that it is one.
    """
    if len(digits) != 16 or digits[:2] not in PROVINCES:
        return False
    regency, district, serial = int(digits[2:4]), int(digits[4:6]), int(digits[12:])
    if not (1 <= regency <= REGENCIES or regency in CITIES) or not 1 <= district <= DISTRICTS or not serial:
        return False
    if serial >= SERIALS and not labelled:
        return False
    day = int(digits[6:8])
    return _is_day(2000 + int(digits[10:12]), int(digits[8:10]), day - _WOMEN if day > _WOMEN else day)


def _is_day(year: int, month: int, day: int) -> bool:
    if not 1 <= month <= 12 or day < 1:
        return False
    # Of a year of two digits nobody knows the century: 29 February is taken for any that may have one.
    leap = year % 4 == 0
    return day <= (29 if month == 2 and leap else _DAYS[month - 1])


def is_civil_servant_number(digits: str) -> bool:
    """Return True for a NIP: a date of birth, a month of appointment some 15 years later, a sex, a serial number."""
    if len(digits) != 18 or digits[14] not in "12" or digits[15:] == "000":
        return False
    born, appointed, month = int(digits[:4]), int(digits[8:12]), int(digits[12:14])
    if born not in _BORN or appointed not in _APPOINTED or appointed - born < 15:
        return False
    return (1 <= month <= 12 or month == _CONTRACT) and _is_day(born, int(digits[4:6]), int(digits[6:8]))


def is_tax_number(digits: str, labelled: bool = False) -> bool:
    """Return True for an NPWP of 15 digits, or the same with a 0 before it: a check digit, an office, a branch.

    ``labelled``: a word beside it, or its column, says that it is one.
    """
    if len(digits) == 16 and digits[0] == "0":
        digits = digits[1:]
    if len(digits) != 15 or not _is_checked(digits[:9]) or digits[:8] == "00000000":
        return False
    return labelled or (digits[9:12] != "000" and int(digits[12:]) < _BRANCHES)


def _is_checked(digits: str) -> bool:
    """Return True if the last digit is that of Luhn's formula."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


def is_mobile_number(digits: str, international: bool = False) -> bool:
    """Return True for a mobile number that begins with 0 or 62.

    ``international``: a + before it, or a word, says that it is one.
    """
    for prefix in ("0062", "62", "0"):
        if digits.startswith(prefix + "8"):
            rest = digits[len(prefix) :]
            break
    else:
        return False
    if rest[1:3] not in MOBILE or len(rest) > _MOBILE_DIGITS[-1]:
        return False
    return len(rest) >= (_MOBILE_DIGITS[0] if not international else _MOBILE_DIGITS[0] - 1)
