"""Names, encodings and passwords of MANTRA 1.99x."""

from __future__ import annotations

import base64
import ctypes
import ctypes.util
import re

import pytest
from django.contrib.auth.hashers import BCryptPasswordHasher
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from mantra.legacy_import.translating import PasswordKind, Refused, names, password_of, remarks, sourcecode
from mantra.legacy_import.translating.names import (
    CODE,
    OPERATION,
    PARAMETER,
    ParameterNames,
    code_of,
    codes_of,
    legacy_name_of,
    legacy_parameter_of,
)
from registry.models import Agency, Operation, Parameter
from registry.models.base import code_validator, column_validator, legacy_name_validator, operation_validator

MODELS = {CODE: code_validator, OPERATION: operation_validator, PARAMETER: column_validator}


@pytest.mark.parametrize(
    ("old", "code", "legacy"),
    [
        ("simpeg", "simpeg", ""),
        ("SIMPEG-2_a", "SIMPEG-2_a", ""),
        ("_simpeg", "simpeg", "_simpeg"),
        ("dinas kesehatan", "dinas_kesehatan", "dinas kesehatan"),
        ("v1.2", "v1_2", "v1.2"),
        ("Dinas Ünï", "Dinas_Uni", "Dinas Ünï"),
        ("a" * 64, "a" * 63, "a" * 64),
        ("a/b", "a_b", None),
        ("..", "x5ec1f7e700", None),
        ("simpeg ", "simpeg", "simpeg "),
    ],
)
def test_a_name_becomes_a_code_and_stays_as_a_name_of_1_99x(old: str, code: str, legacy: str | None) -> None:
    assert code_of(old) == code
    assert legacy_name_of(old, code) == legacy


def test_operations_may_have_spaces_dots_and_colons() -> None:
    assert code_of("Data Pegawai: v1.2", (), OPERATION) == "Data Pegawai: v1.2"
    assert code_of("a,b'c", (), OPERATION) == "a_b_c"
    assert code_of("b" * 128, (), OPERATION) == "b" * 127


def test_an_operation_whose_name_ends_in_response_differs_in_case_only() -> None:
    code = code_of("cekResponse", (), OPERATION)
    assert code == "cekresponse"
    assert legacy_name_of("cekResponse", code) == ""


def test_a_taken_code_gets_a_number_regardless_of_case() -> None:
    assert code_of("_Simpeg", ["SIMPEG", "simpeg_2"]) == "Simpeg_3"
    assert code_of("a" * 63, ["A" * 63]) == "a" * 61 + "_2"


def test_names_that_are_allowed_keep_themselves_whatever_their_order() -> None:
    assert codes_of(["_simpeg", "simpeg", "si mpeg", "si_mpeg"]) == ["simpeg_2", "simpeg", "si_mpeg_2", "si_mpeg"]


@pytest.mark.parametrize("rule", MODELS)
@given(old=st.text(max_size=140))
def test_each_name_gets_a_code_that_the_model_allows(rule: names.Rule, old: str) -> None:
    code = code_of(old, (), rule)
    MODELS[rule](code)
    assert code == code_of(old, (), rule)
    assert len(code) <= rule.length and not code.endswith("Response")
    assert code_of(old, [code.swapcase()], rule).lower() != code.lower()


@given(old=st.text(max_size=140), code=st.just("x"))
def test_a_name_of_1_99x_is_one_that_the_models_take(old: str, code: str) -> None:
    if legacy := legacy_name_of(old, code):
        Agency(code="x", name="x", legacy_name=legacy).clean_fields(exclude=["code", "name"])


def test_the_rules_are_those_of_the_models() -> None:
    assert CODE.pattern.pattern == _inner(code_validator)
    assert OPERATION.pattern.pattern == _inner(operation_validator)
    assert PARAMETER.pattern.pattern == _inner(column_validator)
    assert names._LEGACY.pattern.replace(r"\Z", "$") == _inner(legacy_name_validator)
    assert Operation._meta.get_field("legacy_name").max_length == names.MAX_LEGACY
    assert Parameter._meta.get_field("legacy_name").max_length == names.MAX_LEGACY


def _inner(validator: RegexValidator) -> str:
    pattern: str = validator.regex.pattern
    return pattern.removeprefix("^").removesuffix("$")


@pytest.mark.parametrize(
    ("old", "name", "legacy"),
    [
        ("nip", "nip", ""),
        ("NAMA_LENGKAP", "NAMA_LENGKAP", ""),
        ("kode-wil", "kode_wil", "kode-wil"),
        ("a.b", "a_b", ""),  # PHP makes a_b of it when it is sent
        ("1tmt", "p_1tmt", "1tmt"),
        ("Ünï", "Uni", "Ünï"),
        ("jumlah(kg)", "jumlah_kg_", "jumlah(kg)"),
        ("k" * 64, "k" * 63, "k" * 64),
        ("k" * 129, "k" * 63, None),
        ("grant__x", "p_grant__x", "grant__x"),
        ("日本", "xcf2abf0c5b", "日本"),
    ],
)
def test_a_column_becomes_the_name_of_a_parameter(old: str, name: str, legacy: str | None) -> None:
    assert ParameterNames().code(old) == name
    assert legacy_parameter_of(old, name) == legacy
    Parameter(name=name, legacy_name=legacy or "").clean()


def test_two_columns_never_have_one_name_on_the_legacy_wire() -> None:
    allocated = ParameterNames()
    assert [allocated.code(each) for each in ("kode-wil", "kode_wil", "KODE.WIL")] == [
        "kode_wil", "kode_wil_2", "KODE_WIL_3",
    ]  # fmt: skip


# --------------------------------------------------------------------------------- sourcecode


