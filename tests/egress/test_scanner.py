"""What is found, how it may be written, and what is not taken for it."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mantra.egress import scanner
from mantra.egress.prefilter import may_have, suspects
from mantra.egress.scanner import covered, scan
from mantra.egress.text import unescaped
from registry.personal_data.numbers import is_mobile_number
from tests.egress.numbers import NEGATIVE, POSITIVE, Numbers

EACH = 4_000
NIK = "3201075001900001"


@pytest.mark.parametrize("kind", POSITIVE)
def test_nearly_all_numbers_of_people_are_found(kind: str) -> None:
    """Recall is at least 0.99 for each kind. A family card without a word that says so is found as a NIK."""
    numbers = Numbers(1)
    texts = [POSITIVE[kind](numbers) for _number in range(EACH)]
    found = sum([each.kind for each in scan(f"x {text} y")] == ["NIK" if kind == "KK" else kind] for text in texts)
    assert found / EACH >= 0.99


def test_few_other_numbers_are_taken_for_one() -> None:
    """At most 0.1 % of other numbers. Only what has all digits of a mobile number's network cannot be told from one."""
    numbers = Numbers(2)
    wrong: Counter[str] = Counter()
    looked_at = 0
    for make in NEGATIVE:
        for _number in range(EACH):
            text = make(numbers)
            if is_mobile_number(text):
                continue  # an account of 11 to 13 digits that begins 0812 is one to everybody
            looked_at += 1
            wrong[make.__name__] += bool(scan(f"x {text} y"))
    assert sum(wrong.values()) / looked_at <= 0.001, wrong


def test_few_accounts_look_like_mobile_numbers() -> None:
    numbers = Numbers(3)
    assert sum(is_mobile_number(numbers.account()) for _number in range(EACH)) / EACH <= 0.01


def test_few_random_numbers_of_16_digits_are_a_nik() -> None:
    numbers = Numbers(4)
    assert sum(bool(scan(numbers._digits(16))) for _number in range(20_000)) <= 20_000 * 0.002


WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a sentence": lambda number: f"Nomor beliau {number}, lahir di Bogor.",
    "beside letters": lambda number: f"NIK{number}BUDI",
    "points": lambda number: ".".join(number[at : at + 4] for at in range(0, len(number), 4)),
    "blanks": lambda number: f"{number[:6]} {number[6:12]} {number[12:]}",
    "dashes": lambda number: "-".join(number),
    "no-break spaces": lambda number: "\u00a0".join(number[at : at + 4] for at in range(0, len(number), 4)),
    "nothing that is seen": lambda number: "\u200b".join(number[at : at + 4] for at in range(0, len(number), 4)),
    "soft hyphens": lambda number: "\u00ad".join(number[at : at + 4] for at in range(0, len(number), 4)),
    "full width": lambda number: "".join(chr(0xFF10 + int(digit)) for digit in number),
    "Arabic digits": lambda number: "".join(chr(0x660 + int(digit)) for digit in number),
    "mathematical digits": lambda number: "".join(chr(0x1D7CE + int(digit)) for digit in number),
    "entities": lambda number: "".join(f"&#{ord(digit)};" for digit in number),
    "entities, hexadecimal": lambda number: "".join(f"&#x{ord(digit):X};" for digit in number),
    "entities of full width": lambda number: "".join(f"&#{0xFF10 + int(digit)};" for digit in number),
    "one entity": lambda number: f"{number[:7]}&#{ord(number[7])};{number[8:]}",
    "entities twice": lambda number: "".join(f"&amp;#{ord(digit)};" for digit in number),
    "JSON": lambda number: "".join(f"\\u{ord(digit):04x}" for digit in number),
    "one escape": lambda number: f"{number[:3]}\\u{ord(number[3]):04X}{number[4:]}",
    "JavaScript": lambda number: "".join(f"\\x{ord(digit):02x}" for digit in number),
    "a URL": lambda number: "".join(f"%{ord(digit):02X}" for digit in number),
    "a URL twice": lambda number: "".join(f"%25{ord(digit):02X}" for digit in number),
    "a URL's blanks": lambda number: f"{number[:8]}%20{number[8:]}",
    "quoted-printable": lambda number: "".join(f"={ord(digit):02X}" for digit in number),
    "base64": lambda number: base64.b64encode(number.encode()).decode(),
    "base64 of a sentence": lambda number: base64.b64encode(f'{{"nik": "{number}"}}'.encode()).decode(),
    "base64 of UTF-16": lambda number: base64.b64encode(number.encode("utf-16-le")).decode(),
    "base64 in a path": lambda number: f"/berkas/{base64.urlsafe_b64encode(number.encode()).decode()}",
    "codes": lambda number: number.encode().hex(),
    "a number with an exponent": lambda number: f"{number[0]}.{number[1:]}E+15",
    "a number with a fraction": lambda number: f"{number}.00",
    "twice, without anything between": lambda number: number + number,
    "after a date": lambda number: f"2024-05-01 {number}",
    "in a list": lambda number: f"[1,{number},2]",
    "zero bytes between": "\0".join,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_nik_is_found_however_it_is_written(way: str) -> None:
    text = WAYS[way](NIK)
    found = scan(text)
    assert found and {each.kind for each in found} == {"NIK"}
    assert may_have(text.encode("utf-8"))
    left = covered(text, found)
    assert not scan(left)
    assert len(left) == len(text)
    assert NIK[6:] not in left


@pytest.mark.parametrize(
    "text",
    [
        "01.234.567.8-901.000", "NPWP: 012345674901000", "0012345674901000", "+62 812-3456-7890", "(0812) 3456 7890",
        "62812345678901", "0062812345678901", "HP 0812345678 9", "tel:0812.3456.7890", "budi.santoso@contoh.go.id",
        "budi&#64;contoh.id", "budi%40contoh.id", "budi\\u0040contoh.id", "budi\uff20contoh.id", "198001012005011001",
        "19800101 200501 1 001", "KK 3201070101101500",
    ],
)  # fmt: skip
def test_what_else_is_found(text: str) -> None:
    assert len(scan(text)) == 1
    assert may_have(text.encode("utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "", "3201075001900000", "3201075013900001", "3201073202900001", "3299075001900001", "2001075001900001",
        "0.3201075001900001", "3201075001900001.25", "32010750019000012", "Rp 3.201.075.001.900.001",
        "info@dukcapil.go.id", "noreply@contoh.id", "a@b", "@contoh.id", "550e8400-e29b-41d4-a716-081234567890",
        "198001012005011000", "199013012015011001", "199001012000011001", "2024-05-01 10:20:30.123456",
        "08123", "628", "1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6",
    ],
)  # fmt: skip
def test_what_is_not_found(text: str) -> None:
    assert scan(text) == []


def test_a_word_beside_it_says_what_a_number_is() -> None:
    assert scan("3201075001907500") == []
    assert [each.kind for each in scan("NIK: 3201075001907500")] == ["NIK"]
    assert [each.kind for each in scan("3201075001907500", label="no_ktp")] == ["NIK"]
    assert [each.kind for each in scan(f"No. KK {NIK}")] == ["KK"]


@given(st.text(max_size=300), st.sampled_from(sorted(WAYS)), st.text(max_size=50))
def test_the_quick_look_misses_nothing_that_the_scanner_finds(before: str, way: str, after: str) -> None:
    text = before + WAYS[way](NIK) + after
    if scan(text):
        assert may_have(text.encode("utf-8", "surrogatepass"))


@given(st.text(alphabet="0123456789 .-@ab%4&#;\\ux=", max_size=80))
def test_the_quick_look_agrees_on_any_text(text: str) -> None:
    if scan(text):
        assert may_have(text.encode())


@given(st.lists(st.text(alphabet="0123456789 .-@ab%4&#;\\ux=\x01\u00a0", max_size=40), min_size=1, max_size=8))
def test_the_quick_look_at_several_texts_misses_none(pieces: list[str]) -> None:
    found = {at for at, piece in enumerate(pieces) if scan(piece)}
    assert found <= set(suspects([piece.encode() for piece in pieces]))


def test_the_quick_look_at_several_texts_tells_which_one_it_is() -> None:
    texts = [b"Budi", NIK.encode(), b"12,5", b"budi&#64;contoh.go.id", b"R&D", base64.b64encode(NIK.encode()), b""]
    assert suspects(texts) == [1, 3, 5]
    assert suspects(texts, base64=False) == [1, 3]
    assert suspects([NIK[:8].encode(), NIK[8:].encode()]) == []


@given(
    st.from_regex(r"(62|08|00|19[0-9]{2}|32[0-9]{4})?[0-9]{0,40}", fullmatch=True), st.sampled_from(("", "npwp", "hp"))
)
def test_a_text_of_digits_alone_has_what_it_has_between_others(digits: str, label: str) -> None:
    found = [(each.kind, each.begin, each.end) for each in scan(digits, label)]
    assert found == [(each.kind, each.begin, each.end) for each in scanner._plain(digits, label)]


@given(st.text(alphabet="0123 &#;5%34\\u", max_size=60))
def test_a_place_in_a_view_is_that_of_the_text(text: str) -> None:
    view = unescaped(text)
    if view is None:
        return
    for begin in range(len(view.text)):
        start, end = view.origin(begin, begin + 1)
        written = unescaped(text[start:end])
        assert (written.text if written is not None else text[start:end]) == view.text[begin]