def test_json_of_php_is_read() -> None:
    found = sourcecode.read(
        r'{"dbtype":"mysql","hostname":"10.1.1.5","tbname":"a\/b","dbuser":"\u00fcn","port":3306}', "database"
    )
    assert found.texts == {"dbtype": "mysql", "hostname": "10.1.1.5", "tbname": "a/b", "dbuser": "ün", "port": "3306"}


def test_null_is_a_value_that_was_lost() -> None:
    found = sourcecode.read('{"dbtype":"mysql","dbpassword":null}', "database")
    assert found.lost == {"dbpassword"} and found.text("dbpassword") == ""


def test_a_query_string_is_decoded_once() -> None:
    found = sourcecode.read("dbtype=mysql&dbpassword=a%26b&conditions=WHERE+%60nik%60+%3D+%27%27&x=%2541", "database")
    assert found.text("dbpassword") == "a&b"
    assert found.text("conditions") == "WHERE `nik` = ''"
    assert found.text("x") == "%41"


def test_a_program_of_a_query_string_is_decoded_twice_and_keeps_plus_the_second_time() -> None:
    found = sourcecode.read("code=%2524a%2520%253D%25201%252B1%253B&request=x%253Atext%253D%2527%2527", "program")
    assert found.text("code") == "$a = 1+1;"
    assert found.text("request") == "x:text=''"


def test_json_of_a_program_that_says_code_is_no_query_string() -> None:
    assert sourcecode.read('{"code":"$code=1; $b=2 & 1;","request":""}', "program").text("code") == "$code=1; $b=2 & 1;"


def test_bytes_that_are_no_utf8_are_read_as_latin1_with_a_remark() -> None:
    found = sourcecode.read("dbtype=mysql&tbname=caf%E9", "database")
    assert found.text("tbname") == "café"
    assert [each.kind for each in found.remarks] == [remarks.Kind.LATIN1]


@pytest.mark.parametrize(
    "source",
    ["", "  ", "{", "{}", "[1]", '{"dbtype":["mysql"]}', '{"dbtype":"my\\u0000sql"}', '{"dbtype":"\\ud800"}',
     '{"wstype":"get"}', "hostname=x", "{" * 100_000, '{"dbtype":NaN}', '{"dbtype":"mysql"} x'],
)  # fmt: skip
def test_what_is_neither_is_refused(source: str) -> None:
    with pytest.raises(Refused) as error:
        sourcecode.read(source, "database")
    assert error.value.remark.kind is remarks.Kind.UNREADABLE


def test_a_definition_that_is_too_long_is_refused() -> None:
    with pytest.raises(Refused) as error:
        sourcecode.read('{"dbtype":"' + "x" * sourcecode.MAX_SOURCE + '"}', "database")
    assert error.value.remark.kind is remarks.Kind.TOO_LONG


# ---------------------------------------------------------------------------------- passwords


def crypt(password: str, salt: str) -> str:
    """Hash a password with the C library, as another implementation of bcrypt than Python's package."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt"))
    library.crypt.restype = ctypes.c_char_p
    found: bytes = library.crypt(password.encode(), salt.encode())
    return found.decode()


def test_a_hash_of_php_is_that_of_djangos_bcrypt_with_another_letter() -> None:
    hashed = crypt("rahasia", "$2y$04$abcdefghijklmnopqrstuu")
    assert len(hashed) == 60 and hashed.startswith("$2y$04$")
    found = password_of(hashed)
    assert found.kind is PasswordKind.BCRYPT
    decoded = BCryptPasswordHasher().decode(found.encoded)
    assert (decoded["algorithm"], decoded["algostr"], decoded["work_factor"]) == ("bcrypt", "2b", 4)
    # What Django compares: the hash of the password with the stored one as its salt.
    stored = found.encoded.removeprefix("bcrypt$")
    assert crypt("rahasia", stored) == stored
    assert crypt("salah", stored) != stored


@pytest.mark.parametrize("passkey", ["cmFoYXNpYQ==", " cmFoYXNpYQ== ", "cmFoYXNpYQ==\n"])
def test_base64_is_the_password_itself(passkey: str) -> None:
    found = password_of(passkey)
    assert (found.kind, found.plain) == (PasswordKind.PLAIN, "rahasia")
    assert "rahasia" not in repr(found)


@pytest.mark.parametrize(
    "passkey",
    ["", " ", "rahasia", "$2y$04$short", "$2y$31$" + "a" * 53, "$2x$10$" + "a" * 53, "/w==", "AAAA", "cmFoYXNpYQ=",
     base64.b64encode(b"1234").decode(), base64.b64encode(b"x" * 200).decode()],
)  # fmt: skip
def test_anything_else_opens_nothing(passkey: str) -> None:
    found = password_of(passkey)
    assert (found.kind, found.encoded, found.plain) == (PasswordKind.UNUSABLE, "", "")


def test_each_remark_has_a_stable_code_and_can_be_written_in_both_languages() -> None:
    names_ = set(re.findall(r"%\((\w+)\)s", " ".join(kind.sentence for kind in remarks.Kind)))
    for kind in remarks.Kind:
        assert remarks.Kind(kind.value) is kind and kind.value == kind.name.lower().replace("_", "-")
        made = remarks.Remark(kind, tuple((each, "7") for each in names_))
        with override("en"):
            english = made.text()
        with override("id"):
            assert made.text() != english, kind
        assert len(english) < 250


def test_an_argument_is_short_and_printable() -> None:
    made = remarks.remark(remarks.Kind.NO_TABLE, name="a\x00\n" + "b" * 500)
    ((_name, value),) = made.arguments
    assert len(value) == remarks.MAX_ARGUMENT and value.startswith("a��b")


def test_a_name_that_a_model_refuses_is_not_made() -> None:
    with pytest.raises(ValidationError):
        column_validator("kode-wil")
